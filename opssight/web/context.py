"""The context that every page's frame reads: navigation, team, worker line."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.web.parts import NavGroup, NavItem, TeamChoice
from opssight.web.registry import NavEntry, nav_entries, worker_line

GROUPS = ("", "Jobs", "Setup")


def shell(request: HttpRequest) -> dict[str, Any]:
    """Nothing for visitors; for a signed-in user a constant number of queries."""
    user = getattr(request, "user", None)
    if user is None or not user.is_authenticated or not hasattr(request, "team"):
        return {}
    if request.headers.get("HX-Request") == "true":
        return {}  # a fragment has no frame
    team: Team = request.team
    principal: Principal = request.principal  # type: ignore[attr-defined]
    role = principal.roles.get(team.pk)
    return {
        "nav": _navigation(request.path, principal, team),
        "user_links": [
            _item(entry, request.path, principal, team) for entry in nav_entries if entry.group == "You"
        ],
        "team": str(team),
        "teams": _teams(principal, team),
        "worker": worker_line(),
        "role": Role(role).label if role else "",
        "initials": user.initials,
        "user_name": user.display_name,
    }


def _navigation(path: str, principal: Principal, team: Team) -> list[NavGroup]:
    groups = []
    for label in GROUPS:
        items = [_item(entry, path, principal, team) for entry in nav_entries if entry.group == label]
        if items:
            groups.append(NavGroup(label, items))
    return groups


def _item(entry: NavEntry, path: str, principal: Principal, team: Team) -> NavItem:
    first = path.strip("/").split("/")[0]
    return NavItem(
        label=entry.label,
        url=reverse(entry.url_name),
        icon=entry.icon,
        count=entry.count(team) if entry.count else None,
        current=first in entry.match,
        badge=entry.badge(principal, team) if entry.badge else 0,
        short=entry.short,
    )


def _teams(principal: Principal, current: Team) -> list[TeamChoice]:
    teams = Team.objects.filter(pk__in=principal.team_ids()).select_related("organization").order_by("name")
    return [TeamChoice(str(team), str(team.pk), team.pk == current.pk) for team in teams]
