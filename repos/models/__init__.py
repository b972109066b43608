"""What a team has: connections, repositories and webhooks."""

from __future__ import annotations

from repos.models.api import Etag, RateBudget
from repos.models.connection import Connection, ConnectionGrant, Credential
from repos.models.repository import Repository, RepositoryGrant, RepositoryStatus
from repos.models.webhook import Delivery, DeliveryBody, Webhook

__all__ = [
    "Connection",
    "ConnectionGrant",
    "Credential",
    "Delivery",
    "DeliveryBody",
    "Etag",
    "RateBudget",
    "Repository",
    "RepositoryGrant",
    "RepositoryStatus",
    "Webhook",
]
