"""What somebody who waits for git may see of it, and how git's progress lines are read."""

from __future__ import annotations

import re
from collections import deque
from typing import Protocol

_LINE = re.compile(
    r"(?P<remote>remote: )?(?P<phase>[A-Z][A-Za-z ]+?): +"
    r"(?:\d+% \((?P<done>\d+)/(?P<total>\d+)\)|(?P<count>\d+))"
    r"(?:, (?P<size>[\d.]+) (?P<unit>bytes|KiB|MiB|GiB))?"
)
_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}


class Watch(Protocol):
    """Gets told how far git is, and says when it must stop. Called from the thread that waits for git."""

    def progress(self, phase: str, done: int, total: int | None, nbytes: int) -> None:
        """`phase` in git's words ("Receiving objects"); `nbytes` moved so far in this phase, 0 if unknown."""

    def stopped(self) -> bool:
        """Asked at least each half second; true kills git and raises `Stopped`."""


class Unwatched:
    """Nobody looks, nobody stops."""

    def progress(self, phase: str, done: int, total: int | None, nbytes: int) -> None:
        pass

    def stopped(self) -> bool:
        return False


class ProgressReader:
    """Splits git's stderr into progress, which goes to the watch, and the words that are kept."""

    KEPT_LINES = 200  # of the beginning, and again of the end

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._rest = b""
        self._first: list[str] = []
        self._last: deque[str] = deque(maxlen=self.KEPT_LINES)
        self.transferred = 0  # bytes of the pack, from the last "Receiving" or "Writing" line

    def feed(self, data: bytes) -> None:
        *lines, self._rest = re.split(rb"[\r\n]", self._rest + data)
        if len(self._rest) > 8_192:  # nobody sends such a line with good intent
            lines, self._rest = [*lines, self._rest], b""
        for line in lines:
            self._line(line.decode(errors="replace"))

    def text(self) -> str:
        """What was written beside progress, without the middle when it is very long."""
        self.feed(b"\n")
        return "\n".join([*self._first, *self._last])

    def _line(self, line: str) -> None:
        match = _LINE.match(line)
        if match is None:
            if line.strip():
                kept = self._first if len(self._first) < self.KEPT_LINES else self._last
                kept.append(line[:1_000])
            return
        nbytes = int(float(match["size"]) * _UNITS[match["unit"]]) if match["size"] else 0
        if nbytes and not match["remote"]:
            self.transferred = nbytes
        total = int(match["total"]) if match["total"] else None
        self._watch.progress(match["phase"], int(match["done"] or match["count"]), total, nbytes)
