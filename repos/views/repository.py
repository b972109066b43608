"""One repository: how far each job is, what happened, its refs, its rules, its webhooks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse

from opssight.accounts.models import Role
from opssight.core.errors import Failure
from opssight.core.words import count
from opssight.web import registry
from opssight.web.formats import format_ago, format_bytes
from opssight.web.parts import Chain, Choice, Crumb, Fact, Step
from opssight.web.registry import JobLine
from opssight.web.views import TeamPage, one_or_404
from repos import access, selectors, warm
from repos.git.types import RemoteRefs
from repos.models import Delivery, Repository, Webhook
from repos.views.connecting import PART_SECONDS
from repos.views.lists import ROWS, health_of
from repos.views.provider_facts import about
from repos.views.repositories import state_of

TABS: Final = (
    ("Timeline", "repository"),
    ("Files", "repository_files"),
    ("Refs", "repository_refs"),
    ("Rules", "repository_rules"),
    ("Webhook", "repository_hook"),
)


class OfRepository(TeamPage):
    """A page of one repository of the team: its strip, its tabs, its facts."""

    tab = ""

    @cached_property
    def repository(self) -> Repository:
        rows = selectors.repositories(self.principal, state="all").filter(team=self.request.team)
        return one_or_404(rows, pk=self.kwargs["repository_id"])

    @cached_property
    def jobs(self) -> list[JobLine]:
        return [line for lines in registry.repository_jobs for line in lines(self.principal, self.repository)]

    @cached_property
    def hooks(self) -> list[Webhook]:
        """The webhooks that may tell of this repository, the closest first."""
        repository = self.repository
        whole_team = Q(connection=None, repository=None)
        of_connection = Q(connection=repository.connection_id, repository=None)
        rows = selectors.webhooks(self.principal).filter(team=self.request.team)
        rows = rows.filter(Q(repository=repository) | of_connection | whole_team)
        return sorted(rows, key=lambda hook: (hook.repository_id is None, hook.connection_id is None))

    @cached_property
    def newest_delivery(self) -> Delivery | None:
        rows = selectors.deliveries(self.principal, repository=str(self.repository.pk))
        rows = rows.filter(team=self.request.team)
        return rows.filter(verdict__in=[Delivery.Verdict.ACCEPTED, Delivery.Verdict.IGNORED]).first()

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Repositories", reverse("repositories")), Crumb(self.repository.full_name)]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        repository = self.repository
        state, word = state_of(repository)
        targets = [target for line in self.jobs if line.reads for target in line.targets]
        return super().get_context_data(
            repository=repository,
            state=state,
            word=word,
            steps=self.steps(),
            tabs=self.tabs(),
            facts=self.facts(),
            about=about(repository),
            targets=targets,
            web_address=web_address(repository),
            may=self.principal.may(Role.OPERATOR, self.request.team.pk),
            may_admin=self.principal.may(Role.ADMIN, self.request.team.pk),
            **kwargs,
        )

    def tabs(self) -> list[Choice]:
        counts = {"repository_rules": len(self.jobs)}
        return [
            Choice(label, reverse(name, args=[self.repository.pk]), name == self.tab, counts.get(name))
            for label, name in TABS
        ]

    def steps(self) -> list[Step]:
        lanes = [
            step for steps in registry.repository_steps for step in steps(self.principal, self.repository)
        ]
        return [head_step(self.repository), *lanes]

    def facts(self) -> list[Fact]:
        repository = self.repository
        state, word = health_of(repository.connection)
        asked = format_ago(repository.connection.last_ok_at)
        visibility = repository.get_visibility_display()
        size = "not told" if repository.size_bytes is None else format_bytes(repository.size_bytes)
        found = [
            Fact("Connection", repository.connection.name, provider=repository.connection.provider),
            Fact("", word, state, asked if repository.connection.last_ok_at else ""),
            self.hook_fact(),
            Fact("Visibility", "not told" if visibility == "unknown" else visibility),
            Fact("Size", size),
            Fact("Head seen", format_ago(repository.head_seen_at)),
        ]
        if repository.pushed_at:
            found.append(Fact("Last push", format_ago(repository.pushed_at)))
        return [*found, Fact("Here since", format_ago(repository.created_at))]

    def hook_fact(self) -> Fact:
        if not self.hooks:
            return Fact("Webhook", "not set up", "not_set_up")
        if self.newest_delivery is None:
            return Fact("Webhook", "nothing heard yet", "pending")
        return Fact("Webhook", "", "delivering", f"last {format_ago(self.newest_delivery.received_at)}")


def head_step(repository: Repository) -> Step:
    """HEAD itself: the commit, and what it is about where this machine has it."""
    title = f"HEAD of {repository.default_branch}" if repository.default_branch else "HEAD"
    if not repository.head_oid:
        text = (
            "Nobody has looked yet. The first job that reads it does."
            if not repository.head_seen_at
            else ("It is empty: there is no commit yet.")
        )
        return Step("commit", title, text, state="pending", word="no commit seen")
    return Step(
        "commit", title, _subject(repository), sha=repository.head_oid, at=repository.head_seen_at, behind=0
    )


def _subject(repository: Repository) -> str:
    """What the newest commit says, where its history is on this machine."""
    store = access.store_of(repository)
    try:
        if not store.has(repository.head_oid):
            return "Its history is not on this machine yet."
        commit = store.commit_info(repository.head_oid)
    except Failure:
        return ""
    return f"{commit.subject[:120]}, by {commit.author_name}"


def web_address(repository: Repository) -> str:
    """Where a person looks at the repository: as its provider says, or as its address is."""
    if repository.web_url.startswith(("https://", "http://")):
        return repository.web_url
    parts = urlsplit(repository.external_id)
    if parts.scheme != "https" or not parts.hostname or parts.username:
        return ""
    return repository.external_id.removesuffix(".git")


class TimelinePage(OfRepository):
    """What happened here, and because of what."""

    template_name = "repos/timeline.html"
    tab = "repository"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(chains=self.chains(), **kwargs)

    def chains(self) -> list[Chain]:
        return [
            chain
            for chains in registry.repository_chains
            for chain in chains(self.principal, self.repository)
        ]


class RulesPage(OfRepository):
    """The jobs that read the repository or write to it."""

    template_name = "repos/rules.html"
    tab = "repository_rules"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            jobs=self.jobs,
            next_steps=[
                step for steps in registry.next_steps for step in steps(self.principal, self.request.team)
            ]
            if not self.jobs
            else [],
            **kwargs,
        )


class HookPage(OfRepository):
    """The webhooks that tell of this repository."""

    template_name = "repos/hook.html"
    tab = "repository_hook"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        heard = [line for line in self.jobs if line.reads and line.heard]
        return super().get_context_data(
            hooks=self.hooks, newest_delivery=self.newest_delivery, heard=heard, **kwargs
        )


class RefsPage(OfRepository):
    """Branches and tags as they are at the server now. The list is a part that is asked for later."""

    template_name = "repos/refs.html"
    tab = "repository_refs"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.headers.get("HX-Request") == "true":
            part = {"repository": self.repository, **self.part(PART_SECONDS)}
            return render(request, "repos/_refs.html", part)
        return super().get(request, *args, **kwargs)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """A first look that is there at once is in the page itself; `?wait` waits for it."""
        context = super().get_context_data(**kwargs)
        return context | self.part(PART_SECONDS if self.request.GET else 0.0)

    def part(self, wait: float) -> dict[str, Any]:
        answer = warm.refs(self.repository, wait=wait)
        query = self.request.GET.get("q", "").strip()
        rows = _refs(answer.value, query) if answer.value else []
        page = Paginator(rows, ROWS).get_page(self.request.GET.get("page"))
        return {
            "answer": answer,
            "page": page,
            "query": query,
            "head": (answer.value.head or b"").decode("utf-8", "replace") if answer.value else "",
        }


def _refs(found: RemoteRefs, query: str) -> list[dict[str, str]]:
    rows = []
    for ref, oid in found.refs.items():
        full = ref.decode("utf-8", "replace")
        _, kind, name = full.split("/", 2)
        if query.lower() in name.lower():
            rows.append(
                {"full": full, "kind": "branch" if kind == "heads" else "tag", "name": name, "oid": oid}
            )
    head = found.head.decode("utf-8", "replace") if found.head else ""
    return sorted(rows, key=lambda row: (row["full"] != head, row["kind"], row["name"].lower()))


def _seen(found: RemoteRefs) -> str:
    head = found.refs.get(found.head or b"", "")
    if not found.refs:
        return "There is no commit yet: the repository is empty."
    branches = len(found.heads)
    tags = len(found.refs) - branches
    said = f"HEAD is {head[:7]}" if head else "There is no commit at HEAD"
    return f"{said}; {count(branches, 'branch', 'branches')}, {count(tags, 'tag')}."


class LookNow(OfRepository):
    """Ask the repository what it has now."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        warm.forget_refs(self.repository)
        answer = warm.refs(self.repository, wait=PART_SECONDS)
        if answer.value is not None:
            messages.success(request, _seen(answer.value))
        elif answer.pending:
            messages.warning(request, "It has not answered yet. What it says is shown here when it does.")
        else:
            messages.error(request, answer.sentence)
        return redirect("repository", self.repository.pk)
