"""The sentence of a run says what changed at its targets, and where it waits."""

from __future__ import annotations

from typing import Any

import pytest

from syncs.copy.runs.summary import summary
from tests.factories import make_job, make_team, make_user
from tests.syncs.runs import make_item, make_run

pytestmark = pytest.mark.django_db

OPEN = {"number": 4, "url": "", "state": "open"}
CLOSED = {**OPEN, "state": "closed"}


@pytest.mark.parametrize(
    ("items", "said"),
    [
        ([("done", {"files": 2, "deletes": 0})], "Copied 2 files to 1 of 1 target."),
        ([("done", {"files": 2, "deletes": 3})], "Copied 2 files and deleted 3 at 1 of 1 target."),
        (
            [("done", {"files": 0, "deletes": 1, "branch": "b"}), ("skipped", {})],
            "Deleted 1 file at 1 of 2 targets (1 in pull requests).",
        ),
        ([("skipped", {})], "Nothing to copy: the target has what the rule asks for."),
        ([("skipped", {"pull_request": OPEN})], "Nothing new to copy: 1 pull request has it already."),
        ([("skipped", {"pull_request": CLOSED})], "Nothing to copy: the target has what the rule asks for."),
        (
            [("skipped", {"shadow": True, "would": 2}), ("skipped", {"shadow": True, "would": 0})],
            "Only looked: 2 files to copy to 1 of 2 targets.",
        ),
        ([("failed", {})], "Copied nothing to 1 target; 0: It refused."),
    ],
)
def test_what_is_said(items: list[tuple[str, dict[str, Any]]], said: str) -> None:
    run = make_run(make_job(make_team(make_user()), kind="copy"), "queued")  # it has taken no time
    for number, (state, result) in enumerate(items):
        sentence = "It refused." if state == "failed" else ""
        make_item(run, str(number), state, result=result, sentence=sentence)
    assert summary(run) == said


def test_who_refused_is_named_once_and_the_others_counted() -> None:
    run = make_run(make_job(make_team(make_user()), kind="copy"), "queued")
    for name in ("acme/a", "acme/b", "acme/c", "acme/d"):
        make_item(
            run, name, "failed", sentence=f"{name} main changed." if name == "acme/b" else "It refused."
        )
    reasons = "acme/a: It refused, acme/b main changed and acme/c: It refused and 1 more."
    assert summary(run) == f"Copied nothing to 4 targets; {reasons}"
