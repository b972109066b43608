"""What the runs table says of a day and of a month: lanes, the newest lines, trends with their source."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.db.models import Count, Min, QuerySet
from django.db.models.functions import TruncDate
from django.urls import reverse
from django.utils import timezone

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal, visible_to
from opssight.core.clock import now
from opssight.core.errors import Failure
from opssight.core.ids import first_id
from opssight.core.words import count, seconds
from opssight.web.formats import format_clock, format_count
from opssight.web.parts import Bar, Column, Lane, Tone, Trend
from opssight.web.states import look_of
from repos import selectors as repos
from repos.models import Delivery
from syncs.engine.kinds import all_kinds
from syncs.engine.schedule import next_time
from syncs.models import Job, Run, RunCause, RunState

DRAWN: Final = 3_000  # runs of the window that are drawn, the newest ones
LINES: Final = 7
DAYS: Final = 30  # of a trend
PLANNED: Final = 24  # times of one schedule that are drawn
SAMPLE: Final = 2_000  # runs that a percentile is made from, the newest ones
_HOUR_SHARE: Final = 240  # bars that are closer than the window divided by this are one


@dataclass(frozen=True)
class Window:
    """From a midnight to a midnight, in local time; `days` is 1 or 7."""

    start: dt.datetime
    end: dt.datetime
    now: dt.datetime
    days: int

    @classmethod
    def of(cls, days: int) -> Window:
        here = timezone.localtime(now())
        midnight = here.replace(hour=0, minute=0, second=0, microsecond=0)
        return cls(midnight - dt.timedelta(days=days - 1), midnight + dt.timedelta(days=1), here, days)


@dataclass(frozen=True)
class Activity:
    """The runs of a window: `lanes` of each kind, `lines` the newest, `words` counts them all."""

    window: Window
    lanes: Sequence[Lane]
    lines: Sequence[Run]
    words: str
    total: int


def activity(principal: Principal, team: Team, days: int) -> Activity:
    """Four queries."""
    window = Window.of(days)
    rows = _runs(principal, team, window.start)
    counts = dict(rows.order_by().values_list("state").annotate(n=Count("pk")))
    total = sum(counts.values())
    said = [
        f"{format_count(counts[state])} {look_of(state).word}" for state in RunState.values if state in counts
    ]
    words = f"{count(total, 'run')}: {', '.join(said)}" if total else "no run yet"
    return Activity(window, _lanes(principal, team, rows, window), list(rows[:LINES]), words, total)


def _runs(principal: Principal, team: Team, since: dt.datetime) -> QuerySet[Run]:
    rows: QuerySet[Run] = visible_to(Run.objects.all(), principal)
    return rows.filter(team=team, pk__gte=first_id(since)).order_by("-pk")


# --- lanes --------------------------------------------------------------------------------------------


@dataclass
class _Stretch:
    """Runs of one state that are too close to be told apart in the drawing."""

    start: dt.datetime
    end: dt.datetime
    state: str
    runs: list[Any] = field(default_factory=list)

    def bar(self) -> Bar:
        first = self.runs[0]
        if len(self.runs) == 1:
            word = look_of(self.state).word
            url = reverse("run", args=[first["pk"]])
            return Bar(
                self.start, self.end, self.state, f"{first['title']}: {word}, {format_clock(self.start)}", url
            )
        title = f"{count(len(self.runs), 'run')} {look_of(self.state).word}, {format_clock(self.start)}"
        return Bar(self.start, self.end, self.state, f"{title} to {format_clock(self.end)}", reverse("runs"))


def _lanes(principal: Principal, team: Team, rows: QuerySet[Run], window: Window) -> list[Lane]:
    """One lane for each kind that has a run or a job with a schedule here."""
    drawn = rows.exclude(started_at=None).values("pk", "kind", "title", "state", "started_at", "finished_at")
    by_kind: dict[str, list[Any]] = {}
    for run in reversed(drawn[:DRAWN]):
        by_kind.setdefault(run["kind"], []).append(run)
    planned = _planned(principal, team, window)
    labels = {kind.name: kind.label for kind in all_kinds()}
    kinds = [*labels, *(kind for kind in by_kind if kind not in labels)]
    return [
        Lane(labels.get(kind, kind), [*_bars(by_kind.get(kind, []), window), *planned.get(kind, [])])
        for kind in kinds
        if kind in by_kind or kind in planned
    ]


def _bars(runs: Iterable[Any], window: Window) -> list[Bar]:
    close = (window.end - window.start) / _HOUR_SHARE
    stretches: list[_Stretch] = []
    for run in sorted(runs, key=lambda row: row["started_at"]):
        start, end = run["started_at"], run["finished_at"] or window.now
        last = stretches[-1] if stretches else None
        if last is None or last.state != run["state"] or start - last.end > close:
            last = _Stretch(start, end, run["state"])
            stretches.append(last)
        last.end = max(last.end, end)
        last.runs.append(run)
    return [stretch.bar() for stretch in stretches]


def _planned(principal: Principal, team: Team, window: Window) -> dict[str, list[Bar]]:
    """What the schedules will start until the end of the window, by kind."""
    rows = visible_to(Job.objects.all(), principal).filter(team=team, enabled=True, next_at__lt=window.end)
    found: dict[str, list[Bar]] = {}
    for job in rows.order_by("next_at")[:50]:
        at, left = job.next_at, PLANNED
        while at is not None and at < window.end and left:
            end = at + dt.timedelta(minutes=6)
            found.setdefault(job.kind, []).append(
                Bar(at, end, "planned", f"{job.name}: planned {format_clock(at)}", planned=True)
            )
            at, left = _next(job, at), left - 1
    return found


def _next(job: Job, after: dt.datetime) -> dt.datetime | None:
    try:
        return next_time(job.cron, job.tz, after)
    except Failure:  # said in the inbox once the supervisor finds out
        return None


# --- trends -------------------------------------------------------------------------------------------


def trends(principal: Principal, team: Team) -> list[Trend]:
    """What can be said of the last month. Four queries."""
    end = timezone.localtime(now()).date()
    days = [end - dt.timedelta(days=back) for back in reversed(range(DAYS))]
    since = timezone.make_aware(dt.datetime.combine(days[0], dt.time()))
    found = [_runs_a_day(principal, team, days, since), _deliveries_a_day(principal, team, days, since)]
    return [trend for trend in (*found, _push_to_done(principal, team, days, since)) if trend is not None]


_TONES: Final[dict[str, Tone]] = {
    RunState.SUCCEEDED: "ok",
    RunState.PARTIAL: "warn",
    RunState.NEEDS_APPROVAL: "hold",
    RunState.FAILED: "bad",
    RunState.DEAD: "bad",
}
_STACK: Final[tuple[Tone, ...]] = ("ok", "run", "none", "hold", "warn", "bad")


def _runs_a_day(
    principal: Principal, team: Team, days: Sequence[dt.date], since: dt.datetime
) -> Trend | None:
    rows = _runs(principal, team, since).order_by()
    by_day = rows.annotate(day=TruncDate("created_at")).values_list("day", "state").annotate(n=Count("pk"))
    amounts: dict[dt.date, dict[Tone, int]] = {}
    for day, state, number in by_day:
        tones = amounts.setdefault(day, {})
        tone = _TONES.get(state, "none")
        tones[tone] = tones.get(tone, 0) + number
    return _per_day("Runs a day", "Runs table", amounts, days, "run", ("bad", "not well"))


def _deliveries_a_day(
    principal: Principal, team: Team, days: Sequence[dt.date], since: dt.datetime
) -> Trend | None:
    rows = repos.deliveries(principal).filter(team=team, pk__gte=first_id(since)).order_by()
    by_day = rows.annotate(day=TruncDate("received_at")).values_list("day", "verdict").annotate(n=Count("pk"))
    tones: dict[str, Tone] = {
        Delivery.Verdict.ACCEPTED: "ok",
        Delivery.Verdict.UNAUTHENTIC: "bad",
        Delivery.Verdict.UNREADABLE: "bad",
        Delivery.Verdict.ERROR: "bad",
    }
    amounts: dict[dt.date, dict[Tone, int]] = {}
    for day, verdict, number in by_day:
        of_day = amounts.setdefault(day, {})
        tone = tones.get(verdict, "none")
        of_day[tone] = of_day.get(tone, 0) + number
    return _per_day(
        "Deliveries a day", "Deliveries", amounts, days, "delivery", ("bad", "refused"), "deliveries"
    )


def _per_day(
    title: str,
    source: str,
    amounts: dict[dt.date, dict[Tone, int]],
    days: Sequence[dt.date],
    noun: str,
    trouble: tuple[Tone, str],
    plural: str = "",
) -> Trend | None:
    """Columns for each day since the first one that has any; before, nothing was collected."""
    if not amounts:
        return None
    first = min(amounts)
    columns = [
        _column(amounts.get(day, {}), day, noun, plural, trouble) if day >= first else Column(())
        for day in days
    ]
    today = sum(amounts.get(days[-1], {}).values())
    window = f"{DAYS} days" if first == days[0] else f"since {first.day} {first:%b}"
    return Trend(
        title,
        f"{format_count(today)} today",
        f"{source} · {window} · as of {format_clock(now())}",
        columns=columns,
    )


def _column(
    amounts: dict[Tone, int], day: dt.date, noun: str, plural: str, trouble: tuple[Tone, str]
) -> Column:
    tone, word = trouble
    bad = f", {amounts[tone]} {word}" if amounts.get(tone) else ""
    title = f"{day.day} {day:%b}: {count(sum(amounts.values()), noun, plural)}{bad}"
    # a day with none is 0; only a column without any amount means that nothing was collected
    return Column([(key, amounts[key]) for key in _STACK if amounts.get(key)] or [("none", 0)], title)


def _push_to_done(
    principal: Principal, team: Team, days: Sequence[dt.date], since: dt.datetime
) -> Trend | None:
    """From a delivery's arrival to the end of the run that answered it: the time 95 of 100 stay below."""
    seen = visible_to(Run.objects.all(), principal).filter(team=team, state=RunState.SUCCEEDED).values("pk")
    causes = RunCause.objects.filter(
        run__in=seen, run_id__gte=first_id(since), run__trigger=Run.Trigger.WEBHOOK
    )
    rows = causes.values("run_id", "run__finished_at").annotate(heard=Min("delivery__received_at"))
    took: dict[dt.date, list[float]] = {}
    for row in rows.order_by("-run_id")[:SAMPLE]:
        if row["run__finished_at"] is not None:
            day = timezone.localtime(row["heard"]).date()
            took.setdefault(day, []).append((row["run__finished_at"] - row["heard"]).total_seconds())
    if not took:
        return None
    everything = [value for values in took.values() for value in values]
    columns = [_took_column(took.get(day), day, min(took)) for day in days]
    return Trend(
        "Push to done, p95",
        seconds(_p95(everything)),
        f"{count(len(everything), 'run')} that a webhook started and that succeeded · {DAYS} days",
        columns=columns,
    )


def _took_column(values: Sequence[float] | None, day: dt.date, first: dt.date) -> Column:
    if day < first:
        return Column(())
    if not values:
        return Column([("none", 0)], f"{day.day} {day:%b}: no run")
    return Column([("run", _p95(values))], f"{day.day} {day:%b}: {seconds(_p95(values))}")


def _p95(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[max(math.ceil(len(ordered) * 0.95) - 1, 0)]
