"""Access tokens: a JWT for a quarter of an hour, for a password, a session or an API token."""

from __future__ import annotations

import uuid
from typing import Any, Final

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.accounts import access_tokens, tokens
from opssight.accounts.forms import SigninForm
from opssight.accounts.models import Role, Team, User
from opssight.accounts.scope import Principal
from opssight.accounts.teams import visible_teams
from opssight.api.routing import extra
from opssight.api.views import Door
from opssight.core.clock import now

WAYS_IN: Final[Any] = [{"token": []}, {"session": []}, {}]  # the last one: a password in the body


class AccessTokenIn(serializers.Serializer[Any]):
    email = serializers.EmailField(required=False, help_text="Instead of a token.")
    password = serializers.CharField(required=False, max_length=1_000, trim_whitespace=False)
    team = serializers.UUIDField(required=False, help_text="Without it the team of the token that asks.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=tokens.SCOPES),
        required=False,
        max_length=len(tokens.SCOPES),
        help_text="Without them all that the caller may do.",
    )


class AccessTokenOut(serializers.Serializer[Any]):
    access_token = serializers.CharField(help_text="To be sent as Authorization: Bearer.")
    token_type = serializers.CharField(help_text="bearer")
    expires_in = serializers.IntegerField(help_text="Seconds.")
    jti = serializers.UUIDField(help_text="Its id, to end it by.")
    team = serializers.UUIDField()
    scopes = serializers.ListField(child=serializers.CharField())


class RevokeIn(serializers.Serializer[Any]):
    jti = serializers.UUIDField(help_text="The id of the access token.")


class AccessTokenView(Door):
    """Whoever shows a password, a session or an API token is given an access token."""

    permission_classes = ()

    @extend_schema(
        tags=["tokens"],
        operation_id="auth_token",
        auth=WAYS_IN,
        request=AccessTokenIn,
        responses={200: AccessTokenOut},
    )
    def post(self, request: Request) -> Response:
        """An access token: a JWT for 15 minutes, for one team, with the same scopes or fewer."""
        given = self.read(AccessTokenIn)
        if isinstance(request.auth, Principal):
            principal = request.auth
            if principal.passing:
                raise exceptions.PermissionDenied("An access token does not renew itself. Sign in again.")
            team = self.team_for(Role.VIEWER, given.get("team"))
        else:
            principal = Principal.of_user(self.signed_in(given))
            team = self.named(principal, given.get("team"))
        token, text = access_tokens.issue(principal, team, given.get("scopes", ()))
        answer = {
            "access_token": text,
            "token_type": "bearer",
            "expires_in": round((token.expires_at - now()).total_seconds()),
            "jti": token.pk,
            "team": team.pk,
            "scopes": token.scopes,
        }
        return Response(answer, headers={"Cache-Control": "no-store"})

    def named(self, principal: Principal, team_id: uuid.UUID | None) -> Team:
        """The team that somebody who showed a password names, else the personal one."""
        teams = visible_teams(principal)
        chosen = teams.filter(pk=team_id) if team_id else teams.filter(personal_user=principal.user)
        team: Team | None = chosen.first()
        if team is None:
            raise exceptions.ValidationError({"team": "Name one of your teams by its id."})
        return team

    def signed_in(self, given: dict[str, Any]) -> User:
        """The user of this e-mail address and password; guessing is as slow as on the page."""
        if "email" not in given or "password" not in given:
            raise exceptions.NotAuthenticated
        form = SigninForm(self.request._request, {"username": given["email"], "password": given["password"]})
        if not form.is_valid():
            raise exceptions.AuthenticationFailed(" ".join(map(str, form.non_field_errors())))
        user = form.get_user()
        assert isinstance(user, User)  # noqa: S101 - our backends know no others
        return user


class RevokeView(Door):
    """Ends access tokens before their time."""

    @extend_schema(tags=["tokens"], operation_id="auth_token_revoke", request=RevokeIn, responses={204: None})
    def post(self, request: Request) -> Response:
        """End an access token at once: one's own, or as an administrator any of the team's."""
        access_tokens.revoke(self.principal, self.read(RevokeIn)["jti"])
        return Response(status=204)


extra += [
    path("auth/token", AccessTokenView.as_view(), name="api-auth-token"),
    path("auth/token/revoke", RevokeView.as_view(), name="api-auth-token-revoke"),
]
