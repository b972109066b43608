"""The history of copies in the API: each write to a target, sums by rule, and the volume of each day."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.urls import path
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from opssight.api.views import Door
from syncs.copy.saved import history
from syncs.copy.saved.history import EVENTS, MOST_DAYS, OUTCOMES, Filters
from syncs.copy.saved.origin import (
    CROSS,
    FROM,
    FROM_REF,
    PATHS,
    RECORDED,
    RECORDED_PATHS,
    TO_BRANCH,
)
from syncs.models import BAD_ITEMS, Item


class HistoryQuery(serializers.Serializer[None]):
    """What narrows the list."""

    outcome = serializers.ChoiceField(OUTCOMES, required=False, help_text="What became of the target.")
    event_type = serializers.ChoiceField(
        EVENTS,
        required=False,
        help_text="`copy`: written; `deprecation`: deletions recorded; `error`: failed.",
    )
    rule = serializers.CharField(required=False, max_length=200, help_text="The rule's id or name.")
    source = serializers.CharField(  # type: ignore[assignment]
        required=False, max_length=300, help_text="The source repository's id or full name."
    )
    target = serializers.UUIDField(required=False, help_text="The target repository's id.")
    run = serializers.UUIDField(required=False)
    commit = serializers.RegexField(
        r"\A[0-9a-f]{4,64}\Z", required=False, help_text="The beginning of a commit, of target or source."
    )
    pull_request = serializers.IntegerField(
        required=False, min_value=1, max_value=2**31, help_text="The merged pull request of the source."
    )
    cross_organization = serializers.BooleanField(
        required=False, allow_null=True, default=None, help_text="To another owner or host, or within one."
    )
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class DailyQuery(HistoryQuery):
    days = serializers.IntegerField(
        default=30, min_value=1, max_value=MOST_DAYS, help_text="How many days, today among them."
    )


class HistoryEntryOut(serializers.Serializer[Any]):
    """One target of one run."""

    id = serializers.IntegerField()
    run = serializers.UUIDField(source="run_id")
    timestamp = serializers.DateTimeField(source="finished_at", help_text="When it ended.")
    event_type = serializers.SerializerMethodField()
    outcome = serializers.SerializerMethodField()
    rule = serializers.UUIDField(source="run.job_id", allow_null=True)
    rule_name = serializers.CharField(source="run.title")
    source = serializers.SerializerMethodField(  # type: ignore[assignment]
        help_text="The id of the source repository."
    )
    source_repo = serializers.SerializerMethodField()
    source_ref = serializers.SerializerMethodField(help_text="The branch, or the tag.")
    source_commit = serializers.SerializerMethodField()
    target = serializers.UUIDField(source="repository_id", allow_null=True)
    target_repo = serializers.CharField(source="label")
    target_branch = serializers.SerializerMethodField()
    cross_organization = serializers.SerializerMethodField()
    commit_sha = serializers.SerializerMethodField()
    pr_number = serializers.SerializerMethodField(help_text="The merged pull request that was copied.")
    pull_request = serializers.SerializerMethodField(help_text="The pull request at the target.")
    success = serializers.SerializerMethodField()
    sentence = serializers.CharField()
    error_message = serializers.SerializerMethodField()
    duration_ms = serializers.SerializerMethodField()
    files = serializers.SerializerMethodField()
    deletes = serializers.SerializerMethodField()
    deprecated = serializers.SerializerMethodField()
    paths = serializers.SerializerMethodField(help_text="The first paths that were written.")
    deprecated_paths = serializers.SerializerMethodField(
        help_text="The first paths that were recorded as gone."
    )

    def get_event_type(self, item: Item) -> str:
        return "error" if item.state in BAD_ITEMS else "copy"

    def get_outcome(self, item: Item) -> str:
        return history.outcome_of(item)

    @extend_schema_field(OpenApiTypes.UUID)
    def get_source(self, item: Item) -> str | None:
        return item.result.get(FROM) or (str(item.run.repository_id) if item.run.repository_id else None)

    def get_source_repo(self, item: Item) -> str:
        return history.source_name(item)

    def get_source_ref(self, item: Item) -> str:
        return str(item.result.get(FROM_REF, ""))

    def get_source_commit(self, item: Item) -> str:
        return str(item.result.get("source", ""))

    def get_target_branch(self, item: Item) -> str:
        return str(item.result.get(TO_BRANCH, ""))

    def get_cross_organization(self, item: Item) -> bool | None:
        found: bool | None = item.result.get(CROSS)
        return found

    def get_commit_sha(self, item: Item) -> str:
        return str(item.result.get("commit", ""))

    def get_pr_number(self, item: Item) -> int | None:
        found: int | None = item.run.input.get("pull_request")
        return found

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_pull_request(self, item: Item) -> Any:
        return item.result.get("pull_request")

    def get_success(self, item: Item) -> bool:
        return item.state not in BAD_ITEMS

    def get_error_message(self, item: Item) -> str:
        return item.sentence if item.state in BAD_ITEMS else ""

    def get_duration_ms(self, item: Item) -> float | None:
        if item.started_at is None or item.finished_at is None:
            return None
        return round((item.finished_at - item.started_at).total_seconds() * 1_000, 1)

    def get_files(self, item: Item) -> int | None:
        return _number(item, "files")

    def get_deletes(self, item: Item) -> int | None:
        return _number(item, "deletes")

    def get_deprecated(self, item: Item) -> int | None:
        return _number(item, RECORDED)

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_paths(self, item: Item) -> Any:
        return item.result.get(PATHS, [])

    @extend_schema_field(serializers.ListField(child=serializers.CharField()))
    def get_deprecated_paths(self, item: Item) -> Any:
        return item.result.get(RECORDED_PATHS, [])


def _number(item: Item, key: str) -> int | None:
    """None where it is not known, as of a target that failed."""
    found: int | None = item.result.get(key)
    return found


class RuleStatsOut(serializers.Serializer[Any]):
    rule = serializers.UUIDField(allow_null=True, help_text="Null: the rule was deleted.")
    rule_name = serializers.CharField()
    total_copies = serializers.IntegerField(help_text="Writes that were done or failed.")
    success_count = serializers.IntegerField()
    failure_count = serializers.IntegerField()
    unchanged_count = serializers.IntegerField(help_text="Targets that needed nothing; no copies.")
    files = serializers.IntegerField()
    avg_duration_ms = serializers.FloatField(allow_null=True)
    first_at = serializers.DateTimeField(allow_null=True)
    last_at = serializers.DateTimeField(allow_null=True)


class StatsOut(serializers.Serializer[Any]):
    results = RuleStatsOut(many=True)


class DayOut(serializers.Serializer[Any]):
    date = serializers.DateField(help_text="In UTC.")
    total_copies = serializers.IntegerField()
    success_count = serializers.IntegerField()
    failure_count = serializers.IntegerField()
    files = serializers.IntegerField()


class DailyOut(serializers.Serializer[Any]):
    results = DayOut(many=True)


class HistoryView(Door, GenericViewSet[Item]):
    """What copies did, newest first: each target of each run."""

    area = "runs"
    queryset = Item.objects.none()
    serializer_class = HistoryEntryOut

    def _filters(self, query: type[serializers.Serializer[None]] = HistoryQuery) -> dict[str, Any]:
        given = query(data=self.request.query_params)
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    @extend_schema(operation_id="copy_history_list", parameters=[HistoryQuery], tags=["copy"])
    def list(self, request: Request) -> Response:
        """What copies did, newest first: each target of each run."""
        rows = history.entries(self.principal, Filters(**self._filters()))
        page = self.paginate_queryset(rows)
        return self.get_paginated_response(HistoryEntryOut(page or [], many=True).data)

    @extend_schema(
        operation_id="copy_history_stats", parameters=[HistoryQuery], responses=StatsOut, tags=["copy"]
    )
    def stats(self, request: Request) -> Response:
        """Sums by rule, the busiest first."""
        found = history.stats(self.principal, Filters(**self._filters()))
        return Response(StatsOut({"results": [asdict(row) for row in found]}).data)

    @extend_schema(
        operation_id="copy_history_daily", parameters=[DailyQuery], responses=DailyOut, tags=["copy"]
    )
    def daily(self, request: Request) -> Response:
        """How much was copied on each day, oldest first."""
        given = self._filters(DailyQuery)
        days = given.pop("days")
        found = history.daily(self.principal, Filters(**given), days)
        return Response(DailyOut({"results": [asdict(row) for row in found]}).data)


HISTORY = [
    path("copy/history/", HistoryView.as_view({"get": "list"}), name="copy-history"),
    path("copy/history/stats/", HistoryView.as_view({"get": "stats"}), name="copy-history-stats"),
    path("copy/history/daily/", HistoryView.as_view({"get": "daily"}), name="copy-history-daily"),
]
