"""Copy in the API: its configuration, the plan before saving, and checking a copier's file."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal
from opssight.api.fields import ObjectField
from opssight.api.routing import extra
from opssight.api.views import Door
from syncs import selectors
from syncs.api import EDITORS, Config
from syncs.copy import service
from syncs.copy.config import parse_config
from syncs.copy.formats import load
from syncs.copy.paths import shown
from syncs.copy.plan import Plan, delta
from syncs.copy.preview import TargetPreview, preview
from syncs.models import Job

MAX_FILES = 1_000  # of one target in an answer; `writes` counts all


class CopyEditor:
    """The configuration of copy jobs, as `syncs.copy.config` defines it."""

    def create(self, principal: Principal, team: Team, config: Config, start: str) -> Job:
        job, _ = service.create_rule(principal, team, parse_config(config), start=_start(start))
        return job

    def update(self, principal: Principal, job: Job, config: Config, note: str, start: str) -> Job:
        job, _ = service.update_rule(principal, job, parse_config(config), note=note, start=_start(start))
        return job


class PlanIn(serializers.Serializer[Any]):
    config = ObjectField(help_text="The configuration of a copy job.")
    job = serializers.UUIDField(required=False, help_text="A saved job to compare with.")


class PlannedFile(serializers.Serializer[Any]):
    source_path = serializers.CharField()
    path = serializers.CharField()
    action = serializers.ChoiceField(choices=["add", "change"])


class RefusedFile(serializers.Serializer[Any]):
    source_path = serializers.CharField()
    path = serializers.CharField()
    sentence = serializers.CharField()


class DeltaOut(serializers.Serializer[Any]):
    added = serializers.IntegerField()
    changed = serializers.IntegerField()
    removed = serializers.IntegerField()


class PlannedTarget(serializers.Serializer[Any]):
    repository = serializers.UUIDField()
    branch = serializers.CharField()
    matched = serializers.IntegerField(allow_null=True)
    writes = serializers.IntegerField(allow_null=True)
    refused = RefusedFile(many=True)
    files = PlannedFile(many=True, help_text=f"At most {MAX_FILES}.")
    delta = DeltaOut(allow_null=True, help_text="Against the saved version of `job`.")
    digest = serializers.CharField(help_text="The same for the same plan.")
    fetching = serializers.BooleanField(help_text="The target is being fetched: ask again in a moment.")
    sentence = serializers.CharField()


class PlanOut(serializers.Serializer[Any]):
    commit = serializers.CharField(help_text="The commit of the source that was planned with.")
    targets = PlannedTarget(many=True)
    fetching = serializers.BooleanField(help_text="The source is being fetched: ask again in a moment.")
    sentence = serializers.CharField()


class FileIn(serializers.Serializer[Any]):
    text = serializers.CharField(max_length=1_000_000, trim_whitespace=False, help_text="YAML or JSON.")


class Where(serializers.Serializer[Any]):
    where = serializers.CharField()
    message = serializers.CharField()


class FileOut(serializers.Serializer[Any]):
    valid = serializers.BooleanField()
    format = serializers.CharField()
    rules = serializers.IntegerField()
    errors = Where(many=True)  # type: ignore[assignment]
    warnings = Where(many=True)


class PlanView(Door):
    """What a rule would do, before it is saved. Nothing is written."""

    area = "jobs"
    reads_by_post = True

    @extend_schema(operation_id="copy_plan", request=PlanIn, responses=PlanOut, tags=["copy"])
    def post(self, request: Request) -> Response:
        given = self.read(PlanIn)
        config = service.resolve(self.principal, parse_config(given["config"]))
        live = self._live(given) if "job" in given else None
        found = preview(self.principal, config, live)
        return Response(
            {
                "commit": found.oid,
                "targets": [_target(target) for target in found.targets],
                "fetching": found.fetching,
                "sentence": found.sentence,
            }
        )

    def _live(self, given: dict[str, Any]) -> Any:
        job = selectors.jobs(self.principal, kind="copy").filter(pk=given["job"]).first()
        if job is None or job.version is None:
            raise serializers.ValidationError({"job": "There is no such copy job among yours."})
        return parse_config(job.version.config)


class ValidateView(Door):
    """Check the configuration file of a copier. Nothing is saved."""

    area = "jobs"
    reads_by_post = True

    @extend_schema(operation_id="copy_validate", request=FileIn, responses=FileOut, tags=["copy"])
    def post(self, request: Request) -> Response:
        loaded = load(self.read(FileIn)["text"])
        return Response(
            {
                "valid": not loaded.errors,
                "format": loaded.format,
                "rules": loaded.rules,
                "errors": [{"where": where, "message": message} for where, message in loaded.errors],
                "warnings": [{"where": where, "message": message} for where, message in loaded.warnings],
            }
        )


def _start(text: str) -> service.Start:
    return "now" if text == "now" else "next"


def _target(target: TargetPreview) -> dict[str, Any]:
    plan = target.plan
    return {
        "repository": target.repository.pk,
        "branch": target.branch,
        "matched": plan.matched if plan else None,
        "writes": len(plan.writes) if plan else None,
        "refused": _refused(plan) if plan else [],
        "files": _files(plan) if plan else [],
        "delta": asdict(delta(target.live, plan)) if plan and target.live else None,
        "digest": plan.digest if plan else "",
        "fetching": target.fetching,
        "sentence": target.sentence,
    }


def _files(plan: Plan) -> list[dict[str, str]]:
    return [
        {"source_path": shown(w.source_path), "path": shown(w.path), "action": w.action}
        for w in plan.writes[:MAX_FILES]
    ]


def _refused(plan: Plan) -> list[dict[str, str]]:
    return [
        {"source_path": shown(r.source_path), "path": shown(r.path), "sentence": r.sentence}
        for r in plan.refused[:MAX_FILES]
    ]


EDITORS["copy"] = CopyEditor()
extra += [
    path("copy/plan/", PlanView.as_view(), name="copy-plan"),
    path("copy/validate/", ValidateView.as_view(), name="copy-validate"),
]
