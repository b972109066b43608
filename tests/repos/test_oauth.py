"""Connecting by a button, from the click to the repositories, against a stand-in with an OAuth side."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.contrib.messages import get_messages
from django.db import connection as database
from django.test import Client

from opssight.accounts.models import AllowedHost, Membership, Role, Team, User
from opssight.accounts.scope import Principal
from opssight.core.clock import now
from opssight.core.errors import AuthFailure
from repos import access, connections, inventory
from repos.models import Connection, Credential, ProviderInstance
from tests.factories import make_repository, make_team, make_user
from tests.forges.connect import GitHubWithOAuth

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[GitHubWithOAuth]:
    with GitHubWithOAuth(tmp_path) as running:
        running.add_repository("acme/site", {b"index.html": b"hello"})
        AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=str(running.port))
        ProviderInstance.objects.create(
            provider="github",
            url=running.url,
            client_id="client-1",
            client_secret="canary-client-secret",
        )
        yield running


@pytest.fixture
def user() -> User:
    return make_user()


@pytest.fixture
def team(user: User) -> Team:
    return make_team(user)


@pytest.fixture
def browser(user: User, team: Team) -> Client:
    return signed_in(user, team)


def signed_in(user: User, team: Team) -> Client:
    browser = Client()
    browser.force_login(user)
    browser.post("/accounts/team/", {"team": str(team.pk)})
    return browser


def start(browser: Client, forge: GitHubWithOAuth, **more: str) -> str:
    """The address that the browser is sent to."""
    page = browser.post("/connections/new/oauth/", {"provider": "github", "url": forge.url, **more})
    assert page.status_code == 200
    return str(page["Refresh"]).partition("url=")[2]


def allow(address: str) -> str:
    """The person allows it; where the browser is sent back to, below our own address."""
    back = urlsplit(httpx.post(address).headers["location"])
    return f"{back.path}?{back.query}"


def said(browser: Client, answer: object) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))  # type: ignore[attr-defined]


def test_from_the_button_to_the_repositories(browser: Client, forge: GitHubWithOAuth, team: Team) -> None:
    address = start(browser, forge)
    query = parse_qs(urlsplit(address).query)
    assert query["redirect_uri"] == ["http://127.0.0.1:8000/auth/callback/github"]
    answer = browser.get(allow(address))
    made = Connection.objects.get(team=team)
    assert answer["Location"] == f"/connections/{made.pk}/found/"
    assert (made.name, made.account, made.state) == ("GitHub: ana", "ana", "ok")
    assert [one.remote.full_name for one in inventory.discover(made)] == ["acme/site"]


def test_tokens_are_nowhere_in_clear(browser: Client, forge: GitHubWithOAuth, caplog: object) -> None:
    browser.get(allow(start(browser, forge)))
    secrets = [*forge.tokens, *forge.refresh_tokens, "canary-client-secret"]
    assert len(secrets) == 3
    found = []
    for table in database.introspection.table_names():
        with database.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {database.ops.quote_name(table)}")  # noqa: S608
            rows = repr(cursor.fetchall())
        found += [(table, secret) for secret in secrets if secret in rows]
    assert found == []
    assert not [secret for secret in secrets if secret in getattr(caplog, "text", "")]
    assert not [a for a in forge.asked if any(s in f"{a.path}?{a.query}" for s in secrets)]


@pytest.mark.parametrize("change", ["state", "session", "provider", "age", "twice"])
def test_what_was_not_started_here_is_refused(
    browser: Client,
    forge: GitHubWithOAuth,
    user: User,
    team: Team,
    change: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    back = allow(start(browser, forge))
    if change == "state":
        back = re.sub(r"state=[^&]+", "state=x", back)
    if change == "session":
        browser = signed_in(user, team)
    if change == "provider":
        back = back.replace("/callback/github", "/callback/gitlab")
    if change == "age":
        monkeypatch.setattr("opssight.web.attempts.SECONDS", -1)
    if change == "twice":
        browser.get(back)
        Connection.objects.all().delete()
    answer = browser.get(back)
    assert answer["Location"] == "/connections/new/"
    assert "not started here" in said(browser, answer)
    assert not Connection.objects.exists()


def test_somebody_who_does_not_allow_it(browser: Client, forge: GitHubWithOAuth) -> None:
    state = parse_qs(urlsplit(start(browser, forge)).query)["state"][0]
    answer = browser.get(f"/auth/callback/github?error=access_denied&state={state}")
    assert "did not allow" in said(browser, answer)
    assert not Connection.objects.exists()


def test_only_administrators_of_the_team_connect(forge: GitHubWithOAuth, browser: Client, team: Team) -> None:
    other = make_user()
    Membership.objects.create(team=team, user=other, role=Role.OPERATOR)
    operator = signed_in(other, team)
    assert operator.post("/connections/new/oauth/", {"provider": "github"}).status_code == 404
    back = allow(start(browser, forge))
    Membership.objects.filter(team=team, role=Role.OWNER).update(role=Role.OPERATOR)
    assert "/connections/" in browser.get(back)["Location"]
    assert not Connection.objects.exists()


def test_an_instance_that_nobody_registered(browser: Client, forge: GitHubWithOAuth) -> None:
    for url in ("", "https://elsewhere.example.org", "javascript:alert(1)"):
        answer = browser.post("/connections/new/oauth/", {"provider": "github", "url": url})
        assert "Nobody registered" in said(browser, answer)


def test_a_token_that_ends_is_renewed_while_it_works(browser: Client, forge: GitHubWithOAuth) -> None:
    browser.get(allow(start(browser, forge)))
    made = Connection.objects.get()
    Credential.objects.filter(purpose="token").update(expires_at=now())
    forge.tokens.clear()  # it ended there as well
    assert connections.test_connection(made).ok
    assert forge.refreshed == 1
    for token in forge.tokens.values():
        token.revoked = True
    assert connections.test_connection(Connection.objects.get()).ok, "a 401 renews once and goes on"
    assert forge.refreshed == 2


def test_reconnecting_needs_the_same_account(browser: Client, forge: GitHubWithOAuth) -> None:
    browser.get(allow(start(browser, forge)))
    made = Connection.objects.get()
    forge.tokens.clear()
    forge.refresh_tokens.clear()
    assert not connections.test_connection(made).ok
    assert Connection.objects.get().state == "revoked"
    forge.signed_in = "eve"
    answer = browser.get(allow(start(browser, forge, connection=str(made.pk))))
    assert "works as ana, and you allowed us in as eve" in said(browser, answer)
    forge.signed_in = "ana"
    answer = browser.get(allow(start(browser, forge, connection=str(made.pk))))
    assert answer["Location"] == f"/connections/{made.pk}/"
    assert Connection.objects.get().state == "ok"


def test_a_rename_keeps_what_renews_it_and_another_token_does_not(
    browser: Client, forge: GitHubWithOAuth, user: User
) -> None:
    browser.get(allow(start(browser, forge)))
    made = Connection.objects.get()
    principal = Principal.of_user(user)
    connections.update_connection(principal, made, name="Acme")
    assert set(made.credentials.values_list("purpose", flat=True)) == {"token", "refresh_token"}
    connections.update_connection(principal, made, secrets={"token": "ghp_other"})
    assert set(made.credentials.values_list("purpose", flat=True)) == {"token"}


def test_git_gets_another_token_when_the_one_it_has_is_refused(
    browser: Client, forge: GitHubWithOAuth, folder: Path
) -> None:
    browser.get(allow(start(browser, forge)))
    made = Connection.objects.get()
    there = forge.named("acme/site")
    assert there is not None
    row = make_repository(made, "acme/site", external_id=str(there.id))
    for token in forge.tokens.values():
        token.revoked = True  # though we think that it is good for hours
    assert access.look(row).refs
    assert forge.refreshed == 1
    assert Connection.objects.get().state == "ok"
    forge.refresh_tokens.clear()
    for token in forge.tokens.values():
        token.revoked = True
    for _ in range(3):
        with pytest.raises(AuthFailure, match="Connect again"):
            access.look(row)
    assert Connection.objects.get().state == "revoked"
    assert forge.refreshed == 1
