"""Connections in the API, and what they see."""

from __future__ import annotations

import datetime as dt
import uuid

from django.db.models import Prefetch, QuerySet
from django_filters import rest_framework as filters  # type: ignore[import-untyped]
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.accounts.models import Role
from opssight.api.fields import ObjectField
from opssight.api.routing import router
from opssight.api.views import ResourceViewSet
from repos import connections, selectors
from repos.api.connection_actions import CareActions
from repos.api.discovery import DiscoverActions
from repos.health import life_of
from repos.models import Connection, Credential


class ConnectionOut(serializers.ModelSerializer[Connection]):
    team = serializers.UUIDField(source="team_id", read_only=True)
    options = ObjectField(read_only=True)
    secrets = serializers.SerializerMethodField(help_text="Names of the secrets that are stored.")
    summary = serializers.CharField(
        source="sentence", read_only=True, help_text="What is wrong, if anything."
    )
    repositories = serializers.IntegerField(source="repository_count", read_only=True)
    token_ends_at = serializers.SerializerMethodField(
        help_text="When its token ends for good; null for one that is renewed or does not end."
    )
    token_renews_at = serializers.SerializerMethodField(help_text="When its token is renewed next.")
    ca = serializers.CharField(read_only=True, help_text="Certificates that are trusted beside the usual.")
    proxied = serializers.SerializerMethodField(help_text="Whether it has a proxy of its own.")

    class Meta:
        model = Connection
        fields = [
            "id",
            "team",
            "provider",
            "name",
            "options",
            "secrets",
            "account",
            "state",
            "error_class",
            "summary",
            "checked_at",
            "last_ok_at",
            "token_ends_at",
            "token_renews_at",
            "ca",
            "proxied",
            "repositories",
            "created_at",
        ]
        read_only_fields = fields

    def get_secrets(self, connection: Connection) -> list[str]:
        return sorted(row.purpose for row in connection.credentials.all())

    def get_token_ends_at(self, connection: Connection) -> dt.datetime | None:
        life = life_of(connection)
        return None if life.renews_at else life.ends_at

    def get_token_renews_at(self, connection: Connection) -> dt.datetime | None:
        return life_of(connection).renews_at

    def get_proxied(self, connection: Connection) -> bool:
        return bool(connection.proxy)


SECRETS = serializers.DictField(
    child=serializers.CharField(allow_blank=True, trim_whitespace=False),
    required=False,
    help_text="The secret fields of the provider: taken in, never given out.",
)


CA = serializers.CharField(
    required=False, allow_blank=True, help_text="Certificates to trust beside the usual, in PEM form."
)
PROXY = serializers.CharField(
    required=False,
    allow_blank=True,
    help_text="Such as http://user:password@host:3128: taken in, never given out.",
)


class ConnectionIn(serializers.Serializer[Connection]):
    team = serializers.UUIDField(required=False, help_text="Without it the team of the token.")
    provider = serializers.CharField(max_length=20)
    name = serializers.CharField(max_length=100)
    options = ObjectField(default=dict, help_text="The fields that the provider declares.")
    secrets = SECRETS
    ca = CA
    proxy = PROXY


class ConnectionChange(serializers.Serializer[Connection]):
    name = serializers.CharField(required=False, max_length=100)
    options = ObjectField(required=False)
    secrets = SECRETS
    ca = CA
    proxy = PROXY


WITH_EVERYTHING = OpenApiParameter(
    "with_everything", bool, description="Also delete its repositories and webhooks here."
)


class ConnectionFilter(filters.FilterSet):  # type: ignore[misc]
    search = filters.CharFilter(field_name="name", lookup_expr="icontains")

    class Meta:
        model = Connection
        fields = ["team", "provider", "state"]


@extend_schema(tags=["connections"])
class ConnectionViewSet(DiscoverActions, CareActions, ResourceViewSet):
    """Links to git servers, with their health. Secrets go in and never come out."""

    area = "connections"
    model = Connection
    serializer_class = ConnectionOut
    filter_backends = [filters.DjangoFilterBackend]
    filterset_class = ConnectionFilter
    sort_fields = {"name": "name"}
    default_sort = "name"
    roles = dict.fromkeys(("test", "discover", "take"), Role.OPERATOR)

    def rows(self) -> QuerySet[Connection]:
        told = ("connection_id", "purpose", "expires_at", "version", "updated_at")
        credentials = Prefetch("credentials", Credential.objects.only(*told))
        return selectors.connections(self.principal).prefetch_related(credentials)

    @extend_schema(request=ConnectionIn, responses={201: ConnectionOut})
    def create(self, request: Request) -> Response:
        """Store a connection. Nobody is contacted yet: test it next."""
        given = self.read(ConnectionIn)
        team = self.team_for(Role.ADMIN, given.pop("team", None))
        made = connections.create_connection(self.principal, team, secrets=given.pop("secrets", {}), **given)
        return self.shown(self.get_queryset().get(pk=made.pk), 201)

    @extend_schema(request=ConnectionChange, responses=ConnectionOut)
    def partial_update(self, request: Request, pk: uuid.UUID) -> Response:
        """Change what is given and keep the rest; an empty secret removes it."""
        connections.update_connection(self.principal, self.get_object(), **self.read(ConnectionChange))
        return self.shown(self.get_queryset().get(pk=pk))

    @extend_schema(responses={204: None}, parameters=[WITH_EVERYTHING])
    def destroy(self, request: Request, pk: uuid.UUID) -> Response:
        """Delete a connection. 409 while repositories hang on it, unless `with_everything=true`."""
        everything = request.query_params.get("with_everything") == "true"
        connections.delete_connection(self.principal, self.get_object(), with_everything=everything)
        return Response(status=204)


router.register("connections", ConnectionViewSet, basename="connections")
