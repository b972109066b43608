"""The audit log: what was done, by whom, and the chain of seals that shows tampering.

Rows are only ever added; triggers in the database refuse anything else. Who has full access to the
database can remove the triggers, but cannot make a seal without the installation's key.
"""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from opssight.audit.actor import ActorKind
from opssight.core.ids import uuid7


class AuditEvent(models.Model):
    """One thing that was done. Names of people and objects stay readable after these are deleted."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    at = models.DateTimeField(db_default=Now(), editable=False)
    actor_kind = models.CharField(max_length=10, choices=[(k.value, k.value) for k in ActorKind])
    actor_id = models.CharField(max_length=64, blank=True)
    actor_label = models.CharField(max_length=254, blank=True)
    # plain ids: this room lies below accounts, and a deleted team keeps its history
    team_id = models.UUIDField(null=True, blank=True)  # None: concerns the whole installation
    action = models.CharField(max_length=60)
    object_type = models.CharField(max_length=40, blank=True)
    object_id = models.CharField(max_length=64, blank=True)
    object_label = models.CharField(max_length=400, blank=True)
    diff = models.JSONField(default=dict, blank=True)
    request_id = models.CharField(max_length=64, blank=True)
    run_id = models.UUIDField(null=True, blank=True)

    class Meta:
        verbose_name = "event"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(actor_kind__in=[k.value for k in ActorKind]), name="auditevent_actor_kind"
            )
        ]
        indexes = [
            models.Index(fields=["team_id", "-id"], name="auditevent_team"),
            models.Index(fields=["object_id", "-id"], name="auditevent_object"),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.object_label}".strip()


class AuditPending(models.Model):
    """An event that waits for its seal: written with the event, deleted when it is sealed.

    Only so that the sealer need not search the whole log each second; verification does search it.
    """

    event = models.OneToOneField(
        AuditEvent, on_delete=models.DO_NOTHING, db_constraint=False, primary_key=True, related_name="+"
    )

    def __str__(self) -> str:
        return f"event {self.pk} waits for its seal"


class AuditSeal(models.Model):
    """One link of the chain: `mac` covers the event, its place `seq` (from 1) and the link before."""

    seq = models.BigIntegerField(primary_key=True)
    # no database constraint: a seal whose event was removed is the proof of the removal
    event = models.OneToOneField(
        AuditEvent, on_delete=models.DO_NOTHING, db_constraint=False, related_name="seal"
    )
    prev_mac = models.CharField(max_length=64)
    mac = models.CharField(max_length=64)  # hex of HMAC-SHA256
    key_id = models.CharField(max_length=32)
    sealed_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"seal {self.seq}"


class AuditAnchor(models.Model):
    """A link of the chain that was written down outside the database, so that a cut tail shows."""

    seq = models.BigIntegerField()
    mac = models.CharField(max_length=64)
    exported_to = models.CharField(max_length=1000)
    exported_at = models.DateTimeField(db_default=Now(), editable=False)

    def __str__(self) -> str:
        return f"anchor at {self.seq}"
