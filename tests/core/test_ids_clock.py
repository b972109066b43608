from __future__ import annotations

import datetime as dt
import time
import uuid

import pytest
from django.db import connection, transaction

from opssight.accounts.models import AllowedHost
from opssight.core.clock import db_now, db_now_value, monotonic, now
from opssight.core.ids import uuid7


def test_uuid7_has_its_version_and_the_time_it_was_made() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after


def test_uuid7_sorts_by_time_also_within_a_millisecond(monkeypatch: pytest.MonkeyPatch) -> None:
    start = 1_790_000_000_123_000_000
    moments = [
        start,
        start + 1_000,
        start + 500_000,
        start + 999_999,
        start + 1_000_000,
        start + 5_000_000_000,
    ]
    ticks = iter(moments)
    monkeypatch.setattr(time, "time_ns", lambda: next(ticks))
    made = [uuid7() for _ in moments]
    assert made == sorted(made)


def test_uuid7_never_repeats_within_one_instant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 1_790_000_000_000_000_000)
    assert len({uuid7() for _ in range(1_000)}) == 1_000


def test_this_machines_clocks() -> None:
    assert abs(now() - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)
    assert now().utcoffset() == dt.timedelta(0)
    first = monotonic()
    assert monotonic() >= first


@pytest.mark.django_db
def test_the_databases_time_is_one_clock_as_expression_and_as_value() -> None:
    row = AllowedHost.objects.create(pattern="a.test", cidr="10.0.0.0/8")
    before = db_now_value(connection)
    AllowedHost.objects.filter(pk=row.pk).update(created_at=db_now())
    after = db_now_value(connection)
    row.refresh_from_db()
    assert before <= row.created_at <= after
    assert before.utcoffset() == dt.timedelta(0)
    assert AllowedHost.objects.filter(
        created_at__lte=db_now(), created_at__gt=db_now() - dt.timedelta(hours=1)
    ).exists()


@pytest.mark.django_db
def test_the_databases_time_has_parts_of_a_second_and_moves_within_a_transaction() -> None:
    with transaction.atomic():
        seen: set[dt.datetime] = set()
        while len(seen) < 3:  # ends as soon as two different parts of a second were read
            seen.add(db_now_value(connection))
    assert any(moment.microsecond for moment in seen)
    assert max(seen) - min(seen) < dt.timedelta(seconds=2)
