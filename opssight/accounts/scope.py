"""Who is asking, and what they may see: the one place that decides it.

A `Principal` is a signed-in user, or an API token (which acts as its user inside one team and only
within its scopes). Every page, endpoint and form takes its rows from `visible_to`.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from opssight.accounts.models import AccessToken, ApiToken, Membership, Role, Team, TeamOwnedQuerySet, User
from opssight.audit.actor import Actor
from opssight.core.errors import PermanentFailure


class NotAllowed(PermanentFailure):
    """Somebody may see it, but not do this with it: HTTP 403."""


@dataclass(frozen=True)
class Principal:
    """Somebody who asks: `roles` maps each team id to the role there."""

    user: User
    roles: Mapping[uuid.UUID, Role]
    token: ApiToken | None = None
    scopes: frozenset[str] | None = field(default=None)  # None: a person, not narrowed
    team: Team | None = None  # a token acts in one team; None: a person, in all of theirs
    passing: bool = False  # by an access token, which ends within minutes

    @classmethod
    def of_user(cls, user: User) -> Principal:
        rows = Membership.objects.filter(user=user).values_list("team_id", "role")
        return cls(user=user, roles={team: Role(role) for team, role in rows})

    @classmethod
    def of_token(cls, token: ApiToken | AccessToken) -> Principal:
        """A token acts in one team, with its user's role of today: leaving the team ends it."""
        rows = Membership.objects.filter(user_id=token.user_id, team_id=token.team_id)
        roles = {team: Role(role) for team, role in rows.values_list("team_id", "role")}
        passing = isinstance(token, AccessToken)
        api_token = token.parent if isinstance(token, AccessToken) else token
        return cls(token.user, roles, api_token, frozenset(token.scopes), token.team, passing)

    def team_ids(self, role: Role = Role.VIEWER) -> list[uuid.UUID]:
        """Teams in which this principal has at least `role`."""
        return [team for team, mine in self.roles.items() if mine >= role]

    def may(self, role: Role, team_id: uuid.UUID) -> bool:
        return self.roles.get(team_id, 0) >= role

    def require(self, role: Role, team_id: uuid.UUID) -> None:
        """Raise NotAllowed unless this principal has at least `role` in the team."""
        mine = self.roles.get(team_id)
        if mine is None:
            raise NotAllowed(
                "You are not a member of this team. Ask one of its administrators to invite you."
            )
        if mine < role:
            raise NotAllowed(f"This needs the role {role.label} in the team; yours is {mine.label}.")

    def has_scope(self, scope: str) -> bool:
        """Whether `scope` (such as `runs:write`) is allowed; a write scope includes reading."""
        if self.scopes is None or "all" in self.scopes:
            return True
        area, _, verb = scope.partition(":")
        return scope in self.scopes or (verb == "read" and f"{area}:write" in self.scopes)

    @property
    def actor(self) -> Actor:
        """Who the audit log says it was."""
        if self.token is not None:
            return Actor.of_token(self.token.pk, self.label)
        return Actor.of_user(self.user.pk, self.label)

    @property
    def label(self) -> str:
        return f"{self.user.email} (token {self.token.name})" if self.token else self.user.email


Rows = TypeVar("Rows", bound=TeamOwnedQuerySet)


def visible_to(rows: Rows, principal: Principal, role: Role = Role.VIEWER) -> Rows:
    """The rows the principal may see or, with a higher `role`, act on.

    Shared rows (grants) can be seen by the teams they were shared with, and acted on only by the
    team that owns them.
    """
    teams = principal.team_ids(role)
    narrowed = rows.in_teams(teams) if role == Role.VIEWER else rows.owned_by(teams)
    narrowed.shown_to = principal
    return narrowed
