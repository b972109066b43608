"""The runs that keep connections known: when they are asked for, what they do, how they end."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import NotAllowed, Principal
from opssight.accounts.tokens import issue
from opssight.audit.models import AuditEvent
from opssight.core.clock import now
from repos import connections, inventory
from repos.models import Connection, RateBudget, Repository, Webhook
from syncs import inbox, jobs, notices
from syncs.copy.rules.config import parse_config
from syncs.copy.saved.service import create_rule
from syncs.engine import claim, runner, schedule
from syncs.models import Job, Run, RunState
from syncs.watch import service
from syncs.watch.models import WatchJob
from tests.factories import make_connection, make_repository, make_team, make_user, make_worker
from tests.forges.github_refused import error
from tests.forges.standin import Asked, Reply
from tests.repos.forges import Connected
from tests.repos.git.work import Bare
from tests.syncs.runs import make_run, signed_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]


def execute() -> Run:
    """The run that waits, by a worker."""
    Run.objects.filter(state=RunState.QUEUED).update(run_after=now() - dt.timedelta(minutes=1))
    run = claim.claim(make_worker(), ["std"])
    assert run is not None
    runner.execute(run)
    run.refresh_from_db()
    return run


def items(run: Run) -> dict[str, str]:
    return dict(run.items.order_by("id").values_list("key", "state"))


def interval(job: Job) -> int | None:
    """How often a job looks by itself, in seconds."""
    seconds: int | None = Job.objects.get(pk=job.pk).poll_seconds
    return seconds


# --- when -----------------------------------------------------------------------------------------------


def test_an_import_asks_for_one_run_that_registers_webhooks(github: Connected) -> None:
    inventory.import_repositories(github.principal, github.connection)
    [waiting] = Run.objects.all()
    assert (waiting.kind, waiting.title, waiting.connection) == ("watch", "github: ana", github.connection)

    run = execute()

    assert (run.state, items(run)) == (
        RunState.SUCCEEDED,
        dict.fromkeys(("health", "inventory", "hooks", "heads", "deliveries"), "done"),
    )
    assert run.sentence.startswith("GitHub answers to ana. 2 repositories seen. 2 of 2 webhooks registered")
    assert len(github.hooks_there()) == len(github.hooks_there("acme/docs")) == 1
    heads = dict(Repository.objects.values_list("full_name", "head_oid"))
    assert heads["acme/site"] == github.forge.bare(github.repo()).oid("main")
    assert "2 new repositories looked at" in run.sentence


def test_an_import_where_nobody_could_call_reads_the_heads(
    team: Team, principal: Principal, tmp_path: Path, settings: Settings
) -> None:
    settings.FOLDER_ROOTS = (tmp_path,)
    tip = Bare(tmp_path / "site.git").commit({b"a": b"b"})
    connection = make_connection(team, options={"root": str(tmp_path)})
    inventory.import_repositories(principal, connection)
    run = execute()
    assert (run.state, Repository.objects.get().head_oid) == (RunState.SUCCEEDED, tip)


def test_every_connection_has_one_job_that_follows_it(team: Team) -> None:
    first, second = make_connection(team, name="one"), make_connection(team, name="two")
    assert service.ensure_jobs() == 2
    assert service.ensure_jobs() == 0
    assert set(Job.objects.values_list("name", "kind", "team")) == {
        ("one", "watch", team.pk),
        ("two", "watch", team.pk),
    }

    other = make_team()
    Connection.objects.filter(pk=first.pk).update(team=other, name="moved")
    Connection.objects.filter(pk=second.pk).update(name="one")  # as another was called just now
    service.ensure_jobs()
    service.ensure_jobs()

    assert WatchJob.objects.get(connection=first).job.team == other
    assert set(Job.objects.values_list("name", flat=True)) == {"moved", "one"}


def test_connections_are_checked_each_night_spread_over_minutes(team: Team) -> None:
    rows = [make_connection(team) for _ in range(40)]
    service.ensure_jobs()

    crons = set(Job.objects.values_list("cron", flat=True))
    assert len(crons) > 20
    assert all(1 <= int(cron.split()[1]) <= 4 for cron in crons)
    Job.objects.filter(watch__connection=rows[0]).update(next_at=now() - dt.timedelta(minutes=1))
    [run] = schedule.fire_due()
    assert (run.kind, run.connection) == ("watch", rows[0])


def test_a_connection_that_goes_takes_its_job_along(github: Connected) -> None:
    job = service.job_of(github.connection)
    running = make_run(job, "running")
    connections.delete_connection(github.principal, github.connection, with_everything=True)

    assert not Job.objects.filter(pk=job.pk).exists()
    waiting = Run.objects.exclude(pk=running.pk).get()
    assert (waiting.state, waiting.sentence) == (RunState.CANCELLED, "The connection was deleted.")
    running.refresh_from_db()
    assert running.cancel_requested_at is not None


def test_after_a_time_without_a_worker_connections_are_looked_at(github: Connected) -> None:
    execute()
    assert service.catch_up() == []
    hour = dt.timedelta(hours=1)
    type(make_worker()).objects.update(started_at=now() - 2 * hour, beat_at=now() - hour)
    assert service.catch_up() == []  # nobody is back yet
    make_worker()

    [run] = service.catch_up()

    assert run.job == service.job_of(github.connection)
    assert run.because.startswith("no worker ran from ")
    assert service.catch_up() == []


# --- what -----------------------------------------------------------------------------------------------


def test_a_refused_token_is_known_and_the_rest_is_not_asked(github: Connected) -> None:
    for token in github.forge.tokens.values():
        token.revoked = True

    run = execute()

    assert (run.state, items(run)["health"], items(run)["inventory"]) == (
        RunState.FAILED,
        "failed",
        "planned",
    )
    github.connection.refresh_from_db()
    assert github.connection.state in (Connection.State.REAUTH, Connection.State.REVOKED)
    assert run.sentence.startswith("github: ana was not checked as a whole. Connection: ")
    for token in github.forge.tokens.values():
        token.revoked = False
    service.check(github.principal, github.connection, Run.Trigger.MANUAL, "somebody")
    assert execute().state == RunState.SUCCEEDED  # a dead connection does not hold back what finds out
    github.connection.refresh_from_db()
    assert github.connection.state == Connection.State.OK


def test_a_step_that_fails_does_not_stop_the_others(github: Connected) -> None:
    asked = github.forge.answer

    def answer(one: Asked) -> Reply:
        listing = one.path == "/api/v3/user/repos" and one.query.get("per_page") != "1"
        return Reply(410, {"message": "Gone"}) if listing else asked(one)

    github.forge.answer = answer

    run = execute()

    assert items(run) == {
        "health": "done",
        "inventory": "failed",
        "hooks": "done",
        "heads": "done",
        "deliveries": "done",
    }
    assert run.state == RunState.PARTIAL
    assert "Repositories: " in run.sentence


def test_a_rate_limit_waits_for_its_end(github: Connected) -> None:
    github.forge.budget_left["core"] = 0

    run = execute()

    assert (run.state, run.attempt) == (RunState.QUEUED, 0)
    assert run.run_after > claim.db_now() + dt.timedelta(minutes=30)
    github.forge.budget_left["core"] = 5_000
    RateBudget.objects.all().delete()
    assert execute().state == RunState.SUCCEEDED


def test_what_may_pass_is_tried_again_without_what_is_done(github: Connected) -> None:
    github.forge.next_replies = []
    asked, failing = github.forge.answer, [True]
    github.forge.answer = lambda one: (
        Reply(502, raw=b"bad") if failing and one.path.endswith("/hooks") else asked(one)
    )

    run = execute()

    assert run.state == RunState.QUEUED
    assert items(run)["inventory"] == "done"
    failing.clear()
    before = len(github.forge.asked)
    assert execute().state == RunState.SUCCEEDED
    assert "/api/v3/user" not in {one.path for one in github.forge.asked[before:]}


def test_a_job_stops_looking_when_it_is_told_and_looks_again_when_it_is_not(github: Connected) -> None:
    config = {
        "name": "Site to docs",
        "source": {"repository": "acme/site", "branch": "main"},
        "rules": [{"type": "glob", "pattern": "*.html", "template": "${path}"}],
        "targets": [{"repository": "acme/docs", "branch": "main"}],
    }
    job, _ = create_rule(github.principal, github.connection.team, parse_config(config))
    assert interval(job) == jobs.default_poll_seconds()
    Run.objects.filter(kind="copy").delete()

    execute()

    assert interval(job) is None
    answer = github.forge.answer
    refused = error(403, "Resource not accessible by personal access token")
    github.forge.answer = lambda one: refused if one.path.endswith("/hooks") else answer(one)
    service.check(github.principal, github.connection, Run.Trigger.MANUAL, "somebody")
    execute()
    assert interval(job) == jobs.default_poll_seconds()
    jobs.set_poll(job, 60)  # a person's choice
    github.forge.answer = answer
    service.check(github.principal, github.connection, Run.Trigger.MANUAL, "somebody")
    execute()
    assert interval(job) == 60


def test_a_run_whose_connection_went_says_so(github: Connected) -> None:
    run = claim.claim(make_worker(), ["std"])
    assert run is not None
    WatchJob.objects.all().delete()
    runner.execute(run)
    run.refresh_from_db()
    assert (run.state, run.sentence) == (RunState.CANCELLED, "The connection was deleted.")


def test_it_does_not_clutter(github: Connected, team: Team) -> None:
    run = make_run(service.job_of(github.connection), "failed", sentence="It failed.")
    notices.tell(None, run)

    assert not inbox.bad_runs(github.principal, team).exists()
    assert AuditEvent.objects.filter(action__startswith="job.").count() == 0


# --- asking for one ------------------------------------------------------------------------------------


def test_the_button_starts_a_run_of_this_team_only(github: Connected) -> None:
    browser, team = signed_in()
    connection = make_connection(team)
    answer = browser.post(reverse("connection_check", args=[connection.pk]))
    run = Run.objects.get(connection=connection)
    assert answer["Location"] == reverse("run", args=[run.pk])
    assert run.because.startswith("Check now, pressed by")
    assert AuditEvent.objects.get(action="connection.check").object_id == str(connection.pk)
    again = browser.post(reverse("connection_check", args=[connection.pk]))
    assert again["Location"] == answer["Location"]  # it waits already

    assert browser.post(reverse("connection_check", args=[github.connection.pk])).status_code == 404
    viewer, _ = signed_in(team, Role.VIEWER)
    assert viewer.post(reverse("connection_check", args=[connection.pk])).status_code == 404


def test_the_way_from_the_job_to_the_connection(github: Connected) -> None:
    browser, team = signed_in()
    connection = make_connection(team)
    job = service.job_of(connection)
    page = browser.get(reverse("job", args=[job.pk]))
    assert page["Location"] == reverse("watch_job", args=[job.pk])
    assert browser.get(page["Location"])["Location"] == reverse("connection", args=[connection.pk])
    foreign = service.job_of(github.connection)
    assert browser.get(reverse("watch_job", args=[foreign.pk])).status_code == 404


def test_the_api_answers_the_run(github: Connected, client: Client) -> None:
    _, secret = issue(github.principal, github.connection.team, "ci", ["connections:write"])
    head = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
    answer = client.post(f"/api/v1/connections/{github.connection.pk}/check/", **head)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["kind"]) == (201, "watch")
    foreign = make_connection(make_team())
    answer = client.post(f"/api/v1/connections/{foreign.pk}/check/", **head)  # type: ignore[arg-type]
    assert answer.status_code == 404


def test_who_may_only_look_starts_nothing(github: Connected) -> None:
    viewer = make_user()
    github.connection.team.memberships.create(user=viewer, role=Role.VIEWER)
    with pytest.raises(NotAllowed):
        service.check(Principal.of_user(viewer), github.connection, Run.Trigger.API, "somebody")


def test_a_switched_off_job_is_not_asked(github: Connected) -> None:
    Run.objects.all().delete()
    jobs.set_enabled(service.job_of(github.connection), False)
    make_repository(github.connection)
    inventory.import_repositories(github.principal, github.connection)
    assert Run.objects.count() == Webhook.objects.count() == 0
    assert jobs.start(service.job_of(github.connection), Run.Trigger.CLI, "somebody").kind == "watch"
