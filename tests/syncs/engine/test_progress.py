from __future__ import annotations

import pytest

from syncs.engine.progress import LogBuffer, read_log
from syncs.engine.request import RunRequest, request_run
from syncs.models import Run
from tests.factories import make_job, make_team

pytestmark = pytest.mark.django_db


def make_run() -> Run:
    return request_run(RunRequest(job=make_job(make_team()), trigger=Run.Trigger.MANUAL))


@pytest.mark.parametrize(
    ("said", "read"),
    [("one\u2028two\u0085three\x0bfour", "one\u2028two\u0085three\x0bfour"), ("half \ud800", "half ?")],
)
def test_names_from_elsewhere_do_not_make_a_log_unreadable(said: str, read: str) -> None:
    run = make_run()
    buffer = LogBuffer(run)
    buffer.add("fetch", said)
    buffer.add("push", "after it")
    buffer.flush()
    assert [line.message for _, line in read_log(run)] == [read, "after it"]


def test_two_writers_of_one_log_lose_nothing() -> None:
    run = make_run()
    first, second = LogBuffer(run), LogBuffer(run)
    for buffer, words in ((first, "lost its lease"), (second, "took over"), (second, "is done")):
        buffer.add("run", words)
        buffer.flush()
    assert [line.message for _, line in read_log(run)] == ["lost its lease", "took over", "is done"]
