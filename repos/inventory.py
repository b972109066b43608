"""Keeping the inventory true: what pages, API, commands and the watch run call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.db import transaction

from opssight.accounts.models import Role
from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.errors import InvalidInput
from opssight.core.words import count
from repos import discovery
from repos.discovery import Found
from repos.importing import BATCH, bring_up_to_date, take_in
from repos.models import Connection, Repository

_LOST = "The connection does not see this repository any more. Was it deleted, or the access taken away?"


@dataclass(frozen=True)
class Refreshed:
    """What a refresh changed, as full names; a rename is (before, after).

    `imported` are those that import rules took in; `failed` says what could not be listed.
    """

    seen: int
    renamed: list[tuple[str, str]]
    lost: list[str]
    back: list[str]
    imported: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        parts = [f"{count(self.seen, 'repository', 'repositories')} seen"]
        parts += [f"{len(names)} {word}" for word, names in self._changes() if names]
        return " ".join([", ".join(parts) + ".", *self.failed])

    def _changes(self) -> list[tuple[str, Sequence[object]]]:
        return [
            ("renamed", self.renamed),
            ("not seen any more", self.lost),
            ("back again", self.back),
            ("imported by rules", self.imported),
        ]


def discover(connection: Connection) -> list[Found]:
    """Everything that the connection sees now, by name."""
    return list(discovery.look(connection).found)


def import_repositories(
    principal: Principal,
    connection: Connection,
    external_ids: Collection[str] | None = None,
    *,
    found: Sequence[Found] | None = None,
) -> list[Repository]:
    """Take repositories into the inventory, all usable ones when none are named.

    Asks the provider, unless `found` is what was listed just now. Those that are there already are brought
    up to date. InvalidInput names each that the connection does not see or that cannot be used; then
    nothing is imported.
    """
    principal.require(Role.OPERATOR, connection.team_id)
    found = discover(connection) if found is None else found
    if external_ids is None:
        chosen = [one for one in found if one.remote.usable]
    else:
        wanted = set(external_ids)
        chosen = [one for one in found if one.remote.external_id in wanted]
        _refuse(wanted, chosen)
    return take_in(connection, [one.remote for one in chosen], {"connection": connection.name}, "people")


def refresh(connection: Connection, *, reserve: float = 0.0) -> Refreshed:
    """Ask the provider again: renamed repositories stay the same row, vanished ones are kept as lost.

    Import rules are applied. A listing that fails changes nothing, and one with gaps loses nothing.
    `reserve`: see `access.client_of`.
    """
    before = {row.external_id: row for row in connection.repositories.all()}
    listing = discovery.look(connection, reserve=reserve)
    pairs = [(before[i], one.remote) for one in listing.found if (i := one.remote.external_id) in before]
    lost_before = Repository.State.LOST_ACCESS
    renamed = [
        (r.full_name, remote.full_name) for r, remote in pairs if r.full_name != remote.full_name[:400]
    ]
    back = [remote.full_name for row, remote in pairs if row.state == lost_before]
    imported = [o.remote.full_name for o in listing.found if o.known and o.remote.external_id not in before]
    bring_up_to_date(pairs)
    seen = {one.remote.external_id for one in listing.found}
    lost = [] if listing.failed else _mark_lost(row for row in before.values() if row.external_id not in seen)
    return Refreshed(len(listing.found), renamed, lost, back, imported, list(listing.failed))


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


def _mark_lost(unseen: Iterable[Repository]) -> list[str]:
    """Those that were in use."""
    gone = [row for row in unseen if row.state == Repository.State.ACTIVE]
    for start in range(0, len(gone), BATCH):
        ids = [row.pk for row in gone[start : start + BATCH]]
        rows = Repository.objects.filter(pk__in=ids, state=Repository.State.ACTIVE)
        rows.update(state=Repository.State.LOST_ACCESS, state_reason=_LOST)
    return [row.full_name for row in gone]
