"""API tokens: made, listed, revoked. The text of a token is in the answer that makes it, once."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.accounts import tokens
from opssight.accounts.models import ApiToken, Role, TeamOwnedQuerySet
from opssight.api.views import ResourceViewSet


class TokenOut(serializers.ModelSerializer[ApiToken]):
    team = serializers.UUIDField(source="team_id", read_only=True)
    user = serializers.EmailField(source="user.email", read_only=True)
    begins_with = serializers.SerializerMethodField(help_text="To recognise it by.")
    scopes = serializers.ListField(child=serializers.CharField(), read_only=True)

    class Meta:
        model = ApiToken
        fields = [
            "id",
            "team",
            "user",
            "name",
            "begins_with",
            "scopes",
            "created_at",
            "expires_at",
            "last_used_at",
            "revoked_at",
        ]
        read_only_fields = fields

    def get_begins_with(self, token: ApiToken) -> str:
        return f"{tokens.PREFIX}{token.key}"


class TokenMade(TokenOut):
    token = serializers.CharField(read_only=True, help_text="The token: shown this once.")

    class Meta(TokenOut.Meta):
        fields = [*TokenOut.Meta.fields, "token"]
        read_only_fields = fields


class TokenIn(serializers.Serializer[ApiToken]):
    team = serializers.UUIDField(required=False, help_text="Without it the team of the token that asks.")
    name = serializers.CharField(max_length=100)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=tokens.SCOPES), min_length=1, max_length=len(tokens.SCOPES)
    )
    expires_at = serializers.DateTimeField(required=False, allow_null=True)


@extend_schema(tags=["tokens"])
class TokenViewSet(ResourceViewSet):
    """One's own tokens; for administrators all of the team."""

    area = "tokens"
    model = ApiToken
    serializer_class = TokenOut
    roles = {"destroy": Role.VIEWER}  # one's own; the service refuses others'

    def rows(self) -> TeamOwnedQuerySet:
        return tokens.listed(self.principal)

    @extend_schema(request=TokenIn, responses={201: TokenMade})
    def create(self, request: Request) -> Response:
        """Make a token that acts as the caller in one team. Its text is in this answer only."""
        given = self.read(TokenIn)
        team = self.team_for(Role.VIEWER, given.get("team"))
        expires_at = given.get("expires_at")
        token, shown = tokens.issue(self.principal, team, given["name"], given["scopes"], expires_at)
        response = Response({**TokenOut(token).data, "token": shown}, status=201)
        response["Cache-Control"] = "no-store"
        return response

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: uuid.UUID) -> Response:
        """Revoke a token; it stops working at once."""
        tokens.revoke(self.principal, self.get_object())
        return Response(status=204)
