"""What copies did: each write to a target, by rule, source, outcome and time, and sums of it."""

from __future__ import annotations

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any, Final, Literal

from django.db.models import (
    Avg,
    Count,
    DurationField,
    ExpressionWrapper,
    F,
    IntegerField,
    Max,
    Min,
    Q,
    QuerySet,
    Sum,
)
from django.db.models.fields.json import KeyTextTransform
from django.db.models.functions import Cast, Coalesce, TruncDate

from opssight.accounts.scope import Principal, visible_to
from opssight.core.clock import midnight, now
from opssight.core.ids import as_uuid
from syncs.copy.saved.origin import CROSS, FROM, FROM_NAME, ONLY_CLOSED, ONLY_MERGED, RECORDED
from syncs.models import BAD_ITEMS, Item, ItemState, Run

Outcome = Literal["", "written", "unchanged", "failed", "shadow", "merged", "closed"]
OUTCOMES: Final = ("written", "unchanged", "failed", "shadow", "merged", "closed")
EVENTS: Final = ("copy", "deprecation", "error")
MOST_DAYS: Final = 366

_SHADOW: Final = Q(result__has_key="shadow")
_MERGED: Final = Q(result__has_key=ONLY_MERGED)
_CLOSED: Final = Q(result__has_key=ONLY_CLOSED)
_WRITTEN: Final = Q(state=ItemState.DONE) & ~_MERGED & ~_CLOSED
_FAILED: Final = Q(state__in=BAD_ITEMS)
_BY_OUTCOME: Final = {
    "written": _WRITTEN,
    "unchanged": Q(state=ItemState.SKIPPED) & ~_SHADOW & ~_MERGED & ~_CLOSED,
    "failed": _FAILED,
    "shadow": _SHADOW,
    "merged": _MERGED & ~_FAILED,
    "closed": _CLOSED & ~_FAILED,
}
_BY_EVENT: Final = {
    "copy": _WRITTEN,
    "deprecation": _WRITTEN & Q(**{f"result__{RECORDED}__gt": 0}),
    "error": _FAILED,
}


@dataclass(frozen=True)
class Filters:
    """What to show; what is empty or None does not narrow. `rule` and `source` are an id or a name."""

    team: uuid.UUID | None = None  # one of the principal's
    outcome: Outcome = ""
    event_type: str = ""
    rule: str = ""
    source: str = ""
    target: uuid.UUID | None = None
    run: uuid.UUID | None = None
    commit: str = ""  # the beginning of the commit at the target or of the one at the source
    pull_request: int | None = None  # whose merge was copied
    cross_organization: bool | None = None
    since: dt.datetime | None = None
    until: dt.datetime | None = None


def entries(principal: Principal, filters: Filters | None = None) -> QuerySet[Item]:
    """Targets of copy runs that the principal may see and that are done with, newest first."""
    runs = visible_to(Run.objects.filter(kind="copy"), principal)
    rows = Item.objects.filter(run__in=runs).exclude(state=ItemState.PLANNED)
    rows = rows.select_related("run__job", "run__repository", "repository").order_by("-id")
    return rows.filter(_narrowed(filters)) if filters is not None else rows


def outcome_of(item: Item) -> Outcome:
    """What became of the target: one of OUTCOMES, as `Filters.outcome` finds it."""
    if item.state in BAD_ITEMS:
        return "failed"
    if ONLY_MERGED in item.result:
        return "merged"
    if ONLY_CLOSED in item.result:
        return "closed"
    if "shadow" in item.result:
        return "shadow"
    return "written" if item.state == ItemState.DONE else "unchanged"


def source_name(item: Item) -> str:
    """The full name that the source had; "" where an earlier version did not keep it and it is gone."""
    source = item.run.repository
    return str(item.result.get(FROM_NAME) or (source.full_name if source else ""))


def _narrowed(filters: Filters) -> Q:
    found = Q()
    if filters.outcome:
        found &= _BY_OUTCOME[filters.outcome]
    if filters.event_type:
        found &= _BY_EVENT[filters.event_type]
    if filters.rule:
        found &= Q(run__job__name=filters.rule) | Q(run__title=filters.rule) | _of_job(filters.rule)
    if filters.source:
        found &= Q(**{f"result__{FROM_NAME}": filters.source}) | Q(**{f"result__{FROM}": filters.source})
    if filters.commit:
        found &= Q(result__commit__startswith=filters.commit) | Q(result__source__startswith=filters.commit)
    if filters.cross_organization is not None:
        found &= Q(**{f"result__{CROSS}": filters.cross_organization})
    exact = {
        "run__team_id": filters.team,
        "repository_id": filters.target,
        "run_id": filters.run,
        "run__input__pull_request": filters.pull_request,
        "finished_at__gte": filters.since,
        "finished_at__lt": filters.until,
    }
    return found & Q(**{name: value for name, value in exact.items() if value is not None})


def _of_job(text: str) -> Q:
    job = as_uuid(text)
    return Q(run__job=job) if job else Q(pk__in=[])


@dataclass(frozen=True)
class RuleStats:
    """`total_copies` are writes that were done or failed; a target that needed nothing is none."""

    rule: uuid.UUID | None  # None: the rule was deleted
    rule_name: str
    total_copies: int
    success_count: int
    failure_count: int
    unchanged_count: int
    files: int
    avg_duration_ms: float | None  # of copies; None where there was none
    first_at: dt.datetime | None
    last_at: dt.datetime | None


def stats(principal: Principal, filters: Filters) -> list[RuleStats]:
    """Sums by rule, the busiest first. One query."""
    copies = _WRITTEN | _FAILED
    took = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
    timed = copies & Q(started_at__isnull=False, finished_at__isnull=False)
    rows = (
        entries(principal, filters)
        .order_by()
        .values(job=F("run__job_id"), rule_name=Coalesce("run__job__name", "run__title"))
        .annotate(
            total=Count("pk", filter=copies),
            written=Count("pk", filter=_WRITTEN),
            failed=Count("pk", filter=_FAILED),
            unchanged=Count("pk", filter=_BY_OUTCOME["unchanged"]),
            files=Sum(_files(), filter=_WRITTEN),
            took=Avg(took, filter=timed),
            first_at=Min("finished_at"),
            last_at=Max("finished_at"),
        )
    )
    return [_rule_stats(dict(row)) for row in rows.order_by("-total", "rule_name", "job")]


def _rule_stats(row: dict[str, Any]) -> RuleStats:
    took: dt.timedelta | None = row["took"]
    return RuleStats(
        rule=row["job"],
        rule_name=row["rule_name"],
        total_copies=row["total"],
        success_count=row["written"],
        failure_count=row["failed"],
        unchanged_count=row["unchanged"],
        files=row["files"] or 0,
        avg_duration_ms=None if took is None else round(took.total_seconds() * 1_000, 1),
        first_at=row["first_at"],
        last_at=row["last_at"],
    )


@dataclass(frozen=True)
class Day:
    """One day, in UTC."""

    date: dt.date
    total_copies: int = 0
    success_count: int = 0
    failure_count: int = 0
    files: int = 0


def daily(principal: Principal, filters: Filters, days: int, last: dt.date | None = None) -> list[Day]:
    """`days` days up to `last` (today), oldest first; a day without copies is there as well. One query."""
    days = min(max(days, 1), MOST_DAYS)
    first = (last or now().date()) - dt.timedelta(days=days - 1)
    begins = midnight(first)
    rows = (
        entries(principal, filters)
        .filter(_WRITTEN | _FAILED, finished_at__gte=begins)
        .order_by()
        .values(date=TruncDate("finished_at", tzinfo=dt.UTC))
        .annotate(
            total=Count("pk"),
            written=Count("pk", filter=_WRITTEN),
            failed=Count("pk", filter=_FAILED),
            files=Sum(_files(), filter=_WRITTEN),
        )
    )
    found = {
        row["date"]: Day(row["date"], row["total"], row["written"], row["failed"], row["files"] or 0)
        for row in rows
    }
    dates = [first + dt.timedelta(days=number) for number in range(days)]
    return [found.get(date) or Day(date) for date in dates]


def _files() -> Cast:
    return Cast(KeyTextTransform("files", "result"), IntegerField())
