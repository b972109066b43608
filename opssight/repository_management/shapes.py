"""The JSON of the original API: what is asked with, and what is answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework import serializers

from opssight.accounts.scope import Principal
from opssight.core.clock import now
from opssight.repository_management.words import (
    CREDENTIALS,
    NOT_COLLECTED,
    NOT_YET,
    OFFERED,
    STATUSES,
    sentence_of,
    status_of,
)
from repos import selectors
from repos.models import Repository
from repos.providers.forge import Forge
from repos.providers.registry import provider_named
from repos.providers.types import RemoteRepository

TYPES = [*OFFERED, *NOT_YET]
RECENT = 20  # deliveries in a status


class OriginalFilters(serializers.Serializer[Any]):
    search = serializers.CharField(required=False, max_length=200, default="", allow_blank=True)
    visibility = serializers.ChoiceField(
        choices=["all", "public", "internal", "private"], required=False, default="all"
    )
    sort = serializers.ChoiceField(choices=["name", "updated"], required=False, default="name")


class OriginalDiscover(serializers.Serializer[Any]):
    connection_type = serializers.ChoiceField(choices=TYPES, required=False, default="github")
    access_token = serializers.CharField(
        required=False,
        max_length=1_000,
        help_text="Without it the team's connections are asked.",
    )
    url = serializers.CharField(
        required=False, max_length=300, help_text="Of a server of your own, with access_token."
    )
    filters = OriginalFilters(required=False)


class SearchIn(serializers.Serializer[Any]):
    query = serializers.CharField(max_length=200)
    connection_type = serializers.ChoiceField(choices=OFFERED, required=False, default="github")
    sort = serializers.ChoiceField(choices=["updated", "name"], required=False, default="updated")
    per_page = serializers.IntegerField(required=False, default=30, min_value=1, max_value=100)
    page = serializers.IntegerField(required=False, default=1, min_value=1, max_value=100_000)


class ConnectIn(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    repository_url = serializers.CharField(max_length=500, help_text="https://… or git@…")
    connection_type = serializers.ChoiceField(choices=TYPES)
    credential_type = serializers.ChoiceField(choices=CREDENTIALS)
    credentials = serializers.DictField(
        child=serializers.CharField(max_length=20_000, trim_whitespace=False),
        help_text="token; for Bitbucket also email; for ssh_key private_key and host_key.",
    )
    project_id = serializers.UUIDField(required=False, allow_null=True, help_text="A team.")


class ListIn(serializers.Serializer[Any]):
    project_id = serializers.UUIDField(required=False, help_text="A team.")
    status = serializers.ChoiceField(choices=STATUSES, required=False)


class MonitorIn(serializers.Serializer[Any]):
    project_id = serializers.UUIDField(required=False, help_text="A team.")


class AnalyticsIn(serializers.Serializer[Any]):
    time_range = serializers.ChoiceField(choices=["7d", "30d", "90d"], required=False, default="30d")


class SyncIn(serializers.Serializer[Any]):
    force = serializers.BooleanField(required=False, default=False)


def found(one: RemoteRepository) -> dict[str, Any]:
    return {
        "id": one.external_id,
        "name": one.full_name.rpartition("/")[2],
        "full_name": one.full_name,
        "description": one.description,
        "url": one.web_url or None,
        "default_branch": one.default_branch or None,
        "visibility": one.visibility,
        "private": None if one.visibility == "unknown" else one.visibility != "public",
        "archived": one.archived,
        "fork": one.fork,
        "language": one.language or None,
        "topics": list(one.topics),
        "size_bytes": one.size_bytes,
        "updated_at": one.pushed_at,
    }


def connection(repository: Repository) -> dict[str, Any]:
    return {
        "id": repository.pk,
        "name": repository.connection.name,
        "connection_type": repository.connection.provider,
        "repository_url": repository.web_url or None,
        "status": status_of(repository),
        "last_sync": repository.head_seen_at,
        "created_at": repository.created_at,
        "metadata": {
            "full_name": repository.full_name,
            "project_id": repository.team_id,
            "connection_id": repository.connection_id,
            "account": repository.connection.account or None,
            "default_branch": repository.default_branch or None,
            "visibility": repository.visibility,
            "archived": repository.archived,
            "provider_data": repository.provider_data,
        },
    }


def status(principal: Principal, repository: Repository) -> dict[str, Any]:
    link = repository.connection
    heard = selectors.deliveries(principal, repository=str(repository.pk))[:RECENT]
    return {
        "connection_id": repository.pk,
        "name": link.name,
        "status": status_of(repository),
        "detail": sentence_of(repository),
        "health_metrics": {
            "connection_state": link.state,
            "last_ok_at": link.last_ok_at,
            "last_seen_at": repository.head_seen_at,
            "head": repository.head_oid or None,
            "behind": {one.lane: one.behind for one in repository.statuses.all()},
        },
        "recent_activity": [
            {"type": one.event, "verdict": one.verdict, "at": one.received_at, "id": one.pk} for one in heard
        ],
        "ci_status": None,
        "security_status": None,
        "not_collected": ["ci_status", "security_status"],
        "updated_at": max(filter(None, (repository.head_seen_at, link.checked_at)), default=None),
    }


def monitor(rows: Iterable[Repository]) -> dict[str, Any]:
    results = [
        {
            "connection_id": row.pk,
            "name": row.connection.name,
            "full_name": row.full_name,
            "status": status_of(row),
            "detail": sentence_of(row),
            "last_sync": row.head_seen_at,
        }
        for row in rows
    ]
    return {
        "monitoring_results": results,
        "total_repositories": len(results),
        "healthy_repositories": sum(1 for one in results if one["status"] == "active"),
        "monitored_at": now(),
    }


def analytics(repository: Repository, time_range: str) -> dict[str, Any]:
    """Nothing of this is collected yet, and it says so instead of making numbers up."""
    return {
        "connection_id": repository.pk,
        "time_range": time_range,
        **dict.fromkeys(NOT_COLLECTED),
        "not_collected": list(NOT_COLLECTED),
        "generated_at": now(),
    }


def providers() -> dict[str, Any]:
    return {
        "providers": [
            *map(_offered, OFFERED),
            *(
                {"type": kind, "name": name, "status": "coming_soon", "features": [], "credential_types": []}
                for kind, name in NOT_YET.items()
            ),
        ]
    }


def _offered(kind: str) -> Mapping[str, Any]:
    provider = provider_named(kind)
    forge = issubclass(provider, Forge)
    credentials = ["personal_access_token"] if forge else ["personal_access_token", "ssh_key"]
    with_button = issubclass(provider, Forge) and provider.oauth is not None
    return {
        "type": kind,
        "name": provider.label,
        "status": "available",
        "features": sorted(provider.capabilities),
        "credential_types": [*credentials, *(["oauth_token"] if with_button else [])],
    }
