from __future__ import annotations

import datetime as dt

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.core.clock import now
from syncs.inbox import needs, worker_line
from syncs.models import Job
from tests.factories import make_job, make_team, make_user, make_worker
from tests.syncs.runs import make_item, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def team() -> Team:
    return make_team(make_user("ada@example.org"))


def principal(team: Team, role: Role = Role.OWNER) -> Principal:
    return Principal(user=team.memberships.get().user, roles={team.pk: role})


def test_one_line_for_each_job_whose_newest_run_did_not_end_well(team: Team) -> None:
    bad, mended = make_job(team, name="bad"), make_job(team, name="mended")
    make_run(bad, "failed", sentence="First.")
    newest = make_run(bad, "partial", sentence="Copied 2 files to 1 of 5 targets.")
    for n in range(4):
        make_item(newest, f"target-{n}", "failed")
    make_run(mended, "failed")
    make_run(mended, "succeeded")
    (line,) = needs(principal(team), team)
    assert line.sentence == "<b>bad</b>: Copied 2 files to 1 of 5 targets."
    assert (line.harm, line.detail) == ("Out of date:", "target-0, target-1, target-2 and 1 more.")
    assert line.action.label == "Retry 4"
    assert line.action.url == reverse("run_retry", args=[newest.pk])


def test_the_worst_comes_first(team: Team) -> None:
    for state in ("partial", "dead", "failed"):
        make_run(make_job(team, name=state), state)
    assert [line.state for line in needs(principal(team), team)] == ["dead", "failed", "partial"]


def test_cancelling_does_not_hide_a_failure_and_a_new_run_is_shown(team: Team) -> None:
    job = make_job(team)
    make_run(job, "failed", sentence="No.")
    make_run(job, "cancelled")
    again = make_run(job, "queued")
    (line,) = needs(principal(team), team)
    assert line.action.url == reverse("run", args=[again.pk])


def test_how_long_nothing_went_well(team: Team) -> None:
    job = make_job(team)
    make_run(job, "succeeded", finished_at=now() - dt.timedelta(hours=3))
    make_run(job, "failed")
    (line,) = needs(principal(team), team)
    assert line.detail == "the last run that succeeded ended 3 h ago."


def test_jobs_that_are_off_and_other_teams_need_nobody(team: Team) -> None:
    make_run(make_job(team, enabled=False), "failed")
    make_run(make_job(make_team()), "failed")
    assert needs(principal(team), team) == []


def test_who_may_only_look_is_not_offered_a_retry(team: Team) -> None:
    run = make_run(make_job(team), "failed")
    (line,) = needs(principal(team, Role.VIEWER), team)
    assert line.action.method == "get"
    assert line.action.url == reverse("run", args=[run.pk])


def test_runs_that_nobody_takes_come_first(team: Team) -> None:
    job = make_job(team)
    make_run(job, "failed")
    make_run(job, "queued", run_after=now() - dt.timedelta(minutes=5))
    make_run(job, "queued", run_after=now() + dt.timedelta(minutes=5))
    line = needs(principal(team), team)[0]
    assert line.sentence == "1 run cannot start: no worker is running."
    make_worker(beat_at=now())
    assert len(needs(principal(team), team)) == 1


def test_a_schedule_that_cannot_be_read_needs_somebody(team: Team) -> None:
    make_job(team, name="nightly", schedule_error="The schedule '99' cannot be read.")
    (line,) = needs(principal(team), team)
    assert line.sentence == "<b>nightly</b>: The schedule &#x27;99&#x27; cannot be read."


def test_the_cost_does_not_grow_with_the_jobs(team: Team) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as found:
            assert needs(principal(team), team)
        return len(found)

    _fail(make_job(team))
    few = cost()
    for _ in range(15):
        _fail(make_job(team))
    assert cost() == few


def _fail(job: Job) -> None:
    make_item(make_run(job, "failed"), "a", "failed")


def test_the_worker_line_counts_what_is_alive(team: Team) -> None:
    make_worker(beat_at=now())
    make_worker(beat_at=now() - dt.timedelta(minutes=1))
    make_run(make_job(team), "queued")
    assert (worker_line().alive, worker_line().queued) == (1, 1)
