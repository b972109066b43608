"""All copy rules of the team, and taking over the file of another copier."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db.models import F, OuterRef, Prefetch, Q, QuerySet, Subquery
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from opssight.core.words import count
from opssight.web.parts import Action, Choice, Crumb, Point, Teach
from opssight.web.views import TeamPage, page_of
from syncs import selectors
from syncs.copy.config import CopyConfig, Flow, Target, to_data
from syncs.copy.formats import Loaded, load
from syncs.copy.forms import to_yaml
from syncs.copy.globs import static_prefix
from syncs.copy.models import CopyTarget
from syncs.copy.rule import Rule
from syncs.models import Job, Run, RunState

SORTS: Final = {
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
    "run": (F("last_run").asc(nulls_last=True), "name"),
    "-run": (F("last_run").desc(nulls_last=True), "name"),
}
_LISTED: Final = 3  # targets named in a row

TEACH: Final = Teach(
    "When files change here, change them there",
    "A copy rule watches some files of one repository and keeps them the same in others, by a commit. "
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
            "Files that no rule writes are not touched, and no file is deleted.",
            "lock",
        ),
        Point(
            "Moves from your copier",
            "Paste the config of examples-copier. What it cannot take over is named line by line.",
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
            teach=replace(TEACH, actions=_actions()) if empty else None,
            **kwargs,
        )


def _actions() -> tuple[Action, ...]:
    return (
        Action("Make a copy rule", reverse("copy_new"), icon="plus", kind="primary"),
        Action("Import a copier config…", reverse("copy_import")),
    )


def _state_choices(state: str, query: str) -> list[Choice]:
    more = f"&q={query}" if query else ""
    words = (("All", ""), ("On", "on"), ("Off", "off"))
    return [Choice(label, f"?state={key}{more}", key == state) for label, key in words]


def _filtered(rows: QuerySet[Job], query: str, state: str) -> QuerySet[Job]:
    for word in query.split():
        found = Q(name__icontains=word) | Q(copy_rule__source__full_name__icontains=word)
        rows = rows.filter(found)
    if state in ("on", "off"):
        rows = rows.filter(enabled=state == "on")
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
        return "disabled", "off"
    if run is not None and run.state not in (RunState.SUCCEEDED, RunState.CANCELLED):
        return run.state, ""
    head = job.copy_rule.source.head_oid if hasattr(job, "copy_rule") else ""
    there = sum(1 for target in targets if head and is_at(target, head))
    if not head:
        return "unknown", ""
    if there == len(targets):
        return "at_head", f"{count(there, 'target')} at HEAD" if there != 1 else "at HEAD"
    return "behind", f"{there} of {count(len(targets), 'target')} at HEAD"


def is_at(target: CopyTarget, head: str) -> bool:
    """Whether a target holds what the source had at `head`."""
    return hasattr(target, "state") and target.state.source_oid == head


# --- taking over another copier's file ---------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """A rule that a file holds, as text for the workbench, and what to look at before saving it."""

    config: CopyConfig
    text: str
    notes: Sequence[str]


class ImportPage(TeamPage):
    """Paste the configuration of a copier; each of its rules can be opened in the workbench."""

    template_name = "copy/import.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Copy", reverse("copy")), Crumb("Import")]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        text = request.POST.get("text", "").replace("\r\n", "\n")
        loaded = load(text)
        context = self.get_context_data(text=text, loaded=loaded, found=found_in(loaded))
        return self.render_to_response(context)


def found_in(loaded: Loaded) -> list[Found]:
    """The rules of a file; flows that differ only in their target are one rule."""
    groups: dict[Flow, list[Flow]] = {}
    for flow in loaded.flows:
        same = replace(flow, target_repo="", target_branch="")
        groups.setdefault(same, []).append(flow)
    return [_found(flows) for flows in groups.values()]


def _found(flows: Sequence[Flow]) -> Found:
    first = flows[0]
    targets = tuple(Target(flow.target_repo, flow.target_branch) for flow in flows)
    config = CopyConfig(
        first.name, first.source_repo, first.source_branch, first.rules, targets, first.message, first.match
    )
    notes = []
    if first.strategy != "direct":
        notes.append("It asks for pull requests. OpsSight commits to the branch directly.")
    if any(not _reads_alike(rule, first) for rule in first.rules):
        notes.append("A glob gives another ${relative_path} here: look where its files go.")
    return Found(config, to_yaml(to_data(config)), notes)


def _reads_alike(rule: Rule, flow: Flow) -> bool:
    """Whether a glob gives the same `relative_path` in that format as in a rule of ours."""
    if rule.type != "glob" or flow.flavour != "workflow" or "${relative_path}" not in rule.template:
        return True
    folder, slash, _ = static_prefix(rule.pattern).rpartition("/")
    return rule.pattern.partition("**")[0] == folder + slash
