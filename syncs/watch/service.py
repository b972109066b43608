"""The jobs that watch connections: made by themselves, and asked to run when there is reason to."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Final

from django.db import IntegrityError, transaction
from django.db.models import F, Max, Min, Q
from django.db.models.functions import Now
from django.db.models.signals import post_delete
from django.dispatch import receiver

from opssight.accounts.models import Role
from opssight.accounts.scope import Principal
from opssight.audit.record import record
from repos.events import Event, Imported, InstallationChanged, Transferred
from repos.limits import waits_until
from repos.models import Connection
from syncs import selectors
from syncs.engine import claim
from syncs.engine.request import RunRequest, request_run
from syncs.engine.schedule import next_time
from syncs.models import Job, Run, RunState, Worker
from syncs.watch.models import WatchJob

logger = logging.getLogger(__name__)

EVERY_SECONDS: Final = 60.0
AWAY: Final = dt.timedelta(minutes=5)  # without any worker: then deliveries may have been missed
_NIGHT: Final = range(1, 5)  # hours, UTC, over which connections are spread
_BATCH: Final = 200


def look_around() -> None:
    """What the supervisor does each minute: a job for each connection, and catching up after a pause."""
    ensure_jobs()
    catch_up()


def ensure_jobs() -> int:
    """Make the jobs that are missing, and let those there are follow their connections. How many changed."""
    missing = Connection.objects.filter(watch__isnull=True)[:_BATCH]
    moved = WatchJob.objects.exclude(Q(job__team=F("connection__team")) & Q(job__name=F("connection__name")))
    moved = moved.select_related("connection")[:_BATCH]
    made = [job_of(connection) for connection in missing]
    for watch in moved:
        _follow(watch)
    return len(made) + len(moved)


def job_of(connection: Connection) -> Job:
    """The job that watches a connection, made now when there is none."""
    watch = WatchJob.objects.select_related("job").filter(connection=connection).first()
    if watch is not None:
        return watch.job
    cron = cron_of(connection)
    try:
        with transaction.atomic():
            job = Job.objects.create(
                team_id=connection.team_id,
                kind="watch",
                name=_free_name(connection),
                cron=cron,
                next_at=next_time(cron, "UTC", claim.db_now()),
            )
            WatchJob.objects.create(job=job, connection=connection)
            return job
    except IntegrityError:  # another process made it at the same moment
        return WatchJob.objects.select_related("job").get(connection=connection).job


def cron_of(connection: Connection) -> str:
    """Each night, at a minute that follows from the id: not all connections at once."""
    minute = int(connection.pk.hex[-6:], 16) % (len(_NIGHT) * 60)
    return f"{minute % 60} {_NIGHT[minute // 60]} * * *"


def check(principal: Principal, connection: Connection, trigger: Run.Trigger, because: str) -> Run:
    """Ask for a run now, or join the one that waits already."""
    principal.require(Role.OPERATOR, connection.team_id)
    with transaction.atomic():
        job = job_of(connection)
        run = request_run(RunRequest(job, trigger, because, coalesce="check", priority=10))
        if waits_until(connection) is None:  # somebody waits: not for more events, nor for another attempt
            Run.objects.filter(pk=run.pk, state=RunState.QUEUED).update(run_after=Now(), wait_reason="")
        record(
            "connection.check",
            team_id=connection.team_id,
            target=("connection", connection.pk, connection.name),
            run_id=run.pk,
        )
    return run


def answer(event: Event) -> None:
    """Register webhooks and read heads within seconds of an import, look when an installation of our App
    changed, and go with a connection to another team.
    """
    if isinstance(event, Imported):
        connection = Connection.objects.filter(pk=event.connection_id).first()
        if connection is not None:
            _ask(connection, event, "repositories that were imported")
    elif isinstance(event, InstallationChanged):
        for connection in Connection.objects.filter(pk__in=event.connection_ids):
            _ask(connection, event, "a change of the GitHub App's installation")
    elif isinstance(event, Transferred):
        for watch in WatchJob.objects.filter(connection=event.connection_id).select_related("connection"):
            _follow(watch)


def _ask(connection: Connection, event: Event, because: str) -> None:
    job = job_of(connection)
    if job.enabled:
        trigger = Run.Trigger.WEBHOOK if event.delivery_id else Run.Trigger.MANUAL
        request = RunRequest(job, trigger, because, coalesce="check", delivery_id=event.delivery_id)
        request_run(request)


def catch_up() -> list[Run]:
    """After a time without any worker: look at the connections whose webhooks may have been missed."""
    alive = selectors.workers()
    began = alive.aggregate(at=Min("started_at"))["at"]
    if began is None or began < claim.db_now() - AWAY:
        return []
    beaten = Worker.objects.exclude(pk__in=alive.values("pk")).aggregate(at=Max("beat_at"))["at"]
    if beaten is None or began - beaten < AWAY:
        return []
    rows = WatchJob.objects.filter(job__enabled=True, connection__webhooks__remote_state="ok").distinct()
    later = rows.exclude(job__runs__created_at__gte=began).select_related("job")
    because = f"no worker ran from {beaten:%d %b %H:%M} to {began:%d %b %H:%M} UTC"
    wanted = [RunRequest(w.job, Run.Trigger.SCHEDULE, because, coalesce="check") for w in later]
    return [request_run(request) for request in wanted]


def _follow(watch: WatchJob) -> None:
    connection = watch.connection
    Job.objects.filter(pk=watch.job_id).update(team_id=connection.team_id, name=_free_name(connection, watch))


def _free_name(connection: Connection, watch: WatchJob | None = None) -> str:
    """The connection's name; a former connection of this name may not have been followed yet."""
    rows = Job.objects.filter(team_id=connection.team_id, kind="watch", name=connection.name)
    taken = rows.exclude(pk=watch.job_id if watch else None).exists()
    return f"{connection.name} {connection.pk.hex[-6:]}" if taken else connection.name


@receiver(post_delete, sender=WatchJob, dispatch_uid="watch_job_goes")
def go_with_connection(instance: WatchJob, **_: object) -> None:
    """Runs stay in the history; what waits does not start, and what runs is stopped."""
    rows = Run.objects.filter(job_id=instance.job_id)
    rows.filter(state=RunState.QUEUED).update(
        state=RunState.CANCELLED,
        sentence="The connection was deleted.",
        finished_at=claim.db_now(),
        coalesce_key="",
    )
    rows.filter(state=RunState.RUNNING).update(cancel_requested_at=claim.db_now(), cancel_by="OpsSight")
    Job.objects.filter(pk=instance.job_id).delete()
