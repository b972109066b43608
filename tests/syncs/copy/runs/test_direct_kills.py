"""What is told of a direct copy whose run was killed and went on: what its one commit did."""

from __future__ import annotations

from typing import Any

import pytest

from opssight.audit.models import AuditEvent
from syncs.copy.rules.options import Deletions, Options
from syncs.models import Item
from tests.syncs.copy.kills import kill_at, survive
from tests.syncs.copy.story import Story, World, edit, telling

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]

TOLD = ("files", "deletes", "equal", "paths", "recorded", "overwritten", "adoptable", "edited")
KILLS = ["", "pushed", "manifest-stored", "target-stored"]  # "": none


def after(story: Story, monkeypatch: pytest.MonkeyPatch, name: str, **input: Any) -> Item:
    """The item of a run that was killed after this checkpoint and went on."""
    run = survive(story, kill_at(monkeypatch, name, "after"), **input) if name else story.run(**input)
    [item] = run.items.all()
    assert item.result["commit"] == story.target.oid("main")
    files, deletes = item.result["files"], item.result["deletes"]
    told = f"{files} files and deleted {deletes} at" if deletes else f"{files} files to"
    assert run.sentence.startswith(f"Copied {told} 1 of 1 target in ")
    event = AuditEvent.objects.filter(action="copy.write").latest("pk")
    assert [event.diff[key] for key in ("files", "deletes", "deprecated")] == [
        item.result[key] for key in ("files", "deletes", "recorded")
    ]
    return item


def told_of(item: Item) -> dict[str, Any]:
    """What is not zero of it."""
    return {key: item.result[key] for key in TOLD if item.result[key]}


@pytest.mark.parametrize("name", KILLS)
def test_its_numbers_are_those_of_the_commit(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with telling(world, Options(deletions=Deletions("delete")), c_md="c\n") as story:
        story.source.commit({b"docs/a.md": None, b"docs/moved.md": b"a\n", b"docs/b.md": b"newer\n"})
        item = after(story, monkeypatch, name)
        paths = ["copied/b.md", "copied/moved.md"]
        assert told_of(item) == {"files": 2, "deletes": 1, "paths": paths}
        assert item.planned == {"add": 1, "change": 1, "delete": 1}
        assert item.sentence == "2 files written, 1 deleted."
        assert story.target.git("log", "-1", "--format=%s", "main") == "Bring 3 files"


@pytest.mark.parametrize("name", KILLS)
def test_files_that_were_there_are_no_files_that_were_written(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with telling(world, Options()) as story:
        edit(story, a_md="theirs\n", c_md="c\n")
        story.source.commit({b"docs/c.md": b"c\n", b"docs/d.md": b"d\n"})
        item = after(story, monkeypatch, name, whole=True)
        paths = ["copied/a.md", "copied/d.md"]
        found = told_of(item)
        assert {key: found[key] for key in ("files", "equal", "paths")} == {
            "files": 2, "equal": 2, "paths": paths,
        }  # fmt: skip
        assert found["adoptable"] == 1


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", KILLS)
def test_what_it_recorded_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, whole: bool
) -> None:
    with telling(world, Options(deletions=Deletions("record", "gone.json")), c_md="c\n") as story:
        story.source.commit({b"docs/a.md": None})
        assert story.item().result["recorded"] == 1
        story.source.commit({b"docs/b.md": None, b"docs/c.md": b"newer\n"})
        item = after(story, monkeypatch, name, **({"whole": True} if whole else {}))
        assert (item.result["recorded"], item.result["recorded_paths"]) == (1, ["copied/b.md"])
        assert (item.result["files"], item.result["paths"]) == (2, ["copied/c.md", "gone.json"])
