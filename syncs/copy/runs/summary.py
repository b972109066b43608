"""The one sentence of a run."""

from __future__ import annotations

from collections.abc import Sequence

from opssight.core.words import count, join_words, seconds
from repos.providers.types import PullState
from syncs.engine import claim
from syncs.models import BAD_ITEMS, Item, ItemState, Run

_REASONS = 3  # that are named


def summary(run: Run) -> str:
    """What was copied where, how long it took, and who refused."""
    rows = list(run.items.all())
    reasons = [reason(item) for item in rows if item.state in BAD_ITEMS]
    text = _what(run, rows, failed=bool(reasons))
    reasons += [_refusals(item) for item in rows if item.result.get("refused_count")]
    return with_reasons(text, reasons)


def reason(item: Item) -> str:
    """The item's sentence, which begins with its name."""
    sentence = item.sentence.rstrip(".")
    return sentence if sentence.startswith(item.label) else f"{item.label}: {sentence}"


def with_reasons(text: str, reasons: Sequence[str]) -> str:
    """A sentence of what was done, and of what stood in the way of the rest."""
    more = f" and {len(reasons) - _REASONS} more" if len(reasons) > _REASONS else ""
    return f"{text}; {join_words(reasons[:_REASONS])}{more}." if reasons else f"{text}."


def _what(run: Run, rows: Sequence[Item], *, failed: bool) -> str:
    done = [item for item in rows if item.state == ItemState.DONE]
    targets = count(len(rows), "target")
    if done:
        return f"{_copied(done, targets)}{_took(run)}"
    if failed:
        return f"Copied nothing to {targets}"
    if any(item.result.get("shadow") for item in rows):
        would = [item.result.get("would", 0) for item in rows]
        return f"Only looked: {count(max(would), 'file')} to copy to {sum(map(bool, would))} of {targets}"
    waiting = sum(1 for item in rows if _is_open(item.result.get("pull_request")))
    if waiting:
        return f"Nothing new to copy: {count(waiting, 'pull request has', 'pull requests have')} it already"
    have = "the target has" if len(rows) == 1 else f"all {len(rows)} targets have"
    return f"Nothing to copy: {have} what the rule asks for"


def _is_open(pull: dict[str, object] | None) -> bool:
    return pull is not None and pull["state"] == PullState.OPEN


def _copied(done: Sequence[Item], targets: str) -> str:
    """`Copied 3 files to 2 of 2 targets (1 in pull requests)`; the most that one of them got."""
    files = max(item.result.get("files", 0) for item in done)
    deletes = max(item.result.get("deletes", 0) for item in done)
    proposed = sum(1 for item in done if item.result.get("branch"))
    where = f"{len(done)} of {targets}" + (f" ({proposed} in pull requests)" if proposed else "")
    if deletes and files:
        return f"Copied {count(files, 'file')} and deleted {deletes:,} at {where}"
    return (
        f"Deleted {count(deletes, 'file')} at {where}"
        if deletes
        else f"Copied {count(files, 'file')} to {where}"
    )


def _took(run: Run) -> str:
    if run.started_at is None:
        return ""
    return f" in {seconds((claim.db_now() - run.started_at).total_seconds())}"


def _refusals(item: Item) -> str:
    """What was left out at a target, with the first reason."""
    left_out = count(item.result["refused_count"], "file")
    return f"{item.label}: {left_out} left out, {item.result['refused'][0]['sentence'].rstrip('.')}"
