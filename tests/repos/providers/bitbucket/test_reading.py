"""Every field that Bitbucket tells may have any type: it is left out, or it is a sentence."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from opssight.core.errors import PermanentFailure
from repos.providers.bitbucket import reading
from repos.providers.forge import CheckState
from repos.providers.types import PipelineState, PullState

UUID = "{2f1e5b1c-52f1-4a51-8d1c-0a4bd0a5a8f3}"
REPOSITORY = {
    "uuid": UUID,
    "full_name": "acme/site",
    "description": "The site",
    "is_private": False,
    "mainbranch": {"name": "main"},
    "parent": None,
    "size": 12,
    "scm": "git",
    "workspace": {"uuid": UUID},
}
PULL = {
    "id": 7,
    "title": "A change",
    "description": "Two\nlines",
    "state": "SUPERSEDED",
    "draft": True,
    "updated_on": "2026-11-20T08:00:00+00:00",
    "source": {"branch": {"name": "change"}, "commit": {"hash": "a" * 12}, "repository": {"uuid": UUID}},
    "destination": {"branch": {"name": "main", "merge_strategies": ["squash"]}},
    "merge_commit": {"hash": "b" * 40},
    "author": {"nickname": "ana"},
    "reviewers": [{"uuid": UUID}],
    "links": {"html": {"href": "https://bitbucket.org/acme/site/pull-requests/7"}},
}
CHECK = {"key": "k", "name": "n", "state": "STOPPED", "description": "d", "url": "https://ops.example.org"}
PIPELINE = {
    "uuid": UUID,
    "build_number": 3,
    "state": {"name": "IN_PROGRESS", "stage": {"name": "PAUSED"}},
    "target": {
        "ref_name": "main",
        "commit": {"hash": "a" * 40},
        "selector": {"pattern": "main", "type": "x"},
    },
    "repository": {"full_name": "acme/site"},
    "created_on": "2026-11-20T08:00:00.123456789Z",
    "completed_on": "2026-11-20T08:01:00Z",
}
HOOK = {"uuid": UUID, "url": "https://ops.example.org", "active": True, "events": ["repo:push"]}
ERROR = {"type": "error", "error": {"message": "No.", "detail": {"required": ["repository"]}}}
READERS: list[tuple[Callable[[Any], object], dict[str, Any]]] = [
    (reading.repository, REPOSITORY),
    (reading.pull, PULL),
    (reading.reviewers, PULL),
    (reading.merge_strategies, PULL),
    (reading.check, CHECK),
    (lambda data: reading.pipeline(data, "https://bitbucket.org"), PIPELINE),
    (reading.hook, HOOK),
    (reading.said, ERROR),
    (reading.names_of, {"user": {"nickname": "bea", "account_id": "557058:x", "uuid": UUID}}),
    (reading.workspace, {"workspace": {"uuid": UUID}}),
]
ODD: list[Any] = [None, True, -1, 7, 1e308, "", "\0\ud800", "x" * 1_000_000, [], [None], [[]], {}, {"a": 1}]


def broken(data: Any) -> Iterator[Any]:
    """Copies of `data` with something odd in one place each."""
    yield from ODD
    if not isinstance(data, dict):
        return
    for name, value in data.items():
        yield {key: other for key, other in data.items() if key != name}
        for odd in broken(value):
            yield {**copy.deepcopy(data), name: odd}


@pytest.mark.parametrize(("read", "good"), READERS)
def test_odd_fields(read: Callable[[Any], object], good: dict[str, Any]) -> None:
    read(good)
    for odd in broken(good):
        if isinstance(odd, dict) or read not in (reading.reviewers, reading.merge_strategies):
            with suppress(PermanentFailure):
                told = repr(read(odd))
                assert "x00" not in told
                assert "ud800" not in told


def test_pull() -> None:
    found = reading.pull(PULL)
    assert (found.state, found.draft, found.body) == (PullState.CLOSED, True, "Two\nlines")
    assert (found.head_oid, found.merge_oid) == ("", "b" * 40)
    assert found.url.endswith("/7")


def test_repository() -> None:
    found = reading.repository(REPOSITORY)
    assert (found.external_id, found.visibility) == (f"{UUID[1:-1]}/{UUID[1:-1]}", "public")
    assert not reading.repository({**REPOSITORY, "scm": "hg"}).usable
    assert reading.repository({**REPOSITORY, "parent": {}, "mainbranch": None}).fork


@pytest.mark.parametrize(
    ("state", "means"),
    [
        ({"name": "PENDING"}, PipelineState.QUEUED),
        ({"name": "IN_PROGRESS"}, PipelineState.RUNNING),
        ({"name": "IN_PROGRESS", "stage": {"name": "RUNNING"}}, PipelineState.RUNNING),
        ({"name": "IN_PROGRESS", "stage": {"name": "PAUSED"}}, PipelineState.WAITING),
        ({"name": "HALTED"}, PipelineState.WAITING),
        ({"name": "COMPLETED", "result": {"name": "SUCCESSFUL"}}, PipelineState.SUCCEEDED),
        ({"name": "COMPLETED", "result": {"name": "FAILED"}}, PipelineState.FAILED),
        ({"name": "COMPLETED", "result": {"name": "ERROR"}}, PipelineState.FAILED),
        ({"name": "COMPLETED", "result": {"name": "STOPPED"}}, PipelineState.CANCELLED),
        ({"name": "COMPLETED", "result": {"name": "EXPIRED"}}, PipelineState.CANCELLED),
    ],
)
def test_states_of_pipelines(state: dict[str, Any], means: PipelineState) -> None:
    assert reading.pipeline({**PIPELINE, "state": state}, "https://bitbucket.org").state == means


def test_checks() -> None:
    assert reading.check(CHECK).state == CheckState.ERROR
    assert reading.check_key("short") == "short"
    assert len(reading.check_key("x" * 300)) == 40
