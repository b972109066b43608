"""Questions to git servers that a page asks beside the request: a page never waits long for the network.

Each web process has its own few threads and its own answers. No team gets all of the threads, and each
question ends: servers that are slow, or pretend to be, keep nobody else waiting.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Generic, TypeVar

from django.db import close_old_connections

from opssight.core.deadline import ending_within
from opssight.core.errors import Failure
from repos import spending

logger = logging.getLogger(__name__)

T = TypeVar("T")
Key = tuple[object, ...]

THREADS = 8
OF_ONE_OWNER = 3  # of the threads
MOST_WAITING = 100  # questions of one owner
SECONDS = 60.0  # that the requests to APIs of one question may take
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
    owner: Hashable
    question: Callable[[], Any]
    seconds: float
    at: float  # when it was answered; before that, when it was asked
    future: Future[Any] = field(default_factory=Future)


_tasks: dict[Key, _Task] = {}
_busy: Counter[Hashable] = Counter()  # threads by owner
_waiting: dict[Hashable, deque[_Task]] = {}
_lock = threading.Lock()


@cache
def _pool() -> ThreadPoolExecutor:
    # long-lived threads: git dies with the thread that started it
    return ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="beside")


def ask(
    key: Key,
    fresh: float,
    question: Callable[[], T],
    *,
    owner: Hashable,
    wait: float = 0.0,
    seconds: float = SECONDS,
) -> Answer[T]:
    """The answer to the question of this key; asked when there is none that is younger than `fresh` seconds.

    Waits at most `wait` seconds for it. While a new answer is on its way it is `pending`. `owner` is the team
    whose threads it takes, None for what is no team's; `seconds`: see `opssight.core.deadline`.
    """
    with _lock:
        task = _tasks.get(key)
        if task is None or _is_due(task, fresh):
            _forget_old()
            if len(_waiting.get(owner, ())) >= MOST_WAITING:
                return Answer(sentence="Too much is asked at once. Try again in a moment.")
            task = _tasks[key] = _Task(owner, question, seconds, time.monotonic())
            _start(task)
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
    return time.monotonic() - task.at > (AGAIN_SECONDS if failed else fresh)


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
    for key in [key for key, task in _tasks.items() if task.future.done() and task.at < limit]:
        del _tasks[key]


def _start(task: _Task) -> None:
    """Or let it wait for others of its owner."""
    if _busy[task.owner] < OF_ONE_OWNER:
        _busy[task.owner] += 1
        _pool().submit(_run, task)
    else:
        _waiting.setdefault(task.owner, deque()).append(task)


def _run(task: _Task) -> None:
    try:
        found = _clean(task)
    except BaseException as error:  # noqa: BLE001 - whoever asked is told
        _ended(task)
        task.future.set_exception(error)
    else:
        _ended(task)
        task.future.set_result(found)


def _ended(task: _Task) -> None:
    with _lock:
        task.at = time.monotonic()
        _busy[task.owner] -= 1
        line = _waiting.get(task.owner)
        if line:
            _start(line.popleft())
        if not line:
            _waiting.pop(task.owner, None)
        if not _busy[task.owner]:
            del _busy[task.owner]


def _clean(task: _Task) -> Any:
    close_old_connections()
    try:
        with ending_within(task.seconds):
            return task.question()
    except Failure:
        raise
    except Exception:
        logger.exception("a question of a page failed")
        raise
    finally:
        spending.flush()
        close_old_connections()
