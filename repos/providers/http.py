"""HTTP to the APIs of providers: one way to ask, to page, to wait, and to fail.

`Api` adds the credential and renews it once when it is refused, spares what an ETag shows to be
unchanged, keeps within the rate limit, and turns every answer into data or a `Failure`. It never
sleeps until a limit is over: it raises `RateLimited` with the time, and the run is tried again then.
What it needs beyond the network it gets as `Wire`; the database versions live in `repos.access`.
"""

from __future__ import annotations

import json
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

import httpx

from opssight.core import deadline
from opssight.core.errors import (
    AuthFailure,
    BlockedByOrganization,
    Conflict,
    Failure,
    InvalidInput,
    NotFound,
    PermanentFailure,
    RateLimited,
    Revoked,
    TransientFailure,
)
from opssight.core.redact import redact
from repos.providers.answers import origin_of, read_json, wait_until
from repos.providers.errors import TooSlow
from repos.providers.paging import Extent, between
from repos.providers.wire import Dialect, Etags, Limiter, NoEtags, NoLimiter, Stored, Tokens

TRIES = 3  # of what may be asked twice
AT_ONCE = 8  # pages of one list, whose bodies are all there is of it in memory
_SAID = 300  # characters of what a server says about an error

Params = Mapping[str, str | int]
_Asked = tuple[str, Stored | None, Future[httpx.Response]]


@dataclass(frozen=True)
class Wire:
    """What an `Api` is connected with.

    `client` makes an HTTP client for a base address that keeps to the outbound policy, follows no
    redirects, and refuses an address that may not be used.
    """

    client: Callable[[str], httpx.Client]
    tokens: Tokens | None = None  # None: the token that stands in the connection's secrets
    etags: Etags = field(default_factory=NoEtags)
    limiter: Limiter = field(default_factory=NoLimiter)


class Api:
    """The API of one provider instance, below `base_url`."""

    def __init__(self, base_url: str, wire: Wire, tokens: Tokens, dialect: Dialect) -> None:
        self.base_url = base_url.rstrip("/")
        self._wire = wire
        self._tokens = wire.tokens or tokens
        self._dialect = dialect
        self._origin = origin_of(base_url)
        self._client: httpx.Client | None = None
        self.kept: dict[str, str] = {}  # headers of answers that the dialect wants to be remembered

    @property
    def tokens(self) -> Tokens:
        """Where its token comes from; git uses the same."""
        return self._tokens

    # --- asking -----------------------------------------------------------------------------------

    def get(self, path: str, params: Params | None = None) -> Any:
        """The JSON at a path."""
        url = self._url(path, params)
        return read_json(
            self._cached(url, self._wire.etags.get_many([url]).get(url)).body, self._dialect.label
        )

    def get_with_headers(self, path: str, params: Params | None = None) -> tuple[Any, Mapping[str, str]]:
        """The JSON at a path and the headers it came with (any case), always asked anew."""
        response = self._ask("GET", self._url(path, params))
        return read_json(response.content, self._dialect.label), response.headers

    def send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """POST, PATCH, PUT or DELETE; the JSON that is answered, None for an empty answer.

        A POST is never sent twice: whether a lost one had an effect is for the caller to look up.
        """
        response = self._ask(method, self._url(path, None), body=body)
        return read_json(response.content, self._dialect.label) if response.content else None

    def every(
        self,
        path: str,
        params: Params | None = None,
        *,
        items: Callable[[Any], Any] = lambda data: data,
        next_of: Callable[[Any], str] | None = None,
        extent: Extent | None = None,
    ) -> Iterator[Any]:
        """Everything in a paged list. `items` takes the list out of a page.

        With a link to the last page, the pages in between are asked at once. `next_of` reads the
        address of the next page from the body instead of the Link header. Lists that are one, such as
        those of all workspaces, are given the same `extent` (see `extent`).
        """
        extent = extent or self.extent()
        url: str = self._url(path, params)
        seen: set[str] = set()
        while url:
            extent.page(_shown(url))
            if url in seen:
                raise PermanentFailure(f"{self._dialect.label} lists pages without end at {_shown(url)}.")
            seen.add(url)
            page = self._cached(url, self._wire.etags.get_many([url]).get(url))
            data = read_json(page.body, self._dialect.label)
            yield from self._items(data, items, extent, len(page.body))
            told = _links(page.link)
            rest = between(told.get("next", ""), told.get("last", ""))
            if rest and next_of is None:
                yield from self._at_once([self._own(one) for one in rest], items, extent)
                return
            url = self._own(next_of(data) if next_of else told.get("next", ""))

    def extent(self) -> Extent:
        """What a list that is asked in several rounds counts itself with."""
        return Extent(self._dialect.label)

    def _at_once(self, urls: Sequence[str], items: Callable[[Any], Any], extent: Extent) -> Iterator[Any]:
        """The pages in their order. Threads do nothing but HTTP; the database is asked here."""
        extent.to_come(len(urls))
        token = self._tokens.current()
        asked: deque[_Asked] = deque()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for url, stored in self._stored(urls):
                if len(asked) == AT_ONCE:
                    yield from self._answered(asked, items, extent)
                extent.page(_shown(url))
                # a copy: the thread has to know until when the answer is waited for
                ask = partial(copy_context().run, self._try, "GET", url, token, stored)
                asked.append((url, stored, pool.submit(ask)))
            while asked:
                yield from self._answered(asked, items, extent)

    def _stored(self, urls: Sequence[str]) -> Iterator[tuple[str, Stored | None]]:
        """Each address with what is known of it, read for a few of them at a time."""
        resource = self._dialect.resource(urls[0])
        for start in range(0, len(urls), AT_ONCE):
            self._wire.limiter.ask(resource)
            part = urls[start : start + AT_ONCE]
            known = self._wire.etags.get_many(part)
            for url in part:
                yield url, known.pop(url, None)

    def _answered(self, asked: deque[_Asked], items: Callable[[Any], Any], extent: Extent) -> list[Any]:
        """What is on the page that was asked for first."""
        url, stored, answer = asked.popleft()
        page = self._page(url, answer.result(), stored)
        return self._items(read_json(page.body, self._dialect.label), items, extent, len(page.body))

    def _page(self, url: str, response: httpx.Response, stored: Stored | None) -> Stored:
        """An answer that a thread fetched; asked again here if it was refused."""
        self._learn(url, response)
        if response.status_code not in (200, 304):
            return self._cached(url, stored)
        return self._keep(url, response, stored)

    def _items(self, data: Any, items: Callable[[Any], Any], extent: Extent, size: int) -> list[Any]:
        extent.read(size)
        found = items(data)
        if not isinstance(found, list):
            raise PermanentFailure(f"{self._dialect.label} answered with something that is not a list.")
        extent.found(len(found))
        return found

    # --- one request ------------------------------------------------------------------------------

    def _cached(self, url: str, stored: Stored | None) -> Stored:
        return self._keep(url, self._ask("GET", url, stored=stored), stored)

    def _keep(self, url: str, response: httpx.Response, stored: Stored | None) -> Stored:
        if response.status_code == 304 and stored is not None:
            return stored
        link = self._dialect.link(url, response.headers.get("link", ""))
        fresh = Stored(response.headers.get("etag", ""), response.content, link)
        if fresh.etag:
            self._wire.etags.put(url, fresh)
        return fresh

    def _ask(
        self,
        method: str,
        url: str,
        *,
        body: Mapping[str, Any] | None = None,
        stored: Stored | None = None,
    ) -> httpx.Response:
        """An answer below 400, or a `Failure`. A refused token is renewed once."""
        resource = self._dialect.resource(url)
        self._wire.limiter.ask(resource)
        token = self._tokens.current()
        response = self._try(method, url, token, stored, body)
        self._learn(url, response)
        if response.status_code == 401 and token and (other := self._tokens.renewed(token)):
            response = self._try(method, url, other, stored, body)
            self._learn(url, response)
        if response.status_code >= 300 and response.status_code != 304:
            failure = self.failure(response, resource)
            if isinstance(failure, RateLimited) and failure.retry_at is not None:
                self._wire.limiter.pause(resource, failure.retry_at)
            raise failure
        return response

    def _try(
        self,
        method: str,
        url: str,
        token: str,
        stored: Stored | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        """One answer. What has no effect is asked again after a server error or a broken line."""
        tries = TRIES if method in ("GET", "PUT", "DELETE") else 1
        for _ in range(tries - 1):
            self._in_time()
            with suppress(TransientFailure):
                response = self._once(method, url, token, stored, body)
                if response.status_code < 500:
                    return response
            time.sleep(random.uniform(0.1, 0.5))  # noqa: S311 - only to be apart from others
        self._in_time()
        return self._once(method, url, token, stored, body)

    def _in_time(self) -> None:
        """Raises `TooSlow` when whoever asked waits no longer."""
        if deadline.is_over():
            raise TooSlow(
                f"{self._dialect.label} is too slow: there was no time to wait for all of its answers. "
                "Try again later."
            )

    def _once(
        self, method: str, url: str, token: str, stored: Stored | None, body: Mapping[str, Any] | None
    ) -> httpx.Response:
        headers = {"Accept": "application/json", **self._dialect.headers}
        headers |= self._dialect.authorize(token) if token else {}
        if stored is not None:
            headers["If-None-Match"] = stored.etag
        name = self._dialect.label
        try:
            return self._http().request(method, url, headers=headers, json=body)
        except httpx.TimeoutException:
            self._in_time()
            raise TransientFailure(f"{name} did not answer in time. It is tried again.") from None
        except (httpx.TransportError, httpx.DecodingError) as error:
            words = redact(str(error))[:_SAID]
            raise TransientFailure(f"{name} cannot be reached: {words or type(error).__name__}.") from None
        except httpx.InvalidURL:
            raise PermanentFailure(f"{name} named an address that cannot be used.") from None

    def _http(self) -> httpx.Client:
        if self._client is None:
            self._client = self._wire.client(self.base_url)
        return self._client

    def _learn(self, url: str, response: httpx.Response) -> None:
        told = response.headers
        self.kept |= {name: told[name] for name in self._dialect.keeps if name in told}
        budget = self._dialect.budget(response.headers)
        if budget is not None:
            self._wire.limiter.told(budget)
        resource = budget.resource if budget is not None else self._dialect.resource(url)
        self._wire.limiter.spent(resource, unchanged=response.status_code == 304)

    # --- failures ---------------------------------------------------------------------------------

    def failure(self, response: httpx.Response, resource: str = "core") -> Failure:
        """What an answer of 300 or more means."""
        status, name = response.status_code, self._dialect.label
        said = self._said(response)
        if self._dialect.waits(status, response.headers, said):
            until = wait_until(response.headers, self._dialect.budget(response.headers))
            return RateLimited(
                f"{name} allows no more requests ({resource}) until {until:%H:%M} UTC.", retry_at=until
            )
        more = f" It says: {said}" if said else ""
        if status in (301, 302, 303, 307, 308):
            return PermanentFailure(f"{name} redirects to somewhere that is not followed.")
        if status == 401 and "revoked" in said.lower():
            return Revoked(f"The token was revoked at {name}. The connection needs another one.")
        if status == 401:
            return AuthFailure(f"{name} refused the token. Enter another one.")
        if status == 403 and (rules := self._dialect.blocked(response.headers, said)):
            return BlockedByOrganization(rules)
        if status in (403, 451):
            own = self._dialect.refusal(response.headers, said) if status == 403 else ""
            return PermanentFailure(own or f"{name} does not allow this with the connection's token.{more}")
        if status in (404, 410):
            return NotFound(f"{name} has nothing there that this connection can see.{more}")
        if status in (409, 412):
            return Conflict(f"{name} refused because something else is in the way.{more}")
        if status in (400, 405, 406, 415, 422):
            return InvalidInput(f"{name} does not accept this.{more}")
        if status >= 500:
            return TransientFailure(f"{name} has trouble of its own (HTTP {status}). It is tried again.")
        return PermanentFailure(f"{name} answered with HTTP {status}.{more}")

    def _said(self, response: httpx.Response) -> str:
        try:
            words = self._dialect.said(json.loads(response.content))
        except (ValueError, RecursionError, TypeError, AttributeError, LookupError):
            return ""
        return redact("".join(char for char in words if char.isprintable()))[:_SAID]

    # --- addresses --------------------------------------------------------------------------------

    def _url(self, path: str, params: Params | None) -> str:
        url = f"{self.base_url}/{path.lstrip('/')}" if "://" not in path else path
        query = urlencode(params or {})
        return self._own(f"{url}{'&' if '?' in url else '?'}{query}" if query else url)

    def _own(self, url: str) -> str:
        """The address, if it belongs to this server: the token goes nowhere else."""
        if not url:
            return ""
        full = urljoin(f"{self.base_url}/", url)
        if origin_of(full) != self._origin:
            raise PermanentFailure(
                f"{self._dialect.label} sends us to another server ({urlsplit(full).hostname}), "
                "which is not followed."
            )
        return full


def _shown(url: str) -> str:
    return urlsplit(url).path


def _links(header: str) -> dict[str, str]:
    """The addresses in a Link header by relation; what cannot be read is left out."""
    found = httpx.Response(200, headers={"link": header}).links if header else {}
    return {str(name): link.get("url", "") for name, link in found.items()}


def post_form(
    client: Callable[[str], httpx.Client],
    url: str,
    fields: Mapping[str, str],
    label: str,
    login: tuple[str, str] | None = None,
) -> tuple[int, Any]:
    """Status and JSON (None: it is none) of an answer to a form; nothing is tried again or followed."""
    try:
        with client(url) as sender:
            auth = httpx.BasicAuth(*login) if login else httpx.USE_CLIENT_DEFAULT
            headers = {"Accept": "application/json"}
            response = sender.post(url, data=dict(fields), headers=headers, auth=auth)
    except httpx.TimeoutException:
        raise TransientFailure(f"{label} did not answer in time. It is tried again.") from None
    except httpx.HTTPError as error:
        raise TransientFailure(f"{label} cannot be reached: {type(error).__name__}.") from None
    try:
        return response.status_code, json.loads(response.content)
    except (ValueError, RecursionError):
        return response.status_code, None
