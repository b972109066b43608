"""What became of a pull request since it was last looked at: still open, merged, closed, gone.

A merge takes the target forward and ends the branch. It is known from the forge, whichever way it was merged;
a server without pull requests shows it by the commit that is in the base.
"""

from __future__ import annotations

from typing import Any

from repos.providers.forge import Pull
from repos.providers.types import PullState
from syncs.copy.models import CopyState, CopyTarget
from syncs.copy.pulls.branches import Proposer
from syncs.copy.pulls.pulls import ForgeEnd
from syncs.copy.saved import ownership
from syncs.copy.transfer.transfer import Copier, End, Target, open_target
from syncs.engine import claim
from syncs.engine.context import RunContext


def settle(
    run: RunContext,
    copier: Copier,
    forge_end: ForgeEnd,
    end: End,
    target: CopyTarget,
    state: CopyState | None,
) -> tuple[Pull | None, CopyState | None]:
    """The pull request that is open or was closed by somebody, None else; and the state after a merge."""
    if state is None or not state.proposed_oid or not state.pull_branch:
        return None, state
    if forge_end.forge is None or state.pull_number is None:
        return None, _by_history(run, copier, end, target, state)
    pull = forge_end.pull(state.pull_number)
    elsewhere = pull is not None and pull.base != target.branch  # somebody pointed it at another branch
    if pull is not None and pull.state != PullState.MERGED:
        return (None if elsewhere else pull), state
    if elsewhere:
        run.log("pull request", f"{end.name}: #{state.pull_number} was merged into another branch", "warning")
        return None, _store(run, target, state, merged=False, gone=True)
    now = open_target(end, run, state.pull_branch)
    ours = pull is not None and _holds(now, state.pushed_oid, pull.head_oid)
    if pull is not None and now.proposed and now.proposed == pull.head_oid:
        Proposer(copier).delete(end, state.pull_branch, now.proposed)
        run.checkpoint("merged-branch-deleted")
    if pull is not None:
        run.log("pull request", f"{end.name}: #{pull.number} was merged")
    return None, _store(run, target, state, merged=ours, gone=pull is None)


def _by_history(run: RunContext, copier: Copier, end: End, target: CopyTarget, state: CopyState) -> CopyState:
    """A branch without a pull request that is known: it was merged when the base has its commit."""
    now = open_target(end, run, state.pull_branch)
    if now.tip is None or not _holds(now, state.pushed_oid, now.tip):
        return state
    if now.proposed and _holds(now, now.proposed, now.tip):
        Proposer(copier).delete(end, state.pull_branch, now.proposed)
        run.checkpoint("merged-branch-deleted")
    return _store(run, target, state, merged=True)


def _holds(now: Target, pushed: str, head: str) -> bool:
    """Whether the commit we pushed is `head` or came before it."""
    if not pushed or pushed == head:
        return bool(pushed)
    store = now.end.store
    return bool(head) and store.has(head) and store.has(pushed) and store.is_ancestor(pushed, head)


def _store(
    run: RunContext, target: CopyTarget, state: CopyState, *, merged: bool, gone: bool = False
) -> CopyState:
    """Remember it. Where it is not known which of our commits were merged, all is compared again.

    `gone`: there is no such pull request any more, so nothing of it counts as merged.
    """
    values: dict[str, Any] = {"pull_number": None, "pull_url": ""}
    if not gone:
        ownership.settle(target, lambda: claim.fenced(run.run))
    if merged:
        values |= {"source_oid": state.proposed_oid, "proposed_oid": "", "pushed_oid": ""}
    elif state.source_oid:
        values |= {"proposed_oid": "", "pushed_oid": ""}
    with claim.fenced(run.run):
        CopyState.objects.filter(pk=state.pk).update(**values)
    run.checkpoint("merge-stored")
    return CopyState.objects.get(pk=state.pk)
