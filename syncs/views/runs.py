"""All runs of the team: what happened, why, and how it ended."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from django.db.models import Count, DurationField, ExpressionWrapper, F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse

from opssight.core.ids import as_uuid
from opssight.web.parts import Action, Choice, Crumb, Point, Teach
from opssight.web.views import TeamPage, no_change, page_of
from syncs import selectors
from syncs.engine.kinds import all_kinds
from syncs.models import Job, Run, RunState
from syncs.views.run_parts import job_url

_TOOK = ExpressionWrapper(F("finished_at") - F("started_at"), output_field=DurationField())
SORTS: Final[dict[str, tuple[Any, ...]]] = {
    "when": ("id",),
    "-when": ("-id",),
    "job": ("title", "-id"),
    "-job": ("-title", "-id"),
    "took": (_TOOK.asc(nulls_last=True), "-id"),
    "-took": (_TOOK.desc(nulls_last=True), "-id"),
}
TEACH: Final = Teach(
    "What happened, and because of what",
    "Each time a job does its work, one line is added here: what it did in one sentence, because of "
    "which push or schedule, and how long it took.",
    (),
    points=(
        Point("Says what failed", "A run opens with one sentence and the one thing that mends it.", "info"),
        Point("Retry only the rest", "What is done stays done; a retry does what is left.", "retry"),
        Point("Every cause", "From a run back to the delivery, and from a push to all it caused.", "inbox"),
    ),
    command="opssight run list",
)


@dataclass(frozen=True)
class RunRow:
    run: Run
    sentence: str
    took: Any


@dataclass(frozen=True)
class Chosen:
    """What the list is narrowed to."""

    state: str = ""
    kind: str = ""
    trigger: str = ""
    text: str = ""
    job: str = ""

    @classmethod
    def of(cls, request: HttpRequest) -> Chosen:
        given = request.GET
        names = {"state": "state", "kind": "kind", "trigger": "trigger", "text": "q", "job": "job"}
        chosen = {field: given.get(name, "").strip()[:200] for field, name in names.items()}
        return cls(**{**chosen, "job": str(as_uuid(chosen["job"]) or "")})

    @property
    def narrowed(self) -> bool:
        return any((self.state, self.kind, self.trigger, self.text, self.job))


class RunsPage(TeamPage):
    """Every run, newest first. With HX-Request only the table, or 204 when it is as `seen` says."""

    template_name = "syncs/runs.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Runs")]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.headers.get("HX-Request") != "true":
            return super().get(request, *args, **kwargs)
        context = self.table(Chosen.of(request))
        if context["seen"] == request.GET.get("seen"):
            return no_change()
        return render(request, "syncs/_runs.html", context)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        chosen = Chosen.of(self.request)
        rows = self.rows(chosen)
        counts = rows.order_by().aggregate(
            all=Count("pk"),
            open=Count("pk", filter=Q(state__in=selectors.STATE_GROUPS["open"])),
            bad=Count("pk", filter=Q(state__in=selectors.STATE_GROUPS["bad"])),
            succeeded=Count("pk", filter=Q(state=RunState.SUCCEEDED)),
        )
        job = self.job(chosen)
        return super().get_context_data(
            **self.table(chosen),
            chosen=chosen,
            states=self.state_choices(chosen, counts),
            kinds=all_kinds(),
            triggers=Run.Trigger.choices,
            job=job,
            job_url=job_url(job.pk, job.kind) if job else "",
            without_job=self.url(job=None, page=None),
            teach=_teach() if not counts["all"] and not chosen.narrowed else None,
            **kwargs,
        )

    def rows(self, chosen: Chosen) -> QuerySet[Run]:
        """The runs by everything that is chosen but the state."""
        rows = selectors.runs(self.principal, kind=chosen.kind, job=chosen.job)
        rows = rows.filter(team_id=self.request.team.pk)
        if chosen.trigger:
            rows = rows.filter(trigger=chosen.trigger)
        for word in chosen.text.split():
            fields = ("title", "sentence", "because", "repository__full_name")
            rows = rows.filter(Q(*((f"{name}__icontains", word) for name in fields), _connector=Q.OR))
        return rows

    def table(self, chosen: Chosen) -> dict[str, Any]:
        rows = self.rows(chosen)
        if chosen.state:
            rows = rows.filter(state__in=selectors.STATE_GROUPS.get(chosen.state, [chosen.state]))
        order = SORTS.get(self.request.GET.get("sort", ""), SORTS["-when"])
        page = page_of(self.request, rows.order_by(*order))
        shown = [_row(run) for run in page.object_list]
        return {
            "page": page,
            "rows": shown,
            "live": any(not row.run.finished for row in shown),
            "seen": _digest(shown),
            "here": self.url(seen=None, page=str(page.number)),
            "request": self.request,
        }

    def job(self, chosen: Chosen) -> Job | None:
        if not chosen.job:
            return None
        return selectors.jobs(self.principal).filter(team_id=self.request.team.pk, pk=chosen.job).first()

    def state_choices(self, chosen: Chosen, counts: dict[str, int]) -> list[Choice]:
        words = (("All", "", "all"), ("Going on", "open", "open"), ("Not well", "bad", "bad"))
        choices = [*words, ("Succeeded", RunState.SUCCEEDED.value, "succeeded")]
        known = {key for _, key, _ in choices}
        if chosen.state and chosen.state not in known and chosen.state in RunState.values:
            choices.append((RunState(chosen.state).label.capitalize(), chosen.state, ""))
        return [
            Choice(label, self.url(state=key or None, page=None), chosen.state == key, counts.get(name))
            for label, key, name in choices
        ]

    def url(self, **changes: str | None) -> str:
        """This address with some of its query changed; None takes a part away."""
        query = self.request.GET.copy()
        for name, value in changes.items():
            query.pop(name, None)
            if value is not None:
                query[name] = value
        return f"{reverse('runs')}?{query.urlencode()}"


def _teach() -> Teach:
    actions = tuple(
        Action(
            f"Make a {kind.label.lower()} {kind.job_noun}",
            reverse(kind.new_page),
            icon="plus",
            kind="primary",
        )
        for kind in all_kinds()
        if kind.new_page
    )
    return replace(TEACH, actions=actions)


def _row(run: Run) -> RunRow:
    took = run.finished_at - run.started_at if run.started_at and run.finished_at else None
    going_on = run.progress_text or run.wait_reason
    sentence = (run.sentence if run.finished else "") or going_on or "Waits for its turn"
    return RunRow(run, sentence, took)


def _digest(rows: Sequence[RunRow]) -> str:
    said = "\n".join(f"{row.run.pk} {row.run.state} {row.sentence}" for row in rows)
    return hashlib.sha256(said.encode()).hexdigest()[:12]
