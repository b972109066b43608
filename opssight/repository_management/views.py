"""`/api/v1/repository-management/…`."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from opssight import health
from opssight.accounts.models import Role
from opssight.api.views import Door
from opssight.core.clock import now
from opssight.core.errors import InvalidInput
from opssight.repository_management import service, shapes
from opssight.repository_management.words import NOT_YET
from repos.models import Repository

TAGS = ["repository-management"]
OBJECT = OpenApiTypes.OBJECT


class Original(Door):
    """An address of the original API."""

    def asked(self, shape: type[serializers.Serializer[Any]]) -> dict[str, Any]:
        """The query, checked. Raises ValidationError."""
        query = shape(data=self.request.query_params)
        query.is_valid(raise_exception=True)
        return dict(query.validated_data)

    def repository(self, pk: uuid.UUID, role: Role = Role.VIEWER) -> Repository:
        row = service.repositories(self.principal).filter(pk=pk).first()
        if row is None:
            raise NotFound
        if role > Role.VIEWER:
            self.principal.require(role, row.team_id)
        return row


def kind_of(given: dict[str, Any]) -> str:
    kind: str = given["connection_type"]
    if kind in NOT_YET:
        sentence = f"{NOT_YET[kind]} cannot be connected yet. Its repositories can as git addresses: plain."
        raise InvalidInput(sentence, [("connection_type", sentence)])
    return kind


class DiscoverView(Original):
    area = "connections"

    @extend_schema(
        tags=TAGS, operation_id="rm_discover", request=shapes.OriginalDiscover, responses={200: OBJECT}
    )
    def post(self, request: Request) -> Response:
        """What a token sees, or without one the team's connections of this type: a plain list."""
        given = self.read(shapes.OriginalDiscover)
        filters = given.get("filters") or {}
        if given.get("access_token"):
            self.team_for(Role.ADMIN)  # as on the connect page: it makes us ask any server
        visibility = filters.get("visibility", "all")
        found = service.discover(
            self.principal,
            kind_of(given),
            given.get("access_token", ""),
            url=given.get("url", ""),
            search=filters.get("search", ""),
            visibility="" if visibility == "all" else visibility,
            sort=filters.get("sort", "name"),
        )
        return Response(list(map(shapes.found, found)))


class SearchView(Original):
    area = "connections"

    @extend_schema(tags=TAGS, operation_id="rm_search", parameters=[shapes.SearchIn], responses={200: OBJECT})
    def get(self, request: Request) -> Response:
        """Repositories by words, at every provider that is connected."""
        given = self.asked(shapes.SearchIn)
        found = service.search(self.principal, kind_of(given), given["query"], given["sort"])
        size, page = given["per_page"], given["page"]
        return Response(
            {
                "repositories": list(map(shapes.found, found[(page - 1) * size : page * size])),
                "pagination": {
                    "page": page,
                    "per_page": size,
                    "total": len(found),
                    "pages": -(-len(found) // size),
                },
            }
        )


class ConnectView(Original):
    area = "connections"

    @extend_schema(tags=TAGS, operation_id="rm_connect", request=shapes.ConnectIn, responses={201: OBJECT})
    def post(self, request: Request) -> Response:
        """Connect one repository with a credential, which is stored encrypted and never shown again."""
        given = self.read(shapes.ConnectIn)
        kind_of(given)
        team = self.team_for(Role.ADMIN, given.get("project_id"))
        made = service.connect(self.principal, team, given)
        return Response(shapes.connection(self.repository(made.pk)), status=201)


class ConnectionsView(Original):
    area = "connections"

    @extend_schema(
        tags=TAGS, operation_id="rm_connections", parameters=[shapes.ListIn], responses={200: OBJECT}
    )
    def get(self, request: Request) -> Response:
        """Connected repositories: a plain list."""
        given = self.asked(shapes.ListIn)
        rows = service.repositories(self.principal, str(given.get("project_id", "")))
        rows = service.with_status(rows, given["status"]) if "status" in given else rows
        return Response(list(map(shapes.connection, rows)))


class ConnectionView(Original):
    area = "connections"

    @extend_schema(tags=TAGS, operation_id="rm_disconnect", responses={200: OBJECT})
    def delete(self, request: Request, pk: uuid.UUID) -> Response:
        """Disconnect a repository; its credential goes with the last repository that needs it."""
        service.disconnect(self.principal, self.repository(pk, Role.OPERATOR))
        return Response({"status": "disconnected", "connection_id": pk})


class StatusView(Original):
    area = "connections"

    @extend_schema(tags=TAGS, operation_id="rm_status", responses={200: OBJECT})
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """What is known about a connected repository; `not_collected` names what is not."""
        return Response(shapes.status(self.principal, self.repository(pk)))


class SyncView(Original):
    area = "connections"

    @extend_schema(
        tags=TAGS, operation_id="rm_sync", request=None, parameters=[shapes.SyncIn], responses={200: OBJECT}
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Look at the repository now; skipped when that was done less than 5 minutes ago."""
        force = self.asked(shapes.SyncIn)["force"]
        return Response(service.sync(self.principal, self.repository(pk, Role.OPERATOR), force=force))


class AnalyticsView(Original):
    area = "connections"

    @extend_schema(
        tags=TAGS, operation_id="rm_analytics", parameters=[shapes.AnalyticsIn], responses={200: OBJECT}
    )
    def get(self, request: Request, pk: uuid.UUID) -> Response:
        """Analytics of a repository; what is not collected is null and named."""
        time_range = self.asked(shapes.AnalyticsIn)["time_range"]
        return Response(shapes.analytics(self.repository(pk), time_range))


class MonitorView(Original):
    area = "connections"

    @extend_schema(
        tags=TAGS, operation_id="rm_monitor", parameters=[shapes.MonitorIn], responses={200: OBJECT}
    )
    def get(self, request: Request) -> Response:
        """How every connected repository is."""
        given = self.asked(shapes.MonitorIn)
        rows = service.repositories(self.principal, str(given.get("project_id", "")))
        return Response(shapes.monitor(rows.exclude(state=Repository.State.IGNORED)))


class ProvidersView(Original):
    permission_classes = ()

    @extend_schema(tags=TAGS, operation_id="rm_providers", auth=[], responses={200: OBJECT})
    def get(self, request: Request) -> Response:
        """What can be connected, and what each can do. Needs no token."""
        return Response(shapes.providers())


class HealthView(Original):
    permission_classes = ()

    @extend_schema(tags=TAGS, operation_id="rm_health", auth=[], responses={200: OBJECT})
    def get(self, request: Request) -> Response:
        """Whether OpsSight works. Needs no token."""
        found = health.checks()
        status = health.overall(found, [])
        document = {
            "status": status,
            "service": "repository_management",
            "checks": {check.name: check.ok for check in found},
            "timestamp": now(),
        }
        return Response(document, status=503 if status == "unhealthy" else 200)
