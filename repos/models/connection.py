"""Connections to provider instances, and their secrets."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Final, Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from opssight.accounts.models import Team, TeamOwnedQuerySet
from opssight.core.errors import ErrorClass
from opssight.core.fields import EncryptedTextField
from opssight.core.ids import uuid7


class ConnectionQuerySet(TeamOwnedQuerySet):
    def in_teams(self, team_ids: Iterable[uuid.UUID]) -> Self:
        teams = list(team_ids)
        shared = ConnectionGrant.objects.filter(team_id__in=teams).values("connection_id")
        return self.filter(Q(team_id__in=teams) | Q(pk__in=shared))


class Connection(models.Model):
    """A link of a team to one provider instance, with its health."""

    class State(models.TextChoices):
        UNKNOWN = "unknown", "unknown"  # never asked
        OK = "ok", "ok"
        DEGRADED = "degraded", "degraded"  # answers, or answered lately, but not as it should
        REAUTH = "reauth_required", "reauth required"  # the credential was refused
        REVOKED = "revoked", "revoked"  # it was taken back there, and cannot be renewed
        BLOCKED = "blocked_by_org", "blocked by organization"  # its rules keep us out

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="connections")
    provider = models.CharField(max_length=20)
    name = models.CharField(max_length=100)
    options = models.JSONField(default=dict, blank=True)  # the provider's declared fields, never secrets
    # made at this machine's command line, whose user may name any folder and any host
    local = models.BooleanField(default=False, editable=False)
    account = models.CharField(max_length=200, blank=True)  # whom the provider says we are
    # our application there, for what was connected by a button
    instance = models.ForeignKey(
        "ProviderInstance", on_delete=models.SET_NULL, null=True, blank=True, related_name="connections"
    )
    installation_id = models.CharField(max_length=40, blank=True)  # of a GitHub App
    ca = models.TextField("certificate authority", blank=True)  # PEM, trusted beside the usual ones
    proxy = EncryptedTextField(blank=True, default="")  # URL, may hold a login
    state = models.CharField(max_length=20, choices=State, default=State.UNKNOWN)
    error_class = models.CharField(
        max_length=20, choices=[(c.value, c.value) for c in ErrorClass], blank=True
    )
    sentence = models.TextField(blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    last_ok_at = models.DateTimeField(null=True, blank=True)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = ConnectionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["team", "name"], name="connection_name_unique"),
            models.UniqueConstraint(
                fields=["instance", "installation_id"],
                condition=~Q(installation_id=""),
                name="connection_installation_unique",
            ),
            models.CheckConstraint(
                condition=Q(
                    state__in=["unknown", "ok", "degraded", "reauth_required", "revoked", "blocked_by_org"]
                ),
                name="connection_state",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def dead(self) -> bool:
        """Whether its credential is of no use until a person does something about it."""
        return self.state in DEAD_STATES


DEAD_STATES: Final = (Connection.State.REAUTH, Connection.State.REVOKED, Connection.State.BLOCKED)


class Credential(models.Model):
    """One encrypted secret of a connection, for one purpose (`password`, `private_key`, …)."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="credentials")
    purpose = models.CharField(max_length=30)
    secret = EncryptedTextField()
    expires_at = models.DateTimeField(null=True, blank=True)
    version = models.PositiveIntegerField(default=1)  # one more with each renewal
    # who renews it now: see repos.tokens
    refresh_owner = models.UUIDField(null=True, blank=True, editable=False)
    refresh_until = models.DateTimeField(null=True, blank=True, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["connection", "purpose"], name="credential_purpose_unique")
        ]

    def __str__(self) -> str:
        return f"{self.purpose} of {self.connection_id}"


class ProviderInstance(models.Model):
    """Our OAuth application at one instance of a provider, entered by an administrator."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    provider = models.CharField(max_length=20)
    url = models.CharField(max_length=300, blank=True)  # its web address; "" is the provider's public one
    client_id = models.CharField(max_length=200)
    client_secret = EncryptedTextField()
    # of a GitHub App, "" for an OAuth application
    app_id = models.CharField(max_length=40, blank=True)
    app_slug = models.CharField(max_length=100, blank=True)
    private_key = EncryptedTextField(blank=True, default="")
    ca = models.TextField("certificate authority", blank=True)  # PEM, trusted beside the usual ones
    proxy = EncryptedTextField(blank=True, default="")
    # whether an address that it calls verified opens an account here; the public instance's always does
    trusts_email = models.BooleanField("trusted with e-mail addresses", default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["provider", "url"], name="providerinstance_unique")]

    def __str__(self) -> str:
        return f"{self.provider} {self.url}".strip()


class ConnectionGrant(models.Model):
    """A connection shared with another team, to be seen and used for reading."""

    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="grants")
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "team"], name="connectiongrant_unique")]

    def __str__(self) -> str:
        return f"{self.connection_id} to {self.team_id}"
