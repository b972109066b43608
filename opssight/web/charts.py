"""Geometry of the charts. Positions across are percentages, so that a chart is as wide as its place
while its text and heights stay in pixels; nothing needs an inline style or a script."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

from django.utils import timezone

from opssight.web.parts import Bar, Column, Lane, Share, SnapshotMark
from opssight.web.states import HATCHED, StateLook, look_of

LANE_HEIGHT = 31
AXIS_HEIGHT = 27
RAIL_DOTS = 7
RAIL_STEP = 25
AGE_WIDTH = 62
LINE_HEIGHT = 44

Across = Callable[[dt.datetime], float]
"""Where a time stands, in percent of the window."""


def percent(value: float) -> str:
    return f"{value:.3f}".rstrip("0").rstrip(".") + "%"


# --- the day of runs ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DrawnBar:
    x: str
    width: str
    y: int
    look: StateLook
    bar: Bar
    as_mark: bool


@dataclass(frozen=True, slots=True)
class Tick:
    x: str
    text: str
    anchor: str


@dataclass(frozen=True, slots=True)
class LanesChart:
    """One window of time. ``now`` is where the present is, "" when it is outside the window."""

    height: int
    lines: Sequence[int]
    bars: Sequence[DrawnBar]
    ticks: Sequence[Tick]
    grid: Sequence[str]
    now: str
    rest: str
    now_text: str
    axis_y: int


def lanes_chart(
    lanes: Sequence[Lane], start: dt.datetime, end: dt.datetime, now: dt.datetime, step_hours: int = 3
) -> LanesChart:
    """The runs of each lane between ``start`` and ``end``; what lies outside is left out."""
    total = (end - start).total_seconds()

    def across(at: dt.datetime) -> float:
        return 100 * (at - start).total_seconds() / total

    least = 0.45 if total > 12 * 3600 else 1.1
    bars = [
        _drawn(bar, row, across, least)
        for row, lane in enumerate(lanes)
        for bar in lane.bars
        if bar.end >= start and bar.start <= end
    ]
    here = across(now)
    inside = 0 <= here <= 100
    ticks = list(_ticks(start, end, across, step_hours))
    body = LANE_HEIGHT * len(lanes)
    return LanesChart(
        height=body + AXIS_HEIGHT,
        lines=[LANE_HEIGHT * row + LANE_HEIGHT // 2 for row in range(len(lanes))],
        bars=bars,
        ticks=[tick for at, tick in ticks if not inside or abs(at - here) > 7],
        grid=[percent(at) for at, _ in ticks],
        now=percent(here) if inside else "",
        rest=percent(100 - here) if inside else "",
        now_text=f"{timezone.localtime(now):%H:%M}",
        axis_y=body,
    )


def _drawn(bar: Bar, row: int, across: Across, least: float) -> DrawnBar:
    left, right = max(across(bar.start), 0.0), min(across(bar.end), 100.0)
    look = look_of(bar.state)
    as_mark = not bar.planned and look.tone not in {"ok", "run"}
    if as_mark:
        left = right = (left + right) / 2
    width = max(right - left, least)
    return DrawnBar(percent(left), percent(width), LANE_HEIGHT * row + LANE_HEIGHT // 2, look, bar, as_mark)


def _ticks(start: dt.datetime, end: dt.datetime, across: Across, step: int) -> Iterator[tuple[float, Tick]]:
    local_start = timezone.localtime(start)
    hour = local_start.replace(minute=0, second=0, microsecond=0)
    while hour <= end:
        at = across(hour)
        if hour.hour % step == 0 and at >= 0:
            yield at, Tick(percent(at), _tick_text(hour, at, step), "end" if at > 97 else "middle")
        hour += dt.timedelta(hours=1)


def _tick_text(hour: dt.datetime, at: float, step: int) -> str:
    if step >= 24:
        return f"{hour:%a} {hour.day}"
    return "24:00" if at >= 99.9 and hour.hour == 0 else f"{hour:%H:%M}"


def lane_words(lane: Lane) -> str:
    """The lane in words, for who does not see it: "3 succeeded, 1 failed, 4 planned"."""
    counts: dict[str, int] = {}
    for bar in lane.bars:
        word = "planned" if bar.planned else look_of(bar.state).word
        counts[word] = counts.get(word, 0) + 1
    return ", ".join(f"{count} {word}" for word, count in counts.items()) or "nothing"


# --- shares of a whole -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DrawnShare:
    x: str
    width: str
    fill: str
    hatched: bool
    title: str


def share_parts(shares: Sequence[Share], least: float = 2.5) -> list[DrawnShare]:
    """The parts of a bar. A part that is there at all is at least ``least`` percent wide."""
    there = [share for share in shares if share.count > 0]
    total = sum(share.count for share in there)
    widths = [max(100 * share.count / total, least) for share in there]
    scale = 100 / sum(widths) if widths else 1
    parts, x = [], 0.0
    for share, raw in zip(there, widths, strict=True):
        look = look_of(share.state)
        hatched = share.state in HATCHED
        fill = "hatch" if hatched else "off" if look.shape == "dashed-circle" else look.tone
        title = f"{share.count} {share.word or look.word}"
        parts.append(DrawnShare(percent(x), percent(raw * scale), fill, hatched, title))
        x += raw * scale
    return parts


# --- trends ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LineChart:
    """A line in a 100 × 44 box that is stretched across; gaps are what was not collected."""

    lines: Sequence[str]
    areas: Sequence[str]
    gaps: Sequence[tuple[str, str]]
    gap_lines: Sequence[str]


def line_chart(points: Sequence[float | None]) -> LineChart:
    known = [value for value in points if value is not None]
    if not known:
        return LineChart([], [], [("0", "100")], [])
    low, high = min(known), max(known)
    span = max(high - low, abs(high) * 0.06) or 1.0  # small wobbles must not look like drama
    floor = low - span * 0.35
    reach = max(high - floor, span)
    step = 100 / max(len(points) - 1, 1)

    def place(index: int, value: float) -> tuple[float, float]:
        return round(index * step, 2), round(LINE_HEIGHT - 3 - (value - floor) / reach * (LINE_HEIGHT - 8), 2)

    runs = [
        [place(index, value) for index, value in group if value is not None]
        for missing, group in groupby(enumerate(points), key=lambda pair: pair[1] is None)
        if not missing
    ]
    lines = [" ".join(f"{x:g},{y:g}" for x, y in run) for run in runs]
    areas = [
        f"{run[0][0]:g},{LINE_HEIGHT} {line} {run[-1][0]:g},{LINE_HEIGHT}"
        for run, line in zip(runs, lines, strict=True)
    ]
    edges = [(before[-1], after[0]) for before, after in pairwise(runs)]
    gaps = [(f"{a[0]:g}", f"{b[0] - a[0]:g}") for a, b in edges]
    if runs[0][0][0] > 0:
        gaps.insert(0, ("0", f"{runs[0][0][0]:g}"))
    if runs[-1][-1][0] < 99.9:
        gaps.append((f"{runs[-1][-1][0]:g}", f"{100 - runs[-1][-1][0]:g}"))
    gap_lines = [f"{a[0]:g},{a[1]:g} {b[0]:g},{b[1]:g}" for a, b in edges]
    return LineChart(lines, areas, gaps, gap_lines)


@dataclass(frozen=True, slots=True)
class DrawnColumn:
    x: str
    width: str
    y: str
    height: str
    fill: str
    title: str


def column_chart(columns: Sequence[Column]) -> list[DrawnColumn]:
    """Stacked columns; a day that was not collected is a hatched column of full height."""
    top = max((sum(amount for _, amount in column.amounts) for column in columns), default=0) or 1
    pitch = 100 / max(len(columns), 1)
    drawn = []
    for index, column in enumerate(columns):
        x, width = percent(index * pitch), percent(pitch * 0.78)
        if not column.amounts:
            drawn.append(DrawnColumn(x, width, "0%", "100%", "hatch", column.title or "not collected"))
        base = 100.0
        for tone, amount in column.amounts:
            height = max(100 * amount / top, 4) if amount else 0
            base -= height
            if height:
                drawn.append(
                    DrawnColumn(x, width, percent(max(base, 0)), percent(height), tone, column.title)
                )
    return drawn


# --- commits behind, age, restore points ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RailDot:
    x: int
    kind: str  # "done", "head", "behind", "unknown", "off"


def rail_dots(behind: int | None, state: str) -> list[RailDot]:
    """The last commits as dots: filled up to where the copy is, hollow for what it still lacks."""
    last = RAIL_DOTS - 1
    if look_of(state).shape == "dashed-circle":
        kinds = ["off"] * RAIL_DOTS
    elif behind is None:
        kinds = ["unknown"] * RAIL_DOTS
    else:
        lacking = min(behind, last)
        kinds = ["done"] * (RAIL_DOTS - lacking) + ["behind"] * lacking
        if not lacking:
            kinds[last] = "head"
    return [RailDot(5 + RAIL_STEP * index, kind) for index, kind in enumerate(kinds)]


def age_width(days: float | None, policy_days: float) -> float | None:
    """Length in pixels of an age whose policy stands at a quarter of the meter."""
    if days is None:
        return None
    return round(min(max(AGE_WIDTH * days / (policy_days * 4), 4), AGE_WIDTH), 1)


@dataclass(frozen=True, slots=True)
class DrawnSnapshot:
    x: str
    mark: SnapshotMark
    look: StateLook
    anchor: str
    note_y: int


def snapshot_line(marks: Sequence[SnapshotMark]) -> list[DrawnSnapshot]:
    """Restore points in the order given (oldest first), evenly spaced: each is one thing to restore.

    Notes stand above the line in two rows by turns, so that neighbours do not run into each other.
    """
    last = max(len(marks) - 1, 1)
    drawn: list[DrawnSnapshot] = []
    notes = 0
    for index, mark in enumerate(marks):
        share = index / last
        anchor = "start" if share < 0.2 else "end" if share > 0.8 else "middle"
        note_y = -37 - 16 * (notes % 2)
        notes += bool(mark.note)
        drawn.append(DrawnSnapshot(percent(2 + 96 * share), mark, look_of(mark.state), anchor, note_y))
    return drawn
