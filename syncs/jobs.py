"""Changing jobs and runs: what pages, API and commands call. Each change with its audit event."""

from __future__ import annotations

import uuid
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max, QuerySet
from django.db.models.functions import Now

from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.errors import Conflict, InvalidInput
from syncs.engine import claim
from syncs.engine.kinds import installed_kind, kind_named
from syncs.engine.request import RunRequest, notify, request_run
from syncs.engine.schedule import next_time
from syncs.models import BAD_ITEMS, Item, ItemState, Job, JobVersion, Run, RunState


def _target(job: Job) -> tuple[str, uuid.UUID, str]:
    return ("job", job.pk, job.name)


@transaction.atomic
def add_version(principal: Principal, job: Job, config: dict[str, Any], note: str = "") -> JobVersion:
    """Make `config` (already checked by the kind) the job's current version."""
    newest = job.versions.aggregate(n=Max("number"))["n"] or 0
    version = JobVersion.objects.create(
        job=job, number=newest + 1, config=config, note=note[:300], created_by=principal.user
    )
    before = job.version.config if job.version else None
    job.version = version
    job.save(update_fields=["version"])
    record(
        "job.version",
        team_id=job.team_id,
        target=_target(job),
        diff={"version": [newest or None, version.number], "config": [before, config]},
    )
    return version


@transaction.atomic
def set_enabled(job: Job, enabled: bool) -> None:
    """Switch a job on or off. Off: nothing new starts; a run that is going on is not touched."""
    if job.enabled == enabled:
        return
    job.enabled = enabled
    job.save(update_fields=["enabled"])
    record("job.enable" if enabled else "job.disable", team_id=job.team_id, target=_target(job))


@transaction.atomic
def set_schedule(job: Job, cron: str, tz: str = "UTC") -> None:
    """Set or (with an empty `cron`) remove the schedule. InvalidInput when it cannot be read."""
    next_at = next_time(cron, tz, claim.db_now()) if cron else None
    before = job.cron
    job.cron, job.tz, job.next_at, job.schedule_error = cron, tz, next_at, ""
    job.save(update_fields=["cron", "tz", "next_at", "schedule_error"])
    record("job.schedule", team_id=job.team_id, target=_target(job), diff={"cron": [before, cron]})


def set_poll(job: Job, seconds: int | None) -> None:
    """How often to look where no webhook reaches us; None: never. The first look is due at once."""
    Job.objects.filter(pk=job.pk).update(poll_seconds=seconds, next_poll_at=Now() if seconds else None)


@transaction.atomic
def delete_job(job: Job) -> None:
    """Delete a job and its versions; its runs stay in the history. Refused while one is running."""
    if job.runs.filter(state=RunState.RUNNING).exists():
        raise Conflict(f"{job.name} is running. Stop the run first, then delete the job.")
    record("job.delete", team_id=job.team_id, target=_target(job))
    kind = installed_kind(job.kind)
    last = kind.last_run(job) if kind else None
    job.runs.filter(state=RunState.QUEUED).exclude(pk=last.pk if last else None).update(
        state=RunState.CANCELLED, sentence="The job was deleted.", finished_at=Now(), coalesce_key=""
    )
    Job.objects.filter(pk=job.pk).update(version=None)
    job.delete()


@transaction.atomic
def start(
    job: Job,
    trigger: Run.Trigger,
    because: str,
    *,
    input: dict[str, Any] | None = None,
    idempotency_key: str = "",
) -> Run:
    """Ask for a run now. The same idempotency key in a team gives the same run again."""
    if idempotency_key:
        known: Run | None = Run.objects.filter(team_id=job.team_id, idempotency_key=idempotency_key).first()
        if known is not None:
            return known
    if job.version_id is None and not kind_named(job.kind).in_background:
        raise InvalidInput(f"{job.name} has no configuration yet. Save one first.")
    run = request_run(
        RunRequest(
            job=job,
            trigger=trigger,
            because=because,
            input=input or {},
            idempotency_key=idempotency_key,
            priority=10,  # somebody waits for it
        )
    )
    record("run.start", team_id=job.team_id, target=("run", run.pk, job.name), run_id=run.pk)
    return run


def is_retryable(run: Run) -> bool:
    """Whether a retry would do anything: it ended, not well, and its job is there or not needed."""
    kind = installed_kind(run.kind)
    outlives = kind is not None and kind.outlives_job(run)
    return (run.job_id is not None or outlives) and _left_something(run)


def _left_something(run: Run) -> bool:
    if run.state == RunState.PARTIAL:  # what was left out of an item that is done would be left out again
        return not run.items.exists() or _undone(run).exists()
    return run.state in {RunState.FAILED, RunState.CANCELLED, RunState.DEAD}


def _undone(run: Run) -> QuerySet[Item]:
    return run.items.filter(state__in=[*BAD_ITEMS, ItemState.PLANNED])


@transaction.atomic
def retry(run: Run, because: str, *, idempotency_key: str = "") -> Run:
    """A new run for what failed only; what succeeded is not done again."""
    if not is_retryable(run):
        raise Conflict(f"This run is {run.get_state_display()}: there is nothing to retry.")
    input = dict(run.input)
    if run.items.exists():
        input["only"] = list(_undone(run).values_list("key", flat=True))
    again = _again(run, because, input, idempotency_key)
    record("run.retry", team_id=run.team_id, target=("run", run.pk, run.title), run_id=again.pk)
    return again


def _again(run: Run, because: str, input: dict[str, Any], idempotency_key: str) -> Run:
    if run.job is None:
        return _again_alone(run, because, input, idempotency_key)
    return request_run(
        RunRequest(
            job=run.job,
            trigger=Run.Trigger.RETRY,
            because=because,
            input=input,
            parent=run,
            repository=run.repository,
            idempotency_key=idempotency_key,
            priority=10,
        )
    )


def _again_alone(run: Run, because: str, input: dict[str, Any], idempotency_key: str) -> Run:
    """The same for a run that outlived its job."""
    copied = ("team_id", "kind", "title", "lane", "lock_key", "connection_id", "repository_id")
    values = {name: getattr(run, name) for name in copied}
    values |= {"trigger": Run.Trigger.RETRY, "because": because[:300], "input": input}
    values |= {"parent": run, "idempotency_key": idempotency_key, "priority": 10}
    if not idempotency_key:
        again = Run.objects.create(**values)
    else:
        same = {"team_id": run.team_id, "idempotency_key": idempotency_key}
        again, _ = Run.objects.get_or_create(**same, defaults=values)
    notify()
    return again


@transaction.atomic
def cancel(run: Run, by: str) -> Run:
    """Stop a run: a queued one ends at once, a running one within seconds. What is done stays done."""
    queued = Run.objects.filter(pk=run.pk, state=RunState.QUEUED)
    ended = queued.update(
        state=RunState.CANCELLED,
        sentence=f"Cancelled by {by} before it started.",
        cancel_by=by[:254],
        finished_at=Now(),
        coalesce_key="",
    )
    asked = ended or Run.objects.filter(pk=run.pk, state=RunState.RUNNING).update(
        cancel_requested_at=Now(), cancel_by=by[:254]
    )
    if not asked:
        raise Conflict(f"This run is already {Run.objects.get(pk=run.pk).get_state_display()}.")
    record("run.cancel", team_id=run.team_id, target=("run", run.pk, run.title), run_id=run.pk)
    return Run.objects.get(pk=run.pk)


def default_poll_seconds() -> int:
    return int(settings.POLL_SECONDS)
