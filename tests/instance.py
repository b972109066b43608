"""A complete installation of its own, for tests and benchmarks that need real processes.

    with Instance(tmp_path / "one") as instance:
        instance.prepare()
        web, worker = instance.start("web"), instance.start("worker")
        instance.json("run", "list")

When the block ends, every process of the installation is killed.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

ROOT = Path(__file__).resolve().parent.parent

_PREPARE = """
import django, json, sys
django.setup()
from opssight.setup import make_administrator, prepare_database
prepare_database()
json.dump(make_administrator(), sys.stdout)
"""


@dataclass(frozen=True)
class Process:
    """One process as /proc shows it. `name` is what `ps -o comm` shows: `ops-supervisor`, `git`, …"""

    pid: int
    parent: int
    session: int
    name: str
    arguments: tuple[str, ...]


class Running:
    """A started command, its output in the file `log_path`, and where it listens if it does."""

    def __init__(self, popen: subprocess.Popen[bytes], log_path: Path, url: str) -> None:
        self.popen = popen
        self.log_path = log_path
        self.url = url

    @property
    def pid(self) -> int:
        return self.popen.pid

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def kill(self) -> None:
        """SIGKILL to this one process; the others are left to find out."""
        self.popen.kill()
        self.popen.wait()

    def stop(self, seconds: float = 40) -> int:
        """SIGTERM, then the exit status."""
        self.popen.terminate()
        return self.popen.wait(seconds)


class Instance:
    """An installation below `folder` with settings of its own; nothing of this environment gets in.

    `database_url` is another database than the SQLite file below `folder`; `env` adds settings;
    `settings` is the settings module. Processes are recognised by `folder`: a test's own files belong
    elsewhere.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str | None = None,
        env: Mapping[str, str] | None = None,
        settings: str = "opssight.settings",
    ) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._started: list[Running] = []
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
        self.env |= {
            "DJANGO_SETTINGS_MODULE": settings,
            "PYTHONPATH": str(ROOT),
            "OPSSIGHT_DATA": str(self.data),
            "OPSSIGHT_LEASE_SECONDS": "3s",
            "OPSSIGHT_WEB_WORKERS": "1",
        }
        if database_url is not None:
            self.env["OPSSIGHT_DATABASE_URL"] = database_url
        self.env |= env or {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill_all()

    # --- commands that end ------------------------------------------------------------------------

    def command(
        self, *arguments: str, check: bool = True, input: str | None = None, seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """`opssight <arguments>`; with `check`, AssertionError with its output when it fails."""
        return self._run(["-m", "opssight", *arguments], check, input, seconds)

    def json(self, *arguments: str, check: bool = True, input: str | None = None) -> Any:
        """The document that `opssight <arguments> --json` prints."""
        return json.loads(self.command(*arguments, "--json", check=check, input=input).stdout)

    def python(self, code: str) -> str:
        """What `code` prints when it runs inside the installation; it calls `django.setup()` itself."""
        return self._run(["-c", code], check=True, input=None, seconds=300).stdout

    def prepare(self) -> tuple[str, str]:
        """Create the tables and the first administrator; the answer is (e-mail, password)."""
        email, password = json.loads(self.python(_PREPARE))
        return email, password

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """The rows of a query, read from the database beside the product."""
        url = self.env.get("OPSSIGHT_DATABASE_URL", "")
        if url.startswith("postgres"):
            with psycopg.connect(url) as connection:
                return connection.execute(sql.encode()).fetchall()
        path = url.removeprefix("sqlite:///") if url else str(self.data / "opssight.sqlite3")
        file = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)
        try:
            return file.execute(sql).fetchall()
        finally:
            file.close()

    def _run(
        self, arguments: list[str], check: bool, input: str | None, seconds: float
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.env,
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if check and done.returncode != 0:
            what = " ".join(arguments)
            raise AssertionError(f"{what}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    # --- processes that stay ----------------------------------------------------------------------

    def start(self, command: str, *arguments: str, ready: bool = True, seconds: float = 90) -> Running:
        """Start `web`, `worker` or `up`; with `ready`, return when it answers or takes runs.

        `web` and `up` listen on a free port, see `Running.url`. AssertionError with the log when the
        process ends before, or is not ready in time.
        """
        url, env = "", self.env
        if command in ("web", "up"):
            port = free_port()
            url = f"http://127.0.0.1:{port}"
            arguments = (*arguments, "--port", str(port))
            env = {"OPSSIGHT_PUBLIC_URL": url, **env}
        log_path = self.folder / f"{command}-{len(self._started) + 1}.log"
        with log_path.open("wb") as log:
            popen = subprocess.Popen(
                [sys.executable, "-m", "opssight", command, *arguments],
                cwd=self.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        running = Running(popen, log_path, url)
        self._started.append(running)
        if ready:
            self._wait_until_ready(command, running, seconds)
        return running

    def _wait_until_ready(self, command: str, running: Running, seconds: float) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            if running.popen.poll() is not None:
                break
            if command == "web" and _answers(running.url):
                return
            if command == "worker" and self._takes_runs(running):
                return
            if command == "up" and _answers(running.url) and self._takes_runs(running):
                return
            time.sleep(0.05)
        raise AssertionError(f"{command} is not ready (status {running.popen.poll()}):\n{running.log()}")

    def _takes_runs(self, running: Running) -> bool:
        below = {running.pid}
        found = False
        for process in self.processes():  # parents come first
            if process.parent in below:
                below.add(process.pid)
                found = found or process.name == "ops-worker"
        return found

    def processes(self) -> list[Process]:
        """Every living process of this installation, oldest first: those that name its folder in their
        environment, arguments or working folder, and all that descend from them."""
        own = {os.getpid(), *_ancestors(os.getpid())}
        belonging: set[int] = {running.pid for running in self._started if running.popen.poll() is None}
        found = []
        for process in _all_processes():
            if process.pid in own:
                continue
            if process.parent in belonging or process.pid in belonging or self._names_folder(process):
                belonging.add(process.pid)
                found.append(process)
        return found

    def kill_all(self, seconds: float = 20) -> None:
        """SIGKILL to every process of the installation; AssertionError when one cannot be killed."""
        ends = time.monotonic() + seconds
        while left := self.processes():
            for process in left:
                _kill(process.pid)
            for running in self._started:
                running.popen.poll()
            if time.monotonic() > ends:
                raise AssertionError(f"still alive after SIGKILL: {left}")
            time.sleep(0.02)
        for running in self._started:
            running.popen.wait()

    def _names_folder(self, process: Process) -> bool:
        # as a whole: the folder `one` is not the folder `one-more`
        named = re.compile(rb"(?<![\w.-])" + re.escape(os.fsencode(self.folder)) + rb"(?![\w.-])")
        if any(named.search(os.fsencode(argument)) for argument in process.arguments):
            return True
        try:
            cwd = Path(f"/proc/{process.pid}/cwd").readlink()
            return cwd.is_relative_to(self.folder) or named.search(_read(process.pid, "environ")) is not None
        except OSError:  # ended, or somebody else's
            return False


_OURS = ("OPSSIGHT_", "DJANGO_", "DATABASE_URL", "PYTEST_", "PYTHONPATH")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _all_processes() -> list[Process]:
    """All living processes of this machine, in the order they started; zombies are not alive."""
    found: list[tuple[int, Process]] = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        pid = int(entry.name)
        try:
            stat, arguments = _read(pid, "stat"), _read(pid, "cmdline")
        except OSError:
            continue
        before, _, after = stat.decode(errors="replace").rpartition(") ")
        fields = after.split()
        if fields[0] in "ZX":
            continue
        words = tuple(os.fsdecode(arguments).rstrip("\0").split("\0"))
        name = before.partition(" (")[2]
        found.append((int(fields[19]), Process(pid, int(fields[1]), int(fields[3]), name, words)))
    return [process for _, process in sorted(found, key=lambda pair: (pair[0], pair[1].pid))]


def _read(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def _ancestors(pid: int) -> list[int]:
    parents = {process.pid: process.parent for process in _all_processes()}
    found = []
    while (pid := parents.get(pid, 0)) > 1:
        found.append(pid)
    return found
