"""How a target of a run ended: what is stored of it, and the words for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from django.conf import settings

from opssight.core.errors import ErrorClass, Failure
from opssight.core.words import count
from repos.providers.forge import Pull
from syncs.copy.models import CopyTarget
from syncs.copy.plan.planned import Plan
from syncs.copy.pulls.branches import Known
from syncs.copy.pulls.pulls import Proposal
from syncs.copy.runs.telling import beside
from syncs.engine.runner import TryAgain
from syncs.models import ItemState, Run

_LISTED: Final = 50  # files that are named in a result
_NO_PULL: Final[dict[str, Any]] = {"pull_number": None, "pull_url": ""}


@dataclass(frozen=True)
class Done:
    """How a target ended, to be stored at once: its item's state and result, and fields of `CopyState`.

    `written` files and `deleted` ones are in `commit`. `pending`: they are in a pull request that is not
    merged yet. Without `values` the target stays where it was.
    """

    plan: Plan
    state: ItemState
    sentence: str
    commit: str = ""
    written: int = 0
    deleted: int = 0
    pending: bool = False
    values: dict[str, Any] = field(default_factory=dict)
    result: dict[str, Any] = field(default_factory=dict)


def proposed(proposal: Proposal, target: CopyTarget, known: Known, *, head: str, base: str | None) -> Done:
    """How a target ended that gets pull requests. `head` and `base`: as in `TargetWork`."""
    offered = proposal.offered
    done = _nothing_left(proposal, target, head) if offered.plan.empty else _open(proposal, known, head, base)
    pull = pull_document(proposal.pull) if proposal.pull else None
    result: dict[str, Any] = {"branch": known.branch, "pull_request": pull}
    result |= {"merges": True} if proposal.merges else {}
    result |= {"kept": [name(path) for path in offered.kept[:_LISTED]]} if offered.kept else {}
    return replace(
        done,
        state=ItemState.DONE if proposal.changed else ItemState.SKIPPED,
        sentence="".join([done.sentence, *(f" {note}" for note in proposal.notes)]),
        commit=offered.commit,
        values={"pull_branch": known.branch, **done.values},
        result=result,
    )


def _nothing_left(proposal: Proposal, target: CopyTarget, head: str) -> Done:
    """The target's branch has all of it."""
    plan, alone, pull = proposal.offered.plan, proposal.offered.alone, proposal.pull
    values = {"source_oid": head, "proposed_oid": "", **(_NO_PULL if alone else {})}
    sentence = equal(plan)
    if pull and alone:
        sentence = f"Pull request #{pull.number} is closed: nothing of it is missing in {target.branch}."
    return Done(plan, ItemState.SKIPPED, sentence, values=values)


def _open(proposal: Proposal, known: Known, head: str, base: str | None) -> Done:
    """It waits in a pull request, or on its branch where the server has none."""
    offered, pull = proposal.offered, proposal.pull
    plan = offered.plan
    # nothing is known to be merged when everything was compared: so it is next time
    values = {"proposed_oid": head, "source_oid": base or "", **_NO_PULL}
    values |= {"pushed_oid": offered.commit} if offered.commit else {}
    values |= {"pull_number": pull.number, "pull_url": pull.url[:600]} if pull else {}
    where = f"pull request #{pull.number}" if pull else f"branch {known.branch}"
    sentence = f"{where[:1].upper()}{where[1:]} has it already."
    if proposal.changed:
        sentence = f"{changed(len(plan.writes), len(plan.deletes))} in {where}."
    return Done(
        plan,
        ItemState.DONE,
        f"{sentence}{left_out(plan)}",
        written=len(plan.writes),
        deleted=len(plan.deletes),
        pending=True,
        values=values,
    )


def name(path: bytes) -> str:
    return path.decode("utf-8", "replace")


def changed(files: int, deletes: int, *, written: str = "written", deleted: str = "deleted") -> str:
    """`3 files written, 1 deleted`"""
    if not files and deletes:
        return f"{count(deletes, 'file')} {deleted}"
    return f"{count(files, 'file')} {written}" + (f", {deletes} {deleted}" if deletes else "")


def left_out(plan: Plan) -> str:
    refused = f" {count(len(plan.refused), 'file')} left out." if plan.refused else ""
    return f"{refused}{beside(plan)}"


def equal(plan: Plan) -> str:
    if plan.matched:
        return f"Already the same: {count(plan.matched, 'file')} compared.{left_out(plan)}"
    return f"No changed file matches the rule.{left_out(plan)}"


def pull_document(pull: Pull) -> dict[str, Any]:
    """What is kept of a pull request with an item."""
    return {"number": pull.number, "url": pull.url, "state": pull.state.value}


def raise_if_passing(run: Run, failures: Sequence[Failure], sentence: str) -> None:
    """Raise `TryAgain` where trying again may help. `failures`: of the run's items, `sentence` sums it up."""
    passing = [failure for failure in failures if failure.retryable]
    # a limit that is over for one is over for others, and waiting for it is no attempt
    limited = [failure for failure in passing if failure.error_class is ErrorClass.RATE_LIMITED]
    if limited or (passing and run.attempt < settings.MAX_ATTEMPTS):
        raise TryAgain((limited or passing)[0], sentence)
