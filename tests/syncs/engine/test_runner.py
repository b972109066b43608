from __future__ import annotations

import datetime as dt
import threading
import time
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from syncs import jobs
from syncs.engine import claim, runner
from syncs.engine.progress import read_log
from syncs.engine.request import RunRequest, request_run
from syncs.models import Run, RunState
from tests.factories import make_job, make_team, make_worker

pytestmark = pytest.mark.django_db(transaction=True)  # the beat has a connection of its own


def execute(**wanted: Any) -> Run:
    run = request_run(RunRequest(job=make_job(make_team()), trigger=Run.Trigger.MANUAL, input=wanted))
    claimed = claim.claim(make_worker(), ["std"])
    assert claimed is not None
    runner.execute(claimed)
    run.refresh_from_db()
    return run


def test_success_ends_with_the_sentence_and_a_log() -> None:
    run = execute()

    assert (run.state, run.sentence, run.checkpoint) == (RunState.SUCCEEDED, "Done.", "started")
    assert run.lease_token is None
    assert run.finished_at is not None
    assert [line.message for _, line in read_log(run)][-1] == "Done."


@pytest.mark.parametrize("failure", ["TransientFailure", "Conflict"])
def test_what_may_pass_goes_back_to_the_queue_with_a_reason(failure: str) -> None:
    run = execute(fail=failure)

    assert run.state == RunState.QUEUED
    assert run.wait_reason == "It did not work. Trying again, 2 of 5."
    assert run.run_after > claim.db_now()


@pytest.mark.parametrize(
    ("failure", "error_class"),
    [("AuthFailure", "auth"), ("NotFound", "not_found"), ("PermanentFailure", "permanent")],
)
def test_what_would_fail_the_same_way_fails_at_once(failure: str, error_class: str) -> None:
    run = execute(fail=failure)

    assert (run.state, run.error_class, run.sentence) == (RunState.FAILED, error_class, "It did not work.")


def test_a_rate_limit_waits_and_is_no_attempt() -> None:
    run = execute(fail="RateLimited")

    assert (run.state, run.attempt) == (RunState.QUEUED, 0)
    assert run.run_after > claim.db_now() + dt.timedelta(seconds=50)


def test_the_last_attempt_fails_for_good() -> None:
    run = request_run(
        RunRequest(job=make_job(make_team()), trigger=Run.Trigger.MANUAL, input={"fail": "TransientFailure"})
    )
    Run.objects.filter(pk=run.pk).update(attempt=4)
    claimed = claim.claim(make_worker(), ["std"])
    assert claimed is not None
    runner.execute(claimed)
    run.refresh_from_db()
    assert (run.state, run.attempt) == (RunState.FAILED, 5)


def test_an_unforeseen_error_is_tried_again_and_names_no_internals() -> None:
    run = execute(**{"raise": True})

    assert run.state == RunState.QUEUED
    assert "ValueError" in run.wait_reason
    assert "nobody foresaw this" not in run.wait_reason
    assert any("nobody foresaw this" in line.message for _, line in read_log(run))


def _in_thread(work: Any) -> threading.Thread:
    def close_after() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=close_after)
    thread.start()
    return thread


def test_cancel_stops_a_running_run() -> None:
    run = request_run(RunRequest(job=make_job(make_team()), trigger=Run.Trigger.MANUAL, input={"sleep": 30}))
    claimed = claim.claim(make_worker(), ["std"])
    assert claimed is not None
    thread = _in_thread(lambda: runner.execute(claimed))
    jobs.cancel(run, "mira@example.org")
    thread.join(timeout=20)

    assert not thread.is_alive()
    run.refresh_from_db()
    assert (run.state, run.sentence) == (RunState.CANCELLED, "Cancelled by mira@example.org.")


def test_a_long_run_keeps_its_lease_and_shows_progress() -> None:
    run = request_run(RunRequest(job=make_job(make_team()), trigger=Run.Trigger.MANUAL, input={"sleep": 5}))
    claimed = claim.claim(make_worker(), ["std"])
    assert claimed is not None
    first = claimed.lease_until
    assert first is not None
    thread = _in_thread(lambda: runner.execute(claimed))
    time.sleep(3.5)  # longer than the lease of the test settings
    assert claim.reap() == []
    run.refresh_from_db()
    assert run.progress_text == "sleeping"
    assert run.lease_until is not None
    assert run.lease_until > first
    thread.join()
    run.refresh_from_db()
    assert run.state == RunState.SUCCEEDED


def test_a_run_that_lost_its_lease_stops_and_writes_nothing() -> None:
    run = request_run(RunRequest(job=make_job(make_team()), trigger=Run.Trigger.MANUAL, input={"sleep": 30}))
    claimed = claim.claim(make_worker(), ["std"])
    assert claimed is not None
    thread = _in_thread(lambda: runner.execute(claimed))
    time.sleep(0.5)
    Run.objects.filter(pk=run.pk).update(lease_until=Now() - dt.timedelta(seconds=1))
    claim.reap()
    thread.join(timeout=10)

    assert not thread.is_alive()
    run.refresh_from_db()
    assert (run.state, run.crash_count) == (RunState.QUEUED, 1)
