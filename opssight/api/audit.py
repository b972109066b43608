"""The audit log, to read: what was done in one's teams, by whom."""

from __future__ import annotations

import uuid

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from opssight.api.fields import ObjectField
from opssight.api.views import Door
from opssight.audit.models import AuditEvent
from opssight.audit.selectors import Filters, events_for


class AuditOut(serializers.ModelSerializer[AuditEvent]):
    team = serializers.UUIDField(source="team_id", allow_null=True, read_only=True)
    diff = ObjectField(read_only=True, help_text="What changed: a value, or [before, after].")
    sealed = serializers.SerializerMethodField(help_text="Whether it is part of the chain of seals yet.")

    class Meta:
        model = AuditEvent
        fields = [
            "id",
            "at",
            "team",
            "actor_kind",
            "actor_id",
            "actor_label",
            "action",
            "object_type",
            "object_id",
            "object_label",
            "diff",
            "request_id",
            "run_id",
            "sealed",
        ]
        read_only_fields = fields

    def get_sealed(self, event: AuditEvent) -> bool:
        return hasattr(event, "seal")


class AuditQuery(serializers.Serializer[None]):
    """What narrows the list; `action` may be a beginning, such as `job.`."""

    action = serializers.CharField(required=False, max_length=60)
    actor = serializers.CharField(required=False, max_length=254)
    object_type = serializers.CharField(required=False, max_length=40)
    object_id = serializers.CharField(required=False, max_length=64)
    run_id = serializers.UUIDField(required=False)
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)
    text = serializers.CharField(required=False, max_length=254)


@extend_schema(tags=["audit"])
class AuditViewSet(Door, GenericViewSet[AuditEvent]):
    """What was done, newest first. Events are only ever added."""

    area = "audit"
    queryset = AuditEvent.objects.none()
    serializer_class = AuditOut
    lookup_value_converter = "uuid"

    def _events(self, filters: Filters | None = None) -> QuerySet[AuditEvent]:
        person = self.principal.team is None and self.principal.user.is_superuser
        return events_for(self.principal.team_ids(), filters, system=person)

    @extend_schema(parameters=[AuditQuery])
    def list(self, request: Request) -> Response:
        query = AuditQuery(data=request.query_params)
        query.is_valid(raise_exception=True)
        page = self.paginate_queryset(self._events(Filters(**query.validated_data)))
        return self.get_paginated_response(AuditOut(page, many=True).data)

    @extend_schema(parameters=[OpenApiParameter("id", uuid.UUID, OpenApiParameter.PATH)])
    def retrieve(self, request: Request, pk: uuid.UUID) -> Response:
        """One event."""
        event = self._events().filter(pk=pk).first()
        if event is None:
            raise NotFound
        return Response(AuditOut(event).data)
