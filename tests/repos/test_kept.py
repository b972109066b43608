"""What is kept of answers with many files: the newest ones, and only so much."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from repos import kept as module
from repos.kept import kept

asked: list[tuple[str, int]] = []


@kept(len)
def answer(name: str, files: int) -> dict[int, str]:
    asked.append((name, files))
    return dict.fromkeys(range(files), name)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 10_000)
    answer("everything else", 9_000)
    asked.clear()


def again(name: str, files: int) -> bool:
    """Whether the answer had to be made again."""
    asked.clear()
    answer(name, files)
    return bool(asked)


def test_the_ones_that_were_asked_for_last_stay() -> None:
    first = answer("a", 3_000)
    answer("b", 3_000)
    assert answer("a", 3_000) is first
    answer("c", 3_000)
    assert [again("a", 3_000), again("c", 3_000)] == [False, False]
    assert again("b", 3_000)


def test_many_files_leave_no_room_for_others_and_few_do() -> None:
    assert not again("everything else", 9_000)
    answer("huge", 500_000)
    assert not again("huge", 500_000), "a page asks for the newest one many times"
    assert again("everything else", 9_000)
    assert again("huge", 500_000)


def test_answers_without_any_files_are_not_kept_for_ever() -> None:
    for number in range(20):
        answer(f"empty {number}", 0)
    assert again("empty 0", 0)
    assert not again("empty 19", 0)


def test_failures_are_not_kept() -> None:
    answers: Iterator[dict[int, str] | None] = iter([None, {}])

    @kept(len)
    def late() -> dict[int, str]:
        found = next(answers)
        if found is None:
            raise ValueError
        return found

    with pytest.raises(ValueError):
        late()
    assert late() == late() == {}


def test_threads_that_ask_at_the_same_time_count_an_answer_once() -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: answer("same", 2_000), range(200)))
    answer("b", 2_000)
    answer("c", 2_000)
    assert not again("same", 2_000), "three of 3,000 each have room"
