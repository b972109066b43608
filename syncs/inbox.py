"""What runs put on every page and into the inbox: the worker line, what failed, what cannot start."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django.db.models import Count, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.urls import reverse
from django.utils.html import format_html

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal, visible_to
from opssight.core.words import count, join_words
from opssight.web import registry
from opssight.web.formats import format_ago
from opssight.web.parts import Action, Need, WorkerLine
from opssight.web.registry import NavEntry
from syncs import selectors
from syncs.engine import claim
from syncs.engine.kinds import background_kinds
from syncs.models import BAD_ITEMS, Item, Job, Run, RunState

LISTED = 20  # jobs that need somebody; more are found in the list of runs
NAMED = 3  # failed items of a run that are named
PATIENCE = dt.timedelta(seconds=60)  # a due run that waits longer has no worker

_WORST_FIRST = (RunState.DEAD, RunState.FAILED, RunState.NEEDS_APPROVAL, RunState.PARTIAL)


def register() -> None:
    registry.register_nav(NavEntry("", 20, "Runs", "runs", "play", ("runs", "jobs")))
    registry.register_worker_line(worker_line)
    registry.needs.append(needs)


def worker_line() -> WorkerLine:
    return WorkerLine(alive=selectors.workers().count(), queued=selectors.queue_counts()["queued"])


def needs(principal: Principal, team: Team) -> Sequence[Need]:
    """Jobs that did not do their work, costliest first. Five queries, however many runs there are."""
    may = principal.may(Role.OPERATOR, team.pk)
    runs = sorted(bad_runs(principal, team)[:LISTED], key=lambda run: _WORST_FIRST.index(RunState(run.state)))
    return [*_stuck(principal, team), *(_of_run(run, may) for run in runs), *_unreadable(principal, team)]


def bad_runs(principal: Principal, team: Team) -> QuerySet[Run]:
    """The newest run that ended, of each job that is on, where it did not end well; newest first.

    Each with `job.last_ok` (time or None), `open_run` (id of one that is queued or running) and
    how many items `failed`, the first of them as `named`.
    """
    of_job = Run.objects.filter(job_id=OuterRef("job_id"))
    # by job, not by run: there are few jobs, and the newest run of each is found in an index
    ended = Run.objects.filter(job_id=OuterRef("pk"), state__in=RunState.terminal())
    newest = ended.exclude(state=RunState.CANCELLED).order_by("-id").values("pk")[:1]
    jobs = Job.objects.filter(team=team, enabled=True).exclude(kind__in=background_kinds())
    jobs = jobs.annotate(newest=Subquery(newest))
    well = of_job.filter(state=RunState.SUCCEEDED).order_by("-id")
    rows: QuerySet[Run] = visible_to(Run.objects.all(), principal)
    return (
        rows.filter(team=team, pk__in=jobs.values("newest"), state__in=selectors.STATE_GROUPS["bad"])
        .annotate(
            last_ok=Subquery(well.values("finished_at")[:1]),
            open_run=Subquery(of_job.filter(state__in=selectors.STATE_GROUPS["open"]).values("pk")[:1]),
            failed=Count("items", filter=Q(items__state__in=BAD_ITEMS)),
        )
        .select_related("job")
        .prefetch_related(
            Prefetch(
                "items", Item.objects.filter(state__in=BAD_ITEMS).order_by("id")[:NAMED], to_attr="named"
            )
        )
        .order_by("-id")
    )


def _of_run(run: Any, may: bool) -> Need:
    return Need(
        state=run.state,
        sentence=format_html("<b>{}</b>: {}", run.title, run.sentence or run.get_state_display()),
        harm=_harm(run)[0],
        detail=_harm(run)[1],
        action=_action(run, may),
        at=run.finished_at,
    )


def _harm(run: Any) -> tuple[str, str]:
    if run.state == RunState.NEEDS_APPROVAL:
        return "Waiting for you:", "nothing is changed until you decide."
    labels = [item.label for item in run.named]
    if labels:
        more = [f"{run.failed - NAMED} more"] if run.failed > NAMED else []
        return "Out of date:", f"{join_words([*labels, *more])}."
    if run.last_ok is None:
        return "Not done:", "no run of it has succeeded yet."
    return "Not done:", f"the last run that succeeded ended {format_ago(run.last_ok)}."


def _action(run: Any, may: bool) -> Action:
    if run.open_run is not None:
        return Action("See the new run", reverse("run", args=[run.open_run]), icon="play")
    if not may or run.state == RunState.NEEDS_APPROVAL:
        return Action("Look at it", reverse("run", args=[run.pk]))
    label = f"Retry {run.failed}" if run.failed else "Retry"
    return Action(label, reverse("run_retry", args=[run.pk]), icon="retry", method="post")


def _stuck(principal: Principal, team: Team) -> list[Need]:
    """Runs of the team that are due and that nobody takes."""
    rows = visible_to(Run.objects.all(), principal).filter(team=team, state=RunState.QUEUED)
    due = rows.filter(run_after__lt=Now() - PATIENCE).exclude(claim.paused())
    waiting = due.count()
    if not waiting or selectors.workers().exists():
        return []
    return [
        Need(
            "stuck",
            f"{count(waiting, 'run')} cannot start: no worker is running.",
            "Standing still:",
            "nothing is done until you start one with opssight worker.",
            Action("See what waits", f"{reverse('runs')}?state=queued"),
            at=due.earliest("run_after").run_after,
        )
    ]


def _unreadable(principal: Principal, team: Team) -> list[Need]:
    """Jobs whose schedule was switched off because it cannot be read."""
    rows = visible_to(Job.objects.all(), principal).filter(team=team, enabled=True).exclude(schedule_error="")
    return [
        Need(
            "warning",
            format_html("<b>{}</b>: {}", job.name, job.schedule_error),
            "Not on time:",
            "its schedule starts nothing until it is mended.",
            Action("Mend the schedule", reverse("job", args=[job.pk])),
        )
        for job in rows.order_by("name")[:LISTED]
    ]
