"""Repositories: the inventory, and how far each lane is behind."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from opssight.accounts.models import Team, TeamOwnedQuerySet
from opssight.core.ids import uuid7
from repos.models.connection import Connection


class RepositoryQuerySet(TeamOwnedQuerySet):
    def in_teams(self, team_ids: Iterable[uuid.UUID]) -> Self:
        teams = list(team_ids)
        shared = RepositoryGrant.objects.filter(team_id__in=teams).values("repository_id")
        return self.filter(Q(team_id__in=teams) | Q(pk__in=shared))


class Repository(models.Model):
    """One repository of a connection, keyed by the provider's own id: a rename is not a new one."""

    class State(models.TextChoices):
        ACTIVE = "active", "active"
        LOST_ACCESS = "lost_access", "lost access"  # was there, the connection no longer sees it
        GONE = "gone", "gone"
        IGNORED = "ignored", "ignored"

    class Visibility(models.TextChoices):
        UNKNOWN = "unknown", "unknown"
        PUBLIC = "public", "public"
        INTERNAL = "internal", "internal"
        PRIVATE = "private", "private"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="repositories")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="repositories")
    external_id = models.CharField(max_length=500)
    full_name = models.CharField(max_length=400)
    description = models.TextField(blank=True)
    default_branch = models.CharField(max_length=255, blank=True)
    visibility = models.CharField(max_length=10, choices=Visibility, default=Visibility.UNKNOWN)
    archived = models.BooleanField(default=False)
    fork = models.BooleanField(default=False)
    size_bytes = models.BigIntegerField(null=True, blank=True)  # None: not told by the provider
    topics = models.JSONField(default=list, blank=True)
    language = models.CharField(max_length=60, blank=True)
    web_url = models.CharField(max_length=600, blank=True)  # where people read it
    # what only this provider tells: {"permissions": {…}, "has_issues": true, …}
    provider_data = models.JSONField(default=dict, blank=True)
    pushed_at = models.DateTimeField(null=True, blank=True)
    head_oid = models.CharField(max_length=64, blank=True)
    head_seen_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=12, choices=State, default=State.ACTIVE)
    state_reason = models.TextField(blank=True)  # why it cannot be used, such as "shallow clone"
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = RepositoryQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "repositories"
        constraints = [
            # not full_name: two repositories may swap names
            models.UniqueConstraint(fields=["connection", "external_id"], name="repository_unique"),
            models.CheckConstraint(
                condition=Q(state__in=["active", "lost_access", "gone", "ignored"]), name="repository_state"
            ),
        ]
        indexes = [
            models.Index(fields=["team", "state", "full_name"], name="repository_team_state"),
            models.Index(fields=["connection", "full_name"], name="repository_connection_name"),
        ]

    def __str__(self) -> str:
        return self.full_name

    @property
    def qualified_name(self) -> str:
        """Its name with its connection, for where the name alone means several."""
        return f"{self.connection.name}:{self.full_name}"


class RepositoryGrant(models.Model):
    """A repository shared with another team, to be seen."""

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="grants")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["repository", "team"], name="repositorygrant_unique")]

    def __str__(self) -> str:
        return f"{self.repository_id} to {self.team_id}"


class RepositoryStatus(models.Model):
    """How far one lane (a job kind) is behind the head of a repository; written when a run ends.

    `behind` is in commits; None means unknown, which is never shown as 0.
    """

    repository = models.ForeignKey(Repository, on_delete=models.CASCADE, related_name="statuses")
    lane = models.CharField(max_length=20)
    state = models.CharField(max_length=20)
    sentence = models.TextField(blank=True)
    fresh_oid = models.CharField(max_length=64, blank=True)
    behind = models.PositiveIntegerField(null=True, blank=True)
    fresh_at = models.DateTimeField(null=True, blank=True)
    last_run = models.UUIDField(null=True, blank=True)  # syncs.Run; no key upward

    class Meta:
        verbose_name_plural = "repository statuses"
        constraints = [models.UniqueConstraint(fields=["repository", "lane"], name="repositorystatus_unique")]

    def __str__(self) -> str:
        return f"{self.lane} of {self.repository_id}: {self.state}"
