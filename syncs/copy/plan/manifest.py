"""What is remembered of a plan once it was carried out."""

from __future__ import annotations

from syncs.copy.plan.planned import Manifest, Owned, Plan


def kept(known: Manifest, plan: Plan, *, adopt: bool = False) -> dict[bytes, Owned]:
    """The rule's files that need no write any more, as they are now. `adopt`: also those of others."""
    return {write.path: write.owned for write in plan.same if adopt or write.path in known or write.merged}


def written(plan: Plan) -> dict[bytes, Owned]:
    """The files that the plan wrote."""
    return {write.path: write.owned for write in plan.writes if write.source_path}


def forgotten(known: Manifest, plan: Plan, *, pending: bool = False) -> list[bytes]:
    """The rule's files that are gone or given up. What a pull request deletes is there until it is merged."""
    gone = {*plan.dropped} if pending else {*plan.dropped, *(delete.path for delete in plan.deletes)}
    return sorted(path for path in gone if path in known)
