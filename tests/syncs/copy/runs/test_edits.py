"""What becomes of files that somebody edited at the target, by runs between real repositories."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from syncs.copy.plan.contents import MAX_BYTES
from syncs.copy.rules.options import Edits, Options, PullRequest, Transform
from tests.syncs.copy.story import Story, World, copied, edit, logged, refused, save, telling

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]

LINES = "".join(f"line {number}\n" for number in range(1, 21))
FIRST, LAST = "line 1\n", "line 20\n"


def options(edits: Edits, *transforms: Transform) -> Options:
    return Options(edits=edits, transforms=transforms)


@contextmanager
def edited(world: World, edits: Edits, *transforms: Transform) -> Iterator[Story]:
    """The last line was changed at the target, the first one at the source."""
    with telling(world, options(edits, *transforms), long_md=LINES) as story:
        there = story.text("copied/long.md") + "\n"
        edit(story, long_md=there.replace(LAST, "mine\n"))
        story.source.commit({b"docs/long.md": LINES.replace(FIRST, "theirs\n").encode()})
        yield story


def test_overwritten_by_default_and_said(world: World) -> None:
    with edited(world, "overwrite") as story:
        item = story.item()
        assert item.sentence == "1 file written. 1 edited file written over."
        assert item.result["overwritten"] == 1
        assert "acme/site: edited at the target: copied/long.md" in logged(item.run)
        assert story.text("copied/long.md").startswith("theirs\n")
        assert "mine" not in story.text("copied/long.md")
        story.source.commit({b"docs/a.md": b"newer\n"})
        assert story.item().sentence == "1 file written."


def test_held_until_somebody_settles_it(world: World) -> None:
    with edited(world, "hold") as story:
        sentence = "copied/long.md was changed in the target since it was copied, so it is left as it is."
        assert refused(story.item()) == [sentence]
        story.source.commit({b"docs/a.md": b"newer\n"})
        item = story.item()
        assert item.sentence == "1 file written. 1 file left out."
        assert refused(item) == [sentence], "it waits, and is not forgotten"
        assert "mine" in story.text("copied/long.md")
        edit(story, long_md=LINES)
        item = story.item()
        assert item.sentence == "1 file written."
        assert story.text("copied/long.md").startswith("theirs\n")


def test_held_when_it_was_deleted_or_never_ours(world: World) -> None:
    with telling(world, options("hold")) as story:
        edit(story, a_md=None, c_md="mine\n")
        story.source.commit({b"docs/a.md": b"newer\n", b"docs/c.md": b"theirs\n"})
        assert refused(story.item()) == [
            "copied/a.md was deleted in the target since it was copied, so it is not written again.",
            "copied/c.md is in the target already with other content, so it is left as it is.",
        ]
        assert copied(story) == {"b.md": "b", "c.md": "mine"}


def test_a_file_that_is_as_the_source_was_is_not_edited(world: World) -> None:
    """Nobody adopted it, but it holds what would have been copied before."""
    with world.story("gitea", options("hold")) as story:
        story.source.commit({b"docs/a.md": b"a\n"})
        story.item()
        story.target.commit({b"copied/b.md": b"b\n"})
        story.source.commit({b"docs/b.md": b"b\n"})
        assert story.item().state == "skipped"
        story.source.commit({b"docs/b.md": b"newer\n"})
        assert story.item().sentence == "1 file written."


def test_merged_again_and_again(world: World) -> None:
    with edited(world, "merge") as story:
        item = story.item()
        assert item.sentence == "1 file written. Edits at the target kept in 1 file."
        text = LINES.replace(FIRST, "theirs\n").replace(LAST, "mine\n")
        assert story.text("copied/long.md") == text.strip()
        assert story.item(whole=True).state == "skipped", "there is nothing new to merge"
        story.source.commit(
            {b"docs/long.md": LINES.replace(FIRST, "theirs\n").replace("line 9", "nine").encode()}
        )
        assert story.item().result["merged"] == 1
        assert story.text("copied/long.md") == text.replace("line 9", "nine").strip()


def test_merged_in_a_pull_request(world: World) -> None:
    arriving = Options("pull_request", PullRequest(), edits="merge")
    with telling(world, arriving, long_md=LINES) as story:
        story.merge()
        story.item()
        edit(story, long_md=LINES.replace(LAST, "mine\n"))
        story.source.commit({b"docs/long.md": LINES.replace(FIRST, "theirs\n").encode()})
        assert story.item().result["merged"] == 1
        text = LINES.replace(FIRST, "theirs\n").replace(LAST, "mine\n")
        assert story.text("copied/long.md", story.branch) == text.strip()


def test_merged_where_contents_are_changed_on_the_way(world: World) -> None:
    header = Transform("header", text="# copied")
    with edited(world, "merge", header) as story:
        assert story.item().result["merged"] == 1
        text = LINES.replace(FIRST, "theirs\n").replace(LAST, "mine\n")
        assert story.text("copied/long.md") == f"# copied\n{text.strip()}"


def test_a_conflict_holds_the_file(world: World) -> None:
    with telling(world, options("merge"), long_md=LINES) as story:
        edit(story, long_md=LINES.replace(FIRST, "mine\n"))
        story.source.commit(
            {b"docs/long.md": LINES.replace(FIRST, "theirs\n").encode(), b"docs/a.md": b"new\n"}
        )
        item = story.item()
        assert refused(item) == [
            "copied/long.md was changed in the same place on both sides, so it is left as it is. "
            "Change it there by hand."
        ]
        assert story.text("copied/long.md").startswith("mine\n")
        assert story.text("copied/a.md") == "new"


def test_the_same_change_on_both_sides_is_no_change(world: World) -> None:
    with telling(world, options("merge")) as story:
        edit(story, a_md="newer\n")
        story.source.commit({b"docs/a.md": b"newer\n"})
        assert story.item().state == "skipped"
        story.source.commit({b"docs/a.md": b"newest\n"})
        assert story.item().sentence == "1 file written."


@pytest.mark.parametrize(
    ("source", "target", "mode", "reason"),
    [
        (b"\0new", b"\0mine", "100644", "is binary and was changed on both sides"),
        (b"x" * (MAX_BYTES + 1), b"mine", "100644", "is larger than 10 MB, too large to merge"),
        (b"new", b"b.md", "120000", "is a symbolic link on one side, which cannot be merged"),
    ],
)
def test_what_cannot_be_merged_is_held(
    world: World, source: bytes, target: bytes, mode: str, reason: str
) -> None:
    with telling(world, options("merge")) as story:
        story.target.commit({b"copied/a.md": target}, modes={b"copied/a.md": mode})
        story.source.commit({b"docs/a.md": source})
        [sentence] = refused(story.item())
        assert sentence.startswith(f"copied/a.md {reason}, so it is left as it is.")
        assert story.target.git("cat-file", "blob", "main:copied/a.md").encode() == target


def test_a_mode_is_merged_as_well(world: World) -> None:
    with telling(world, options("merge"), long_md=LINES) as story:
        story.target.commit({b"copied/long.md": LINES.encode()}, modes={b"copied/long.md": "100755"})
        story.source.commit({b"docs/long.md": LINES.replace(FIRST, "theirs\n").encode()})
        story.item()
        assert story.tree()["copied/long.md"][0] == "100755"
        assert story.text("copied/long.md").startswith("theirs\n")


def test_without_what_was_copied_before_there_is_no_merge(world: World) -> None:
    """The target never held exactly what the rule had made, and the rule makes something else now."""
    with edited(world, "merge", Transform("header", text="# one")) as story:
        story.item()
        save(story, options("merge", Transform("header", text="# two")))
        story.source.commit({b"docs/long.md": LINES.replace("line 9", "nine").encode()})
        [sentence] = refused(story.item())
        assert "what was copied before is not to be found any more" in sentence
        assert "mine" in story.text("copied/long.md")
