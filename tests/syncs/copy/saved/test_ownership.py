"""What is deleted, kept, adopted and recorded at a target, by runs between real repositories."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from repos.git.types import Change
from syncs.copy.models import CopyState, CopyTarget
from syncs.copy.plan.planned import Owned, Plan, PlannedDelete, PlannedWrite
from syncs.copy.rules.options import Deletions, Options, PullRequest
from syncs.copy.rules.rule import Rule
from syncs.copy.saved import ownership, service
from syncs.models import Run, RunState
from tests.syncs.copy.story import (
    RULE,
    World,
    copied,
    edit,
    execute,
    logged,
    owned,
    refused,
    save,
    telling,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]

DELETE = Options(deletions=Deletions("delete"))


# --- deletions ---


def test_what_goes_at_the_source_goes_at_the_target_and_nothing_else(world: World) -> None:
    with telling(world, DELETE) as story:
        story.target.commit({b"copied/theirs.md": b"not ours\n"})
        story.source.commit({b"docs/a.md": None})
        before = story.target.oid("main")
        item = story.item()
        assert (item.state, item.sentence) == ("done", "1 file deleted.")
        assert item.result["deletes"] == 1
        assert copied(story) == {"b.md": "b", "theirs.md": "not ours"}
        assert story.target.git("diff", "--name-status", before, "main") == "D\tcopied/a.md"
        assert owned(story) == ["copied/b.md"]
        assert story.item().state == "skipped"


def test_by_default_nothing_is_deleted_and_a_later_choice_finds_what_is_left(world: World) -> None:
    with telling(world, Options()) as story:
        story.source.commit({b"docs/a.md": None})
        assert story.item().state == "skipped"
        assert copied(story) == {"a.md": "a", "b.md": "b"}
        save(story, DELETE)
        assert story.item().sentence == "1 file deleted."
        assert copied(story) == {"b.md": "b"}


def test_a_renamed_file_is_written_at_its_new_place_and_deleted_at_the_old_one(world: World) -> None:
    with telling(world, DELETE) as story:
        story.source.commit({b"docs/a.md": None, b"docs/deep/new.md": b"a\n"})
        before = story.target.oid("main")
        assert story.item().sentence == "1 file written, 1 deleted."
        assert copied(story) == {"b.md": "b", "deep/new.md": "a"}
        assert story.target.oid("main^") == before, "in one commit"


def test_a_file_that_becomes_a_folder(world: World) -> None:
    with telling(world, DELETE) as story:
        story.source.commit({b"docs/a.md": None, b"docs/a.md/x": b"x\n"})
        assert story.item().sentence == "1 file written, 1 deleted."
        assert copied(story) == {"b.md": "b", "a.md/x": "x"}
        story.source.commit({b"docs/a.md/x": None, b"docs/a.md": b"again\n"})
        assert story.item().sentence == "1 file written, 1 deleted."
        assert copied(story) == {"b.md": "b", "a.md": "again"}


def test_an_edited_file_is_kept_and_named_once(world: World) -> None:
    with telling(world, DELETE) as story:
        edit(story, a_md="edited\n")
        story.source.commit({b"docs/a.md": None})
        item = story.item()
        assert refused(item) == [
            "copied/a.md has no source any more, but was changed in the target since it was copied: "
            "it stays, and is no longer ours."
        ]
        assert copied(story) == {"a.md": "edited", "b.md": "b"}
        assert refused(story.item(whole=True)) == []
        edit(story, a_md="a\n")
        story.item(whole=True)
        assert "a.md" in copied(story), "given up for good, even when it is as it was"


def test_a_file_whose_mode_was_changed_is_edited(world: World) -> None:
    with telling(world, DELETE) as story:
        story.target.commit({b"copied/a.md": b"a\n"}, modes={b"copied/a.md": "100755"})
        story.source.commit({b"docs/a.md": None})
        assert len(refused(story.item())) == 1
        assert "a.md" in copied(story)


def test_what_somebody_else_deleted_first_is_forgotten(world: World) -> None:
    with telling(world, DELETE) as story:
        edit(story, a_md=None)
        story.source.commit({b"docs/a.md": None})
        assert story.item().state == "skipped"
        assert owned(story) == ["copied/b.md"]
        edit(story, a_md="a\n")
        story.item(whole=True)
        assert "a.md" in copied(story)


def test_what_a_new_version_no_longer_places_goes_when_everything_is_copied(world: World) -> None:
    with telling(world, DELETE) as story:
        save(story, DELETE, replace(RULE, exclude=("**/a.md",)))
        assert story.item().state == "skipped"
        assert story.item(whole=True).sentence == "1 file deleted."
        assert copied(story) == {"b.md": "b"}


def test_a_path_that_another_file_fills_is_not_deleted(world: World) -> None:
    flat = Rule("glob", "docs/**", "copied/${filename}")
    with telling(world, DELETE) as story:
        save(story, DELETE, flat)
        story.source.commit({b"docs/deep/a.md": b"a\n"})
        assert story.item().state == "skipped"
        story.source.commit({b"docs/a.md": None})
        assert story.item().state == "skipped"
        assert copied(story) == {"a.md": "a", "b.md": "b"}
        row = ownership.manifest_of(CopyTarget.objects.get())[b"copied/a.md"]
        assert row.source_path == b"docs/deep/a.md"
        story.source.commit({b"docs/deep/a.md": None})
        assert story.item().sentence == "1 file deleted."


def test_a_lost_event_loses_nothing(world: World) -> None:
    """The target counts as up to date, but what it has and lacks says otherwise."""
    with telling(world, DELETE) as story:
        story.source.commit({b"docs/a.md": None, b"docs/b.md": b"newer\n"})
        CopyState.objects.update(source_oid=story.source.oid("main"))
        assert story.item().sentence == "1 file written, 1 deleted."
        assert copied(story) == {"b.md": "newer"}


def test_a_rewritten_source_deletes_what_is_not_in_it_any_more(world: World) -> None:
    with telling(world, DELETE) as story:
        story.source.commit({b"docs/b.md": b"b\n", b"README": b"new"}, orphan=True)
        assert story.item().sentence == "1 file deleted."
        assert copied(story) == {"b.md": "b"}


# --- pull requests ---


def test_a_deletion_in_a_pull_request(world: World) -> None:
    options = Options("pull_request", PullRequest(), Deletions("delete"))
    with telling(world, options) as story:
        assert (owned(story), owned(story, pending=True)) == ([], ["copied/a.md", "copied/b.md"])
        story.merge("squash")
        story.item()
        assert (owned(story), owned(story, pending=True)) == (["copied/a.md", "copied/b.md"], [])
        story.source.commit({b"docs/a.md": None})
        item = story.item()
        assert item.result["deletes"] == 1
        assert "copied/a.md" not in story.tree(story.branch)
        assert copied(story) == {"a.md": "a", "b.md": "b"}, "not before the merge"
        assert owned(story) == ["copied/a.md", "copied/b.md"]
        story.merge()
        story.item()
        assert copied(story) == {"b.md": "b"}
        assert (owned(story), owned(story, pending=True)) == (["copied/b.md"], [])


def test_a_file_that_goes_before_its_pull_request_is_merged(world: World) -> None:
    options = Options("pull_request", PullRequest(), Deletions("delete"))
    with telling(world, options) as story:
        story.source.commit({b"docs/a.md": None})
        story.item()
        assert "copied/a.md" not in story.tree(story.branch)
        assert owned(story, pending=True) == ["copied/b.md"]


# --- adopting ---


def test_what_was_there_already_is_never_deleted_unless_adopted(world: World) -> None:
    with world.story("gitea", DELETE) as story:
        story.target.commit({b"copied/a.md": b"a\n", b"copied/b.md": b"other\n"})
        story.source.commit({b"docs/a.md": b"a\n", b"docs/b.md": b"b\n"})
        assert story.item().sentence == "1 file written."
        assert owned(story) == ["copied/b.md"]
        story.source.commit({b"docs/a.md": None, b"docs/b.md": None})
        assert story.item().sentence == "1 file deleted."
        assert copied(story) == {"a.md": "a"}


def test_adopted_files_are_the_rules_own(world: World) -> None:
    with world.story("gitea", DELETE) as story:
        story.target.commit({b"copied/a.md": b"a\n", b"copied/b.md": b"other\n"})
        story.source.commit({b"docs/a.md": b"a\n", b"docs/b.md": b"b\n"})
        service.adopt(world.principal, story.job, "a test")
        run = execute()
        assert run.state == RunState.SUCCEEDED, run.sentence
        assert owned(story) == ["copied/a.md", "copied/b.md"]
        story.source.commit({b"docs/a.md": None})
        assert story.item().sentence == "1 file deleted."


# --- recording ---


def recorded(text: str) -> list[list[str]]:
    return [[row["filename"], row["repo"], row["branch"]] for row in json.loads(text)]


def test_deletions_are_recorded_in_the_commit_of_the_target(world: World) -> None:
    record = Options(deletions=Deletions("record", "gone/list.json"))
    with telling(world, record, c_md="c\n") as story:
        story.source.commit({b"docs/a.md": None})
        assert story.item().state == "done"
        story.source.commit({b"docs/b.md": None, b"docs/c.md": b"newer\n"})
        before = story.target.oid("main")
        assert story.item().state == "done"
        assert story.target.oid("main^") == before
        assert copied(story) == {"a.md": "a", "b.md": "b", "c.md": "newer"}
        rows = json.loads(story.text("gone/list.json"))
        assert recorded(json.dumps(rows)) == [
            ["copied/a.md", "acme/site", "main"],
            ["copied/b.md", "acme/site", "main"],
        ]
        assert rows[0]["deleted_on"].endswith("Z")
        assert story.item(whole=True).state == "skipped", "nothing is written down twice"


def test_a_list_that_is_none_is_left_and_named(world: World) -> None:
    with telling(world, Options(deletions=Deletions("record", "list.json"))) as story:
        story.target.commit({b"list.json": b'{"a": 1}'})
        story.source.commit({b"docs/a.md": None, b"docs/b.md": b"newer\n"})
        item = story.item()
        [sentence] = refused(item)
        assert sentence.startswith("list.json is not a list of deletions")
        assert story.text("list.json") == '{"a": 1}'
        assert copied(story)["b.md"] == "newer"


def test_deletions_are_recorded_in_another_branch(world: World) -> None:
    with world.story("gitea") as story:
        site = str(story.at.row("acme/site").pk)
        story.target.commit({b"README": b"lists"}, branch="lists", orphan=True)
        options = Options(deletions=Deletions("record", "gone.json", site, "lists"))
        save(story, options)
        story.source.commit({b"docs/a.md": b"a\n", b"docs/b.md": b"b\n"})
        story.item()
        story.source.commit({b"docs/a.md": None, b"docs/b.md": None})
        before = story.target.oid("main")
        item = story.item()
        assert item.state == "skipped"
        assert story.target.oid("main") == before
        assert recorded(story.text("gone.json", "lists")) == [
            ["copied/a.md", "acme/site", "main"],
            ["copied/b.md", "acme/site", "main"],
        ]
        assert story.target.git("show", "-s", "--format=%s", "lists") == "Record 2 deleted files of acme/site"
        tip = story.target.oid("lists")
        story.item(whole=True)
        assert story.target.oid("lists") == tip


# --- what is remembered ---


def remembered(target: CopyTarget, plan: Plan, **options: Any) -> dict[bytes, Owned]:
    ownership.remember(target, plan, **options)
    return ownership.manifest_of(target)


def plan_of(*writes: PlannedWrite, **parts: Any) -> Plan:
    return Plan(writes, parts.pop("same", ()), (), (), (), **parts)


def write_of(path: bytes, oid: str = "a" * 40, **parts: Any) -> PlannedWrite:
    return PlannedWrite(b"src/" + path, path, "100644", oid, 0, **parts)


def test_remembering_twice_is_once_and_names_of_any_bytes_are_kept(world: World) -> None:
    with world.story("gitea", DELETE):
        target = CopyTarget.objects.get()
        names = [b"\xff\xfe", b"x" * 4000, b"a", *(b"%d" % n for n in range(500))]
        plan = plan_of(*(write_of(name) for name in names))
        first = remembered(target, plan)
        assert first == {name: write_of(name).owned for name in names}
        assert remembered(target, plan) == first
        gone = plan_of(deletes=tuple(PlannedDelete(b"", name, ("100644", "a" * 40)) for name in names[1:]))
        assert list(remembered(target, gone)) == names[:1]


def test_after_a_kill_only_what_the_commit_held_was_written(world: World) -> None:
    with world.story("gitea", DELETE):
        target = CopyTarget.objects.get()
        newest = plan_of(
            write_of(b"edited since"), write_of(b"not in it"), same=(write_of(b"in it"), write_of(b"x"))
        )
        edited = Change("M", b"edited since", None, "100644", "a" * 40, "100644", "b" * 40)
        made = Change("R", b"in it", b"was", "100644", "a" * 40, "100644", "a" * 40)
        plan = ownership.carried_out(newest, [made, edited])
        assert [(one.path, one.old) for one in plan.writes] == [
            (b"edited since", ("100644", "b" * 40)),
            (b"in it", None),
        ]
        assert [one.path for one in plan.deletes] == [b"was"]
        assert [one.path for one in plan.same] == [b"x"]
        assert sorted(remembered(target, plan)) == [b"edited since", b"in it"]


def test_a_transformed_and_a_merged_file_remember_what_the_rule_made(world: World) -> None:
    with world.story("gitea", DELETE):
        target = CopyTarget.objects.get()
        merged = write_of(b"f", "c" * 40, source_oid="a" * 40, made_oid="b" * 40)
        assert remembered(target, plan_of(merged))[b"f"] == Owned(b"src/f", "a" * 40, "b" * 40, "100644")


def test_a_run_of_a_rule_that_only_looks_remembers_nothing(world: World) -> None:
    with telling(world, DELETE) as story:
        rule = story.job.copy_rule
        rule.shadow = True
        rule.save()
        story.source.commit({b"docs/a.md": None, b"docs/c.md": b"c\n"})
        item = story.item()
        assert {"acme/site: to write: copied/c.md", "acme/site: to delete: copied/a.md"} <= logged(item.run)
        assert owned(story) == ["copied/a.md", "copied/b.md"]
        assert Run.objects.latest("pk").state == RunState.SUCCEEDED


def test_a_list_elsewhere_that_cannot_be_written_takes_nothing_from_the_rule(world: World) -> None:
    with world.story("gitea") as story:
        site = str(story.at.row("acme/site").pk)
        story.target.commit({b"gone.json": b"not a list"}, branch="lists", orphan=True)
        save(story, Options(deletions=Deletions("record", "gone.json", site, "lists")))
        story.source.commit({b"docs/a.md": b"a\n", b"docs/b.md": b"b\n"})
        story.item()
        story.source.commit({b"docs/a.md": None, b"docs/c.md": b"c\n"})
        item = story.item()
        assert item.state == "failed"
        assert item.sentence.startswith("gone.json in acme/site is not a list of deletions")
        assert owned(story) == ["copied/a.md", "copied/b.md", "copied/c.md"]
        story.target.commit({b"gone.json": b"[]"}, branch="lists")
        assert story.item().state == "skipped"
        assert recorded(story.text("gone.json", "lists")) == [["copied/a.md", "acme/site", "main"]]


def test_what_a_rule_wrote_is_known_when_its_changes_arrive_in_another_way(world: World) -> None:
    with telling(world, DELETE) as story:
        arriving = Options("pull_request", PullRequest(), Deletions("delete"))
        save(story, arriving)
        assert owned(story) == ["copied/a.md", "copied/b.md"]
        story.source.commit({b"docs/a.md": None})
        assert story.item().result["deletes"] == 1
        assert "copied/a.md" not in story.tree(story.branch)
        save(story, DELETE)
        assert owned(story) == ["copied/a.md", "copied/b.md"]
        assert CopyTarget.objects.count() == 1
