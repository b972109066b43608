"""The log of a run as its page shows it: the newest lines, searched, followed while it grows."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from opssight.web.parts import Choice, LogLine
from syncs.engine import progress
from syncs.models import Run

SHOWN: Final = 500  # lines; the file has them all
LEVELS: Final[tuple[Literal["debug", "info", "warning", "error"], ...]] = (
    "debug",
    "info",
    "warning",
    "error",
)


@dataclass(frozen=True)
class LogView:
    """Lines of a log: `total` there are, `found` fit, `fresh` are shown. `after` is where to read on."""

    fresh: Sequence[LogLine]
    found: int
    total: int
    after: int
    find: str
    level: str
    more_url: str
    choices: Sequence[Choice]

    @classmethod
    def of(cls, run: Run, given: Mapping[str, str]) -> LogView:
        """`find` is part of a line, `level` the least that is shown, `after` what was read before."""
        find, level = given.get("find", "").strip()[:200], given.get("level", "")
        stored = list(progress.read_log(run, _number(given.get("after", ""))))
        levels = Counter(line.level for _, line in stored)
        fits = [line for _, line in stored if _fits(line, find, level)]
        after = stored[-1][0] if stored else _number(given.get("after", ""))
        more = urlencode({"after": after, "find": find, "level": level})
        return cls(
            fresh=[_drawn(line) for line in fits[-SHOWN:]],
            found=len(fits),
            total=len(stored),
            after=after,
            find=find,
            level=level,
            more_url=f"{reverse('run_log', args=[run.pk])}?{more}",
            choices=_choices(run, find, level, levels),
        )

    @property
    def drawn(self) -> list[tuple[LogLine, str]]:
        """Each line with its time of day to the millisecond."""
        return [(line, f"{timezone.localtime(line.at):%H:%M:%S.%f}"[:-3]) for line in self.fresh]

    @property
    def cut(self) -> bool:
        return self.found > len(self.fresh)


def _choices(run: Run, find: str, level: str, levels: Counter[str]) -> list[Choice]:
    base = reverse("run", args=[run.pk])
    errors, warnings = levels["error"], levels["error"] + levels["warning"]
    words: list[tuple[str, str, int | None]] = [("All", "", None)]
    if warnings > errors:
        words.append(("Warnings", "warning", warnings))
    if errors or level == "error":
        words.append(("Errors", "error", errors))
    return [
        Choice(label, f"{base}?{urlencode({'find': find, 'level': key})}#log", level == key, number)
        for label, key, number in words
    ]


def _fits(line: progress.LogLine, find: str, level: str) -> bool:
    if level in LEVELS and _rank(line.level) < LEVELS.index(level):
        return False
    return not find or find.casefold() in f"{line.step} {line.message}".casefold()


def _rank(level: str) -> int:
    return next((rank for rank, name in enumerate(LEVELS) if name == level), 1)


def _drawn(line: progress.LogLine) -> LogLine:
    return LogLine(dt.datetime.fromisoformat(line.at), LEVELS[_rank(line.level)], line.step, line.message)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
