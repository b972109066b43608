"""A pull request whose rule brings nothing there any more: closed with its branch, if both are ours alone.

Found by looking, so an attempt after a kill does what is left to be done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from opssight.core.errors import Conflict, NotFound
from repos.providers.forge import Pull
from repos.providers.types import PullState
from syncs.copy.pulls.branches import PREFIX, Known, NotOurs, Proposer, Standing
from syncs.copy.pulls.pulls import ForgeEnd, Pulls
from syncs.copy.transfer.transfer import Copier, End, Target, open_target


@dataclass(frozen=True)
class Withdrawal:
    """What is to be withdrawn: the pull request from `known.branch`, `number` as far as it is known.

    `why` is written below its text. `merges`: its rule wanted it merged by itself. `begin` is called with
    it before the first change; `began`: an earlier attempt did that.
    """

    known: Known
    number: int | None
    why: str
    merges: bool = False
    began: bool = False
    begin: Callable[[Pull | None], None] = field(default=lambda pull: None)


@dataclass(frozen=True)
class Withdrawn:
    """What became of it. `changed`: something was closed or deleted now; `pull`: as it was or is then."""

    sentence: str
    changed: bool = False
    pull: Pull | None = None


def branches_like(end: End, name: str) -> list[str]:
    """Branches there that a rule made for the same target as `name`, under any name that it has had."""
    prefix, suffix = f"refs/heads/{PREFIX}", name[name.rindex("-") :]
    refs = [ref.decode("utf-8", "replace") for ref in end.store.look(end.remote).refs]
    found = [ref for ref in refs if ref.startswith(prefix) and ref.endswith(suffix)]
    return sorted(ref.removeprefix("refs/heads/") for ref in found)


def withdraw(copier: Copier, forge_end: ForgeEnd, end: End, asked: Withdrawal) -> Withdrawn:
    """Close the pull request to the branch of `end`, and delete its branch.

    One that was pointed elsewhere, or that has commits of others, stays; so does a branch that another
    pull request is open from. Raises what the forge and git raise, and Conflict for a push in between.
    """
    known = asked.known
    try:
        target = open_target(end, copier.steps, known.branch)
    except NotFound:
        if end.ref.encode() in end.store.look(end.remote).refs:
            raise
        return Withdrawn(
            f"The branch {known.branch} stays: its base {end.branch} is gone, so whose commits it has cannot "
            "be told."
        )
    pull = _pull(forge_end, end, asked)
    copier.steps.checkpoint("left-asked")
    if pull is not None and pull.state == PullState.OPEN and pull.base != end.branch:
        return Withdrawn(f"Pull request #{pull.number} was pointed at {pull.base}, so it stays.", pull=pull)
    try:
        standing = Proposer(copier).standing(target, known)
    except NotOurs:
        return Withdrawn(f"The branch {known.branch} is none that OpsSight made, so it stays.")
    merged = pull is not None and pull.state == PullState.MERGED and pull.head_oid == target.proposed
    if standing.others and not merged:
        return _left(forge_end, asked, standing, pull)
    return _ended(copier, forge_end, target, asked, pull)


def _pull(forge_end: ForgeEnd, end: End, asked: Withdrawal) -> Pull | None:
    """The open one between the two branches: a person may have closed ours and opened another. Else ours."""
    pull = forge_end.pull(asked.number) if asked.number else None
    if pull is not None and pull.state == PullState.OPEN:
        return pull
    return forge_end.find(asked.known.branch, end.branch) or pull


def _left(forge_end: ForgeEnd, asked: Withdrawal, standing: Standing, pull: Pull | None) -> Withdrawn:
    has = f"has commits of {standing.people}, so it stays"
    if pull is None or pull.state != PullState.OPEN:
        closed = f"Pull request #{pull.number} is {pull.state.value}. " if pull else ""
        return Withdrawn(f"{closed}The branch {asked.known.branch} {has}.", pull=pull)
    notes = forge_end.stop_merging(pull.number) if asked.merges else []
    return Withdrawn(" ".join([f"Pull request #{pull.number} {has} open.", *notes]), pull=pull)


def _ended(
    copier: Copier, forge_end: ForgeEnd, target: Target, asked: Withdrawal, pull: Pull | None
) -> Withdrawn:
    branch, why = asked.known.branch, asked.why
    if pull is None and not target.proposed:
        if asked.began:
            return Withdrawn(f"The branch {branch} is deleted: {why}", changed=True)
        return Withdrawn("There is no open pull request.")
    was_open = pull is not None and pull.state == PullState.OPEN
    other = _other(forge_end, branch, pull) if target.proposed else None
    deletes = bool(target.proposed) and other is None
    if was_open or deletes:
        _require_unmoved(target, branch)
        asked.begin(pull)
    now = Pulls(copier, forge_end, asked.known).close(pull, f"OpsSight closed this: {why}")
    said = [f"pull request #{now.number} {'was merged' if _is_merged(now) else 'is closed'}"] if now else []
    note = (
        f" Pull request #{other.number} is open from {branch} as well, so the branch stays." if other else ""
    )
    if deletes and Proposer(copier).delete(target.end, branch, target.proposed):
        copier.steps.checkpoint("left-branch-deleted")
        said.append(f"the branch {branch} is deleted")
    elif deletes and not was_open:
        raise _pushed(target, branch)
    elif deletes:
        note = (
            f" Its branch {branch} was changed at the same moment and stays: reopen the pull request there "
            "if it is still wanted."
        )
    words = " and ".join(said)
    sentence = f"{words[:1].upper()}{words[1:]}: {why}" if words else ""
    return Withdrawn(f"{sentence}{note}".strip(), was_open or deletes, now)


def _is_merged(pull: Pull) -> bool:
    return pull.state == PullState.MERGED


def _other(forge_end: ForgeEnd, branch: str, pull: Pull | None) -> Pull | None:
    """Another pull request that is open from the branch, to whatever base."""
    if forge_end.forge is None:
        return None
    ours = pull.number if pull else None
    opened = forge_end.forge.pulls(forge_end.external_id)
    return next((one for one in opened if one.head == branch and one.number != ours), None)


def _require_unmoved(target: Target, branch: str) -> None:
    """Raise Conflict where the branch is not any more what was judged."""
    refs = target.end.store.look(target.end.remote).refs
    if refs.get(f"refs/heads/{branch}".encode(), "") != target.proposed:
        raise _pushed(target, branch)


def _pushed(target: Target, branch: str) -> Conflict:
    return Conflict(f"Somebody pushed to {branch} of {target.end.name} just now. It is looked at again.")
