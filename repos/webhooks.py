"""Webhooks: making them, changing them, and trying them.

What arrives at them is judged in `repos.receiving`.
"""

from __future__ import annotations

import secrets as random
from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.db import transaction

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.errors import InvalidInput
from repos import sources
from repos.models import Connection, Repository, Webhook
from repos.providers.registry import scheme_named
from repos.receiving import Received, receive


def create_hook(
    principal: Principal,
    team: Team,
    scheme: str,
    *,
    name: str = "",
    secret: str = "",
    connection: Connection | None = None,
    repository: Repository | None = None,
) -> tuple[Webhook, str]:
    """A new webhook and its secret, which is made when none is given and never shown again.

    Bound to a repository, its deliveries are about that one whatever name the sender uses; bound to
    a connection, they are looked up there; else among all repositories of the team.
    """
    principal.require(Role.ADMIN, team.pk)
    label = scheme_named(scheme).label
    for bound in (connection, repository):
        if bound is not None and bound.team_id != team.pk:
            raise InvalidInput("This belongs to another team. Choose one of this team.")
    secret = _secret(secret)
    hook = Webhook(team=team, scheme=scheme, secret=secret, connection=connection, repository=repository)
    hook.name = _name(name or (f"{label}: {repository.full_name}" if repository else label))
    with transaction.atomic():
        hook.save(force_insert=True)
        record("webhook.create", team_id=team.pk, target=_target(hook), diff={"scheme": scheme})
    return hook, secret


@transaction.atomic
def update_hook(
    principal: Principal,
    hook: Webhook,
    *,
    name: str | None = None,
    paused: bool | None = None,
    allowed_sources: Sequence[str] | None = None,
) -> Webhook:
    """Rename, pause (deliveries are stored and not acted on) or resume a webhook.

    `allowed_sources`: the networks that deliveries may come from; none: from anywhere.
    """
    principal.require(Role.ADMIN, hook.team_id)
    fields = ["name", "state", "allowed_sources"]
    before = {field: getattr(hook, field) for field in fields}
    hook.name = hook.name if name is None else _name(name)
    if paused is not None:
        hook.state = Webhook.State.PAUSED if paused else Webhook.State.ACTIVE
    if allowed_sources is not None:
        hook.allowed_sources = sources.clean(allowed_sources)
    hook.save(update_fields=fields)
    after = {field: getattr(hook, field) for field in fields}
    changed = {key: [before[key], after[key]] for key in after if before[key] != after[key]}
    record("webhook.update", team_id=hook.team_id, target=_target(hook), diff=changed)
    return hook


@transaction.atomic
def rotate_secret(principal: Principal, hook: Webhook, secret: str = "") -> str:
    """Give the webhook a new secret. The old one counts as well until `end_rotation`."""
    principal.require(Role.ADMIN, hook.team_id)
    hook.previous_secret, hook.secret = hook.secret, _secret(secret)
    shown = hook.secret
    hook.save(update_fields=["secret", "previous_secret"])
    record("webhook.rotate", team_id=hook.team_id, target=_target(hook))
    return shown


@transaction.atomic
def end_rotation(principal: Principal, hook: Webhook) -> None:
    """From now on only the newest secret counts."""
    principal.require(Role.ADMIN, hook.team_id)
    hook.previous_secret = ""
    hook.save(update_fields=["previous_secret"])
    record("webhook.end_rotation", team_id=hook.team_id, target=_target(hook))


@transaction.atomic
def delete_hook(principal: Principal, hook: Webhook) -> None:
    """Delete a webhook with its deliveries; its address answers 404 from then on."""
    principal.require(Role.ADMIN, hook.team_id)
    record("webhook.delete", team_id=hook.team_id, target=_target(hook))
    hook.delete()


def send_test(principal: Principal, hook: Webhook) -> Received:
    """A signed delivery that asks for nothing, through the same code as any other."""
    principal.require(Role.OPERATOR, hook.team_id)
    headers, body = scheme_named(hook.scheme).example(hook.secret)
    return receive(hook, headers, body)


def url_of(hook: Webhook) -> str:
    """What to enter at the sender."""
    return f"{str(settings.PUBLIC_URL).rstrip('/')}{hook.path}"


def _secret(given: str) -> str:
    if not given.isprintable():
        sentence = "A secret is one line without control characters."
        raise InvalidInput(sentence, [("secret", sentence)])
    return given or random.token_urlsafe(32)


def _name(text: str) -> str:
    return " ".join(text.split())[:100]


def _target(hook: Webhook) -> tuple[str, Any, str]:
    return ("webhook", hook.pk, hook.name)
