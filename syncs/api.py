"""Jobs and runs in the API. What only one job kind has is in that kind's own module `api`."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any, Protocol

from django.db import transaction
from django.db.models import Q, QuerySet
from django_filters import rest_framework as filters  # type: ignore[import-untyped]
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.api import idempotency
from opssight.api.fields import ObjectField
from opssight.api.routing import router
from opssight.api.views import ResourceViewSet
from opssight.core.errors import InvalidInput
from syncs import jobs, selectors
from syncs.engine.progress import read_log
from syncs.models import Item, Job, JobVersion, Run, RunState

Config = dict[str, Any]


class JobEditor(Protocol):
    """How a job kind takes its configuration; a kind's `api` puts one into `EDITORS`."""

    def create(self, principal: Principal, team: Team, config: Config, start: str) -> Job: ...
    def update(self, principal: Principal, job: Job, config: Config, note: str, start: str) -> Job: ...


EDITORS: dict[str, JobEditor] = {}


class JobOut(serializers.ModelSerializer[Job]):
    team = serializers.UUIDField(source="team_id", read_only=True)
    version = serializers.IntegerField(source="version.number", default=None, read_only=True)
    schedule = serializers.CharField(source="cron", read_only=True)
    timezone = serializers.CharField(source="tz", read_only=True)

    class Meta:
        model = Job
        fields = [
            "id",
            "team",
            "kind",
            "name",
            "enabled",
            "version",
            "schedule",
            "timezone",
            "next_at",
            "schedule_error",
            "poll_seconds",
            "created_at",
        ]
        read_only_fields = fields


class JobDetail(JobOut):
    config = ObjectField(source="version.config", default=None, read_only=True)

    class Meta(JobOut.Meta):
        fields = [*JobOut.Meta.fields, "config"]
        read_only_fields = fields


_START = serializers.ChoiceField(
    choices=["next", "now"],
    default="next",
    help_text="`next`: from the next change on. `now`: everything at once.",
)


class JobIn(serializers.Serializer[Job]):
    kind = serializers.CharField(max_length=20)
    team = serializers.UUIDField(required=False, help_text="Without it the team of the token.")
    config = ObjectField(help_text="As the kind defines it; see the reference of the kind.")
    start = _START
    schedule = serializers.CharField(
        required=False, allow_blank=True, max_length=100, help_text="Five cron fields."
    )
    timezone = serializers.CharField(default="UTC", max_length=60)


class JobChange(serializers.Serializer[Job]):
    config = ObjectField(required=False)
    note = serializers.CharField(
        default="", allow_blank=True, max_length=300, help_text="Why it was changed."
    )
    start = _START
    schedule = serializers.CharField(
        required=False, allow_blank=True, max_length=100, help_text="Empty: none."
    )
    timezone = serializers.CharField(default="UTC", max_length=60)


class VersionOut(serializers.ModelSerializer[JobVersion]):
    config = ObjectField(read_only=True)
    by = serializers.CharField(source="created_by.email", default=None, read_only=True)

    class Meta:
        model = JobVersion
        fields = ["number", "config", "note", "by", "created_at"]
        read_only_fields = fields


class RunOut(serializers.ModelSerializer[Run]):
    team = serializers.UUIDField(source="team_id", read_only=True)
    job = serializers.UUIDField(source="job_id", allow_null=True, read_only=True)
    repository = serializers.UUIDField(source="repository_id", allow_null=True, read_only=True)
    retry_of = serializers.UUIDField(source="parent_id", allow_null=True, read_only=True)
    summary = serializers.CharField(
        source="sentence", read_only=True, help_text="What happened, in one sentence."
    )
    stats = ObjectField(read_only=True, help_text="What it cost: fetches, pushes, bytes.")

    class Meta:
        model = Run
        fields = [
            "id",
            "team",
            "job",
            "kind",
            "title",
            "state",
            "trigger",
            "because",
            "summary",
            "error_class",
            "run_after",
            "wait_reason",
            "progress_text",
            "progress_done",
            "progress_total",
            "stats",
            "attempt",
            "repository",
            "retry_of",
            "created_at",
            "started_at",
            "finished_at",
        ]
        read_only_fields = fields


class RunIn(serializers.Serializer[Run]):
    job = serializers.UUIDField()
    whole = serializers.BooleanField(default=False, help_text="Not only what changed: everything.")


class ItemOut(serializers.ModelSerializer[Item]):
    repository = serializers.UUIDField(source="repository_id", allow_null=True, read_only=True)
    planned = ObjectField(read_only=True)
    result = ObjectField(read_only=True)

    class Meta:
        model = Item
        fields = [
            "key",
            "label",
            "repository",
            "state",
            "code",
            "error_class",
            "sentence",
            "retryable",
            "planned",
            "result",
            "started_at",
            "finished_at",
        ]
        read_only_fields = fields


class LogLineOut(serializers.Serializer[Any]):
    seq = serializers.IntegerField()
    at = serializers.DateTimeField()
    level = serializers.CharField()
    step = serializers.CharField()
    message = serializers.CharField()


class LogOut(serializers.Serializer[Any]):
    results = LogLineOut(many=True)
    after = serializers.IntegerField(help_text="Give it as `after` to read on.")
    finished = serializers.BooleanField(help_text="Nothing more will come.")


class JobFilter(filters.FilterSet):  # type: ignore[misc]
    search = filters.CharFilter(field_name="name", lookup_expr="icontains")

    class Meta:
        model = Job
        fields = ["team", "kind", "enabled"]


class RunFilter(filters.FilterSet):  # type: ignore[misc]
    state = filters.ChoiceFilter(
        choices=[("open", "queued or running"), ("bad", "needs somebody"), *RunState.choices],
        method="by_state",
    )
    repository = filters.UUIDFilter(method="by_repository")
    job = filters.UUIDFilter(field_name="job_id")
    team = filters.UUIDFilter(field_name="team_id")

    class Meta:
        model = Run
        fields = ["kind", "trigger"]

    def by_state(self, rows: QuerySet[Run], name: str, value: str) -> QuerySet[Run]:
        return rows.filter(state__in=selectors.STATE_GROUPS.get(value, [value]))

    def by_repository(self, rows: QuerySet[Run], name: str, value: uuid.UUID) -> QuerySet[Run]:
        items = Item.objects.filter(repository_id=value).values("run_id")
        return rows.filter(Q(repository_id=value) | Q(pk__in=items))


@extend_schema(tags=["jobs"])
class JobViewSet(ResourceViewSet):
    """What is to be done."""

    area = "jobs"
    model = Job
    serializer_class = JobOut
    filter_backends = [filters.DjangoFilterBackend]
    filterset_class = JobFilter
    sort_fields = {"name": "name", "next_at": "next_at"}
    roles = dict.fromkeys(("create", "partial_update", "enable", "disable"), Role.OPERATOR)

    def rows(self) -> QuerySet[Job]:
        return selectors.jobs(self.principal)

    @extend_schema(responses=JobDetail)
    def retrieve(self, request: Request, pk: uuid.UUID) -> Response:
        """One job, with its configuration."""
        return Response(JobDetail(self.get_object()).data)

    @extend_schema(request=JobIn, responses={201: JobDetail})
    def create(self, request: Request) -> Response:
        """Make a job; its first run is asked for at once."""
        given = self.read(JobIn)
        team = self.team_for(Role.OPERATOR, given.get("team"))
        with transaction.atomic():  # a schedule that cannot be read leaves no job behind
            job = _editor(given["kind"]).create(self.principal, team, given["config"], given["start"])
            if given.get("schedule"):
                jobs.set_schedule(job, given["schedule"], given["timezone"])
        return Response(JobDetail(self.get_queryset().get(pk=job.pk)).data, status=201)

    @extend_schema(request=JobChange, responses=JobDetail)
    def partial_update(self, request: Request, pk: uuid.UUID) -> Response:
        """Save a new version of the configuration, or another schedule."""
        job: Job = self.get_object()
        given = self.read(JobChange)
        with transaction.atomic():
            if "config" in given:
                _editor(job.kind).update(self.principal, job, given["config"], given["note"], given["start"])
            if "schedule" in given:
                jobs.set_schedule(job, given["schedule"], given["timezone"])
        return Response(JobDetail(self.get_queryset().get(pk=job.pk)).data)

    @extend_schema(responses={204: None})
    def destroy(self, request: Request, pk: uuid.UUID) -> Response:
        """Delete a job and its versions; its runs stay in the history."""
        jobs.delete_job(self.get_object())
        return Response(status=204)

    @extend_schema(request=None, responses=JobOut)
    @action(detail=True, methods=["post"])
    def enable(self, request: Request, pk: uuid.UUID) -> Response:
        """Switch a job on."""
        return self._switched(enabled=True)

    @extend_schema(request=None, responses=JobOut)
    @action(detail=True, methods=["post"])
    def disable(self, request: Request, pk: uuid.UUID) -> Response:
        """Nothing new starts; what runs goes on."""
        return self._switched(enabled=False)

    @extend_schema(responses=VersionOut(many=True))
    @action(detail=True, methods=["get"], filterset_class=None, sort_fields={})
    def versions(self, request: Request, pk: uuid.UUID) -> Response:
        """Every configuration the job ever had, newest first."""
        return self.page(self.get_object().versions.select_related("created_by"), VersionOut)

    def _switched(self, *, enabled: bool) -> Response:
        job = self.get_object()
        jobs.set_enabled(job, enabled)
        return self.shown(job)


@extend_schema(tags=["runs"])
class RunViewSet(ResourceViewSet):
    """What was done, is being done, and waits to be done."""

    area = "runs"
    model = Run
    serializer_class = RunOut
    filter_backends = [filters.DjangoFilterBackend]
    filterset_class = RunFilter
    roles = dict.fromkeys(("create", "retry", "cancel"), Role.OPERATOR)

    def rows(self) -> QuerySet[Run]:
        return selectors.runs(self.principal)

    @extend_schema(request=RunIn, responses={201: RunOut}, parameters=[idempotency.PARAMETER])
    def create(self, request: Request) -> Response:
        """Start a run of a job."""
        given = self.read(RunIn)
        job = selectors.jobs(self.principal).filter(pk=given["job"]).first()
        if job is None:
            raise serializers.ValidationError({"job": "There is no such job among yours."})
        self.principal.require(Role.OPERATOR, job.team_id)
        wanted = {"whole": True} if given["whole"] else {}
        because = f"a request by {self.principal.label}"
        return self._once(
            job.team_id,
            lambda key: jobs.start(job, Run.Trigger.API, because, input=wanted, idempotency_key=key),
            lambda run: run.job_id == job.pk and run.input == wanted and run.parent_id is None,
        )

    @extend_schema(request=None, responses={201: RunOut}, parameters=[idempotency.PARAMETER])
    @action(detail=True, methods=["post"])
    def retry(self, request: Request, pk: uuid.UUID) -> Response:
        """A new run for what failed only."""
        failed: Run = self.get_object()
        because = f"a request by {self.principal.label}"
        return self._once(
            failed.team_id,
            lambda key: jobs.retry(failed, because, idempotency_key=key),
            lambda run: run.parent_id == failed.pk,
        )

    @extend_schema(request=None, responses=RunOut)
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: uuid.UUID) -> Response:
        """Stop a run: a queued one at once, a running one within seconds. What is done stays done."""
        return self.shown(jobs.cancel(self.get_object(), self.principal.label))

    @extend_schema(responses=ItemOut(many=True))
    @action(detail=True, methods=["get"], filterset_class=None, default_sort="rank")
    def items(self, request: Request, pk: uuid.UUID) -> Response:
        """What the run did to each target; failures first."""
        return self.page(selectors.items(self.get_object()), ItemOut)

    @extend_schema(
        responses=LogOut,
        filters=False,
        parameters=[OpenApiParameter("after", int, description="Only what came behind this `seq`.")],
    )
    @action(detail=True, methods=["get"], filterset_class=None, pagination_class=None)
    def log(self, request: Request, pk: uuid.UUID) -> Response:
        """The run's log, oldest first."""
        run: Run = self.get_object()
        text = request.query_params.get("after", "0")
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise serializers.ValidationError({"after": "Give the number from the last answer."})
        lines = list(read_log(run, int(text)))
        results = [{"seq": seq, **vars(line)} for seq, line in lines]
        after = lines[-1][0] if lines else int(text)
        return Response({"results": results, "after": after, "finished": run.finished})

    def _once(self, team_id: uuid.UUID, start: Callable[[str], Run], same: Callable[[Run], bool]) -> Response:
        """Start a run, or give the one that the same key started; another body is refused."""
        key = idempotency.key_of(self.request)
        known = Run.objects.filter(team_id=team_id, idempotency_key=key).first() if key else None
        run = known or start(key)
        if not same(run):
            raise InvalidInput(
                "This idempotency key was used for another request. Use a new key for a new intent.",
                [(idempotency.HEADER, "Used for another request.")],
            )
        response = self.shown(run, 201)
        if known is not None:
            response[idempotency.REPLAYED] = "true"
        return response


def _editor(kind: str) -> JobEditor:
    editor = EDITORS.get(kind)
    if editor is None:
        known = ", ".join(sorted(EDITORS))
        raise serializers.ValidationError({"kind": f"There is no such kind of job; there are {known}."})
    return editor


router.register("jobs", JobViewSet, basename="jobs")
router.register("runs", RunViewSet, basename="runs")
