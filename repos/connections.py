"""Making, changing, testing and deleting connections: what pages, API and commands call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.deadline import ending_within
from opssight.core.errors import Conflict, Failure, InvalidInput, NotFound
from opssight.core.words import count, join_words
from repos import access, connectivity, health, managed_webhooks
from repos.connectivity import Step
from repos.models import Connection
from repos.network import Network, checked, shown
from repos.providers.base import Provider
from repos.providers.errors import TooSlow
from repos.providers.types import Identity, RemoteRepository
from repos.tokens import REFRESH, TOKEN, store_secret

_OF_AN_APP = (  # its tokens come by themselves, and would go to whatever is entered here
    "This connection was made from an installation of a GitHub App: only its name can be changed. "
    "Make another connection to use a token, a proxy or another server."
)
TEST_SECONDS = 60.0  # that a test may take at the API of a server
_LIST_SECONDS = 40.0  # of them for what it sees
_LISTED = 5  # repositories that cannot be used, named in a test's answer


@dataclass(frozen=True)
class Tested:
    """What a test of a connection found: `sees` repositories; `sentences` say it in words."""

    ok: bool
    identity: Identity | None
    sees: int
    sentences: list[str]
    steps: list[Step] = field(default_factory=list)  # of a stored connection


def create_connection(
    principal: Principal,
    team: Team,
    provider: str,
    name: str,
    options: Mapping[str, Any],
    secrets: Mapping[str, str],
    *,
    local: bool = False,
    ca: str = "",
    proxy: str = "",
) -> Connection:
    """Store a connection; contacts nobody. InvalidInput names the fields that do not fit.

    `local`: made on the command line of this machine, so any folder and host may be named. `ca` and
    `proxy`: see `repos.network`.
    """
    principal.require(Role.ADMIN, team.pk)
    network = checked(ca, proxy)
    client = access.provider_for(provider, options, secrets, trusted=local, network=network)
    connection = Connection(
        team=team,
        provider=provider,
        name=_name(name),
        options=client.options,
        local=local,
        ca=network.ca,
        proxy=network.proxy,
        created_by=principal.user,
    )
    with unique_name(connection.name), transaction.atomic():
        connection.save(force_insert=True)
        for purpose, secret in client.secrets.items():
            store_secret(connection, purpose, secret)
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
    ca: str | None = None,
    proxy: str | None = None,
) -> Connection:
    """Change what is given and keep the rest; an empty secret, `ca` or `proxy` removes it.

    Other options make a connection of the command line an ordinary one, unless `local` again. A
    stored secret is never sent to a server that it was not entered for, nor on another way: naming a
    new server, authority or proxy needs the secrets again. What waits for the connection tries it again.
    """
    principal.require(Role.ADMIN, connection.team_id)
    before = _shown(connection)
    changed = options is not None and dict(options) != connection.options
    other_way = (connection.ca, connection.proxy) != (
        connection.ca if ca is None else ca,
        connection.proxy if proxy is None else proxy,
    )
    if connection.installation_id and (changed or other_way or secrets):
        raise InvalidInput(_OF_AN_APP, [("", _OF_AN_APP)])
    trusted = local or (connection.local and not changed and not other_way)
    known = {row.purpose: row.secret for row in connection.credentials.exclude(purpose=REFRESH)}
    kept = {purpose: secret for purpose, secret in known.items() if purpose not in (secrets or {})}
    network = _new_network(connection, ca, proxy, kept)
    client = access.provider_for(
        connection.provider,
        connection.options if options is None else options,
        {**kept, **(secrets or {})},
        trusted=trusted,
        network=network,
    )
    if changed:
        _refuse_new_server(connection, client, known, kept)
    untried = changed or other_way or bool(secrets)
    connection.name = connection.name if name is None else _name(name)
    connection.options, connection.local = client.options, trusted
    connection.ca, connection.proxy = network.ca, network.proxy
    with unique_name(connection.name), transaction.atomic():
        connection.save(update_fields=["name", "options", "local", "ca", "proxy"])
        # what OAuth gave stays and goes with its token
        stay = [*client.secrets] if TOKEN in (secrets or {}) else [*client.secrets, REFRESH]
        connection.credentials.exclude(purpose__in=stay).delete()
        for purpose in client.secrets.keys() & (secrets or {}).keys():
            store_secret(connection, purpose, client.secrets[purpose])
        after = _shown(connection)
        diff: dict[str, object] = {k: [before[k], after[k]] for k in after if before[k] != after[k]}
        record(
            "connection.update",
            team_id=connection.team_id,
            target=_target(connection),
            diff={**diff, "secret_fields": sorted(secrets or {})},
        )
        if untried:
            health.note_new_secret(connection)
    return connection


def _shown(connection: Connection) -> dict[str, object]:
    """What the audit log may tell of it."""
    return {
        "name": connection.name,
        "options": connection.options,
        "ca": connection.ca,
        "proxy": shown(connection.proxy),
    }


def _new_network(
    connection: Connection, ca: str | None, proxy: str | None, kept: Mapping[str, str]
) -> Network:
    network = checked(connection.ca if ca is None else ca, connection.proxy if proxy is None else proxy)
    new = {network.ca, network.proxy} - {"", connection.ca, connection.proxy}
    if new and kept:
        sentence = "The stored secret was not entered for this way to the server. Enter it again."
        raise InvalidInput(sentence, [(purpose, sentence) for purpose in kept])
    return network


@ending_within(TEST_SECONDS)
def test_connection(connection: Connection) -> Tested:
    """Ask who we are, what is shown, and one repository by git; the connection's health follows."""
    try:
        client = access.client_of(connection)
        identity = client.identity()
    except Failure as failure:
        access.note_failure(connection, failure, whole=True)
        return _stopped(None, failure, [Step(connectivity.IDENTITY, "failed", failure.sentence)])
    steps = [Step(connectivity.IDENTITY, "ok", f"It works as {identity.account}.")]
    try:
        found, everything = _listed(client)
    except Failure as failure:
        access.note_failure(connection, failure, whole=True)
        return _stopped(identity, failure, [*steps, Step(connectivity.LIST, "failed", failure.sentence)])
    sentences = _sentences(identity, found, everything=everything)
    git, trouble = connectivity.git_step(connection, client, found)
    steps += [Step(connectivity.LIST, "ok", sentences[0]), git]
    steps += [connectivity.hook_step(connection), connectivity.limits_step(connection, client)]
    if trouble is None or isinstance(trouble, NotFound):
        access.note_ok(connection)
    else:
        access.note_failure(connection, trouble)
    note_identity(connection, identity)
    broken = [step.sentence for step in steps if step.state == "failed"]
    return Tested(not broken, identity, len(found), [*sentences, *broken], steps)


def _stopped(identity: Identity | None, failure: Failure, steps: list[Step]) -> Tested:
    rest = connectivity.not_reached(steps[-1].name)
    return Tested(False, identity, 0, [failure.sentence], [*steps, *rest])


def note_identity(connection: Connection, identity: Identity) -> None:
    """Keep whom the provider says we are, and when the token ends."""
    account = identity.account[:200]
    if connection.account != account:
        connection.account = account
        connection.save(update_fields=["account"])
    health.note_life(connection, identity.expires_at)


@ending_within(TEST_SECONDS)
def try_out(
    provider: str, options: Mapping[str, Any], secrets: Mapping[str, str], network: Network | None = None
) -> Tested:
    """Ask the provider before anything is stored. InvalidInput names the fields that do not fit.

    Only what may be reached from the browser and the API is reached.
    """
    access.refuse_in_transaction()
    client = access.provider_for(provider, options, secrets, network=network)
    try:
        identity = client.identity()
        found, everything = _listed(client)
    except Failure as failure:
        return Tested(ok=False, identity=None, sees=0, sentences=[failure.sentence])
    return Tested(
        ok=True,
        identity=identity,
        sees=len(found),
        sentences=_sentences(identity, found, everything=everything),
    )


def _listed(client: Provider) -> tuple[list[RemoteRepository], bool]:
    """What it sees, and whether that is everything: a test does not wait for a very long list."""
    found: list[RemoteRepository] = []
    try:
        with ending_within(_LIST_SECONDS):
            for one in client.repositories():
                found.append(one)  # noqa: PERF402 - what came in time counts
    except TooSlow:
        if not found:
            raise
        return found, False
    return found, True


def _sentences(identity: Identity, found: Sequence[RemoteRepository], *, everything: bool) -> list[str]:
    """How much it sees, and what of it cannot be used."""
    unusable = [one for one in found if not one.usable]
    seen = f"{'' if everything else 'more than '}{count(len(found), 'repository', 'repositories')}"
    sentences = [f"It sees {seen} as {identity.account}."]
    sentences += [f"{one.full_name}: {one.reason}" for one in unusable[:_LISTED]]
    if len(unusable) > _LISTED:
        sentences.append(f"{len(unusable) - _LISTED} more cannot be used.")
    return sentences


def what_hangs_on(connection: Connection) -> list[str]:
    """What would go with the connection, in words such as "3 repositories"."""
    repositories, webhooks = connection.repositories.count(), connection.webhooks.count()
    found = [count(repositories, "repository", "repositories")] if repositories else []
    return [*found, count(webhooks, "webhook")] if webhooks else found


def delete_connection(principal: Principal, connection: Connection, *, with_everything: bool = False) -> int:
    """Delete a connection and its secrets. Conflict when something hangs on it, unless that may go too.

    What a job still works with never goes: the job must be changed first. Webhooks that we registered are
    taken away at the provider; answers how many of them could not be, in the time there is.
    """
    principal.require(Role.ADMIN, connection.team_id)
    hanging = what_hangs_on(connection)
    if hanging and not with_everything:
        raise Conflict(
            f"{join_words(hanging)} would be deleted with {connection.name}. Confirm that they may go."
        )
    take_away = managed_webhooks.farewell(connection)
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
    return take_away()


def what_stays(number: int) -> str:
    """A sentence about webhooks that stay at the server of a deleted connection; "" when none does."""
    if not number:
        return ""
    them = "One webhook stays" if number == 1 else f"{number} webhooks stay"
    return f" {them} at the server and could not be removed now: remove what points to this address there."


def _refuse_new_server(
    connection: Connection, client: Provider, known: Mapping[str, str], kept: Mapping[str, str]
) -> None:
    used = access.provider_for(connection.provider, connection.options, known, trusted=True).origins
    if kept and client.origins - used:
        new = join_words(sorted(client.origins - used))
        sentence = f"{new} was not reached with this secret before. Enter the secret again for it."
        raise InvalidInput(sentence, [(purpose, sentence) for purpose in kept])


def _target(connection: Connection) -> tuple[str, object, str]:
    return ("connection", connection.pk, connection.name)


def _name(text: str) -> str:
    name = " ".join(text.split())
    if not 1 <= len(name) <= 100 or not name.isprintable():
        sentence = "Give the connection a name of at most 100 characters."
        raise InvalidInput(sentence, [("name", sentence)])
    return name


@contextmanager
def unique_name(name: str) -> Iterator[None]:
    """Turns the database's refusal of a name that is taken into a sentence."""
    try:
        yield
    except IntegrityError:
        sentence = f"There is a connection called {name} in this team already. Choose another name."
        raise InvalidInput(sentence, [("name", sentence)]) from None
