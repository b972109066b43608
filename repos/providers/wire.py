"""What connects an `Api` with the rest: protocols whose database versions live in `repos.access`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Budget:
    """What a provider says is left of a limit. `resource` is the provider's name for it."""

    resource: str
    limit: int
    remaining: int
    reset_at: dt.datetime


@dataclass(frozen=True)
class Stored:
    """An answer that may still be true: sent again with its ETag, it costs nothing when it is."""

    etag: str
    body: bytes
    link: str = ""


class Tokens(Protocol):
    """Where the token of a connection comes from, renewed before it ends."""

    def current(self) -> str:
        """The token to use now; "" for none. Raises `AuthFailure` when there is no valid one."""

    def renewed(self, refused: str) -> str:
        """Another token than the one that was just refused; "" when there is none."""


class Etags(Protocol):
    """Answers of one connection by address. They are never shared between connections."""

    def get_many(self, urls: Sequence[str]) -> dict[str, Stored]: ...
    def put(self, url: str, stored: Stored) -> None: ...


class Limiter(Protocol):
    """What is left of the limits of one connection."""

    def ask(self, resource: str) -> None:
        """Raises `RateLimited` while nothing may be asked."""

    def told(self, budget: Budget) -> None: ...
    def pause(self, resource: str, until: dt.datetime) -> None: ...

    def spent(self, resource: str, *, unchanged: bool) -> None:
        """One request was answered; `unchanged`: with a 304."""


@dataclass(frozen=True)
class FixedToken:
    """A token that a person entered: there is no other."""

    token: str = field(repr=False)

    def current(self) -> str:
        return self.token

    def renewed(self, refused: str) -> str:
        return ""


class NoEtags:
    def get_many(self, urls: Sequence[str]) -> dict[str, Stored]:
        return {}

    def put(self, url: str, stored: Stored) -> None:
        return


class NoLimiter:
    def ask(self, resource: str) -> None:
        return

    def told(self, budget: Budget) -> None:
        return

    def pause(self, resource: str, until: dt.datetime) -> None:
        return

    def spent(self, resource: str, *, unchanged: bool) -> None:
        return


@dataclass(frozen=True)
class Dialect:
    """How one provider differs. `authorize` makes headers of a token.

    `budget` reads what is left from the headers of an answer (lower-case names), `waits` tells whether
    a status, its headers and its message mean a limit, `said` finds the message in an error's JSON,
    `keeps` names headers (lower case) whose last value an `Api` remembers in `kept`.
    `refusal` makes a sentence of its own for a 403 ("" for the usual one), `blocked` one for a 403 that comes
    of an organization's rules, `link` is given the address that was asked and the Link header, and answers
    the header to follow.
    """

    label: str
    authorize: Callable[[str], Mapping[str, str]]
    headers: Mapping[str, str] = field(default_factory=dict)
    keeps: tuple[str, ...] = ()
    budget: Callable[[Mapping[str, str]], Budget | None] = lambda headers: None
    resource: Callable[[str], str] = lambda path: "core"  # which limit a path counts against
    waits: Callable[[int, Mapping[str, str], str], bool] = lambda status, headers, said: status == 429
    said: Callable[[Any], str] = lambda data: ""  # the message in an error's JSON
    refusal: Callable[[Mapping[str, str], str], str] = lambda headers, said: ""
    blocked: Callable[[Mapping[str, str], str], str] = lambda headers, said: ""
    link: Callable[[str, str], str] = lambda url, header: header
