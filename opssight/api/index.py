"""The index of the API, its description, and the answer for addresses that do not exist."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from drf_spectacular.renderers import OpenApiJsonRenderer, OpenApiYamlRenderer
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from opssight.api.reference import description
from opssight.api.routing import router
from opssight.api.views import Door

_INDEX = inline_serializer(
    "Index",
    {
        "schema": serializers.URLField(help_text="The description of this API (OpenAPI 3)."),
        "collections": serializers.DictField(child=serializers.URLField()),
    },
)


class IndexView(Door):
    """What there is, with its addresses."""

    @extend_schema(operation_id="index", responses=_INDEX, tags=["index"])
    def get(self, request: Request) -> Response:
        names = sorted((prefix, f"{basename}-list") for prefix, _, basename in router.registry)
        return Response(
            {
                "schema": request.build_absolute_uri(reverse("api-schema")),
                "collections": {prefix: request.build_absolute_uri(reverse(name)) for prefix, name in names},
            }
        )


@extend_schema(exclude=True)
class DescriptionView(APIView):
    """The description of the API as YAML or JSON, readable without signing in: it holds no data."""

    authentication_classes = []
    permission_classes = []
    renderer_classes = [OpenApiYamlRenderer, OpenApiJsonRenderer]

    def get(self, request: Request) -> Response:
        return Response(description())


@extend_schema(exclude=True)
class MissingView(Door):
    """Any other address below the API."""

    authentication_classes = []
    permission_classes = []

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound
