"""Numbers, sizes, times and paths as people read them."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, strategies as st

from opssight.web.formats import (
    cut_middle,
    format_ago,
    format_bytes,
    format_clock,
    format_count,
    format_duration,
    format_exact,
    format_percent,
    format_signed,
)

NOW = dt.datetime(2026, 11, 19, 13, 42, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("n", "text"),
    [(0, "0"), (1204, "1,204"), (-3, "−3"), (2_314_000, "2,314,000"), (None, "unknown")],
)
def test_counts(n: int | None, text: str) -> None:
    assert format_count(n) == text


@pytest.mark.parametrize(("n", "text"), [(3, "+3"), (0, "0"), (-1204, "−1,204"), (None, "unknown")])
def test_changes_have_a_true_minus(n: int | None, text: str) -> None:
    assert format_signed(n) == text


@pytest.mark.parametrize(
    ("n", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 KB"),
        (38_000, "38 KB"),
        (48_200_000, "48.2 MB"),
        (412_000_000, "412 MB"),
        (999_600, "1 MB"),
        (41_200_000_000, "41.2 GB"),
        (5 * 10**18, "5000 PB"),
        (-1500, "−1.5 KB"),
        (None, "unknown"),
    ],
)
def test_sizes(n: int | None, text: str) -> None:
    assert format_bytes(n) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.0002, "1 ms"),
        (0.061, "61 ms"),
        (0.4, "0.4 s"),
        (2.1, "2.1 s"),
        (59.97, "1 min"),
        (240, "4 min"),
        (3599, "1 h"),
        (11_100, "3 h 5 min"),
        (7200, "2 h"),
        (172_800, "2 days"),
        (-4, "−4.0 s"),
        (dt.timedelta(minutes=23), "23 min"),
        (None, "unknown"),
    ],
)
def test_durations(seconds: float | dt.timedelta | None, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("fraction", "text"),
    [(0.941, "94.1 %"), (1, "100 %"), (0.5, "50 %"), (0, "0 %"), (0.9999, "99.9 %"), (None, "unknown")],
)
def test_percentages_never_round_up_to_all(fraction: float | None, text: str) -> None:
    assert format_percent(fraction) == text


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (dt.timedelta(seconds=0.2), "just now"),
        (dt.timedelta(seconds=8), "8 s ago"),
        (dt.timedelta(minutes=12), "12 min ago"),
        (dt.timedelta(minutes=59, seconds=40), "1 h ago"),
        (dt.timedelta(hours=2), "2 h ago"),
        (dt.timedelta(hours=13), "today 00:42"),
        (dt.timedelta(hours=20), "yesterday 17:42"),
        (dt.timedelta(days=3), "Mon 13:42"),
        (dt.timedelta(days=30), "20 Oct"),
        (dt.timedelta(days=400), "15 Oct 2025"),
        (-dt.timedelta(seconds=6), "in 6 s"),
        (-dt.timedelta(hours=20), "tomorrow 09:42"),
    ],
)
def test_relative_times(before: dt.timedelta, text: str) -> None:
    assert format_ago(NOW - before, NOW) == text


def test_what_never_was_is_never() -> None:
    assert format_ago(None) == "never"
    assert format_clock(None) == "unknown"


def test_exact_time_names_its_zone() -> None:
    assert format_exact(NOW) == "Thu 19 Nov 2026, 13:42:00 UTC"
    assert format_clock(NOW) == "13:42"


def test_a_path_loses_its_middle_folders_first() -> None:
    path = "examples/python/integration/tests/fixtures/conftest.py"
    assert cut_middle(path, 48) == "examples/python/…/tests/fixtures/conftest.py"
    assert cut_middle(path, 36) == "examples/…/fixtures/conftest.py"
    assert cut_middle(path, 20) == "example…/conftest.py"
    assert cut_middle("short.py") == "short.py"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=120), st.integers(8, 60))
def test_a_cut_path_fits_and_keeps_its_end(path: str, length: int) -> None:
    cut = cut_middle(path, length)
    assert len(cut) <= length
    assert cut == path or ("…" in cut and cut[-1] == path[-1] and cut[0] == path[0])
