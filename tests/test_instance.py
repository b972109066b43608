"""The installations that other tests rely on are what they say."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psycopg
import pytest

from tests.instance import Instance
from tests.postgres import Postgres


def names(instance: Instance) -> list[str]:
    return [process.name for process in instance.processes()]


def test_an_installation_has_a_database_of_its_own(instance: Instance) -> None:
    email, password = instance.prepare()

    assert instance.rows("SELECT email FROM accounts_user") == [(email,)]
    assert len(password) > 10
    assert instance.data.is_relative_to(instance.folder)


def test_a_failing_command_shows_what_it_said(instance: Instance) -> None:
    with pytest.raises(AssertionError, match="exit 2"):
        instance.command("worker", "--slots", "many")

    assert instance.command("worker", "--slots", "many", check=False).returncode == 2


def test_the_end_of_the_block_ends_every_process(tmp_path: Path) -> None:
    with Instance(tmp_path / "one") as instance:
        instance.prepare()
        worker = instance.start("worker")
        assert {"ops-supervisor", "ops-tree", "ops-worker"} <= set(names(instance))
        os.kill(worker.pid, signal.SIGSTOP)  # what hangs is ended too

    assert instance.processes() == []
    assert worker.popen.returncode == -signal.SIGKILL


def test_a_worker_that_is_stopped_leaves_nothing(instance: Instance) -> None:
    instance.prepare()
    worker = instance.start("worker")

    assert worker.stop() == 0

    assert instance.processes() == []


def test_a_process_that_does_not_start_shows_its_log(instance: Instance) -> None:
    with pytest.raises(AssertionError, match="unrecognized arguments: --nowhere"):
        instance.start("web", "--nowhere")


def test_an_installation_on_postgresql(tmp_path: Path, postgres_url: str) -> None:
    with Instance(tmp_path / "one", database_url=postgres_url) as instance:
        email, _ = instance.prepare()

        assert instance.rows("SELECT email FROM accounts_user") == [(email,)]
    assert not (instance.data / "opssight.sqlite3").exists()


def test_a_database_is_new_each_time(postgres: Postgres) -> None:
    for _ in range(2):
        with psycopg.connect(postgres.create_database("again")) as connection:
            connection.execute("CREATE TABLE once ()")


def test_processes_of_a_folder_with_a_longer_name_are_not_its_own(tmp_path: Path) -> None:
    sleeper = subprocess.Popen(["sleep", "60"], env={"WHERE": str(tmp_path / "one-more"), "PATH": os.defpath})
    try:
        with Instance(tmp_path / "one") as instance:
            assert instance.processes() == []
        with Instance(tmp_path / "one-more") as instance:
            assert [process.pid for process in instance.processes()] == [sleeper.pid]
    finally:
        sleeper.kill()
        sleeper.wait()
