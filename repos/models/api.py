"""What is remembered of talking to the APIs of providers: limits and answers."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now

from repos.models.connection import Connection


class RateBudget(models.Model):
    """What a provider said is left of one limit of a connection."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="budgets")
    resource = models.CharField(max_length=60)  # the provider's name for it
    limit = models.PositiveIntegerField(default=0)
    remaining = models.PositiveIntegerField(default=0)
    reset_at = models.DateTimeField(null=True, blank=True)
    paused_until = models.DateTimeField(null=True, blank=True)  # it told us to wait
    told_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "resource"], name="ratebudget_unique")]

    def __str__(self) -> str:
        return f"{self.resource} of {self.connection_id}: {self.remaining} of {self.limit}"


class Etag(models.Model):
    """An answer of a provider that is asked for again with its ETag. Never shared between connections."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="etags")
    url_hash = models.CharField(max_length=64)  # SHA-256 of the address, in hex
    etag = models.CharField(max_length=200)
    link = models.TextField(blank=True)
    body = models.BinaryField()  # zlib
    told_at = models.DateTimeField(db_default=Now())

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "url_hash"], name="etag_unique")]

    def __str__(self) -> str:
        return f"{self.etag} of {self.connection_id}"


class RateSpend(models.Model):
    """How many requests to the API of a connection were spent in one hour, and by what."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="spends")
    resource = models.CharField(max_length=60)
    spender = models.CharField(max_length=40)  # a job kind, or "people"
    hour = models.DateTimeField()  # its beginning
    requests = models.PositiveIntegerField(default=0)
    unchanged = models.PositiveIntegerField(default=0)  # those of them that were answered with 304

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["connection", "resource", "spender", "hour"], name="ratespend_unique"
            )
        ]

    def __str__(self) -> str:
        return f"{self.requests} of {self.resource} by {self.spender}"
