"""Reading jobs and runs for pages, API and commands: a constant number of queries each."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Now

from opssight.accounts.scope import Principal, visible_to
from syncs.models import BAD_ITEMS, Item, ItemState, Job, Run, RunState, Worker

STATE_GROUPS: dict[str, list[str]] = {
    "open": [RunState.QUEUED, RunState.RUNNING],
    "bad": [RunState.PARTIAL, RunState.FAILED, RunState.DEAD, RunState.NEEDS_APPROVAL],
}
ALIVE = dt.timedelta(seconds=15)  # a worker that beat this lately


def jobs(principal: Principal, *, kind: str = "") -> QuerySet[Job]:
    rows: QuerySet[Job] = visible_to(Job.objects.all(), principal)
    rows = rows.select_related("version", "team").order_by("kind", "name")
    return rows.filter(kind=kind) if kind else rows


def runs(
    principal: Principal, *, state: str = "", kind: str = "", job: str = "", repository: str = ""
) -> QuerySet[Run]:
    """Newest first. `state` may be `open` (queued or running) or `bad` (needs somebody)."""
    rows: QuerySet[Run] = visible_to(Run.objects.all(), principal)
    rows = rows.select_related("job", "repository", "connection", "worker", "team").order_by("-id")
    if state:
        rows = rows.filter(state__in=STATE_GROUPS.get(state, [state]))
    if kind:
        rows = rows.filter(kind=kind)
    if job:
        rows = rows.filter(job_id=job)
    if repository:
        rows = rows.filter(Q(repository_id=repository) | Q(items__repository_id=repository)).distinct()
    return rows


def items(run: Run) -> QuerySet[Item]:
    """Failures first, then what waits, then what is done."""
    rank = Case(
        When(state__in=BAD_ITEMS, then=Value(0)),
        When(state=ItemState.PLANNED, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return run.items.select_related("repository").annotate(rank=rank).order_by("rank", "id")


def workers() -> QuerySet[Worker]:
    """Workers that are alive now, on any machine."""
    return Worker.objects.filter(stopped_at__isnull=True, beat_at__gte=Now() - ALIVE)


def queue_counts() -> dict[str, int]:
    """How much waits and runs, over all teams: for the status line, health and metrics."""
    counts: dict[str, Any] = Run.objects.aggregate(
        queued=Count("pk", filter=Q(state=RunState.QUEUED)),
        running=Count("pk", filter=Q(state=RunState.RUNNING)),
    )
    return {"queued": counts["queued"], "running": counts["running"]}
