"""Reading connections, repositories, webhooks and deliveries: a constant number of queries each."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

from django.db.models import CharField, Count, F, Q, QuerySet, Value
from django.db.models.functions import Concat
from django.db.models.lookups import In

from opssight.accounts.scope import Principal, visible_to
from opssight.core.errors import NotFound
from opssight.core.ids import as_uuid
from opssight.core.words import join_words
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

_NAMED: Final = 5  # of the same name, in a sentence


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


def named(texts: Collection[str]) -> Q:
    """The repositories that one of the texts means: an id, a full name, or `CONNECTION:owner/name`."""
    qualified = Concat("connection__name", Value(":"), "full_name", output_field=CharField())
    texts = [text for text in texts if "\0" not in text]  # PostgreSQL takes none
    ids = [id for text in texts if (id := as_uuid(text))]
    return Q(pk__in=ids) | Q(full_name__in=texts) | Q(In(qualified, texts))


def repository_named(rows: QuerySet[Repository], text: str) -> Repository | None:
    """The one of `rows` with this id, full name, or `CONNECTION:owner/name`; None where there is none.

    A name that several have is not guessed: NotFound says how each of them is written.
    """
    found = list(rows.filter(named([text])).select_related("connection").order_by("id")[:_NAMED])
    if len(found) < 2:
        return found[0] if found else None
    names = [row.qualified_name for row in found]
    clear = len(set(names)) == len(names) and text not in names
    ways = names if clear else [str(row.pk) for row in found]
    raise NotFound(
        f"Several repositories are called {text[:100]!r}. Write {join_words(ways, 'or')}, whichever you mean."
    )


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
