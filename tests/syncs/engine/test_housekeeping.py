from __future__ import annotations

import datetime as dt
import sys
import time

import pytest
from django.db.models.functions import Now

from opssight.core.clock import now
from syncs.engine import claim, housekeeping, queue, supervisor
from syncs.engine.request import RunRequest, request_run
from syncs.models import Run, RunLog, RunState, Worker
from tests.factories import make_job, make_team, make_worker

pytestmark = pytest.mark.django_db


def ended(days: int) -> Run:
    run = request_run(RunRequest(job=make_job(make_team()), trigger=Run.Trigger.MANUAL))
    Run.objects.filter(pk=run.pk).update(state="succeeded", finished_at=now() - dt.timedelta(days=days))
    RunLog.objects.create(run=run, seq=1, lines=b"x")
    return run


def test_pruning_takes_what_is_past_its_time_and_leaves_the_rest() -> None:
    fresh, old, ancient = ended(1), ended(40), ended(400)
    make_worker()
    make_worker(beat_at=now() - dt.timedelta(days=8))

    pruned = housekeeping.prune()

    assert (pruned["log chunks"], pruned["runs"], pruned["workers"]) == (2, 1, 1)
    assert set(Run.objects.values_list("pk", flat=True)) == {fresh.pk, old.pk}
    assert list(RunLog.objects.values_list("run", flat=True)) == [fresh.pk]
    assert Worker.objects.count() == 1
    assert not Run.objects.filter(pk=ancient.pk).exists()


def test_a_tree_that_ends_at_once_is_started_again_less_and_less_often(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watching = supervisor.Supervisor(["std"], slots=1)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    watching._start_tree()
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        watching._mind_tree()
        time.sleep(0.01)

    assert caplog.text.count("starting it again") == 3  # after 0.2, 0.4, 0.8 s; the next one at 3 s


def test_a_tree_that_worked_is_started_again_at_once_each_time(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    watching = supervisor.Supervisor(["std"], slots=1)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    watching._start_tree()
    ends = time.monotonic() + 3
    while time.monotonic() < ends:
        queue.forget_bells(watching.worker.pk)  # as if it had answered
        watching._ring()
        watching._mind_tree()
        time.sleep(0.01)

    assert caplog.text.count("starting it again") > 6


def test_after_a_sleep_of_the_machine_leases_get_a_full_lease_more(monkeypatch: pytest.MonkeyPatch) -> None:
    request_run(RunRequest(job=make_job(make_team()), trigger=Run.Trigger.MANUAL))
    run = claim.claim(make_worker(), ["std"])
    assert run is not None
    Run.objects.filter(pk=run.pk).update(lease_until=Now() - dt.timedelta(hours=8))
    watching = supervisor.Supervisor(["std"], slots=0)
    woken = time.monotonic() + 8 * 3_600
    monkeypatch.setattr(time, "monotonic", lambda: woken)

    watching._tick()
    run.refresh_from_db()
    assert run.state == RunState.RUNNING, "it may still be running: its worker slept as well"

    monkeypatch.setattr(time, "monotonic", lambda: woken + 4)  # the lease of the tests is 3 s
    watching._tick()
    run.refresh_from_db()
    assert run.state == RunState.QUEUED
