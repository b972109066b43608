"""What the run that closes pull requests finds at the forge beside the one that it looks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from repos.providers.forge import NewPull, Pull
from repos.providers.types import PullState
from syncs.copy.models import CopyState
from syncs.copy.rules.config import Target
from syncs.copy.saved.service import update_rule
from syncs.engine.context import RunContext
from syncs.models import ItemState, RunState
from tests.syncs.copy.left import branches, close_left, closing, delete, now, opened, take_out
from tests.syncs.copy.story import Story, World, execute, pull_options, rule_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]


@pytest.fixture
def told(world: World) -> Iterator[Story]:
    """Its rule has a pull request open."""
    with world.story("github") as made:
        yield opened(made)


def at_checkpoint(monkeypatch: pytest.MonkeyPatch, name: str, do: Callable[[], object]) -> None:
    """Once, when a run has come there."""
    checkpoint, did = RunContext.checkpoint, list[str]()

    def reached(self: RunContext, here: str) -> None:
        checkpoint(self, here)
        if here == name and not did:
            did.append(here)
            do()

    monkeypatch.setattr(RunContext, "checkpoint", reached)


# --- another pull request -------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["gitlab", "github", "gitea"])
def test_one_that_a_person_opened_again_from_the_branch_is_closed(world: World, kind: str) -> None:
    with world.story(kind) as told:
        opened(told)
        [pull] = told.pulls()
        told.client.close_pull(told.site, pull.number)
        second = told.client.open_pull(told.site, NewPull(pull.head, "main", "Again"))
        delete(told)
        item = close_left()
        assert item.sentence.startswith(f"Pull request #{second.number} is closed and the branch ")
        assert (now(told, second.number).state, branches(told)) == (PullState.CLOSED, [])


@pytest.mark.parametrize("closed_before", [True, False])
def test_the_branch_stays_for_one_to_another_base(told: Story, closed_before: bool) -> None:
    [pull] = told.pulls()
    told.target.git("branch", "elsewhere", "main")
    if closed_before:
        told.client.close_pull(told.site, pull.number)
    second = told.client.open_pull(told.site, NewPull(pull.head, "elsewhere", "Mine"))
    delete(told)
    item = close_left()
    assert item.state == (ItemState.SKIPPED if closed_before else ItemState.DONE)
    words = f"Pull request #{second.number} is open from {pull.head} as well, so the branch stays."
    assert item.sentence.endswith(words)
    assert [now(told, number).state for number in (pull.number, second.number)] == ["closed", "open"]
    assert len(branches(told)) == 1


def test_one_that_was_pointed_elsewhere_stays_without_its_number(world: World) -> None:
    with world.story("gitlab") as told:
        opened(told)
        [pull] = told.pulls()
        told.target.git("branch", "elsewhere", "main")
        told.at.repo().pulls[pull.number]["target_branch"] = "elsewhere"
        CopyState.objects.update(pull_number=None, pull_url="")
        delete(told)
        item = close_left()
        assert item.state == ItemState.SKIPPED, item.sentence
        assert now(told, pull.number).state == PullState.OPEN
        assert len(branches(told)) == 1


def test_auto_merge_that_a_person_switched_on_stays(world: World) -> None:
    with world.story("github") as told:
        told.at.repo().more |= {"allow_auto_merge": True, "required_checks": ["build"]}
        opened(told)
        [pull] = told.pulls()
        told.target.commit({b"mine.md": b"mine"}, branch=pull.head)
        told.client.auto_merge(told.site, pull.number, "merge")
        delete(told)
        assert close_left().sentence == f"Pull request #{pull.number} has commits of Ada, so it stays open."
        assert told.at.repo().pulls[pull.number]["auto_merge"]


# --- another name, another base -------------------------------------------------------------------------


@pytest.mark.parametrize("way", [take_out, delete])
def test_a_branch_that_no_run_has_stored_is_found_under_the_name_of_then(
    told: Story, way: Callable[[Story], None]
) -> None:
    [pull] = told.pulls()
    CopyState.objects.all().delete()
    config = rule_of(told.at, pull_options(), "Another name")
    told.job, _ = update_rule(told.at.principal, told.job, config)
    way(told)
    item = close_left()
    assert item.state == ItemState.DONE, item.sentence
    assert (now(told, pull.number).state, branches(told)) == (PullState.CLOSED, [])


def test_renamed_and_taken_out_while_its_first_run_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.story("github") as told:
        told.source.commit({b"docs/a.md": b"a\n"})
        told.target.git("branch", "other", "main")
        site = str(told.at.row("acme/site").pk)
        config = replace(rule_of(told.at, pull_options(), "New"), targets=(Target(site, "other"),))
        at_checkpoint(monkeypatch, "planned", lambda: update_rule(told.at.principal, told.job, config))
        told.run()
        for _ in range(4):
            if told.job.runs.filter(state=RunState.QUEUED).exists():
                execute()
        assert [pull for pull in told.pulls() if pull.base == "main"] == []


def test_it_stays_where_its_base_is_gone(told: Story) -> None:
    [pull] = told.pulls()
    told.target.git("branch", "keep", "main")
    told.target.git("update-ref", "-d", "refs/heads/main")
    delete(told)
    item = close_left()
    assert (item.state, item.run.state) == (ItemState.SKIPPED, RunState.SUCCEEDED)
    assert "stays: its base main is gone" in item.sentence
    assert now(told, pull.number).state == PullState.OPEN


# --- somebody pushes meanwhile --------------------------------------------------------------------------


def deleted_with_a_push(told: Story, monkeypatch: pytest.MonkeyPatch, checkpoint: str) -> Pull:
    """The pull request of a deleted rule, to whose branch somebody pushes at this checkpoint of closing."""
    [pull] = told.pulls()
    delete(told)
    at_checkpoint(
        monkeypatch, checkpoint, lambda: told.target.commit({b"mine.md": b"mine"}, branch=pull.head)
    )
    return pull


def test_a_push_after_the_look_is_seen_before_it_is_closed(
    told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull = deleted_with_a_push(told, monkeypatch, "branch-read")
    assert closing().state == RunState.QUEUED
    assert close_left().state == ItemState.SKIPPED
    assert now(told, pull.number).state == PullState.OPEN


def test_a_push_after_it_was_closed_keeps_the_branch_and_is_told(
    told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    pull = deleted_with_a_push(told, monkeypatch, "pull-closed")
    item = close_left()
    assert item.state == ItemState.DONE
    assert item.sentence.startswith(f"Pull request #{pull.number} is closed: its rule was deleted.")
    assert item.sentence.endswith("reopen the pull request there if it is still wanted.")
    assert len(branches(told)) == 1
