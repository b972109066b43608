"""Answers about commits, kept for the next time: a commit never changes, but it may have very many files."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, Final, Generic, TypeVar, TypeVarTuple

MOST: Final = 500_000  # files in the answers of one function together: some 400 bytes each
_ONE: Final = 1_000  # files that an answer counts as beside its own

T = TypeVar("T")
Asked = TypeVarTuple("Asked")


def kept(files: Callable[[Any], int]) -> Callable[[Callable[[*Asked], T]], Callable[[*Asked], T]]:
    """As `lru_cache`, for answers that hold many files: the ones asked for last stay, `MOST` files together,
    and always the newest. `files` says how many an answer holds.
    """

    def keeping(function: Callable[[*Asked], T]) -> Callable[[*Asked], T]:
        answers: _Answers[T] = _Answers(files)

        @wraps(function)
        def answer(*asked: *Asked) -> T:
            found = answers.get(asked)
            if found is None:
                found = function(*asked)
                answers.put(asked, found)
            return found

        return answer

    return keeping


class _Answers(Generic[T]):
    def __init__(self, files: Callable[[Any], int]) -> None:
        self._files = files
        self._answers: OrderedDict[Hashable, T] = OrderedDict()
        self._total = 0
        self._lock = threading.Lock()

    def get(self, asked: Hashable) -> T | None:
        with self._lock:
            if asked not in self._answers:
                return None
            self._answers.move_to_end(asked)
            return self._answers[asked]

    def put(self, asked: Hashable, answer: T) -> None:
        with self._lock:
            if asked in self._answers:
                return  # somebody else asked at the same time
            self._answers[asked] = answer
            self._total += self._weight(answer)
            while self._total > MOST and len(self._answers) > 1:
                _, gone = self._answers.popitem(last=False)
                self._total -= self._weight(gone)

    def _weight(self, answer: T) -> int:
        return _ONE + self._files(answer)
