"""One run of a watch job: health, repositories, webhooks, missed deliveries, one after the other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from django.conf import settings

from opssight.core.errors import AuthFailure, Failure, NotFound, PermanentFailure, RateLimited
from opssight.core.words import count
from repos import access, connections, inventory, managed_webhooks, redelivery, webhook_status
from repos.limits import RESERVE
from repos.models import Connection, Repository
from repos.providers.registry import provider_named
from syncs import jobs
from syncs.engine.context import RunContext
from syncs.engine.kinds import Outcome
from syncs.engine.runner import TryAgain
from syncs.models import BAD_ITEMS, Item, ItemState, Job, RunState, Trigger
from syncs.triggers import PULL_REQUEST, PUSHED
from syncs.watch.models import WatchJob

LOOKED: Final = 500  # new repositories in one run

Work = Callable[[Connection, RunContext], str]


@dataclass(frozen=True)
class Step:
    """`applies` says whether the connection has this at all; `work` answers a sentence."""

    key: str
    label: str
    work: Work
    applies: Callable[[Connection], bool] = lambda connection: True


def run_watch(run: RunContext) -> Outcome:
    """Do every step. One that fails does not stop the others, unless nothing there can be asked."""
    watch = WatchJob.objects.select_related("connection").filter(job=run.run.job).first()
    if watch is None:
        return Outcome(RunState.CANCELLED, "The connection was deleted.")
    connection = watch.connection
    run.checkpoint("started")
    wanted = set(run.run.input.get("only", []))
    work = [
        (step, run.item(step.key, step.label))
        for step in STEPS
        if step.applies(connection) and (not wanted or step.key in wanted)
    ]
    failures = []
    for step, item in work:
        if item.state == ItemState.DONE:
            continue  # an earlier attempt of this run did it
        if failure := _do(run, connection, step, item):
            failures.append(failure)
            if isinstance(failure, AuthFailure):
                break  # the others would be refused as well
        run.checkpoint(f"{step.key}-done")
    return _finish(run, connection, failures)


def _do(run: RunContext, connection: Connection, step: Step, item: Item) -> Failure | None:
    run.start_item(item)
    run.log(step.label, "begins")
    try:
        sentence = step.work(connection, run)
    except RateLimited:
        raise  # the run waits until the provider may be asked again, and goes on here
    except Failure as failure:
        run.fail_item(item, failure)
        return failure
    with run.finish_item(item, ItemState.DONE, sentence, result={}):
        run.log(step.label, sentence)
    return None


def _finish(run: RunContext, connection: Connection, failures: list[Failure]) -> Outcome:
    items = list(run.run.items.order_by("id"))
    passing = [failure for failure in failures if failure.retryable]
    said = " ".join(item.sentence for item in items if item.sentence)
    if passing and run.run.attempt < settings.MAX_ATTEMPTS:
        raise TryAgain(passing[0], said)
    bad = [item for item in items if item.state in BAD_ITEMS]
    if not bad:
        return Outcome(RunState.SUCCEEDED, said)
    state = RunState.PARTIAL if any(item.state == ItemState.DONE for item in items) else RunState.FAILED
    reasons = "; ".join(f"{item.label}: {item.sentence.rstrip('.')}" for item in bad)
    return Outcome(state, f"{connection.name} was not checked as a whole. {reasons}.")


# --- the steps ----------------------------------------------------------------------------------------


def _health(connection: Connection, run: RunContext) -> str:
    try:
        identity = access.client_of(connection, reserve=RESERVE).identity()
    except Failure as failure:
        access.note_failure(connection, failure, whole=True)
        raise
    access.note_ok(connection)
    connections.note_identity(connection, identity)
    return f"{provider_named(connection.provider).label} answers to {identity.account}."


def _inventory(connection: Connection, run: RunContext) -> str:
    run.progress("Repositories")
    return inventory.refresh(connection, reserve=RESERVE).sentence


def _heads(connection: Connection, run: RunContext) -> str:
    """Look at repositories that were imported and that nobody has looked at yet."""
    unseen = connection.repositories.filter(state=Repository.State.ACTIVE, head_seen_at=None).order_by("id")
    looked = 0
    for repository in unseen[:LOOKED]:
        run.checkpoint("head")
        with suppress(NotFound, PermanentFailure):  # said at the repository
            access.look(repository)
        looked += 1
        run.progress("New repositories", looked)
    more = unseen.count()
    later = f" {count(more, 'more is', 'more are')} looked at with the next check." if more else ""
    if not looked:
        return ""
    return f"{count(looked, 'new repository', 'new repositories')} looked at.{later}"


def _hooks(connection: Connection, run: RunContext) -> str:
    before = _told(connection)
    try:
        return managed_webhooks.reconcile(connection, run).sentence
    finally:
        for job, told in _told(connection).items():
            if told != before.get(job, told):
                _look_or_listen(job, told)


def _missed(connection: Connection, run: RunContext) -> str:
    return redelivery.fetch(connection, run).sentence


def _told(connection: Connection) -> dict[Job, bool]:
    """Jobs that wait for events of repositories of the connection: whether webhooks tell of all of them."""
    waiting = Trigger.objects.filter(event__in=[PUSHED, PULL_REQUEST], repository__connection=connection)
    told: dict[Job, bool] = {}
    for trigger in waiting.select_related("job", "repository__connection"):
        told[trigger.job] = told.get(trigger.job, True) and webhook_status.is_told(trigger.repository)
    return told


def _look_or_listen(job: Job, told: bool) -> None:
    """Look where nobody tells us any more; what a person chose for a job is left."""
    chosen = (jobs.default_poll_seconds(), None) if told else (None, jobs.default_poll_seconds())
    if job.poll_seconds == chosen[0]:
        jobs.set_poll(job, chosen[1])


STEPS: Final = (
    Step("health", "Connection", _health),
    Step("inventory", "Repositories", _inventory),
    Step("hooks", "Webhooks", _hooks, webhook_status.can_have_hooks),
    Step("heads", "New repositories", _heads),
    Step("deliveries", "Missed deliveries", _missed, redelivery.are_kept),
)
