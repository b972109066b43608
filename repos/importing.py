"""Writing what a provider describes into the inventory: new rows, and rows brought up to date."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from django.db import transaction

from opssight.audit.record import record
from repos.events import Imported, publish
from repos.models import Connection, Repository
from repos.providers.types import RemoteRepository

BATCH: Final = 200  # rows in one transaction: SQLite has one writer at a time
_TOLD: Final = (
    "full_name",
    "description",
    "default_branch",
    "visibility",
    "archived",
    "fork",
    "size_bytes",
    "pushed_at",
)


def take_in(
    connection: Connection, remotes: Sequence[RemoteRepository], because: Mapping[str, object], heard: str
) -> list[Repository]:
    """Rows of these repositories, in their order: made, or brought up to date and in use again.

    A new row is audited with `because`. `heard` is how the import came about (`people`, `rule`).
    """
    taken: list[Repository] = []
    for start in range(0, len(remotes), BATCH):
        taken += _take_batch(connection, remotes[start : start + BATCH], because)
    if taken:
        with transaction.atomic():
            publish(Imported(heard=heard, connection_id=connection.pk))
    return taken


def bring_up_to_date(known: Iterable[tuple[Repository, RemoteRepository]]) -> None:
    """What the provider tells now; a lost or vanished row is in use again."""
    pairs = list(known)
    for start in range(0, len(pairs), BATCH):
        with transaction.atomic():
            for row, remote in pairs[start : start + BATCH]:
                _update(row, remote, (Repository.State.LOST_ACCESS, Repository.State.GONE))


@transaction.atomic
def _take_batch(
    connection: Connection, remotes: Sequence[RemoteRepository], because: Mapping[str, object]
) -> list[Repository]:
    ids = [remote.external_id for remote in remotes]
    there = _by_id(connection, ids)
    new = {
        remote.external_id: Repository(
            connection=connection,
            team_id=connection.team_id,
            external_id=remote.external_id,
            **values(remote),
        )
        for remote in remotes
        if remote.external_id not in there
    }
    # somebody else may import the same at the same time
    Repository.objects.bulk_create(new.values(), ignore_conflicts=True)
    stored = {**there, **_by_id(connection, list(new))} if new else there
    for remote in remotes:
        row = stored[remote.external_id]
        if remote.external_id in new and row.pk == new[remote.external_id].pk:
            record(
                "repository.import",
                team_id=connection.team_id,
                target=("repository", row.pk, row.full_name),
                diff=because,
            )
        else:
            _update(row, remote, tuple(Repository.State))
    return [stored[external_id] for external_id in ids]


def _by_id(connection: Connection, ids: Sequence[str]) -> dict[str, Repository]:
    rows = Repository.objects.filter(connection=connection, external_id__in=ids)
    found = {row.external_id: row for row in rows}
    for row in found.values():
        row.connection = connection
    return found


def _update(row: Repository, remote: RemoteRepository, revived: Sequence[Repository.State]) -> None:
    told = values(remote)
    if row.state in revived:
        told["state"] = Repository.State.ACTIVE
    changed = {name: value for name, value in told.items() if getattr(row, name) != value}
    for name, value in changed.items():
        setattr(row, name, value)
    if changed:
        Repository.objects.filter(pk=row.pk).update(**changed)


def values(remote: RemoteRepository) -> dict[str, Any]:
    """What the provider tells, in the shape of the row; what it does not tell is left out."""
    found = {name: getattr(remote, name) for name in _TOLD}
    found["topics"] = list(remote.topics)
    found["default_branch"] = remote.default_branch[:255]
    found["full_name"] = remote.full_name[:400]
    found["language"], found["web_url"] = remote.language[:60], remote.web_url[:600]
    found["provider_data"] = dict(remote.data)
    told = {name: value for name, value in found.items() if value not in (None, "", "unknown", {})}
    return {**told, "description": remote.description, "state_reason": remote.reason}
