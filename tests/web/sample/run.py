"""One run of the sample."""

from __future__ import annotations

import datetime as dt
from typing import Literal

from opssight.web.parts import Action, Fact, FailureCard, LogLine, Meter, Progress
from tests.web.sample.base import at

FAILURES = [
    FailureCard(
        "Branch protected, 1 target",
        "docs-site takes changes to main only by pull request. 5 planned files wait.",
        Action("Open a pull request instead", "/", "pull-request", "primary", "post"),
    ),
    FailureCard(
        "Edited at the target, 1 file",
        "Somebody changed README.md in sample-app-node. We did not overwrite it.",
        Action("Compare 3 ways…", "/"),
        "conflict",
    ),
]
PROGRESS = Progress(38.2, 61, "38.2 of 61.0 MB at 2.5 MB/s, about 9 s left", "Sending large files")
PROGRESS_UNKNOWN = Progress(12, None, "12 files so far", "Reading")
METER = Meter(3_120, 5_000, "3,120 of 5,000 left", 500)
METER_LOW = Meter(2, 30, "2 of 30 left", 3)
ITEMS = [
    (
        "failed",
        "docs-site",
        "",
        "main is protected: pushes need a pull request.",
        (2, 3, 0),
        None,
        "Open a pull request instead",
        "nothing was written",
        0.6,
    ),
    (
        "conflict",
        "sample-app-node",
        "1 file",
        "README.md was edited there by Lena Fuchs after our last copy.",
        (0, 1, 0),
        None,
        "Compare 3 ways",
        "kept as it is there",
        None,
    ),
    (
        "running",
        "sample-app-python",
        "2 large files",
        "",
        (2, 0, 0),
        (1, 0, 0),
        "Stop",
        "1 of 2 objects arrived",
        15.2,
    ),
    ("done", "sample-app-python", "", "", (1, 4, 0), (1, 4, 0), "4be1d20", "", 0.9),
    ("done", "sample-app-node", "", "", (0, 4, 1), (0, 4, 1), "c07aa31", "", 0.8),
    ("done", "quickstart-java", "", "", (1, 3, 0), (1, 3, 0), "#318 updated", "", 1.4),
]
_LOG: list[tuple[float, Literal["debug", "info", "warning", "error"], str, str]] = [
    (7.114, "info", "run", "claimed by worker ops-2 (attempt 1), lease 60 s"),
    (7.131, "info", "git fetch", "acme/docs: 3 new commits, 214 KB, store warm"),
    (7.402, "info", "plan", "14 changed files, 3 rules, 4 targets: 20 changes planned in 61 ms"),
    (7.998, "info", "push", "sample-app-node: main 7d1e0b2..c07aa31"),
    (8.101, "info", "push", "sample-app-python: main 1f90c4a..4be1d20"),
    (8.230, "error", "push", "docs-site: remote rejected main (protected branch hook declined)"),
    (8.871, "warning", "pull request", "quickstart-java: #318 updated, opsight/docs-examples now 90b1c3e"),
    (9.214, "info", "notice", "told Slack #docs-eng the sentence above"),
]
LOG = [
    LogLine(at(11.033) + dt.timedelta(seconds=seconds), level, step, text)
    for seconds, level, step, text in _LOG
]
COST = [
    Fact("Git", "1 fetch, 3 pushes"),
    Fact("Requests", "4 of GitHub’s 5,000"),
    Fact("Sent", "39.1 MB"),
    Fact("Waited", "0.2 s in the queue"),
    Fact("Worker", "beating", "beating", "ops-2"),
    Fact("Attempt", "1 of 5"),
]
