"""`opssight …`, which is `manage.py …` by another name, and the processes that `up` starts."""

from __future__ import annotations

import difflib
import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

_ROOMS = ("opssight", "repos", "syncs")
_ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "opssight.settings")
    from django.core.management import execute_from_command_line

    from opssight.audit.actor import Actor, acting_as
    from opssight.core.errors import InvalidInput

    # what a server does is not done by whoever started it
    sys.argv[0] = "opssight" if sys.argv[0].endswith("__main__.py") else sys.argv[0]
    actor = Actor.system() if sys.argv[1:2] in (["up"], ["web"], ["worker"]) else Actor.cli()
    try:
        _refuse_unknown(sys.argv[1:2])
        if sys.argv[1:] in ([], ["help"], ["--help"], ["-h"]):
            sys.stdout.write(overview())
            return
        with acting_as(actor):
            execute_from_command_line(sys.argv)
    except InvalidInput as error:  # settings that cannot be used, before any command is known
        for where, message in error.problems:
            sys.stderr.write(f"{where}: {message}\n" if where and where not in message else f"{message}\n")
        sys.exit(2)


def overview() -> str:
    """Every command of OpsSight with what it does, for somebody who asks for help."""
    from django.core.management import get_commands, load_command_class

    rooms = {name: str(room) for name, room in get_commands().items()}
    ours = sorted(name for name, room in rooms.items() if room.split(".")[0] in _ROOMS)
    lines = [f"  {name:<11} {load_command_class(rooms[name], name).help}" for name in ours]
    return "\n".join(
        [
            "usage: opssight COMMAND [--json] [-v 0|1|2] …",
            "",
            *lines,
            "",
            "opssight COMMAND --help tells more about one. Exit status: 0 done; 1 something failed;",
            "2 wrong usage, settings or input. Django's own commands (migrate, shell, …) are there as well.",
            "",
        ]
    )


def _refuse_unknown(command: list[str]) -> None:
    """InvalidInput for a command that there is not, with the nearest one that there is."""
    import django
    from django.core.management import get_commands

    from opssight.core.errors import InvalidInput

    django.setup()  # the commands are those of the installed apps
    known = [*get_commands(), "help"]
    if not command or command[0].startswith("-") or command[0] in known:
        return
    near = difflib.get_close_matches(command[0], known, n=1)
    hint = f"Did you mean {near[0]}?" if near else "opssight help shows what there is."
    raise InvalidInput(f"There is no command {command[0]}. {hint}")


def free_port(address: str, wanted: int = 0) -> int:
    """The port `wanted`, or any free one for 0. OSError when it is taken."""
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((address, wanted))
        return int(probe.getsockname()[1])


def refuse_taken_port(address: str, port: int) -> None:
    """InvalidInput when another program listens there, or the address is not one of this machine."""
    from opssight.core.errors import InvalidInput

    try:
        free_port(address, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise InvalidInput(f"Nothing can listen on {address} port {port}: {error.strerror}.") from None
        raise InvalidInput(
            f"Port {port} is taken by another program. Choose another one: --port {port % 65535 + 1}."
        ) from None


class Children:
    """The web and worker processes of `up`: started, kept alive, and stopped with it."""

    def __init__(self) -> None:
        self._processes: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: self._stop.set())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes.values():
            process.terminate()
        for process in self._processes.values():
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()

    def start(self, *arguments: str) -> None:
        """Start `opssight <arguments>` as a process that ends when this one does."""
        path = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
        self._processes[arguments] = subprocess.Popen(
            [sys.executable, "-m", "opssight", *arguments, "--parent", str(os.getpid())],
            # a terminal that somebody watches gets what is wrong; the rest is on the pages
            env={"OPSSIGHT_LOG_LEVEL": "warning", **os.environ, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is ours to pass on
        )

    def wait_until_ready(self, url: str, seconds: float) -> None:
        """Return when `url` answers 200; TransientFailure when a process ends or the time is over."""
        from opssight.core.errors import TransientFailure

        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self._stop.is_set():
            if any(process.poll() is not None for process in self._processes.values()):
                break
            try:
                with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310 - our own address
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        raise TransientFailure("The dashboard did not start; the lines above say why.")

    def keep(self) -> None:
        """Until told to stop: start a process again when it ends, slower if it keeps ending."""
        started = dict.fromkeys(self._processes, time.monotonic())
        while not self._stop.wait(0.3):
            for arguments, process in list(self._processes.items()):
                if process.poll() is not None and time.monotonic() - started[arguments] > 2:
                    started[arguments] = time.monotonic()
                    self.start(*arguments)
