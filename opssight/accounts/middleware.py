"""Who asks, in which team, and under which id: on each request, before any view."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.utils.functional import SimpleLazyObject

from opssight.accounts.models import Team, User
from opssight.accounts.scope import Principal
from opssight.audit.actor import acting_as
from opssight.core import logs

TEAM_KEY = "team"  # in the session: the id of the team one works in

_Handler = Callable[[HttpRequest], HttpResponse]
_SAFE = ("GET", "HEAD", "OPTIONS", "TRACE")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")


class AccountRequest(HttpRequest):
    """A request that passed `PrincipalMiddleware` and whose user is signed in."""

    user: User
    principal: Principal
    team: Team


class RequestIdMiddleware:
    """Every request has an id: the sender's X-Request-Id or a new one. It is in the logs and the answer."""

    def __init__(self, get_response: _Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        given = request.headers.get("X-Request-Id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        with logs.bind(request_id=request_id):
            response = self.get_response(request)
        response.headers["X-Request-Id"] = request_id
        return response


class PrincipalMiddleware:
    """Sets `request.principal` and `request.team` (looked up when first used) of a signed-in user."""

    def __init__(self, get_response: _Handler) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        request.principal = SimpleLazyObject(lambda: principal_of(request))  # type: ignore[attr-defined]
        request.team = SimpleLazyObject(lambda: team_of(request))  # type: ignore[attr-defined]
        if request.method in _SAFE or not request.user.is_authenticated:
            return self.get_response(request)
        with acting_as(principal_of(request).actor):
            return self.get_response(request)


def principal_of(request: HttpRequest) -> Principal:
    """The signed-in user of the request as a principal. Raises PermissionDenied when nobody is."""
    known: Principal | None = getattr(request, "_principal", None)
    if known is None:
        if not isinstance(request.user, User):
            raise PermissionDenied
        known = Principal.of_user(request.user)
        request._principal = known  # type: ignore[attr-defined]
    return known


def team_of(request: HttpRequest) -> Team:
    """The team the user works in: the chosen one while a member of it, else the personal team."""
    principal = principal_of(request)
    teams = Team.objects.filter(pk__in=principal.team_ids()).select_related("organization")
    by_id = {str(team.pk): team for team in teams}
    chosen = by_id.get(request.session.get(TEAM_KEY, ""))
    personal = next((t for t in by_id.values() if t.personal_user_id == principal.user.pk), None)
    team: Team | None = chosen or personal
    if team is None:
        raise PermissionDenied
    return team
