"""Checking a connection in the API."""

from __future__ import annotations

import uuid

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.api.routing import extra
from opssight.api.views import Door
from repos import selectors
from syncs.api import RunOut
from syncs.models import Run
from syncs.watch.service import check


class CheckView(Door):
    """Look at a connection now."""

    area = "connections"

    @extend_schema(
        operation_id="connections_check", request=None, responses={201: RunOut}, tags=["connections"]
    )
    def post(self, request: Request, pk: uuid.UUID) -> Response:
        """Check health, repositories and webhooks, as each night. The answer is the run that does it."""
        connection = selectors.connections(self.principal).filter(pk=pk).first()
        if connection is None:
            raise NotFound
        run = check(self.principal, connection, Run.Trigger.API, f"a request by {self.principal.label}")
        return Response(RunOut(run).data, status=201)


extra.append(path("connections/<uuid:pk>/check/", CheckView.as_view(), name="connections-check"))
