"""Numbers and lists in sentences, the same on pages, in the command line and in notices."""

from __future__ import annotations

from collections.abc import Sequence


def count(n: int, noun: str, plural: str = "") -> str:
    """`1 file`, `1,204 files`."""
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def seconds(value: float) -> str:
    """`0.4 s`, `41 s`, `3 min 20 s`, `2 h 5 min`."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def size(nbytes: float) -> str:
    """`812 B`, `41.2 GB` (powers of 1,000)."""
    for unit in ("B", "KB", "MB", "GB"):
        if nbytes < 1_000:
            return f"{nbytes:.0f} B" if unit == "B" else f"{nbytes:.1f} {unit}"
        nbytes /= 1_000
    return f"{nbytes:.1f} TB"


def join_words(words: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"
