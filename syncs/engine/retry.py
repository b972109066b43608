"""When to try again: backoff with full jitter, by class of error."""

from __future__ import annotations

import datetime as dt
import random
from dataclasses import dataclass

from django.conf import settings

from opssight.core.errors import ErrorClass, Failure, TransientFailure

MAX_CRASHES = 3
_FIRST = 5.0  # seconds
_CAP = 15 * 60.0


class NotYet(TransientFailure):
    """Nothing is wrong, only somebody else is not ready: look again at `retry_at`, as often as it takes."""


@dataclass(frozen=True)
class Wait:
    """Put the run back into the queue: not before `seconds` from now (database clock)."""

    seconds: float
    reason: str
    counts: bool = True  # whether this was an attempt


def backoff(attempt: int) -> float:
    """Seconds to wait after failed attempt number `attempt` (1, 2, …); full jitter, at most 15 min."""
    ceiling = min(_CAP, _FIRST * 2 ** (attempt - 1))
    return random.uniform(1.0, ceiling)  # noqa: S311 - spreading load, not a secret


def wait_for(failure: Failure, attempt: int, now: dt.datetime) -> Wait | None:
    """How long to wait before trying again, or None when it would fail the same way."""
    if failure.error_class is ErrorClass.RATE_LIMITED or isinstance(failure, NotYet):
        until = failure.retry_at or now + dt.timedelta(minutes=1)
        seconds = max((until - now).total_seconds(), 0.0) + random.uniform(0.0, 5.0)  # noqa: S311
        return Wait(seconds, failure.sentence, counts=False)
    if not failure.retryable or attempt >= settings.MAX_ATTEMPTS:
        return None
    return Wait(
        backoff(attempt), f"{failure.sentence} Trying again, {attempt + 1} of {settings.MAX_ATTEMPTS}."
    )


def crash_wait(crash_count: int) -> float:
    """Seconds before a run whose worker died is tried again.

    The first time at once. Later with jitter, so that an innocent run that shared a worker with a
    deadly one does not start beside it again.
    """
    lease = settings.LEASE_SECONDS
    return 0.0 if crash_count <= 1 else random.uniform(lease / 12, lease / 2)  # noqa: S311
