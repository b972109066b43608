"""Finding repositories and keeping the inventory true: what pages, API and commands call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from opssight.accounts.models import Role
from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.errors import Failure, InvalidInput
from opssight.core.words import count
from repos import access
from repos.models import Connection, Repository
from repos.providers.types import RemoteRepository

_BATCH = 200  # rows in one transaction: SQLite has one writer at a time
_TOLD = (
    "full_name",
    "description",
    "default_branch",
    "visibility",
    "archived",
    "fork",
    "size_bytes",
    "topics",
    "pushed_at",
    "language",
    "web_url",
)
_LOST = "The connection does not see this repository any more. Was it deleted, or the access taken away?"


@dataclass(frozen=True)
class Found:
    """A repository that a connection sees, and its row here, if it was imported."""

    remote: RemoteRepository
    known: Repository | None


@dataclass(frozen=True)
class Refreshed:
    """What a refresh changed, as full names; a rename is (before, after)."""

    seen: int
    renamed: list[tuple[str, str]]
    lost: list[str]
    back: list[str]

    @property
    def sentence(self) -> str:
        parts = [f"{count(self.seen, 'repository', 'repositories')} seen"]
        parts += [f"{len(names)} {word}" for word, names in self._changes() if names]
        return ", ".join(parts) + "."

    def _changes(self) -> list[tuple[str, Sequence[object]]]:
        return [("renamed", self.renamed), ("not seen any more", self.lost), ("back again", self.back)]


def discover(connection: Connection) -> list[Found]:
    """Everything that the connection sees, by name; changes nothing but the connection's health."""
    try:
        remotes = list(access.client_of(connection).repositories())
    except Failure as failure:
        access.note_failure(connection, failure, whole=True)
        raise
    access.note_ok(connection)
    known = {row.external_id: row for row in connection.repositories.all()}
    found = [Found(remote, known.get(remote.external_id)) for remote in remotes]
    return sorted(found, key=lambda one: one.remote.full_name.lower())


def import_repositories(
    principal: Principal,
    connection: Connection,
    external_ids: Collection[str] | None = None,
    *,
    found: list[Found] | None = None,
) -> list[Repository]:
    """Take repositories into the inventory, all usable ones when none are named.

    Asks the provider, unless `found` is what `discover` answered just now.
    Those that are there already are brought up to date. InvalidInput names each that the connection
    does not see or that cannot be used; then nothing is imported.
    """
    principal.require(Role.OPERATOR, connection.team_id)
    found = discover(connection) if found is None else found
    if external_ids is None:
        chosen = [one for one in found if one.remote.usable]
    else:
        chosen = [one for one in found if one.remote.external_id in external_ids]
        _refuse(set(external_ids), chosen)
    imported: list[Repository] = []
    for start in range(0, len(chosen), _BATCH):
        imported += _import_batch(connection, chosen[start : start + _BATCH])
    return imported


def refresh(connection: Connection) -> Refreshed:
    """Ask the provider again: renamed repositories stay the same row, vanished ones are kept as lost.

    A listing that fails changes nothing.
    """
    found = discover(connection)
    renamed: list[tuple[str, str]] = []
    back: list[str] = []
    for one in found:
        row = one.known
        if row is None:
            continue
        if row.full_name != one.remote.full_name:
            renamed.append((row.full_name, one.remote.full_name))
        if row.state == Repository.State.LOST_ACCESS:
            back.append(one.remote.full_name)
        _bring_up_to_date(row, one.remote)
    lost = _mark_lost(connection, {one.remote.external_id for one in found})
    return Refreshed(seen=len(found), renamed=renamed, lost=lost, back=back)


@transaction.atomic
def set_ignored(principal: Principal, repository: Repository, ignored: bool) -> Repository:
    """Leave a repository out of lists and proposals, or take it in again."""
    principal.require(Role.OPERATOR, repository.team_id)
    state = Repository.State.IGNORED if ignored else Repository.State.ACTIVE
    if repository.state != state:
        repository.state = state
        repository.save(update_fields=["state"])
        record(
            "repository.ignore" if ignored else "repository.restore",
            team_id=repository.team_id,
            target=("repository", repository.pk, repository.full_name),
        )
    return repository


def _refuse(wanted: set[str], chosen: Iterable[Found]) -> None:
    problems = [(one.remote.full_name, one.remote.reason) for one in chosen if not one.remote.usable]
    unseen = wanted - {one.remote.external_id for one in chosen}
    problems += [(name, "The connection does not see this repository.") for name in sorted(unseen)]
    if problems:
        raise InvalidInput(" ".join(f"{name}: {sentence}" for name, sentence in problems), problems)


@transaction.atomic
def _import_batch(connection: Connection, chosen: list[Found]) -> list[Repository]:
    rows = []
    for one in chosen:
        values = {**_values(one.remote), "state": Repository.State.ACTIVE, "team_id": connection.team_id}
        row, created = Repository.objects.update_or_create(
            connection=connection, external_id=one.remote.external_id, defaults=values
        )
        row.connection = connection
        rows.append(row)
        if created:
            record(
                "repository.import",
                team_id=connection.team_id,
                target=("repository", row.pk, row.full_name),
                diff={"connection": connection.name},
            )
    return rows


def _bring_up_to_date(row: Repository, remote: RemoteRepository) -> None:
    values = _values(remote)
    if row.state in (Repository.State.LOST_ACCESS, Repository.State.GONE):
        values["state"] = Repository.State.ACTIVE
    changed = {name: value for name, value in values.items() if getattr(row, name) != value}
    if changed:
        Repository.objects.filter(pk=row.pk).update(**changed)


def _mark_lost(connection: Connection, seen: set[str]) -> list[str]:
    gone = [
        row
        for row in connection.repositories.filter(state=Repository.State.ACTIVE)
        if row.external_id not in seen
    ]
    for start in range(0, len(gone), _BATCH):
        ids = [row.pk for row in gone[start : start + _BATCH]]
        lost = Repository.State.LOST_ACCESS
        Repository.objects.filter(pk__in=ids).update(state=lost, state_reason=_LOST)
    return [row.full_name for row in gone]


def _values(remote: RemoteRepository) -> dict[str, Any]:
    """What the provider tells, in the shape of the row; what it does not tell is not overwritten."""
    values = {name: getattr(remote, name) for name in _TOLD}
    values["topics"] = list(remote.topics)
    values["default_branch"] = remote.default_branch[:255]
    values["full_name"] = remote.full_name[:400]
    values["language"], values["web_url"] = remote.language[:60], remote.web_url[:600]
    values["provider_data"] = dict(remote.data) or None
    told = {name: value for name, value in values.items() if value not in (None, "", "unknown")}
    return {**told, "description": remote.description, "state_reason": remote.reason}
