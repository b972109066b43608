"""What an item says of a plan beside its writes: edits at the target, notices, what could be adopted."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

from opssight.core.words import count, join_words
from syncs.copy.plan.planned import Plan
from syncs.copy.rules.paths import shown

_LISTED: Final = 50  # files that a line of the log names; notices


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
    """The numbers, for `Item.result`; `paths_of` names the files."""
    return {
        "overwritten": plan.overwritten,
        "merged": plan.merged,
        "adoptable": len(plan.adoptable),
        "edited": len(plan.edited),
        "orphans": len(plan.orphans),
        "notices": [one.sentence for one in plan.notices[:_LISTED]],
    }


def paths_of(plan: Plan, *, wrote: bool) -> Iterator[str]:
    """Lines for the log: the first files of each sort, and what came up on the way."""
    if not wrote:
        yield from _line("to write", [write.path for write in plan.writes])
        yield from _line("to delete", [gone.path for gone in plan.deletes])
    yield from _line("edited at the target", plan.edited)
    yield from _line("without a source any more", plan.orphans)
    yield from (notice.sentence for notice in plan.notices[:_LISTED])


def _line(what: str, paths: Collection[bytes]) -> Iterator[str]:
    named = [shown(path) for path in sorted(paths)[:_LISTED]]
    more = [f"{len(paths) - _LISTED} more"] if len(paths) > _LISTED else []
    if named:
        yield f"{what}: {join_words([*named, *more])}"
