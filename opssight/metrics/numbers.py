"""Reading the numbers from the database: a constant number of queries, none over all of history.

Ids of runs, deliveries and items' runs begin with their time, so "the last day" is a range of the
primary key, whatever else the tables hold.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

from django.db.models import Count, F, Min, Q, QuerySet, Sum
from django.db.models.functions import Now

from opssight.audit.models import AuditPending
from opssight.core.clock import now
from opssight.core.ids import first_id
from opssight.health import BEAT_SECONDS
from opssight.notices import outbox
from opssight.notices.models import Outbox
from repos.models import Connection, Delivery, RateBudget, RateSpend, Repository
from syncs.engine import claim
from syncs.models import Item, Job, Run, RunCause, RunState, Worker

WINDOW = dt.timedelta(days=1)
MOST = 20_000  # rows that percentiles and file counts are made from, the newest ones

Rows = list[dict[str, Any]]


def since() -> dt.datetime:
    return now() - WINDOW


def percentile(ordered: Sequence[float], share: float) -> float:
    """The smallest of the sorted values that at least `share` (0 to 1) of them do not exceed."""
    return ordered[max(math.ceil(share * len(ordered)) - 1, 0)]


def times(took: Sequence[float]) -> dict[str, Any]:
    """Seconds as milliseconds; null where nothing was measured. `samples` says from how many."""
    ordered = sorted(second * 1_000 for second in took)
    names = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    if not ordered:
        return {"samples": 0, **dict.fromkeys(["avg_ms", "min_ms", "max_ms", *names])}
    return {
        "samples": len(ordered),
        "avg_ms": round(sum(ordered) / len(ordered), 1),
        "min_ms": round(ordered[0], 1),
        "max_ms": round(ordered[-1], 1),
        **{name: round(percentile(ordered, share), 1) for name, share in names.items()},
    }


# --- what is now --------------------------------------------------------------------------------------


def workers() -> dict[str, int]:
    alive = Worker.objects.filter(stopped_at=None, beat_at__gte=Now() - dt.timedelta(seconds=BEAT_SECONDS))
    return alive.aggregate(workers=Count("pk"), slots=Sum("slots", default=0))


def queue() -> Rows:
    """For each lane with something in it: due, later, and since when the oldest is due."""
    due = Q(run_after__lte=Now()) & ~claim.paused()
    rows = Run.objects.filter(state=RunState.QUEUED).order_by().values("lane")
    counts = {"due": Count("pk", filter=due), "later": Count("pk", filter=~due)}
    return _rows(rows.annotate(**counts, oldest=Min("run_after", filter=due)))


def running() -> Rows:
    """Runs that are being worked on, by lane. Apart from `queue`, so that each has its small index."""
    return _counted(Run.objects.filter(state=RunState.RUNNING), "lane")


def connections() -> Rows:
    return _counted(Connection.objects.all(), "provider", "state")


def repositories() -> Rows:
    return _counted(Repository.objects.all(), "state")


def jobs() -> Rows:
    return _counted(Job.objects.all(), "kind", "enabled")


def unsealed() -> int:
    return AuditPending.objects.count()


def notices() -> dict[str, int]:
    given_up = Outbox.objects.filter(gave_up_at__gte=since()).count()
    return {"waiting": outbox.waiting().count(), "given_up": given_up}


# --- the last day -------------------------------------------------------------------------------------


def runs() -> Rows:
    return _counted(_recent_runs(), "kind", "lane", "state")


def crashes() -> Rows:
    """How often a run lost its worker, by kind."""
    return _rows(_recent_runs().order_by().values("kind").annotate(n=Sum("crash_count")))


def run_times() -> Rows:
    """Kind and seconds of the latest finished runs: `took` from the start of the last attempt."""
    ended = _recent_runs().filter(state__in=RunState.terminal(), started_at__isnull=False)
    rows = _rows(
        ended.filter(finished_at__isnull=False)
        .order_by("-id")
        .values("kind", "started_at", "finished_at")[:MOST]
    )
    return [{"kind": row["kind"], "took": _span(row["started_at"], row["finished_at"])} for row in rows]


def deliveries() -> Rows:
    """Counted by verdict, event and source repository; `again` is how often the same came again."""
    rows = _recent_deliveries().order_by().values("verdict", "event", source=F("repository_id"))
    return _rows(rows.annotate(n=Count("pk"), again=Sum("duplicates")))


def answers() -> Rows:
    """Seconds from the arrival of a delivery to the end of the run that answered it."""
    rows = RunCause.objects.filter(
        delivery_id__gte=first_id(since()), run__state__in=RunState.terminal(), run__finished_at__isnull=False
    )
    found = rows.order_by("-delivery_id").values(
        source=F("delivery__repository_id"),
        received=F("delivery__received_at"),
        ended=F("run__finished_at"),
    )
    return [{"source": row["source"], "took": _span(row["received"], row["ended"])} for row in found[:MOST]]


def github_api() -> dict[str, Any] | None:
    """Requests of the last day to GitHub, and what it says is left; None without a connection to it.

    The least that is left of a connection's core limit counts. Whether a request failed is not counted.
    """
    if not Connection.objects.filter(provider="github").exists():
        return None
    hours = RateSpend.objects.filter(connection__provider="github", hour__gt=since() - dt.timedelta(hours=1))
    left = RateBudget.objects.filter(connection__provider="github", resource="core", reset_at__gt=Now())
    least = left.order_by("remaining").first()
    return {
        "calls": hours.aggregate(n=Sum("requests", default=0))["n"],
        "errors": None,
        "error_rate": None,
        "rate_limit": least and {"remaining": least.remaining, "reset_at": least.reset_at},
        "not_collected": ["errors", "error_rate", *([] if least else ["rate_limit"])],
    }


def copied() -> Rows:
    """What copy runs did to each target: the item's columns and the repository of its run."""
    rows = Item.objects.filter(run_id__gte=first_id(since()), run__kind="copy").order_by("-run_id", "-id")
    columns = ("state", "planned", "result", "started_at", "finished_at")
    return _rows(rows.values(*columns, job_id=F("run__job_id"), source=F("run__repository_id"))[:MOST])


def _recent_runs() -> QuerySet[Run]:
    return Run.objects.filter(pk__gte=first_id(since()))


def _recent_deliveries() -> QuerySet[Delivery]:
    return Delivery.objects.filter(pk__gte=first_id(since()))


def _counted(rows: QuerySet[Any], *columns: str) -> Rows:
    return _rows(rows.order_by().values(*columns).annotate(n=Count("pk")))


def _rows(rows: QuerySet[Any, Any]) -> Rows:
    return list(rows)


def _span(start: dt.datetime, end: dt.datetime) -> float:
    return max((end - start).total_seconds(), 0.0)
