"""All copy rules of the team, and taking over the file of another copier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from django.contrib import messages
from django.db.models import Count, F, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse

from opssight.accounts.scope import visible_to
from opssight.core.errors import InvalidInput
from opssight.core.ids import as_uuid
from opssight.core.words import count
from opssight.web.parts import Action, Choice, Crumb, Point, Teach
from opssight.web.views import TeamPage, page_of
from syncs import selectors
from syncs.copy.models import ConfigFile, CopyTarget
from syncs.copy.saved import history
from syncs.copy.saved.export import as_workflows
from syncs.copy.saved.status import is_at_head
from syncs.copy.views.history import section_tabs
from syncs.models import Job, Run, RunState

SORTS: Final = {
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
    "run": (F("last_run").asc(nulls_last=True), "name"),
    "-run": (F("last_run").desc(nulls_last=True), "name"),
}
EXPORTED: Final = 100  # rules in one file
FILES: Final = 50  # of copiers, in a list
_LISTED: Final = 3  # targets named in a row

TEACH: Final = Teach(
    "When files change here, change them there",
    "A copy rule watches some files of one repository and keeps them the same in others, by a commit or a "
    "pull request. "
    "You see every file it would write before it writes one.",
    (),
    points=(
        Point(
            "Nothing by surprise",
            "Two trees side by side show what would be added and changed. Trying writes nothing.",
            "eye",
        ),
        Point(
            "Only what the rule says",
            "What no rule writes is not touched. Only what a rule wrote is ever deleted, if it says so.",
            "lock",
        ),
        Point(
            "Moves from your copier",
            "Import the file of examples-copier as it is, and it is followed from then on.",
            "copy",
        ),
    ),
    command="opssight copy validate rules.yaml",
    art="components/art_copy.html",
)


@dataclass(frozen=True)
class RuleRow:
    """One rule of the list. `state` is about its targets, or its last run where that went wrong."""

    job: Job
    targets: Sequence[CopyTarget]
    more: int
    state: str
    word: str
    run: Run | None


class RulesPage(TeamPage):
    """Every rule with its source, its targets, and how far these are."""

    template_name = "copy/rules.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Copy")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        team = self.request.team
        query, state = self.request.GET.get("q", "").strip(), self.request.GET.get("state", "")
        all_rows = selectors.jobs(self.principal, kind="copy").filter(team_id=team.pk)
        rows = _filtered(all_rows, query, state).order_by(*_order(self.request.GET.get("sort", "")))
        page = page_of(self.request, rows)
        chosen = bool(query or state)
        empty = page.paginator.count == 0 and not (chosen and all_rows.exists())
        return super().get_context_data(
            page=page,
            rows=rule_rows(page.object_list),
            query=query,
            state=state,
            choices=_state_choices(state, query),
            files=self._files(),
            tabs=section_tabs("copy"),
            exported=urlencode([("job", str(job.pk)) for job in page.object_list]),
            teach=self._teach() if empty else None,
            **kwargs,
        )

    def _teach(self) -> Teach:
        """The page without a rule; what rules that went have copied is still found from it."""
        known = history.entries(self.principal, history.Filters(team=self.request.team.pk)).exists()
        link = Action("What was copied before", reverse("copy_history")) if known else None
        return replace(TEACH, actions=_actions(), link=link)

    def _files(self) -> list[ConfigFile]:
        rows = visible_to(ConfigFile.objects.all(), self.principal).filter(team=self.request.team.pk)
        rows = rows.select_related("repository__connection").annotate(rule_count=Count("rules"))
        return list(rows.order_by("name")[:FILES])


class ExportPage(TeamPage):
    """`?job=` once or more: these rules as the workflows file of a copier, to be saved."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        team = self.request.team
        ids = [id for text in request.GET.getlist("job")[:EXPORTED] if (id := as_uuid(text))]
        rows = selectors.jobs(self.principal, kind="copy").filter(team_id=team.pk, pk__in=ids)
        jobs = list(rows.select_related("version").order_by("name"))
        if not jobs:
            raise Http404
        try:
            text = as_workflows(self.principal, jobs)
        except InvalidInput as error:
            messages.error(request, error.sentence)
            return HttpResponseRedirect(reverse("copy"))
        answer = HttpResponse(text, content_type="application/yaml; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="workflows.yaml"'
        return answer


def _actions() -> tuple[Action, ...]:
    return (
        Action("Make a copy rule", reverse("copy_new"), icon="plus", kind="primary"),
        Action("Import a copier's file…", reverse("copy_import")),
    )


def _state_choices(state: str, query: str) -> list[Choice]:
    more = f"&q={query}" if query else ""
    words = (("All", ""), ("Enabled", "on"), ("Shadow", "shadow"), ("Disabled", "off"))
    return [Choice(label, f"?state={key}{more}", key == state) for label, key in words]


def _filtered(rows: QuerySet[Job], query: str, state: str) -> QuerySet[Job]:
    for word in query.split():
        found = Q(name__icontains=word) | Q(copy_rule__source__full_name__icontains=word)
        rows = rows.filter(found)
    if state in ("on", "off"):
        rows = rows.filter(enabled=state == "on")
    elif state == "shadow":
        rows = rows.filter(enabled=True, copy_rule__shadow=True)
    newest = Run.objects.filter(job=OuterRef("pk")).order_by("-id").values("pk")[:1]
    targets = CopyTarget.objects.select_related("repository__connection", "state").order_by("id")
    return (
        rows.annotate(last_run=Subquery(newest))
        .select_related("copy_rule__source__connection")
        .prefetch_related(Prefetch("copy_rule__targets", queryset=targets))
    )


def _order(sort: str) -> tuple[Any, ...]:
    return SORTS.get(sort, SORTS["name"])


def rule_rows(jobs: Iterable[Job]) -> list[RuleRow]:
    """One row for each; `jobs` come with `last_run`, source and targets."""
    jobs = list(jobs)
    runs = Run.objects.in_bulk([job.last_run for job in jobs if job.last_run])  # type: ignore[attr-defined]
    return [_row(job, runs.get(job.last_run)) for job in jobs]  # type: ignore[attr-defined]


def _row(job: Job, run: Run | None) -> RuleRow:
    targets = list(job.copy_rule.targets.all()) if hasattr(job, "copy_rule") else []
    state, word = _state(job, targets, run)
    return RuleRow(job, targets[:_LISTED], len(targets) - _LISTED, state, word, run)


def _state(job: Job, targets: Sequence[CopyTarget], run: Run | None) -> tuple[str, str]:
    """The state of a rule and its word."""
    if run is not None and not run.finished:
        return run.state, ""
    if not job.enabled:
        return "disabled", ""
    if run is not None and run.state not in (RunState.SUCCEEDED, RunState.CANCELLED):
        return run.state, ""
    if not hasattr(job, "copy_rule") or not job.copy_rule.head:
        return "unknown", ""
    there = sum(map(is_at_head, targets))
    if there == len(targets):
        return "at_head", f"{count(there, 'target')} at HEAD" if there != 1 else "at HEAD"
    if job.copy_rule.shadow:
        return "planned", "writes nothing"
    open_ = sum(1 for target in targets if _is_open(target, job.copy_rule.head))
    if there + open_ == len(targets):
        return "held", f"{open_} of {count(len(targets), 'target')} to be merged"
    return "behind", f"{there} of {count(len(targets), 'target')} at HEAD"


def _is_open(target: CopyTarget, head: str) -> bool:
    """Whether what the target lacks stands in a pull request, or on a branch, that nobody has merged yet."""
    return hasattr(target, "state") and target.state.proposed_oid == head != target.state.source_oid
