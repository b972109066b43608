"""What connections see, importing it, and the rules that import by themselves, in the API."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from django_filters import rest_framework as filters  # type: ignore[import-untyped]
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.accounts.models import Role
from opssight.accounts.scope import Principal, visible_to
from opssight.api.fields import ObjectField
from opssight.api.routing import router
from opssight.api.views import ResourceViewSet
from opssight.core.deadline import REQUEST_SECONDS, ending_within
from repos import discovery, import_rules, inventory, selectors
from repos.api.repositories import RepositoryOut
from repos.filters import CHOICES, LONGEST, Filters
from repos.models import Connection, ImportRule


class _Text(serializers.CharField):
    def __init__(self, help_text: str) -> None:
        super().__init__(required=False, allow_blank=True, max_length=LONGEST, help_text=help_text)


class _Choice(serializers.ChoiceField):
    def __init__(self, name: str, help_text: str = "") -> None:
        super().__init__(CHOICES[name], required=False, allow_blank=True, help_text=help_text)


class FiltersIn(serializers.Serializer[Any]):
    """All that is given must fit."""

    search = _Text("Words of name or description.")
    owner = _Text("An organization, workspace or group, with all groups in it.")
    visibility = _Choice("visibility")
    archived = _Choice("archived")
    fork = _Choice("fork")
    topic = _Text("One of its topics.")
    language = _Text("Its main language, where the provider tells.")
    pushed_since = serializers.DateField(
        required=False,
        allow_null=True,
        help_text="The last push, or the last activity where the provider tells only that.",
    )
    include = _Text("A pattern (RE2) that is found in the full name.")
    exclude = _Text("A pattern (RE2) that is not found in the full name.")
    state = _Choice("state", "Whether it was imported.")

    def validate_pushed_since(self, value: Any) -> str:
        return value.isoformat() if value else ""


class DiscoverIn(FiltersIn):
    again = serializers.BooleanField(default=False, help_text="Ask the provider, however young the list is.")


class FoundOut(serializers.Serializer[Any]):
    external_id = serializers.CharField(source="remote.external_id")
    full_name = serializers.CharField(source="remote.full_name")
    description = serializers.CharField(source="remote.description")
    default_branch = serializers.CharField(source="remote.default_branch")
    visibility = serializers.CharField(source="remote.visibility")
    archived = serializers.BooleanField(source="remote.archived")
    fork = serializers.BooleanField(source="remote.fork")
    topics = serializers.ListField(source="remote.topics", child=serializers.CharField())
    language = serializers.CharField(source="remote.language")
    pushed_at = serializers.DateTimeField(source="remote.pushed_at", allow_null=True)
    web_url = serializers.CharField(source="remote.web_url")
    usable = serializers.BooleanField(source="remote.usable")
    reason = serializers.CharField(source="remote.reason", help_text="Why it cannot be used.")
    repository = serializers.UUIDField(source="known.pk", default=None, help_text="Its id, once imported.")


class DiscoveredOut(serializers.Serializer[Any]):
    found_at = serializers.DateTimeField(help_text="When the provider was asked; at most 5 minutes ago.")
    failed = serializers.ListField(child=serializers.CharField(), help_text="What could not be listed.")
    total = serializers.IntegerField(help_text="How many it sees, filters aside.")
    results = FoundOut(many=True)


class ImportIn(serializers.Serializer[Any]):
    external_ids = serializers.ListField(
        child=serializers.CharField(max_length=500),
        required=False,
        max_length=10_000,
        help_text="Without it and without `match` all that can be used.",
    )
    match = FiltersIn(required=False, help_text="All that fit these filters and can be used.")


class ImportedOut(serializers.Serializer[Any]):
    results = RepositoryOut(many=True)


class RuleOut(serializers.ModelSerializer[ImportRule]):
    team = serializers.UUIDField(source="team_id", read_only=True)
    connection = serializers.UUIDField(source="connection_id", read_only=True)
    filters = ObjectField(read_only=True)

    class Meta:
        model = ImportRule
        fields = ["id", "team", "connection", "name", "filters", "created_at"]
        read_only_fields = fields


class RuleIn(serializers.Serializer[Any]):
    connection = serializers.UUIDField()
    name = serializers.CharField(required=False, allow_blank=True, max_length=100)
    filters = FiltersIn(default=dict)


class DiscoverActions:
    """Looking and importing, for the collection of connections."""

    principal: Principal
    get_object: Callable[[], Connection]
    read: Callable[[type[serializers.Serializer[Any]]], dict[str, Any]]

    @extend_schema(request=DiscoverIn, responses=DiscoveredOut)
    @action(detail=True, methods=["post"])
    def discover(self, request: Request, pk: uuid.UUID) -> Response:
        """What the connection sees and fits the filters, by name. A list is kept for 5 minutes."""
        connection, given = self.get_object(), self.read(DiscoverIn)
        chosen = Filters.read(given)
        with ending_within(REQUEST_SECONDS):
            listing = discovery.latest(connection, again=given["again"])
        answer = {
            "found_at": listing.found_at,
            "failed": listing.failed,
            "total": len(listing.found),
            "results": listing.fitting(chosen),
        }
        return Response(DiscoveredOut(answer).data)

    @extend_schema(operation_id="connections_import", request=ImportIn, responses=ImportedOut)
    @action(detail=True, methods=["post"], url_path="import")
    def take(self, request: Request, pk: uuid.UUID) -> Response:
        """Take repositories into the inventory."""
        connection, given = self.get_object(), self.read(ImportIn)
        wanted = given.get("external_ids")
        if "match" in given and wanted is not None:
            raise serializers.ValidationError({"match": "Give either external_ids or match."})
        chosen = Filters.read(given["match"]) if "match" in given else None
        with ending_within(REQUEST_SECONDS):
            listing = discovery.latest(connection)
        if chosen is not None:
            wanted = [one.remote.external_id for one in listing.fitting(chosen) if one.remote.usable]
        imported = inventory.import_repositories(self.principal, connection, wanted, found=listing.found)
        rows = selectors.repositories(self.principal, state="all").filter(pk__in=[row.pk for row in imported])
        return Response({"results": RepositoryOut(rows, many=True).data})


class RuleFilter(filters.FilterSet):  # type: ignore[misc]
    connection = filters.UUIDFilter(field_name="connection_id")

    class Meta:
        model = ImportRule
        fields = ["team"]


@extend_schema(tags=["connections"])
class ImportRuleViewSet(ResourceViewSet):
    """What is imported by itself, as soon as a connection sees it. Archived only where `archived` says so."""

    area = "repositories"
    model = ImportRule
    serializer_class = RuleOut
    filter_backends = [filters.DjangoFilterBackend]
    filterset_class = RuleFilter
    sort_fields = {"name": "name"}
    default_sort = "name"
    roles = {"destroy": Role.OPERATOR}

    def rows(self) -> QuerySet[ImportRule]:
        rows: QuerySet[ImportRule] = visible_to(ImportRule.objects.all(), self.principal)
        return rows

    @extend_schema(request=RuleIn, responses={201: RuleOut})
    def create(self, request: Request) -> Response:
        """Import by itself what fits these filters from now on: at the next look, and each night."""
        given = self.read(RuleIn)
        rows = visible_to(Connection.objects.all(), self.principal, Role.OPERATOR)
        connection = rows.filter(pk=given["connection"]).first()
        if connection is None:
            raise serializers.ValidationError({"connection": "There is no such connection that you operate."})
        name = given.get("name", "")
        return self.shown(import_rules.make_rule(self.principal, connection, given["filters"], name), 201)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: uuid.UUID) -> Response:
        """Import nothing more by this rule. What it imported stays."""
        import_rules.remove_rule(self.principal, self.get_object())
        return Response(status=204)


router.register("import-rules", ImportRuleViewSet, basename="import-rules")
