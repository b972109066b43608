from __future__ import annotations

import threading
from pathlib import Path

import pytest
from django.db.models.functions import Now

from repos.models import Repository
from syncs.engine import poll
from syncs.models import Job, Run, Trigger
from tests.chaos.world import World
from tests.factories import make_connection, make_job, make_repository, make_team, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def job(world: World) -> Job:
    team = make_team(make_user())
    connection = make_connection(team, options={"root": str(world.served)}, local=True)
    source = make_repository(connection, "source", external_id="source")
    job = make_job(team, poll_seconds=60, next_poll_at=Now())
    Trigger.objects.create(job=job, repository=source, event="Pushed", ref="main")
    return job


def test_the_first_look_remembers_and_a_change_starts_one_run(world: World, job: Job) -> None:
    assert poll.look(job) == 0
    assert Run.objects.count() == 0

    tip = world.commit("source", {"a.md": "changed\n"})
    assert poll.look(job) == 1
    assert poll.look(job) == 0

    run = Run.objects.get()
    assert (run.job_id, run.trigger) == (job.pk, Run.Trigger.POLL)
    assert run.because == "a push to source main"
    assert Trigger.objects.get().seen_oid == tip
    assert Repository.objects.get().head_oid == tip


def test_only_jobs_that_are_due_are_looked_at_and_each_once(world: World, job: Job) -> None:
    poller = poll.Poller(threads=1)
    assert poller.start_due() == 1
    assert poller.start_due() == 0
    Job.objects.update(next_poll_at=Now(), enabled=False)
    assert poller.start_due() == 0
    poller.stop()


def test_a_source_that_cannot_be_reached_is_told_and_starts_nothing(world: World, job: Job) -> None:
    connection = Repository.objects.get().connection
    connection.options = {"root": "/nowhere/at/all"}
    connection.save()

    poll._look_safely(job)

    repository = Repository.objects.select_related("connection").get()
    told = repository.state_reason or repository.connection.sentence
    assert "/nowhere/at/all" in told
    assert Run.objects.count() == 0


def test_slow_servers_of_one_team_do_not_keep_others_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    slow, other = make_team(make_user()), make_team(make_user())
    for _ in range(5):
        make_job(slow, poll_seconds=60, next_poll_at=Now())
    answer = threading.Event()
    looked: list[Job] = []

    def look(job: Job) -> None:
        looked.append(job)
        answer.wait(20)

    monkeypatch.setattr(poll, "_look_safely", look)
    poller = poll.Poller(threads=4)
    assert poller.start_due() == 2  # half of the threads
    Job.objects.filter(next_poll_at__gt=Now()).update(next_poll_at=Now())  # due again, and still not answered
    assert poller.start_due() == 0
    theirs = make_job(other, poll_seconds=60, next_poll_at=Now())
    assert poller.start_due() == 1
    poller.stop()
    answer.set()
    poller._pool.shutdown(wait=True)
    assert sorted(job.team_id for job in looked) == sorted([slow.pk, slow.pk, other.pk])
    assert theirs in looked


def test_one_look_after_the_other_until_none_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    team = make_team(make_user())
    due = {make_job(team, poll_seconds=60, next_poll_at=Now()).pk for _ in range(7)}
    looked: set[object] = set()
    done = threading.Event()

    def look(job: Job) -> None:
        looked.add(job.pk)
        if looked == due:
            done.set()

    monkeypatch.setattr(poll, "_look_safely", look)
    poller = poll.Poller(threads=2)
    poller.start_due()
    assert done.wait(20)
    poller.stop()
    poller._pool.shutdown(wait=True)
    assert not Job.objects.filter(next_poll_at__lte=Now()).exists()
