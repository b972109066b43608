"""Connecting by a button: a person allows us in at the provider, and a connection comes of it."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.errors import Conflict
from repos import access, connections
from repos.instances import Instance, callback_of
from repos.models import Connection
from repos.providers.oauth import Grant
from repos.providers.types import Identity
from repos.tokens import store_grant


def address_to_send_to(instance: Instance, state: str, verifier: str) -> str:
    """Where the person allows us in; `state` and `verifier` stay in the session."""
    client = access.oauth_of(instance)
    return client.authorize_url(callback_of(instance.provider.kind), state, verifier)


def connect(principal: Principal, team: Team, instance: Instance, code: str, verifier: str) -> Connection:
    """A new connection from what the browser brought back. Raises a `Failure`."""
    principal.require(Role.ADMIN, team.pk)
    grant, identity = _granted(instance, code, verifier)
    name = free_name(team, f"{instance.provider.label}: {identity.account}")
    secrets = {"token": grant.token}
    connection = connections.create_connection(
        principal, team, instance.provider.kind, name, _options(instance), secrets
    )
    store_grant(connection, grant)
    _note(connection, identity)
    return connection


def reconnect(
    principal: Principal, connection: Connection, instance: Instance, code: str, verifier: str
) -> Connection:
    """New tokens for a connection. Conflict when another account allowed us in than before."""
    principal.require(Role.ADMIN, connection.team_id)
    if not can_be_reconnected(connection, instance.kind, instance.url):
        raise Conflict(
            f"{connection.name} is not a connection that the button of {instance.label} made. "
            "Make another connection."
        )
    grant, identity = _granted(instance, code, verifier)
    if connection.account and connection.account != identity.account:
        raise Conflict(
            f"{connection.name} works as {connection.account}, and you allowed us in as {identity.account}. "
            "Sign in there as the right account, or make another connection."
        )
    with transaction.atomic():
        store_grant(connection, grant)
        target = ("connection", connection.pk, connection.name)
        record("connection.reconnect", team_id=connection.team_id, target=target)
    _note(connection, identity)
    return connection


def can_be_reconnected(connection: Connection, kind: str, url: str) -> bool:
    """Whether tokens of this server may go where the connection's go: the same server, on the usual way."""
    same = (kind, url) == (connection.provider, str(connection.options.get("url") or ""))
    return same and not (connection.installation_id or connection.ca or connection.proxy)


def _granted(instance: Instance, code: str, verifier: str) -> tuple[Grant, Identity]:
    grant = access.oauth_of(instance).exchange(code, callback_of(instance.provider.kind), verifier)
    client = access.provider_for(instance.provider.kind, _options(instance), {"token": grant.token})
    return grant, client.identity()


def _options(instance: Instance) -> dict[str, Any]:
    return {"url": instance.url} if instance.url else {}


def _note(connection: Connection, identity: Identity) -> None:
    access.note_ok(connection)
    connections.note_identity(connection, identity)


def free_name(team: Team, wanted: str) -> str:
    """The name, or one with a number where a connection of the team has it already."""
    taken = set(Connection.objects.filter(team=team).values_list("name", flat=True))
    names = [wanted[:90], *(f"{wanted[:90]} {number}" for number in range(2, 1_000))]
    return next(name for name in names if name not in taken)
