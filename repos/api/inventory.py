"""Connections and repositories in the API."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import Prefetch, QuerySet
from django_filters import rest_framework as filters  # type: ignore[import-untyped]
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.accounts.models import Role
from opssight.api.fields import ObjectField
from opssight.api.routing import router
from opssight.api.views import ResourceViewSet
from repos import connections, inventory, selectors
from repos.models import Connection, Credential, Repository, RepositoryStatus


class ConnectionOut(serializers.ModelSerializer[Connection]):
    team = serializers.UUIDField(source="team_id", read_only=True)
    options = ObjectField(read_only=True)
    secrets = serializers.SerializerMethodField(help_text="Names of the secrets that are stored.")
    summary = serializers.CharField(
        source="sentence", read_only=True, help_text="What is wrong, if anything."
    )
    repositories = serializers.IntegerField(source="repository_count", read_only=True)

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
            "repositories",
            "created_at",
        ]
        read_only_fields = fields

    def get_secrets(self, connection: Connection) -> list[str]:
        return sorted(row.purpose for row in connection.credentials.all())


SECRETS = serializers.DictField(
    child=serializers.CharField(allow_blank=True, trim_whitespace=False),
    required=False,
    help_text="The secret fields of the provider: taken in, never given out.",
)


class ConnectionIn(serializers.Serializer[Connection]):
    team = serializers.UUIDField(required=False, help_text="Without it the team of the token.")
    provider = serializers.CharField(max_length=20)
    name = serializers.CharField(max_length=100)
    options = ObjectField(default=dict, help_text="The fields that the provider declares.")
    secrets = SECRETS


class ConnectionChange(serializers.Serializer[Connection]):
    name = serializers.CharField(required=False, max_length=100)
    options = ObjectField(required=False)
    secrets = SECRETS


class TestOut(serializers.Serializer[Any]):
    ok = serializers.BooleanField()
    account = serializers.CharField(help_text="Whom the provider says we are; empty when it did not answer.")
    sees = serializers.IntegerField(help_text="How many repositories it shows us.")
    sentences = serializers.ListField(child=serializers.CharField())


class FoundOut(serializers.Serializer[Any]):
    external_id = serializers.CharField(source="remote.external_id")
    full_name = serializers.CharField(source="remote.full_name")
    description = serializers.CharField(source="remote.description")
    default_branch = serializers.CharField(source="remote.default_branch")
    visibility = serializers.CharField(source="remote.visibility")
    archived = serializers.BooleanField(source="remote.archived")
    fork = serializers.BooleanField(source="remote.fork")
    usable = serializers.BooleanField(source="remote.usable")
    reason = serializers.CharField(source="remote.reason", help_text="Why it cannot be used.")
    repository = serializers.UUIDField(source="known.pk", default=None, help_text="Its id, once imported.")


class DiscoveredOut(serializers.Serializer[Any]):
    results = FoundOut(many=True)


class ImportIn(serializers.Serializer[Any]):
    external_ids = serializers.ListField(
        child=serializers.CharField(max_length=500),
        required=False,
        max_length=10_000,
        help_text="Without it all that can be used.",
    )


class StatusOut(serializers.ModelSerializer[RepositoryStatus]):
    class Meta:
        model = RepositoryStatus
        fields = ["lane", "state", "sentence", "fresh_oid", "behind", "fresh_at", "last_run"]
        read_only_fields = fields


class RepositoryOut(serializers.ModelSerializer[Repository]):
    team = serializers.UUIDField(source="team_id", read_only=True)
    connection = serializers.UUIDField(source="connection_id", read_only=True)
    provider = serializers.CharField(source="connection.provider", read_only=True)
    topics = serializers.ListField(child=serializers.CharField(), read_only=True)
    statuses = StatusOut(many=True, read_only=True)

    class Meta:
        model = Repository
        fields = [
            "id",
            "team",
            "connection",
            "provider",
            "external_id",
            "full_name",
            "description",
            "default_branch",
            "visibility",
            "archived",
            "fork",
            "size_bytes",
            "topics",
            "pushed_at",
            "head_oid",
            "head_seen_at",
            "state",
            "state_reason",
            "statuses",
            "created_at",
        ]
        read_only_fields = fields


class ImportedOut(serializers.Serializer[Any]):
    results = RepositoryOut(many=True)


class RepositoryChange(serializers.Serializer[Repository]):
    ignored = serializers.BooleanField(help_text="Leave it out of lists and proposals.")


class RepositoryQuery(serializers.Serializer[None]):
    search = serializers.CharField(required=False, max_length=200, help_text="Words of name or description.")
    state = serializers.ChoiceField(
        choices=[*Repository.State.values, "all"], required=False, help_text="Default: all but ignored."
    )
    connection = serializers.UUIDField(required=False)
    provider = serializers.CharField(required=False, max_length=20)


WITH_EVERYTHING = OpenApiParameter(
    "with_everything", bool, description="Also delete its repositories and webhooks here."
)


class ConnectionFilter(filters.FilterSet):  # type: ignore[misc]
    search = filters.CharFilter(field_name="name", lookup_expr="icontains")

    class Meta:
        model = Connection
        fields = ["team", "provider", "state"]


@extend_schema(tags=["connections"])
class ConnectionViewSet(ResourceViewSet):
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
        purposes = Prefetch("credentials", Credential.objects.only("connection_id", "purpose"))
        return selectors.connections(self.principal).prefetch_related(purposes)

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

    @extend_schema(request=None, responses=TestOut)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: uuid.UUID) -> Response:
        """Ask the provider who we are and what it shows us."""
        tested = connections.test_connection(self.get_object())
        account = tested.identity.account if tested.identity else ""
        return Response(
            {"ok": tested.ok, "account": account, "sees": tested.sees, "sentences": tested.sentences}
        )

    @extend_schema(request=None, responses=DiscoveredOut)
    @action(detail=True, methods=["post"])
    def discover(self, request: Request, pk: uuid.UUID) -> Response:
        """Everything the connection sees now, by name."""
        found = inventory.discover(self.get_object())
        return Response({"results": FoundOut(found, many=True).data})

    @extend_schema(operation_id="connections_import", request=ImportIn, responses=ImportedOut)
    @action(detail=True, methods=["post"], url_path="import")
    def take(self, request: Request, pk: uuid.UUID) -> Response:
        """Take repositories into the inventory."""
        wanted = self.read(ImportIn).get("external_ids")
        imported = inventory.import_repositories(self.principal, self.get_object(), wanted)
        rows = selectors.repositories(self.principal, state="all").filter(pk__in=[row.pk for row in imported])
        return Response({"results": RepositoryOut(rows, many=True).data})


@extend_schema(tags=["repositories"])
class RepositoryViewSet(ResourceViewSet):
    """What there is, and how far each kind of job is behind."""

    area = "repositories"
    model = Repository
    serializer_class = RepositoryOut
    sort_fields = {"name": "full_name", "pushed": "pushed_at"}
    default_sort = "name"
    roles = {"partial_update": Role.OPERATOR}

    def rows(self) -> QuerySet[Repository]:
        return selectors.repositories(self.principal, state="all")

    @extend_schema(parameters=[RepositoryQuery])
    def list(self, request: Request) -> Response:
        query = RepositoryQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        rows = selectors.repositories(self.principal, **query.validated_data)
        return self.page(self.filter_queryset(rows), RepositoryOut)

    @extend_schema(request=RepositoryChange, responses=RepositoryOut)
    def partial_update(self, request: Request, pk: uuid.UUID) -> Response:
        """Ignore a repository, or take it in again."""
        ignored = self.read(RepositoryChange)["ignored"]
        return self.shown(inventory.set_ignored(self.principal, self.get_object(), ignored))


router.register("connections", ConnectionViewSet, basename="connections")
router.register("repositories", RepositoryViewSet, basename="repositories")
