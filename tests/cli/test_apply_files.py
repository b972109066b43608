"""`copy apply` of deletions, edits and contents: without a memory, by what is in the repositories."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.world import MOVE_DOCS, World, one, tree, workflow, workflows
from tests.repos.git.work import Bare


@pytest.fixture
def world(tmp_path: Path) -> World:
    """The target has what the rule made of the first two commits; one file was edited there."""
    made = World(tmp_path / "world")
    files: dict[bytes, bytes | None] = {
        b"docs/a.md": b"a\n",
        b"docs/b.md": b"b\n",
        b"docs/c.md": b"1\n2\n3\n",
    }
    made.base = made.code.commit(files)
    there = {path.replace(b"docs", b"handbook"): data for path, data in files.items()}
    made.site.commit(there | {b"handbook/own.md": b"own\n"})
    return made


def test_what_was_copied_and_not_changed_goes_with_its_source(world: World) -> None:
    world.site.commit({b"handbook/b.md": b"edited\n"})
    world.code.commit(
        {b"docs/a.md": None, b"docs/b.md": None, b"docs/c.md": None, b"docs/d.md": b"1\n2\n3\n"}
    )
    config = workflows(workflow(MOVE_DOCS, deletions="delete"))
    planned = one(world.apply(config, "--dry-run"))
    assert (planned["status"], planned["writes"], planned["deletes"]) == ("planned", 1, 2)
    assert "handbook/a.md" in tree(world.site)

    target = one(world.apply(config))
    assert (target["status"], target["writes"], target["deletes"]) == ("done", 1, 2)
    assert target["error"].startswith("handbook/b.md has no source any more, but was changed")
    assert tree(world.site) == {
        "README": "100644 site",
        "handbook/b.md": "100644 edited",
        "handbook/d.md": "100644 1\n2\n3",
        "handbook/own.md": "100644 own",
    }
    again = one(world.apply(config))
    assert (again["writes"], again["deletes"]) == (0, 0)


def test_by_default_and_without_a_base_nothing_is_deleted(world: World) -> None:
    world.code.commit({b"docs/a.md": None})
    assert one(world.apply(workflows(workflow(MOVE_DOCS))))["deletes"] == 0
    assert one(world.sync(workflows(workflow(MOVE_DOCS, deletions="delete"))))["deletes"] == 0
    assert "handbook/a.md" in tree(world.site)


def test_edits_are_merged(world: World) -> None:
    world.site.commit({b"handbook/c.md": b"1\n2\n3\nmine\n"})
    world.code.commit({b"docs/c.md": b"one\n2\n3\n"})
    target = one(world.apply(workflows(workflow(MOVE_DOCS, edits="merge"))))
    assert (target["status"], target["writes"], target["error"]) == ("done", 1, None)
    assert tree(world.site)["handbook/c.md"] == "100644 one\n2\n3\nmine"


def test_edits_are_held(world: World) -> None:
    world.site.commit({b"handbook/c.md": b"mine\n"})
    world.code.commit({b"docs/c.md": b"new\n", b"docs/a.md": b"new\n"})
    answer = world.apply(workflows(workflow(MOVE_DOCS, edits="hold")))
    target = one(answer)
    assert target["writes"] == 1
    assert target["error"].startswith("handbook/c.md was changed in the target since it was copied")
    assert tree(world.site)["handbook/c.md"] == "100644 mine"


def test_contents_are_changed_and_a_file_that_cannot_be_is_named(world: World) -> None:
    world.code.commit({b"docs/x.md": b"x ${filename}\n", b"docs/y.md": b"begin\n"})
    changes = [{"type": "variables"}, {"type": "remove_blocks", "find": "begin", "text": "end"}]
    target = one(world.apply(workflows(workflow(MOVE_DOCS, transforms=changes))))
    assert target["error"] == "docs/y.md has a block that begins in line 1 and does not end."
    assert tree(world.site)["handbook/x.md"] == "100644 x x.md"
    assert "handbook/y.md" not in tree(world.site)


def test_deletions_are_recorded_here_and_elsewhere(world: World) -> None:
    world.code.commit({b"docs/a.md": None})
    check: dict[str, Any] = {"deprecation_check": {"enabled": True, "file": "gone.json"}}
    assert one(world.apply(workflows(workflow(MOVE_DOCS, **check))))["writes"] == 1
    [row] = json.loads(tree(world.site)["gone.json"].partition(" ")[2])
    assert (row["filename"], row["repo"], row["branch"]) == ("handbook/a.md", "acme/site", "main")

    lists = Bare(world.root / "lists.git")
    lists.commit({b"README": b"lists"})
    place = {"policy": "record", "repository": "acme/lists", "branch": "main", "file": "all.json"}
    config = workflows(workflow(MOVE_DOCS, deletions=place))
    missing = world.apply(config)
    assert (missing.status, "acme/lists" in missing.err) == (2, True)
    for _ in range(2):
        answer = world.apply(config, urls={"acme/lists": str(lists.path)})
        assert answer.status == 0, answer.err
        [row] = json.loads(tree(lists)["all.json"].partition(" ")[2])
        assert row["filename"] == "handbook/a.md"
    assert lists.git("rev-list", "--count", "main") == "2"
