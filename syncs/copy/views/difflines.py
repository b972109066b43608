"""A unified diff as lines to be drawn, with what changed within a line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from opssight.web.parts import DiffLine

_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+(\d+)(?:,\d+)? @@")
_WORDS = re.compile(r"\s+|\w+|\W")
_LONGEST = 400  # characters of a line that is compared word by word

Parts = Sequence[tuple[str, bool]]


def diff_lines(unified: Sequence[str]) -> list[DiffLine]:
    """`unified` is what `difflib.unified_diff` gives, without line ends; its file names are left out."""
    lines: list[DiffLine] = []
    removed: list[str] = []
    added: list[str] = []
    at = [0, 0]

    def flush() -> None:
        marked = _marked(removed, added)
        for parts in marked[0]:
            lines.append(DiffLine("removed", parts, old=at[0]))
            at[0] += 1
        for parts in marked[1]:
            lines.append(DiffLine("added", parts, new=at[1]))
            at[1] += 1
        removed.clear()
        added.clear()

    for line in unified[2:]:
        hunk = _HUNK.match(line)
        if line.startswith("-") and not added:
            removed.append(line[1:])
            continue
        if line.startswith("+"):
            added.append(line[1:])
            continue
        flush()
        if hunk:
            at[:] = int(hunk[1]), int(hunk[2])
            lines.append(DiffLine("hunk", ((line, False),)))
        elif line.startswith("-"):
            removed.append(line[1:])
        else:
            lines.append(DiffLine("same", ((line[1:], False),), at[0], at[1]))
            at[0] += 1
            at[1] += 1
    flush()
    return lines


def _marked(removed: list[str], added: list[str]) -> tuple[list[Parts], list[Parts]]:
    """Lines that were changed one for one say which words; others stand as a whole."""
    if len(removed) != len(added):
        return [((text, False),) for text in removed], [((text, False),) for text in added]
    pairs = [_words(old, new) for old, new in zip(removed, added, strict=True)]
    return [old for old, _ in pairs], [new for _, new in pairs]


def _words(old: str, new: str) -> tuple[Parts, Parts]:
    if max(len(old), len(new)) > _LONGEST:
        return ((old, False),), ((new, False),)
    before, after = _WORDS.findall(old), _WORDS.findall(new)
    match = difflib.SequenceMatcher(None, before, after, autojunk=False)
    if match.ratio() < 0.5:  # another line altogether
        return ((old, False),), ((new, False),)
    codes = match.get_opcodes()
    left = tuple(("".join(before[a:b]), tag != "equal") for tag, a, b, _, _ in codes if b > a)
    right = tuple(("".join(after[a:b]), tag != "equal") for tag, _, _, a, b in codes if b > a)
    return left, right
