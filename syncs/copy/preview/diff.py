"""The difference that a plan makes in one file of a target."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final
from uuid import UUID

from opssight.core.errors import Conflict, Failure
from repos import access
from repos.git.errors import TooLarge
from syncs.copy.plan.linediff import unified
from syncs.copy.plan.planned import PlannedWrite
from syncs.copy.preview.plans import bring
from syncs.copy.preview.preview import TargetPreview
from syncs.copy.transfer.planning import Look

MAX_BYTES: Final = 400_000


@dataclass(frozen=True)
class FileDiff:
    """A file there (old) and as it would be (new): unified diff lines, or why there are none."""

    lines: list[str]
    sentence: str = ""
    fetching: bool = False


def file_diff(one: TargetPreview, path: bytes) -> FileDiff:
    """What the plan changes at a path of the target."""
    plan = one.plan
    write = next((write for write in plan.writes if write.path == path), None) if plan else None
    delete = next((delete for delete in plan.deletes if delete.path == path), None) if plan else None
    if one.made is None or not (write or delete):
        return FileDiff([], "The plan does nothing to this file any more. Load the page again.")
    old = write.old if write else delete.old if delete else None
    try:
        before, after = _contents(one.repository.pk, one.made, old, write)
    except Conflict:
        return FileDiff([], fetching=True)
    except TooLarge:
        return FileDiff([], "Too large to show line by line.")
    except Failure as failure:
        return FileDiff([], failure.sentence)
    found = _between(before, after)
    if found.lines or found.sentence:
        return found
    if old and write and old[0] != write.mode:
        return FileDiff([], f"The file's mode changes from {old[0]} to {write.mode}.")
    return FileDiff([], "Only line ends differ." if old and write else "The file is empty.")


def _contents(
    repository_id: UUID, made: Look, old: tuple[str, str] | None, write: PlannedWrite | None
) -> tuple[bytes, bytes]:
    before = b""
    if old:
        bring(repository_id, [old[1]], MAX_BYTES)
        before = access.stores().store(repository_id).blob(old[1], MAX_BYTES)
    after = made.content(write, MAX_BYTES) if write else b""
    if len(after) > MAX_BYTES:
        raise TooLarge("Too large to show line by line.")
    return before, after


@lru_cache(maxsize=32)
def _between(before: bytes, after: bytes) -> FileDiff:
    if b"\0" in before[:8_000] or b"\0" in after[:8_000]:
        return FileDiff([], f"Binary: {len(before):,} bytes there, {len(after):,} bytes here.")
    found = unified(*(data.decode("utf-8", "replace").splitlines() for data in (before, after)))
    return FileDiff([], "Too many lines differ to show them.") if found is None else FileDiff(found)
