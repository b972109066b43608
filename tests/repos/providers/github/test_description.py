"""The stand-in answers as GitHub's own description of its API says, or the test that asked it fails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.forges.github import GitHubStandIn
from tests.forges.openapi.check import operation_of, unlike
from tests.forges.standin import Asked, Reply, route


class Careless(GitHubStandIn):
    @route("GET", r"/api/v3/user")
    def user(self, asked: Asked) -> Reply:
        return Reply(200, {"login": "ana"})


def test_an_answer_that_is_not_githubs_fails_the_test_that_asked(tmp_path: Path) -> None:
    forge = Careless(tmp_path)
    forge.add_token("ghp_canary", "ana", scopes=["repo"])
    with pytest.raises(AssertionError, match="GET /user 200: at the whole"), forge:
        httpx.get(f"{forge.api}/user", headers={"Authorization": "token ghp_canary"})


def test_what_the_tests_script_is_not_compared(tmp_path: Path) -> None:
    with GitHubStandIn(tmp_path) as forge:
        forge.next_replies = [Reply(200, {"odd": True})]
        assert httpx.get(f"{forge.api}/user").json() == {"odd": True}


@pytest.mark.parametrize(
    ("method", "path", "status", "data", "words"),
    [
        ("GET", "/nowhere", 200, {}, "no such operation"),
        ("GET", "/user", 202, {}, "202 is not an answer"),
        ("GET", "/user", 404, {"message": 7}, "at message"),
        ("GET", "/user/repos", 200, [{}], "at 0"),
        ("DELETE", "/repos/acme/site", 204, {}, "has no body"),
        ("GET", "/repositories/7", 200, {"id": "7"}, "at id"),
        ("DELETE", "/repositories/7", 204, None, ""),
        ("GET", "/user", 304, None, ""),
    ],
)
def test_what_is_wrong_is_named(method: str, path: str, status: int, data: Any, words: str) -> None:
    said = unlike(method, path, status, data)
    assert words in said
    assert bool(said) == bool(words)


def test_every_route_of_the_stand_in_is_described(tmp_path: Path) -> None:
    """Except where GitHub describes otherwise (GraphQL) or to browsers only (a manifest's page)."""
    routes = [(method, pattern.pattern) for method, pattern, _ in GitHubStandIn(tmp_path)._routes]
    rest = [(method, path) for method, path in routes if path.startswith("/api/v3/")]
    assert len(rest) > 20
    assert [one for one in rest if operation_of(one[0], _example(one[1])) is None] == []


def _example(pattern: str) -> str:
    path = pattern.removeprefix("/api/v3").replace(r"(repositories/\d+|repos/[^/]+/[^/]+)", "repos/acme/site")
    return re.sub(r"\(\\d\+\)|\(\[\^/\]\+\)|\\d\+|\[\^/\]\+", "7", path)
