"""SIGKILL to each process of a worker: the next run starts within 5 s and nothing is left over."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator

import pytest

from tests.chaos.world import start_within
from tests.instance import Instance, Process, Running

pytestmark = pytest.mark.chaos

ROLES = ["ops-tree", "ops-sentinel", "ops-worker", "ops-monitor", "ops-pusher"]
_ASK = """
import django, time, uuid
django.setup()
from opssight.accounts.local import local_team
from syncs import jobs
from syncs.models import Job, JobVersion, Run
# a job of its own: runs of one job wait for each other
job = Job.objects.create(team=local_team(), kind="probe", name=str(uuid.uuid4()))
job.version = JobVersion.objects.create(job=job, number=1, config={{}})
job.save()
run = jobs.start(job, Run.Trigger.CLI, "test", input={input})
asked = time.monotonic()
while {wait} and not run.finished and time.monotonic() - asked < 60:
    time.sleep(0.05)
    run.refresh_from_db()
print(run.pk, run.state, ((run.started_at or run.created_at) - run.created_at).total_seconds())
"""


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    folder = tmp_path_factory.mktemp("processes")
    with Instance(folder, settings="tests.chaos.settings") as instance:
        instance.prepare()
        yield instance


@pytest.fixture(scope="module")
def worker(instance: Instance) -> Running:
    return instance.start("worker")


def ask(instance: Instance, input: str = "{}", *, wait: bool = True) -> tuple[str, str, float]:
    """Start a run of the probe; (id, state, seconds from asking to starting)."""
    run, state, waited = instance.python(_ASK.format(input=input, wait=wait)).split()
    return run, state, float(waited)


def named(instance: Instance, name: str) -> list[Process]:
    return [process for process in instance.processes() if process.name == name]


@pytest.mark.parametrize("role", ROLES)
def test_the_tree_comes_back_when_one_of_its_processes_is_killed(
    instance: Instance, worker: Running, role: str
) -> None:
    ask(instance)
    before = {process.pid for process in instance.processes()} - {worker.pid}
    for victim in named(instance, role):
        os.kill(victim.pid, signal.SIGKILL)
        break
    else:
        raise AssertionError(f"no process is called {role}: {instance.processes()}")

    _, state, waited = ask(instance)

    assert state == "succeeded"
    assert waited <= start_within(instance)
    left = before & {process.pid for process in instance.processes()}
    assert not left, "processes of the old tree live on"
    assert worker.popen.poll() is None


def test_every_idle_worker_killed_at_once(instance: Instance, worker: Running) -> None:
    for victim in named(instance, "ops-worker"):
        os.kill(victim.pid, signal.SIGKILL)
    _, state, waited = ask(instance)
    assert (state, waited <= start_within(instance)) == ("succeeded", True)


def test_a_run_whose_worker_is_killed_starts_again(instance: Instance, worker: Running) -> None:
    run, _, _ = ask(instance, '{"sleep": 3}', wait=False)
    wait_until(lambda: bool(instance.rows("SELECT 1 FROM syncs_run WHERE state = 'running'")))
    [busy] = instance.rows("SELECT COUNT(*) FROM syncs_run WHERE state = 'running'")[0]
    assert busy == 1
    for victim in named(instance, "ops-worker"):
        os.kill(victim.pid, signal.SIGKILL)
    wait_until(lambda: not instance.rows("SELECT 1 FROM syncs_run WHERE state <> 'succeeded'"), 30)
    document = instance.json("run", "show", run)
    assert document["state"] == "succeeded"


def test_a_run_that_always_kills_its_worker_ends_dead(instance: Instance, worker: Running) -> None:
    run, _, _ = ask(instance, '{"die": True}', wait=False)
    wait_until(lambda: bool(instance.rows("SELECT 1 FROM syncs_run WHERE state = 'dead'")), 90)
    document = instance.json("run", "show", run)
    assert document["state"] == "dead"
    assert "given up" in document["sentence"]
    assert ask(instance)[1] == "succeeded"


def test_nothing_lives_on_when_the_supervisor_is_killed(instance: Instance, worker: Running) -> None:
    ask(instance, '{"sleep": 20}', wait=False)
    wait_until(lambda: bool(instance.rows("SELECT 1 FROM syncs_run WHERE state = 'running'")))
    killed = time.monotonic()
    worker.kill()
    wait_until(lambda: not instance.processes(), 5)

    instance.start("worker")
    wait_until(
        lambda: bool(instance.rows("SELECT 1 FROM syncs_run WHERE state = 'running' AND crash_count = 1")), 20
    )
    assert time.monotonic() - killed < 20


def test_nothing_lives_on_when_the_group_is_killed(instance: Instance) -> None:
    tree = named(instance, "ops-tree")[0]
    os.killpg(tree.session, signal.SIGKILL)
    _, state, waited = ask(instance)
    assert (state, waited <= start_within(instance)) == ("succeeded", True)
    instance.kill_all()
    assert instance.processes() == []


def wait_until(condition: object, seconds: float = 15) -> None:
    assert callable(condition)
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.1)
