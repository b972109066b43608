"""The repos room in the API; importing it registers its collections."""

from __future__ import annotations

from repos.api import inventory, webhooks

__all__ = ["inventory", "webhooks"]
