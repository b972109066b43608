"""The run that closes pull requests which lost their rule. They stand in its input: `saved.leaving`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from opssight.accounts.models import Role, User
from opssight.core.errors import BlockedByOrganization, ErrorClass, Failure
from opssight.core.ids import as_uuid
from opssight.core.words import count
from repos import access
from repos.git.store import Stores
from repos.models import DEAD_STATES, Connection, Repository
from repos.providers.types import PullState
from syncs.copy.models import CopyTarget
from syncs.copy.pulls.branches import Known, branch_name
from syncs.copy.pulls.pulls import ForgeEnd
from syncs.copy.pulls.withdrawing import Withdrawal, Withdrawn, branches_like, withdraw
from syncs.copy.runs.auditing import record_closed
from syncs.copy.runs.results import pull_document, raise_if_passing
from syncs.copy.runs.summary import reason, with_reasons
from syncs.copy.runs.targets import health
from syncs.copy.saved import origin
from syncs.copy.saved.leaving import LEFT, Left, is_shadow
from syncs.copy.saved.rights import require_right
from syncs.copy.transfer.transfer import Author, Copier, End
from syncs.engine import claim
from syncs.engine.context import RunContext
from syncs.engine.kinds import Outcome
from syncs.engine.retry import NotYet
from syncs.engine.runner import TryAgain
from syncs.models import BAD_ITEMS, Item, ItemState, RunState

BEGAN: Final = "began"  # the key in an item's result: its pull request as it was when we began to close it
_LOOK_AGAIN: Final = dt.timedelta(hours=1)


@dataclass(frozen=True)
class _Work:
    """One of them, with its item; `repository` is None where it was taken out of the inventory."""

    left: Left
    repository: Repository | None
    item: Item

    @property
    def began(self) -> bool:
        """Whether an earlier attempt began to close it."""
        return BEGAN in self.item.result

    @property
    def number(self) -> int | None:
        """The pull request that an earlier attempt began to close."""
        pull = self.item.result.get(BEGAN)
        return pull["number"] if pull else None


def close_left(run: RunContext, stores: Stores, author: Author) -> Outcome:
    """Close each pull request that is ours alone, and its branch. Safe to start again at any point."""
    if is_shadow(run.run.job_id):
        raise NotYet(
            "Its rule only looks for now. Pull requests that it left are closed when it writes again.",
            retry_at=claim.db_now() + _LOOK_AGAIN,
        )
    copier = Copier(stores, run, author)
    wanted = run.run.input.get("only")
    work = [
        _planned(run, Left(**values), str(number))
        for number, values in enumerate(run.run.input[LEFT])
        if wanted is None or str(number) in wanted
    ]
    failed = [(one, failure) for one in work if (failure := _close(run, copier, one)) is not None]
    items = list(run.run.items.order_by("id"))
    sentence = _sentence(items)
    _wait_for_credential(run, failed)
    raise_if_passing(run.run, [failure for _, failure in failed], sentence)
    bad = [item for item in items if item.state in BAD_ITEMS]
    ended = RunState.FAILED if len(bad) == len(items) else RunState.PARTIAL
    return Outcome(ended if bad else RunState.SUCCEEDED, sentence)


def _planned(run: RunContext, left: Left, key: str) -> _Work:
    rows = Repository.objects.select_related("connection").filter(pk=as_uuid(left.repository))
    repository = rows.first()
    label = repository.full_name if repository else left.repository
    return _Work(left, repository, run.item(key, label, repository))


def _close(run: RunContext, copier: Copier, work: _Work) -> Failure | None:
    """What stands in the way of one of them."""
    item = work.item
    if item.state in (ItemState.DONE, ItemState.SKIPPED):
        return None
    run.start_item(item)
    try:
        found = _withdrawn(run, copier, work)
    except Failure as failure:
        run.fail_item(item, failure)
        return failure
    pull = pull_document(found.pull) if found.pull else None
    # a worker that was killed when it had closed it could not store that
    changed = found.changed or bool(work.began and found.pull and found.pull.state == PullState.CLOSED)
    result = {**origin.nothing_written({}), origin.ONLY_CLOSED: True, "pull_request": pull}
    state = ItemState.DONE if changed else ItemState.SKIPPED
    with run.finish_item(item, state, found.sentence, result=result):
        if changed:
            record_closed(run.run, item, found.sentence, found.pull.url if found.pull else "")
    run.checkpoint("left-stored")
    return None


def _wait_for_credential(run: RunContext, failed: Sequence[tuple[_Work, Failure]]) -> None:
    """Raise `TryAgain` where a connection has no credential any more: the run waits for that one."""
    for work, failure in failed:
        refused = failure.error_class is ErrorClass.AUTH or isinstance(failure, BlockedByOrganization)
        if refused and work.repository is not None:
            dead = Connection.objects.filter(pk=work.repository.connection_id, state__in=DEAD_STATES).first()
            if dead is not None:
                claim.write(run.run, connection=dead)
                run.run.connection = dead
                raise TryAgain(failure, failure.sentence)


def _withdrawn(run: RunContext, copier: Copier, work: _Work) -> Withdrawn:
    left, repository = work.left, work.repository
    if repository is None:
        return Withdrawn("The repository is not in the inventory any more, so its pull request stays.")
    author = User.objects.filter(pk=left.author).first() if left.author else None
    require_right(run.run.team_id, author, repository, Role.OPERATOR)
    with health(repository):
        store = copier.stores.store(repository.pk)
        end = End(repository.full_name, left.base, access.remote_of(repository), store)
        forge_end = ForgeEnd.of(access.client_of(repository.connection), repository.external_id)
        return access.with_fresh_token(
            repository,
            end.remote,
            lambda remote: _withdrawn_at(run, copier, work, forge_end, replace(end, remote=remote)),
        )


def _withdrawn_at(run: RunContext, copier: Copier, work: _Work, forge_end: ForgeEnd, end: End) -> Withdrawn:
    left = work.left
    in_use = _branches_in_use(left)
    head = next((name for name in _heads(run, left, end) if name not in in_use), None)
    if head is None:
        return Withdrawn("The rule brings changes there again, so its pull request stays.")
    asked = Withdrawal(
        Known(head, left.pushed, recorded=bool(left.head)),
        left.number or work.number,
        left.why,
        merges=left.merges,
        began=work.began,
        begin=lambda pull: run.note_item(work.item, {BEGAN: pull_document(pull) if pull else None}),
    )
    return withdraw(copier, forge_end, end, asked)


def _heads(run: RunContext, left: Left, end: End) -> list[str]:
    """The branch; where none was stored each that may be it, since the rule may have had another name."""
    if left.head:
        return [left.head]
    name = branch_name(run.run.title, left.job, left.repository, left.base)
    return branches_like(end, name) or [name]


def _branches_in_use(left: Left) -> set[str]:
    """Those that the rule uses where the target was taken into it again."""
    place = {"repository": as_uuid(left.repository), "branch": left.base, "strategy": "pull_request"}
    rows = CopyTarget.objects.filter(rule__job=as_uuid(left.job), **place)
    target = rows.select_related("rule__job", "state").first()
    if target is None:
        return set()
    known = target.state.pull_branch if hasattr(target, "state") else ""
    return {known, branch_name(target.rule.job.name, left.job, left.repository, left.base)}


def _sentence(items: Sequence[Item]) -> str:
    closed = sum(1 for item in items if item.state == ItemState.DONE)
    others = [item for item in items if item.state != ItemState.DONE and item.sentence]
    text = (
        f"Closed {count(closed, 'pull request')} that no rule needs" if closed else "Closed no pull request"
    )
    return with_reasons(text, [reason(item) for item in others])
