"""What is told: the same content for every channel."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from opssight.notices.models import Severity


@dataclass(frozen=True)
class Message:
    """One notice. `url` is absolute or empty; `fields` are (label, value) pairs in order.

    `topic` is what kind of thing it is about (`run.copy`), `subject` which one, `state` how it is.
    """

    topic: str
    subject: str
    state: str
    severity: Severity
    title: str
    sentence: str
    url: str
    fields: tuple[tuple[str, str], ...]
    at: dt.datetime

    def to_json(self) -> dict[str, Any]:
        """As it is stored and as an outgoing webhook carries it."""
        return {
            "topic": self.topic,
            "subject": self.subject,
            "state": self.state,
            "severity": self.severity.label,
            "title": self.title,
            "sentence": self.sentence,
            "url": self.url,
            "fields": [{"label": label, "value": value} for label, value in self.fields],
            "at": self.at.isoformat(),
        }

    @classmethod
    def from_json(cls, stored: dict[str, Any]) -> Message:
        return cls(
            topic=stored["topic"],
            subject=stored["subject"],
            state=stored["state"],
            severity=Severity[stored["severity"].upper()],
            title=stored["title"],
            sentence=stored["sentence"],
            url=stored["url"],
            fields=tuple((field["label"], field["value"]) for field in stored["fields"]),
            at=dt.datetime.fromisoformat(stored["at"]),
        )
