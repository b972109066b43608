from __future__ import annotations

import datetime as dt
import threading
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now

from opssight.core.clock import now
from syncs.engine import claim
from syncs.engine.request import RunRequest, request_run
from syncs.models import Job, Run, RunState
from tests.factories import make_job, make_team, make_worker

LANES = ["std"]


def ask(job: Job, **extra: Any) -> Run:
    return request_run(RunRequest(job=job, trigger=Run.Trigger.MANUAL, **extra))


@pytest.mark.django_db
def test_a_due_run_is_claimed_once_with_a_lease() -> None:
    run = ask(make_job(make_team()))
    worker = make_worker()

    claimed = claim.claim(worker, LANES)

    assert claimed is not None
    assert claimed.pk == run.pk
    assert claimed.state == RunState.RUNNING
    assert claimed.attempt == 1
    assert claimed.lease_until is not None
    assert claimed.lease_until > claim.db_now()
    assert claim.claim(worker, LANES) is None


@pytest.mark.django_db
def test_only_the_asked_lanes_and_only_what_is_due() -> None:
    job = make_job(make_team())
    later = ask(job)
    Run.objects.filter(pk=later.pk).update(run_after=now() + dt.timedelta(hours=1))
    other = ask(make_job(job.team))
    Run.objects.filter(pk=other.pk).update(lane="long")

    assert claim.claim(make_worker(), LANES) is None
    assert claim.due_count(LANES) == 0
    assert claim.due_count(["long"]) == 1


@pytest.mark.django_db
def test_priority_first_then_the_oldest() -> None:
    team = make_team()
    old, new, urgent = (ask(make_job(team), priority=p) for p in (0, 0, 5))
    worker = make_worker()

    order = [claim.claim(worker, LANES) for _ in range(3)]

    assert [run and run.pk for run in order] == [urgent.pk, old.pk, new.pk]


@pytest.mark.django_db
def test_a_team_with_many_runs_leaves_room_for_the_others() -> None:
    busy, late = make_team(), make_team()
    first, second, third = (ask(make_job(busy)) for _ in range(3))
    other = ask(make_job(late))
    worker = make_worker(slots=2)

    order = [claim.claim(worker, LANES) for _ in range(4)]

    assert [run and run.pk for run in order] == [first.pk, other.pk, second.pk, third.pk]


@pytest.mark.django_db
def test_two_runs_of_one_job_never_run_at_once() -> None:
    job = make_job(make_team())
    first, second = ask(job), ask(job)
    worker = make_worker()

    running = claim.claim(worker, LANES)
    assert running is not None
    assert running.pk == first.pk
    assert claim.claim(worker, LANES) is None

    claim.release(running, RunState.SUCCEEDED)
    following = claim.claim(worker, LANES)
    assert following is not None
    assert following.pk == second.pk


@pytest.mark.django_db
def test_whoever_lost_the_lease_changes_nothing() -> None:
    ask(make_job(make_team()))
    mine = claim.claim(make_worker(), LANES)
    assert mine is not None
    Run.objects.filter(pk=mine.pk).update(lease_until=Now() - dt.timedelta(seconds=1))
    assert [run.pk for run in claim.reap()] == [mine.pk]
    theirs = claim.claim(make_worker(), LANES)
    assert theirs is not None

    assert claim.renew(mine) is False
    with pytest.raises(claim.LeaseLost):
        claim.write(mine, checkpoint="too late")
    with pytest.raises(claim.LeaseLost):
        claim.release(mine, RunState.SUCCEEDED)
    with pytest.raises(claim.LeaseLost), claim.fenced(mine):
        raise AssertionError("the block must not be entered")
    theirs.refresh_from_db()
    assert (theirs.state, theirs.checkpoint) == (RunState.RUNNING, "")


@pytest.mark.django_db
def test_a_run_whose_worker_died_three_times_is_dead_with_a_sentence() -> None:
    run = ask(make_job(make_team()))
    worker = make_worker()
    for crashes in (1, 2, 3):
        Run.objects.filter(pk=run.pk).update(run_after=Now())
        claimed = claim.claim(worker, LANES)
        assert claimed is not None, crashes
        Run.objects.filter(pk=run.pk).update(lease_until=Now() - dt.timedelta(seconds=1))
        claim.reap()
        run.refresh_from_db()
        assert run.crash_count == crashes
        assert run.state == (RunState.DEAD if crashes == 3 else RunState.QUEUED)
    assert "given up" in run.sentence
    assert run.attempt == 0  # crashes are not attempts


@pytest.mark.django_db
def test_a_stopped_worker_hands_its_runs_back_without_blame() -> None:
    run = ask(make_job(make_team()))
    worker = make_worker()
    claim.claim(worker, LANES)

    claim.give_back(worker, crashed=False)

    run.refresh_from_db()
    assert (run.state, run.crash_count, run.attempt) == (RunState.QUEUED, 0, 0)
    assert claim.claim(make_worker(), LANES) is not None


@pytest.mark.django_db
def test_a_lease_renewed_in_time_is_not_reaped() -> None:
    ask(make_job(make_team()))
    mine = claim.claim(make_worker(), LANES)
    assert mine is not None
    Run.objects.filter(pk=mine.pk).update(lease_until=Now() + dt.timedelta(milliseconds=50))
    assert claim.renew(mine, progress_text="half") is True

    assert claim.reap() == []
    mine.refresh_from_db()
    assert mine.progress_text == "half"


@pytest.mark.django_db(transaction=True)
def test_eight_threads_share_forty_runs_without_a_duplicate() -> None:
    team = make_team()
    runs = [ask(make_job(team)) for _ in range(40)]
    worker = make_worker()
    taken: list[Any] = []

    def work() -> None:
        while (run := claim.claim(worker, LANES)) is not None:
            taken.append(run.pk)
            claim.release(run, RunState.SUCCEEDED)
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(taken) == sorted(run.pk for run in runs)


@pytest.mark.django_db(transaction=True)
def test_a_second_run_of_a_lock_that_slips_in_is_refused_by_the_index(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    job = make_job(make_team())
    ask(job), ask(job)
    worker = make_worker()
    assert claim.claim(worker, LANES) is not None
    # as if the other one had been claimed between the look and the write
    queued = Run.objects.filter(state=RunState.QUEUED)
    monkeypatch.setattr(claim, "claimable", lambda lanes: queued.all())

    assert claim.claim(worker, LANES) is None
    assert Run.objects.filter(state=RunState.RUNNING).count() == 1


@pytest.mark.parametrize("give_back", [True, False])
@pytest.mark.django_db
def test_a_lease_that_changed_since_it_was_read_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, give_back: bool
) -> None:
    ask(make_job(make_team()))
    worker = make_worker()
    run = claim.claim(worker, LANES)
    assert run is not None
    Run.objects.filter(pk=run.pk).update(lease_until=Now() - dt.timedelta(seconds=1))
    owned = claim.owned

    def renewed_meanwhile(run: Run) -> Any:
        other = {"worker": make_worker()} if give_back else {}
        Run.objects.filter(pk=run.pk).update(lease_until=Now() + dt.timedelta(seconds=60), **other)
        return owned(run)

    monkeypatch.setattr(claim, "owned", renewed_meanwhile)
    assert (claim.give_back(worker, crashed=False) if give_back else claim.reap()) == []
    run.refresh_from_db()
    assert (run.state, run.crash_count) == (RunState.RUNNING, 0)


@pytest.mark.django_db
def test_the_runs_of_a_tree_that_died_go_back_at_once() -> None:
    ask(make_job(make_team()))
    worker = make_worker()
    run = claim.claim(worker, LANES)
    assert run is not None

    assert [one.pk for one in claim.give_back(worker, crashed=True)] == [run.pk]
    run.refresh_from_db()
    assert (run.state, run.crash_count) == (RunState.QUEUED, 1)
