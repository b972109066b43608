"""Reading connections, repositories, webhooks and deliveries: a constant number of queries each."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, F, Q, QuerySet

from opssight.accounts.scope import Principal, visible_to
from repos.models import Connection, Delivery, Repository, Webhook

REPOSITORY_SORTS: dict[str, tuple[Any, ...]] = {
    "name": ("full_name", "id"),
    "-name": ("-full_name", "-id"),
    "pushed": ("pushed_at", "id"),
    "-pushed": ("-pushed_at", "-id"),
    "connection": ("connection__name", "full_name", "id"),
    "-connection": ("-connection__name", "full_name", "id"),
    "seen": (F("head_seen_at").asc(nulls_first=True), "full_name"),
    "-seen": (F("head_seen_at").desc(nulls_last=True), "full_name"),
    "added": ("id",),
    "-added": ("-id",),
}


def connections(principal: Principal, *, provider: str = "", state: str = "") -> QuerySet[Connection]:
    """By name, with `repository_count` (those that are not ignored)."""
    rows: QuerySet[Connection] = visible_to(Connection.objects.all(), principal)
    rows = rows.select_related("team").order_by("name", "id")
    rows = rows.annotate(
        repository_count=Count("repositories", filter=~Q(repositories__state=Repository.State.IGNORED))
    )
    rows = rows.filter(provider=provider) if provider else rows
    return rows.filter(state=state) if state else rows


def repositories(
    principal: Principal,
    *,
    search: str = "",
    state: str = "",
    connection: str = "",
    provider: str = "",
    sort: str = "name",
) -> QuerySet[Repository]:
    """With connection and statuses. Ignored ones only when asked for by `state`; `all` is every state.

    `sort` is a key of `REPOSITORY_SORTS`; anything else sorts by name.
    """
    rows: QuerySet[Repository] = visible_to(Repository.objects.all(), principal)
    rows = rows.select_related("connection", "team").prefetch_related("statuses")
    if state and state != "all":
        rows = rows.filter(state=state)
    elif not state:
        rows = rows.exclude(state=Repository.State.IGNORED)
    for word in search.split():
        rows = rows.filter(Q(full_name__icontains=word) | Q(description__icontains=word))
    if connection:
        rows = rows.filter(connection_id=connection)
    if provider:
        rows = rows.filter(connection__provider=provider)
    return rows.order_by(*REPOSITORY_SORTS.get(sort, REPOSITORY_SORTS["name"]))


def webhooks(principal: Principal) -> QuerySet[Webhook]:
    rows: QuerySet[Webhook] = visible_to(Webhook.objects.all(), principal)
    return rows.select_related("connection", "repository", "team").order_by("name", "created_at", "id")


def deliveries(
    principal: Principal, *, webhook: str = "", verdict: str = "", event: str = "", repository: str = ""
) -> QuerySet[Delivery]:
    """Newest first."""
    rows: QuerySet[Delivery] = visible_to(Delivery.objects.all(), principal)
    rows = rows.select_related("webhook", "repository", "team").order_by("-id")
    filters = {"webhook_id": webhook, "verdict": verdict, "event": event, "repository_id": repository}
    return rows.filter(**{name: value for name, value in filters.items() if value})
