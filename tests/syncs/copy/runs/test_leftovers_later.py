"""Pull requests that could not be closed at once are closed later, and each closing is in the audit log."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from opssight.audit.models import AuditEvent
from repos import access
from repos.models import Connection
from repos.providers.types import PullState
from syncs import jobs
from syncs.copy.models import CopyRule, CopyState
from syncs.copy.saved.leaving import LEFT
from syncs.copy.saved.states import set_state
from syncs.models import ItemState, Run, RunState
from tests.forges.standin import Reply
from tests.syncs.copy.kills import Killed, kill_at
from tests.syncs.copy.left import branches, close_left, closing, delete, now, opened, take_out
from tests.syncs.copy.story import Story, World, execute

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]
FORBIDDEN = Reply(403, {"message": "Forbidden"})
REFUSED = Reply(401, {"message": "Bad credentials"})


@pytest.fixture
def told(world: World) -> Iterator[Story]:
    """Its rule has a pull request open."""
    with world.story("github") as made:
        yield opened(made)


def closing_with(told: Story, reply: Reply) -> Run:
    told.at.forge.next_replies = [reply] * 30
    run = closing()
    told.at.forge.next_replies = []
    return run


# --- it failed ------------------------------------------------------------------------------------------


def test_what_failed_for_good_is_closed_when_the_rule_is_deleted(told: Story) -> None:
    [pull] = told.pulls()
    take_out(told)
    assert closing_with(told, FORBIDDEN).state == RunState.FAILED
    delete(told)
    run = closing()
    assert (run.state, run.items.count()) == (RunState.SUCCEEDED, 2), run.sentence
    assert now(told, pull.number).state == PullState.CLOSED


def test_what_was_closed_or_retried_since_is_not_taken_along(told: Story) -> None:
    take_out(told)
    failed = closing_with(told, FORBIDDEN)
    again = jobs.retry(failed, "test")
    assert (again.input["only"], closing().state) == (["0"], RunState.SUCCEEDED)
    delete(told)
    [run] = Run.objects.filter(state=RunState.QUEUED, input__has_key=LEFT)
    assert [left["base"] for left in run.input[LEFT]] == ["other"]


def test_it_can_be_retried_when_the_rule_is_gone(told: Story) -> None:
    [pull] = told.pulls()
    delete(told)
    failed = closing_with(told, FORBIDDEN)
    assert (failed.state, failed.job) == (RunState.FAILED, None)
    assert jobs.is_retryable(failed)
    again = jobs.retry(failed, "test", idempotency_key="one")
    assert jobs.retry(failed, "test", idempotency_key="one") == again
    assert (again.parent, again.connection, again.title) == (failed, failed.connection, failed.title)
    assert closing().state == RunState.SUCCEEDED
    assert now(told, pull.number).state == PullState.CLOSED


def test_other_runs_without_their_rule_are_not_retried(told: Story) -> None:
    run = told.run()
    Run.objects.filter(pk=run.pk).update(state=RunState.FAILED)
    delete(told)
    run.refresh_from_db()
    assert not jobs.is_retryable(run)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_it_waits_for_a_credential_that_is_refused(told: Story, elsewhere: bool) -> None:
    """Also for one of another connection than that of the rule's source."""
    [pull] = told.pulls()
    delete(told)
    if elsewhere:
        Run.objects.filter(input__has_key=LEFT).update(connection=None)
    run = closing_with(told, REFUSED)
    connection = Connection.objects.get(pk=told.at.connection.pk)
    assert (run.state, run.attempt, run.connection) == (RunState.QUEUED, 0, connection)
    assert run.wait_reason == f"waits until {connection.name} is connected again"
    access.note_ok(connection)
    run.refresh_from_db()
    assert run.wait_reason == ""
    assert closing().state == RunState.SUCCEEDED
    assert now(told, pull.number).state == PullState.CLOSED


# --- the rule only looks --------------------------------------------------------------------------------


def test_a_rule_that_only_looks_closes_it_when_it_writes_again(told: Story) -> None:
    [pull] = told.pulls()
    set_state(told.at.principal, told.job, "shadow")
    take_out(told)
    run = closing()
    assert (run.state, run.attempt) == (RunState.QUEUED, 0)
    assert run.wait_reason.startswith("Its rule only looks for now.")
    assert now(told, pull.number).state == PullState.OPEN
    Run.objects.exclude(pk=run.pk).delete()
    set_state(told.at.principal, told.job, "enabled")
    run.refresh_from_db()
    assert (run.wait_reason, run.run_after <= Run.objects.get(pk=run.pk).created_at) == ("", False)
    assert close_left().state == ItemState.DONE
    assert now(told, pull.number).state == PullState.CLOSED


def test_one_that_was_set_to_look_before_the_run_began_closes_nothing(told: Story) -> None:
    [pull] = told.pulls()
    take_out(told)
    CopyRule.objects.update(shadow=True)
    assert closing().state == RunState.QUEUED
    assert now(told, pull.number).state == PullState.OPEN


@pytest.mark.parametrize("before", [False, True])
def test_the_deletion_of_a_rule_that_only_looks_closes_it(told: Story, before: bool) -> None:
    """Also what was taken out of it `before`."""
    [pull] = told.pulls()
    CopyRule.objects.update(shadow=True)
    if before:
        take_out(told)
    delete(told)
    assert close_left().state == ItemState.DONE
    assert (now(told, pull.number).state, branches(told)) == (PullState.CLOSED, [])


def test_a_rule_that_never_wrote_leaves_nothing_behind(told: Story) -> None:
    CopyRule.objects.update(shadow=True)
    CopyState.objects.all().delete()
    for way in (take_out, delete):
        way(told)
        assert not Run.objects.filter(input__has_key=LEFT).exists()


# --- the audit log --------------------------------------------------------------------------------------


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize("name", ["pull-closed", "left-branch-deleted", "pushed", "left-stored"])
def test_a_closing_is_in_the_audit_log_also_after_a_kill(
    told: Story, monkeypatch: pytest.MonkeyPatch, name: str, recorded: bool
) -> None:
    [pull] = told.pulls()
    if not recorded:
        CopyState.objects.all().delete()
    delete(told)
    kill_at(monkeypatch, name, "after")
    with pytest.raises(Killed):
        closing()
    running = Run.objects.filter(state=RunState.RUNNING)
    running.update(state=RunState.QUEUED, lease_token=None, lease_until=None)
    run = execute()
    assert (run.state, run.sentence) == (RunState.SUCCEEDED, "Closed 1 pull request that no rule needs.")
    [event] = AuditEvent.objects.filter(action="copy.pull_request.close")
    assert event.diff["pull_request"] == pull.url


def test_what_a_person_keeps_open_after_a_kill_is_no_closing(
    told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    [pull] = told.pulls()
    delete(told)
    monkeypatch.setattr(type(told.client), "close_pull", _killed)
    with pytest.raises(Killed):
        closing()
    monkeypatch.undo()
    told.target.commit({b"mine.md": b"mine"}, branch=pull.head)
    running = Run.objects.filter(state=RunState.RUNNING)
    running.update(state=RunState.QUEUED, lease_token=None, lease_until=None)
    assert close_left().state == ItemState.SKIPPED
    assert not AuditEvent.objects.filter(action="copy.pull_request.close").exists()


def _killed(*args: object) -> None:
    raise Killed
