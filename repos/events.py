"""What can happen to repositories and connections, and telling whoever listens, within one transaction."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from django.db import transaction

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that happened.

    `heard` is how we came to know (`webhook`, `poll`, …); `by` is who did it, when it was said.
    """

    heard: str
    by: str = ""
    delivery_id: uuid.UUID | None = None

    @property
    def name(self) -> str:
        return type(self).__name__


@dataclass(frozen=True, kw_only=True)
class RepositoryEvent(Event):
    """Something that happened to a repository we know."""

    repository_id: uuid.UUID


@dataclass(frozen=True, kw_only=True)
class Pushed(RepositoryEvent):
    """A branch or tag moved. A hint to look: `after` need not be the newest any more."""

    ref: str = ""  # refs/heads/main
    before: str = ""
    after: str = ""


@dataclass(frozen=True, kw_only=True)
class RepositoryChanged(RepositoryEvent):
    """The repository itself was renamed, archived, deleted, …; None and "" mean: not told.

    `full_name` is how it is called now. The row is brought up to date before others are told.
    """

    what: str  # as in `RepositoryNews`
    full_name: str = ""
    visibility: str = ""
    archived: bool | None = None
    default_branch: str = ""
    external_id: str = ""


@dataclass(frozen=True, kw_only=True)
class PullRequestChanged(RepositoryEvent):
    """A pull request was opened, changed or ended; the fields are those of `PullNews`."""

    number: int
    state: str  # open, merged, closed
    what: str  # the provider's word, such as "opened" or "synchronize"
    title: str = ""
    url: str = ""
    head: str = ""
    base: str = ""
    head_oid: str = ""
    merge_oid: str = ""


@dataclass(frozen=True, kw_only=True)
class PipelineChanged(RepositoryEvent):
    """A run of the provider's CI began, went on or ended; the fields are those of `PipelineNews`."""

    external_id: str
    state: str
    title: str = ""  # what the provider calls it
    ref: str = ""
    oid: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class RepositoryAppeared(Event):
    """A repository is said to be new to a connection. Ask the provider before believing it."""

    connection_id: uuid.UUID
    external_id: str
    full_name: str


@dataclass(frozen=True, kw_only=True)
class Imported(Event):
    """Repositories of a connection were taken into the inventory, or taken in again."""

    connection_id: uuid.UUID


@dataclass(frozen=True, kw_only=True)
class HealthChanged(Event):
    """The credential of a connection stopped being accepted (`dead`), or is accepted again."""

    connection_id: uuid.UUID
    dead: bool


@dataclass(frozen=True, kw_only=True)
class Transferred(Event):
    """A connection belongs to another team now, with its repositories and webhooks."""

    connection_id: uuid.UUID
    old_team_id: uuid.UUID
    team_id: uuid.UUID


@dataclass(frozen=True, kw_only=True)
class InstallationChanged(Event):
    """An installation of our GitHub App came, went, or sees other repositories now.

    `connection_ids` are those made from it that the webhook may speak for; none for a new one.
    """

    webhook_id: uuid.UUID
    installation_id: str
    what: str  # added, removed, suspended, unsuspended, repositories
    account: str = ""
    connection_ids: tuple[uuid.UUID, ...] = ()
    vanished: tuple[str, ...] = ()  # external ids of what it sees no more


Subscriber = Callable[[Event], None]
_subscribers: list[Subscriber] = []
_wanted: dict[Subscriber, tuple[type[Event], ...]] = {}


def subscribe(subscriber: Subscriber, *kinds: type[Event]) -> None:
    """Be called for events of these kinds (none: of any), inside the transaction of who publishes."""
    if subscriber not in _subscribers:
        _subscribers.append(subscriber)
        _wanted[subscriber] = kinds or (Event,)


def publish(event: Event) -> list[str]:
    """Tell every subscriber. A subscriber that fails is rolled back by itself and named in the answer."""
    failures = []
    for subscriber in _subscribers:
        if not isinstance(event, _wanted.get(subscriber, Event)):
            continue  # a savepoint for nothing would cost every delivery two statements
        try:
            with transaction.atomic():
                subscriber(event)
        except Exception as error:
            logger.exception("a subscriber of %s failed", event.name)
            failures.append(f"{subscriber.__module__}: {type(error).__name__}")
    return failures
