"""One run as the parts of its page: its sentence, what failed by class, its items, what it cost."""

from __future__ import annotations

import datetime as dt
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from opssight.core.clock import now
from opssight.core.errors import ErrorClass
from opssight.core.words import count, join_words
from opssight.web.formats import format_ago, format_bytes, format_count, format_duration
from opssight.web.parts import Action, Column, Fact, FailureCard, Progress
from opssight.web.states import look_of
from syncs import selectors
from syncs.engine.claim import waits_for
from syncs.engine.kinds import JobKind, background_kinds, kind_named
from syncs.models import Item, ItemState, Run, RunState

BAD_RUNS: Final = (RunState.PARTIAL, RunState.FAILED, RunState.DEAD)
EARLIER: Final = 24  # runs in the chart
NAMED: Final = 3  # items that a card names

_CLASS_TITLES: Final = {
    ErrorClass.TRANSIENT: "Did not get through",
    ErrorClass.RATE_LIMITED: "Asked to wait",
    ErrorClass.AUTH: "Credential refused",
    ErrorClass.NOT_FOUND: "Not found",
    ErrorClass.CONFLICT: "Changed meanwhile",
    ErrorClass.PERMANENT: "Refused",
}
_CLASS_HINTS: Final = {
    ErrorClass.TRANSIENT: "It was tried as often as it may be. Nothing has to be changed: try again later.",
    ErrorClass.RATE_LIMITED: "The other side asked to wait. Try again later.",
    ErrorClass.AUTH: "Nothing of this connection works until it has a credential that is accepted.",
    ErrorClass.NOT_FOUND: "Look whether it was renamed, moved or removed.",
    ErrorClass.CONFLICT: "Somebody else changed it at the same time. A new run looks again.",
    ErrorClass.PERMANENT: "It will fail the same way again until something is changed.",
}
_NOTHING: Final = dt.timedelta()
_RETRYABLE: Final = (ErrorClass.TRANSIENT, ErrorClass.RATE_LIMITED, ErrorClass.CONFLICT)


def job_url(job_id: object, kind: str) -> str:
    """The kind's page of a job, empty where the kind has none or is no longer installed."""
    try:
        page = kind_named(kind).page
    except KeyError:
        return ""
    return reverse(page, args=[job_id]) if page else ""


def nouns(kind: str) -> tuple[str, str]:
    """What one job of the kind is called, and what its runs work through: `rule` and `target`."""
    try:
        found = kind_named(kind)
    except KeyError:
        return JobKind.job_noun, JobKind.item_noun
    return found.job_noun, found.item_noun


def is_in_background(kind: str) -> bool:
    """Whether nobody made the job: then its runs plan and write no files."""
    return kind in background_kinds()


# --- the sentence ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Headline:
    """The h1 of a run; `trouble` is its second half, in red, and `note` what goes on or waits."""

    text: str
    trouble: str = ""
    note: str = ""


def headline(run: Run) -> Headline:
    if run.state == RunState.QUEUED:
        return Headline(_waits(run), note=run.sentence)
    if run.state == RunState.RUNNING:
        note = "Asked to stop." if run.cancel_requested_at else ""
        return Headline(f"{run.progress_text or 'Looking what is to do'}.", note=note)
    sentence = run.sentence or f"{run.get_state_display().capitalize()}."
    if run.state not in BAD_RUNS:
        return Headline(sentence)
    text, semicolon, trouble = sentence.partition("; ")
    return Headline(f"{text};", trouble) if semicolon else Headline("", sentence)


def is_paused(run: Run) -> bool:
    """Whether it waits for its connection to be connected again."""
    return (
        run.state == RunState.QUEUED
        and run.connection is not None
        and run.wait_reason == waits_for(run.connection)
    )


def reconnect_action(run: Run) -> Action:
    """Where the connection of the run says what is wrong and what mends it."""
    page = reverse("connection", args=[run.connection_id])
    return Action("Reconnect", page, icon="link", kind="primary")


def _waits(run: Run) -> str:
    """Why a queued run does not run, and when it will."""
    reason = run.wait_reason.rstrip(".")
    reason = f"{reason[:1].upper()}{reason[1:]}. " if reason else ""
    if is_paused(run):
        return reason.strip()
    if run.run_after > now():
        again = "Starts again" if run.attempt else "Starts"
        return f"{reason}{again} {format_ago(run.run_after)}."
    return f"{reason}Waits for a worker." if reason else "Waits for its turn."


@dataclass(frozen=True)
class Pill:
    state: str
    word: str = ""


def pills(run: Run, counts: dict[str, int]) -> list[Pill]:
    """The state of the run, and how many items failed or differ."""
    _, noun = nouns(run.kind)
    found = [Pill(run.state)]
    if counts.get(ItemState.FAILED):
        found.append(Pill("failed", f"{count(counts[ItemState.FAILED], noun)} failed"))
    if counts.get(ItemState.CONFLICT):
        found.append(Pill("conflict", f"{count(counts[ItemState.CONFLICT], noun)} in conflict"))
    return found


# --- what failed, by class ------------------------------------------------------------------------


def failure_cards(run: Run, failed: Sequence[Item], counts: dict[str, int], may: bool) -> list[FailureCard]:
    """One card for each class of failure, with the one thing that mends it.

    `failed` are items that did, `counts` how many of each class there are; `may`: retry and the like.
    """
    classes: dict[str, list[Item]] = {}
    for item in failed:
        classes.setdefault(item.error_class, []).append(item)
    cards = [_card(run, name, items, counts.get(name, len(items)), may) for name, items in classes.items()]
    if cards or run.state not in BAD_RUNS:
        return cards
    if run.state == RunState.PARTIAL and not run.error_class:
        hint = "Nothing failed, but something was left out. Below it is named."
        return [FailureCard("Left out", hint, _see_job(run), "warning")]
    return [_card(run, run.error_class, [], 0, may)]


def _card(run: Run, name: str, items: Sequence[Item], number: int, may: bool) -> FailureCard:
    if not items and run.state == RunState.DEAD:
        hint = f"{count(run.crash_count, 'worker')} died of it. Look at the log before you retry."
        return FailureCard("Given up", hint, _retry(run, 0) if may else None)
    kind = ErrorClass(name) if name else ErrorClass.PERMANENT
    title = _CLASS_TITLES[kind]
    if items:
        title = f"{title}, {count(number, nouns(run.kind)[1])}"
    state = "conflict" if kind is ErrorClass.CONFLICT else "failed"
    text = _card_text(items, number) if items else _CLASS_HINTS[kind]
    return FailureCard(title, text, _mend(run, kind, items, number, may), state)


def _card_text(items: Sequence[Item], number: int) -> str:
    same = len({item.sentence for item in items}) == 1
    named = [item.label for item in items[: NAMED if same else 1]]
    more = [f"{number - len(named)} more"] if same and number > len(named) else []
    others = "" if same else " The others are listed below."
    return f"{join_words([*named, *more])}: {items[0].sentence}{others}"


def _mend(run: Run, kind: ErrorClass, items: Sequence[Item], number: int, may: bool) -> Action | None:
    if not run.finished or not may:
        return None
    if kind is ErrorClass.AUTH:
        return _reconnect(run, items) or _retry(run, number)
    if kind in _RETRYABLE:
        return _retry(run, number)
    return _see_job(run)


def _see_job(run: Run) -> Action | None:
    url = job_url(run.job_id, run.kind) if run.job_id else ""
    return Action(f"See the {nouns(run.kind)[0]}", url) if url else None


def _reconnect(run: Run, items: Sequence[Item]) -> Action | None:
    first = next((item.repository for item in items if item.repository is not None), None)
    connection_id = first.connection_id if first else run.connection_id
    if connection_id is None:
        return None
    return Action("Reconnect", reverse("connection", args=[connection_id]), icon="link", kind="primary")


def _retry(run: Run, number: int) -> Action | None:
    if run.job_id is None:
        return None
    label = f"Retry {count(number, nouns(run.kind)[1])}" if number else "Retry"
    return Action(label, reverse("run_retry", args=[run.pk]), icon="retry", method="post")


# --- items ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ItemRow:
    """One item of the table. `done` says whether what was planned was written."""

    item: Item
    state: str
    took: dt.timedelta | None
    commit: str
    progress: Progress | None

    @property
    def planned(self) -> tuple[int, int, int]:
        plan = self.item.planned
        return plan.get("add", 0), plan.get("change", 0), plan.get("delete", 0)

    @property
    def done(self) -> bool:
        return self.item.state == ItemState.DONE

    @property
    def waits(self) -> bool:
        return self.item.state == ItemState.PLANNED


def item_rows(run: Run, items: Iterable[Item]) -> list[ItemRow]:
    return [_item_row(run, item) for item in items]


def _item_row(run: Run, item: Item) -> ItemRow:
    started, ended = item.started_at, item.finished_at
    going_on = run.state == RunState.RUNNING and item.state == ItemState.PLANNED and started is not None
    took = ended - started if started and ended and ended >= started else None
    state = "running" if going_on else item.state
    commit = item.result.get("commit", "") if item.state == ItemState.DONE else ""
    return ItemRow(item, state, took, str(commit or ""), progress(run) if going_on else None)


def progress(run: Run) -> Progress | None:
    """How far a running run is; None when it did not say."""
    if run.state != RunState.RUNNING or not run.progress_text:
        return None
    done, total = run.progress_done, run.progress_total
    words = run.progress_text
    if total:
        words = f"{words}: {format_count(done)} of {format_count(total)}"
    elif done:
        words = f"{words}: {format_count(done)}"
    return Progress(done, total or None, words)


# --- beside the items -------------------------------------------------------------------------------


def cost_facts(run: Run) -> list[Fact]:
    """What the run cost: git, bytes, time, worker, attempts."""
    facts = [Fact("Git", _git_words(run.stats))] if _git_words(run.stats) else []
    if run.stats.get("bytes"):
        facts.append(Fact("Received", format_bytes(run.stats["bytes"])))
    if run.started_at is not None and run.attempt <= 1:
        waited = max(run.started_at - max(run.created_at, run.scheduled_for or run.created_at), _NOTHING)
        facts.append(Fact("Waited", f"{format_duration(waited)} in the queue"))
    if run.started_at and run.finished_at:
        facts.append(Fact("Took", format_duration(max(run.finished_at - run.started_at, _NOTHING))))
    if run.worker is not None:
        beats = run.worker.stopped_at is None and run.worker.beat_at > now() - selectors.ALIVE
        word = "beating" if beats else "gone"
        facts.append(Fact("Worker", word, word, run.worker.host))
    if run.attempt:
        facts.append(Fact("Attempt", f"{run.attempt} of {settings.MAX_ATTEMPTS}"))
    if run.crash_count:
        facts.append(Fact("Lost workers", str(run.crash_count)))
    return facts


def _git_words(stats: dict[str, int]) -> str:
    nouns = (("looks", "look"), ("fetches", "fetch"), ("pushes", "push"))
    said = [count(stats[key], noun, key) for key, noun in nouns if stats.get(key)]
    return ", ".join(said)


@dataclass(frozen=True)
class Earlier:
    """The last runs of the same job: a column each, and what they say together."""

    columns: Sequence[Column]
    words: str
    total: int


def earlier(run: Run, runs: Sequence[Run], total: int) -> Earlier | None:
    """`runs` are the newest of the job up to this one, newest first. None where there is no other."""
    if len(runs) < 2:
        return None
    taken = [_seconds(one) for one in runs]
    ended = zip(runs, taken, strict=True)
    known = [seconds for one, seconds in ended if one.finished_at and seconds is not None]
    columns = [_column(one, seconds, one.pk == run.pk) for one, seconds in zip(runs, taken, strict=True)]
    words = f"Duration of the last {len(runs)}."
    if known:
        words += f" Median {format_duration(statistics.median(known))}"
        states = [one.state for one in runs]
        bad = [f"{states.count(s)} {s.label}" for s in BAD_RUNS if states.count(s)]
        words += f"; {', '.join(bad)}." if bad else "."
    return Earlier(columns[::-1], words, total)


def _seconds(run: Run) -> float | None:
    """How long it took; while it runs in steps of 10 s, so that the page is not drawn anew each time."""
    if run.started_at is None:
        return None
    seconds = max(((run.finished_at or now()) - run.started_at).total_seconds(), 0.0)
    return seconds if run.finished_at else seconds // 10 * 10


def _column(run: Run, seconds: float | None, this: bool) -> Column:
    look = look_of(run.state)
    at = timezone.localtime(run.created_at)
    took = format_duration(seconds) if seconds is not None else "not started"
    title = f"{'This run, ' if this else ''}{at:%d %b %H:%M}: {look.word}, {took}"
    return Column(((look.tone, max(seconds or 0.0, 0.01)),), title)
