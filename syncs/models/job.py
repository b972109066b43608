"""Jobs: what is to be done, in immutable versions, and what sets it off."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from opssight.accounts.models import Team, TeamOwnedQuerySet
from opssight.core.ids import uuid7
from repos.models import Repository


class Job(models.Model):
    """What is to be done, of one kind (`copy`, …); its configuration is its current version."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="jobs")
    kind = models.CharField(max_length=20)
    name = models.CharField(max_length=150)
    enabled = models.BooleanField(default=True)
    version = models.ForeignKey(
        "JobVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    cron = models.CharField("schedule", max_length=100, blank=True)
    tz = models.CharField("time zone", max_length=60, default="UTC")
    next_at = models.DateTimeField(null=True, blank=True)
    schedule_error = models.TextField(blank=True)
    poll_seconds = models.PositiveIntegerField(null=True, blank=True)  # None: never asked
    next_poll_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = TeamOwnedQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "kind", "name"], name="job_name_unique")]
        indexes = [
            models.Index(fields=["next_at"], condition=Q(enabled=True), name="job_next_at"),
            models.Index(fields=["next_poll_at"], condition=Q(enabled=True), name="job_next_poll_at"),
        ]

    def __str__(self) -> str:
        return self.name


class JobVersion(models.Model):
    """An immutable configuration of a job. A run points at its version: "what ran?" has an answer."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    config = models.JSONField()
    note = models.CharField(max_length=300, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="jobversion_unique")]

    def __str__(self) -> str:
        return f"version {self.number} of {self.job_id}"


class Trigger(models.Model):
    """An event of a repository that sets a job off; `ref` narrows it.

    `ref` is the name of a branch, or `refs/tags/` and a glob for tags, of which the job's kind knows the
    meaning; empty: any. `seen_oid` is what the last look (poll) found there, so that a change is noticed
    once; for tags it is a digest of `seen_tags`, which holds the object of each.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="triggers")
    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="triggers")
    event = models.CharField(max_length=40)
    ref = models.CharField(max_length=255, blank=True)
    seen_oid = models.CharField(max_length=64, blank=True)
    seen_tags = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "repository", "event", "ref"], name="trigger_unique")
        ]
        indexes = [models.Index(fields=["repository", "event"], name="trigger_repository_event")]

    def __str__(self) -> str:
        return f"{self.event} {self.ref} of {self.repository_id}"
