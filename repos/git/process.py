"""What a running git is made of, and how its pipes are served. Starting one is the runner's."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from typing import IO, Protocol

from repos.git.watch import ProgressReader, Watch

TICK = 0.25  # seconds between two looks at the watch
_GRACE = 1.0  # seconds that git has to remove its lock files before it is killed


class Process(Protocol):
    """What is needed of a `subprocess.Popen`."""

    pid: int
    stdin: IO[bytes] | None
    stdout: IO[bytes] | None
    stderr: IO[bytes] | None

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...


class Child:
    """A git with all its helpers: one process group.

    The guard leads the group of a git that starts helpers. It waits for the end of a pipe that only
    this process holds, and then kills the group: no transfer outlives a worker that was killed.
    """

    def __init__(self, process: Process, guard: Process | None) -> None:
        self.process = process
        self._guard = guard
        self._group = guard.pid if guard else process.pid
        self._code: int | None = None
        self.killed = threading.Event()  # by us

    def kill(self) -> None:
        """End it: first politely, so that git removes its lock files, then for certain."""
        self.killed.set()
        self._signal(signal.SIGTERM)
        deadline = time.monotonic() + _GRACE
        while self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        self._signal(signal.SIGKILL)

    def close(self) -> int:
        """Reap everything; returns git's exit status (negative: the signal)."""
        if self._code is not None:
            return self._code
        if self.process.poll() is None:
            self.kill()
        code = self._code = self.process.wait()
        if self._guard:
            self._signal(signal.SIGKILL)
            self._guard.wait()
        for owner in (self.process, self._guard):
            for pipe in (owner.stdin, owner.stdout, owner.stderr) if owner else ():
                if pipe:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
        return code

    def _signal(self, number: signal.Signals) -> None:
        # The number of the group is ours as long as its leader is not reaped.
        if self._guard is not None or self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, number)


class StalledChild(Exception):
    """Nothing moved for the stall limit."""


def serve(
    child: Child, stdin: Iterable[bytes], reader: ProgressReader, watch: Watch, stall_seconds: float | None
) -> Iterator[bytes]:
    """Feed `stdin`, hand stderr to `reader`, and yield stdout until git is through with it.

    Raises StalledChild when neither stdout nor stderr moved for `stall_seconds` (None: no limit);
    the time that the consumer of the chunks takes does not count. Kills git when the watch says stop.
    """
    process = child.process
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None  # noqa: S101, PT018
    feeder = _Feeder(process.stdin, stdin)
    out, err = process.stdout.fileno(), process.stderr.fileno()
    with selectors.DefaultSelector() as selector:
        for fd in (out, err):
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_READ)
        feeder.register(selector)
        moved = time.monotonic()
        open_fds = {out, err}
        while open_fds:
            if watch.stopped() and not child.killed.is_set():
                child.kill()
            gone = process.poll() is not None  # asked first: what it wrote last is then there to be read
            ready = [key.fd for key, _ in selector.select(0 if gone else TICK)]
            for fd in ready:
                if fd not in open_fds:
                    feeder.write(selector)
                    continue
                data = os.read(fd, 1 << 18)
                if not data:
                    selector.unregister(fd)
                    open_fds.discard(fd)
                elif fd == err:
                    reader.feed(data)
                else:
                    yield data
                moved = time.monotonic()
            if not ready and gone:
                break  # git is gone; what still holds its pipes is killed with the group
            if stall_seconds is not None and time.monotonic() - moved > stall_seconds:
                raise StalledChild
    _await(child, watch)


def _await(child: Child, watch: Watch) -> None:
    while child.process.poll() is None:
        if watch.stopped() and not child.killed.is_set():
            child.kill()
        time.sleep(0.001)


class _Feeder:
    """Writes the chunks of an iterable to a pipe as it takes them."""

    def __init__(self, pipe: IO[bytes], chunks: Iterable[bytes]) -> None:
        self._pipe = pipe
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")

    def register(self, selector: selectors.BaseSelector) -> None:
        os.set_blocking(self._pipe.fileno(), False)
        selector.register(self._pipe.fileno(), selectors.EVENT_WRITE)

    def write(self, selector: selectors.BaseSelector) -> None:
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        try:
            if self._rest:
                self._rest = self._rest[os.write(self._pipe.fileno(), self._rest) :]
                return
        except BlockingIOError:
            return
        except BrokenPipeError:
            pass  # git has ended; its exit status says why
        selector.unregister(self._pipe.fileno())
        self._pipe.close()
