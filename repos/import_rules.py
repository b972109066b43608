"""Importing by itself what fits a rule, as soon as a connection sees it or a delivery names it.

A look at what a delivery names goes beside whoever was told, for the provider may be slow; what is missed
then is found by the next refresh.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from django.db import IntegrityError, transaction

from opssight.accounts.models import Role
from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.errors import InvalidInput, NotFound
from repos import access
from repos.beside import ask
from repos.events import Event, RepositoryAppeared, subscribe
from repos.filters import Filters
from repos.importing import take_in
from repos.models import Connection, ImportRule, Repository
from repos.providers.types import RemoteRepository

MOST: Final = 5_000  # repositories that the rules of a connection import at once
MOST_RULES: Final = 50  # of one connection


def make_rule(
    principal: Principal, connection: Connection, given: Mapping[str, Any], name: str = ""
) -> ImportRule:
    """Import by itself what fits these filters from now on. InvalidInput names what does not fit."""
    principal.require(Role.OPERATOR, connection.team_id)
    filters = replace(Filters.read(given), state="")  # only what is new is imported
    name = " ".join(name.split()) or filters.words[:100]
    if len(name) > 100 or not name.isprintable():
        sentence = "Give the rule a name of at most 100 characters."
        raise InvalidInput(sentence, [("name", sentence)])
    if connection.import_rules.count() >= MOST_RULES:
        raise InvalidInput(f"A connection has at most {MOST_RULES} rules. Remove one that is not needed.")
    rule = ImportRule(
        team_id=connection.team_id,
        connection=connection,
        name=name,
        filters=filters.as_json(),
        created_by=principal.user,
    )
    try:
        with transaction.atomic():
            rule.save(force_insert=True)
            _record("import_rule.create", rule, {"connection": connection.name, "filters": rule.filters})
    except IntegrityError:
        sentence = f"There is a rule called {name} already. Choose another name."
        raise InvalidInput(sentence, [("name", sentence)]) from None
    return rule


@transaction.atomic
def remove_rule(principal: Principal, rule: ImportRule) -> None:
    """Import nothing more by this rule; what it imported stays."""
    principal.require(Role.OPERATOR, rule.team_id)
    _record("import_rule.delete", rule, {"filters": rule.filters})
    rule.delete()


def apply_rules(connection: Connection, remotes: Iterable[RemoteRepository]) -> list[Repository]:
    """Import what is new and fits a rule: at most `MOST` at once, the others the next time.

    Archived ones only where a rule asks for them. One that was ignored or lost here is not new.
    """
    rules = list(connection.import_rules.order_by("id"))
    if not rules:
        return []
    known = set(connection.repositories.values_list("external_id", flat=True))
    left = [one for one in remotes if one.usable and one.external_id not in known]
    taken: list[Repository] = []
    for rule in rules:
        fits = _readable(rule).matcher()
        chosen = [one for one in left if fits(one, False)][: MOST - len(taken)]
        because = {"connection": connection.name, "rule": rule.name}
        taken += take_in(connection, chosen, because, "rule")
        mine = {one.external_id for one in chosen}
        left = [one for one in left if one.external_id not in mine]
    return taken


def _readable(rule: ImportRule) -> Filters:
    filters = Filters.read(rule.filters)
    return filters if filters.archived else replace(filters, archived="no")


def _record(action: str, rule: ImportRule, diff: Mapping[str, object]) -> None:
    record(action, team_id=rule.team_id, target=("import rule", rule.pk, rule.name), diff=diff)


# --- what a delivery names for the first time --------------------------------------------------------


def connect() -> None:
    subscribe(_heard, RepositoryAppeared)


def _heard(event: Event) -> None:
    if not isinstance(event, RepositoryAppeared):
        return
    rules = ImportRule.objects.filter(connection_id=event.connection_id)
    if team_id := rules.values_list("connection__team_id", flat=True).first():
        connection_id, external_id = event.connection_id, event.external_id
        key = ("appeared", connection_id, external_id)
        look = partial(look_at, connection_id, external_id)
        transaction.on_commit(partial(ask, key, 0.0, look, owner=team_id))


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
