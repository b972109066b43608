"""What an item says of a plan beside its writes: edits at the target, notices, what could be adopted."""

from __future__ import annotations

from typing import Any, Final

from opssight.core.words import count
from syncs.copy.plan.plan import Plan
from syncs.copy.rules.paths import shown

_LISTED: Final = 50


def beside(plan: Plan) -> str:
    """Sentences that follow the one about what was written, each with a space before it."""
    said = ""
    if plan.overwritten:
        said += f" {count(plan.overwritten, 'edited file')} written over."
    if plan.merged:
        said += f" Edits at the target kept in {count(plan.merged, 'file')}."
    if plan.notices:
        more = f" (and {len(plan.notices) - 1} more like it)" if len(plan.notices) > 1 else ""
        said += f" {plan.notices[0].sentence.removesuffix('.')}{more}."
    return said


def told(plan: Plan) -> dict[str, Any]:
    """For `Item.result`; numbers of all, and the first paths and sentences."""
    return {
        "overwritten": plan.overwritten,
        "merged": plan.merged,
        "adoptable": len(plan.adoptable),
        "edited": len(plan.edited),
        "edited_paths": [shown(path) for path in plan.edited[:_LISTED]],
        "orphans": len(plan.orphans),
        "orphan_paths": [shown(path) for path in plan.orphans[:_LISTED]],
        "notices": [one.sentence for one in plan.notices[:_LISTED]],
        "notice_count": len(plan.notices),
    }
