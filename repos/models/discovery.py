"""What connections see, as it was found last, and what is imported by itself."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

from opssight.accounts.models import Team, TeamOwnedQuerySet
from opssight.core.ids import uuid7
from repos.models.connection import Connection


class Discovery(models.Model):
    """The last listing of a connection: what the discovery page shows while it is young."""

    connection = models.OneToOneField(
        Connection, on_delete=models.CASCADE, primary_key=True, related_name="discovery"
    )
    found_at = models.DateTimeField()
    found = models.BinaryField()  # zlib of a JSON list
    count = models.PositiveIntegerField(default=0)
    failed = models.JSONField(default=list)  # sentences: what could not be listed

    class Meta:
        verbose_name_plural = "discoveries"

    def __str__(self) -> str:
        return f"{self.count} repositories of {self.connection_id}"


class ImportRule(models.Model):
    """What is imported by itself, as soon as a connection sees it. `filters` as on the discovery page."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="import_rules")
    connection = models.ForeignKey(Connection, on_delete=models.CASCADE, related_name="import_rules")
    name = models.CharField(max_length=100)
    filters = models.JSONField(default=dict)
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = TeamOwnedQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["connection", "name"], name="importrule_name_unique")]

    def __str__(self) -> str:
        return self.name
