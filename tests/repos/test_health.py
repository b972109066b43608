"""How connections are: their states, tokens that end, what mends them, limits and who spends them."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse

from opssight.accounts.models import AllowedHost, Role, Team
from opssight.accounts.scope import Principal
from opssight.core.clock import now
from opssight.core.errors import AuthFailure, BlockedByOrganization, Failure, Revoked
from opssight.notices.models import Channel, NoticeRule, Outbox
from repos import access, connections, health, inbox, limits, spending
from repos.git.errors import remote_failure
from repos.models import Connection, ProviderInstance, RateBudget, RateSpend
from repos.providers.oauth import Grant
from repos.providers.wire import Budget
from repos.tokens import store_grant
from syncs.engine import housekeeping
from tests.factories import make_connection, make_repository, make_team
from tests.forges.github import GitHubStandIn
from tests.forges.github_refused import error
from tests.forges.gitlab import GitLabStandIn
from tests.forges.standin import Asked, Reply
from tests.repos.pages import page, said, words
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db(transaction=True)

State = Connection.State
TOKEN = "canary-token-0c2d"
BLOCKED = BlockedByOrganization("The organization wants single sign-on.")


@pytest.fixture
def forge(tmp_path: Path, folder: Path) -> Iterator[GitHubStandIn]:
    with GitHubStandIn(tmp_path / "forge") as running:
        running.add_token(TOKEN, "ana", scopes=["repo"])
        running.add_repository("acme/site", {b"index.html": b"hello"})
        AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=str(running.port))
        yield running


@pytest.fixture
def connection(principal: Principal, team: Team, forge: GitHubStandIn) -> Connection:
    return connections.create_connection(
        principal, team, "github", "Acme", {"url": forge.url}, {"token": TOKEN}
    )


def state_of(connection: Connection) -> str:
    return Connection.objects.get(pk=connection.pk).state


# --- states --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failures", "state"),
    [
        ([Revoked("It was taken back.")], State.REVOKED),
        ([Revoked("It was taken back."), AuthFailure("Refused.")], State.REVOKED),
        ([AuthFailure("Refused."), Revoked("It was taken back.")], State.REVOKED),
        ([BLOCKED], State.BLOCKED),
        ([BLOCKED, AuthFailure("Refused.")], State.REAUTH),
    ],
)
def test_what_failures_make_of_a_connection(team: Team, failures: list[Failure], state: str) -> None:
    connection = make_connection(team)
    for failure in failures:
        health.note_failure(connection, failure)
    assert state_of(connection) == connection.state == state
    assert connection.dead
    health.note_ok(connection)
    assert (state_of(connection), connection.sentence) == (State.OK, "")


def test_one_organization_of_several_does_not_block_the_others(team: Team) -> None:
    connection = make_connection(team)
    make_repository(connection, "acme/site")
    make_repository(connection, "acme/docs")
    health.note_failure(connection, BLOCKED)
    assert state_of(connection) == State.BLOCKED
    health.note_ok(connection)
    make_repository(connection, "other/site")
    health.note_failure(connection, BLOCKED)
    assert state_of(connection) == State.DEGRADED
    health.note_failure(connection, BLOCKED, whole=True)
    assert state_of(connection) == State.BLOCKED


def test_a_connection_that_was_deleted_meanwhile_is_left_alone(team: Team) -> None:
    connection = make_connection(team)
    Connection.objects.all().delete()
    health.note_failure(connection, AuthFailure("Refused."))
    assert not Connection.objects.exists()


@pytest.mark.parametrize(
    ("reply", "state"),
    [
        (error(401, "Bad credentials"), State.REAUTH),
        (error(403, "Resource protected by organization SAML enforcement."), State.BLOCKED),
        (
            error(403, "`acme` has an IP allow list enabled, and your IP address is not permitted"),
            State.BLOCKED,
        ),
        (error(403, "Must have admin rights to Repository."), State.DEGRADED),
    ],
)
def test_what_github_says_becomes_a_state(
    connection: Connection, forge: GitHubStandIn, reply: Reply, state: str
) -> None:
    forge.next_replies = [reply]
    tested = connections.test_connection(connection)
    assert (tested.ok, state_of(connection)) == (False, state)
    assert [step.state for step in tested.steps] == ["failed", *["skipped"] * 4]


def test_gitlab_says_that_a_token_was_revoked(principal: Principal, team: Team, tmp_path: Path) -> None:
    with GitLabStandIn(tmp_path) as forge:
        AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=str(forge.port))
        forge.add_token(TOKEN, "ana", scopes=["api"]).revoked = True
        options, secrets = {"url": forge.url}, {"token": TOKEN}
        made = connections.create_connection(principal, team, "gitlab", "Lab", options, secrets)
        assert not connections.test_connection(made).ok
        assert state_of(made) == State.REVOKED


def test_git_knows_single_sign_on_too() -> None:
    stderr = "remote: The `acme' organization has enabled or enforced SAML SSO.\nfatal: error: 403"
    assert isinstance(remote_failure(stderr, "acme/site"), BlockedByOrganization)


# --- the test, step by step ----------------------------------------------------------------------------


def test_a_test_goes_step_by_step(connection: Connection, forge: GitHubStandIn) -> None:
    tested = connections.test_connection(connection)
    assert tested.ok
    steps = {step.name: step for step in tested.steps}
    assert [step.state for step in tested.steps][:3] == ["ok", "ok", "ok"]
    assert steps["identity"].sentence == "It works as ana."
    assert steps["git"].sentence == "acme/site answers with 1 branch or tag."
    assert steps["limits"].sentence.startswith("Left: ")
    assert RateBudget.objects.filter(connection=connection, resource="core").exists()


def test_a_test_does_not_wait_for_a_very_long_list(
    connection: Connection, forge: GitHubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What came in time is told, and the other steps are gone all the same."""
    for number in range(120):
        forge.add_repository(f"acme/many-{number}", on_disk=False)
    answered, over = forge.answer, threading.Event()

    def slow(asked: Asked) -> Reply:
        if asked.query.get("page", "1") != "1":
            over.wait(60)
        return answered(asked)

    monkeypatch.setattr(forge, "answer", slow)
    monkeypatch.setattr(forge, "state_lock", nullcontext())
    monkeypatch.setattr(connections, "_LIST_SECONDS", 2.0)
    tested = connections.test_connection(connection)
    over.set()
    assert tested.sentences[0] == "It sees more than 100 repositories as ana."
    assert (tested.sees, [step.state for step in tested.steps][:3]) == (100, ["ok", "ok", "ok"])
    assert {step.name: step.state for step in tested.steps}["limits"] == "ok"


def test_git_that_is_refused_fails_the_test(
    connection: Connection, forge: GitHubStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forge, "allows", lambda authorization: False)  # its API still says who we are
    tested = connections.test_connection(connection)
    assert not tested.ok
    assert {step.name: step.state for step in tested.steps}["git"] == "failed"
    assert "refuses the credential" in tested.sentences[-1]
    assert state_of(connection) == State.REAUTH


def test_the_page_shows_the_steps_after_a_test(forge: GitHubStandIn, beside: None) -> None:
    client, team = signed_in()
    made = make_connection(team, "github", options={"url": forge.url})
    made.credentials.create(purpose="token", secret=TOKEN)
    answer = client.post(reverse("connection_test", args=[made.pk]), follow=True)
    assert said(answer)[0].startswith(f"{made.name} works.")
    text = words(answer.content)
    assert "works Who we are there It works as ana." in text
    assert "works git acme/site answers with 1 branch or tag." in text


# --- tokens that end -----------------------------------------------------------------------------------


def ending(team: Team, days: float, **more: Any) -> Connection:
    connection = make_connection(team, "github", state=State.OK, last_ok_at=now(), **more)
    store_grant(connection, Grant(TOKEN, "", now() + dt.timedelta(days=days)))
    return connection


def test_a_token_that_ends_soon_is_a_need_and_a_notice(principal: Principal, team: Team) -> None:
    channel = Channel.objects.create(team_id=team.pk, name="Mail", scheme="smtp")
    NoticeRule.objects.create(team_id=team.pk, channel=channel, topics=["connection"])
    soon, later = ending(team, 3.02), ending(team, 30)
    for connection in (soon, later):
        for _ in range(2):
            health.note_life(connection, None)
    [need] = inbox.needs(principal, team)
    assert need.state == "warning"
    assert "Its token ends in 3 days." in need.sentence
    assert (need.action.label, need.action.url) == (
        "Enter a new token",
        reverse("connection_edit", args=[soon.pk]),
    )
    [told] = [row.message for row in Outbox.objects.all()]
    assert (told["topic"], told["state"]) == ("connection.expiry", "ends_soon")
    store_grant(soon, Grant("canary-new", "", now() + dt.timedelta(days=90)))
    health.note_life(soon, None)
    assert inbox.needs(principal, team) == []


def test_a_token_that_is_renewed_is_no_need(principal: Principal, team: Team) -> None:
    connection = make_connection(team, "github", state=State.OK)
    store_grant(connection, Grant(TOKEN, "canary-refresh", now() + dt.timedelta(hours=1)))
    assert inbox.needs(principal, team) == []
    life = health.life_of(connection)
    assert life.renews_at is not None
    assert not life.ends_soon
    health.note_life(connection, now())
    assert health.life_of(Connection.objects.get()).renews_at == life.renews_at


def test_when_the_provider_says_that_it_ends(connection: Connection, forge: GitHubStandIn) -> None:
    ends = now().replace(microsecond=0) + dt.timedelta(days=5)
    health.note_life(connection, ends)
    assert health.life_of(Connection.objects.get()).ends_at == ends


# --- what mends it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.REAUTH, State.REVOKED, State.BLOCKED])
def test_the_page_and_the_inbox_offer_what_mends_it(state: State) -> None:
    client, team = signed_in()
    made = make_connection(
        team, "github", options={"url": "https://git.example.org"}, state=state, sentence="It is refused."
    )
    make_repository(made)
    text = page(client, "connection", made.pk)
    assert "It is refused. Its runs wait until it works again." in text
    assert "Enter a new token" in text
    assert "Enter a new token" in page(client, "overview")
    ProviderInstance.objects.create(
        provider="github", url="https://git.example.org", client_id="1", client_secret="s"
    )
    assert "Connect again" in page(client, "overview")
    answer = client.get(reverse("connection", args=[made.pk])).content.decode()
    assert f'name="connection" value="{made.pk}"' in answer
    listed = page(client, "connections")
    assert {State.REAUTH: "reconnect", State.REVOKED: "revoked"}.get(
        state, "blocked by organization"
    ) in listed


def test_an_operator_is_not_offered_what_only_administrators_may() -> None:
    client, team = signed_in(role=Role.OPERATOR)
    made = make_connection(team, "github", state=State.REAUTH, sentence="It is refused.")
    assert "Enter a new token" not in page(client, "connection", made.pk)
    assert client.get(reverse("connection_transfer", args=[made.pk])).status_code == 404


# --- limits --------------------------------------------------------------------------------------------


def test_who_spends_is_counted_by_hour_without_a_query_for_each(
    connection: Connection, django_assert_num_queries: Any
) -> None:
    spending.flush()
    limiter = limits.DatabaseLimiter(connection)
    limiter.spent("core", unchanged=False)
    spending.flush()
    with django_assert_num_queries(0), spending.spending_as("copy"):
        for number in range(20):
            limiter.spent("core", unchanged=number % 2 == 0)
    spending.flush()
    found = spending.spent(connection)["core"]
    assert [(one.spender, one.requests, one.unchanged) for one in found] == [
        ("copy", 20, 10),
        ("people", 1, 0),
    ]
    with spending.spending_as("copy"):
        limiter.spent("core", unchanged=False)
    with transaction.atomic():
        spending.flush()  # not inside a transaction: nothing is lost
    spending.flush()
    assert RateSpend.objects.filter(spender="copy").count() == 1
    assert spending.spent(connection)["core"][0].requests == 21


def test_what_was_counted_for_a_deleted_connection_is_dropped(team: Team) -> None:
    connection = make_connection(team)
    spending.count(connection.pk, "core", unchanged=False)
    Connection.objects.all().delete()
    spending.flush()
    assert not RateSpend.objects.exists()


def test_old_hours_are_forgotten(connection: Connection) -> None:
    for hours in (1, 30, 60):
        at = now() - dt.timedelta(hours=hours)
        RateSpend.objects.create(
            connection=connection, resource="core", spender="copy", hour=at, requests=hours
        )
    assert spending.spent(connection)["core"][0].requests == 1
    assert housekeeping.prune()["spent requests"] == 1


def test_the_limits_are_read_and_shown(connection: Connection, forge: GitHubStandIn, beside: None) -> None:
    spending.flush()
    client = Client()
    assert connection.created_by is not None
    client.force_login(connection.created_by)
    answer = client.post(reverse("connection_limits", args=[connection.pk]), follow=True)
    assert said(answer)[0].startswith("Left: ")
    assert "(REST API)" in said(answer)[0]
    text = words(answer.content)
    assert "REST API fine" in text
    assert "kept for people and webhooks" in text
    api = client.get(f"/api/v1/connections/{connection.pk}/limits/").json()["results"]
    core = next(one for one in api if one["resource"] == "core")
    assert core["reserved"] == round(core["limit"] * 0.1)
    assert core["spent"][0]["spender"] == "people"


def test_what_is_not_known_of_a_limit_is_not_told_as_zero(connection: Connection) -> None:
    RateBudget.objects.create(
        connection=connection, resource="core", limit=5000, reset_at=now() - dt.timedelta(minutes=1)
    )
    limits.DatabaseLimiter(connection).pause("search", now() + dt.timedelta(minutes=5))
    core, search = limits.limits_of(connection)
    assert (core.limit, core.remaining, core.reset_at) == (5000, None, None)
    assert (search.limit, search.remaining, search.told_at) == (None, None, None)
    assert search.paused_until is not None


def test_an_unchanged_listing_counts_as_unchanged(connection: Connection, forge: GitHubStandIn) -> None:
    for _ in range(2):
        list(access.client_of(connection).repositories())
        limits.DatabaseLimiter(connection).told(Budget("core", 10, 5, now() + dt.timedelta(hours=1)))
    spending.flush()
    row = RateSpend.objects.get(connection=connection, resource="core")
    assert row.spender == "people"
    assert 0 < row.unchanged < row.requests


# --- the API -------------------------------------------------------------------------------------------


def test_the_api_tells_of_tokens_and_tests(connection: Connection, forge: GitHubStandIn) -> None:
    client = Client()
    assert connection.created_by is not None
    client.force_login(connection.created_by)
    ends = now() + dt.timedelta(days=20)
    store_grant(connection, Grant(TOKEN, "", ends))
    row = client.get(f"/api/v1/connections/{connection.pk}/").json()
    assert dt.datetime.fromisoformat(row["token_ends_at"]) == ends
    assert (row["token_renews_at"], row["proxied"], row["ca"]) == (None, False, "")
    tested = client.post(f"/api/v1/connections/{connection.pk}/test/").json()
    assert tested["ok"]
    assert [step["name"] for step in tested["steps"]] == ["identity", "list", "git", "webhooks", "limits"]


def test_another_team_sees_nothing(connection: Connection) -> None:
    client, _ = signed_in(make_team())
    for verb, path in (("get", "limits"), ("post", "test"), ("post", "transfer")):
        url = f"/api/v1/connections/{connection.pk}/{path}/"
        answer = client.get(url) if verb == "get" else client.post(url, {}, content_type="application/json")
        assert answer.status_code == 404
    for name in ("connection_limits", "connection_transfer"):
        assert client.post(reverse(name, args=[connection.pk])).status_code == 404
