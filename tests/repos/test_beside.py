"""Asking beside the request: one question at a time for each key, and a wait that ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from opssight.core.errors import NotFound
from repos import beside
from tests.repos.pages import settle

pytestmark = pytest.mark.usefixtures("beside")


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

    assert beside.ask(("k",), 60, question) == beside.Answer(pending=True)
    assert beside.ask(("k",), 60, question, wait=0.01).pending
    gate.set()
    assert beside.ask(("k",), 60, question, wait=30) == beside.Answer("42")
    assert beside.ask(("k",), 60, question) == beside.Answer("42")
    assert len(asked) == 1


def test_an_answer_is_asked_again_when_it_is_old_or_forgotten() -> None:
    numbers = iter(range(9))
    assert beside.ask(("n",), 60, lambda: next(numbers), wait=30).value == 0
    assert beside.ask(("n",), 0, lambda: next(numbers), wait=30).value == 1
    assert beside.ask(("n",), 60, lambda: next(numbers), wait=30).value == 1
    beside.forget(("n",))
    assert beside.ask(("n",), 60, lambda: next(numbers), wait=30).value == 2
    assert beside.ask(("other",), 60, lambda: next(numbers), wait=30).value == 3


def test_a_question_that_is_going_on_is_not_forgotten(gate: threading.Event) -> None:
    beside.ask(("g",), 60, lambda: gate.wait(30))
    beside.forget(("g",))
    gate.set()
    assert beside.ask(("g",), 60, lambda: pytest.fail("asked again"), wait=30).value is True


def test_what_went_wrong_is_said_and_an_accident_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    def refused() -> None:
        raise NotFound("It is not there.")

    def broken() -> None:
        raise RuntimeError("a password")

    assert beside.ask(("r",), 60, refused, wait=30) == beside.Answer(sentence="It is not there.")
    said = beside.ask(("b",), 60, broken, wait=30).sentence
    assert "password" not in said
    assert said.endswith("the log of the web server has the details.")
    assert "a password" in caplog.text
    settle()
