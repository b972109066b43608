"""Making, changing, testing and deleting connections: what pages, API and commands call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.errors import Conflict, Failure, InvalidInput
from opssight.core.words import count, join_words
from repos import access
from repos.models import Connection, Credential
from repos.providers.base import Provider
from repos.providers.types import Identity
from repos.tokens import REFRESH, TOKEN

_LISTED = 5  # repositories that cannot be used, named in a test's answer


@dataclass(frozen=True)
class Tested:
    """What a test of a connection found: `sees` repositories; `sentences` say it in words."""

    ok: bool
    identity: Identity | None
    sees: int
    sentences: list[str]


def create_connection(
    principal: Principal,
    team: Team,
    provider: str,
    name: str,
    options: Mapping[str, Any],
    secrets: Mapping[str, str],
    *,
    local: bool = False,
) -> Connection:
    """Store a connection; contacts nobody. InvalidInput names the fields that do not fit.

    `local`: made on the command line of this machine, so any folder and host may be named.
    """
    principal.require(Role.ADMIN, team.pk)
    client = access.provider_for(provider, options, secrets, trusted=local)
    connection = Connection(
        team=team,
        provider=provider,
        name=_name(name),
        options=client.options,
        local=local,
        created_by=principal.user,
    )
    with _unique_name(connection.name), transaction.atomic():
        connection.save(force_insert=True)
        _store_secrets(connection, client.secrets)
        record(
            "connection.create",
            team_id=team.pk,
            target=_target(connection),
            diff={"provider": provider, "options": client.options, "secret_fields": sorted(client.secrets)},
        )
    return connection


def update_connection(
    principal: Principal,
    connection: Connection,
    *,
    name: str | None = None,
    options: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    local: bool = False,
) -> Connection:
    """Change what is given and keep the rest; an empty secret removes it.

    Other options make a connection of the command line an ordinary one, unless `local` again. A
    stored secret is never sent to a server that it was not entered for: naming a new server needs
    the secrets again.
    """
    principal.require(Role.ADMIN, connection.team_id)
    before = {"name": connection.name, "options": connection.options}
    changed = options is not None and dict(options) != connection.options
    trusted = local or (connection.local and not changed)
    known = {row.purpose: row.secret for row in connection.credentials.exclude(purpose=REFRESH)}
    kept = {purpose: secret for purpose, secret in known.items() if purpose not in (secrets or {})}
    client = access.provider_for(
        connection.provider,
        connection.options if options is None else options,
        {**kept, **(secrets or {})},
        trusted=trusted,
    )
    if changed:
        _refuse_new_server(connection, client, known, kept)
    connection.name = connection.name if name is None else _name(name)
    connection.options, connection.local = client.options, trusted
    with _unique_name(connection.name), transaction.atomic():
        connection.save(update_fields=["name", "options", "local"])
        # what OAuth gave stays and goes with its token
        stay = [*client.secrets] if TOKEN in (secrets or {}) else [*client.secrets, REFRESH]
        connection.credentials.exclude(purpose__in=stay).delete()
        _store_secrets(connection, {p: s for p, s in client.secrets.items() if p in (secrets or {})})
        after = {"name": connection.name, "options": connection.options}
        diff: dict[str, object] = {k: [before[k], after[k]] for k in after if before[k] != after[k]}
        record(
            "connection.update",
            team_id=connection.team_id,
            target=_target(connection),
            diff={**diff, "secret_fields": sorted(secrets or {})},
        )
    return connection


def test_connection(connection: Connection) -> Tested:
    """Ask the provider who we are and what it shows us; the connection's health follows."""
    try:
        tested, account = _ask(access.client_of(connection))
    except Failure as failure:
        access.note_failure(connection, failure, whole=True)
        return Tested(ok=False, identity=None, sees=0, sentences=[failure.sentence])
    access.note_ok(connection)
    if connection.account != account:
        connection.account = account
        connection.save(update_fields=["account"])
    return tested


def try_out(provider: str, options: Mapping[str, Any], secrets: Mapping[str, str]) -> Tested:
    """Ask the provider before anything is stored. InvalidInput names the fields that do not fit.

    Only what may be reached from the browser and the API is reached.
    """
    access.refuse_in_transaction()
    client = access.provider_for(provider, options, secrets)
    try:
        return _ask(client)[0]
    except Failure as failure:
        return Tested(ok=False, identity=None, sees=0, sentences=[failure.sentence])


def _ask(client: Provider) -> tuple[Tested, str]:
    """What the provider answers, and the account as it is stored. Raises a `Failure`."""
    identity = client.identity()
    found = list(client.repositories())
    unusable = [one for one in found if not one.usable]
    sentences = [f"It sees {count(len(found), 'repository', 'repositories')} as {identity.account}."]
    sentences += [f"{one.full_name}: {one.reason}" for one in unusable[:_LISTED]]
    if len(unusable) > _LISTED:
        sentences.append(f"{len(unusable) - _LISTED} more cannot be used.")
    return Tested(ok=True, identity=identity, sees=len(found), sentences=sentences), identity.account[:200]


def what_hangs_on(connection: Connection) -> list[str]:
    """What would go with the connection, in words such as "3 repositories"."""
    repositories, webhooks = connection.repositories.count(), connection.webhooks.count()
    found = [count(repositories, "repository", "repositories")] if repositories else []
    return [*found, count(webhooks, "webhook")] if webhooks else found


def delete_connection(principal: Principal, connection: Connection, *, with_everything: bool = False) -> None:
    """Delete a connection and its secrets. Conflict when something hangs on it, unless that may go too.

    What a job still works with never goes: the job must be changed first.
    """
    principal.require(Role.ADMIN, connection.team_id)
    hanging = what_hangs_on(connection)
    if hanging and not with_everything:
        raise Conflict(
            f"{join_words(hanging)} would be deleted with {connection.name}. Confirm that they may go."
        )
    try:
        with transaction.atomic():
            record(
                "connection.delete",
                team_id=connection.team_id,
                target=_target(connection),
                diff={"with": hanging},
            )
            connection.delete()
    except ProtectedError as error:
        kinds = Counter(row._meta.verbose_name for row in error.protected_objects)
        users = join_words([count(n, str(kind)) for kind, n in sorted(kinds.items())])
        raise Conflict(
            f"{users} still work with repositories of {connection.name}. Change or delete those jobs first."
        ) from None


def _refuse_new_server(
    connection: Connection, client: Provider, known: Mapping[str, str], kept: Mapping[str, str]
) -> None:
    used = access.provider_for(connection.provider, connection.options, known, trusted=True).origins
    if kept and client.origins - used:
        new = join_words(sorted(client.origins - used))
        sentence = f"{new} was not reached with this secret before. Enter the secret again for it."
        raise InvalidInput(sentence, [(purpose, sentence) for purpose in kept])


def _store_secrets(connection: Connection, secrets: Mapping[str, str]) -> None:
    for purpose, secret in secrets.items():
        row = connection.credentials.filter(purpose=purpose).first()
        row = row or Credential(connection=connection, purpose=purpose)
        row.secret, row.expires_at = secret, None
        row.save()


def _target(connection: Connection) -> tuple[str, object, str]:
    return ("connection", connection.pk, connection.name)


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= 100 or not name.isprintable():
        sentence = "Give the connection a name of at most 100 characters."
        raise InvalidInput(sentence, [("name", sentence)])
    return name


@contextmanager
def _unique_name(name: str) -> Iterator[None]:
    """Turns the database's refusal of a name that is taken into a sentence."""
    try:
        yield
    except IntegrityError:
        sentence = f"There is a connection called {name} in this team already. Choose another name."
        raise InvalidInput(sentence, [("name", sentence)]) from None
