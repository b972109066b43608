"""One end for a whole question that somebody waits for, however many requests it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

REQUEST_SECONDS: Final = 100.0  # of a request of ours that waits for other servers; proxies wait for 120

_ends_at: ContextVar[float | None] = ContextVar("opssight_ends_at", default=None)


@contextmanager
def ending_within(seconds: float) -> Iterator[None]:
    """What is asked in this context ends within `seconds`, or earlier where another end was set before.

    A thread that is started here knows of it only when it runs in a copy of the context.
    """
    ends = time.monotonic() + seconds
    outer = _ends_at.get()
    token = _ends_at.set(ends if outer is None else min(ends, outer))
    try:
        yield
    finally:
        _ends_at.reset(token)


def seconds_left() -> float | None:
    """Until the end, below zero after it; None where nobody waits."""
    ends = _ends_at.get()
    return None if ends is None else ends - time.monotonic()


def is_over() -> bool:
    left = seconds_left()
    return left is not None and left <= 0
