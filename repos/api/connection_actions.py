"""What the API offers to look after a connection: test it, read its limits, move it to another team."""

from __future__ import annotations

import uuid
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.accounts.scope import Principal
from opssight.accounts.teams import visible_teams
from opssight.api.views import ResourceViewSet
from repos import connections, transfer
from repos.limits import limits_of
from repos.models import Connection


class StepOut(serializers.Serializer[Any]):
    name = serializers.CharField(help_text="identity, list, git, webhooks or limits.")
    state = serializers.CharField(help_text="ok, failed or skipped.")
    sentence = serializers.CharField()


class TestOut(serializers.Serializer[Any]):
    ok = serializers.BooleanField(help_text="Whether nothing that could be tried failed.")
    account = serializers.CharField(help_text="Whom the provider says we are; empty when it did not answer.")
    sees = serializers.IntegerField(help_text="How many repositories it shows us.")
    sentences = serializers.ListField(child=serializers.CharField())
    steps = StepOut(many=True)


class SpentOut(serializers.Serializer[Any]):
    spender = serializers.CharField(help_text="The kind of a job, or people.")
    requests = serializers.IntegerField()
    unchanged = serializers.IntegerField(help_text="Those of them that were answered with 304.")


class LimitOut(serializers.Serializer[Any]):
    resource = serializers.CharField(help_text="The provider's name for it.")
    limit = serializers.IntegerField(allow_null=True)
    remaining = serializers.IntegerField(
        allow_null=True, help_text="Null when it was not told since it began anew."
    )
    reserved = serializers.IntegerField(
        allow_null=True, help_text="How many are kept for people and webhooks."
    )
    reset_at = serializers.DateTimeField(allow_null=True)
    paused_until = serializers.DateTimeField(allow_null=True, help_text="The provider asked to wait.")
    told_at = serializers.DateTimeField(allow_null=True)
    spent = SpentOut(many=True, help_text="Within 24 hours.")


class LimitsOut(serializers.Serializer[Any]):
    results = LimitOut(many=True)


class TransferIn(serializers.Serializer[Connection]):
    team = serializers.UUIDField(help_text="The team that gets it.")
    share_back = serializers.BooleanField(
        default=False, help_text="The team that has it now may go on reading its repositories."
    )


class CareActions(ResourceViewSet):
    """Part of the connections' endpoint."""

    @extend_schema(request=None, responses=TestOut)
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: uuid.UUID) -> Response:
        """Ask who we are, what is shown, one repository by git, and what is left of the limits."""
        tested = connections.test_connection(self.get_object())
        account = tested.identity.account if tested.identity else ""
        found = {"ok": tested.ok, "account": account, "sees": tested.sees, "sentences": tested.sentences}
        return Response({**found, "steps": StepOut(tested.steps, many=True).data})

    @extend_schema(responses=LimitsOut)
    @action(detail=True, methods=["get"])
    def limits(self, request: Request, pk: uuid.UUID) -> Response:
        """What the provider told of each limit, and who spent requests on it within 24 hours."""
        return Response({"results": LimitOut(limits_of(self.get_object()), many=True).data})

    @extend_schema(operation_id="connections_transfer", request=TransferIn, responses={204: None})
    @action(detail=True, methods=["post"], url_path="transfer")
    def move(self, request: Request, pk: uuid.UUID) -> Response:
        """Give it to another team, with its repositories, webhooks and import rules.

        409 names the jobs of its team that would lose them.
        """
        connection, given = self.get_object(), self.read(TransferIn)
        teams = visible_teams(Principal.of_user(self.principal.user))
        team = teams.filter(pk=given["team"]).first()
        if team is None:
            raise serializers.ValidationError({"team": "There is no such team among yours."})
        transfer.transfer(self.principal, connection, team, share_back=given["share_back"])
        return Response(status=204)
