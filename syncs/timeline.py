"""What happened to a repository, and because of what: deliveries and runs as chains of cause and effect."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from django.db.models import F, Q
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from opssight.accounts.scope import Principal, visible_to
from opssight.core.clock import now
from opssight.web import registry
from opssight.web.parts import Action, Chain, Entry
from repos import selectors as repos
from repos.models import Delivery, Repository
from syncs.models import Item, Run, RunCause

SHOWN: Final = 40  # deliveries, and runs without one, that a timeline looks back on

_TRIGGER_ICONS: Final = {
    Run.Trigger.SCHEDULE: "clock",
    Run.Trigger.POLL: "eye",
    Run.Trigger.RETRY: "retry",
    Run.Trigger.REPLAY: "retry",
    Run.Trigger.WEBHOOK: "branch",
}


def register() -> None:
    registry.repository_chains.append(chains)
    registry.delivery_effects.append(effects)


def effects(principal: Principal, delivery_ids: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Sequence[Entry]]:
    """The runs that each delivery caused, oldest first. One query."""
    found: dict[uuid.UUID, list[Entry]] = {}
    for cause in _causes(principal, delivery_ids):
        found.setdefault(cause.delivery_id, []).append(run_entry(cause.run))
    return found


def run_entry(run: Run) -> Entry:
    """A run as a line: what it did or waits for, and the way to it."""
    said = run.sentence if run.finished else (run.progress_text or run.wait_reason)
    return Entry(
        at=run.finished_at or run.started_at or run.created_at,
        text=said or run.get_state_display().capitalize(),
        note=run.title,
        state=run.state,
        link=Action(f"run {run.short_id}", reverse("run", args=[run.pk])),
    )


@dataclass
class _Story:
    """Deliveries and the runs that answer them; `at` is when it began."""

    at: dt.datetime
    deliveries: list[Delivery] = field(default_factory=list)
    runs: dict[uuid.UUID, Run] = field(default_factory=dict)


def chains(principal: Principal, repository: object) -> Sequence[Chain]:
    """The newest stories of a repository, newest first. Four queries."""
    if not isinstance(repository, Repository):
        return ()
    heard = list(_heard(principal, repository))
    stories = _answered(heard, _causes(principal, [delivery.pk for delivery in heard]))
    told = {pk for story in stories for pk in story.runs}
    for run in _runs(principal, repository):
        if run.pk not in told:
            stories.append(_Story(run.created_at, runs={run.pk: run}))
    newest = sorted(stories, key=lambda story: story.at, reverse=True)[:SHOWN]
    return _dated([(story.at, _chain(story)) for story in newest])


def _heard(principal: Principal, repository: Repository) -> Iterable[Delivery]:
    """Deliveries that told of a change, newest first."""
    verdicts = [Delivery.Verdict.ACCEPTED, Delivery.Verdict.ERROR]
    rows = repos.deliveries(principal, repository=str(repository.pk))
    rows = rows.filter(team_id=repository.team_id, verdict__in=verdicts)
    newest: Iterable[Delivery] = rows[:SHOWN]
    return newest


def _runs(principal: Principal, repository: Repository) -> Iterable[Run]:
    """Runs that read the repository or wrote to it, newest first."""
    rows = visible_to(Run.objects.all(), principal)
    rows = rows.filter(team_id=repository.team_id)
    wrote = Item.objects.filter(repository=repository).values("run_id")
    mine: Iterable[Run] = rows.filter(Q(repository=repository) | Q(pk__in=wrote)).order_by("-id")[:SHOWN]
    return mine


def _causes(principal: Principal, delivery_ids: Sequence[uuid.UUID]) -> Iterable[RunCause]:
    seen = visible_to(Run.objects.all(), principal).values("pk")
    return (
        RunCause.objects.filter(delivery_id__in=delivery_ids, run__in=seen, run__team=F("delivery__team"))
        .select_related("run")
        .order_by("run_id")
    )


def _answered(deliveries: Sequence[Delivery], causes: Iterable[RunCause]) -> list[_Story]:
    """One story for each delivery; those that one run answered together are one."""
    runs: dict[uuid.UUID, list[Run]] = {}
    for cause in causes:
        runs.setdefault(cause.delivery_id, []).append(cause.run)
    stories: list[_Story] = []
    told: dict[uuid.UUID, _Story] = {}
    for delivery in reversed(deliveries):  # oldest first
        mine = runs.get(delivery.pk, [])
        story = next((told[run.pk] for run in mine if run.pk in told), None)
        if story is None:
            story = _Story(delivery.received_at)
            stories.append(story)
        story.deliveries.append(delivery)
        for run in mine:
            told.setdefault(run.pk, story).runs[run.pk] = run
    return stories


def _chain(story: _Story) -> Chain:
    runs = sorted(story.runs.values(), key=lambda run: run.pk)
    causes = [_cause_of(delivery, runs) for delivery in story.deliveries]
    return Chain([*(causes or [_start_of(runs[0])]), *map(run_entry, runs)])


def _cause_of(delivery: Delivery, runs: Sequence[Run]) -> Entry:
    said = runs[0].because if runs and runs[0].because else f"a {delivery.event or 'delivery'}"
    waits = "" if runs else "No job waits for it."
    heard = "replayed" if delivery.replay_of_id else "heard by webhook"
    return Entry(
        at=delivery.received_at,
        text=format_html("<b>{}</b>", _sentence_case(said)),
        note=" ".join(filter(None, [delivery.sentence, waits])) or heard,
        icon="branch",
        link=Action(f"delivery {delivery.pk.hex[-4:]}", reverse("delivery", args=[delivery.pk])),
    )


def _start_of(run: Run) -> Entry:
    """What began a run that no delivery did."""
    trigger = Run.Trigger(run.trigger)
    return Entry(
        at=run.created_at,
        text=format_html("<b>{}</b>", _sentence_case(run.because or trigger.label)),
        note="found by looking" if trigger == Run.Trigger.POLL else "",
        icon=_TRIGGER_ICONS.get(trigger, "user"),
    )


def _sentence_case(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _dated(found: Sequence[tuple[dt.datetime, Chain]]) -> list[Chain]:
    """The chains with their day on the first of each day."""
    dated, before = [], ""
    for at, chain in found:
        day = _day(at)
        dated.append(replace(chain, day=day if day != before else ""))
        before = day
    return dated


def _day(at: dt.datetime) -> str:
    local, today = timezone.localtime(at).date(), timezone.localtime(now()).date()
    names = {0: "Today", 1: "Yesterday"}
    year = "" if local.year == today.year else f" {local.year}"
    return names.get((today - local).days, f"{local:%A}, {local.day} {local:%b}{year}")
