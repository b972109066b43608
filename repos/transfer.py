"""Moving a connection to another team, when somebody leaves or a project changes hands."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q, QuerySet

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.accounts.teams import visible_teams
from opssight.audit.record import record
from opssight.core.errors import Conflict, InvalidInput
from opssight.core.words import count, join_words
from repos.connections import unique_name
from repos.events import Transferred, publish
from repos.models import Connection, ConnectionGrant, Delivery, ImportRule, Repository, Webhook

_NAMED = 5  # jobs that a sentence names


@dataclass(frozen=True)
class Use:
    """A job of a team that works with repositories of a connection; `writes`: it also changes them."""

    job: str
    writes: bool = False


UsesOf = Callable[[Connection, uuid.UUID], Sequence[Use]]
_uses: list[UsesOf] = []


def register(uses_of: UsesOf) -> None:
    """Let a kind of job say which of its jobs, in a team, use a connection."""
    if uses_of not in _uses:
        _uses.append(uses_of)


@dataclass(frozen=True)
class Moving:
    """What would move with a connection, and what stays behind and uses it."""

    repositories: int
    webhooks: int
    import_rules: int
    uses: Sequence[Use]

    @property
    def parts(self) -> list[str]:
        counted = (
            (self.repositories, "repository", "repositories"),
            (self.webhooks, "webhook", "webhooks"),
            (self.import_rules, "import rule", "import rules"),
        )
        return [count(number, one, many) for number, one, many in counted if number]


def moving(connection: Connection) -> Moving:
    uses = [use for uses_of in _uses for use in uses_of(connection, connection.team_id)]
    return Moving(
        connection.repositories.count(),
        _webhooks(connection).count(),
        connection.import_rules.count(),
        sorted(uses, key=lambda use: use.job),
    )


def teams_for(principal: Principal, connection: Connection) -> list[Team]:
    """Where the principal may move it, by name."""
    person = Principal.of_user(principal.user)
    rows = visible_teams(person).filter(pk__in=person.team_ids(Role.ADMIN)).exclude(pk=connection.team_id)
    return list(rows.order_by("name"))


def transfer(principal: Principal, connection: Connection, team: Team, *, share_back: bool = False) -> None:
    """Give the connection to another team, with its repositories, webhooks, deliveries and import rules.

    Who does it is an administrator of both teams; a token counts with its user's role in the new one.
    `share_back`: the old team may go on reading its repositories. Conflict names the jobs of the old
    team that would lose them. Runs stay where they ran.
    """
    principal.require(Role.ADMIN, connection.team_id)
    there = principal if team.pk in principal.roles else Principal.of_user(principal.user)
    there.require(Role.ADMIN, team.pk)
    if team.pk == connection.team_id:
        raise InvalidInput(
            f"{connection.name} belongs to {team.name} already.", [("team", "Choose another.")]
        )
    old = connection.team
    with unique_name(connection.name), transaction.atomic():
        _hold(connection)
        going = moving(connection)
        _refuse_uses(connection, going.uses, share_back=share_back)
        hooks = list(_webhooks(connection).values_list("pk", flat=True))
        deliveries = Q(webhook__in=hooks) | Q(repository__connection=connection)
        Delivery.objects.filter(deliveries, team=old).update(team=team)
        Webhook.objects.filter(pk__in=hooks).update(team=team)
        ImportRule.objects.filter(connection=connection).update(team=team)
        Repository.objects.filter(connection=connection).update(team=team)
        Connection.objects.filter(pk=connection.pk).update(team=team)
        connection.team = team
        ConnectionGrant.objects.filter(connection=connection, team=team).delete()
        if share_back:
            ConnectionGrant.objects.get_or_create(connection=connection, team=old)
        diff = {"team": [old.name, team.name], "with": going.parts, "shared_back": share_back}
        for side in (old, team):
            target = ("connection", connection.pk, connection.name)
            record("connection.transfer", team_id=side.pk, target=target, diff=diff)
        moved = Transferred(
            heard="transfer", connection_id=connection.pk, old_team_id=old.pk, team_id=team.pk
        )
        if failures := publish(moved):
            raise Conflict(f"{connection.name} could not be moved ({join_words(failures)}). Nothing changed.")


def _hold(connection: Connection) -> None:
    """Nobody else moves it until this is done. Conflict when somebody just did."""
    held = Connection.objects.select_for_update(no_key=True).filter(pk=connection.pk, team=connection.team_id)
    if not held.exists():
        raise Conflict(f"{connection.name} was moved or deleted just now. Look at it again.")


def _webhooks(connection: Connection) -> QuerySet[Webhook]:
    return Webhook.objects.filter(Q(connection=connection) | Q(repository__connection=connection))


def _refuse_uses(connection: Connection, uses: Sequence[Use], *, share_back: bool) -> None:
    """Raise Conflict for jobs that could not go on."""
    writing = [use.job for use in uses if use.writes]
    if writing:
        raise Conflict(
            f"{_named(writing)} of {connection.team.name} writes to repositories of {connection.name}, which "
            "only jobs of its own team may do. Delete or change that first."
        )
    if uses and not share_back:
        raise Conflict(
            f"{_named([use.job for use in uses])} of {connection.team.name} works with repositories of "
            f"{connection.name}. Share it with {connection.team.name} for reading, or delete or change that "
            "first."
        )


def _named(jobs: Sequence[str]) -> str:
    more = [f"{len(jobs) - _NAMED} more"] if len(jobs) > _NAMED else []
    return join_words([*jobs[:_NAMED], *more])
