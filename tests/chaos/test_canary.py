"""A secret that is in use shows up nowhere: no argument, environment, file, log or dump.

Sampled every 5 ms while a run fetches and pushes with it; and proved to notice by leaks on purpose.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.chaos.world import World, wait_for_run
from tests.forges.githttp import GitServer
from tests.instance import Instance

pytestmark = [pytest.mark.chaos, pytest.mark.http_git]

CANARY = "c4naryC4NARYc4nary-0123456789"
_MAKE_RULE = """
import django, json, sys
django.setup()
from opssight.accounts.local import local_principal, local_team
from repos.connections import create_connection
from repos.inventory import import_repositories
from syncs.copy.rules.config import CopyConfig, Rule, Target
from syncs.copy.saved.service import create_rule
urls, secret = json.load(sys.stdin)
team = local_team()
who = local_principal(team)
options = {"urls": urls, "username": "somebody"}
connection = create_connection(who, team, "plain", "server", options, {"password": secret}, local=True)
source, target = sorted(import_repositories(who, connection), key=lambda r: r.full_name)
job, run = create_rule(who, team, CopyConfig(
    name="docs", source_repository=str(source.pk), source_branch="main",
    rules=(Rule("glob", "docs/**", "copied/${relative_path}"),),
    targets=(Target(str(target.pk), "main"),),
), start="now")
json.dump({"job": str(job.pk), "run": str(run.pk)}, sys.stdout)
"""


class Sampler(threading.Thread):
    """Reads arguments and environment of every process of an installation, every 5 ms."""

    def __init__(self, instance: Instance) -> None:
        super().__init__(daemon=True)
        self._instance = instance
        self._stop_event = threading.Event()
        self.samples = 0
        self.programs: set[str] = set()
        self.found: list[str] = []

    def run(self) -> None:
        while not self._stop_event.is_set():
            for entry in os.scandir("/proc"):
                if entry.name.isdigit() and int(entry.name) != os.getpid():
                    self._look(Path(entry.path))
            self.samples += 1
            time.sleep(0.005)

    def _look(self, process: Path) -> None:
        try:
            environ, arguments = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
        except OSError:
            return
        if str(self._instance.data).encode() not in environ + arguments:
            return
        self.programs.add(arguments.split(b"\0")[0].decode(errors="replace").rpartition("/")[2])
        for where, content in (("environment", environ), ("arguments", arguments)):
            if CANARY.encode() in content:
                self.found.append(f"{where} of {arguments!r}")

    def stop(self) -> None:
        self._stop_event.set()
        self.join()


@contextmanager
def sampled(instance: Instance) -> Iterator[Sampler]:
    sampler = Sampler(instance)
    sampler.start()
    try:
        yield sampler
    finally:
        sampler.stop()


def leaks_at_rest(instance: Instance) -> list[str]:
    """Files of the installation (stores, logs, database) and the database's dump that hold the canary."""
    found = [
        str(path.relative_to(instance.folder))
        for path in instance.folder.rglob("*")
        if path.is_file() and CANARY.encode() in path.read_bytes()
    ]
    with sqlite3.connect(instance.data / "opssight.sqlite3") as database:
        found += ["database dump" for line in database.iterdump() if CANARY in line]
    return found


@pytest.fixture
def running(tmp_path: Path) -> Iterator[tuple[Instance, World, GitServer]]:
    world = World(tmp_path)
    files = {f"docs/{n}.md": f"{n}\n" * 200 for n in range(300)}
    world.commit("source", files)
    with (
        GitServer(world.served, username="somebody", password=CANARY) as server,
        Instance(tmp_path / "installation", env={"OPSSIGHT_LOG_LEVEL": "debug"}) as instance,
    ):
        instance.prepare()
        yield instance, world, server


def make_rule(instance: Instance, server: GitServer) -> dict[str, str]:
    asked = json.dumps([[server.url_of("source"), server.url_of("target")], CANARY])
    done = subprocess.run(
        [sys.executable, "-c", _MAKE_RULE],
        env=instance.env,
        cwd=instance.folder,
        input=asked,
        capture_output=True,
        text=True,
        check=True,
    )
    assert CANARY not in done.stdout + done.stderr
    made: dict[str, str] = json.loads(done.stdout)
    return made


def test_a_secret_in_use_shows_up_nowhere(running: tuple[Instance, World, GitServer]) -> None:
    instance, world, server = running
    with sampled(instance) as sampler:
        made = make_rule(instance, server)
        worker = instance.start("worker")
        ended = wait_for_run(instance, made["run"])
        server.answer_with = 403  # the next run is refused: what git says then is kept
        refused = instance.json("run", "start", made["job"], check=False)
        wait_for_run(instance, refused["id"], 60)
        server.answer_with = None
        worker.stop()

    assert ended["state"] == "succeeded", ended
    assert world.text("target", "copied/7.md") == "7\n" * 200
    assert server.pushes == 1
    assert any("Basic" in headers.get("Authorization", "") for headers in server.headers), "it was not used"
    assert sampler.samples > 50
    assert "git" in sampler.programs
    assert sampler.found == []
    assert leaks_at_rest(instance) == []
    assert CANARY not in worker.log()
    assert CANARY not in json.dumps(instance.json("run", "log", made["run"]))


def test_the_sampler_notices_a_leak(running: tuple[Instance, World, GitServer]) -> None:
    instance, _, _ = running
    with sampled(instance) as sampler:
        subprocess.run(
            [sys.executable, "-c", "import time; time.sleep(0.3)", CANARY], env=instance.env, check=True
        )
        subprocess.run(
            [sys.executable, "-c", "import time; time.sleep(0.3)"],
            env={**instance.env, "TOKEN": CANARY},
            check=True,
        )
    assert {where.split(" ")[0] for where in sampler.found} == {"arguments", "environment"}
    (instance.data / "stores").mkdir(exist_ok=True)
    (instance.data / "stores" / "config").write_text(f"url = https://x:{CANARY}@example.org\n")
    with sqlite3.connect(instance.data / "opssight.sqlite3") as database:
        database.execute("UPDATE accounts_user SET name = ?", (CANARY,))
    found = leaks_at_rest(instance)
    assert "data/stores/config" in found
    assert "database dump" in found
