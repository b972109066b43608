"""What a team has: connections, repositories and webhooks."""

from __future__ import annotations

from repos.models.api import Etag, RateBudget, RateSpend
from repos.models.connection import (
    DEAD_STATES,
    Connection,
    ConnectionGrant,
    Credential,
    ProviderInstance,
)
from repos.models.discovery import Discovery, ImportRule
from repos.models.repository import Repository, RepositoryGrant, RepositoryStatus
from repos.models.webhook import Delivery, DeliveryBody, Webhook

__all__ = [
    "DEAD_STATES",
    "Connection",
    "ConnectionGrant",
    "Credential",
    "Delivery",
    "DeliveryBody",
    "Discovery",
    "Etag",
    "ImportRule",
    "ProviderInstance",
    "RateBudget",
    "RateSpend",
    "Repository",
    "RepositoryGrant",
    "RepositoryStatus",
    "Webhook",
]
