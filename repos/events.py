"""What can happen to a repository, and telling whoever listens, within one transaction."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """Something that happened to a repository we know.

    `heard` is how we came to know (`webhook`, `poll`, …); `by` is who did it, when it was said.
    """

    repository_id: uuid.UUID
    heard: str
    by: str = ""
    delivery_id: uuid.UUID | None = None

    @property
    def name(self) -> str:
        return type(self).__name__


@dataclass(frozen=True)
class Pushed(Event):
    """A branch or tag moved. A hint to look: `after` need not be the newest any more."""

    ref: str = ""  # refs/heads/main
    before: str = ""
    after: str = ""


Subscriber = Callable[[Event], None]
_subscribers: list[Subscriber] = []


def subscribe(subscriber: Subscriber) -> None:
    """Be called for each published event, inside the publisher's transaction."""
    if subscriber not in _subscribers:
        _subscribers.append(subscriber)


def publish(event: Event) -> list[str]:
    """Tell every subscriber. A subscriber that fails is rolled back by itself and named in the answer."""
    failures = []
    for subscriber in _subscribers:
        try:
            with transaction.atomic():
                subscriber(event)
        except Exception as error:
            logger.exception("a subscriber of %s failed", event.name)
            failures.append(f"{subscriber.__module__}: {type(error).__name__}")
    return failures
