"""A pull request whose rule brings nothing there any more: closed with its branch, if both are ours alone.

Found by looking, so an attempt after a kill does what is left to be done.
"""

from __future__ import annotations

from dataclasses import dataclass

from opssight.core.errors import Conflict
from repos.providers.forge import Pull
from repos.providers.types import PullState
from syncs.copy.pulls.branches import Known, NotOurs, Proposer, Standing
from syncs.copy.pulls.pulls import ForgeEnd, Pulls
from syncs.copy.transfer.transfer import Copier, End, Target, open_target


@dataclass(frozen=True)
class Withdrawn:
    """What became of it. `changed`: something was closed or deleted now; `pull`: as it was or is then."""

    sentence: str
    changed: bool = False
    pull: Pull | None = None


def withdraw(
    copier: Copier, forge_end: ForgeEnd, end: End, known: Known, number: int | None, why: str
) -> Withdrawn:
    """Close the pull request from `known.branch` to the branch of `end`, and delete its branch.

    `number`: as far as it is known. `why` is written below its text. One that was pointed elsewhere, or that
    has commits of others, stays. Raises what the forge and git raise, and Conflict for a push in between.
    """
    target = open_target(end, copier.steps, known.branch)
    pull = forge_end.pull(number) if number else forge_end.find(known.branch, end.branch)
    copier.steps.checkpoint("left-asked")
    if pull is not None and pull.state == PullState.OPEN and pull.base != end.branch:
        return Withdrawn(f"Pull request #{pull.number} was pointed at {pull.base}, so it stays.", pull=pull)
    try:
        standing = Proposer(copier).standing(target, known)
    except NotOurs:
        return Withdrawn(f"The branch {known.branch} is none that OpsSight made, so it stays.")
    merged = pull is not None and pull.state == PullState.MERGED and pull.head_oid == target.proposed
    if standing.others and not merged:
        return _left(forge_end, known, standing, pull)
    return _ended(copier, forge_end, target, known, pull, why)


def _left(forge_end: ForgeEnd, known: Known, standing: Standing, pull: Pull | None) -> Withdrawn:
    is_open = pull is not None and pull.state == PullState.OPEN
    what = f"Pull request #{pull.number}" if pull and is_open else f"The branch {known.branch}"
    said = f"{what} has commits of {standing.people}, so it stays{' open' if is_open else ''}."
    notes = forge_end.stop_merging(pull.number) if pull and is_open else []
    return Withdrawn(" ".join([said, *notes]), pull=pull)


def _ended(
    copier: Copier, forge_end: ForgeEnd, target: Target, known: Known, pull: Pull | None, why: str
) -> Withdrawn:
    if pull is None and not target.proposed:
        return Withdrawn("There is no open pull request.")
    was_open = pull is not None and pull.state == PullState.OPEN
    now = Pulls(copier, forge_end, known).close(pull, f"OpsSight closed this: {why}")
    if target.proposed:
        if not Proposer(copier).delete(target.end, known.branch, target.proposed):
            raise Conflict(
                f"Somebody pushed to {known.branch} of {target.end.name} just now. It is looked at again."
            )
        copier.steps.checkpoint("left-branch-deleted")
    ended = "was merged" if now and now.state == PullState.MERGED else "is closed"
    said = [f"pull request #{now.number} {ended}"] if now else []
    said += [f"the branch {known.branch} is deleted"] if target.proposed else []
    words = " and ".join(said)
    return Withdrawn(f"{words[:1].upper()}{words[1:]}: {why}", was_open or bool(target.proposed), now)
