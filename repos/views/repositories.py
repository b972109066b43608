"""All repositories of the team, and leaving one out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse

from opssight.accounts.models import Role
from opssight.web.parts import Action, Choice, Crumb, Point, Teach
from opssight.web.views import TeamPage, one_or_404
from repos import inventory, selectors
from repos.inbox import unusable
from repos.models import Connection, Repository, RepositoryStatus
from repos.views import connections as connection_pages
from repos.views.lists import address_with, id_in, page_of

STATES: Final = (("In use", ""), ("Cannot be used", "unusable"), ("Ignored", "ignored"))


@dataclass(frozen=True)
class Standing:
    """How far one lane is at one repository: a key of STATES and a word."""

    lane: str
    state: str
    word: str = ""


@dataclass(frozen=True)
class RepositoryRow:
    repository: Repository
    state: str
    word: str
    standings: Sequence[Standing]


class RepositoriesPage(TeamPage):
    """What there is: find, filter and sort."""

    template_name = "repos/repositories.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Repositories")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        given = self.request.GET
        query, state = given.get("q", "").strip()[:200], given.get("state", "")
        connection = id_in(given.get("connection", ""))
        page = page_of(self.request, self.rows(query, state, connection, given.get("sort", "")))
        lanes = settings.REPOSITORY_KINDS
        narrowed = bool(query or state or connection)
        return super().get_context_data(
            page=page,
            rows=[row_of(repository, lanes) for repository in page.object_list],
            lanes=[lane.capitalize() for lane in lanes],
            query=query,
            state=state,
            connection=connection,
            connections=list(Connection.objects.filter(team=self.request.team).order_by("name")),
            states=[
                Choice(word, address_with(self.request, state=key), state == key) for word, key in STATES
            ],
            may_admin=self.principal.may(Role.ADMIN, self.request.team.pk),
            teach=self.teach() if page.paginator.count == 0 and not narrowed else None,
            **kwargs,
        )

    def rows(self, query: str, state: str, connection: str, sort: str) -> QuerySet[Repository]:
        rows = selectors.repositories(
            self.principal, search=query, state="all", connection=connection, sort=sort
        ).filter(team=self.request.team)
        if state == "unusable":
            return rows.filter(unusable())
        if state in Repository.State.values:
            return rows.filter(state=state)
        return rows.filter(~Q(state=Repository.State.IGNORED))

    def teach(self) -> Teach:
        """Without a connection the way to the first one, else the way to what it sees."""
        rows = selectors.connections(self.principal).filter(team=self.request.team)
        first = rows.order_by("-last_ok_at", "name").first()
        if first is None:
            return connection_pages.teach(self.principal.may(Role.ADMIN, self.request.team.pk))
        page = reverse("connection_found", args=[first.pk])
        return Teach(
            "Pick the repositories to work with",
            f"{first.name} is connected. Choose which of its repositories belong here; the others are left "
            "alone.",
            (Action(f"See what {first.name} holds", page, icon="search", kind="primary"),),
            points=(
                Point(
                    "Nothing starts by itself", "Bringing a repository in reads its name and its head.", "eye"
                ),
                Point(
                    "A rename is no new one",
                    "Repositories keep their history here when renamed.",
                    "repository",
                ),
                Point(
                    "Leave out what you like", "An ignored repository is proposed no more.", "slashed-circle"
                ),
            ),
        )


def row_of(repository: Repository, lanes: Sequence[str]) -> RepositoryRow:
    state, word = state_of(repository)
    by_lane = {status.lane: status for status in repository.statuses.all()}
    standings = [standing(lane, by_lane.get(lane), repository) for lane in lanes]
    return RepositoryRow(repository, state, word, standings)


def state_of(repository: Repository) -> tuple[str, str]:
    """Whether the repository can be used, as a key of STATES and a word."""
    if repository.state == Repository.State.IGNORED:
        return "ignored", ""
    if repository.state == Repository.State.ACTIVE:
        return ("unreadable", "cannot be used") if repository.state_reason else ("ok", "in use")
    return "gone", repository.get_state_display()


def standing(lane: str, status: RepositoryStatus | None, repository: Repository) -> Standing:
    """How far a lane is, measured against the newest head that was seen."""
    if status is None:
        return Standing(lane, "not_set_up")
    if status.state == "failed":
        return Standing(lane, "failed")
    if status.state == "fresh" and status.fresh_oid and status.fresh_oid == repository.head_oid:
        return Standing(lane, "at_head")
    if status.behind:
        return Standing(lane, "behind", f"{status.behind} behind")
    return Standing(lane, "behind" if status.state in ("fresh", "behind") else "unknown")


class IgnoreRepository(TeamPage):
    """Leave a repository out, or take it in again (`ignored=no`)."""

    http_method_names = ["post"]

    @cached_property
    def repository(self) -> Repository:
        rows = selectors.repositories(self.principal, state="all").filter(team=self.request.team)
        return one_or_404(rows, pk=self.kwargs["repository_id"])

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        ignored = request.POST.get("ignored") != "no"
        inventory.set_ignored(self.principal, self.repository, ignored)
        name = self.repository.full_name
        said = f"{name} is left out of lists and proposals." if ignored else f"{name} is in the lists again."
        messages.success(request, said)
        return redirect("repository", self.repository.pk)
