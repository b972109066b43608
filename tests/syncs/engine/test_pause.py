"""Runs of a connection whose credential is refused wait, go on when it is accepted, and hold up nobody."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.urls import reverse
from pytest_django import Settings

from opssight.accounts.models import AllowedHost
from opssight.accounts.scope import Principal
from opssight.audit.models import AuditEvent
from opssight.core.clock import now
from opssight.core.errors import AuthFailure, BlockedByOrganization, Failure, TransientFailure
from opssight.metrics import numbers
from opssight.web.parts import Need
from repos import access, connections
from repos.models import Connection, Credential, RateSpend, Repository
from syncs import inbox
from syncs.copy.rules.config import CopyConfig, Target
from syncs.copy.saved.service import create_rule
from syncs.engine import claim, runner, schedule
from syncs.engine.kinds import kind_named
from syncs.engine.poll import Poller
from syncs.engine.request import RunRequest, request_run
from syncs.models import Item, Job, Run, RunState
from tests.factories import make_connection, make_job, make_repository, make_team, make_user, make_worker
from tests.forges.github import GitHubStandIn
from tests.syncs.copy.desk import RULE, SOURCE, make_git
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db(transaction=True)  # the beat has a connection of its own

LANES = ["std"]
REFUSED = AuthFailure("It refuses the credential.")


def ask(connection: Connection, **extra: Any) -> Run:
    repository = make_repository(connection)
    wanted = RunRequest(make_job(connection.team), Run.Trigger.MANUAL, repository=repository, **extra)
    return request_run(wanted)


def work() -> list[Run]:
    """Let a worker do all that can be claimed now; in the order it was done."""
    done, worker = [], make_worker(slots=20)
    while (run := claim.claim(worker, LANES)) is not None:
        runner.execute(run)
        run.refresh_from_db()
        done.append(run)
    return done


@pytest.fixture
def connection() -> Connection:
    return make_connection(make_team(make_user()), name="Acme git", state=Connection.State.OK)


@pytest.mark.parametrize("state", ["reauth_required", "revoked", "blocked_by_org"])
def test_runs_of_a_dead_connection_are_not_claimed_and_others_are(connection: Connection, state: str) -> None:
    waits, other = ask(connection), ask(make_connection(connection.team))
    Connection.objects.filter(pk=connection.pk).update(state=state)
    assert claim.due_count(LANES) == 1
    assert work() == [other]
    waits.refresh_from_db()
    assert (waits.state, waits.attempt) == (RunState.QUEUED, 0)


def test_what_is_degraded_goes_on(connection: Connection) -> None:
    run = ask(connection)
    access.note_failure(connection, TransientFailure("It broke off."))
    assert work() == [run]


def test_a_run_says_what_it_waits_for_and_starts_when_that_is_back(connection: Connection) -> None:
    before = ask(connection)
    access.note_failure(connection, REFUSED)
    after = ask(connection)
    for run in (before, after):
        run.refresh_from_db()
        assert run.wait_reason == "waits until Acme git is connected again"
    assert work() == []
    access.note_ok(connection)
    before.refresh_from_db()
    assert before.wait_reason == ""
    assert [run.state for run in work()] == [RunState.SUCCEEDED, RunState.SUCCEEDED]


def test_trouble_on_the_way_does_not_bring_a_dead_connection_back(connection: Connection) -> None:
    run = ask(connection)
    access.note_failure(connection, REFUSED)
    access.note_failure(connection, TransientFailure("It broke off."))
    assert Connection.objects.get(pk=connection.pk).state == Connection.State.REAUTH
    assert work() == []
    run.refresh_from_db()
    assert run.wait_reason.startswith("waits until")


def test_another_secret_lets_them_try(connection: Connection) -> None:
    connection = make_connection(
        connection.team, "plain", options={"urls": ["https://git.example.org/a.git"]}
    )
    run = ask(connection)
    access.note_failure(connection, REFUSED)
    assert work() == []
    owner = connection.team.memberships.get().user
    connections.update_connection(Principal.of_user(owner), connection, secrets={"password": "new-canary-1"})
    assert work() == [run]


@pytest.mark.parametrize("failure", ["AuthFailure", "Revoked", "BlockedByOrganization"])
def test_a_run_that_finds_its_connection_dead_waits_and_it_is_no_attempt(
    connection: Connection, monkeypatch: pytest.MonkeyPatch, failure: str
) -> None:
    run = ask(connection, input={"fail": failure})
    taken = claim.claim(make_worker(), LANES)
    assert taken is not None
    access.note_failure(connection, REFUSED)  # as the kind does when it meets that
    runner.execute(taken)
    run.refresh_from_db()
    assert (run.state, run.attempt, run.sentence) == (RunState.QUEUED, 0, "")
    assert run.wait_reason == "waits until Acme git is connected again"
    assert work() == []


def test_what_is_refused_while_the_connection_works_fails(connection: Connection) -> None:
    run = ask(connection, input={"fail": "AuthFailure"})
    assert [one.state for one in work()] == [RunState.FAILED]
    run.refresh_from_db()
    assert run.error_class == "auth"


def failed_at(connection: Connection, failure: Failure = REFUSED, **extra: Any) -> Run:
    """A run of a job elsewhere that failed at a target of the connection."""
    source = make_connection(connection.team)
    run = ask(source)
    Run.objects.filter(pk=run.pk).update(state=RunState.PARTIAL, finished_at=now(), **extra)
    for key, repository in (("t1", make_repository(connection)), ("t2", make_repository(source))):
        Item.objects.create(
            run=run,
            key=key,
            label=key,
            repository=repository,
            state="failed" if key == "t1" else "done",
            error_class=failure.error_class.value if key == "t1" else "",
            code=failure.code if key == "t1" else "",
        )
    return run


@pytest.mark.parametrize("failure", [REFUSED, BlockedByOrganization("It wants single sign-on.")])
def test_targets_that_it_refused_are_tried_again_once(connection: Connection, failure: Failure) -> None:
    run = failed_at(connection, failure)
    access.note_failure(connection, failure, whole=True)
    assert not run.children.exists()
    access.note_ok(connection)
    again = run.children.get()
    assert (again.input["only"], again.because) == (["t1"], "Acme git works again")
    assert AuditEvent.objects.filter(action="run.retry", run_id=again.pk).exists()
    access.note_ok(connection)
    assert run.children.count() == 1
    # it failed again for the same reason: now a person has to look
    Run.objects.filter(pk=again.pk).update(state=RunState.FAILED)
    Item.objects.filter(run=run).update(run=again)
    access.note_failure(connection, failure, whole=True)
    access.note_ok(connection)
    assert not again.children.exists()


def test_other_failures_and_newer_runs_are_left_alone(connection: Connection) -> None:
    gone = failed_at(connection, TransientFailure("It broke off."))
    newer = failed_at(connection)
    assert newer.job is not None
    request_run(RunRequest(newer.job, Run.Trigger.MANUAL))
    off = failed_at(connection)
    assert off.job is not None
    Job.objects.filter(pk=off.job.pk).update(enabled=False)
    access.note_failure(connection, REFUSED)
    access.note_ok(connection)
    assert not Run.objects.filter(parent__in=[gone, newer, off]).exists()


def test_a_run_beside_the_work_of_its_job_does_not_stand_for_it(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(kind_named("probe")), "beside", ("tidy",))
    refused = failed_at(connection)
    assert refused.job is not None
    beside = request_run(RunRequest(refused.job, Run.Trigger.MANUAL, input={"tidy": True}))
    Run.objects.filter(pk=beside.pk).update(state=RunState.SUCCEEDED)
    access.note_failure(connection, REFUSED)
    access.note_ok(connection)
    assert refused.children.get().input == {"only": ["t1"]}


def test_a_schedule_makes_one_run_that_waits(connection: Connection) -> None:
    job = make_job(connection.team, cron="* * * * *", next_at=now() - dt.timedelta(seconds=1))
    for _ in range(3):
        Job.objects.filter(pk=job.pk).update(next_at=now() - dt.timedelta(seconds=1))
        schedule.fire_due()
    assert Run.objects.filter(job=job).count() == 1


def test_nobody_looks_with_a_credential_that_is_refused(connection: Connection) -> None:
    repository = make_repository(connection)
    job = make_job(connection.team, poll_seconds=60, next_poll_at=now())
    job.triggers.create(repository=repository, event="Pushed", ref="main")
    access.note_failure(connection, REFUSED)
    poller = Poller()
    assert poller._next() is None
    access.note_ok(connection)
    assert poller._next() == job


# --- a real forge --------------------------------------------------------------------------------------


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[GitHubStandIn]:
    with GitHubStandIn(tmp_path / "forge") as running:
        AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=str(running.port))
        running.add_token("canary-good-1", "ana", scopes=["repo"])
        yield running


@pytest.mark.http_git
def test_a_revoked_token_stops_the_runs_of_that_connection_and_only_of_that_one(
    forge: GitHubStandIn, tmp_path: Path, settings: Settings
) -> None:
    settings.DATA, settings.STORES = tmp_path / "data", tmp_path / "data" / "stores"
    make_git(tmp_path / "git" / "docs", SOURCE)
    for name in ("one", "two"):
        make_git(tmp_path / "git" / name, {})
    there = forge.add_repository("acme/site", {name.encode(): text.encode() for name, text in SOURCE.items()})
    user = make_user()
    team = make_team(user)
    principal = Principal.of_user(user)
    github = connections.create_connection(
        principal, team, "github", "Acme", {"url": forge.url}, {"token": "canary-good-1"}
    )
    folder = make_connection(team, options={"root": str(tmp_path / "git")}, local=True)
    site = make_repository(github, "acme/site", external_id=str(there.id))

    def rule(name: str, source: Repository, target: str) -> Job:
        place = Target(str(make_repository(folder, target).pk), "main")
        return create_rule(principal, team, CopyConfig(name, str(source.pk), "main", (RULE,), (place,)))[0]

    jobs = [rule("from the forge", site, "one"), rule("from here", make_repository(folder, "docs"), "two")]
    forge.tokens["canary-good-1"].revoked = True
    Run.objects.all().delete()
    runs = [request_run(RunRequest(job, Run.Trigger.MANUAL)) for job in jobs]
    assert [run.connection_id for run in runs] == [github.pk, folder.pk]
    work()
    for run in runs:
        run.refresh_from_db()
    assert [run.state for run in runs] == [RunState.QUEUED, RunState.SUCCEEDED]
    assert runs[0].wait_reason == "waits until Acme is connected again"
    assert Connection.objects.get(pk=github.pk).state == Connection.State.REAUTH
    forge.add_token("canary-good-2", "ana", scopes=["repo"])
    fresh = Connection.objects.get(pk=github.pk)
    connections.update_connection(principal, fresh, secrets={"token": "canary-good-2"})
    assert [(run.state, run.wait_reason) for run in work()] == [(RunState.SUCCEEDED, "")]
    assert Credential.objects.get(connection=github).secret == "canary-good-2"
    assert not RateSpend.objects.exclude(spender__in=["copy", "people"]).exists()


# --- what people see -----------------------------------------------------------------------------------


def test_the_page_of_a_run_says_what_it_waits_for_and_leads_there(connection: Connection) -> None:
    client, team = signed_in()
    Connection.objects.filter(pk=connection.pk).update(team=team)
    connection.refresh_from_db()
    run = ask(connection)
    access.note_failure(connection, REFUSED)
    text = client.get(reverse("run", args=[run.pk])).content.decode()
    assert "Waits until Acme git is connected again." in text
    assert "Waits for a worker" not in text
    assert f'href="{reverse("connection", args=[connection.pk])}"' in text
    assert "Reconnect" in text
    assert "waits until Acme git is connected again" in client.get(reverse("runs")).content.decode()
    answer = client.get(f"/api/v1/runs/{run.pk}/").json()
    assert answer["wait_reason"] == "waits until Acme git is connected again"


def test_what_is_paused_is_neither_due_nor_stuck(connection: Connection) -> None:
    run = ask(connection)
    Run.objects.filter(pk=run.pk).update(run_after=now() - dt.timedelta(hours=1))
    principal = Principal.of_user(connection.team.memberships.get().user)

    def stuck() -> list[Need]:
        return [need for need in inbox.needs(principal, connection.team) if need.state == "stuck"]

    assert [row["due"] for row in numbers.queue()] == [1]
    assert len(stuck()) == 1
    access.note_failure(connection, REFUSED)
    assert [(row["due"], row["later"], row["oldest"]) for row in numbers.queue()] == [(0, 1, None)]
    assert stuck() == []
