"""What every stand-in forge is made of: a git server that also answers an API and sends webhooks.

    with GitHubStandIn(folder) as forge:
        forge.add_repository("acme/site", {b"README": b"hello"})
        forge.add_token("ghp_x", login="ana", scopes=["repo"])

A subclass routes its paths with `@route` and speaks as the original does, errors included. Nothing
here is a mock: state changes with what is asked, and a push over git moves it too.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import inspect
import itertools
import json
import queue
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from tests.forges.githttp import GitServer
from tests.repos.git.work import Bare


@dataclasses.dataclass
class Asked:
    """One request to the API, as it came. `query` has the last value of each name."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]  # lower-case names
    body: bytes
    raw_query: str = ""  # for names that stand there several times

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.body or b"{}")
        assert isinstance(value, dict)
        return value


@dataclasses.dataclass
class Reply:
    """What is answered. `data` is sent as JSON, unless `raw` is given."""

    status: int = 200
    data: Any = None
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    raw: bytes | None = None

    @property
    def body(self) -> bytes:
        if self.raw is not None:
            return self.raw
        return b"" if self.data is None else json.dumps(self.data).encode()


@dataclasses.dataclass
class Token:
    login: str
    scopes: list[str] = dataclasses.field(default_factory=list)
    expires_at: dt.datetime | None = None
    revoked: bool = False


@dataclasses.dataclass
class Hook:
    id: str
    url: str
    secret: str
    events: list[str]
    active: bool = True


@dataclasses.dataclass
class Repo:
    """A repository of the stand-in; `more` is what only one forge has."""

    id: int
    full_name: str
    description: str = ""
    default_branch: str = "main"
    visibility: str = "private"
    archived: bool = False
    fork: bool = False
    topics: list[str] = dataclasses.field(default_factory=list)
    pushed_at: str = "2026-11-20T08:00:00Z"
    hooks: dict[str, Hook] = dataclasses.field(default_factory=dict)
    pulls: dict[int, dict[str, Any]] = dataclasses.field(default_factory=dict)
    checks: dict[str, list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    pipelines: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    more: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def owner(self) -> str:
        return self.full_name.rpartition("/")[0]

    @property
    def name(self) -> str:
        return self.full_name.rpartition("/")[2]


@dataclasses.dataclass
class Sent:
    """A webhook that was sent, and what came back (0: nobody was there)."""

    hook: Hook
    event: str
    headers: dict[str, str]
    body: bytes
    status: int
    at: dt.datetime = dataclasses.field(default_factory=lambda: dt.datetime.now(dt.UTC))


Route = tuple[str, re.Pattern[str], str]


def route(method: str, pattern: str) -> Callable[[Any], Any]:
    """The decorated method answers requests whose whole path matches; the groups are its arguments."""

    def mark(function: Any) -> Any:
        function.routes = [*getattr(function, "routes", []), (method, re.compile(pattern))]
        return function

    return mark


class StandIn(GitServer):
    """`latency`: seconds that each answer of the API takes. `next_replies`: answered instead of the real
    ones, one after the other. `asked`: every request to the API. `sent`: every webhook.
    """

    api_prefix: str | tuple[str, ...] = "/api/"  # what is below is not git

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.latency = 0.0
        self.next_replies: list[Reply] = []
        self.asked: list[Asked] = []
        self.sent: list[Sent] = []
        self.tokens: dict[str, Token] = {}
        self.repositories: dict[int, Repo] = {}
        self.state_lock = threading.RLock()
        self._ids = itertools.count(101)
        self._outbox: queue.Queue[tuple[Hook, str, dict[str, str], bytes] | None] = queue.Queue()
        self._routes = [
            (method, pattern, name)
            for name, function in inspect.getmembers(type(self), inspect.isfunction)
            for method, pattern in getattr(function, "routes", [])
        ]

    def __enter__(self) -> Self:
        super().__enter__()
        self._sender = threading.Thread(target=self._deliver, daemon=True)
        self._sender.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._outbox.put(None)
        self._sender.join()
        super().__exit__(*error)

    # --- state ------------------------------------------------------------------------------------

    def next_id(self) -> int:
        return next(self._ids)

    def add_token(self, value: str, login: str, **more: Any) -> Token:
        self.tokens[value] = token = Token(login, **more)
        return token

    def add_repository(
        self, full_name: str, files: Mapping[bytes, bytes] | None = None, *, on_disk: bool = True, **more: Any
    ) -> Repo:
        """A repository with one commit on its default branch; without files an empty one.

        `on_disk=False`: one that is only listed, where thousands are wanted.
        """
        repo = Repo(self.next_id(), full_name, **more)
        if on_disk:
            (self.root / f"{full_name}.git").parent.mkdir(parents=True, exist_ok=True)
            bare = self.bare(repo)
            if files:
                bare.commit(files, branch=repo.default_branch)
        with self.state_lock:
            self.repositories[repo.id] = repo
        return repo

    def bare(self, repo: Repo) -> Bare:
        """The repository itself, to commit to without a push."""
        return Bare(self.root / f"{repo.full_name}.git")

    def named(self, full_name: str) -> Repo | None:
        found = [r for r in self.repositories.values() if r.full_name.lower() == full_name.lower()]
        return found[0] if found else None

    def rename(self, repo: Repo, full_name: str) -> None:
        (self.root / f"{full_name}.git").parent.mkdir(parents=True, exist_ok=True)
        (self.root / f"{repo.full_name}.git").rename(self.root / f"{full_name}.git")
        repo.full_name = full_name

    def token_of(self, value: str) -> Token | None:
        """The token, as long as it is valid."""
        token = self.tokens.get(value)
        if token is None or token.revoked:
            return None
        over = token.expires_at is not None and token.expires_at <= dt.datetime.now(dt.UTC)
        return None if over else token

    def add_run(self, repo: Repo, branch: str) -> str:
        """A run of the CI for the head of a branch that went well; its id."""
        raise LookupError(f"{type(self).__name__} stands in for a forge without a CI of its own.")

    def prepare_auto_merge(self, repo: Repo, branch: str) -> None:
        """There is something that a pull request from this branch waits for before it merges itself."""

    # --- the API ----------------------------------------------------------------------------------

    def handle(self, handler: BaseHTTPRequestHandler, body: Iterator[bytes]) -> bool:
        parts = urlsplit(handler.path)
        if not parts.path.startswith(self.api_prefix):
            return False
        asked = Asked(
            handler.command,
            unquote(parts.path) if "%2F" not in parts.path else parts.path,
            dict(parse_qsl(parts.query, keep_blank_values=True)),
            {name.lower(): value for name, value in handler.headers.items()},
            b"".join(body),
            parts.query,
        )
        if self.latency:
            time.sleep(self.latency)
        with self.state_lock:
            self.asked.append(asked)
            reply = self.next_replies.pop(0) if self.next_replies else self.answer(asked)
        self._write(handler, reply)
        return True

    def answer(self, asked: Asked) -> Reply:
        """Find the route; a subclass checks the token and adds headers around this."""
        for method, pattern, name in self._routes:
            match = pattern.fullmatch(asked.path) if method == asked.method else None
            if match:
                reply: Reply = getattr(self, name)(asked, *match.groups())
                return reply
        return self.unknown(asked)

    def unknown(self, asked: Asked) -> Reply:
        """A path that is not there, as the original says it."""
        return Reply(404, {})

    def _write(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        body = b"" if reply.status in (204, 304) else reply.body
        handler.send_response(reply.status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **reply.headers}.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body)

    # --- webhooks out -----------------------------------------------------------------------------

    def signed(self, hook: Hook, event: str, body: bytes) -> dict[str, str]:
        """The headers of a delivery, signature included; none where the forge has no webhooks."""
        return {}

    def send(self, repo: Repo, event: str, payload: Mapping[str, Any]) -> None:
        """To each hook of the repository that wants it, beside this thread, in order."""
        body = json.dumps(payload).encode()
        for hook in repo.hooks.values():
            if hook.active and self.wants(hook, event):
                self._outbox.put((hook, event, self.signed(hook, event, body), body))

    def wants(self, hook: Hook, event: str) -> bool:
        return event in hook.events

    def wait_until_sent(self, count: int, seconds: float = 10) -> None:
        ends = time.monotonic() + seconds
        while len(self.sent) < count:
            assert time.monotonic() < ends, f"{len(self.sent)} of {count} webhooks were sent"
            time.sleep(0.01)

    def _deliver(self) -> None:
        with httpx.Client(timeout=10, trust_env=False) as client:
            while (item := self._outbox.get()) is not None:
                hook, event, headers, body = item
                try:
                    status = client.post(hook.url, content=body, headers=headers).status_code
                except httpx.HTTPError:
                    status = 0
                self.sent.append(Sent(hook, event, headers, body, status))

    def pushed(self, path: str, before: dict[str, str], after: dict[str, str]) -> None:
        repo = self.named(path.removesuffix(".git"))
        if repo is None:
            return
        for ref in sorted(before.keys() | after.keys()):
            old, new = before.get(ref, "0" * 40), after.get(ref, "0" * 40)
            if old != new:
                with self.state_lock:
                    self.ref_moved(repo, ref, old, new)

    def ref_moved(self, repo: Repo, ref: str, before: str, after: str) -> None:
        """What the original does after a push of one ref: events, pull requests, dates."""


def page_of(items: list[Any], page: int, per_page: int) -> list[Any]:
    return items[(page - 1) * per_page : page * per_page]
