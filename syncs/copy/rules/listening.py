"""What sets a copy off by itself: pushes, merged pull requests, tags. Schedule, button and API always do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from opssight.core.errors import InvalidInput
from opssight.core.yamlsafe import KeyPath
from syncs.copy.rules.patterns import glob
from syncs.copy.rules.reading import Reader

EventName = Literal["push", "pull_request", "tag"]
EVENTS: Final[tuple[EventName, ...]] = get_args(EventName)
EVERY_TAG: Final = "**"
MAX_TAGS: Final = 200  # characters of the glob; a trigger's ref holds it
LISTEN_KEYS: Final = ("events", "tags")


@dataclass(frozen=True)
class Listening:
    """`events` in the order of `EVENTS`; `tags` is a glob of tag names, used with the event `tag`."""

    events: tuple[EventName, ...] = ("push",)
    tags: str = EVERY_TAG

    @property
    def only_tags(self) -> bool:
        """Whether it copies what is tagged, and nothing between two tags."""
        return self.events == ("tag",)


PUSHES: Final = Listening()
AS_A_COPIER: Final = Listening(("push", "pull_request"))
"""What a copier's file means: merged pull requests, and pushes, which the copier itself overlooked."""


def tag_fits(pattern: str, name: str) -> bool:
    """Whether a glob takes a tag; one that cannot be read takes none."""
    try:
        return glob(pattern).matches(name.encode("utf-8", "replace"))
    except InvalidInput:
        return False


def read_listening(reader: Reader, holder: Mapping[str, object], *, default: Listening = PUSHES) -> Listening:
    """`events` and `tags` in the keys of `holder`, the top of a configuration; problems go to the reader."""
    events = default.events
    if holder.get("events") is not None:
        events = _events(reader, holder["events"], ("events",))
    tags = reader.text(holder, "tags", (), limit=MAX_TAGS, default="")
    if tags and "tag" not in events:
        reader.error(("tags",), "tags is used with the event tag; add tag to events.")
    if tags:
        try:
            glob(tags)
        except InvalidInput as error:
            reader.error(("tags",), error.sentence)
            tags = ""
    return Listening(events, tags or EVERY_TAG)


def _events(reader: Reader, value: object, path: KeyPath) -> tuple[EventName, ...]:
    names = reader.texts(value, path, count=10, limit=50)
    if value == []:
        reader.error(path, f"Give at least one event: {', '.join(EVENTS)}.")
    for index, name in enumerate(names):
        if name not in EVENTS:
            reader.error((*path, index), f"{name!r} is not an event; use {' or '.join(EVENTS)}.")
    return tuple(event for event in EVENTS if event in names) or PUSHES.events


def listening_data(listening: Listening, default: Listening = PUSHES) -> dict[str, object]:
    """The keys that `read_listening` takes back; what is as in `default` is left out."""
    data: dict[str, object] = {}
    if listening.events != default.events:
        data["events"] = list(listening.events)
    if listening.tags != EVERY_TAG and "tag" in listening.events:
        data["tags"] = listening.tags
    return data
