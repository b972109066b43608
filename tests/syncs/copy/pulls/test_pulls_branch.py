"""The branch of a pull request: what is pushed to it, what is kept of others, and what is left alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from repos.providers.types import PullState
from syncs.copy.models import CopyState
from syncs.copy.pulls.branches import branch_name
from syncs.models import ItemState, RunState
from tests.syncs.copy.story import Story, World

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]


@pytest.fixture
def told(world: World) -> Iterator[Story]:
    with world.story("github") as made:
        made.source.commit({b"docs/a.md": b"a\n", b"docs/b.md": b"b\n"})
        yield made


def opened(told: Story) -> str:
    """The branch of a pull request that was opened now."""
    assert told.item().state == ItemState.DONE
    return told.branch


# --- its name -----------------------------------------------------------------------------------------


def test_the_name_is_plain_and_is_never_that_of_another_rule() -> None:
    names = {branch_name("Docs → Site", "job", repository, "main") for repository in ("1", "2")}
    assert len(names) == 2
    assert all(name.startswith("opssight/docs-site-") for name in names)
    assert branch_name("Docs → Site", "job", "1", "main") in names
    assert branch_name("文档", "job", "1", "main").startswith("opssight/rule-")
    assert len(branch_name("x" * 500, "job", "1", "main")) < 70


def test_a_rule_with_another_name_keeps_its_branch(told: Story) -> None:
    branch = opened(told)
    told.job.name = "Something else"
    told.job.save()
    told.change()
    told.source.commit({b"docs/a.md": b"newer\n"})
    told.item()
    assert told.branch == branch
    assert [pull.head for pull in told.pulls()] == [branch]


def test_a_branch_of_somebody_else_is_left_alone(told: Story) -> None:
    target = CopyState.objects.get(target__rule__job=told.job).target
    name = branch_name(told.job.name, str(told.job.pk), str(target.repository_id), "main")
    told.target.git("branch", name, "main")
    theirs = told.target.commit({b"mine.txt": b"mine\n"}, branch=name)
    item = told.item()
    assert (item.state, item.code) == (ItemState.CONFLICT, "held")
    assert f"has a branch {name} already that OpsSight did not make" in item.sentence
    assert told.target.oid(name) == theirs
    assert told.pulls() == []
    told.at.connection.refresh_from_db()
    assert told.at.connection.state == "ok", "what people did says nothing about the connection"


# --- newer changes --------------------------------------------------------------------------------------


def test_everything_that_is_not_merged_stays_in_it(told: Story) -> None:
    branch = opened(told)
    told.source.commit({b"docs/c.md": b"c\n"})
    told.item()
    assert set(told.tree(branch)) == {"index.html", "copied/a.md", "copied/b.md", "copied/c.md"}
    assert told.target.git("rev-list", "--count", f"main..{branch}") == "1"


def test_what_is_taken_back_at_the_source_goes_from_it(told: Story) -> None:
    told.target.commit({b"copied/a.md": b"old a\n"})
    branch = opened(told)
    told.source.commit({b"docs/a.md": b"old a\n"})
    told.item()
    assert told.tree(branch)["copied/a.md"] == told.tree()["copied/a.md"]
    assert told.target.git("diff", "--name-only", "main", branch) == "copied/b.md"


def test_nothing_is_pushed_when_only_the_base_moved(told: Story) -> None:
    branch = opened(told)
    before = told.target.oid(branch)
    told.target.commit({b"else.txt": b"else\n"})
    assert told.item().state == ItemState.SKIPPED
    assert told.target.oid(branch) == before


def test_it_is_made_again_when_the_base_changed_the_same_file(told: Story) -> None:
    branch = opened(told)
    base = told.target.commit({b"copied/a.md": b"otherwise\n"})
    assert told.item().state == ItemState.DONE
    assert told.target.oid(f"{branch}^") == base
    assert told.merge().state == PullState.MERGED
    assert told.text("copied/a.md") == "a"


def test_append_adds_commits(told: Story) -> None:
    told.change(update="append")
    branch = opened(told)
    first = told.target.oid(branch)
    told.source.commit({b"docs/a.md": b"newer\n", b"docs/c.md": b"c\n"})
    told.item()
    told.source.commit({b"docs/c.md": None})
    told.item()
    assert told.target.git("rev-list", "--count", f"main..{branch}") == "3"
    assert told.target.oid(f"{branch}~2") == first
    assert told.text("copied/a.md", branch) == "newer"
    assert "copied/c.md" not in told.tree(branch), "what was proposed and is not wanted any more goes"
    before = told.target.oid(branch)
    assert told.item().state == ItemState.SKIPPED
    assert told.target.oid(branch) == before


def test_append_brings_back_what_the_base_has(told: Story) -> None:
    """What was proposed and is as in the base again: that content is at the target only."""
    told.change(update="append")
    told.target.commit({b"copied/a.md": b"base\n"})
    branch = opened(told)
    told.source.commit({b"docs/a.md": b"base\n"})
    told.item()
    assert told.text("copied/a.md", branch) == "base"


def test_recreate_closes_the_old_one(told: Story) -> None:
    told.change(update="recreate")
    branch = opened(told)
    [first] = told.pulls()
    told.source.commit({b"docs/a.md": b"newer\n"})
    told.item()
    [second] = told.pulls()
    assert (second.head, second.number > first.number) == (branch, True)
    assert told.client.pull(told.site, first.number).state == PullState.CLOSED
    assert told.target.git("rev-list", "--count", f"main..{branch}") == "1"
    assert told.item().state == ItemState.SKIPPED


# --- people ---------------------------------------------------------------------------------------------


def test_hold_waits_for_people(told: Story) -> None:
    told.change(others_commits="hold")
    branch = opened(told)
    theirs = told.target.commit({b"theirs.md": b"theirs\n"}, branch=branch)
    told.source.commit({b"docs/a.md": b"newer\n"})
    run = told.run()
    [item] = run.items.all()
    assert (run.state, item.state) == (RunState.FAILED, ItemState.CONFLICT)
    assert item.sentence.startswith("Ada pushed 1 commit to its branch, so the pull request waits.")
    assert told.target.oid(branch) == theirs
    told.merge()
    told.change(others_commits="append")
    assert told.item().state == ItemState.DONE


def test_a_file_that_both_changed_is_held(told: Story) -> None:
    branch = opened(told)
    theirs = told.target.commit({b"copied/a.md": b"theirs\n"}, branch=branch)
    told.source.commit({b"docs/a.md": b"newer\n"})
    item = told.item()
    assert item.state == ItemState.CONFLICT
    assert "copied/a.md was changed at the source, and on the branch" in item.sentence
    assert told.target.oid(branch) == theirs


def test_recreate_keeps_what_people_did(told: Story) -> None:
    told.change(update="recreate")
    branch = opened(told)
    theirs = told.target.commit({b"theirs.md": b"theirs\n"}, branch=branch)
    told.source.commit({b"docs/a.md": b"newer\n"})
    told.item()
    assert told.target.oid(f"{branch}^") == theirs


def test_the_base_merged_into_it_by_a_button_is_no_change_of_anybody(told: Story) -> None:
    branch = opened(told)
    told.target.commit({b"else.txt": b"else\n", b"copied/b.md": b"b\n"})
    bare = told.target
    tree = bare.git("merge-tree", "--write-tree", branch, "main")
    merge = bare.git("commit-tree", tree, "-p", branch, "-p", "main", "-m", "Merge main")
    bare.git("update-ref", f"refs/heads/{branch}", merge)
    told.source.commit({b"docs/a.md": b"newer\n"})
    told.item()
    assert told.target.oid(f"{branch}^") == merge
    assert told.text("copied/a.md", branch) == "newer"


def test_commits_of_people_outlive_the_last_change_of_ours(told: Story) -> None:
    branch = opened(told)
    theirs = told.target.commit({b"theirs.md": b"theirs\n"}, branch=branch)
    told.target.commit({b"copied/a.md": b"a\n", b"copied/b.md": b"b\n"})
    item = told.item()
    assert f"The branch {branch} has commits of Ada, so it is left there." in item.sentence
    assert told.target.oid(branch) == theirs
    assert len(told.pulls()) == 1


# --- races ----------------------------------------------------------------------------------------------


def test_somebody_who_pushes_meanwhile_loses_nothing(told: Story) -> None:
    """The server moves the branch just before our push arrives: it is refused, and built again on top."""
    branch = opened(told)
    hook = told.target.path / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    who = "GIT_AUTHOR_NAME=Bea GIT_AUTHOR_EMAIL=b@x GIT_COMMITTER_NAME=Bea GIT_COMMITTER_EMAIL=b@x"
    hook.write_text(
        f"#!/bin/sh\nunset GIT_QUARANTINE_PATH\nref=refs/heads/{branch}\n"
        f"new=$({who} git commit-tree $ref^{{tree}} -p $ref -m theirs)\n"
        'git update-ref $ref $new\nrm -- "$0"\n'
    )
    hook.chmod(0o755)
    told.source.commit({b"docs/a.md": b"newer\n"})
    item = told.item()
    assert item.state == ItemState.DONE
    assert told.target.git("log", "--format=%an", f"main..{branch}").split() == [
        "OpsSight",
        "Bea",
        "OpsSight",
    ]
    assert told.text("copied/a.md", branch) == "newer"
