"""What the original's addresses do, by the services of the other rooms."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from django.db.models import Q, QuerySet

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal, visible_to
from opssight.core.clock import now
from opssight.core.deadline import REQUEST_SECONDS, ending_within
from opssight.core.errors import Failure, InvalidInput
from opssight.repository_management.words import place_of, secrets_of
from repos import access, connections, inventory, selectors
from repos.discovery import Found, latest
from repos.models import Connection, Repository
from repos.providers.base import Provider
from repos.providers.forge import Forge
from repos.providers.types import Capability, RemoteRepository

FRESH: Final = dt.timedelta(minutes=5)  # a repository seen within this time is not asked again
_SORTS: Final[Mapping[str, Callable[[RemoteRepository], Any]]] = {
    "name": lambda one: one.full_name.lower(),
    "updated": lambda one: (one.pushed_at is None, -(one.pushed_at.timestamp() if one.pushed_at else 0)),
}


@ending_within(REQUEST_SECONDS)
def discover(
    principal: Principal,
    kind: str,
    token: str,
    *,
    url: str = "",
    search: str = "",
    visibility: str = "",
    sort: str = "name",
) -> list[RemoteRepository]:
    """What a token sees, or without one what the connections of this kind see. Raises a `Failure`."""
    words = search.lower().split()
    if not token and not _asked(principal, kind).exists():
        raise InvalidInput(
            f"There is no connection to {kind} yet. Send an access_token, or connect first.",
            [("access_token", "This is needed while nothing is connected.")],
        )
    found: Iterable[RemoteRepository]
    if token:
        found = access.provider_for(kind, {"url": url} if url else {}, {"token": token}).repositories()
    else:
        found = _kept(_asked(principal, kind))
    fitting = (
        one
        for one in found
        if all(word in one.full_name.lower() for word in words) and visibility in ("", "all", one.visibility)
    )
    return _sorted(fitting, sort)


@ending_within(REQUEST_SECONDS)
def search(principal: Principal, kind: str, words: str, sort: str) -> list[RemoteRepository]:
    """Repositories by words of their name, asked where the provider can search."""
    found: list[RemoteRepository] = []
    for connection in _asked(principal, kind):
        client = access.client_of(connection)
        if isinstance(client, Forge) and Capability.SEARCH in client.capabilities:
            found += client.search(words)
        else:
            found += (one for one in client.repositories() if words.lower() in one.full_name.lower())
    return _sorted(found, sort)


def connect(principal: Principal, team: Team, given: Mapping[str, Any]) -> Repository:
    """A connection to the server with this credential, and the one repository taken in."""
    principal.require(Role.ADMIN, team.pk)
    kind = given["connection_type"]
    place = place_of(kind, given["repository_url"])
    logins, secrets = secrets_of(kind, given["credential_type"], given["credentials"])
    options = {**place.options, **logins}
    client = access.provider_for(kind, options, secrets)
    identity, remote = client.identity(), _described(client, place.full_name)
    connection = connections.create_connection(principal, team, kind, given["name"], options, secrets)
    try:
        found = [Found(remote, None)]
        [repository] = inventory.import_repositories(principal, connection, [remote.external_id], found=found)
    except Failure:  # nothing is left half made
        connections.delete_connection(principal, connection, with_everything=True)
        raise
    connections.note_identity(connection, identity)
    access.note_ok(connection)
    return repository


def disconnect(principal: Principal, repository: Repository) -> None:
    """Leave it out from now on; its connection goes with the last of its repositories."""
    connection = repository.connection
    others = connection.repositories.exclude(pk=repository.pk).exclude(state=Repository.State.IGNORED)
    inventory.set_ignored(principal, repository, True)
    if not others.exists() and principal.may(Role.ADMIN, connection.team_id):
        connections.delete_connection(principal, connection, with_everything=True)


def sync(principal: Principal, repository: Repository, *, force: bool) -> dict[str, Any]:
    """Look at the repository now, unless that was done a moment ago. Raises a `Failure`."""
    principal.require(Role.OPERATOR, repository.team_id)
    seen = repository.head_seen_at
    if seen is not None and now() - seen < FRESH and not force:
        reason = "It was looked at less than 5 minutes ago. Send force=true to look again."
        return {"status": "skipped", "reason": reason, "sync_result": None, "last_sync": seen}
    before = repository.head_oid
    refs = access.look(repository)
    result = {
        "head": repository.head_oid,
        "default_branch": repository.default_branch,
        "changed": repository.head_oid != before,
        "branches": sum(1 for name in refs.refs if name.startswith(b"refs/heads/")),
        "tags": sum(1 for name in refs.refs if name.startswith(b"refs/tags/")),
    }
    return {
        "status": "completed",
        "reason": "",
        "sync_result": result,
        "last_sync": repository.head_seen_at,
    }


def repositories(principal: Principal, project_id: str = "") -> QuerySet[Repository]:
    """What the original lists as connections; `project_id` is a team."""
    rows = selectors.repositories(principal, state="all")
    return rows.filter(team_id=project_id) if project_id else rows


def with_status(rows: QuerySet[Repository], status: str) -> QuerySet[Repository]:
    """Those that `words.status_of` says this of."""
    ignored, active = Q(state=Repository.State.IGNORED), Q(state=Repository.State.ACTIVE)
    fine = active & Q(connection__state=Connection.State.OK)
    unknown = active & Q(connection__state=Connection.State.UNKNOWN)
    asked = {
        "disconnected": ignored,
        "active": fine,
        "inactive": unknown,
        "error": ~(ignored | fine | unknown),
    }
    return rows.filter(asked[status]) if status in asked else rows.none()  # nothing stays "syncing" here


def _kept(rows: Iterable[Connection]) -> list[RemoteRepository]:
    """What connections see. One that cannot be asked leaves out its own; a Failure when none can be."""
    found: list[RemoteRepository] = []
    failures: list[Failure] = []
    answered = False
    for row in rows:
        try:
            found += (one.remote for one in latest(row).found)
            answered = True
        except Failure as failure:
            failures.append(failure)
    if failures and not answered:
        raise failures[0]
    return found


def _asked(principal: Principal, kind: str) -> QuerySet[Connection]:
    """Connections whose credential the caller may use: not those that were only shared to be seen."""
    rows: QuerySet[Connection] = visible_to(Connection.objects.all(), principal, Role.OPERATOR)
    return rows.filter(provider=kind).order_by("name", "id")


def _described(client: Provider, full_name: str) -> RemoteRepository:
    """The repository of this name; a plain git server has none, but only the one that was named to it."""
    return client.repository_named(full_name) if full_name else next(client.repositories())


def _sorted(found: Iterable[RemoteRepository], sort: str) -> list[RemoteRepository]:
    unique = {(one.external_id, one.full_name): one for one in found}
    return sorted(unique.values(), key=_SORTS.get(sort, _SORTS["name"]))
