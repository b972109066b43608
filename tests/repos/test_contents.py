"""What is in a repository, answered by the API from this machine's copy of its history."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_from_bytes

import pytest

from opssight.accounts.models import Role
from repos import access, contents, warm
from repos.beside import Answer
from repos.models import Repository
from tests.api.client import Api, make_api
from tests.factories import make_connection, make_repository, make_team
from tests.repos.git.work import Bare, git
from tests.repos.pages import settle

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("beside")]
ODD = b"odd/\xff\xfe name\nwith a line"
TEXT = b"one\ntwo\nthree\nfour\nfive\nsix\n"


@pytest.fixture
def bare(folder: Path) -> Bare:
    made = Bare(folder / "work.git")
    made.commit({b"README": b"hello", b"src/app/main.py": TEXT, b"src/b.bin": b"\x00\x01\xff", ODD: b"odd"})
    made.commit({b"gone": b"x", b"link": b"src/b.bin"}, modes={b"link": "120000"}, message="a second one")
    git("tag", "v1", "refs/heads/main", cwd=made.path)
    made.commit({b"side": b"1"}, branch="feature/x")
    made.commit(
        {b"src/app/main.py": None, b"src/moved.py": TEXT, b"gone": None, b"README": b"hello again"},
        message="a third one",
    )
    return made


@pytest.fixture
def asked(bare: Bare, folder: Path) -> tuple[Api, Repository]:
    api, team = make_api(Role.VIEWER)
    connection = make_connection(team, options={"root": str(folder)})
    return api, make_repository(connection, "work", external_id="work.git")


class Asking:
    def __init__(self, api: Api, repository: Repository) -> None:
        self.api, self.repository = api, repository

    def answer(self, what: str, **query: Any) -> Any:
        text = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in query.items())
        return self.api.get(f"repositories/{self.repository.pk}/{what}/?{text}")

    def __call__(self, what: str, **query: Any) -> Any:
        answer = self.answer(what, **query)
        assert answer.status_code == 200, answer.content
        return answer.json()


@pytest.fixture
def ask(asked: tuple[Api, Repository]) -> Iterator[Asking]:
    yield Asking(*asked)
    settle()


def test_branches_and_tags(ask: Asking, bare: Bare) -> None:
    found = ask("branches")
    assert [(row["name"], row["default"]) for row in found["results"]] == [
        ("main", True),
        ("feature/x", False),
    ]
    assert found["results"][0]["oid"] == bare.oid("refs/heads/main")
    assert (found["next"], found["previous"]) == (None, None)
    [tag] = ask("tags")["results"]
    assert (tag["name"], tag["name_quoted"]) == ("v1", "v1")


def test_history_is_paged_from_where_it_began(ask: Asking, bare: Bare) -> None:
    first = ask("commits", page_size=2)
    assert [row["subject"] for row in first["results"]] == ["a third one", "a second one"]
    assert first["results"][0]["author_email"] == "ada@example.com"
    tip = first["commit"]
    bare.commit({b"new": b"1"}, message="a fourth one")
    second = ask.api.get(first["next"]).json()
    assert [row["subject"] for row in second["results"]] == ["a change"]
    assert (second["commit"], second["next"]) == (tip, None)
    assert ask.api.get(second["previous"]).json()["results"] == first["results"]


def test_a_ref_by_any_of_its_names(ask: Asking, bare: Bare) -> None:
    for short, full in (("v1", "refs/tags/v1"), ("feature/x", "refs/heads/feature/x")):
        oid = bare.oid(full)
        assert oid is not None
        assert {ask("commits", ref=name)["commit"] for name in (short, full, oid, oid[:10])} == {oid}


def test_a_tree_is_shown_one_level_at_a_time(ask: Asking) -> None:
    rows = ask("tree")["results"]
    assert [(row["path"], row["kind"]) for row in rows] == [
        ("odd", "folder"),
        ("src", "folder"),
        ("README", "file"),
        ("link", "link"),
    ]
    assert [row["path"] for row in ask("tree", ref="v1", path="src/app")["results"]] == ["src/app/main.py"]
    first = ask("tree", ref="v1", path="/src/", page_size=1)
    assert [row["path"] for row in first["results"]] == ["src/app"]
    ask("content", ref="v1", path="src/b.bin")  # its contents are here from now on, and so is its size
    rest = ask.api.get(first["next"]).json()
    assert [(row["path"], row["kind"], row["size"]) for row in rest["results"]] == [("src/b.bin", "file", 3)]


def test_contents_are_text_or_base64(ask: Asking) -> None:
    text = ask("content", path="README")
    assert (text["content"], text["encoding"], text["size"], text["link"]) == (
        "hello again",
        "utf-8",
        11,
        False,
    )
    binary = ask("content", path="src/b.bin")
    assert binary["encoding"] == "base64"
    assert base64.b64decode(binary["content"]) == b"\x00\x01\xff"
    link = ask("content", path="link")
    assert (link["link"], link["content"]) == (True, "src/b.bin")


def test_paths_that_are_no_text_are_reached_by_their_bytes(ask: Asking) -> None:
    [row] = ask("tree", path="odd")["results"]
    assert row["path"] == "odd/\\xff\\xfe name\nwith a line"
    assert row["path_quoted"] == quote_from_bytes(ODD)
    assert ask("content", path_quoted=row["path_quoted"])["content"] == "odd"


def test_changes_name_files_and_what_became_of_them(ask: Asking, bare: Bare) -> None:
    found = ask("changes", **{"from": "v1", "to": "main"})
    assert [(row["status"], row["path"], row["old_path"]) for row in found["results"]] == [
        ("M", "README", None),
        ("D", "gone", None),
        ("R", "src/moved.py", "src/app/main.py"),
    ]
    assert found["total"] == 3
    assert (found["old"], found["new"]) == (bare.oid("refs/tags/v1"), bare.oid("refs/heads/main"))
    first = ask("changes", **{"from": "v1", "page_size": 2})
    bare.commit({b"more": b"1"})
    last = ask.api.get(first["next"]).json()
    assert [row["path"] for row in first["results"] + last["results"]] == ["README", "gone", "src/moved.py"]


NO_REFS = [
    "nothing", "--upload-pack=/bin/sh", "-n1", "main~1", "main^", "a..b", "@{-1}", "HEAD", "refs/opssight/x",
    "refs/heads/", "refs/../main", ":/fix", "main:README", "x" * 5_000, "\x01", "$(id)", "refs/heads/*",
    "0" * 40, "abc", "main\nv1", "%00",
]  # fmt: skip


def test_what_is_no_ref_gets_a_sentence(ask: Asking) -> None:
    for ref in NO_REFS:
        for what, query in (("commits", {"ref": ref}), ("changes", {"from": ref})):
            answer = ask.answer(what, **query)
            assert answer.status_code in (404, 422), (what, ref, answer.content)
            assert answer["Content-Type"] == "application/problem+json"
            assert answer.json()["detail"].endswith(".")


NO_FILES = [
    ("nothing", 404), ("README/x", 404), ("../README", 404), ("src/../README", 404), ("*", 404), ("-x", 404),
    (":!README", 404), ("src", 422), ("/", 404), ("x/" * 200, 422), (".git/config", 404),
]  # fmt: skip


def test_what_is_no_file_gets_a_sentence(ask: Asking) -> None:
    for path, status in NO_FILES:
        answer = ask.answer("content", path=path)
        assert answer.status_code == status, (path, answer.content)
        assert answer.json()["detail"].endswith(".")
        if path not in ("src", "/"):
            assert ask.answer("tree", path=path).status_code in (404, 422)


def test_a_cursor_that_is_none_is_refused(ask: Asking) -> None:
    for cursor in ("x", "e30", "W10", base64.urlsafe_b64encode(b"[-1]").decode(), "[" * 500):
        for what in ("branches", "commits", "tree"):
            assert ask.answer(what, cursor=cursor).status_code == 400
    assert ask.answer("tags", page_size="1000").status_code == 400
    assert ask.answer("changes").status_code == 400
    assert ask.answer("content").status_code == 400
    far = base64.urlsafe_b64encode(b'[10000,"' + b"0" * 40 + b'"]').decode()
    assert "Clone it for older ones" in ask.answer("commits", cursor=far).json()["detail"]


def test_what_is_too_large_is_refused_with_its_size(ask: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "MOST_BYTES", 5)
    answer = ask.answer("content", path="README")
    assert answer.status_code == 422
    assert "11 B" in answer.json()["detail"]


def test_what_is_far_too_large_is_not_even_fetched(ask: Asking, bare: Bare) -> None:
    commit = bare.commit({b"large": os.urandom(3_000_000)})
    answer = ask.answer("content", path="large")
    assert answer.status_code == 422
    assert "large is larger than that. Clone the repository for it." in answer.json()["detail"]
    store = access.store_of(ask.repository)
    [oid] = [entry.oid for entry in store.tree(commit) if entry.path == b"large"]
    assert store.missing([oid]) == [oid]


def test_a_submodule_is_named(ask: Asking, bare: Bare) -> None:
    bare.commit({b"sub": b"1" * 40}, modes={b"sub": "160000"})
    assert ask("tree", path="")["results"][-1]["kind"] == "submodule"
    assert "submodule" in ask.answer("content", path="sub").json()["detail"]


def test_an_empty_repository_has_nothing(asked: tuple[Api, Repository], folder: Path) -> None:
    Bare(folder / "empty.git")
    repository = make_repository(asked[1].connection, "empty", external_id="empty.git")
    empty = Asking(asked[0], repository)
    assert empty("branches")["results"] == empty("tags")["results"] == []
    for what in ("commits", "tree"):
        answer = empty.answer(what)
        assert answer.status_code == 404
        assert answer.json()["status"] == 404
    settle()


def test_while_it_is_being_fetched_one_asks_again(ask: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm, "history", lambda repository, wait: Answer(pending=True))
    for what in ("branches", "tags", "commits", "tree"):
        answer = ask.answer(what)
        assert answer.status_code == 409
        assert "being fetched" in answer.json()["detail"]
        assert int(answer["Retry-After"]) >= 1
    monkeypatch.undo()
    tip = ask("commits")["commit"]
    monkeypatch.setattr(warm, "history", lambda repository, wait: Answer(pending=True))
    assert ask("commits", ref="main")["commit"] == tip  # what is here is answered
    assert ask.answer("commits", ref="newer").status_code == 409  # it may be on its way


def test_a_server_that_is_away_is_said_and_what_is_here_still_answered(
    ask: Asking, bare: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = ask("commits")["commit"]
    ask("content", path="README")
    settle()
    bare.path.rename(bare.path.with_name("away"))
    assert ask("commits")["commit"] == tip
    assert ask("content", path="README")["size"] == 11
    answer = ask.answer("branches")
    assert answer.status_code == 422
    assert answer.json()["detail"].endswith(("?", "."))


def test_a_branch_that_was_deleted_there_is_gone_here(ask: Asking, bare: Bare) -> None:
    assert len(ask("branches")["results"]) == 2
    settle()
    git("branch", "-D", "feature/x", cwd=bare.path)
    assert [row["name"] for row in ask("branches")["results"]] == ["main"]
    assert ask.answer("commits", ref="feature/x").status_code == 404


def test_nobody_else_reads_it(ask: Asking, asked: tuple[Api, Repository]) -> None:
    other, _ = make_api()
    hidden = make_repository(make_connection(make_team()))
    for api, repository in ((other, asked[1]), (asked[0], hidden)):
        for what in ("branches", "tags", "commits", "tree", "content", "changes"):
            assert api.get(f"repositories/{repository.pk}/{what}/?path=a&from=main").status_code == 404
    narrow, _ = make_api(Role.OWNER, "runs:read")
    assert narrow.get(f"repositories/{asked[1].pk}/tree/").status_code == 403
