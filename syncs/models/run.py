"""Runs: one execution each. The row is the truth; the queue is only a doorbell."""

from __future__ import annotations

from typing import Final

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from opssight.accounts.models import Team, TeamOwnedQuerySet
from opssight.core.errors import ErrorClass
from opssight.core.ids import uuid7
from repos.models import Connection, Delivery, Repository
from syncs.models.job import Job, JobVersion


class RunState(models.TextChoices):
    QUEUED = "queued", "queued"  # with run_after and wait_reason
    RUNNING = "running", "running"
    SUCCEEDED = "succeeded", "succeeded"
    PARTIAL = "partial", "partial"
    FAILED = "failed", "failed"
    CANCELLED = "cancelled", "cancelled"
    NEEDS_APPROVAL = "needs_approval", "needs approval"
    DEAD = "dead", "dead"

    @classmethod
    def terminal(cls) -> list[RunState]:
        return [state for state in cls if state not in (cls.QUEUED, cls.RUNNING)]


class ItemState(models.TextChoices):
    PLANNED = "planned", "planned"
    DONE = "done", "done"
    SKIPPED = "skipped", "skipped"
    FAILED = "failed", "failed"
    CONFLICT = "conflict", "conflict"


BAD_ITEMS: Final = (ItemState.FAILED, ItemState.CONFLICT)
"""What a person has to look at, and a retry does again."""


class Worker(models.Model):
    """One supervisor with its tree of processes on one host; alive while `beat_at` is young."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    host = models.CharField(max_length=200)
    pid = models.PositiveIntegerField()
    lanes = models.JSONField(default=list)
    slots = models.PositiveSmallIntegerField(default=2)
    started_at = models.DateTimeField(db_default=Now(), editable=False)
    beat_at = models.DateTimeField(db_default=Now())
    stopped_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"


class Run(models.Model):
    """One execution of a job (or of a one-off task that has no job)."""

    class Trigger(models.TextChoices):
        WEBHOOK = "webhook", "webhook"
        POLL = "poll", "poll"
        SCHEDULE = "schedule", "schedule"
        MANUAL = "manual", "manual"
        API = "api", "API"
        CLI = "cli", "command line"
        REPLAY = "replay", "replay"
        RETRY = "retry", "retry"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="runs")
    job = models.ForeignKey(Job, on_delete=models.SET_NULL, null=True, blank=True, related_name="runs")
    version = models.ForeignKey(
        JobVersion, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    kind = models.CharField(max_length=20)
    title = models.CharField(max_length=150)  # the job's name when the run was made
    lane = models.CharField(max_length=10, default="std")
    state = models.CharField(max_length=15, choices=RunState, default=RunState.QUEUED)
    trigger = models.CharField(max_length=10, choices=Trigger)
    because = models.CharField(max_length=300, blank=True)  # in words: who or what caused it
    input = models.JSONField(default=dict)
    priority = models.SmallIntegerField(default=0)
    run_after = models.DateTimeField(db_default=Now())
    wait_reason = models.CharField(max_length=300, blank=True)
    lock_key = models.CharField(max_length=120, blank=True)  # what the run owns while it runs
    coalesce_key = models.CharField(max_length=200, blank=True)  # queued runs of one key are one
    connection = models.ForeignKey(
        Connection, on_delete=models.SET_NULL, null=True, blank=True, related_name="runs"
    )
    repository = models.ForeignKey(
        Repository, on_delete=models.SET_NULL, null=True, blank=True, related_name="runs"
    )
    scheduled_for = models.DateTimeField(null=True, blank=True)
    idempotency_key = models.CharField(max_length=100, blank=True)
    parent = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, blank=True, related_name="children"
    )
    plan_digest = models.CharField(max_length=64, blank=True)

    checkpoint = models.CharField(max_length=60, blank=True)
    progress_text = models.CharField(max_length=200, blank=True)
    progress_done = models.BigIntegerField(default=0)
    progress_total = models.BigIntegerField(null=True, blank=True)
    stats = models.JSONField(default=dict)  # fetches, pushes, bytes: what the run cost

    attempt = models.PositiveSmallIntegerField(default=0)
    crash_count = models.PositiveSmallIntegerField(default=0)
    lease_token = models.UUIDField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    beat_at = models.DateTimeField(null=True, blank=True)
    progress_at = models.DateTimeField(null=True, blank=True)
    worker = models.ForeignKey(Worker, on_delete=models.SET_NULL, null=True, blank=True, related_name="runs")
    cancel_requested_at = models.DateTimeField(null=True, blank=True)
    cancel_by = models.CharField(max_length=254, blank=True)

    error_class = models.CharField(
        max_length=20, choices=[(c.value, c.value) for c in ErrorClass], blank=True
    )
    sentence = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    started_at = models.DateTimeField(null=True, blank=True)  # of the latest attempt
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = TeamOwnedQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["lock_key"], condition=Q(state="running") & ~Q(lock_key=""), name="run_lock_unique"
            ),
            models.UniqueConstraint(
                fields=["coalesce_key"],
                condition=Q(state="queued") & ~Q(coalesce_key=""),
                name="run_coalesce_unique",
            ),
            models.UniqueConstraint(
                fields=["job", "scheduled_for"],
                condition=Q(scheduled_for__isnull=False),
                name="run_schedule_unique",
            ),
            models.UniqueConstraint(
                fields=["team", "idempotency_key"],
                condition=~Q(idempotency_key=""),
                name="run_idempotency_unique",
            ),
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in RunState]), name="run_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state="running") | Q(lease_token__isnull=False, lease_until__isnull=False),
                name="run_running_has_lease",
            ),
        ]
        indexes = [
            models.Index(
                fields=["lane", "-priority", "run_after", "id"],
                condition=Q(state="queued"),
                name="run_queued",
            ),
            models.Index(fields=["lease_until"], condition=Q(state="running"), name="run_running_lease"),
            models.Index(fields=["team", "-id"], name="run_team"),
            models.Index(fields=["job", "-id"], name="run_job"),
            models.Index(fields=["repository", "-id"], name="run_repository"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.short_id}"

    @property
    def short_id(self) -> str:
        """The last four hex digits: enough to talk about, random in a time-ordered id."""
        return self.pk.hex[-4:]

    @property
    def finished(self) -> bool:
        return self.state not in (RunState.QUEUED, RunState.RUNNING)


class Item(models.Model):
    """What a run did to one target, repository or group of files."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="items")
    key = models.CharField(max_length=200)
    repository = models.ForeignKey(
        Repository, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    label = models.CharField(max_length=400)
    state = models.CharField(max_length=10, choices=ItemState, default=ItemState.PLANNED)
    code = models.CharField(max_length=40, blank=True)  # machine-readable reason
    error_class = models.CharField(
        max_length=20, choices=[(c.value, c.value) for c in ErrorClass], blank=True
    )
    sentence = models.TextField(blank=True)
    retryable = models.BooleanField(default=False)
    planned = models.JSONField(default=dict)  # {"add": n, "change": n, "delete": n}
    result = models.JSONField(default=dict)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["run", "key"], name="item_unique"),
            models.CheckConstraint(
                condition=Q(state__in=[s.value for s in ItemState]), name="item_state_known"
            ),
        ]
        indexes = [models.Index(fields=["run", "state"], name="item_run_state")]

    def __str__(self) -> str:
        return f"{self.label}: {self.state}"


class RunCause(models.Model):
    """A delivery that this run answers."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="causes")
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="caused")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "delivery"], name="runcause_unique")]

    def __str__(self) -> str:
        return f"{self.delivery_id} caused {self.run_id}"


class RunLog(models.Model):
    """A piece of a run's log: zlib of JSON lines, at most 16 KB each. Pruned after 30 days."""

    run = models.ForeignKey(Run, on_delete=models.CASCADE, related_name="log_chunks")
    seq = models.PositiveIntegerField()
    lines = models.BinaryField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["run", "seq"], name="runlog_unique")]

    def __str__(self) -> str:
        return f"log {self.seq} of {self.run_id}"
