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
from opssight.accounts.scope import NotAllowed, Principal
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
    secret = secret_of(secret)
    hook = Webhook(team=team, scheme=scheme, secret=secret, connection=connection, repository=repository)
    hook.name = _name(name or (f"{label}: {repository.full_name}" if repository else label))
    with transaction.atomic():
        hook.save(force_insert=True)
        record("webhook.create", team_id=team.pk, target=target_of(hook), diff={"scheme": scheme})
    return hook, secret


def may_change(principal: Principal, hook: Webhook) -> bool:
    """Whether this is an administrator of its team, for the one of a GitHub App one of the installation.

    All teams share that one: whoever pauses it or takes it away does so for everybody, and no token may.
    """
    if hook.instance_id and not (principal.team is None and principal.user.is_superuser):
        return False
    return principal.may(Role.ADMIN, hook.team_id)


def require_change(principal: Principal, hook: Webhook) -> None:
    """NotAllowed for whoever may not change the webhook."""
    principal.require(Role.ADMIN, hook.team_id)
    if not may_change(principal, hook):
        raise NotAllowed(
            "All teams share the webhook of a GitHub App. Ask an administrator of this installation."
        )


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
    require_change(principal, hook)
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
    record("webhook.update", team_id=hook.team_id, target=target_of(hook), diff=changed)
    return hook


def send_test(principal: Principal, hook: Webhook) -> Received:
    """A signed delivery that asks for nothing, through the same code as any other."""
    principal.require(Role.OPERATOR, hook.team_id)
    headers, body = scheme_named(hook.scheme).example(hook.secret)
    return receive(hook, headers, body)


def url_of(hook: Webhook) -> str:
    """What to enter at the sender."""
    return f"{str(settings.PUBLIC_URL).rstrip('/')}{hook.path}"


def secret_of(given: str) -> str:
    """What was given, or a new one. InvalidInput for what no sender can enter."""
    if not given.isprintable():
        sentence = "A secret is one line without control characters."
        raise InvalidInput(sentence, [("secret", sentence)])
    return given or random.token_urlsafe(32)


def _name(text: str) -> str:
    return " ".join(text.split())[:100]


def target_of(hook: Webhook) -> tuple[str, Any, str]:
    """What the audit log names."""
    return ("webhook", hook.pk, hook.name)
