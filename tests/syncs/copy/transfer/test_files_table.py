"""Every kind of file that git knows, from one repository to another: mode and contents are the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from syncs.copy.rules.options import Options, PullRequest, Transform
from tests.repos.git.work import Bare
from tests.syncs.copy.story import Story, World, refused

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"
MB = 1_000_000
LARGE = random.Random(4).randbytes(60 * MB)

FILES = {
    b"docs/text.md": b"text\n",
    b"docs/empty": b"",
    b"docs/binary.png": bytes(range(256)) * 100,
    b"docs/run.sh": b"#!/bin/sh\n",
    b"docs/link": b"text.md",
    b"docs/nowhere": b"../../etc/passwd",
    b"docs/crlf.txt": b"one\r\ntwo\r\nthree\n",
    b"docs/pointer.bin": POINTER,
    b"docs/\xff\xfe not utf-8": b"name\n",
    b'docs/tab\xc3\xa9 "quoted"': b"name\n",
    b"docs/.gitattributes": b"* text=auto eol=lf filter=lfs\n",
    b"docs/.gitignore": b"*\n",
    b"docs/large.bin": LARGE,
}
MODES = {b"docs/run.sh": "100755", b"docs/link": "120000", b"docs/nowhere": "120000"}
SUBMODULE = b"docs/module"


def entries(bare: Bare, folder: str, ref: str = "main") -> dict[str, str]:
    """Mode and id of every file in the folder, by its path there, as `git ls-tree -r` shows it."""
    lines = bare.git("ls-tree", "-r", "-z", ref, f"{folder}/").split("\0")
    rows = [line.partition("\t") for line in lines if line]
    return {path.removeprefix(f"{folder}/"): head for head, _, path in rows}


@contextmanager
def everything(world: World, kind: str, options: Options) -> Iterator[Story]:
    with world.story(kind, options) as story:
        files = FILES | {SUBMODULE: b"1" * 40}
        story.source.commit(files, modes=MODES | {SUBMODULE: "160000"})
        yield story


@pytest.mark.parametrize("options", [Options(), Options("pull_request", PullRequest())])
def test_every_kind_of_file_arrives_as_it_is(world: World, options: Options) -> None:
    with everything(world, "gitea", options) as story:
        item = story.item()
        assert item.state == "done", item.sentence
        ref = story.branch or "main"
        here = entries(story.source, "docs")
        assert here.pop("module").startswith("160000")
        assert entries(story.target, "copied", ref) == here
        assert len(here) == len(FILES)
        assert item.result["notices"] == [
            "docs/pointer.bin only points to a file in Git LFS; the file itself is not copied."
        ]
        assert "docs/pointer.bin only points to a file in Git LFS" in item.sentence
        assert story.target.git("fsck", "--strict", "--no-dangling").count("error") == 0


def test_a_change_of_mode_alone_and_a_file_that_becomes_a_link(world: World) -> None:
    with world.story("gitea", Options()) as story:
        story.source.commit({b"docs/a": b"a\n", b"docs/b": b"b\n"})
        story.item()
        story.source.commit(
            {b"docs/a": b"a\n", b"docs/b": b"a"}, modes={b"docs/a": "100755", b"docs/b": "120000"}
        )
        assert story.item().sentence == "2 files written."
        assert entries(story.target, "copied") == entries(story.source, "docs")


def test_a_file_that_the_server_does_not_take_is_left_out_before_the_push(world: World) -> None:
    limit = 100 << 20
    with world.story("github", Options()) as story:
        story.source.commit({b"docs/huge": b"x" * (limit + 1), b"docs/most": b"y" * limit, b"docs/a": b"a\n"})
        item = story.item()
        assert refused(item) == [
            "docs/huge has 104,857,601 bytes, and the target takes files of at most 104,857,600. "
            "Leave it out, or keep it in Git LFS."
        ]
        assert sorted(entries(story.target, "copied")) == ["a", "most"]


def test_a_server_without_a_limit_takes_it(world: World) -> None:
    with world.story("gitlab", Options()) as story:
        story.source.commit({b"docs/huge": b"x" * ((100 << 20) + 1)})
        assert story.item().sentence == "1 file written."


def test_what_commits_by_the_api_cannot_carry_is_refused(world: World) -> None:
    with world.story("github", Options(sign="api")) as story:
        files = {b"docs/a": b"a\n", b"docs/run": b"run\n", b"docs/link": b"a"}
        story.source.commit(files, modes={b"docs/run": "100755", b"docs/link": "120000"})
        assert [sentence.partition(",")[0] for sentence in refused(story.item())] == [
            "docs/link is a symbolic link",
            "docs/run is an executable file",
        ]


CHANGES = (
    Transform("header", text="# copied from ${source_repo}", files=("**/*.md", "**/*.sh")),
    Transform("variables", files=("**/*.md",)),
    Transform("line_endings", text="lf"),
    Transform("remove_blocks", "remove-start", "remove-end"),
)


def test_contents_are_changed_in_text_only(world: World) -> None:
    files = FILES | {
        b"docs/text.md": b"for ${target_repo} at ${target_branch}: ${relative_path} ${filename} ${mine}\n",
        b"docs/latin.txt": b"caf\xe9\r\n",
        b"docs/block.py": b"a\n# remove-start\nb\n# remove-end\nc\n",
        b"docs/open.py": b"a\n# remove-start\nb\n",
    }
    with world.story("gitea", Options(transforms=CHANGES)) as story:
        story.source.commit(files, modes=MODES)
        item = story.item()
        assert story.text("copied/text.md").splitlines() == [
            "# copied from acme/docs",
            "for acme/site at main: text.md text.md ${mine}",
        ]
        assert story.text("copied/run.sh").splitlines() == ["#!/bin/sh", "# copied from ${source_repo}"]
        assert story.text("copied/block.py").splitlines() == ["a", "c"]
        assert refused(item) == ["docs/open.py has a block that begins in line 2 and does not end."]
        assert sorted(item.result["notices"]) == [
            "docs/large.bin is larger than 10 MB, so its content is copied unchanged.",
            "docs/latin.txt is text in another encoding than UTF-8, so its content is copied unchanged.",
            "docs/pointer.bin only points to a file in Git LFS; the file itself is not copied.",
        ]
        here, there = entries(story.source, "docs"), entries(story.target, "copied")
        assert {name for name in there if there[name] != here[name]} == {
            "text.md",
            "run.sh",
            "block.py",
            "crlf.txt",
        }
        assert story.tree()["copied/run.sh"][0] == "100755"
        assert story.item(whole=True).sentence.startswith("Already the same")


def test_one_content_may_become_different_files(world: World) -> None:
    """Contents are made for each place, and the ones that are equal are equal."""
    with world.story("gitea", Options(transforms=(Transform("variables"),))) as story:
        story.source.commit({b"docs/a": b"${filename}\n", b"docs/b": b"${filename}\n", b"docs/c": b"b\n"})
        story.item()
        assert [story.text(f"copied/{name}") for name in "abc"] == ["a", "b", "b"]
