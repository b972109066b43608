"""The plan before saving."""

from __future__ import annotations

import uuid
from dataclasses import asdict
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.api.fields import ObjectField
from opssight.api.views import Door
from syncs import selectors
from syncs.copy.plan.planned import Plan
from syncs.copy.preview.preview import TargetPreview, preview
from syncs.copy.rules.config import parse_config
from syncs.copy.rules.file_config import read_version
from syncs.copy.rules.paths import shown
from syncs.copy.saved import service
from syncs.models import Job

MAX_FILES = 1_000  # of one target in an answer; `writes` counts all


class PlanIn(serializers.Serializer[Any]):
    config = ObjectField(required=False, help_text="The configuration of a copy job.")
    job = serializers.UUIDField(
        required=False,
        help_text="A saved job, of which `config` would be the next version; without that, as it stands.",
    )
    at = serializers.CharField(
        required=False, max_length=300, help_text="A commit, tag or branch of the source instead of its tip."
    )
    pull = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=2**31 - 1,
        help_text="A pull request of the source, as if it was merged now.",
    )
    whole = serializers.BooleanField(
        required=False,
        help_text="All files, or (false) only what changed since the last copy of `job`. Not given: all of a "
        "`config`, else what changed.",
    )


class PlannedFile(serializers.Serializer[Any]):
    source_path = serializers.CharField()
    path = serializers.CharField()
    action = serializers.ChoiceField(choices=["add", "change", "delete"])


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
    deletes = serializers.IntegerField(allow_null=True)
    adoptable = serializers.IntegerField(
        allow_null=True, help_text="Identical files that are there and that the rule did not write."
    )
    edited = serializers.IntegerField(
        allow_null=True, help_text="Files of the rule that somebody has changed at the target."
    )
    orphans = serializers.IntegerField(
        allow_null=True, help_text="Files of the rule that have no source any more and stay."
    )
    recorded = serializers.IntegerField(allow_null=True, help_text="Deletions that go onto the list.")
    notices = serializers.ListField(child=serializers.CharField(), help_text=f"At most {MAX_FILES}.")
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


class PlanView(Door):
    """What a rule would do, before it is saved. Nothing is written."""

    area = "jobs"
    reads_by_post = True

    @extend_schema(operation_id="copy_plan", request=PlanIn, responses=PlanOut, tags=["copy"])
    def post(self, request: Request) -> Response:
        given = self.read(PlanIn)
        job = self._job(given) if "job" in given or "config" not in given else None
        saved = read_version(job.version.config) if job and job.version else None
        config = saved
        if "config" in given:
            config = service.resolve_rule(self.principal, parse_config(given["config"]))
        assert config is not None  # noqa: S101 - a job that is found has a version
        found = preview(
            self.principal,
            config,
            job,
            live=saved if "config" in given else None,
            at=given.get("at", ""),
            pull=str(given.get("pull", "")),
            whole=given.get("whole", "config" in given),
        )
        return Response(
            {
                "commit": found.oid,
                "targets": [_target(target) for target in found.targets if found.oid],
                "fetching": found.moment.fetching,
                "sentence": found.moment.sentence,
            }
        )

    def _job(self, given: dict[str, Any]) -> Job:
        id: uuid.UUID | None = given.get("job")
        job = selectors.jobs(self.principal, kind="copy").filter(pk=id).first() if id else None
        if job is None or job.version is None:
            raise serializers.ValidationError({"job": "There is no such copy job among yours."})
        return job


def _target(target: TargetPreview) -> dict[str, Any]:
    plan = target.plan
    return {
        "repository": target.repository.pk,
        "branch": target.branch,
        "matched": plan.matched if plan else None,
        "writes": len(plan.writes) if plan else None,
        "deletes": len(plan.deletes) if plan else None,
        "adoptable": len(plan.adoptable) if plan else None,
        "edited": len(plan.edited) if plan else None,
        "orphans": len(plan.orphans) if plan else None,
        "recorded": len(plan.records) if plan else None,
        "notices": [notice.sentence for notice in plan.notices[:MAX_FILES]] if plan else [],
        "refused": _refused(plan) if plan else [],
        "files": _files(plan) if plan else [],
        "delta": asdict(target.delta) if plan and target.live else None,
        "digest": plan.digest if plan else "",
        "fetching": target.fetching,
        "sentence": target.sentence,
    }


def _files(plan: Plan) -> list[dict[str, str]]:
    found = [
        {"source_path": shown(w.source_path), "path": shown(w.path), "action": w.action}
        for w in plan.writes[:MAX_FILES]
    ]
    found += [
        {"source_path": shown(d.source_path), "path": shown(d.path), "action": "delete"}
        for d in plan.deletes[: MAX_FILES - len(found)]
    ]
    return found


def _refused(plan: Plan) -> list[dict[str, str]]:
    return [
        {"source_path": shown(r.source_path), "path": shown(r.path), "sentence": r.sentence}
        for r in plan.refused[:MAX_FILES]
    ]
