"""File locks (flock): the kernel frees them when their holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep


@contextmanager
def shared(path: Path) -> Iterator[None]:
    """Hold `path` together with other readers; waits while somebody has it alone (which is short)."""
    fd = _take(path, fcntl.LOCK_SH)
    assert fd is not None  # noqa: S101 - it waits
    try:
        os.utime(fd)  # when it was last used: what eviction goes by
        yield
    finally:
        os.close(fd)


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Hold `path` alone, if nobody else has it. Yields whether that worked."""
    fd = _take(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    try:
        yield fd is not None
    finally:
        if fd is not None:
            os.close(fd)


@contextmanager
def in_turn(path: Path, waiting: Callable[[], None]) -> Iterator[bool]:
    """Hold `path` alone after everybody before us. Yields whether it had to wait.

    `waiting` is called while it waits, about ten times a second; it may raise.
    """
    waited = False
    while (fd := _take(path, fcntl.LOCK_EX | fcntl.LOCK_NB)) is None:
        waited = True
        waiting()
        sleep(0.1)
    try:
        yield waited
    finally:
        os.close(fd)


def _take(path: Path, operation: int) -> int | None:
    """A descriptor that holds the lock; None when it is taken and `operation` does not wait."""
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            continue  # the folder was removed in between
        try:
            fcntl.flock(fd, operation)
            if os.fstat(fd).st_nlink > 0:
                return fd
        except BlockingIOError:
            os.close(fd)
            return None
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # somebody removed the file before we had the lock: it guards nothing any more
