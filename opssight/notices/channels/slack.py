"""Slack's incoming webhooks. The address itself is the secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from opssight.notices.http import is_address, post
from opssight.notices.message import Message
from opssight.notices.models import Channel, Severity

_COLOURS = {Severity.INFO: "#2e7d32", Severity.WARNING: "#b26a00", Severity.ERROR: "#c62828"}
_SHORT = 40  # a value up to this length stands beside another one


def problems(secret: str, options: Mapping[str, Any]) -> list[tuple[str, str]]:
    if is_address(secret):
        return []
    return [
        ("secret", "Give the incoming webhook's address from Slack; it begins with https://hooks.slack.com/.")
    ]


def send(channel: Channel, message_id: str, message: Message) -> None:
    """Post the message as one attachment. Slack knows no id, so a second attempt shows twice."""
    body = json.dumps(payload(message)).encode()
    post(channel.secret, body, {"Content-Type": "application/json"}, who="Slack's webhook")


def payload(message: Message) -> dict[str, Any]:
    """The message in Slack's form: one attachment with a colour, a linked title and fields."""
    attachment: dict[str, Any] = {
        "fallback": _escape(message.sentence),
        "color": _COLOURS[message.severity],
        "title": _escape(message.title),
        "text": _escape(message.sentence),
        "fields": [
            {"title": _escape(label), "value": _escape(value), "short": len(value) <= _SHORT}
            for label, value in message.fields
        ],
        "footer": "OpsSight",
        "ts": int(message.at.timestamp()),
    }
    if message.url:
        attachment["title_link"] = message.url
    return {"attachments": [attachment]}


def _escape(text: str) -> str:
    """Slack reads `<…>` as links and mentions; names from elsewhere must not be able to make any."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
