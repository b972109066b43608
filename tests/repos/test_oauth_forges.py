"""Connecting by a button at every forge that offers it: what is asked for is enough, and renewed in time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.test import Client

from opssight.accounts.models import AllowedHost
from opssight.core.clock import now
from opssight.core.errors import AuthFailure
from repos import access, connections
from repos.git.fetching import look
from repos.instances import instance_of
from repos.models import Connection, Credential, ProviderInstance
from repos.providers.forge import Forge, HookSpec
from tests.factories import make_team, make_user
from tests.forges.connect import BitbucketWithOAuth, GiteaWithOAuth, GitHubWithOAuth, GitLabWithOAuth
from tests.forges.oauth import OAuthSide

FORGES: dict[str, type[OAuthSide]] = {
    "github": GitHubWithOAuth,
    "gitlab": GitLabWithOAuth,
    "bitbucket": BitbucketWithOAuth,
    "gitea": GiteaWithOAuth,
}
pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]


@pytest.fixture(params=list(FORGES))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def forge(kind: str, tmp_path: Path) -> Iterator[OAuthSide]:
    with FORGES[kind](tmp_path) as running:
        running.add_repository("acme/site", {b"index.html": b"hello"})
        AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=str(running.port))
        ProviderInstance.objects.create(
            provider=kind, url=running.url, client_id="client-1", client_secret="canary-client-secret"
        )
        yield running


def connected(kind: str, forge: OAuthSide) -> Connection:
    """A new person's first connection, made with the button."""
    browser, user = Client(), make_user()
    team = make_team(user)
    browser.force_login(user)
    browser.post("/accounts/team/", {"team": str(team.pk)})
    page = browser.post("/connections/new/oauth/", {"provider": kind, "url": forge.url})
    back = urlsplit(httpx.post(str(page["Refresh"]).partition("url=")[2]).headers["location"])
    answer = browser.get(f"{back.path}?{back.query}")
    made = Connection.objects.get(team=team)
    assert answer["Location"] == f"/connections/{made.pk}/found/"
    return made


def test_what_is_asked_for_is_enough_for_jobs(kind: str, forge: OAuthSide) -> None:
    made = connected(kind, forge)
    client = access.client_of(made)
    assert isinstance(client, Forge)
    [site] = [one for one in client.repositories() if one.full_name == "acme/site"]
    remote = access.vetted(client.remote(site.external_id, site.full_name), access.policy())
    assert look(access.git(), remote).head == b"refs/heads/main"
    hook = client.create_hook(site.external_id, HookSpec("http://127.0.0.1:9/hooks/1/", "canary-hook-secret"))
    assert [one.external_id for one in client.hooks(site.external_id)] == [hook.external_id]
    assert (made.state, made.account) == ("ok", "ana")


def test_it_is_renewed_before_it_ends_and_once(kind: str, forge: OAuthSide) -> None:
    made = connected(kind, forge)
    spent = made.credentials.get(purpose="refresh_token").secret
    assert Credential.objects.get(connection=made, purpose="token").expires_at is not None
    made.credentials.filter(purpose="token").update(expires_at=now())
    assert connections.test_connection(made).ok
    assert connections.test_connection(made).ok
    assert (forge.exchanged, forge.refreshed) == (1, 1)
    kept = made.credentials.get(purpose="refresh_token").secret
    assert (kept == spent) is (not forge.used_once)
    if forge.used_once:
        with pytest.raises(AuthFailure, match="Connect again"):
            access.oauth_of(instance_of(kind, forge.url)).refresh(spent)


def test_a_person_who_denies_it_connects_nothing(kind: str, forge: OAuthSide) -> None:
    browser, user = Client(), make_user()
    make_team(user)
    browser.force_login(user)
    page = browser.post("/connections/new/oauth/", {"provider": kind, "url": forge.url})
    back = httpx.post(str(page["Refresh"]).partition("url=")[2], data={"deny": "1"}).headers["location"]
    assert parse_qs(urlsplit(back).query)["error"] == ["access_denied"]
    answer = browser.get(f"{urlsplit(back).path}?{urlsplit(back).query}", follow=True)
    assert "You did not allow OpsSight in" in answer.content.decode()
    assert not Connection.objects.exists()
