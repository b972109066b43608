"""The limits of a connection: kept as the provider tells them, with a share for people and webhooks."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Max

from opssight.core.clock import now
from opssight.core.errors import RateLimited
from opssight.web.parts import Meter
from repos import spending
from repos.models import Connection, RateBudget
from repos.providers.wire import Budget
from repos.spending import Spent

DEFAULT = "core"  # what a dialect calls the limit that all paths count against
_LABELS = {DEFAULT: "REST API", "graphql": "GraphQL", "search": "Search"}
RESERVE = 0.1  # of each limit, not used by runs
_TELL_SECONDS = 5.0  # how often a budget that shrinks is written down


class DatabaseLimiter:
    """`reserve`: the share of a limit that is left to others; 0 for what a person waits for."""

    def __init__(self, connection: Connection, reserve: float = 0.0) -> None:
        self._connection = connection
        self._reserve = reserve
        self._budgets: dict[str, Budget] = {}
        self._written: dict[str, float] = {}
        self._paused: dict[str, dt.datetime] | None = None

    def ask(self, resource: str) -> None:
        """Raises RateLimited while the provider wants us to wait, or only the reserve is left."""
        until = self._waits(resource)
        if until is not None and until > now():
            raise RateLimited(
                f"{self._connection.name} takes no more requests from us until {until:%H:%M} UTC.",
                retry_at=until,
            )

    def told(self, budget: Budget) -> None:
        """Remember it; written at once when little is left, else now and then."""
        self._budgets[budget.resource] = budget
        last = self._written.get(budget.resource)
        little = budget.remaining <= 2 * RESERVE * budget.limit
        if last is None or little or time.monotonic() - last > _TELL_SECONDS:
            self._written[budget.resource] = time.monotonic()
            self._store(budget)

    def pause(self, resource: str, until: dt.datetime) -> None:
        """Nobody of this connection asks before `until`."""
        self._pauses()[resource] = until
        RateBudget.objects.update_or_create(
            connection=self._connection, resource=resource, defaults={"paused_until": until}
        )

    def spent(self, resource: str, *, unchanged: bool) -> None:
        spending.count(self._connection.pk, resource, unchanged=unchanged)

    def _waits(self, resource: str) -> dt.datetime | None:
        if resource in self._pauses():
            return self._pauses()[resource]
        budget = self._budgets.get(resource)
        if budget is not None and budget.remaining <= self._reserve * budget.limit:
            return budget.reset_at if self._reserve or not budget.remaining else None
        return None

    def _pauses(self) -> dict[str, dt.datetime]:
        """Read once: what others learnt before this began."""
        if self._paused is None:
            rows = list(self._connection.budgets.all())
            self._paused = {r.resource: r.paused_until for r in rows if r.paused_until}
            for row in rows:
                if row.reset_at is not None and row.reset_at > now():
                    known = Budget(row.resource, row.limit, row.remaining, row.reset_at)
                    self._budgets.setdefault(row.resource, known)
        return self._paused

    def _store(self, budget: Budget) -> None:
        RateBudget.objects.update_or_create(
            connection=self._connection,
            resource=budget.resource[:60],
            defaults={
                "limit": budget.limit,
                "remaining": budget.remaining,
                "reset_at": budget.reset_at,
                "told_at": now(),
            },
        )


def waits_until(connection: Connection) -> dt.datetime | None:
    """Until when the provider wants this connection to be quiet; None when it may ask."""
    rows = connection.budgets.filter(paused_until__gt=now())
    latest: dt.datetime | None = rows.aggregate(latest=Max("paused_until"))["latest"]
    return latest


def label_of(resource: str) -> str:
    """What people call the limit that a provider names so."""
    return _LABELS.get(resource, resource)


@dataclass(frozen=True)
class Limit:
    """One limit of a connection as it is known now, and who spent requests on it within 24 hours.

    None is not known: never told, or the time it was told for is over. `reserved` of `limit` are not
    used by runs.
    """

    resource: str
    limit: int | None = None
    remaining: int | None = None
    reserved: int | None = None
    reset_at: dt.datetime | None = None
    paused_until: dt.datetime | None = None
    told_at: dt.datetime | None = None
    spent: Sequence[Spent] = ()

    @property
    def label(self) -> str:
        """What people call it; "" where the server told of no limit and there is nothing to tell apart."""
        if self.limit is None and self.resource == DEFAULT:
            return ""
        return label_of(self.resource)

    @property
    def spare(self) -> bool:
        """Whether there is more than the reserve."""
        return (self.remaining or 0) > (self.reserved or 0)

    @property
    def meter(self) -> Meter:
        text = f"{self.remaining:,} of {self.limit:,} left" if self.remaining is not None else "not told"
        return Meter(self.remaining or 0, self.limit or 0, text, self.reserved or 0)


def limits_of(connection: Connection) -> list[Limit]:
    """By name: what the provider told of each limit, and what was spent of it. Two queries."""
    spends = spending.spent(connection)
    found = {name: Limit(name, spent=spent) for name, spent in spends.items()}
    for row in connection.budgets.all():
        found[row.resource] = _limit(row, spends.get(row.resource, ()))
    return [found[name] for name in sorted(found)]


def _limit(row: RateBudget, spent: Sequence[Spent]) -> Limit:
    told = row.limit > 0  # a row can also be there because we were told to wait
    valid = row.reset_at is not None and row.reset_at > now()
    paused = row.paused_until if row.paused_until and row.paused_until > now() else None
    return Limit(
        row.resource,
        limit=row.limit if told else None,
        remaining=row.remaining if told and valid else None,
        reserved=round(RESERVE * row.limit) if told else None,
        reset_at=row.reset_at if valid else None,
        paused_until=paused,
        told_at=row.told_at if told else None,
        spent=spent,
    )
