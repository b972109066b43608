"""Asking for a run: a row in the caller's transaction. Nothing here rings a bell."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import DateTimeField, ExpressionWrapper, F
from django.db.models.functions import Least, Now

from repos.models import DEAD_STATES, Connection, Repository
from syncs.engine import claim
from syncs.engine.kinds import JobKind, kind_named
from syncs.models import Job, Run, RunCause, RunState

QUIET = dt.timedelta(seconds=2)  # a burst of events is gathered until it is quiet this long …
QUIET_CAP = dt.timedelta(seconds=30)  # … but not longer than this
GATHERING = "gathering events"
NOTIFY_CHANNEL = "opssight_runs"


@dataclass(frozen=True)
class RunRequest:
    """What is asked for.

    `coalesce`: share the run that is already queued for the same key; it gets this `input` as well.
    `gather`: wait a moment before it starts, because more events of the same are on their way.
    """

    job: Job
    trigger: Run.Trigger
    because: str = ""
    input: dict[str, Any] = field(default_factory=dict)
    coalesce: str = ""
    gather: bool = False
    delivery_id: uuid.UUID | None = None
    repository: Repository | None = None
    parent: Run | None = None
    scheduled_for: dt.datetime | None = None
    idempotency_key: str = ""
    priority: int = 0


@transaction.atomic(savepoint=False)
def request_run(request: RunRequest) -> Run:
    """Create the run, or join the queued one with the same coalesce key.

    A running run is never touched: it may already have looked. Safe against any number of callers,
    inside the transaction of the event that causes it or on its own.
    """
    key = f"{request.job.pk}/{request.coalesce}" if request.coalesce else ""
    for _ in range(3):
        run = _join(key, request) if key else None
        if run is None and (run := _create(key, request)) is not None:
            notify()
        if run is not None:
            if request.delivery_id is not None:
                cause = RunCause(run=run, delivery_id=request.delivery_id)
                RunCause.objects.bulk_create([cause], ignore_conflicts=True)
            return run
    raise RuntimeError("a queued run appeared and vanished three times; try again")


def _join(key: str, request: RunRequest) -> Run | None:
    """The queued run of this key, its start moved while events keep coming in.

    Its row stays locked until the caller commits, so it cannot be claimed before the cause that
    follows is stored with it. The row is written at most twice a second: a burst of writes to one
    row would make each next one slower.
    """
    queued = Run.objects.select_for_update(of=("self",)).filter(coalesce_key=key, state=RunState.QUEUED)
    run: Run | None = queued.first()
    if run is not None and run.wait_reason == GATHERING:
        soon = ExpressionWrapper(Now() + QUIET - QUIET / 4, output_field=DateTimeField())
        later = Least(
            ExpressionWrapper(Now() + QUIET, output_field=DateTimeField()),
            ExpressionWrapper(F("created_at") + QUIET_CAP, output_field=DateTimeField()),
        )
        Run.objects.filter(pk=run.pk, run_after__lt=soon).update(run_after=later)
    if run is not None and run.input != {**run.input, **request.input}:
        run.input |= request.input
        run.save(update_fields=["input"])
    return run


def _create(key: str, request: RunRequest) -> Run | None:
    job, kind = request.job, kind_named(request.job.kind)
    run = Run(
        team_id=job.team_id,
        job=job,
        version_id=job.version_id,
        kind=job.kind,
        title=job.name,
        lane=kind.lane,
        trigger=request.trigger,
        because=request.because[:300],
        input=request.input,
        priority=request.priority,
        lock_key=f"job:{job.pk}",
        coalesce_key=key,
        repository=request.repository,
        connection_id=request.repository.connection_id if request.repository else kind.connection_of(job),
        parent=request.parent,
        scheduled_for=request.scheduled_for,
        idempotency_key=request.idempotency_key,
    )
    if key and (request.gather or _busy(job.pk)):
        run.run_after = ExpressionWrapper(Now() + QUIET, output_field=DateTimeField())
        run.wait_reason = GATHERING
    run.wait_reason = _pause_of(run, kind) or run.wait_reason
    try:
        with transaction.atomic():
            run.save(force_insert=True)
    except IntegrityError:
        return _of_same_intent(request)
    return run


def _pause_of(run: Run, kind: JobKind) -> str:
    """Why it will not start, where its connection has no credential that is accepted."""
    if run.connection_id is None or kind.in_background:
        return ""
    connection = Connection.objects.filter(pk=run.connection_id, state__in=DEAD_STATES).first()
    return claim.waits_for(connection) if connection is not None else ""


def _of_same_intent(request: RunRequest) -> Run | None:
    """The run that a request with the same idempotency key made at the same moment."""
    if not request.idempotency_key:
        return None
    return Run.objects.filter(team_id=request.job.team_id, idempotency_key=request.idempotency_key).first()


def _busy(job_id: uuid.UUID) -> bool:
    """Whether an event of this job was answered just now: then the next ones are gathered."""
    since = ExpressionWrapper(Now() - QUIET_CAP, output_field=DateTimeField())
    return Run.objects.filter(job_id=job_id, started_at__gte=since).exclude(coalesce_key="").exists()


def notify() -> None:
    """Wake the supervisors on PostgreSQL (delivered at commit); elsewhere they look each second."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {NOTIFY_CHANNEL}")
