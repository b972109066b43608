"""A repository that a delivery names for the first time: import rules look at it at once.

The look goes beside whoever was told, for the provider may be slow. What is missed here is found by the
next refresh.
"""

from __future__ import annotations

import uuid

from django.db import transaction

from opssight.core.errors import NotFound
from repos import access
from repos.beside import ask
from repos.events import Event, RepositoryAppeared, subscribe
from repos.import_rules import apply_rules
from repos.models import Connection, ImportRule


def connect() -> None:
    subscribe(_heard, RepositoryAppeared)


def _heard(event: Event) -> None:
    if not isinstance(event, RepositoryAppeared):
        return
    if ImportRule.objects.filter(connection_id=event.connection_id, enabled=True).exists():
        connection_id, external_id = event.connection_id, event.external_id
        key = ("appeared", connection_id, external_id)
        transaction.on_commit(lambda: ask(key, 0.0, lambda: look_at(connection_id, external_id)))


def look_at(connection_id: uuid.UUID, external_id: str) -> int:
    """Ask the provider for one repository and import it where a rule wants that; how many were."""
    connection = Connection.objects.filter(pk=connection_id).first()
    if connection is None:
        return 0
    try:
        remote = access.client_of(connection).repository(external_id)
    except NotFound:  # gone again, or not there yet for everybody
        return 0
    return len(apply_rules(connection, [remote]))
