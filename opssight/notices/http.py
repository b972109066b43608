"""Sending over HTTP, only to where the installation's outbound policy allows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
from django.conf import settings

from opssight.core.clock import now
from opssight.core.env import Env
from opssight.core.errors import AuthFailure, NotFound, PermanentFailure, RateLimited, TransientFailure
from opssight.core.outbound import Policy
from opssight.core.outbound_http import client

MAX_ANSWER = 65_536  # bytes
LONGEST_WAIT = dt.timedelta(hours=1)

_policy: Callable[[], Policy] = Policy


def use_policy(policy: Callable[[], Policy]) -> None:
    """Tell where the policy comes from: administrators keep their list above this room."""
    global _policy
    _policy = policy


def is_address(url: str) -> bool:
    """Whether `url` is an http or https address with a host."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


def post(url: str, body: bytes, headers: Mapping[str, str], *, who: str) -> None:
    """POST `body`; return when it was accepted (2xx). Raises a `Failure` that names `who`."""
    env: Env = settings.ENV
    sender = client(
        _policy(),
        timeout=env.http_seconds,
        max_bytes=MAX_ANSWER,
        max_redirects=0,  # a POST that is redirected would not arrive
        ca=env.ca,
        proxy=env.proxy or None,
    )
    try:
        # streamed: only the status counts, however much is said beside it
        with (
            sender,
            sender.stream("POST", url, content=body, headers={"User-Agent": "OpsSight", **headers}) as answer,
        ):
            _judge(answer, who)
    except httpx.TimeoutException:
        raise TransientFailure(f"{who} did not answer within {env.http_seconds:.0f} s.") from None
    except httpx.HTTPError:
        raise TransientFailure(f"{who} could not be reached.") from None


def _judge(answer: httpx.Response, who: str) -> None:
    status = answer.status_code
    if 200 <= status < 300:
        return
    if status == 429:
        raise RateLimited(f"{who} asks to wait before the next message.", retry_at=_retry_at(answer))
    if status == 408 or status >= 500:
        raise TransientFailure(f"{who} answered with the error {status}.")
    if status in (401, 403):
        raise AuthFailure(f"{who} refused the message ({status}): check the address and the secret.")
    if status in (404, 410):
        raise NotFound(f"{who} does not exist any more ({status}): enter its new address.")
    if 300 <= status < 400:
        raise PermanentFailure(f"{who} points to another address ({status}): enter that address.")
    raise PermanentFailure(f"{who} did not accept the message ({status}).")


def _retry_at(answer: httpx.Response) -> dt.datetime:
    """When to try again: what Retry-After says (seconds or a date), at most an hour from now."""
    text = answer.headers.get("Retry-After", "").strip()
    at = now() + dt.timedelta(seconds=60)
    with suppress(ValueError, OverflowError):
        at = now() + dt.timedelta(seconds=int(text)) if text.isdigit() else _date(text)
    return min(max(at, now()), now() + LONGEST_WAIT)


def _date(text: str) -> dt.datetime:
    parsed = parsedate_to_datetime(text)
    return parsed.replace(tzinfo=parsed.tzinfo or dt.UTC)
