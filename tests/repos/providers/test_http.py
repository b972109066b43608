"""The one HTTP transport against a server that does what servers do, and what they should not."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from opssight.core.deadline import ending_within
from opssight.core.errors import (
    AuthFailure,
    Conflict,
    Failure,
    InvalidInput,
    NotFound,
    PermanentFailure,
    RateLimited,
    TransientFailure,
)
from opssight.core.outbound import AddressRefused, AllowedTarget, Policy
from opssight.core.outbound_http import client
from repos.providers import http, paging
from repos.providers.errors import TooMany, TooSlow
from repos.providers.http import Api, Wire
from repos.providers.wire import Budget, Dialect, FixedToken, Stored, Tokens
from tests.forges.standin import Asked, Reply, StandIn

TOKEN = "canary-token-77"
LOOPBACK = Policy([AllowedTarget("127.0.0.1", "127.0.0.0/8")])
Answers = Callable[[Asked], Reply]


class Scripted(StandIn):
    """Answers what the test says."""

    script: Answers = staticmethod(lambda asked: Reply(200, {}))

    def answer(self, asked: Asked) -> Reply:
        return self.script(asked)


class Memory:
    """ETags in a dictionary."""

    def __init__(self) -> None:
        self.stored: dict[str, Stored] = {}

    def get_many(self, urls: Sequence[str]) -> dict[str, Stored]:
        return {url: self.stored[url] for url in urls if url in self.stored}

    def put(self, url: str, stored: Stored) -> None:
        self.stored[url] = stored


class Renewing:
    """Tokens as OAuth gives them: when one is refused there is another, once."""

    def __init__(self, *tokens: str) -> None:
        self.left = list(tokens)
        self.renewals = 0

    def current(self) -> str:
        return self.left[0]

    def renewed(self, refused: str) -> str:
        self.renewals += 1
        if len(self.left) == 1:
            raise AuthFailure("There is no other token.")
        self.left.pop(0)
        return self.left[0]


class Watching:
    """A limiter that only remembers."""

    def __init__(self) -> None:
        self.budgets: list[Budget] = []
        self.pauses: list[tuple[str, dt.datetime]] = []
        self.spends: list[tuple[str, bool]] = []

    def ask(self, resource: str) -> None:
        if self.pauses:
            raise RateLimited("Later.", retry_at=self.pauses[-1][1])

    def told(self, budget: Budget) -> None:
        self.budgets.append(budget)

    def pause(self, resource: str, until: dt.datetime) -> None:
        self.pauses.append((resource, until))

    def spent(self, resource: str, *, unchanged: bool) -> None:
        self.spends.append((resource, unchanged))


def read_budget(headers: Mapping[str, str]) -> Budget | None:
    left = headers.get("x-left", "")
    reset = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
    return Budget("core", 100, int(left), reset) if left else None


DIALECT = Dialect(
    "Example",
    authorize=lambda token: {"Authorization": f"Bearer {token}"},
    budget=read_budget,
    said=lambda data: data["message"],
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Scripted]:
    with Scripted(tmp_path) as running:
        yield running


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Scripted]:
    (tmp_path / "other").mkdir()
    with Scripted(tmp_path / "other") as running:
        yield running


def api(server: StandIn, tokens: Tokens | None = None, *, timeout: float = 10, **wire: Any) -> Api:
    wired = Wire(
        lambda base_url: client(LOOPBACK, timeout=timeout, max_bytes=1_000_000, max_redirects=0),
        tokens,
        **wire,
    )
    return Api(f"{server.url}/api/v1", wired, FixedToken(TOKEN), DIALECT)


def paged(asked: Asked, last: int, *, server: StandIn, with_last: bool = True) -> Reply:
    """Pages 1 to `last` with two numbers each, linked as GitHub does."""
    page = int(asked.query.get("page", "1"))
    base = f"{server.url}{asked.path}"
    links = []
    if page < last:
        links.append(f'<{base}?page={page + 1}>; rel="next"')
        links += [f'<{base}?page={last}>; rel="last"'] if with_last else []
    headers = {"Link": ", ".join(links)} if links else {}
    return Reply(200, [2 * page, 2 * page + 1], headers)


# --- what works ----------------------------------------------------------------------------------


def test_it_asks_with_the_token_and_reads_json(server: Scripted) -> None:
    server.script = lambda asked: Reply(200, {"query": asked.query, "said": asked.headers["authorization"]})
    assert api(server).get("things", {"q": "a b"}) == {"query": {"q": "a b"}, "said": f"Bearer {TOKEN}"}
    assert server.asked[0].path == "/api/v1/things"


@pytest.mark.parametrize("with_last", [True, False])
def test_all_pages_in_their_order(server: Scripted, *, with_last: bool) -> None:
    server.script = lambda asked: paged(asked, 40, server=server, with_last=with_last)
    assert list(api(server).every("things")) == list(range(2, 82))
    assert len(server.asked) == 40


def test_pages_that_the_body_links(server: Scripted) -> None:
    def script(asked: Asked) -> Reply:
        page = int(asked.query.get("page", "1"))
        following = {"next": f"{server.url}/api/v1/things?page={page + 1}"} if page < 3 else {}
        return Reply(200, {"values": [page], **following})

    server.script = script
    found = api(server).every("things", items=lambda d: d["values"], next_of=lambda d: d.get("next", ""))
    assert list(found) == [1, 2, 3]


def test_what_did_not_change_is_not_sent_again(server: Scripted) -> None:
    def script(asked: Asked) -> Reply:
        tag = f'"{asked.query.get("page", "1")}"'
        if asked.headers.get("if-none-match") == tag:
            return Reply(304, headers={"ETag": tag})
        reply = paged(asked, 5, server=server)
        reply.headers["ETag"] = tag
        return reply

    server.script = script
    etags = Memory()
    first = list(api(server, etags=etags).every("things"))
    server.asked.clear()
    assert list(api(server, etags=etags).every("things")) == first
    assert len(server.asked) == 5
    assert all("if-none-match" in asked.headers for asked in server.asked)


def test_a_refused_token_is_renewed_once_and_the_request_repeated(server: Scripted) -> None:
    def script(asked: Asked) -> Reply:
        fine = asked.headers["authorization"] == "Bearer new"
        return Reply(201, {"ok": True}) if fine else Reply(401, {"message": "Bad credentials"})

    server.script = script
    tokens = Renewing("old", "new")
    assert api(server, tokens).send("POST", "things", {"a": 1}) == {"ok": True}
    assert tokens.renewals == 1
    assert [asked.json for asked in server.asked] == [{"a": 1}, {"a": 1}]
    with pytest.raises(AuthFailure):
        api(server, Renewing("old", "older")).get("things")


def test_a_token_that_ends_between_pages_is_renewed(server: Scripted) -> None:
    def script(asked: Asked) -> Reply:
        if asked.headers["authorization"] == "Bearer old" and int(asked.query.get("page", "1")) > 1:
            return Reply(401, {"message": "expired"})
        return paged(asked, 12, server=server)

    server.script = script
    tokens = Renewing("old", "new")
    assert list(api(server, tokens).every("things")) == list(range(2, 26))
    assert tokens.renewals == 1


def test_what_has_no_effect_is_tried_again(server: Scripted) -> None:
    server.next_replies = [Reply(502), Reply(503)]
    server.script = lambda asked: Reply(200, "fine")
    assert api(server).get("things") == "fine"
    assert len(server.asked) == 3


def test_a_post_is_never_sent_twice(server: Scripted) -> None:
    server.script = lambda asked: Reply(502)
    with pytest.raises(TransientFailure, match="HTTP 502"):
        api(server).send("POST", "things", {})
    assert len(server.asked) == 1


# --- limits --------------------------------------------------------------------------------------


def test_a_limit_is_told_and_kept_and_not_slept_through(server: Scripted) -> None:
    limiter = Watching()
    server.next_replies = [Reply(200, {}, {"X-Left": "7"}), Reply(429, {}, {"Retry-After": "90"})]
    asking = api(server, limiter=limiter)
    asking.get("things")
    started = time.monotonic()
    with pytest.raises(RateLimited) as limited:
        asking.get("things")
    assert time.monotonic() - started < 5
    assert limiter.budgets[0].remaining == 7
    wait = limiter.pauses[0][1] - dt.datetime.now(dt.UTC)
    assert 80 < wait.total_seconds() <= 90
    assert limited.value.retry_at == limiter.pauses[0][1]
    with pytest.raises(RateLimited):
        asking.get("things")
    assert len(server.asked) == 2


@pytest.mark.parametrize(("given", "seconds"), [("0", 1), ("999999999", 60), ("99999999", 86_400), ("x", 60)])
def test_how_long_to_wait_is_not_the_servers_word_alone(server: Scripted, given: str, seconds: int) -> None:
    server.script = lambda asked: Reply(429, {}, {"Retry-After": given})
    with pytest.raises(RateLimited) as limited:
        api(server).get("things")
    assert limited.value.retry_at is not None
    wait = (limited.value.retry_at - dt.datetime.now(dt.UTC)).total_seconds()
    assert seconds - 5 <= wait <= seconds


# --- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, InvalidInput),
        (401, AuthFailure),
        (403, PermanentFailure),
        (404, NotFound),
        (409, Conflict),
        (410, NotFound),
        (418, PermanentFailure),
        (422, InvalidInput),
        (429, RateLimited),
        (451, PermanentFailure),
        (500, TransientFailure),
        (504, TransientFailure),
    ],
)
def test_each_status_has_its_class(server: Scripted, status: int, kind: type[Failure]) -> None:
    server.script = lambda asked: Reply(status, {"message": "said by the server"})
    with pytest.raises(kind) as failed:
        api(server).get("things")
    assert failed.value.sentence.startswith("Example ")
    assert TOKEN not in failed.value.sentence


@pytest.mark.parametrize("body", [b"{", b"<html>no</html>", b"", b"\xff\xfe", b"[" * 200_000])
def test_what_is_not_json(server: Scripted, body: bytes) -> None:
    server.script = lambda asked: Reply(200, raw=body)
    with pytest.raises(TransientFailure, match="not JSON"):
        api(server).get("things")
    server.script = lambda asked: Reply(400, raw=body)
    with pytest.raises(InvalidInput):
        api(server).get("things")


def test_words_of_a_server_are_cut_and_cleaned(server: Scripted) -> None:
    server.script = lambda asked: Reply(422, {"message": "\x1b[31mred\n" + "x" * 5_000})
    with pytest.raises(InvalidInput) as failed:
        api(server).get("things")
    assert failed.value.sentence.isprintable()
    assert len(failed.value.sentence) < 400


# --- hostile servers -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: Scripted, elsewhere: Scripted, status: int) -> None:
    server.script = lambda asked: Reply(status, headers={"Location": f"{elsewhere.url}/api/v1/things"})
    with pytest.raises(PermanentFailure, match="redirects"):
        api(server).get("things")
    assert elsewhere.asked == []


def test_a_next_page_at_another_host_is_not_asked_for(server: Scripted, elsewhere: Scripted) -> None:
    other = f"{elsewhere.url}/api/v1/things"
    server.script = lambda asked: Reply(200, [1], {"Link": f'<{other}?page=2>; rel="next"'})
    with pytest.raises(PermanentFailure, match="another server"):
        list(api(server).every("things"))
    server.script = lambda asked: Reply(
        200, [1], {"Link": f'<{other}?page=2>; rel="next", <{other}?page=9>; rel="last"'}
    )
    with pytest.raises(PermanentFailure, match="another server"):
        list(api(server).every("things"))
    server.script = lambda asked: Reply(200, {"values": [1], "next": other})
    with pytest.raises(PermanentFailure, match="another server"):
        list(api(server).every("things", items=lambda d: d["values"], next_of=lambda d: d["next"]))
    assert elsewhere.asked == []


def test_pages_that_go_in_a_circle_end(server: Scripted) -> None:
    def script(asked: Asked) -> Reply:
        page = "2" if asked.query.get("page") == "1" else "1"
        return Reply(200, [1], {"Link": f'<{server.url}/api/v1/things?page={page}>; rel="next"'})

    server.script = script
    with pytest.raises(PermanentFailure, match="without end"):
        list(api(server).every("things"))
    assert len(server.asked) == 3


def test_pages_without_end_end(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MOST_PAGES", 20)
    server.script = lambda asked: paged(asked, 10**7, server=server, with_last=False)
    with pytest.raises(PermanentFailure, match="without end"):
        list(api(server).every("things"))
    server.script = lambda asked: paged(asked, 10**7, server=server)
    with pytest.raises(PermanentFailure, match="more than 20 pages"):
        list(api(server).every("things"))


def test_rounds_of_one_list_count_together(server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "MOST_PAGES", 20)
    server.script = lambda asked: paged(asked, 12, server=server, with_last=False)
    asking = api(server)
    extent = asking.extent()
    list(asking.every("things", extent=extent))
    with pytest.raises(TooMany, match="without end"):
        list(asking.every("others", extent=extent))
    assert len(server.asked) == 20


@pytest.mark.parametrize("with_last", [True, False])
def test_a_list_is_not_read_above_a_size(
    server: Scripted, monkeypatch: pytest.MonkeyPatch, *, with_last: bool
) -> None:
    server.script = lambda asked: paged(asked, 40, server=server, with_last=with_last)
    monkeypatch.setattr(paging, "MOST_ITEMS", 50)
    with pytest.raises(TooMany, match="more than 50 entries"):
        list(api(server).every("things"))
    assert len(server.asked) <= 26 + http.AT_ONCE
    monkeypatch.setattr(paging, "MOST_ITEMS", 80)
    assert len(list(api(server).every("things"))) == 80
    monkeypatch.setattr(paging, "MOST_BYTES", 200)
    with pytest.raises(TooMany, match="lists more than 200"):
        list(api(server).every("things"))


def test_no_more_bodies_are_waiting_than_are_asked_at_once(server: Scripted) -> None:
    """Nor stored answers: both are read for a few pages at a time."""
    asked_for: list[int] = []

    class Counting(Memory):
        def get_many(self, urls: Sequence[str]) -> dict[str, Stored]:
            asked_for.append(len(urls))
            return super().get_many(urls)

    server.script = lambda asked: paged(asked, 100, server=server)
    listed = api(server, etags=Counting()).every("things")
    for place, _ in zip(range(2, 202), listed, strict=False):
        read = place // 2  # pages
        assert len(server.asked) <= read + http.AT_ONCE
    assert max(asked_for) == http.AT_ONCE
    assert len(server.asked) == 100


# --- whoever waits -------------------------------------------------------------------------------


def test_a_question_that_is_over_asks_nothing_more(server: Scripted) -> None:
    server.script = lambda asked: paged(asked, 40, server=server, with_last=False)
    listed = api(server).every("things")
    assert [next(listed) for _ in range(6)] == [2, 3, 4, 5, 6, 7]
    with pytest.raises(TooSlow, match="Example is too slow"), ending_within(0):
        next(listed)
    assert len(server.asked) == 3


@pytest.mark.parametrize("with_last", [True, False])
def test_an_answer_is_waited_for_no_longer_than_the_question(server: Scripted, *, with_last: bool) -> None:
    """Far below the time of one answer and its tries, also in the threads."""

    def script(asked: Asked) -> Reply:
        if asked.query.get("page", "1") != "1":
            server.stopping.wait(60)
        return paged(asked, 40, server=server, with_last=with_last)

    server.script = script
    with pytest.raises(TooSlow), ending_within(1):
        list(api(server, timeout=60).every("things"))
    assert len(server.asked) <= 1 + http.AT_ONCE
    server.stopping.set()


def test_a_lost_post_is_not_sent_again(server: Scripted) -> None:
    def script(asked: Asked) -> Reply:
        server.stopping.wait(20)
        return Reply(200, {})

    server.script = script
    with pytest.raises(TransientFailure, match="in time"):
        api(server, timeout=0.3).send("POST", "things")
    server.stopping.set()
    assert len(server.asked) == 1


def test_a_body_without_end_and_a_gzip_bomb(server: Scripted) -> None:
    server.script = lambda asked: Reply(200, raw=b"[" + b"0," * 600_000 + b"0]")
    with pytest.raises(PermanentFailure, match="more than"):
        api(server).get("things")
    bomb = gzip.compress(b"[" + b"0," * 40_000_000 + b"0]")
    server.script = lambda asked: Reply(200, raw=bomb, headers={"Content-Encoding": "gzip"})
    with pytest.raises(PermanentFailure, match="more than"):
        api(server).get("things")


def test_an_answer_that_stalls_ends(server: Scripted) -> None:
    def script(asked: Asked) -> Reply:
        server.stopping.wait(20)
        return Reply(200, {})

    server.script = script
    started = time.monotonic()
    with pytest.raises(TransientFailure, match="in time"):
        api(server, timeout=0.3).send("POST", "things")
    assert time.monotonic() - started < 10
    server.stopping.set()


def test_a_refused_address_is_not_connected_to(server: Scripted) -> None:
    wire = Wire(lambda base_url: client(Policy(), timeout=5, max_bytes=1000, max_redirects=0))
    with pytest.raises(AddressRefused, match="this machine"):
        Api(f"{server.url}/api/v1", wire, FixedToken(TOKEN), DIALECT).get("things")
    assert server.asked == []


def test_a_path_of_the_server_cannot_lead_elsewhere(server: Scripted, elsewhere: Scripted) -> None:
    with pytest.raises(PermanentFailure, match="another server"):
        api(server).get(f"{elsewhere.url}/api/v1/things")
    server.script = lambda asked: Reply(200, json.loads("[]"))
    assert api(server).get("//127.0.0.1/things") == []
    assert elsewhere.asked == []
