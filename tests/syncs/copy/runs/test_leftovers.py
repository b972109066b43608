"""Pull requests that lost their rule: a target was taken out, the rule deleted, or its strategy changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from opssight.accounts.models import Membership, Role
from opssight.accounts.scope import Principal
from opssight.audit.models import AuditEvent
from repos.models import RepositoryStatus
from repos.providers.forge import NewPull
from repos.providers.types import PullState
from syncs import jobs
from syncs.copy.models import CopyState
from syncs.copy.rules.options import Options
from syncs.copy.saved.leaving import LEFT
from syncs.copy.saved.service import create_rule, update_rule
from syncs.models import ItemState, Job, Run, RunState
from tests.factories import make_team, make_user
from tests.forges.standin import Reply
from tests.syncs.copy.kills import Killed, kill_at
from tests.syncs.copy.left import (
    branches,
    close_left,
    closing,
    commit_directly,
    delete,
    now,
    opened,
    take_out,
)
from tests.syncs.copy.story import Story, World, execute, pull_options, rule_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]
FORGES = ["github", "gitlab", "gitea", "bitbucket"]


@pytest.fixture
def told(world: World) -> Iterator[Story]:
    """Its rule has a pull request open."""
    with world.story("github") as made:
        yield opened(made)


WAYS: list[Callable[[Story], None]] = [take_out, delete, commit_directly]


@pytest.mark.parametrize("kind", FORGES)
@pytest.mark.parametrize("way", WAYS)
def test_it_is_closed_with_its_branch(world: World, kind: str, way: Callable[[Story], None]) -> None:
    with world.story(kind) as told:
        opened(told)
        [pull] = told.pulls()
        assert len(branches(told)) == 1
        told.at.forge.asked.clear()
        way(told)
        assert told.asked() == [], "saving waits for no forge"
        item = close_left()
        assert (item.state, item.run.state) == (ItemState.DONE, RunState.SUCCEEDED), item.sentence
        assert item.sentence.startswith(
            f"Pull request #{pull.number} is closed and the branch {pull.head} is"
        )
        assert item.run.sentence == "Closed 1 pull request that no rule needs."
        assert (now(told, pull.number).state, branches(told)) == (PullState.CLOSED, [])
        assert "OpsSight closed this: its rule " in now(told, pull.number).body
        [event] = AuditEvent.objects.filter(action="copy.pull_request.close")
        assert event.diff["pull_request"] == pull.url


@pytest.mark.parametrize("way", WAYS)
def test_what_a_person_added_stays_open(told: Story, way: Callable[[Story], None]) -> None:
    [pull] = told.pulls()
    theirs = told.target.commit({b"mine.md": b"mine"}, branch=pull.head)
    way(told)
    item = close_left()
    assert item.state == ItemState.SKIPPED
    assert item.sentence == f"Pull request #{pull.number} has commits of Ada, so it stays open."
    assert item.run.sentence.startswith("Closed no pull request; acme/site: Pull request #")
    assert (now(told, pull.number).state, told.target.oid(pull.head)) == (PullState.OPEN, theirs)


def test_one_that_waits_to_be_merged_by_the_forge_does_not_any_more(world: World) -> None:
    with world.story("github", pull_options(auto_merge=True)) as told:
        told.at.repo().more |= {"allow_auto_merge": True, "required_checks": ["build"]}
        opened(told)
        [pull] = told.pulls()
        told.target.commit({b"mine.md": b"mine"}, branch=pull.head)
        delete(told)
        assert close_left().sentence.endswith("GitHub was to merge it by itself; that is switched off.")
        assert told.at.repo().pulls[pull.number]["auto_merge"] is None


def test_one_that_was_pointed_elsewhere_or_merged_is_left(told: Story) -> None:
    [pull] = told.pulls()
    told.target.git("branch", "elsewhere", "main")
    told.at.repo().pulls[pull.number]["base"] = "elsewhere"
    delete(told)
    assert close_left().sentence == f"Pull request #{pull.number} was pointed at elsewhere, so it stays."
    assert now(told, pull.number).state == PullState.OPEN


def test_the_branch_of_a_merged_one_goes(told: Story) -> None:
    [pull] = told.pulls()
    told.merge("squash")
    delete(told)
    assert close_left().sentence.startswith(f"Pull request #{pull.number} was merged and the branch ")
    assert branches(told) == []


def test_a_branch_of_this_name_that_is_not_ours_stays(world: World) -> None:
    """No run has stored a branch, so what stands there may be anybody's."""
    with world.story("github") as told:
        opened(told)
        [pull] = told.pulls()
        told.client.close_pull(told.site, pull.number)
        told.target.git("update-ref", "-d", f"refs/heads/{pull.head}")
        told.target.git("branch", pull.head, "main")
        told.target.commit({b"theirs.md": b"1"}, branch=pull.head)
        theirs = told.client.open_pull(told.site, NewPull(pull.head, "main", "Mine"))
        CopyState.objects.all().delete()
        delete(told)
        assert close_left().state == ItemState.SKIPPED
        assert now(told, theirs.number).state == PullState.OPEN


def test_others_are_not_touched(told: Story) -> None:
    told.target.git("branch", "opssight/mine", "main")
    told.target.commit({b"theirs.md": b"1"}, branch="opssight/mine")
    theirs = told.client.open_pull(told.site, NewPull("opssight/mine", "main", "Mine"))
    delete(told)
    assert close_left().state == ItemState.DONE
    assert [pull.number for pull in told.pulls()] == [theirs.number]


# --- kills ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["github", "gitlab"])
@pytest.mark.parametrize(
    "name", ["left-asked", "pull-closed", "pushed", "left-branch-deleted", "left-stored"]
)
@pytest.mark.parametrize("way", [take_out, delete])
def test_a_kill_in_the_middle_leaves_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str, name: str, way: Callable[[Story], None]
) -> None:
    with world.story(kind) as told:
        opened(told)
        [pull] = told.pulls()
        way(told)
        Run.objects.filter(state=RunState.QUEUED).exclude(input__has_key=LEFT).delete()
        killed = kill_at(monkeypatch, name, "after")
        with pytest.raises(Killed):
            execute()
        assert killed
        running = Run.objects.filter(state=RunState.RUNNING)
        running.update(state=RunState.QUEUED, lease_token=None, lease_until=None)
        run = execute()
        assert run.state == RunState.SUCCEEDED, run.sentence
        assert (now(told, pull.number).state, branches(told)) == (PullState.CLOSED, [])
        assert now(told, pull.number).body.count("OpsSight closed this") == 1


def test_one_that_no_run_has_stored_is_found_by_its_branch(
    told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker was killed when it had opened it, and the rule was deleted then."""
    [pull] = told.pulls()
    CopyState.objects.all().delete()
    delete(told)
    assert close_left().state == ItemState.DONE
    assert (now(told, pull.number).state, branches(told)) == (PullState.CLOSED, [])


def test_a_forge_that_is_down_is_asked_again(told: Story) -> None:
    delete(told)
    told.at.forge.next_replies = [Reply(502, {"message": "Bad gateway"})] * 12
    assert closing().state == RunState.QUEUED
    told.at.forge.next_replies = []
    assert execute().state == RunState.SUCCEEDED
    assert told.pulls() == []


def test_what_waits_when_the_rule_is_deleted_as_well_is_not_lost(told: Story) -> None:
    [pull] = told.pulls()
    take_out(told)
    delete(told)
    [run] = Run.objects.filter(state=RunState.QUEUED)
    assert (run.job_id, len(run.input[LEFT])) == (None, 2)
    run = execute()
    assert (run.state, run.items.count()) == (RunState.SUCCEEDED, 2)
    assert now(told, pull.number).state == PullState.CLOSED


# --- what it respects -----------------------------------------------------------------------------------


def test_a_target_that_is_back_keeps_its_pull_request(told: Story) -> None:
    [pull] = told.pulls()
    take_out(told)
    told.change()
    Run.objects.all().delete()
    take_out(told)
    [left] = Run.objects.filter(input__has_key=LEFT)
    config = rule_of(told.at, pull_options(), told.job.name)
    update_rule(told.at.principal, told.job, config)
    Run.objects.exclude(pk=left.pk).delete()
    item = close_left()
    assert item.sentence == "The rule brings changes there again, so its pull request stays."
    assert now(told, pull.number).state == PullState.OPEN


def test_whoever_saved_it_has_to_be_allowed_still(world: World) -> None:
    with world.story("github") as told:
        user = make_user()
        there = Membership.objects.create(team=told.job.team, user=user, role=Role.OPERATOR)
        job, _ = create_rule(
            Principal.of_user(user), make_team(user), rule_of(told.at, pull_options(), "theirs"), start="now"
        )
        told.source.commit({b"docs/a.md": b"a\n"})
        assert execute(job).state == RunState.SUCCEEDED
        [pull] = told.pulls()
        jobs.delete_job(job)
        there.delete()
        item = close_left()
        assert item.state == ItemState.FAILED
        assert "belongs to another team" in item.sentence
        assert now(told, pull.number).state == PullState.OPEN


def test_a_rule_of_direct_commits_leaves_nothing_behind(world: World) -> None:
    with world.story("github", Options()) as told:
        delete(told)
        assert not Run.objects.filter(state=RunState.QUEUED).exists()


# --- another strategy -----------------------------------------------------------------------------------


@pytest.mark.parametrize("whole", [False, True])
def test_what_was_proposed_arrives_directly_with_the_next_change(told: Story, whole: bool) -> None:
    if whole:
        told.item(whole=True)
        assert told.state.source_oid == ""
    commit_directly(told)
    for run in Run.objects.filter(state=RunState.QUEUED):
        execute(run.job)
    status = RepositoryStatus.objects.get(repository=told.at.row("acme/docs"), lane="copy")
    assert (status.state, status.sentence) == ("behind", "0 of 1 target at HEAD")
    assert status.behind == (None if whole else 1)
    told.source.commit({b"docs/b.md": b"b\n"})
    story = Story(told.at, Job.objects.get(pk=told.job.pk))
    item = story.item()
    assert item.state == ItemState.DONE, item.sentence
    status.refresh_from_db()
    assert (status.state, status.sentence) == ("fresh", "1 of 1 target at HEAD")
    assert {"copied/a.md", "copied/b.md"} <= set(told.tree())
    assert (story.state.source_oid, story.state.proposed_oid) == (told.source.oid("main"), "")


def test_what_was_committed_is_not_proposed_again(world: World) -> None:
    with world.story("github", Options()) as told:
        opened(told)
        options: Any = pull_options()
        told.job, _ = update_rule(told.at.principal, told.job, rule_of(told.at, options, told.job.name))
        Run.objects.filter(state=RunState.QUEUED).delete()
        told.source.commit({b"docs/b.md": b"b\n"})
        assert told.item().state == ItemState.DONE
        assert told.target.git("diff", "--name-only", "main", told.branch) == "copied/b.md"
