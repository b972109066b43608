"""The ways to reach people, by scheme."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opssight.notices.channels import slack, smtp, webhook
from opssight.notices.message import Message
from opssight.notices.models import Channel


@dataclass(frozen=True)
class ChannelKind:
    """One scheme.

    `send(channel, message_id, message)` returns when the other side took the message and raises a
    `Failure` otherwise. `problems(secret, options)` names what is wrong as (field, sentence).
    """

    label: str
    send: Callable[[Channel, str, Message], None]
    problems: Callable[[str, Mapping[str, Any]], list[tuple[str, str]]]


CHANNELS: dict[str, ChannelKind] = {
    "slack": ChannelKind("Slack", slack.send, slack.problems),
    "smtp": ChannelKind("E-mail", smtp.send, smtp.problems),
    "webhook": ChannelKind("Webhook", webhook.send, webhook.problems),
}
