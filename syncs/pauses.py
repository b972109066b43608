"""Runs wait while the credential of their connection is refused, and go on when it is accepted again."""

from __future__ import annotations

from functools import reduce
from operator import or_

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from opssight.audit.record import record
from opssight.core.errors import ErrorClass
from repos.events import Event, HealthChanged, subscribe
from repos.models import Connection
from syncs.engine import claim
from syncs.engine.kinds import all_kinds
from syncs.engine.request import RunRequest, notify, request_run
from syncs.models import BAD_ITEMS, Item, Run, RunState

BLOCKED = "blocked_by_org"  # the code of items that an organization's rules refused


def connect() -> None:
    subscribe(answer, HealthChanged)


def answer(event: Event) -> None:
    if not isinstance(event, HealthChanged):
        return
    connection = Connection.objects.get(pk=event.connection_id)
    if event.dead:
        pause(connection)
    else:
        resume(connection)
        retry_what_it_refused(connection)


def pause(connection: Connection) -> None:
    """Say at the queued runs of the connection what they wait for; the claim passes them over anyway."""
    rows = Run.objects.filter(claim.paused(), connection=connection, state=RunState.QUEUED)
    rows.update(wait_reason=claim.waits_for(connection))


def resume(connection: Connection) -> None:
    """Let the runs that waited for the connection start at once."""
    waiting = Run.objects.filter(connection=connection, state=RunState.QUEUED)
    if waiting.filter(wait_reason=claim.waits_for(connection)).update(wait_reason="", run_after=Now()):
        notify()


def retry_what_it_refused(connection: Connection) -> None:
    """A new run for what failed at targets of the connection, of each job that did nothing since.

    Once: a run that was made for this and failed again waits for a person.
    """
    because = f"{connection.name} works again"[:300]
    for run in _refused(connection).exclude(trigger=Run.Trigger.RETRY, because=because):
        assert run.job is not None  # noqa: S101 - by the query
        failed = run.items.filter(state__in=BAD_ITEMS).values_list("key", flat=True)
        again = request_run(
            RunRequest(
                job=run.job,
                trigger=Run.Trigger.RETRY,
                because=because,
                input={**run.input, "only": list(failed)},
                parent=run,
                repository=run.repository,
            )
        )
        record("run.retry", team_id=run.team_id, target=("run", run.pk, run.title), run_id=again.pk)


def _refused(connection: Connection) -> QuerySet[Run]:
    """The newest run of each job that is on, where the connection refused an item.

    A run that did something beside the job's own work does not stand for that work.
    """
    refused = Q(error_class=ErrorClass.AUTH) | Q(code=BLOCKED)
    items = Item.objects.filter(
        refused, run=OuterRef("pk"), state__in=BAD_ITEMS, repository__connection=connection
    )
    newer = Run.objects.filter(job=OuterRef("job"), pk__gt=OuterRef("pk")).exclude(state=RunState.CANCELLED)
    ended = Run.objects.filter(job__enabled=True, state__in=[RunState.PARTIAL, RunState.FAILED])
    ended = ended.filter(Exists(items), ~Exists(newer.exclude(_beside())))
    return ended.exclude(_beside(), Exists(newer)).select_related("job", "repository")


def _beside() -> Q:
    """Runs that do something else than their job's own work."""
    kinds = [kind for kind in all_kinds() if kind.beside]
    return reduce(or_, (Q(kind=kind.name, input__has_any_keys=kind.beside) for kind in kinds), Q(pk=None))
