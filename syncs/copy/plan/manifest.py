"""What is remembered of a plan once it was carried out."""

from __future__ import annotations

from collections.abc import Collection

from syncs.copy.plan.planned import Manifest, Owned, Plan


def kept(
    known: Manifest, plan: Plan, *, adopt: bool = False, found: Collection[bytes] | None = None
) -> dict[bytes, Owned]:
    """The rule's files that need no write any more, as they are now.

    `adopt`: also those that others wrote. `found`: the paths of a commit that an earlier attempt had pushed.
    """
    return {
        write.path: write.owned
        for write in plan.same
        if adopt or write.path in known or write.merged or write.path in (found or ())
    }


def written(plan: Plan, *, found: Collection[bytes] | None = None) -> dict[bytes, Owned]:
    """The files that the plan wrote. With `found` only those of that commit, which was made before."""
    return {
        write.path: write.owned
        for write in plan.writes
        if write.source_path and (found is None or write.path in found)
    }


def forgotten(known: Manifest, plan: Plan, *, pending: bool = False) -> list[bytes]:
    """The rule's files that are gone or given up. What a pull request deletes is there until it is merged."""
    gone = {*plan.dropped} if pending else {*plan.dropped, *(delete.path for delete in plan.deletes)}
    return sorted(path for path in gone if path in known)
