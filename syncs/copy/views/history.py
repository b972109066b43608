"""What copies did: the volume of each day, sums by rule, and each target of each run, newest first."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

from django import forms
from django.db.models import Q
from django.urls import reverse

from opssight.core.clock import midnight, now
from opssight.core.words import count, join_words
from opssight.web.forms import DayField
from opssight.web.parts import Action, Choice, Column, Crumb, Point, Teach
from opssight.web.views import TeamPage, page_of
from repos.models import Repository
from repos.views.lists import address_with
from syncs import selectors
from syncs.copy.saved import history
from syncs.copy.saved.history import MOST_DAYS, OUTCOMES, Day, Filters, Outcome, RuleStats
from syncs.models import Item

WINDOWS: Final = ((7, "7 days"), (30, "30 days"), (90, "90 days"), (MOST_DAYS, "A year"))
DAYS: Final = 30
RULES: Final = 50  # rules whose sums are listed
LOOKS: Final[Mapping[Outcome, str]] = {
    "written": "done",
    "unchanged": "skipped",
    "failed": "failed",
    "shadow": "planned",
    "merged": "done",
    "closed": "cancelled",
}
_OUTCOMES: Final = [(one, one.capitalize()) for one in OUTCOMES]
_CROSSINGS: Final = (("true", "Across organizations"), ("false", "Within one organization"))
_WRONG: Final = {
    "rule": "A rule is given by its name or its id.",
    "source": "A source is given by its name or its id.",
    "outcome": f"An outcome is {join_words(OUTCOMES, 'or')}.",
    "cross_organization": "Across organizations is true or false.",
    "days": f"Days are a number from 1 to {MOST_DAYS}.",
    "since": "The first day is given as 2026-11-21.",
    "until": "The last day is given as 2026-11-21.",
}
TEACH: Final = Teach(
    "What was copied, from where to where",
    "Each time a rule writes to a target, or tries to, one line is added here: what was copied, from which "
    "commit to which, and how it ended. Nothing was copied yet.",
    (),
    points=(
        Point("Each target by itself", "A run may write to many; here each of them has its line.", "copy"),
        Point("What is usual", "How much is written and how much fails, day by day and rule by rule.", "eye"),
        Point("Rules go, this stays", "Also what a deleted rule has copied is found here.", "lock"),
    ),
    command="opssight copy history",
)


def section_tabs(current: str) -> list[Choice]:
    names = (("Rules", "copy"), ("History", "copy_history"))
    return [Choice(label, reverse(name), name == current) for label, name in names]


# --- what is asked for ------------------------------------------------------------------------------


class FilterForm(forms.Form):
    """What narrows the page, by the names that the API has for it."""

    rule = forms.CharField(required=False, max_length=200)
    source = forms.CharField(required=False, max_length=300)
    outcome = forms.ChoiceField(required=False, choices=_OUTCOMES)
    cross_organization = forms.ChoiceField(required=False, choices=_CROSSINGS)
    days = forms.IntegerField(required=False, min_value=1, max_value=MOST_DAYS)
    since = DayField()
    until = DayField()


@dataclass(frozen=True)
class Asked:
    """What the page shows: `filters` with the span from `first` to `last`, days in UTC.

    `given` are the values that could be read. The others narrow nothing, and `problems` says so.
    """

    filters: Filters
    first: dt.date
    last: dt.date
    given: Mapping[str, Any]
    problems: Sequence[str]

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @classmethod
    def of(cls, query: Mapping[str, Any], team: UUID) -> Asked:
        form = FilterForm(query)
        problems = [] if form.is_valid() else [_WRONG[name] for name in form.errors]
        given = form.cleaned_data
        first, last, problem = _span(given)
        filters = Filters(
            team=team,
            rule=given.get("rule", ""),
            source=given.get("source", ""),
            outcome=given.get("outcome", ""),
            cross_organization={"true": True, "false": False}.get(given.get("cross_organization", "")),
            since=midnight(first),
            until=midnight(last + dt.timedelta(days=1)),
        )
        return cls(filters, first, last, given, [*problems, *([problem] if problem else [])])


def _span(given: Mapping[str, Any]) -> tuple[dt.date, dt.date, str]:
    """First and last day, and what is wrong with those that were asked for."""
    before = dt.timedelta(days=(given.get("days") or DAYS) - 1)
    today = now().date()
    last = given.get("until") or today
    first = given.get("since") or last - before
    if first > last:
        return today - before, today, "The first day is after the last one."
    longest = dt.timedelta(days=MOST_DAYS - 1)
    if last - first > longest:
        problem = f"The page shows {MOST_DAYS} days at most: these are the last of those asked for."
        return last - longest, last, problem
    return first, last, ""


# --- what is shown ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Volume:
    """The sums in words, the days as columns, and what these show in words."""

    written: str
    failed: str
    files: str
    unchanged: str
    failures: int
    columns: Sequence[Column]
    words: str


@dataclass(frozen=True)
class RuleRow:
    """The sums of one rule; `took` in seconds. `url` is this page of the rule alone."""

    stats: RuleStats
    took: float | None
    url: str


@dataclass(frozen=True)
class EntryRow:
    """One target of one run; `state` is a key of STATES."""

    item: Item
    outcome: Outcome
    state: str
    source: str


@dataclass(frozen=True)
class Option:
    value: str
    label: str
    chosen: bool


class HistoryPage(TeamPage):
    """The history of copies of the team, narrowed by what the address asks for."""

    template_name = "copy/history.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Copy", reverse("copy")), Crumb("History")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        asked = Asked.of(self.request.GET, self.request.team.pk)
        sums = history.stats(self.principal, asked.filters)
        page = page_of(self.request, history.entries(self.principal, asked.filters))
        rules = self.rules()
        return super().get_context_data(
            asked=asked,
            volume=self.volume(asked, sums),
            sums=[self.rule_row(one) for one in sums[:RULES]],
            more_sums=len(sums) - RULES,
            page=page,
            rows=[_entry_row(item) for item in page.object_list],
            rule=next(((id, name) for id, name in rules if asked.filters.rule in (id, name)), None),
            rules=_options(rules, asked.filters.rule),
            sources=_options(self.sources(), asked.filters.source),
            outcomes=_options(_OUTCOMES, asked.filters.outcome),
            crossings=_options(_CROSSINGS, asked.given.get("cross_organization", "")),
            windows=self.windows(asked),
            all_rules=address_with(self.request, rule=None),
            tabs=section_tabs("copy_history"),
            teach=self.teach() if not page.paginator.count else None,
            **kwargs,
        )

    def volume(self, asked: Asked, sums: Sequence[RuleStats]) -> Volume:
        days = history.daily(self.principal, asked.filters, asked.days, asked.last)
        failures = sum(one.failure_count for one in sums)
        return Volume(
            f"{sum(one.success_count for one in sums):,} succeeded",
            f"{failures:,} failed",
            f"{count(sum(one.files for one in sums), 'file')} written",
            f"{count(sum(one.unchanged_count for one in sums), 'target')} needed nothing",
            failures,
            [_column(day) for day in days] if any(day.total_copies for day in days) else [],
            _words(days),
        )

    def rules(self) -> list[tuple[str, str]]:
        rows = selectors.jobs(self.principal, kind="copy").filter(team_id=self.request.team.pk)
        return [(str(id), name) for id, name in rows.values_list("pk", "name")]

    def sources(self) -> list[tuple[str, str]]:
        """The sources of the team's rules by id and name, with the connection where two share the name."""
        mine = Q(copied_by__job__team=self.request.team.pk)
        rows = Repository.objects.filter(mine).select_related("connection").order_by("full_name").distinct()
        times = Counter(row.full_name for row in rows)
        return [
            (str(row.pk), row.qualified_name if times[row.full_name] > 1 else row.full_name) for row in rows
        ]

    def windows(self, asked: Asked) -> list[Choice]:
        spanned = asked.given.get("since") or asked.given.get("until")
        return [
            Choice(
                label,
                address_with(self.request, days=str(days), since=None, until=None),
                days == asked.days and not spanned,
            )
            for days, label in WINDOWS
        ]

    def rule_row(self, stats: RuleStats) -> RuleRow:
        took = stats.avg_duration_ms
        url = address_with(self.request, rule=str(stats.rule or stats.rule_name))
        return RuleRow(stats, None if took is None else took / 1_000, url)

    def teach(self) -> Teach | None:
        """The page of a team that has copied nothing at all."""
        if history.entries(self.principal, Filters(team=self.request.team.pk)).exists():
            return None
        return replace(TEACH, actions=(Action("Copy rules", reverse("copy"), kind="primary"),))


def _column(day: Day) -> Column:
    title = f"{_day(day.date)}: {_ended(day.success_count, day.failure_count)}"
    return Column((("ok", day.success_count), ("bad", day.failure_count)), title)


def _words(days: Sequence[Day]) -> str:
    """What the columns show."""
    span = f"{_day(days[0].date)} to {_day(days[-1].date)}" if len(days) > 1 else _day(days[0].date)
    most = max(days, key=lambda day: day.total_copies)
    if not most.total_copies:
        return f"{span}: nothing was copied. Days are in UTC."
    total = sum(day.total_copies for day in days)
    there = sum(1 for day in days if day.total_copies)
    busiest = f", most on {_day(most.date)}: {_ended(most.success_count, most.failure_count)}"
    return (
        f"{span}: {count(total, 'copy', 'copies')} on {count(there, 'day')}"
        f"{busiest if there > 1 else ''}. Days are in UTC."
    )


def _ended(succeeded: int, failed: int) -> str:
    return f"{succeeded:,} succeeded, {failed:,} failed"


def _day(day: dt.date) -> str:
    return f"{day.day} {day:%b %Y}"


def _entry_row(item: Item) -> EntryRow:
    outcome = history.outcome_of(item)
    return EntryRow(item, outcome, LOOKS[outcome], history.source_name(item))


def _options(known: Iterable[tuple[str, str]], chosen: str) -> list[Option]:
    """What may be chosen; what is chosen and not among them, such as a rule that is gone, comes last."""
    options = [Option(value, label, chosen in (value, label)) for value, label in known]
    if chosen and not any(option.chosen for option in options):
        options.append(Option(chosen, chosen, True))
    return options
