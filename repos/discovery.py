"""What a connection sees: asked of its provider, and kept for a while for pages, API and commands."""

from __future__ import annotations

import datetime as dt
import json
import uuid
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any, Final

from opssight.core.clock import now
from opssight.core.errors import ErrorClass, Failure, InvalidInput, NotFound, PermanentFailure
from repos import access
from repos.filters import Filters, active_at
from repos.import_rules import apply_rules
from repos.models import Connection, Discovery
from repos.providers.base import Provider
from repos.providers.types import RemoteRepository

YOUNG: Final = dt.timedelta(minutes=5)  # how long a listing counts as what is there
_DEFAULTS: Final = {field.name: field.default for field in fields(RemoteRepository)}


@dataclass(frozen=True)
class Known:
    """The row of a repository that was imported, as far as a list needs it."""

    pk: uuid.UUID
    state: str


@dataclass(frozen=True)
class Found:
    """A repository that a connection sees, and its row here, if it was imported."""

    remote: RemoteRepository
    known: Known | None

    @property
    def active_at(self) -> dt.datetime | None:
        return active_at(self.remote)


@dataclass(frozen=True)
class Listing:
    """What a connection saw at `found_at`, by name. `failed`: sentences about what could not be listed."""

    found: Sequence[Found]
    found_at: dt.datetime
    failed: Sequence[str] = ()

    @property
    def young(self) -> bool:
        return now() - self.found_at < YOUNG

    @property
    def new(self) -> list[Found]:
        """What can be imported and is not here yet."""
        return [one for one in self.found if one.known is None and one.remote.usable]

    def fitting(self, filters: Filters) -> list[Found]:
        fits = filters.matcher()
        return [one for one in self.found if fits(one.remote, one.known is not None)]


def look(connection: Connection, *, reserve: float = 0.0) -> Listing:
    """Ask the provider for everything, keep the answer, and import what the rules want.

    A part that cannot be listed is named in `failed`. Raises a `Failure`, which is noted at the
    connection, when there is no list at all or a limit of the provider is reached.
    """
    remotes: list[RemoteRepository] = []
    failed: list[str] = []
    try:
        for remote in access.client_of(connection, reserve=reserve).repositories(failed.append):
            remotes.append(remote)  # noqa: PERF402 - what came before it broke off stays
        if failed and not remotes:
            raise PermanentFailure(failed[0])
    except Failure as failure:
        if not remotes or failure.error_class != ErrorClass.TRANSIENT:
            access.note_failure(connection, failure, whole=True)
            raise
        failed.append(f"The list ends early. {failure.sentence}")
    access.note_ok(connection)
    remotes.sort(key=lambda one: one.full_name.lower())
    at = now()
    Discovery.objects.update_or_create(
        connection=connection,
        defaults={"found_at": at, "found": packed(remotes), "count": len(remotes), "failed": failed},
    )
    apply_rules(connection, remotes)
    return Listing(_with_rows(connection, remotes), at, failed)


def stored(connection: Connection) -> Listing | None:
    """The last listing, however old; None when there is none that can be read."""
    row = Discovery.objects.filter(connection=connection).first()
    if row is None:
        return None
    try:
        remotes = unpacked(bytes(row.found))
    except (zlib.error, ValueError, TypeError, AttributeError):  # of another version, or damaged
        return None
    return Listing(_with_rows(connection, remotes), row.found_at, row.failed)


def latest(connection: Connection, *, again: bool = False) -> Listing:
    """The last listing while it is young, else a new one; `again` asks for a new one in any case."""
    listing = None if again else stored(connection)
    return listing if listing is not None and listing.young else look(connection)


def by_names(connection: Connection, names: Sequence[str], *, again: bool = False) -> list[Found]:
    """What is called so, by full name or id: from the list while it is young, else each asked for by itself.

    InvalidInput names the first one that the connection does not see. Raises a `Failure`.
    """
    listing = None if again else stored(connection)
    found = listing.found if listing is not None and listing.young else ()
    known = {name: one for one in found for name in (one.remote.full_name, one.remote.external_id)}
    if unknown := [name for name in dict.fromkeys(names) if name not in known]:
        client = access.client_of(connection)
        remotes = [_asked_for(client, name) for name in unknown]
        known |= dict(zip(unknown, _with_rows(connection, remotes), strict=True))
    return [known[name] for name in names]


def _asked_for(client: Provider, name: str) -> RemoteRepository:
    for ask in (client.repository_named, client.repository):
        with suppress(NotFound):
            return ask(name)
    raise InvalidInput(f"The connection does not see {name!r}. opssight repo discover shows what it sees.")


def packed(remotes: Sequence[RemoteRepository]) -> bytes:
    return zlib.compress(json.dumps([_as_json(one) for one in remotes]).encode(), 1)


def unpacked(data: bytes) -> list[RemoteRepository]:
    return [_from_json(one) for one in json.loads(zlib.decompress(data))]


def _as_json(remote: RemoteRepository) -> dict[str, Any]:
    """What differs from the defaults, times as text."""
    told = {name: value for name, value in vars(remote).items() if value != _DEFAULTS[name]}
    told["data"] = dict(remote.data)
    return told | ({"pushed_at": remote.pushed_at.isoformat()} if remote.pushed_at else {})


def _from_json(told: dict[str, Any]) -> RemoteRepository:
    told["topics"] = tuple(told.get("topics", ()))
    if at := told.get("pushed_at"):
        told["pushed_at"] = dt.datetime.fromisoformat(at)
    return RemoteRepository(**told)


def _with_rows(connection: Connection, remotes: Sequence[RemoteRepository]) -> list[Found]:
    rows = connection.repositories.values_list("external_id", "pk", "state")
    known = {external_id: Known(pk, state) for external_id, pk, state in rows}
    return [Found(remote, known.get(remote.external_id)) for remote in remotes]
