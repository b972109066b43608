"""The audit log of what copies write: one event for each commit at a target, stored with its item."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from opssight.audit.record import record
from syncs.copy.saved.origin import CROSS, FROM_NAME, FROM_REF, RECORDED, TO_BRANCH
from syncs.models import Item, Run

WRITTEN: Final = "copy.write"
ACROSS: Final = "copy.write.cross_organization"
"""A target of another owner or host; `copy.write` as the beginning of an action finds both."""

CLOSED: Final = "copy.pull_request.close"


def record_closed(run: Run, item: Item, sentence: str, url: str) -> None:
    """Record what became of the pull request of a target that is gone, in a transaction."""
    target = ("repository", item.repository_id or "", item.label)
    diff = {"rule": run.title, "pull_request": url, "sentence": sentence}
    record(CLOSED, team_id=run.team_id, target=target, diff=diff, run_id=run.pk)


def record_write(run: Run, item: Item, result: Mapping[str, Any]) -> None:
    """Record what `result` says was written to the item's repository. RuntimeError outside a transaction."""
    pull = result.get("pull_request")
    record(
        ACROSS if result.get(CROSS) else WRITTEN,
        team_id=run.team_id,
        target=("repository", item.repository_id or "", item.label),
        diff={
            "rule": run.title,
            "source": result.get(FROM_NAME, ""),
            "source_ref": result.get(FROM_REF, ""),
            "source_commit": result.get("source", ""),
            "branch": result.get("branch") or result.get(TO_BRANCH, ""),
            "commit": result.get("commit", ""),
            "files": result.get("files", 0),
            "deletes": result.get("deletes", 0),
            "deprecated": result.get(RECORDED, 0),
            "pull_request": pull.get("url", "") if isinstance(pull, dict) else "",
            "source_pull_request": run.input.get("pull_request"),
        },
        run_id=run.pk,
    )
