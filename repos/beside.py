"""Questions to git servers that a page asks beside the request: a page never waits long for the network.

Each web process has its own few threads and its own answers.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any, Generic, TypeVar

from django.db import close_old_connections

from opssight.core.errors import Failure
from repos import spending

logger = logging.getLogger(__name__)

T = TypeVar("T")
Key = tuple[object, ...]

AGAIN_SECONDS = 10.0  # after a failure
KEPT_SECONDS = 600.0


@dataclass(frozen=True)
class Answer(Generic[T]):
    """`value` once there is one; while `pending` nobody knows yet; `sentence` says why there is none."""

    value: T | None = None
    pending: bool = False
    sentence: str = ""


@dataclass
class _Task:
    future: Future[Any]
    started: float


_tasks: dict[Key, _Task] = {}
_lock = threading.Lock()


@cache
def _pool() -> ThreadPoolExecutor:
    # long-lived threads: git dies with the thread that started it
    return ThreadPoolExecutor(max_workers=6, thread_name_prefix="beside")


def ask(key: Key, fresh: float, question: Callable[[], T], *, wait: float = 0.0) -> Answer[T]:
    """The answer to the question of this key; asked when there is none that is younger than `fresh` seconds.

    Waits at most `wait` seconds for it. While a new answer is on its way it is `pending`.
    """
    with _lock:
        task = _tasks.get(key)
        if task is None or _is_due(task, fresh):
            _forget_old()
            task = _tasks[key] = _Task(_pool().submit(_clean, question), time.monotonic())
    if wait:
        _done_within(task.future, wait)
    return _answer(task.future)


def is_asked(key: Key) -> bool:
    """Whether an answer to the question of this key is on its way in this process."""
    with _lock:
        task = _tasks.get(key)
        return task is not None and not task.future.done()


def forget(key: Key) -> None:
    """Ask anew the next time; one that is going on is let end."""
    with _lock:
        task = _tasks.get(key)
        if task is not None and task.future.done():
            del _tasks[key]


def _is_due(task: _Task, fresh: float) -> bool:
    if not task.future.done():
        return False
    failed = task.future.exception() is not None
    return time.monotonic() - task.started > (AGAIN_SECONDS if failed else fresh)


def _answer(future: Future[T]) -> Answer[T]:
    if not future.done():
        return Answer(pending=True)
    error = future.exception()
    if error is None:
        return Answer(future.result())
    if isinstance(error, Failure):
        return Answer(sentence=error.sentence)
    return Answer(sentence="It could not be read; the log of the web server has the details.")


def _done_within(future: Future[Any], seconds: float) -> None:
    try:
        future.exception(timeout=seconds)
    except TimeoutError:
        return


def _forget_old() -> None:
    limit = time.monotonic() - KEPT_SECONDS
    for key in [key for key, task in _tasks.items() if task.future.done() and task.started < limit]:
        del _tasks[key]


def _clean(question: Callable[[], T]) -> T:
    close_old_connections()
    try:
        return question()
    except Failure:
        raise
    except Exception:
        logger.exception("a question of a page failed")
        raise
    finally:
        spending.flush()
        close_old_connections()
