"""What starts a rule, as fields of the workbench: what stands in the form, and back, without loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self

from django.http import QueryDict

from syncs.copy.forms.option_fields import plain_lines
from syncs.copy.rules.listening import EVENTS, EVERY_TAG, PUSHES, Listening

_AWAITED: Final = {"push": "push", "pull_request": "merge", "tag": "tag"}


@dataclass(frozen=True)
class ListeningDraft:
    """The events that are ticked; `tags` is the glob as typed, also while `tag` is not ticked."""

    events: tuple[str, ...] = PUSHES.events
    tags: str = ""

    @classmethod
    def from_post(cls, post: QueryDict) -> Self:
        """A form without `tags` says nothing of it; with it, boxes that are not ticked are not there."""
        if "tags" not in post:
            return cls()
        return cls(tuple(post.getlist("events")[: len(EVENTS)]), plain_lines(str(post["tags"])))

    @classmethod
    def from_listening(cls, listening: Listening) -> Self:
        return cls(listening.events, "" if listening.tags == EVERY_TAG else listening.tags)

    def to_data(self) -> dict[str, Any]:
        """The keys that `read_listening` takes; what is as in a new rule is left out."""
        data: dict[str, Any] = {} if self.events == PUSHES.events else {"events": list(self.events)}
        if self.tags and "tag" in self.events:
            data["tags"] = self.tags
        return data

    @property
    def awaited(self) -> str:
        """What the rule waits for, such as `push, merge or tag`."""
        *first, last = [_AWAITED[event] for event in EVENTS if event in self.events] or ["change"]
        return f"{', '.join(first)} or {last}" if first else last
