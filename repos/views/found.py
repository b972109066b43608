"""Everything a connection sees, to be narrowed and picked from; and what is imported by itself."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from opssight.accounts.models import Role
from opssight.core.errors import Failure, InvalidInput
from opssight.web.parts import Crumb
from opssight.web.views import one_or_404
from repos import discovery, import_rules, inventory, warm
from repos.beside import Answer, ask, forget, is_asked
from repos.discovery import Found, Listing
from repos.filters import CHOICES, Filters, owners
from repos.models import ImportRule
from repos.views.connecting import PART_SECONDS
from repos.views.connections import WAIT_SECONDS, OfConnection
from repos.views.lists import repositories

LIST_SECONDS: Final = 300.0  # that listing everything may take; what was listed until then counts
LISTED: Final = 100  # repositories on one page
OFFERED: Final = 50  # languages and topics to choose from
OWNERS: Final = 200  # rows of the tree
LOOKED: Final = 20  # of what was just imported, looked at beside


@dataclass(frozen=True)
class Owner:
    """A row of the tree of organizations, workspaces and groups."""

    name: str
    full_name: str
    depth: int
    count: int
    url: str
    current: bool


@dataclass(frozen=True)
class Seen:
    """The part of a listing that fits the filters. `token` stands for what `new` would import."""

    page: Page[Found]
    matching: int
    new: int
    token: str
    owners: Sequence[Owner]
    languages: Sequence[str]
    topics: Sequence[str]


class FoundPage(OfConnection):
    """Pick repositories. A list that is too old is shown while a new one is on its way."""

    post_role = Role.OPERATOR
    template_name = "repos/found.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [*super().crumbs(), Crumb("Repositories")]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "again" in request.GET and self.principal.may(Role.OPERATOR, self.connection.team_id):
            forget(self.key)
            self.ask(0.0)
            return self.to_list(self.filters)
        if request.headers.get("HX-Request") == "true":
            return render(request, "repos/_found.html", self.part(PART_SECONDS))
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """A young list is in the page itself; else it is asked for later, without a script by `?wait`."""
        part = self.part(PART_SECONDS if "wait" in self.request.GET else 0.0)
        return super().get_context_data(**part, **kwargs)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Import what was picked, or all that fits the filters."""
        try:
            filters = Filters.read(request.POST)
            listing = self.newest()
            picked = self.all_of(filters, listing) if "all" in request.POST else request.POST.getlist("id")
            if not picked:
                raise InvalidInput("Nothing was picked. Tick a repository, or import all.")
            brought = inventory.import_repositories(
                self.principal, self.connection, picked, found=listing.found
            )
        except Failure as failure:
            messages.error(request, failure.sentence)
            return self.to_list(self.filters_of(request.POST)[0])
        for repository in brought[:LOOKED]:
            warm.refs(repository)
        messages.success(request, f"{repositories(len(brought))} imported. Nothing starts by itself.")
        return redirect(f"{reverse('connection', args=[self.connection.pk])}?imported")

    def all_of(self, filters: Filters, listing: Listing) -> list[str]:
        """What the reader saw and asked for; Conflict of words when it is not that any more."""
        new = ids_of(one for one in listing.fitting(filters) if is_new(one))
        if token_of(new) != self.request.POST.get("token"):
            raise InvalidInput(
                f"The list has changed: {repositories(len(new))} would be imported now. "
                "Look at them, then import them."
            )
        return new

    # --- the list ---------------------------------------------------------------------------------

    @property
    def key(self) -> tuple[object, ...]:
        return ("found", self.connection.pk)

    def ask(self, wait: float) -> Answer[bool]:
        connection = self.connection

        def look() -> bool:
            return bool(discovery.look(connection).found_at)

        return ask(self.key, 0.0, look, owner=connection.team_id, wait=wait, seconds=LIST_SECONDS)

    def newest(self) -> Listing:
        """The list that is shown, or a new one where that is too old. Raises a `Failure`."""
        listing = discovery.stored(self.connection)
        if listing is None or not listing.young:
            answer = self.ask(WAIT_SECONDS)
            listing = discovery.stored(self.connection) if answer.value else None
            if listing is None:
                waits = f"{self.connection.name} has not answered yet. Try again in a moment."
                raise InvalidInput(answer.sentence or waits)
        return listing

    @cached_property
    def filters(self) -> Filters:
        return self.filters_of(self.request.GET)[0]

    def filters_of(self, given: Any) -> tuple[Filters, str]:
        """The filters and, where they cannot be used, why; then there are none."""
        try:
            return Filters.read(given), ""
        except InvalidInput as refused:
            return Filters(), refused.sentence

    def part(self, wait: float) -> dict[str, Any]:
        listing, pending, sentence = discovery.stored(self.connection), False, ""
        if listing is None or not listing.young or is_asked(self.key):
            answer = self.ask(wait)
            pending, sentence = answer.pending, answer.sentence
            listing = discovery.stored(self.connection) if answer.value else listing
        filters, problem = self.filters_of(self.request.GET)
        may = self.principal.may(Role.OPERATOR, self.request.team.pk)
        return {
            "connection": self.connection,
            "listing": listing,
            "pending": pending,
            "sentence": sentence,
            "problem": problem,
            "filters": filters,
            "given": filters.as_json(),
            "query": urlencode(filters.as_json()),
            "choices": CHOICES,
            "seen": self.seen(listing, filters) if listing and not problem else None,
            "rules": [
                {"pk": rule.pk, "name": rule.name, "query": urlencode(rule.filters)}
                for rule in self.connection.import_rules.order_by("name")
            ],
            "may": may,
        }

    def seen(self, listing: Listing, filters: Filters) -> Seen:
        anywhere = listing.fitting(replace(filters, owner=""))
        chosen = listing.fitting(filters) if filters.owner else anywhere
        new = ids_of(one for one in chosen if is_new(one))
        languages = Counter(one.remote.language for one in listing.found if one.remote.language)
        topics = Counter(topic for one in listing.found for topic in one.remote.topics)
        return Seen(
            page=Paginator(chosen, LISTED).get_page(self.request.GET.get("page")),
            matching=len(chosen),
            new=len(new),
            token=token_of(new),
            owners=self.tree(anywhere, filters),
            languages=offered(languages, filters.language),
            topics=offered(topics, filters.topic),
        )

    def tree(self, found: Sequence[Found], filters: Filters) -> list[Owner]:
        """The outermost owners, and those inside the chosen one and the ones around it."""
        counts = owners(one.remote for one in found)
        above = filters.owner.split("/") if filters.owner else []
        opened = {"/".join(above[:end]) for end in range(len(above) + 1)}
        rows = [
            Owner(
                name=full_name.rpartition("/")[2],
                full_name=full_name,
                depth=min(full_name.count("/"), 6),
                count=number,
                url=f"?{urlencode(replace(filters, owner=full_name).as_json())}",
                current=full_name == filters.owner,
            )
            for full_name, number in counts.items()
            if full_name.rpartition("/")[0] in opened
        ]
        everywhere = f"?{urlencode(replace(filters, owner='').as_json())}"
        return [Owner("All", "", 0, len(found), everywhere, not filters.owner), *rows[:OWNERS]]

    def to_list(self, filters: Filters) -> HttpResponse:
        query = urlencode(filters.as_json())
        page = reverse("connection_found", args=[self.connection.pk])
        return redirect(f"{page}?{query}" if query else page)


def is_new(one: Found) -> bool:
    return one.known is None and one.remote.usable


def ids_of(found: Iterable[Found]) -> list[str]:
    return [one.remote.external_id for one in found]


def token_of(external_ids: Sequence[str]) -> str:
    """Tells whether a list is still the one that was looked at."""
    return hashlib.sha256("\n".join(sorted(external_ids)).encode("utf-8", "replace")).hexdigest()[:20]


def offered(counted: Counter[str], chosen: str) -> list[str]:
    """The most frequent ones by name, and the chosen one."""
    names = {name for name, _ in counted.most_common(OFFERED)} | ({chosen} if chosen else set())
    return sorted(names, key=str.lower)


class NewRule(OfConnection):
    """From now on import by itself what fits the filters of the list."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        page = reverse("connection_found", args=[self.connection.pk])
        try:
            rule = import_rules.make_rule(
                self.principal, self.connection, request.POST, request.POST.get("name", "")
            )
        except Failure as failure:
            messages.error(request, failure.sentence)
            return redirect(page)
        messages.success(request, f"From the next look on, what fits “{rule.name}” is imported by itself.")
        return redirect(f"{page}?{urlencode(rule.filters)}")


class DeleteRule(OfConnection):
    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        rule: ImportRule = one_or_404(self.connection.import_rules.all(), pk=self.kwargs["rule_id"])
        name = rule.name
        import_rules.remove_rule(self.principal, rule)
        messages.success(request, f"“{name}” imports nothing more. What it imported stays.")
        return redirect("connection_found", self.connection.pk)
