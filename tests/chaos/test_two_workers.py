"""Two machines: two workers with data folders of their own on one PostgreSQL."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tests.chaos.world import World, wait_for_run
from tests.instance import Instance

pytestmark = pytest.mark.chaos

RUNS = 500
_ASK = f"""
import django
django.setup()
from opssight.accounts.local import local_team
from syncs.engine.request import RunRequest, request_run
from syncs.models import Job, JobVersion, Run
for n in range({RUNS}):
    job = Job.objects.create(team=local_team(), kind="probe", name=f"probe {{n}}")
    job.version = JobVersion.objects.create(job=job, number=1, config={{}})
    job.save()
    request_run(RunRequest(job=job, trigger=Run.Trigger.CLI))
"""


@pytest.fixture
def two(tmp_path: Path, postgres_url: str) -> tuple[Instance, Instance]:
    shared = {"OPSSIGHT_SECRET_KEY": "x" * 40, "OPSSIGHT_KEYS": "k1:" + "A" * 43 + "="}
    one, other = (
        Instance(tmp_path / name, database_url=postgres_url, env=shared, settings="tests.chaos.settings")
        for name in ("one", "other")
    )
    return one, other


def test_500_runs_are_shared_without_a_duplicate(two: tuple[Instance, Instance]) -> None:
    one, other = two
    with one, other:
        one.prepare()
        for instance in two:
            instance.start("worker")
        one.python(_ASK)
        ends = time.monotonic() + 120
        while one.rows("SELECT 1 FROM syncs_run WHERE state <> 'succeeded'"):
            assert time.monotonic() < ends, one.json("run", "list", "--state", "open")
            time.sleep(0.2)

        [[runs, attempts, crashes]] = one.rows(
            "SELECT COUNT(*), MAX(attempt), MAX(crash_count) FROM syncs_run"
        )
        assert (runs, attempts, crashes) == (RUNS, 1, 0)
        shares = [n for _, n in one.rows("SELECT worker_id, COUNT(*) FROM syncs_run GROUP BY worker_id")]
        assert len(shares) == 2
        assert min(shares) > RUNS // 10


def test_deleting_the_stores_of_a_machine_costs_only_time(
    tmp_path: Path, two: tuple[Instance, Instance]
) -> None:
    one, other = two
    with one, other:
        one.prepare()
        world = World(tmp_path)
        made = world.make_rule(one)
        for instance in two:
            instance.start("worker")
        assert wait_for_run(one, made["run"])["state"] == "succeeded"
        for n in range(6):
            if n == 3:
                for instance in two:
                    shutil.rmtree(instance.data / "stores", ignore_errors=True)
            text = f"round {n}\n"
            world.commit("source", {"docs/a.md": text})
            run = one.json("run", "start", made["job"])["id"]
            document = wait_for_run(one, run)
            assert document["state"] == "succeeded", document
            assert world.text("target", "copied/a.md") == text
        assert len(world.run_keys()) == len(set(world.run_keys())) == 6
