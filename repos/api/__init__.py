"""The repos room in the API; importing it registers its collections."""

from __future__ import annotations

from repos.api import connections, webhooks

__all__ = ["connections", "webhooks"]
