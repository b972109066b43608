"""Webhooks and their deliveries in the API."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from django.http import HttpResponse
from django_filters import rest_framework as filters  # type: ignore[import-untyped]
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.accounts.models import Role, TeamOwnedQuerySet
from opssight.accounts.scope import visible_to
from opssight.api.fields import ObjectField
from opssight.api.routing import router
from opssight.api.views import ResourceViewSet
from opssight.core.errors import TransientFailure
from repos import managed_webhooks, receiving, selectors, sources, webhooks
from repos.models import Connection, Delivery, Repository, Webhook


class HookOut(serializers.ModelSerializer[Webhook]):
    team = serializers.UUIDField(source="team_id", read_only=True)
    connection = serializers.UUIDField(source="connection_id", allow_null=True, read_only=True)
    repository = serializers.UUIDField(source="repository_id", allow_null=True, read_only=True)
    url = serializers.SerializerMethodField(help_text="What to enter at the sender.")
    allowed_sources = serializers.ListField(
        child=serializers.CharField(),
        read_only=True,
        help_text="Networks that deliveries may come from; none: from anywhere.",
    )
    rotating = serializers.SerializerMethodField(help_text="Whether the former secret counts as well.")

    class Meta:
        model = Webhook
        fields = [
            "id",
            "team",
            "name",
            "scheme",
            "path",
            "url",
            "connection",
            "repository",
            "state",
            "rotating",
            "managed",
            "remote_id",
            "remote_state",
            "remote_sentence",
            "remote_checked_at",
            "allowed_sources",
            "last_delivery_at",
            "created_at",
        ]
        read_only_fields = fields

    def get_url(self, hook: Webhook) -> str:
        return webhooks.url_of(hook)

    def get_rotating(self, hook: Webhook) -> bool:
        return hook.previous_secret != ""


class HookMade(HookOut):
    secret = serializers.CharField(read_only=True, help_text="The secret: shown this once.")

    class Meta(HookOut.Meta):
        fields = [*HookOut.Meta.fields, "secret"]
        read_only_fields = fields


SECRET = serializers.CharField(
    required=False, max_length=500, trim_whitespace=False, help_text="Without it one is made."
)


class HookIn(serializers.Serializer[Webhook]):
    team = serializers.UUIDField(required=False, help_text="Without it the team of the token.")
    scheme = serializers.CharField(max_length=20, help_text="How deliveries are signed: github, plain.")
    name = serializers.CharField(default="", allow_blank=True, max_length=100)
    secret = SECRET
    connection = serializers.UUIDField(
        required=False, help_text="Only about repositories of this connection."
    )
    repository = serializers.UUIDField(required=False, help_text="Only about this repository.")


class HookChange(serializers.Serializer[Webhook]):
    name = serializers.CharField(required=False, max_length=100)
    paused = serializers.BooleanField(required=False)
    allowed_sources = serializers.ListField(
        child=serializers.CharField(max_length=60),
        required=False,
        help_text="Networks (192.0.2.0/24) that deliveries may come from; an empty list: from anywhere.",
    )


class SecretIn(serializers.Serializer[Any]):
    secret = SECRET


class StaysOut(serializers.Serializer[Any]):
    sentence = serializers.CharField(help_text="Why it may still be at the provider.")


class VerdictOut(serializers.Serializer[Any]):
    status = serializers.IntegerField(help_text="The HTTP status a sender would have got.")
    verdict = serializers.CharField()
    sentence = serializers.CharField()
    delivery = serializers.UUIDField(allow_null=True)


class DeliveryOut(serializers.ModelSerializer[Delivery]):
    team = serializers.UUIDField(source="team_id", read_only=True)
    webhook = serializers.UUIDField(source="webhook_id", read_only=True)
    repository = serializers.UUIDField(source="repository_id", allow_null=True, read_only=True)
    replay_of = serializers.UUIDField(source="replay_of_id", allow_null=True, read_only=True)
    events = serializers.ListField(child=serializers.CharField(), read_only=True)
    headers = ObjectField(read_only=True)

    class Meta:
        model = Delivery
        fields = [
            "id",
            "team",
            "webhook",
            "event",
            "events",
            "verdict",
            "sentence",
            "headers",
            "body_sha256",
            "body_bytes",
            "repository",
            "replay_of",
            "duplicates",
            "received_at",
        ]
        read_only_fields = fields


class DeliveryFilter(filters.FilterSet):  # type: ignore[misc]
    webhook = filters.UUIDFilter(field_name="webhook_id")
    repository = filters.UUIDFilter(field_name="repository_id")

    class Meta:
        model = Delivery
        fields = ["team", "verdict", "event"]


@extend_schema(tags=["deliveries"])
class HookViewSet(ResourceViewSet):
    """Addresses that receive deliveries. Secrets are shown once, when they are made."""

    area = "deliveries"
    model = Webhook
    serializer_class = HookOut
    default_sort = "name"
    sort_fields = {"name": "name"}
    roles = dict.fromkeys(("test", "provider_test"), Role.OPERATOR)

    def rows(self) -> QuerySet[Webhook]:
        return selectors.webhooks(self.principal)

    @extend_schema(request=HookIn, responses={201: HookMade})
    def create(self, request: Request) -> Response:
        """Make a webhook. Its secret is in this answer only."""
        given = self.read(HookIn)
        team = self.team_for(Role.ADMIN, given.get("team"))
        hook, secret = webhooks.create_hook(
            self.principal,
            team,
            given["scheme"],
            name=given["name"],
            secret=given.get("secret", ""),
            connection=self._mine(Connection.objects.all(), given, "connection"),
            repository=self._mine(Repository.objects.all(), given, "repository"),
        )
        return self._with_secret(hook, secret, 201)

    @extend_schema(request=HookChange, responses=HookOut)
    def partial_update(self, request: Request, pk: uuid.UUID) -> Response:
        """Rename, pause (deliveries are stored and not acted on), resume, or set the allowed networks."""
        return self.shown(webhooks.update_hook(self.principal, self.get_object(), **self.read(HookChange)))

    @extend_schema(responses={204: None, 200: StaysOut})
    def destroy(self, request: Request, pk: uuid.UUID) -> Response:
        """Delete a webhook with its deliveries, and at the provider where OpsSight registered it.

        200 when it is deleted here and may still be at the provider.
        """
        stays = managed_webhooks.delete(self.principal, self.get_object())
        return Response({"sentence": stays}) if stays else Response(status=204)

    @extend_schema(request=SecretIn, responses=HookMade)
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, pk: uuid.UUID) -> Response:
        """A new secret; the former one counts as well until the rotation is ended.

        For one that OpsSight registered the provider is told, and the answer has no secret.
        """
        hook = self.get_object()
        given = {} if hook.managed else self.read(SecretIn)
        secret = managed_webhooks.rotate(self.principal, hook, given.get("secret", ""))
        if hook.managed:
            managed_webhooks.mend(hook)
        return self._with_secret(hook, secret, 200)

    @extend_schema(request=None, responses=HookOut)
    @action(detail=True, methods=["post"], url_path="end-rotation")
    def end_rotation(self, request: Request, pk: uuid.UUID) -> Response:
        """From now on only the newest secret counts."""
        hook = self.get_object()
        managed_webhooks.end_rotation(self.principal, hook)
        return self.shown(hook)

    @extend_schema(request=None, responses=HookOut)
    @action(detail=True, methods=["post"], url_path="published-sources")
    def published_sources(self, request: Request, pk: uuid.UUID) -> Response:
        """Take deliveries only from the networks that the sender publishes, as they are now."""
        hook = self.get_object()
        webhooks.require_change(self.principal, hook)
        answer = sources.published_soon(hook.scheme)
        if answer.value is None:
            raise TransientFailure(answer.sentence or "The sender is being asked. Ask again in a moment.")
        return self.shown(webhooks.update_hook(self.principal, hook, allowed_sources=answer.value))

    @extend_schema(request=None, responses=VerdictOut)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: uuid.UUID) -> Response:
        """Send a signed delivery that asks for nothing, through the same code as any other."""
        got = webhooks.send_test(self.principal, self.get_object())
        delivery = got.delivery.pk if got.delivery else None
        return Response(
            {"status": got.status, "verdict": got.verdict, "sentence": got.sentence, "delivery": delivery}
        )

    @extend_schema(request=None, responses={202: None})
    @action(detail=True, methods=["post"], url_path="provider-test")
    def provider_test(self, request: Request, pk: uuid.UUID) -> Response:
        """Have the provider send a test to a webhook that OpsSight registered."""
        managed_webhooks.ask_for_test(self.get_object())
        return Response(status=202)

    def _mine(self, rows: TeamOwnedQuerySet, given: dict[str, Any], field: str) -> Any:
        if field not in given:
            return None
        found = visible_to(rows, self.principal, Role.ADMIN).filter(pk=given[field]).first()
        if found is None:
            raise serializers.ValidationError({field: f"There is no such {field} that you administer."})
        return found

    def _with_secret(self, hook: Webhook, secret: str, status: int) -> Response:
        response = Response({**HookOut(hook).data, "secret": secret}, status=status)
        response["Cache-Control"] = "no-store"
        return response


@extend_schema(tags=["deliveries"])
class DeliveryViewSet(ResourceViewSet):
    """What arrived, how it was judged, and the body as it came."""

    area = "deliveries"
    model = Delivery
    serializer_class = DeliveryOut
    filter_backends = [filters.DjangoFilterBackend]
    filterset_class = DeliveryFilter
    roles = {"replay": Role.OPERATOR}

    def rows(self) -> QuerySet[Delivery]:
        return selectors.deliveries(self.principal)

    @extend_schema(responses={(200, "application/octet-stream"): OpenApiTypes.BINARY})
    @action(detail=True, methods=["get"])
    def body(self, request: Request, pk: uuid.UUID) -> HttpResponse:
        """The raw body as it came."""
        raw = receiving.body_of(self.get_object())
        headers = {"Content-Disposition": f'attachment; filename="{pk}.body"'}
        return HttpResponse(raw, content_type="application/octet-stream", headers=headers)

    @extend_schema(request=None, responses={201: DeliveryOut})
    @action(detail=True, methods=["post"])
    def replay(self, request: Request, pk: uuid.UUID) -> Response:
        """Act on it once more, as a new delivery."""
        return self.shown(receiving.replay(self.principal, self.get_object()), 201)


router.register("hooks", HookViewSet, basename="hooks")
router.register("deliveries", DeliveryViewSet, basename="deliveries")
