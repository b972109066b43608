"""The person at the keyboard: commands act as the administrator of this machine's installation."""

from __future__ import annotations

from django.core.management.base import CommandParser

from opssight.accounts.models import Role, Team, User
from opssight.accounts.scope import Principal
from opssight.core.errors import InvalidInput


def add_team_argument(parser: CommandParser) -> None:
    parser.add_argument("--team", default="", metavar="SLUG", help="The team to act in (default: the first).")


def local_team(slug: str = "") -> Team:
    """The team named `slug`, else the administrator's own. InvalidInput names the teams there are."""
    teams = Team.objects.order_by("created_at", "id")
    found = teams.filter(slug=slug).first() if slug else _first(teams.first())
    if found is None:
        known = ", ".join(teams.values_list("slug", flat=True)[:10])
        hint = f"There are: {known}." if known else "Run opssight up once; it makes the first one."
        raise InvalidInput(f"There is no team {slug!r}. {hint}" if slug else hint)
    return found


def _first(oldest: Team | None) -> Team | None:
    administrator = User.objects.filter(is_superuser=True, is_active=True).order_by("created_at").first()
    return administrator.personal_team if administrator else oldest


def local_principal(team: Team) -> Principal:
    """The owner of the team, with every right in it."""
    membership = team.memberships.select_related("user").order_by("-role", "id").first()
    if membership is None:
        raise InvalidInput(f"The team {team.slug} has no member to act for. Add one first.")
    return Principal(user=membership.user, roles={team.pk: Role.OWNER})
