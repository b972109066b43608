from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from opssight.core.errors import Failure
from repos.providers.forge import CheckState
from repos.providers.gitea import reading
from repos.providers.gitea.api import own_link, refusal, said
from repos.providers.types import PipelineState, PullState
from repos.providers.values import time_of

ODD: list[Any] = [None, [], {}, "x", 7, True, -1, 2**70, 1.5, [None], {"a": []}, "\ud800\0"]
REPOSITORY = {"id": 7, "full_name": "acme/site", "private": False}


@pytest.mark.parametrize("value", ODD, ids=repr)
@pytest.mark.parametrize(
    ("read", "whole"),
    [
        (reading.repository, {**REPOSITORY, "size": 3, "topics": ["a"], "permissions": {"pull": True}}),
        (reading.pull, {"number": 3, "title": "t", "head": {"ref": "a"}, "base": {}, "labels": [{}]}),
        (reading.pipeline, {"id": 3, "status": "success", "started_at": "2026-01-01T00:00:00Z"}),
        (reading.check, {"context": "x", "status": "success"}),
        (reading.hook, {"id": 3, "config": {"url": "https://x.org"}, "events": ["push"]}),
    ],
)
def test_any_field_may_be_odd(read: Callable[[object], Any], whole: dict[str, Any], value: Any) -> None:
    read(whole)
    said = []
    for name in whole:
        try:
            said.append(f"{read({**whole, name: value})!r}.")
        except Failure as failure:
            said.append(failure.sentence)
    assert [text for text in said if "\\ud800" in text or "\\x00" in text or text[-1] != "."] == []


@pytest.mark.parametrize(
    ("more", "visibility"),
    [
        ({"private": True}, "private"),
        ({"private": True, "internal": True}, "private"),
        ({"internal": True}, "internal"),
        ({}, "public"),
        ({"private": "yes"}, "unknown"),
    ],
)
def test_visibility(more: dict[str, Any], visibility: str) -> None:
    assert reading.repository({**REPOSITORY, **more}).visibility == visibility


@pytest.mark.parametrize("more", [{"has_code": False}, {"permissions": {"pull": False}}])
def test_a_repository_without_code_cannot_be_used(more: dict[str, Any]) -> None:
    found = reading.repository({**REPOSITORY, **more})
    assert not found.usable
    assert found.reason.endswith(".")


def test_size_is_told_in_kibibytes() -> None:
    assert reading.repository({**REPOSITORY, "size": 3}).size_bytes == 3_072


@pytest.mark.parametrize(
    ("title", "plain", "draft"),
    [
        ("WIP: x", "x", True),
        ("[wip] x", "x", True),
        ("wip:x", "x", True),
        ("Wiping", "Wiping", False),
        ("x WIP: y", "x WIP: y", False),
    ],
)
def test_drafts(title: str, plain: str, draft: bool) -> None:
    found = reading.pull({"number": 1, "title": title})
    assert (found.title, found.draft) == (plain, draft)


def test_a_pull_request_whose_branch_is_gone() -> None:
    data = {"number": 1, "state": "closed", "merged": True, "merge_commit_sha": "a" * 40}
    found = reading.pull({**data, "head": {"label": "change", "ref": "refs/pull/1/head"}})
    assert (found.head, found.state, found.merge_oid) == ("change", PullState.MERGED, "a" * 40)


def test_addresses_are_of_the_web() -> None:
    assert reading.pull({"number": 1, "html_url": "javascript:alert(1)"}).url == ""


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("success", CheckState.SUCCESS),
        ("skipped", CheckState.SUCCESS),
        ("warning", CheckState.FAILURE),
        ("error", CheckState.ERROR),
        ("never heard of", CheckState.PENDING),
    ],
)
def test_states_of_checks(word: str, state: CheckState) -> None:
    assert reading.check({"context": "x", "status": word}).state == state


@pytest.mark.parametrize(
    ("run", "state"),
    [
        ({"path": "ci.yml@refs/heads/main", "status": "queued"}, PipelineState.QUEUED),
        ({"path": "ci.yml@refs/heads/main", "status": "waiting"}, PipelineState.WAITING),
        ({"path": "ci.yml@x", "status": "in_progress"}, PipelineState.RUNNING),
        ({"path": "ci.yml@x", "status": "completed", "conclusion": "success"}, PipelineState.SUCCEEDED),
        ({"path": "ci.yml@x", "status": "completed", "conclusion": "skipped"}, PipelineState.SKIPPED),
        ({"path": "ci.yml@x", "status": "completed"}, PipelineState.FAILED),
        ({"workflow_id": "ci.yml", "status": "waiting"}, PipelineState.QUEUED),
        ({"workflow_id": "ci.yml", "status": "waiting", "need_approval": True}, PipelineState.WAITING),
        ({"workflow_id": "ci.yml", "status": "cancelled"}, PipelineState.CANCELLED),
        ({"workflow_id": "ci.yml", "status": "blocked"}, PipelineState.QUEUED),
    ],
)
def test_states_of_runs(run: dict[str, Any], state: PipelineState) -> None:
    found = reading.pipeline({"id": 1, **run})
    assert (found.state, found.name) == (state, "ci.yml")


def test_times() -> None:
    moment = time_of("2026-11-20T09:00:00+01:00")
    assert moment == dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)
    assert time_of("2026-11-20T09:00:00") == dt.datetime(2026, 11, 20, 9, tzinfo=dt.UTC)
    never = ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "1970-01-01T01:00:00+01:00", "soon", None)
    assert [time_of(text) for text in never] == [None] * 5


def test_messages_of_errors() -> None:
    assert said({"message": "Not so", "url": "x"}) == "Not so."
    assert said({"message": "Not so!"}) == "Not so!"
    odd: list[Any] = [[], {}, {"message": None}, {"message": {}}, "x"]
    assert [said(one) for one in odd] == [""] * 5
    assert said({"message": "x" * 900}).endswith("x.")


def test_only_missing_scopes_make_a_sentence_of_their_own() -> None:
    words = "token does not have at least one of required scope(s): [write:issue]."
    assert "write:issue" in refusal({}, words)
    assert "write:issue" in refusal({}, words.replace("scope(s): [", "scope(s), required=["))
    assert refusal({}, "Must be a repo admin.") == ""


def test_links_keep_only_the_number() -> None:
    header = (
        '<https://other.org/api/v1/user/repos?limit=50&page=3>; rel="next",'
        '<https://other.org/api/v1/user/repos?page=9&limit=50>; rel="last",'
        '<https://other.org/api/v1/user/repos?page=1>; rel="first"'
    )
    url = "https://here.org/api/v1/user/repos?page=2&limit=50"
    assert own_link(url, header) == (
        '<https://here.org/api/v1/user/repos?page=3&limit=50>; rel="next", '
        '<https://here.org/api/v1/user/repos?page=9&limit=50>; rel="last"'
    )
    odd = ["", "x", "<>; rel=next", '<x?page=-1>; rel="next"', '<x?page=99999999>; rel="last"']
    assert [own_link(url, text) for text in odd] == [""] * 5
