"""What requests to the APIs of connections are spent on: counted in memory, written down now and then."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Final

from django.db import DatabaseError, IntegrityError, connection as database, transaction
from django.db.models import F, Sum

from opssight.core.clock import now
from repos.models import Connection, RateSpend

logger = logging.getLogger(__name__)

PEOPLE: Final = "people"
WINDOW: Final = dt.timedelta(hours=24)
_FLUSH_SECONDS: Final = 5.0

_spender: ContextVar[str] = ContextVar("opssight_spender", default=PEOPLE)
_Key = tuple[uuid.UUID, str, str, dt.datetime]
_lock = threading.Lock()
_counted: dict[_Key, tuple[int, int]] = {}  # requests, and those that were answered with 304
_flushed_at = 0.0
_here = threading.local()  # whether this thread has asked for anything since its last request ended


@contextmanager
def spending_as(spender: str) -> Iterator[None]:
    """Requests in this context are spent by `spender`: the kind of a job. Elsewhere it is people."""
    token = _spender.set(spender[:40])
    try:
        yield
    finally:
        _spender.reset(token)


def count(connection_id: uuid.UUID, resource: str, *, unchanged: bool) -> None:
    """One request. Written down with others after some seconds, and when the run or request ends."""
    hour = now().replace(minute=0, second=0, microsecond=0)
    key = (connection_id, resource[:60], _spender.get(), hour)
    _here.asked = True
    with _lock:
        _remember(key, 1, unchanged)
        due = time.monotonic() - _flushed_at > _FLUSH_SECONDS
    if due:
        flush()


def _remember(key: _Key, requests: int, unchanged: int) -> None:
    before, same = _counted.get(key, (0, 0))
    _counted[key] = (before + requests, same + unchanged)


def flush_after_request(**_: object) -> None:
    """The end of a web request. One that asked no forge leaves the database alone, as probes must."""
    if getattr(_here, "asked", False):
        _here.asked = False
        flush()


def flush() -> None:
    """Write down what was counted in this process; kept for the next time while the database is away."""
    global _flushed_at
    if not _counted or database.in_atomic_block:
        return
    with _lock:
        taken = dict(_counted)
        _counted.clear()
        _flushed_at = time.monotonic()
    try:
        _write(taken)
    except DatabaseError as error:
        logger.warning("what requests were spent on is written down later: %s", error)


def _write(taken: dict[_Key, tuple[int, int]]) -> None:
    try:
        known = set(Connection.objects.filter(pk__in={key[0] for key in taken}).values_list("pk", flat=True))
        for key in list(taken):
            if key[0] in known:
                _add(key, *taken[key])
            del taken[key]
    except DatabaseError:
        with _lock:
            for key, (requests, unchanged) in taken.items():
                _remember(key, requests, unchanged)
        raise


def _add(key: _Key, requests: int, unchanged: int) -> None:
    names = dict(zip(("connection_id", "resource", "spender", "hour"), key, strict=True))
    more = {"requests": F("requests") + requests, "unchanged": F("unchanged") + unchanged}
    if RateSpend.objects.filter(**names).update(**more):
        return
    try:
        with transaction.atomic():
            RateSpend.objects.create(**names, requests=requests, unchanged=unchanged)
    except IntegrityError:  # another process was first, or the connection was deleted just now
        RateSpend.objects.filter(**names).update(**more)


@dataclass(frozen=True)
class Spent:
    """What one spender asked of one resource within the last 24 hours."""

    spender: str
    requests: int
    unchanged: int

    @property
    def label(self) -> str:
        return "checks" if self.spender == "watch" else self.spender


def spent(connection: Connection) -> dict[str, list[Spent]]:
    """By resource, the one that spent most first. The first hour of the window counts as a whole."""
    rows = RateSpend.objects.filter(connection=connection, hour__gt=now() - WINDOW - dt.timedelta(hours=1))
    sums = rows.order_by().values("resource", "spender").annotate(n=Sum("requests"), same=Sum("unchanged"))
    found: dict[str, list[Spent]] = {}
    for row in sums.order_by("-n", "spender"):
        found.setdefault(row["resource"], []).append(Spent(row["spender"], row["n"], row["same"]))
    return found
