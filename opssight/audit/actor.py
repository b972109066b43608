"""Who does something: known to every service without being passed along."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum


class ActorKind(StrEnum):
    USER = "user"
    TOKEN = "token"  # noqa: S105 - a word, not a token
    SYSTEM = "system"
    CLI = "cli"
    WEBHOOK = "webhook"


@dataclass(frozen=True)
class Actor:
    """Who did it: `id` is the id of the user, token or webhook; `label` is what people read."""

    kind: ActorKind
    id: str = ""
    label: str = ""

    @classmethod
    def of_user(cls, id: object, label: str) -> Actor:
        return cls(ActorKind.USER, str(id), label)

    @classmethod
    def of_token(cls, id: object, label: str) -> Actor:
        return cls(ActorKind.TOKEN, str(id), label)

    @classmethod
    def of_webhook(cls, id: object, label: str) -> Actor:
        return cls(ActorKind.WEBHOOK, str(id), label)

    @classmethod
    def system(cls, label: str = "OpsSight") -> Actor:
        """OpsSight itself: schedules, workers, whatever nobody asked for just now."""
        return cls(ActorKind.SYSTEM, "", label)

    @classmethod
    def cli(cls) -> Actor:
        """The person at the keyboard, by the name of the operating system's user."""
        try:
            name = getpass.getuser()
        except (KeyError, OSError):  # a container's user need not have a name
            name = "command line"
        return cls(ActorKind.CLI, "", name)


_current: ContextVar[Actor | None] = ContextVar("opssight_actor", default=None)


def current_actor() -> Actor:
    """Who acts here: what `acting_as` said, else the system. New threads start as the system."""
    return _current.get() or Actor.system()


@contextmanager
def acting_as(actor: Actor) -> Iterator[None]:
    """What is recorded inside was done by `actor`."""
    token = _current.set(actor)
    try:
        yield
    finally:
        _current.reset(token)
