"""What mends a connection whose credential is refused: connecting again by a button, or another token."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.urls import reverse

from opssight.web.parts import Action
from repos.instances import instances
from repos.models import Connection
from repos.oauth import can_be_reconnected

Place = tuple[str, str]  # a provider's kind, and the address of its instance ("" is the public one)

STATE_KEYS: Final = {
    Connection.State.OK: "ok",
    Connection.State.DEGRADED: "degraded",
    Connection.State.REAUTH: "reauth",
    Connection.State.REVOKED: "revoked",
    Connection.State.BLOCKED: "blocked",
    Connection.State.UNKNOWN: "unknown",
}
"""The health of a connection as keys of `opssight.web.states.STATES`."""


def button_places() -> frozenset[Place]:
    """Where people can connect by a button. One query."""
    return frozenset((one.kind, one.url) for one in instances())


def mend(connection: Connection, places: Collection[Place]) -> Action:
    """The one thing to do, for an administrator of its team."""
    place = (connection.provider, str(connection.options.get("url") or ""))
    if place in places and can_be_reconnected(connection, *place):
        fields = {"provider": place[0], "url": place[1], "connection": str(connection.pk)}
        return Action("Connect again", reverse("oauth_start"), "link", "primary", "post", fields)
    if connection.installation_id and connection.instance_id:
        fields = {"app": str(connection.instance_id)}
        return Action("Install again", reverse("github_app_install"), "link", "primary", "post", fields)
    edit = reverse("connection_edit", args=[connection.pk])
    return Action("Enter a new token", edit, "key", "primary")
