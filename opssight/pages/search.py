"""Find anything: connections and repositories and jobs by name, runs and deliveries by id."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html

from opssight.core.ids import as_uuid
from opssight.web.formats import format_ago
from opssight.web.parts import Crumb
from opssight.web.views import TeamPage
from repos import selectors as repos
from repos.models import Connection, Delivery, Repository
from repos.reconnect import STATE_KEYS
from syncs import selectors as syncs
from syncs.engine.kinds import kind_named
from syncs.models import Job, Run

SHOWN: Final = 10  # of each sort; the lists have the rest
_PART_OF_ID: Final = re.compile(r"[0-9a-f]{4,12}")


@dataclass(frozen=True)
class Hit:
    """One thing that was found: a `state` of STATES or a `provider` is its mark."""

    title: str
    url: str
    note: str = ""
    state: str = ""
    provider: str = ""


@dataclass(frozen=True)
class Group:
    """What was found of one sort; `all_url` is the list with the same search when there is more."""

    title: str
    icon: str
    hits: Sequence[Hit]
    all_url: str = ""


class SearchPage(TeamPage):
    """`?q=` is words of a name, or an id: all of it, or its last digits. A whole id leads to its page."""

    template_name = "search/search.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Search")]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        text = request.GET.get("q", "").strip()[:200].replace("\0", "")
        groups = self.groups(text) if text else []
        hits = [hit for group in groups for hit in group.hits]
        if len(hits) == 1 and as_uuid(text):
            return HttpResponseRedirect(hits[0].url)
        context = self.get_context_data(text=text, groups=groups, more=_more(text))
        return self.render_to_response(context)

    def groups(self, text: str) -> list[Group]:
        """One query for each sort."""
        found = [
            self.connections(text),
            self.repositories(text),
            self.jobs(text),
            self.runs(text),
            self.deliveries(text),
        ]
        return [group for group in found if group.hits]

    def connections(self, text: str) -> Group:
        rows = repos.connections(self.principal).filter(team=self.request.team)
        hits = [_connection(row) for row in _first(rows.filter(_named("name", text)))]
        return Group("Connections", "link", hits[:SHOWN], _list_url(hits, "connections", ""))

    def repositories(self, text: str) -> Group:
        rows = repos.repositories(self.principal, state="all").prefetch_related(None)
        rows = rows.filter(team=self.request.team).filter(_named("full_name", text))
        hits = [_repository(row) for row in _first(rows)]
        return Group("Repositories", "repository", hits[:SHOWN], _list_url(hits, "repositories", text))

    def jobs(self, text: str) -> Group:
        rows = syncs.jobs(self.principal).filter(team=self.request.team)
        hits = [_job(row) for row in _first(rows.filter(_named("name", text)))]
        return Group("Jobs", "play", hits[:SHOWN])

    def runs(self, text: str) -> Group:
        wanted = _by_id(text)
        rows = syncs.runs(self.principal).filter(team=self.request.team)
        hits = [_run(row) for row in _first(rows.filter(wanted))] if wanted else []
        return Group("Runs", "play", hits[:SHOWN])

    def deliveries(self, text: str) -> Group:
        wanted = _by_id(text)
        rows = repos.deliveries(self.principal).filter(team=self.request.team)
        hits = [_delivery(row) for row in _first(rows.filter(wanted))] if wanted else []
        return Group("Deliveries", "inbox", hits[:SHOWN])


def _named(field: str, text: str) -> Q:
    """Every word is in the name; or the text is the whole id."""
    words = Q(*((f"{field}__icontains", word) for word in text.split()))
    whole = as_uuid(text)
    return words | Q(pk=whole) if whole else words


def _by_id(text: str) -> Q | None:
    """The whole id, or its last digits as pages show them. None for what can be no id."""
    whole = as_uuid(text)
    if whole:
        return Q(pk=whole)
    part = text.lower().removeprefix("#")
    return Q(pk__endswith=part) if _PART_OF_ID.fullmatch(part) else None


def _first(rows: QuerySet[Any]) -> Iterable[Any]:
    """As many as are shown, and one that tells that there are more."""
    first: Iterable[Any] = rows[: SHOWN + 1]
    return first


def _list_url(hits: Sequence[Hit], name: str, text: str) -> str:
    if len(hits) <= SHOWN:
        return ""
    return f"{reverse(name)}?{urlencode({'q': text})}" if text else reverse(name)


def _more(text: str) -> str:
    """Where sentences and causes of runs are searched."""
    return f"{reverse('runs')}?{urlencode({'q': text})}" if text else ""


def _connection(row: Connection) -> Hit:
    state = STATE_KEYS[Connection.State(row.state)]
    return Hit(row.name, reverse("connection", args=[row.pk]), row.account, state, row.provider)


def _repository(row: Repository) -> Hit:
    state = "" if row.state == Repository.State.ACTIVE and not row.state_reason else row.state
    state = {"lost_access": "unreadable", Repository.State.ACTIVE: "unreadable"}.get(state, state)
    url = reverse("repository", args=[row.pk])
    return Hit(row.full_name, url, row.connection.name, state, row.connection.provider)


def _job(row: Job) -> Hit:
    try:
        kind = kind_named(row.kind).label
    except KeyError:
        kind = row.kind
    return Hit(row.name, reverse("job", args=[row.pk]), kind, "" if row.enabled else "off")


def _run(row: Run) -> Hit:
    title = format_html("{} <b>{}</b>", "Run", row.short_id)
    said = row.sentence if row.finished else row.progress_text or row.wait_reason
    note = " · ".join(filter(None, (row.title, said, format_ago(row.created_at))))
    return Hit(title, reverse("run", args=[row.pk]), note, row.state)


def _delivery(row: Delivery) -> Hit:
    title = format_html("{} <b>{}</b>", "Delivery", row.pk.hex[-4:])
    where = row.repository.full_name if row.repository else str(row.webhook)
    note = " · ".join(filter(None, (row.event, where, format_ago(row.received_at))))
    return Hit(title, reverse("delivery", args=[row.pk]), note, row.verdict)
