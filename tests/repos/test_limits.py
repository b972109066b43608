from __future__ import annotations

import datetime as dt
import os

import pytest

from opssight.core.clock import now
from opssight.core.errors import RateLimited
from repos import etags as etags_module
from repos.etags import LARGEST, DatabaseEtags
from repos.limits import DatabaseLimiter, waits_until
from repos.models import Etag, RateBudget
from repos.providers.wire import Budget, Stored
from syncs.engine import housekeeping
from tests.factories import make_connection, make_team

pytestmark = pytest.mark.django_db


def budget(remaining: int, resource: str = "core") -> Budget:
    return Budget(resource, 5_000, remaining, now() + dt.timedelta(minutes=30))


def test_the_reserve_is_left_to_people_and_webhooks() -> None:
    connection = make_connection(make_team())
    person, run = DatabaseLimiter(connection), DatabaseLimiter(connection, reserve=0.1)
    for limiter in (person, run):
        limiter.told(budget(500))
    person.ask("core")
    with pytest.raises(RateLimited) as limited:
        run.ask("core")
    assert limited.value.retry_at is not None
    assert limited.value.retry_at > now()
    run.ask("search")
    person.told(budget(0))
    with pytest.raises(RateLimited):
        person.ask("core")


def test_what_one_worker_learns_holds_for_the_others() -> None:
    connection = make_connection(make_team())
    other = make_connection(connection.team)
    DatabaseLimiter(connection).told(budget(100))
    with pytest.raises(RateLimited):
        DatabaseLimiter(connection, reserve=0.1).ask("core")
    until = now() + dt.timedelta(minutes=5)
    DatabaseLimiter(connection).pause("core", until)
    with pytest.raises(RateLimited) as limited:
        DatabaseLimiter(connection).ask("core")
    assert limited.value.retry_at == until
    assert waits_until(connection) == until
    DatabaseLimiter(other, reserve=0.1).ask("core")
    assert waits_until(other) is None


def test_a_limit_that_was_reset_holds_nobody() -> None:
    connection = make_connection(make_team())
    past = now() - dt.timedelta(seconds=1)
    limiter = DatabaseLimiter(connection, reserve=0.1)
    limiter.told(Budget("core", 5_000, 0, past))
    limiter.pause("search", past)
    limiter.ask("core")
    limiter.ask("search")
    DatabaseLimiter(connection, reserve=0.1).ask("core")


def test_budgets_are_written_now_and_then_and_at_once_when_little_is_left() -> None:
    connection = make_connection(make_team())
    limiter = DatabaseLimiter(connection)
    for remaining in range(4_000, 3_900, -1):
        limiter.told(budget(remaining))
    assert RateBudget.objects.get().remaining == 4_000
    limiter.told(budget(900))
    assert RateBudget.objects.get().remaining == 900


def test_answers_are_kept_for_one_connection_only() -> None:
    team = make_team()
    mine, yours = (DatabaseEtags(make_connection(team)) for _ in range(2))
    url = "https://api.example.org/user/repos?page=1"
    mine.put(url, Stored('"a"', b"[1]", '<x>; rel="next"'))
    mine.put(url, Stored('"b"', b"[2]"))
    assert mine.get_many([url, "https://api.example.org/other"]) == {url: Stored('"b"', b"[2]")}
    assert yours.get_many([url]) == {}


def test_huge_answers_are_not_kept_and_old_ones_go() -> None:
    etags = DatabaseEtags(make_connection(make_team()))
    etags.put("https://a.example.org/", Stored('"a"', b"x" * (LARGEST + 1)))
    etags.put("https://b.example.org/", Stored("x" * 201, b"x"))
    assert not Etag.objects.exists()
    etags.put("https://c.example.org/", Stored('"c"', b"x"))
    assert housekeeping.prune()["answers of providers"] == 0
    Etag.objects.update(told_at=now() - dt.timedelta(days=31))
    assert housekeeping.prune()["answers of providers"] == 1


def test_answers_of_one_connection_have_a_size_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etags_module, "MOST_BYTES", 10_000)
    connection, other = make_connection(make_team()), make_connection(make_team())
    DatabaseEtags(other).put("https://a.example.org/", Stored('"a"', os.urandom(2_000)))
    urls = [f"https://a.example.org/{n}" for n in range(9)]
    for url in urls:  # each by another run, as one after the other
        DatabaseEtags(connection).put(url, Stored('"a"', os.urandom(2_000)))
    assert set(DatabaseEtags(connection).get_many(urls)) == set(urls[6:])
    assert other.etags.count() == 1
    kept = DatabaseEtags(connection)
    for _ in range(20):  # one answer again and again takes the room of one
        kept.put(urls[8], Stored('"b"', os.urandom(2_000)))
    assert connection.etags.count() == 3
    kept.put("https://a.example.org/link", Stored('"c"', b"[]", "x" * 5_000))
    assert connection.etags.count() == 3


def test_many_addresses_are_asked_for_in_few_queries(django_assert_max_num_queries: object) -> None:
    etags = DatabaseEtags(make_connection(make_team()))
    with django_assert_max_num_queries(3):  # type: ignore[operator]
        etags.get_many([f"https://api.example.org/?page={n}" for n in range(500)])
