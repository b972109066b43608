"""What copies did, in numbers, from the rows of `numbers.copied`: one for each target of a run.

What is not known is None: of a target that failed before its plan, of a run by an earlier version.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from typing import Any

from opssight.metrics import numbers
from syncs.models import BAD_ITEMS, ItemState

Number = int | None


def is_shadow(row: dict[str, Any]) -> bool:
    """Whether it only says what would be done."""
    return bool(row["result"].get("shadow"))


def is_merge(row: dict[str, Any]) -> bool:
    """Whether it only says that a pull request was merged, which was counted when it was opened."""
    return bool(row["result"].get("only_merged"))


def crosses(row: dict[str, Any]) -> bool | None:
    """Whether the target belongs to another owner or host than the source; None: not known."""
    found: bool | None = row["result"].get("cross_organization")
    return found


def files(rows: numbers.Rows) -> dict[str, Any]:
    """The numbers of files and targets; what is null is named in `not_collected`."""
    rows = [row for row in rows if row["state"] != ItemState.PLANNED]
    items = [row for row in rows if not is_shadow(row) and not is_merge(row)]
    done = [row for row in items if row["state"] == ItemState.DONE]
    skipped = [row for row in items if row["state"] == ItemState.SKIPPED]
    failed = [row for row in items if row["state"] in BAD_ITEMS]
    uploaded, equal = _sum(done, "files"), _total([_sum([*done, *skipped], "equal"), _sum(skipped, "files")])
    # how many files a target that failed before its plan would have got is not known
    upload_failed = _total(sum(row["planned"].values()) if row["planned"] else None for row in failed)
    known: dict[str, Any] = {
        "matched": _total([uploaded, equal, upload_failed]),
        "uploaded": uploaded,
        "equal": equal,
        "refused": _sum([*done, *skipped], "refused_count"),
        "upload_failed": upload_failed,
        "deleted": _sum(done, "deletes"),
        "deprecated": _sum(done, "recorded"),
        "targets": len(items),
        "targets_failed": len(failed),
        "shadow_targets": sum(is_shadow(row) for row in rows),
        "upload_success_rate": rate(len(items) - len(failed), len(failed)) if items else None,
        "cross_organization": _crossing(items),
    }
    unknown = [name for name, value in known.items() if value is None and name != "upload_success_rate"]
    return {**known, "not_collected": unknown, "upload_time": numbers.times(_spans(items))}


def _crossing(items: numbers.Rows) -> dict[str, Number] | None:
    """What went to other owners or hosts; None where that is not known of each."""
    if any(crosses(row) is None for row in items):
        return None
    over = [row for row in items if crosses(row)]
    done = [row for row in over if row["state"] == ItemState.DONE]
    failed = sum(row["state"] in BAD_ITEMS for row in over)
    return {"targets": len(over), "targets_failed": failed, "uploaded": _sum(done, "files")}


def outcomes(rows: numbers.Rows) -> Counter[str]:
    """Files written, equal and refused, deleted and recorded as gone; what is not known counts nothing."""
    found = Counter({"written": 0, "equal": 0, "refused": 0, "deleted": 0, "recorded": 0})
    for row in rows:
        result, state = row["result"], row["state"]
        if is_shadow(row) or is_merge(row) or state not in (ItemState.DONE, ItemState.SKIPPED):
            continue
        done = state == ItemState.DONE
        found["written" if done else "equal"] += result.get("files", 0)
        found["equal"] += result.get("equal", 0)
        found["refused"] += result.get("refused_count", 0)
        found["deleted"] += result.get("deletes", 0) if done else 0
        found["recorded"] += result.get("recorded", 0) if done else 0
    return found


def rate(good: int, bad: int) -> float | None:
    """Per cent, or None when there was nothing."""
    return round(100 * good / (good + bad), 2) if good + bad else None


def _spans(items: numbers.Rows) -> list[float]:
    pairs: list[tuple[dt.datetime | None, dt.datetime | None]] = [
        (row["started_at"], row["finished_at"]) for row in items
    ]
    return [max((end - start).total_seconds(), 0.0) for start, end in pairs if start and end]


def _sum(rows: numbers.Rows, key: str) -> Number:
    return _total(row["result"].get(key) for row in rows)


def _total(values: Iterable[Number]) -> Number:
    """The sum, or None when one of them is not known."""
    found = list(values)
    return None if None in found else sum(value or 0 for value in found)
