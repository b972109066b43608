"""The difference of two texts line by line, in bounded time: only so many lines may differ."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import Final

MAX_LINES: Final = 3_000  # that differ, and are compared with each other; the time grows with their square
MAX_SHOWN: Final = 3_000

_SIDE: Final = re.compile(r"([-+])(\d+)(,\d+)?")


def unified(before: Sequence[str], after: Sequence[str], *, context: int = 4) -> list[str] | None:
    """The lines of a unified diff; None where too many lines differ to show them."""
    start = _common(before, after)
    end = _common(before[start:][::-1], after[start:][::-1])
    if max(len(before), len(after)) - start - end > MAX_LINES:
        return None
    skipped, left = max(start - context, 0), max(end - context, 0)
    old, new = before[skipped : len(before) - left], after[skipped : len(after) - left]
    lines = list(difflib.unified_diff(old, new, lineterm="", n=context))[:MAX_SHOWN]
    return [_moved(line, skipped) if line.startswith("@@") else line for line in lines]


def unified_or_words(before: Sequence[str], after: Sequence[str], *, context: int) -> list[str]:
    """The same; where too many lines differ, that sentence in their place."""
    found = unified(before, after, context=context)
    return ["---", "+++", " Too many lines differ to show them."] if found is None else found


def _common(one: Sequence[str], other: Sequence[str]) -> int:
    """How many lines are the same at the beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((number for number, (a, b) in pairs if a != b), min(len(one), len(other)))


def _moved(hunk: str, by: int) -> str:
    """A line that begins a hunk, `by` lines further down."""
    sides = [f"{mark}{int(number) + by}{count}" for mark, number, count in _SIDE.findall(hunk)]
    return f"@@ {' '.join(sides)} @@"
