"""Repositories in the API."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.accounts.models import Role
from opssight.api.fields import ObjectField
from opssight.api.routing import router
from opssight.api.views import ResourceViewSet
from repos import inventory, selectors
from repos.api.contents import ContentsActions
from repos.models import Repository, RepositoryStatus


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
    provider_data = ObjectField(read_only=True, help_text="What only this provider tells, by its kind.")
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
            "language",
            "web_url",
            "provider_data",
            "pushed_at",
            "head_oid",
            "head_seen_at",
            "state",
            "state_reason",
            "statuses",
            "created_at",
        ]
        read_only_fields = fields


class RepositoryChange(serializers.Serializer[Repository]):
    ignored = serializers.BooleanField(help_text="Leave it out of lists and proposals.")


class RepositoryQuery(serializers.Serializer[None]):
    search = serializers.CharField(required=False, max_length=200, help_text="Words of name or description.")
    state = serializers.ChoiceField(
        choices=[*Repository.State.values, "all"], required=False, help_text="Default: all but ignored."
    )
    connection = serializers.UUIDField(required=False)
    provider = serializers.CharField(required=False, max_length=20)


@extend_schema(tags=["repositories"])
class RepositoryViewSet(ContentsActions, ResourceViewSet):
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


router.register("repositories", RepositoryViewSet, basename="repositories")
