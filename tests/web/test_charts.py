"""Geometry: nothing leaves its frame, nothing unknown is drawn as known."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from hypothesis import given, strategies as st

from opssight.web.charts import (
    age_width,
    column_chart,
    lane_words,
    lanes_chart,
    line_chart,
    rail_dots,
    share_parts,
    snapshot_line,
)
from opssight.web.parts import Bar, Column, Lane, Share, SnapshotMark

DAY = dt.datetime(2026, 11, 19, tzinfo=dt.UTC)
END = DAY + dt.timedelta(days=1)
NOW = DAY + dt.timedelta(hours=12)


def bar(start: float, hours: float, state: str = "succeeded", planned: bool = False) -> Bar:
    begin = DAY + dt.timedelta(hours=start)
    return Bar(begin, begin + dt.timedelta(hours=hours), state, state, planned=planned)


def number(percent: str) -> float:
    return float(percent.removesuffix("%"))


def test_a_run_stands_where_its_time_is() -> None:
    (drawn,) = lanes_chart([Lane("Copy", [bar(6, 3)])], DAY, END, NOW).bars
    assert (drawn.x, drawn.width, drawn.as_mark) == ("25%", "12.5%", False)


def test_a_short_run_can_still_be_seen() -> None:
    (drawn,) = lanes_chart([Lane("Copy", [bar(6, 0.001)])], DAY, END, NOW).bars
    assert number(drawn.width) >= 0.4


def test_what_needs_a_look_is_a_shape_in_the_middle_of_its_time() -> None:
    (drawn,) = lanes_chart([Lane("Backup", [bar(6, 2, "failed")])], DAY, END, NOW).bars
    assert drawn.as_mark
    assert number(drawn.x) == pytest.approx(100 * 7 / 24, abs=0.01)


def test_runs_outside_the_window_are_left_out_and_long_ones_cut() -> None:
    chart = lanes_chart([Lane("Watch", [bar(-3, 1), bar(-1, 2), bar(23, 5), bar(30, 1)])], DAY, END, NOW)
    assert [(item.x, item.width) for item in chart.bars] == [("0%", "4.167%"), ("95.833%", "4.167%")]


def test_hours_do_not_run_into_the_present() -> None:
    chart = lanes_chart([Lane("Copy", [])], DAY, END, DAY + dt.timedelta(hours=12, minutes=20))
    assert [tick.text for tick in chart.ticks] == [
        "00:00", "03:00", "06:00", "09:00", "15:00", "18:00", "21:00", "24:00",
    ]  # fmt: skip
    assert chart.now_text == "12:20"


def test_a_day_that_is_over_has_no_present() -> None:
    assert lanes_chart([], DAY, END, END + dt.timedelta(hours=1)).now == ""


def test_a_lane_in_words() -> None:
    lane = Lane("Copy", [bar(1, 1), bar(2, 1), bar(3, 1, "failed"), bar(20, 1, planned=True)])
    assert lane_words(lane) == "2 succeeded, 1 failed, 1 planned"
    assert lane_words(Lane("Copy", [])) == "nothing"


@given(
    st.lists(st.tuples(st.sampled_from(["equal", "failed", "unknown"]), st.integers(0, 10_000)), max_size=12)
)
def test_shares_fill_the_bar_exactly(counts: list[tuple[str, int]]) -> None:
    parts = share_parts([Share(state, count) for state, count in counts])
    assert len(parts) == sum(1 for _, count in counts if count)
    if parts:
        assert sum(number(part.width) for part in parts) == pytest.approx(100, abs=0.05)
        assert number(parts[0].x) == 0


def test_one_failure_among_thousands_is_seen_and_unknown_is_hatched() -> None:
    parts = share_parts([Share("equal", 5000), Share("failed", 1), Share("unknown", 1)])
    assert all(number(part.width) > 2 for part in parts)
    assert [(part.fill, part.hatched) for part in parts] == [("ok", False), ("bad", False), ("hatch", True)]


def test_a_gap_is_drawn_as_a_gap() -> None:
    chart = line_chart([1, 2, None, None, 3])
    assert len(chart.lines) == 2
    assert chart.gaps == [("25", "75")]
    assert len(chart.gap_lines) == 1


def test_unknown_ends_are_gaps_too() -> None:
    assert line_chart([None, 1, 2, None]).gaps == [("0", "33.33"), ("66.67", "33.33")]
    nothing = line_chart([None, None])
    assert (nothing.lines, nothing.gaps) == ([], [("0", "100")])


@given(st.lists(st.none() | st.floats(-1e6, 1e6), min_size=1, max_size=40))
def test_a_line_stays_in_its_frame(points: list[float | None]) -> None:
    chart = line_chart(points)
    for line in chart.lines:
        for pair in line.split():
            x, y = map(float, pair.split(","))
            assert 0 <= x <= 100.5
            assert 0 <= y <= 44


def test_a_day_that_was_not_collected_is_hatched_and_not_empty() -> None:
    drawn = column_chart([Column([("ok", 3), ("bad", 1)]), Column([]), Column([("ok", 0)])])
    assert [(item.fill, item.y, item.height) for item in drawn] == [
        ("ok", "25%", "75%"),
        ("bad", "0%", "25%"),
        ("hatch", "0%", "100%"),
    ]


@pytest.mark.parametrize(
    ("behind", "state", "kinds"),
    [
        (0, "at_head", ["done"] * 6 + ["head"]),
        (2, "running", ["done"] * 5 + ["behind"] * 2),
        (400, "late", ["done"] + ["behind"] * 6),
        (None, "unknown", ["unknown"] * 7),
        (0, "not_set_up", ["off"] * 7),
    ],
)
def test_the_rail_counts_commits_behind(behind: int | None, state: str, kinds: list[str]) -> None:
    assert [dot.kind for dot in rail_dots(behind, state)] == kinds


def test_age_against_its_policy() -> None:
    assert age_width(7, 7) == pytest.approx(15.5)
    assert age_width(0, 7) == 4
    assert age_width(900, 7) == 62
    assert age_width(None, 7) is None


def test_restore_points_are_spread_evenly_and_notes_take_turns() -> None:
    marks = [SnapshotMark(DAY, note=str(n) if n != 1 else "") for n in range(4)]
    drawn = snapshot_line(marks)
    assert [point.x for point in drawn] == ["2%", "34%", "66%", "98%"]
    assert [point.anchor for point in drawn] == ["start", "middle", "middle", "end"]
    assert [point.note_y for point in drawn if point.mark.note] == [-37, -53, -37]
    assert snapshot_line([SnapshotMark(DAY)])[0].x == "2%"


def test_the_ticks_of_a_week_name_the_days() -> None:
    chart = lanes_chart([Lane("Copy", [])], DAY, DAY + dt.timedelta(days=7), DAY, step_hours=24)
    first = chart.ticks[0].text
    assert len({tick.text for tick in chart.ticks}) == len(chart.ticks) >= 6
    assert re.fullmatch(r"[A-Z][a-z]{2} \d+", first)
