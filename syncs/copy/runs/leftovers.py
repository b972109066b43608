"""The run that closes pull requests which lost their rule. They stand in its input: `saved.leaving`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from opssight.accounts.models import Role, User
from opssight.core.errors import Failure
from opssight.core.ids import as_uuid
from opssight.core.words import count, join_words
from repos import access
from repos.git.store import Stores
from repos.models import Repository
from syncs.copy.models import CopyTarget
from syncs.copy.pulls.branches import Known, branch_name
from syncs.copy.pulls.pulls import ForgeEnd
from syncs.copy.pulls.withdrawing import Withdrawn, withdraw
from syncs.copy.runs.auditing import record_closed
from syncs.copy.runs.results import pull_document, raise_if_passing
from syncs.copy.runs.targets import health
from syncs.copy.saved import origin
from syncs.copy.saved.leaving import LEFT, Left
from syncs.copy.saved.rights import require_right
from syncs.copy.transfer.transfer import Author, Copier, End
from syncs.engine.context import RunContext
from syncs.engine.kinds import Outcome
from syncs.models import BAD_ITEMS, Item, ItemState, RunState


def close_left(run: RunContext, stores: Stores, author: Author) -> Outcome:
    """Close each pull request that is ours alone, and its branch. Safe to start again at any point."""
    copier = Copier(stores, run, author)
    failures: list[Failure] = []
    wanted = run.run.input.get("only")
    for number, values in enumerate(run.run.input[LEFT]):
        if wanted is None or str(number) in wanted:
            failures += _close(run, copier, Left(**values), str(number))
    items = list(run.run.items.order_by("id"))
    sentence = _sentence(items)
    raise_if_passing(run.run, failures, sentence)
    bad = [item for item in items if item.state in BAD_ITEMS]
    ended = RunState.FAILED if len(bad) == len(items) else RunState.PARTIAL
    return Outcome(ended if bad else RunState.SUCCEEDED, sentence)


def _close(run: RunContext, copier: Copier, left: Left, key: str) -> Sequence[Failure]:
    """What stands in the way of one of them."""
    rows = Repository.objects.select_related("connection").filter(pk=as_uuid(left.repository))
    repository = rows.first()
    item = run.item(key, repository.full_name if repository else left.repository, repository)
    if item.state in (ItemState.DONE, ItemState.SKIPPED):
        return []
    run.start_item(item)
    try:
        found = _withdrawn(run, copier, left, repository)
    except Failure as failure:
        run.fail_item(item, failure)
        return [failure]
    pull = pull_document(found.pull) if found.pull else None
    result = {**origin.nothing_written({}), origin.ONLY_MERGED: True, "pull_request": pull}
    with run.finish_item(
        item, ItemState.DONE if found.changed else ItemState.SKIPPED, found.sentence, result=result
    ):
        if found.changed:
            record_closed(run.run, item, found.sentence, found.pull.url if found.pull else "")
    run.checkpoint("left-stored")
    return []


def _withdrawn(run: RunContext, copier: Copier, left: Left, repository: Repository | None) -> Withdrawn:
    if repository is None:
        return Withdrawn("The repository is not in the inventory any more, so its pull request stays.")
    head = left.head or branch_name(run.run.title, left.job, left.repository, left.base)
    if _is_back(head, left):
        return Withdrawn("The rule brings changes there again, so its pull request stays.")
    author = User.objects.filter(pk=left.author).first() if left.author else None
    require_right(run.run.team_id, author, repository, Role.OPERATOR)
    with health(repository):
        end = End(
            repository.full_name,
            left.base,
            access.remote_of(repository),
            copier.stores.store(repository.pk),
        )
        forge_end = ForgeEnd.of(access.client_of(repository.connection), repository.external_id)
        known = Known(head, left.pushed, recorded=bool(left.head))
        return access.with_fresh_token(
            repository,
            end.remote,
            lambda remote: withdraw(
                copier, forge_end, replace(end, remote=remote), known, left.number, left.why
            ),
        )


def _is_back(head: str, left: Left) -> bool:
    """Whether the target was taken into the rule again, with the same branch."""
    place = {"repository": as_uuid(left.repository), "branch": left.base, "strategy": "pull_request"}
    rows = CopyTarget.objects.filter(rule__job=as_uuid(left.job), **place)
    target = rows.select_related("rule__job", "state").first()
    if target is None:
        return False
    known = target.state.pull_branch if hasattr(target, "state") else ""
    return head in (known, branch_name(target.rule.job.name, left.job, left.repository, left.base))


def _sentence(items: Sequence[Item]) -> str:
    closed = sum(1 for item in items if item.state == ItemState.DONE)
    others = [item for item in items if item.state != ItemState.DONE and item.sentence]
    text = (
        f"Closed {count(closed, 'pull request')} that no rule needs" if closed else "Closed no pull request"
    )
    reasons = [f"{item.label}: {item.sentence.rstrip('.')}" for item in others]
    more = f" and {len(reasons) - 3} more" if len(reasons) > 3 else ""
    return f"{text}; {join_words(reasons[:3])}{more}." if reasons else f"{text}."
