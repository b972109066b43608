"""Saved copy rules in the API: their state, going back, which rule takes a path, and export."""

from __future__ import annotations

import uuid
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.accounts.models import Role
from opssight.api.fields import ObjectField
from opssight.api.views import Door, ResourceViewSet
from opssight.core.errors import NotFound
from syncs import selectors
from syncs.api import RunOut
from syncs.copy.models import CopyTarget
from syncs.copy.rules.config import parse_config
from syncs.copy.rules.file_config import flows_of, read_version
from syncs.copy.rules.paths import as_bytes
from syncs.copy.rules.tester import Tested, try_path
from syncs.copy.saved import states
from syncs.copy.saved.export import as_workflows
from syncs.copy.saved.service import adopt, resolve_rule
from syncs.models import Job

MAX_JOBS = 100  # that are exported together


class OpenPullOut(serializers.Serializer[Any]):
    branch = serializers.CharField()
    number = serializers.IntegerField(allow_null=True)
    url = serializers.CharField()


class RuleTarget(serializers.Serializer[CopyTarget]):
    repository = serializers.UUIDField(source="repository_id")
    name = serializers.CharField(source="repository.full_name")
    branch = serializers.CharField()
    strategy = serializers.CharField()
    source_commit = serializers.SerializerMethodField(help_text="The commit that it holds; empty: none yet.")
    pull_request = serializers.SerializerMethodField(help_text="The open one.")

    def get_source_commit(self, target: CopyTarget) -> str:
        return target.state.source_oid if hasattr(target, "state") else ""

    @extend_schema_field(OpenPullOut(allow_null=True))
    def get_pull_request(self, target: CopyTarget) -> dict[str, Any] | None:
        state = getattr(target, "state", None)
        if state is None or not state.pull_branch:
            return None
        return {"branch": state.pull_branch, "number": state.pull_number, "url": state.pull_url}


class CopyRuleOut(serializers.Serializer[Job]):
    id = serializers.UUIDField()
    team = serializers.UUIDField(source="team_id")
    name = serializers.CharField()
    state = serializers.SerializerMethodField()
    version = serializers.IntegerField(source="version.number", default=None)
    file = serializers.UUIDField(
        source="copy_rule.config_file_id", allow_null=True, help_text="The file that it is made from."
    )
    source_repository = serializers.UUIDField(source="copy_rule.source_id")
    source_branch = serializers.CharField(source="copy_rule.source_branch")
    targets = RuleTarget(source="copy_rule.targets.all", many=True)

    @extend_schema_field(serializers.ChoiceField(states.STATES))
    def get_state(self, job: Job) -> str:
        shadow = job.copy_rule.shadow
        return ("shadow" if shadow else "enabled") if job.enabled else "disabled"


class RuleChange(serializers.Serializer[Any]):
    state = serializers.ChoiceField(
        states.STATES,
        help_text="`enabled` writes; `shadow` plans and says what it would do; `disabled` rests.",
    )


class VersionIn(serializers.Serializer[Any]):
    version = serializers.IntegerField(min_value=1, max_value=2**31 - 1)


class PathQuery(serializers.Serializer[Any]):
    path = serializers.CharField(max_length=4_000, trim_whitespace=False)


class PathTestIn(PathQuery):
    config = ObjectField(help_text="The configuration of a copy job, saved or not.")


class RuleAnswer(serializers.Serializer[Any]):
    rule = serializers.IntegerField(help_text="Its number, from 1.")
    type = serializers.CharField()
    pattern = serializers.CharField()
    verdict = serializers.CharField(help_text="takes, too late, refused, left out, or no match.")
    sentence = serializers.CharField()


class PathTested(serializers.Serializer[Any]):
    name = serializers.CharField()
    taken = serializers.BooleanField()
    targets = serializers.ListField(child=serializers.ListField(child=serializers.CharField()))
    rules = RuleAnswer(many=True)


class PathTestOut(serializers.Serializer[Any]):
    results = PathTested(many=True, help_text="One for each set of rules.")


class ExportIn(serializers.Serializer[Any]):
    jobs = serializers.ListField(child=serializers.UUIDField(), min_length=1, max_length=MAX_JOBS)


class ExportOut(serializers.Serializer[Any]):
    text = serializers.CharField()


@extend_schema(tags=["copy"])
class RuleViewSet(ResourceViewSet):
    """Copy rules: whether they write, and how far their targets are."""

    area = "jobs"
    model = Job
    serializer_class = CopyRuleOut
    sort_fields = {"name": "name"}
    roles = dict.fromkeys(("partial_update", "roll_back", "adopt"), Role.OPERATOR)

    def rows(self) -> QuerySet[Job]:
        rows = selectors.jobs(self.principal).filter(copy_rule__isnull=False)
        return rows.select_related("copy_rule").prefetch_related(
            "copy_rule__targets__repository", "copy_rule__targets__state"
        )

    @extend_schema(request=RuleChange, responses=CopyRuleOut)
    def partial_update(self, request: Request, pk: uuid.UUID) -> Response:
        """Enable a rule, let it only say what it would do, or disable it."""
        job: Job = self.get_object()
        states.set_state(self.principal, job, self.read(RuleChange)["state"])
        return self.shown(self.get_object())

    @extend_schema(request=VersionIn, responses=CopyRuleOut)
    @action(detail=True, methods=["post"], url_path="roll-back")
    def roll_back(self, request: Request, pk: uuid.UUID) -> Response:
        """Save what an earlier version says as a new one."""
        job: Job = self.get_object()
        states.roll_back(self.principal, job, self.read(VersionIn)["version"])
        return self.shown(self.get_object())

    @extend_schema(parameters=[PathQuery], responses=PathTestOut)
    @action(detail=True, methods=["get"])
    def test(self, request: Request, pk: uuid.UUID) -> Response:
        """Which rule takes a path, where it goes, and why the others do not take it."""
        job: Job = self.get_object()
        asked = PathQuery(data=request.query_params)
        asked.is_valid(raise_exception=True)
        flows = flows_of(read_version(job.version.config)) if job.version else []
        return Response(_tested(try_path(flows, as_bytes(asked.validated_data["path"]))))

    @extend_schema(request=None, responses={201: RunOut})
    @action(detail=True, methods=["post"])
    def adopt(self, request: Request, pk: uuid.UUID) -> Response:
        """Copy everything, and count identical files that are at the targets already as the rule's own."""
        job: Job = self.get_object()
        run = adopt(self.principal, job, f"a request by {self.principal.label} to adopt what is there")
        return Response(RunOut(run, context=self.get_serializer_context()).data, status=201)


class TestView(Door):
    """Which rule of a configuration takes a path. Nothing is saved."""

    area = "jobs"
    reads_by_post = True

    @extend_schema(operation_id="copy_test", request=PathTestIn, responses=PathTestOut, tags=["copy"])
    def post(self, request: Request) -> Response:
        given = self.read(PathTestIn)
        config = resolve_rule(self.principal, parse_config(given["config"]))
        return Response(_tested(try_path(flows_of(config), as_bytes(given["path"]))))


class ExportView(Door):
    """Rules as the workflows file of a copier."""

    area = "jobs"
    reads_by_post = True

    @extend_schema(operation_id="copy_export", request=ExportIn, responses=ExportOut, tags=["copy"])
    def post(self, request: Request) -> Response:
        ids = self.read(ExportIn)["jobs"]
        rows = {job.pk: job for job in selectors.jobs(self.principal, kind="copy").filter(pk__in=ids)}
        if missing := [id for id in ids if id not in rows]:
            raise NotFound(f"There is no copy rule {missing[0]} among yours.")
        return Response({"text": as_workflows(self.principal, [rows[id] for id in dict.fromkeys(ids)])})


def _tested(found: list[Tested]) -> dict[str, Any]:
    return {
        "results": [
            {
                "name": one.name,
                "taken": one.taken,
                "targets": [list(target) for target in one.targets],
                "rules": [
                    {
                        "rule": answer.number,
                        "type": answer.rule.type,
                        "pattern": answer.rule.pattern,
                        "verdict": answer.why.verdict,
                        "sentence": answer.why.sentence,
                    }
                    for answer in one.answers
                ],
            }
            for one in found
        ]
    }
