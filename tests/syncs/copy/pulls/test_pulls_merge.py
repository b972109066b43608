"""How pull requests end: merged by people, by the forge or by us, and closed without being merged."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from opssight.core.clock import now
from repos.events import PipelineChanged, PullRequestChanged, publish
from repos.providers.forge import Check, CheckState
from repos.providers.types import PullState
from syncs import inbox, jobs
from syncs.copy.models import OwnedFile
from syncs.copy.runs.automerge import COALESCE
from syncs.models import ItemState, Run, RunState
from tests.syncs.copy.story import Story, execute

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]


def waiting(told: Story) -> Run | None:
    return Run.objects.filter(coalesce_key=f"{told.job.pk}/{COALESCE}", state=RunState.QUEUED).first()


def check(told: Story, state: CheckState, name: str = "build") -> None:
    told.client.set_check(told.site, told.target.oid(told.branch), Check(name, state))


# --- by people ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["merge", "squash", "rebase"])
def test_a_merge_of_any_kind_takes_the_target_forward(told: Story, method: str) -> None:
    told.item()
    branch = told.branch
    told.merge(method)
    told.target.commit({b"copied/a.md": b"edited after the merge\n"})
    item = told.item()
    assert item.state == ItemState.SKIPPED, "what was merged is not proposed again"
    assert (told.state.source_oid, told.state.pull_number) == (told.source.oid("main"), None)
    assert not told.target.oid(branch)
    assert not OwnedFile.objects.filter(pending=True).exists()
    assert OwnedFile.objects.filter(pending=False).count() == 1


def test_what_came_after_the_merged_commit_is_not_lost(told: Story) -> None:
    """The pull request is merged while a newer change is pushed to its branch."""
    told.item()
    [pull] = told.pulls()
    first = pull.head_oid
    told.source.commit({b"docs/b.md": b"b\n"})
    told.item()
    told.target.git("update-ref", f"refs/heads/{told.branch}", first)
    told.merge()
    assert told.item().state == ItemState.DONE
    [second] = told.pulls()
    assert set(told.tree(second.head)) == {"index.html", "copied/a.md", "copied/b.md"}
    told.merge()
    told.item()
    assert "copied/b.md" in told.tree()


def test_commits_that_came_after_the_merge_are_kept(told: Story) -> None:
    told.item()
    branch = told.branch
    told.merge()
    theirs = told.target.commit({b"late.md": b"late\n"}, branch=branch)
    told.item()
    assert told.target.oid(branch) == theirs


def test_what_a_person_closed_is_not_opened_again_for_the_same(told: Story) -> None:
    told.item()
    [first] = told.pulls()
    told.client.close_pull(told.site, first.number)
    item = told.item()
    assert (item.state, told.pulls()) == (ItemState.SKIPPED, [])
    assert item.sentence == (
        f"Pull request #{first.number} was closed without being merged. The next change opens another one."
    )
    told.source.commit({b"docs/b.md": b"b\n"})
    told.item()
    [second] = told.pulls()
    assert second.number > first.number
    assert {"copied/a.md", "copied/b.md"} <= set(told.tree(second.head))


def test_asking_for_everything_opens_what_was_closed(told: Story) -> None:
    told.item()
    [first] = told.pulls()
    told.client.close_pull(told.site, first.number)
    assert told.item(whole=True).state == ItemState.DONE
    assert len(told.pulls()) == 1


def test_a_deleted_branch_is_made_again(told: Story) -> None:
    told.item()
    branch = told.branch
    told.target.git("update-ref", "-d", f"refs/heads/{branch}")
    told.source.commit({b"docs/b.md": b"b\n"})
    told.item()
    assert {"copied/a.md", "copied/b.md"} <= set(told.tree(branch))


# --- by news --------------------------------------------------------------------------------------------


def test_news_of_a_merge_are_looked_at(told: Story) -> None:
    told.item()
    branch = told.branch
    merged = told.merge()
    repository = told.at.row("acme/site")
    ended: dict[str, Any] = {"what": "closed", "state": "merged", "heard": "webhook"}
    assert publish(PullRequestChanged(repository_id=repository.pk, number=merged.number, **ended)) == []
    run = execute()
    assert (run.state, run.sentence) == (RunState.SUCCEEDED, "1 pull request merged.")
    assert run.because == f"pull request #{merged.number} of acme/site is merged"
    assert not told.target.oid(branch)
    assert told.state.source_oid == told.source.oid("main")


def test_news_of_others_ask_for_nothing(told: Story) -> None:
    told.item()
    repository = told.at.row("acme/site")
    other: dict[str, Any] = {"repository_id": repository.pk, "what": "closed", "heard": "webhook"}
    publish(PullRequestChanged(number=4711, state="merged", **other))
    publish(PullRequestChanged(number=told.state.pull_number or 0, state="open", **other))
    assert waiting(told) is None


# --- by the forge ---------------------------------------------------------------------------------------


def test_the_forge_merges_by_itself_where_it_can(told: Story) -> None:
    told.at.forge.prepare_auto_merge(told.at.repo(), "main")
    told.at.repo().more |= {"allow_auto_merge": True, "required_checks": ["build"]}
    told.change(auto_merge=True, merge_method="squash")
    told.item()
    assert waiting(told) is None
    [pull] = told.pulls()
    check(told, CheckState.SUCCESS)
    assert told.client.pull(told.site, pull.number).state == PullState.MERGED
    assert told.target.oid("main^2") == "", "squashed"


def test_where_the_repository_does_not_allow_it_we_merge(told: Story) -> None:
    told.change(auto_merge=True)
    told.item()
    assert waiting(told) is not None


# --- by us ----------------------------------------------------------------------------------------------


def test_it_is_merged_once_its_checks_have_passed(bucket: Story) -> None:
    item = bucket.item()
    assert item.result["merges"] is True
    run = waiting(bucket)
    assert run is not None
    assert (run.wait_reason, run.input) == ("waits for the checks of pull requests", {"look": True})
    assert run.run_after > now() + dt.timedelta(seconds=30)
    check(bucket, CheckState.PENDING)
    run = execute()
    assert (run.state, run.attempt) == (RunState.QUEUED, 0)
    assert run.wait_reason == "Checks of pull requests go on at acme/site."
    assert run.run_after > now() + dt.timedelta(seconds=30)

    check(bucket, CheckState.SUCCESS)
    publish(
        PipelineChanged(
            repository_id=bucket.at.row("acme/site").pk,
            heard="webhook",
            external_id="1",
            state="succeeded",
            oid=bucket.target.oid(bucket.branch),
        )
    )
    run.refresh_from_db()
    assert run.run_after <= now() + dt.timedelta(seconds=1), "the news bring it forward"
    run = execute()
    assert (run.state, run.sentence) == (RunState.SUCCEEDED, "1 pull request merged.")
    assert bucket.text("copied/a.md") == "a"
    assert (bucket.state.source_oid, bucket.state.proposed_oid) == (bucket.source.oid("main"), "")
    assert [ref for ref in bucket.target.refs() if "opssight" in ref] == []


def test_red_checks_stop_it_and_are_told(bucket: Story) -> None:
    bucket.item()
    check(bucket, CheckState.FAILURE, "unit tests")
    run = execute()
    [item] = run.items.all()
    assert (run.state, item.state) == (RunState.FAILED, ItemState.CONFLICT)
    number = bucket.state.pull_number
    assert item.sentence.startswith(f"Pull request #{number} is not merged: unit tests failed.")
    [need] = inbox.needs(bucket.at.principal, bucket.job.team)
    assert "unit tests failed" in str(need.sentence)
    assert len(bucket.pulls()) == 1


def test_a_conflict_stops_it(bucket: Story) -> None:
    bucket.item()
    bucket.target.commit({b"copied/a.md": b"otherwise\n"})
    run = execute()
    [item] = run.items.all()
    assert item.state == ItemState.CONFLICT, item.sentence
    assert item.sentence.startswith(f"Pull request #{bucket.state.pull_number} is not merged.")


def test_commits_of_others_are_merged_by_others(bucket: Story) -> None:
    bucket.item()
    bucket.target.commit({b"theirs.md": b"theirs\n"}, branch=bucket.branch)
    run = execute()
    assert "has commits of others, so it is not merged by itself" in run.sentence
    assert len(bucket.pulls()) == 1


def test_commits_of_others_below_ours_are_merged_by_others(bucket: Story) -> None:
    bucket.item()
    Run.objects.filter(state=RunState.QUEUED).delete()
    bucket.target.commit({b"theirs.md": b"theirs\n"}, branch=bucket.branch)
    bucket.source.commit({b"docs/b.md": b"b\n"})
    item = bucket.item()
    assert bucket.target.oid(bucket.branch) == item.result["commit"], "ours is on top of theirs"
    assert "It has commits of Ada, so it is not merged by itself" in item.sentence
    assert waiting(bucket) is None
    jobs.start(bucket.job, Run.Trigger.MANUAL, "test", input={"look": True})
    assert "has commits of others, so it is not merged by itself" in execute().sentence
    assert len(bucket.pulls()) == 1


def test_one_that_was_pointed_at_another_branch_is_not_merged(bucket: Story) -> None:
    bucket.item()
    bucket.target.git("branch", "production", "main")
    [pull] = bucket.at.repo("acme/site").pulls.values()
    pull["base"] = "production"
    run = execute()
    assert "is not merged" in run.items.get().sentence
    assert pull["state"] == "OPEN"
    assert "copied/a.md" not in bucket.tree("production")


def test_a_merge_into_another_branch_brings_the_target_nothing(told: Story) -> None:
    told.item()
    first = told.source.oid("main")
    told.target.git("branch", "develop", "main")
    [pull] = told.at.repo("acme/site").pulls.values()
    pull["base"] = "develop"
    told.merge()
    assert not OwnedFile.objects.filter(pending=False).exists()
    told.source.commit({b"docs/b.md": b"b\n"})
    item = told.item()
    assert item.state == ItemState.DONE
    assert set(told.tree(told.branch)) >= {"copied/a.md", "copied/b.md"}
    assert told.pulls()[0].base == "main"
    assert told.state.source_oid not in (first, told.source.oid("main")), "it was not merged into its target"


def test_patience_ends_after_a_day(bucket: Story) -> None:
    bucket.item()
    check(bucket, CheckState.PENDING)
    run = waiting(bucket)
    assert run is not None
    Run.objects.filter(pk=run.pk).update(created_at=now() - dt.timedelta(hours=25))
    run = execute()
    assert run.state == RunState.FAILED
    assert "its checks have not ended within a day" in run.sentence


def test_a_look_does_not_hide_what_failed_before(bucket: Story) -> None:
    bucket.item()
    before = Run.objects.filter(job=bucket.job).earliest("pk")
    Run.objects.filter(pk=before.pk).update(state=RunState.PARTIAL, sentence="Another target refused.")
    Run.objects.filter(job=bucket.job, state=RunState.SUCCEEDED).delete()
    run = execute()
    assert (run.state, run.sentence) == (
        RunState.PARTIAL,
        "1 pull request merged. Another run does what was left undone.",
    )
    assert execute(bucket.job).state == RunState.SUCCEEDED
