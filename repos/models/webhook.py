"""Webhooks in: where they arrive, and what arrived."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from opssight.accounts.models import Team, TeamOwnedQuerySet
from opssight.core.fields import EncryptedTextField
from opssight.core.ids import uuid7
from repos.models.connection import Connection, ProviderInstance
from repos.models.repository import Repository


class Webhook(models.Model):
    """An address that receives deliveries. Its id is the unguessable part of the path (uuid4).

    The row says which verifier is used; a request's headers never do. Two secrets are valid while
    one replaces the other.
    """

    class State(models.TextChoices):
        ACTIVE = "active", "active"
        PAUSED = "paused", "paused"

    class Remote(models.TextChoices):
        UNKNOWN = "", "not known"  # entered by a person at the sender
        OK = "ok", "registered"
        DISABLED = "disabled", "disabled by the provider"
        REFUSED = "refused", "could not be registered"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="webhooks")
    name = models.CharField(max_length=100, blank=True)
    scheme = models.CharField(max_length=20)
    secret = EncryptedTextField()
    previous_secret = EncryptedTextField(blank=True, default="")
    connection = models.ForeignKey(
        Connection, on_delete=models.CASCADE, null=True, blank=True, related_name="webhooks"
    )
    repository = models.ForeignKey(
        Repository, on_delete=models.CASCADE, null=True, blank=True, related_name="webhooks"
    )
    # of a GitHub App: its deliveries are about all of its installations
    instance = models.OneToOneField(
        ProviderInstance, on_delete=models.CASCADE, null=True, blank=True, related_name="webhook"
    )
    state = models.CharField(max_length=10, choices=State, default=State.ACTIVE)
    # how it stands at the provider, for one that we registered
    managed = models.BooleanField(default=False)
    remote_id = models.CharField(max_length=100, blank=True)
    remote_state = models.CharField(max_length=10, choices=Remote, blank=True, default="")
    remote_sentence = models.TextField(blank=True)
    remote_checked_at = models.DateTimeField(null=True, blank=True)
    rotated_at = models.DateTimeField(null=True, blank=True)  # when the newest secret was made
    allowed_sources = models.JSONField(default=list, blank=True)  # CIDRs; none: from anywhere
    last_delivery_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = TeamOwnedQuerySet.as_manager()

    def __str__(self) -> str:
        return self.name or f"{self.scheme} webhook"

    @property
    def path(self) -> str:
        """What to POST to, below the public address."""
        return f"/hooks/{self.pk}/"


class Delivery(models.Model):
    """One delivery, as it was judged when it came in. Its body is stored beside it."""

    class Verdict(models.TextChoices):
        ACCEPTED = "accepted", "accepted"
        DUPLICATE = "duplicate", "duplicate"
        IGNORED = "ignored", "ignored"  # understood and not wanted
        UNAUTHENTIC = "unauthentic", "unauthentic"
        UNREADABLE = "unreadable", "unreadable"
        ERROR = "error", "error"  # stored, but acting on it failed

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    webhook = models.ForeignKey(Webhook, on_delete=models.CASCADE, related_name="deliveries")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="deliveries")
    delivery_key = models.CharField(max_length=100)
    event = models.CharField(max_length=60, blank=True)  # the sender's name for it
    events = models.JSONField(default=list)  # names of repos.events it was understood as
    verdict = models.CharField(max_length=12, choices=Verdict)
    sentence = models.TextField(blank=True)
    headers = models.JSONField(default=dict)  # chosen ones, no signatures
    body_sha256 = models.CharField(max_length=64)
    body_bytes = models.PositiveIntegerField(default=0)
    repository = models.ForeignKey(
        Repository, on_delete=models.SET_NULL, null=True, blank=True, related_name="deliveries"
    )
    replay_of = models.ForeignKey("self", on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    duplicates = models.PositiveIntegerField(default=0)  # how often the same came again
    received_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = TeamOwnedQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(fields=["webhook", "delivery_key"], name="delivery_unique"),
            models.CheckConstraint(
                condition=Q(
                    verdict__in=["accepted", "duplicate", "ignored", "unauthentic", "unreadable", "error"]
                ),
                name="delivery_verdict",
            ),
        ]
        indexes = [
            models.Index(fields=["webhook", "-received_at"], name="delivery_webhook_received"),
            models.Index(fields=["team", "-id"], name="delivery_team_id"),
        ]

    def __str__(self) -> str:
        return f"{self.event or 'delivery'} {self.pk}"


class DeliveryBody(models.Model):
    """The raw body, apart from the row so that lists never read it. Pruned after 30 days."""

    delivery = models.OneToOneField(
        Delivery, on_delete=models.CASCADE, primary_key=True, related_name="stored_body"
    )
    body = models.BinaryField()  # zlib

    def __str__(self) -> str:
        return f"body of {self.delivery_id}"
