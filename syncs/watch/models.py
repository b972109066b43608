"""Which job watches which connection."""

from __future__ import annotations

from django.db import models

from repos.models import Connection
from syncs.models import Job


class WatchJob(models.Model):
    """The one job of a connection that keeps it known; made by itself, and gone with the connection."""

    job = models.OneToOneField(Job, on_delete=models.CASCADE, primary_key=True, related_name="watch")
    connection = models.OneToOneField(Connection, on_delete=models.CASCADE, related_name="watch")

    def __str__(self) -> str:
        return str(self.connection_id)
