"""Asking beside the request: one question at a time for each key, and a wait that ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from types import SimpleNamespace

import pytest

from opssight.core import deadline
from opssight.core.errors import NotFound
from repos import beside
from tests.repos.pages import settle

pytestmark = pytest.mark.usefixtures("beside")
TEAM = 1
ask = partial(beside.ask, owner=TEAM)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    opened = threading.Event()
    yield opened
    opened.set()


def test_an_answer_that_takes_long_is_pending_and_asked_once(gate: threading.Event) -> None:
    asked = []

    def question() -> str:
        asked.append(1)
        gate.wait(30)
        return "42"

    assert ask(("k",), 60, question) == beside.Answer(pending=True)
    assert ask(("k",), 60, question, wait=0.01).pending
    gate.set()
    assert ask(("k",), 60, question, wait=30) == beside.Answer("42")
    assert ask(("k",), 60, question) == beside.Answer("42")
    assert len(asked) == 1


def test_an_answer_is_asked_again_when_it_is_old_or_forgotten() -> None:
    numbers = iter(range(9))
    assert ask(("n",), 60, lambda: next(numbers), wait=30).value == 0
    assert ask(("n",), 0, lambda: next(numbers), wait=30).value == 1
    assert ask(("n",), 60, lambda: next(numbers), wait=30).value == 1
    beside.forget(("n",))
    assert ask(("n",), 60, lambda: next(numbers), wait=30).value == 2
    assert ask(("other",), 60, lambda: next(numbers), wait=30).value == 3


def test_a_question_that_is_going_on_is_not_forgotten(gate: threading.Event) -> None:
    ask(("g",), 60, lambda: gate.wait(30))
    beside.forget(("g",))
    gate.set()
    assert ask(("g",), 60, lambda: pytest.fail("asked again"), wait=30).value is True


def test_what_went_wrong_is_said_and_an_accident_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    def refused() -> None:
        raise NotFound("It is not there.")

    def broken() -> None:
        raise RuntimeError("a password")

    assert ask(("r",), 60, refused, wait=30) == beside.Answer(sentence="It is not there.")
    said = ask(("b",), 60, broken, wait=30).sentence
    assert "password" not in said
    assert said.endswith("the log of the web server has the details.")
    assert "a password" in caplog.text
    settle()


def test_one_team_does_not_get_all_threads(gate: threading.Event) -> None:
    running = threading.Semaphore(0)

    def slow() -> bool:
        running.release()
        return gate.wait(30)

    for number in range(beside.THREADS * 2):
        assert ask(("slow", number), 60, slow).pending
    assert beside.ask(("other",), 60, lambda: "answered", owner=2, wait=30) == beside.Answer("answered")
    for _ in range(beside.OF_ONE_OWNER):
        assert running.acquire(timeout=30)
    assert not running.acquire(blocking=False)
    gate.set()
    for number in range(beside.THREADS * 2):  # those that waited get their turn
        assert ask(("slow", number), 60, slow, wait=30).value is True
    assert not beside._waiting


def test_a_team_cannot_let_questions_wait_without_end(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "MOST_WAITING", 2)
    for number in range(beside.OF_ONE_OWNER + 2):
        assert ask(("slow", number), 60, lambda: gate.wait(30)).pending
    refused = ask(("one more",), 60, lambda: pytest.fail("asked"))
    assert refused.sentence == "Too much is asked at once. Try again in a moment."
    assert not beside.is_asked(("one more",))


def test_a_question_knows_when_it_has_to_end() -> None:
    left = ask(("left",), 60, deadline.seconds_left, wait=30, seconds=7).value
    assert left is not None
    assert 0 < left <= 7
    assert deadline.seconds_left() is None
    assert ask(("over",), 60, deadline.is_over, wait=30, seconds=0).value is True


def test_an_answer_is_as_old_as_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that took long to come is shown before it is asked again."""
    clock = [0.0]
    monkeypatch.setattr(beside, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def refused() -> None:
        clock[0] += 1_000
        raise NotFound("It is not there.")

    assert ask(("late",), 0, refused, wait=30).sentence == "It is not there."
    assert ask(("late",), 0, refused, wait=30).sentence == "It is not there."
    assert clock == [1_000]
