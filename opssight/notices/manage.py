"""Making channels and rules, checked. Whoever calls this records it in the audit log."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import IntegrityError, transaction

from opssight.core.errors import Conflict, InvalidInput
from opssight.notices.channels import CHANNELS, webhook
from opssight.notices.models import Channel, NoticeRule, Severity


def save_channel(
    channel: Channel | None,
    *,
    team_id: uuid.UUID,
    name: str,
    scheme: str,
    secret: str = "",
    options: Mapping[str, Any] | None = None,
    enabled: bool = True,
) -> Channel:
    """Make a channel, or change `channel`; an empty `secret` keeps the one it has.

    A webhook without a secret gets one; read it from the result to show it once. Raises
    InvalidInput with the fields that do not fit, Conflict when the name is taken.
    """
    channel = channel or Channel(team_id=team_id, scheme=scheme)
    new_secret = secret.strip() or channel.secret
    if scheme == Channel.Scheme.WEBHOOK and not new_secret:
        new_secret = webhook.new_secret()
    problems = _problems(name.strip(), scheme, new_secret, options or {})
    if problems:
        raise InvalidInput("The channel was not saved.", problems)
    channel.name, channel.scheme, channel.secret = name.strip(), scheme, new_secret
    channel.options, channel.enabled, channel.sentence = dict(options or {}), enabled, ""
    try:
        with transaction.atomic():
            channel.save()
    except IntegrityError:
        raise Conflict(f"There is a channel {channel.name} already: choose another name.") from None
    return channel


def add_rule(
    channel: Channel, topics: Sequence[str] = (), severity: Severity = Severity.WARNING
) -> NoticeRule:
    """Have `channel` told about `topics` (none: all) from `severity` on."""
    return NoticeRule.objects.create(
        team_id=channel.team_id, channel=channel, topics=list(topics), min_severity=severity
    )


def set_rule(channel: Channel, topics: Sequence[str], severity: Severity) -> NoticeRule:
    """Have `channel` told about this and nothing else."""
    with transaction.atomic():
        channel.rules.all().delete()
        return add_rule(channel, topics, severity)


def _problems(name: str, scheme: str, secret: str, options: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = [] if 1 <= len(name) <= 100 else [("name", "Give the channel a name of at most 100 characters.")]
    kind = CHANNELS.get(scheme)
    if kind is None:
        return [*found, ("scheme", f"Choose one of {', '.join(CHANNELS)}.")]
    return found + kind.problems(secret, options)
