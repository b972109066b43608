"""Inbox, day of runs, protection and trends of the sample."""

# ruff: noqa: E501 - sentences of the sample are kept whole

from __future__ import annotations

from collections.abc import Sequence

from opssight.web.parts import Action, Bar, Choice, Column, Lane, Need, Protection, Share, Tone, Trend
from tests.web.sample.base import B, ago, at

NEEDS = [
    Need(
        "reauth",
        B("GitLab <b>acme</b> stopped accepting its token."),
        "Losing now:",
        "14 jobs are paused and 61 repositories have had no backup since 11:40.",
        Action("Reconnect GitLab", "/", "link", "primary"),
        ago(hours=2),
    ),
    Need(
        "needs_approval",
        B("<b>acme/legacy-billing</b> lost 214 of its 231 branches at the source."),
        "Waiting for you:",
        "the mirror on onedev.lan still has all 231. Nothing is deleted until you decide.",
        Action("Approve 214 deletions…", "/"),
        ago(minutes=41),
    ),
    Need(
        "failed",
        B(
            '3 targets did not take the copy of <b>sdk-specs</b> <span class="sha">e81b3d2</span>: the server hung up.'
        ),
        "Out of date:",
        "sdk-go, sdk-java and sdk-rust still build against yesterday’s schema.",
        Action("Retry 3 targets", "/", "retry", method="post"),
        ago(minutes=11),
    ),
    Need(
        "late",
        B("GitHub <b>acme</b> has 212 of 1,000 requests left until 14:05."),
        "Slower:",
        B("index <b>platform</b> waits 23 min. Pushes keep their reserve of 100."),
        Action("Let index wait", "/", "pause", method="post"),
        ago(minutes=4),
    ),
    Need(
        "unknown",
        "9 repositories have never been backed up.",
        "Unprotected:",
        B("<b>acme/design-tokens</b> and 8 more joined this week and match no policy."),
        Action("Add 9 to nightly", "/", "plus"),
        ago(days=3),
    ),
]


def _bars(state: str, hours: Sequence[float], minutes: float) -> list[Bar]:
    return [Bar(at(hour), at(hour + minutes / 60), state, f"{state} at {hour:.1f}") for hour in hours]


def _planned(hours: Sequence[float], minutes: float) -> list[Bar]:
    return [Bar(at(hour), at(hour + minutes / 60), "planned", "planned", planned=True) for hour in hours]


LANES = [
    Lane(
        "Copy",
        [
            *_bars(
                "succeeded", [6.2, 7.4, 8.1, 8.4, 8.9, 9.2, 9.9, 10.3, 10.6, 11.1, 11.3, 11.9, 12.4, 12.9], 3
            ),
            *_bars("partial", [13.5], 2),
        ],
    ),
    Lane(
        "Mirror",
        [
            *_bars(
                "succeeded",
                [0.2, 1, 1.7, 2.5, 3.2, 4, 4.7, 5.5, 6.2, 7, 7.7, 8.5, 9.2, 10, 10.7, 11.5, 12.2, 13],
                14,
            ),
            *_bars("running", [13.45], 15),
            *_planned([14.4 + n * 0.75 for n in range(13)], 12),
        ],
    ),
    Lane(
        "Backup",
        [
            *_bars("succeeded", [2.1], 90),
            *_bars("succeeded", [5], 16),
            *_bars("failed", [11.66], 1),
            *_planned([14, 20], 32),
        ],
    ),
    Lane(
        "Index",
        [
            *_bars("succeeded", [6.3, 8.2, 9.3, 10.7, 12], 10),
            *_bars("partial", [13.1], 2),
            *_planned([14.1], 55),
        ],
    ),
    Lane("Watch", [*_bars("succeeded", list(range(14)), 3), *_planned(list(range(14, 24)), 12)]),
]

PROTECTION = [
    Protection(
        "copy",
        "Copy",
        "34 of 38 targets at HEAD",
        [Share("at_head", 34, "at HEAD"), Share("running", 1, "running"), Share("failed", 3, "failed")],
    ),
    Protection(
        "mirror",
        "Mirror",
        "34 of 40 equal",
        [
            Share("equal", 34, "equal"),
            Share("running", 1, "running"),
            Share("needs_approval", 1, "to approve"),
            Share("late", 2, "to look at"),
            Share("unknown", 1, "unknown"),
            Share("paused", 1, "paused"),
        ],
    ),
    Protection(
        "backup",
        "Backup",
        "196 of 214 in 24 h",
        [
            Share("proved", 183, "proved"),
            Share("proof_old", 13, "proof over 7 days"),
            Share("unknown", 9, "unknown"),
            Share("not_set_up", 9, "not set up"),
        ],
    ),
    Protection(
        "index",
        "Index",
        "88 of 92 at HEAD",
        [
            Share("at_head", 88, "at HEAD"),
            Share("running", 1, "running"),
            Share("late", 2, "behind"),
            Share("unknown", 1, "unknown"),
        ],
    ),
]

_RUNS = [
    (26, 2),
    (27, 1),
    (25, 0),
    (24, 1),
    (22, 0),
    (17, 2),
    (25, 1),
    (26, 0),
    (23, 0),
    (25, 2),
    (26, 1),
    (10, 0),
    (14, 0),
    (28, 1),
    (25, 0),
    (26, 2),
    (24, 0),
    (27, 6),
    (19, 0),
    (25, 0),
    (23, 2),
    (24, 0),
    (26, 1),
    (29, 0),
    (23, 1),
    (15, 3),
    (20, 0),
    (27, 0),
    (24, 1),
    (27, 2),
]
COLUMNS = [Column([("ok", good), ("bad", bad)], f"{good + bad} runs, {bad} failed") for good, bad in _RUNS]
_TOOK = [2, 3, 2, 3, 2.4, 2.2, 4, 2.8, 2.4, 7, 3.3, 2.4, 2, 2.6, 2.8, 3.2, 2.4, 2, 5.2, 3, 2, 2.4, 2.6, 6.4]
_ENDED: dict[int, Tone] = {9: "bad", 18: "warn", 23: "run"}
EARLIER = [Column([(_ENDED.get(n, "ok"), took)], f"{took} s") for n, took in enumerate(_TOOK)]
TRENDS = [
    Trend("Runs a day", "128", "Runs table · 30 days · as of 13:42", columns=COLUMNS),
    Trend(
        "Push to target, p95",
        "3.4 s",
        "Copy runs · 30 days · complete",
        points=[
            5.1,
            4.9,
            5.4,
            4.8,
            4.8,
            4.2,
            4.5,
            4.1,
            4.2,
            4.0,
            3.9,
            4.6,
            4.1,
            4.4,
            3.8,
            3.6,
            4.0,
            3.5,
            3.6,
            3.3,
            3.7,
            3.4,
            3.3,
        ],
        change="down from 5.1 s",
        change_tone="ok",
    ),
    Trend(
        "Stored in backups",
        "41.2 GB",
        "2 stores · 30 days · as of 05:18",
        points=[
            37.5,
            37.7,
            38,
            38.1,
            38.4,
            38.6,
            38.6,
            39,
            39.2,
            39.5,
            39.9,
            40,
            40.3,
            40.4,
            40.6,
            40.8,
            41,
            41.1,
            41.2,
        ],
        change="+0.3 GB this week",
    ),
    Trend(
        "CI success",
        "94.1 %",
        "30 days · not collected 29 Oct to 2 Nov",
        points=[
            93,
            94.2,
            93.6,
            94,
            93.3,
            93.8,
            94.5,
            94,
            93.1,
            None,
            None,
            None,
            None,
            93.4,
            94.1,
            94.4,
            93.9,
            94.6,
            94,
            94.3,
            94.1,
            94.6,
            94.1,
        ],
        change="140 of 214 repositories",
    ),
]
DAY_LINES = [
    (
        "13:40",
        "running",
        B("Mirroring <b>docs</b> to onedev.lan, 64 % of 48.2 MB"),
        "because of a push by Jonas Weber",
    ),
    ("13:31", "partial", "Copied 14 files to 1 of 4 targets; 3 hung up", "because of a push by Ana Prieto"),
    (
        "13:06",
        "partial",
        B("Indexed 1,203 passages of <b>platform</b>; 3 files unreadable"),
        "because of the schedule",
    ),
    ("12:54", "succeeded", "Copied 6 files to 4 of 4 targets in 1.8 s", "because PR #77 was merged"),
    (
        "11:40",
        "failed",
        B("Backed up 0 of 61 repositories of GitLab <b>acme</b>: token refused"),
        "because of the schedule",
    ),
]
SWITCH = [Choice("Today", "?", True), Choice("7 days", "?days=7")]
