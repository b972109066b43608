"""What a dry run shows: the differences as git prints them, made without writing anywhere else."""

from __future__ import annotations

from typing import Final

from opssight.core.clock import now
from repos.git.errors import TooLarge
from repos.git.store import Stores
from syncs.copy.plan.planned import Plan
from syncs.copy.transfer.transfer import Planner, Source, Target, changes_of

_MAX_PATCH: Final = 4_000_000  # bytes, of one target


def patch_of(stores: Stores, source: Source, target: Target, planner: Planner, plan: Plan) -> str:
    """What the plan changes at the target, made without a push."""
    if plan.empty:
        return ""
    end = target.end
    if end.store.partial:
        old = [*(write.old for write in plan.writes), *(delete.old for delete in plan.deletes)]
        end.store.prefetch(end.remote, [oid for _, oid in filter(None, old)])
    writes, deletes = changes_of(plan)
    with stores.view([source.end.store, end.store]) as view:
        view.write_blobs(planner.contents(plan))
        commit = view.commit(
            target.tip,
            writes,
            deletes,
            message="",
            author_name="OpsSight",
            author_email="opssight@localhost",
            at=now(),
        )
        try:
            data = view.patch(target.tip, commit, _MAX_PATCH)
        except TooLarge as failure:
            return f"{failure.sentence} The page of a rule shows it file by file.\n"
    lines = data.decode("utf-8", "replace").split("\n")
    return "\n".join(map(_printed, lines))


def _printed(line: str) -> str:
    """A line of somebody's file, unable to do anything to a terminal."""
    text, end = (line[:-1], "\r") if line.endswith("\r") else (line, "")
    return "".join(char if char.isprintable() or char == "\t" else ascii(char)[1:-1] for char in text) + end
