"""Telling people: channels, what each wants to know, and the outbox of what is to be sent."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from opssight.core.fields import EncryptedTextField
from opssight.core.ids import uuid7


class Severity(models.IntegerChoices):
    """How much it matters; each includes what is above it."""

    INFO = 10, "info"
    WARNING = 20, "warning"
    ERROR = 30, "error"


class Channel(models.Model):
    """A way to reach people of a team. `sentence` says why it does not work, when it does not.

    `secret` is Slack's webhook address, or the key that signs an outgoing webhook; `options` holds
    the rest: `to` (mail addresses), `url` (of a webhook).
    """

    class Scheme(models.TextChoices):
        SLACK = "slack", "Slack"
        SMTP = "smtp", "e-mail"
        WEBHOOK = "webhook", "webhook"

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    team_id = models.UUIDField()  # no key upward: this room lies below accounts
    name = models.CharField(max_length=100)
    scheme = models.CharField(max_length=10, choices=Scheme)
    secret = EncryptedTextField(blank=True, default="")
    options = models.JSONField(default=dict, blank=True)
    enabled = models.BooleanField(default=True)
    last_ok_at = models.DateTimeField(null=True, blank=True)
    sentence = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team_id", "name"], name="channel_name_unique"),
            models.CheckConstraint(
                condition=Q(scheme__in=["slack", "smtp", "webhook"]), name="channel_scheme"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class NoticeRule(models.Model):
    """What a channel wants to know: topics (none: all; `run` includes `run.copy`) from a severity on."""

    team_id = models.UUIDField()
    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="rules")
    topics = models.JSONField(default=list, blank=True)
    min_severity = models.PositiveSmallIntegerField(choices=Severity, default=Severity.WARNING)
    enabled = models.BooleanField(default=True)

    class Meta:
        indexes = [models.Index(fields=["team_id"], name="noticerule_team")]
        constraints = [
            models.CheckConstraint(
                condition=Q(min_severity__in=[s.value for s in Severity]), name="noticerule_severity"
            )
        ]

    def __str__(self) -> str:
        return f"{', '.join(self.topics) or 'everything'} to {self.channel_id}"

    def wants(self, topic: str) -> bool:
        return not self.topics or any(topic == own or topic.startswith(f"{own}.") for own in self.topics)


class NoticeState(models.Model):
    """The state of a subject that a rule saw last, so that only a change is told.

    `open`: that state was bad enough for the rule, so its end is told as well.
    """

    rule = models.ForeignKey(NoticeRule, on_delete=models.CASCADE, related_name="states")
    subject = models.CharField(max_length=200)
    last_state = models.CharField(max_length=40)
    open = models.BooleanField(default=False)
    changes = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["rule", "subject"], name="noticestate_unique")]

    def __str__(self) -> str:
        return f"{self.subject}: {self.last_state}"


class Outbox(models.Model):
    """One message for one channel. It is sent at least once, always with the same `message_id`.

    A deliverer claims it by moving `due_at` into the future; when it dies, the message is due again.
    """

    channel = models.ForeignKey(Channel, on_delete=models.CASCADE, related_name="outbox")
    dedupe_key = models.CharField(max_length=300, unique=True)
    message_id = models.CharField(max_length=40)
    message = models.JSONField()  # see opssight.notices.message
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveSmallIntegerField(default=0)
    delivered_at = models.DateTimeField(null=True, blank=True)
    gave_up_at = models.DateTimeField(null=True, blank=True)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "outbox"
        indexes = [
            models.Index(
                fields=["due_at"],
                condition=Q(delivered_at__isnull=True, gave_up_at__isnull=True),
                name="outbox_due",
            )
        ]

    def __str__(self) -> str:
        return f"{self.message_id} to {self.channel_id}"
