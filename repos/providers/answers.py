"""What the answers of servers say beside their data."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from opssight.core.errors import TransientFailure
from repos.providers.wire import Budget


def read_json(body: bytes, label: str) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise TransientFailure(f"{label} answered with something that is not JSON.") from None


def wait_until(headers: Mapping[str, str], budget: Budget | None) -> dt.datetime:
    """When to ask again: what the server says, at least a second, at most a day; else in a minute."""
    now = dt.datetime.now(dt.UTC)
    after = headers.get("retry-after", "")
    if after.isascii() and after.isdecimal() and len(after) < 9:
        until = now + dt.timedelta(seconds=int(after))
    elif budget is not None and budget.remaining == 0:
        until = budget.reset_at
    else:
        until = now + dt.timedelta(seconds=60)
    return min(max(until, now + dt.timedelta(seconds=1)), now + dt.timedelta(days=1))


def origin_of(url: str) -> tuple[str, str, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    except ValueError:
        return ("", "", None)
    return (parts.scheme, parts.hostname or "", port)
