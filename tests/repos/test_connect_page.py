"""The connect page: a paste is recognised and asked at once, and says what the token may do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client

from opssight.accounts.models import AllowedHost
from repos.models import Connection
from repos.providers.forge import Forge
from repos.providers.registry import all_providers
from repos.providers.types import Need
from tests.factories import make_team, make_user
from tests.forges.gitlab import GitLabStandIn

pytestmark = pytest.mark.django_db(transaction=True)
READER = "glpat-canary0123456789abcd"


@pytest.fixture
def browser() -> Client:
    user = make_user()
    team = make_team(user)
    client = Client()
    client.force_login(user)
    client.post("/accounts/team/", {"team": str(team.pk)})
    return client


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[GitLabStandIn]:
    with GitLabStandIn(tmp_path) as running:
        running.add_token(READER, "ana", scopes=["read_api", "read_repository"])
        running.add_repository("acme/site", {b"a": b"b"}, visibility="public")
        AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=str(running.port))
        yield running


def pasted(browser: Client, text: str) -> str:
    return browser.post("/connections/new/", {"paste": text}).content.decode()


def test_a_pasted_token_goes_nowhere_before_one_sees_whose_server_it_is_sent_to(browser: Client) -> None:
    page = pasted(browser, "ghp_abcdefghijklmnop")
    assert 'hx-trigger="load"' not in page
    assert "Test asks github.com." in page
    assert "Test asks gitlab.com." in pasted(browser, "glpat-abcdefghijklmnopqrst")
    assert 'name="name" value="GitHub"' in page
    assert "https://github.com/settings/tokens/new" in page


@pytest.mark.parametrize("text", ["https://github.com/acme/site", "ATATT3xFfGF0abc", "https://codeberg.org"])
def test_what_is_not_whole_waits_for_the_rest(browser: Client, text: str) -> None:
    page = pasted(browser, text)
    assert "recognised by what you pasted" in page
    if text.startswith("ATATT"):
        assert "id.atlassian.com" in page
    else:
        assert 'hx-trigger="load"' not in page


def test_what_is_missing_is_named_with_its_scope(browser: Client, forge: GitLabStandIn) -> None:
    given = {"provider": "gitlab", "name": "Ours", "url": forge.url, "token": READER, "test": "1"}
    page = browser.post("/connections/new/", given, headers={"HX-Request": "true"}).content.decode()
    assert "allowed" in page
    assert "missing api" in page
    assert "missing write_repository" in page
    assert "The rest works with this token" in page
    assert READER not in page
    assert not Connection.objects.exists()


def test_a_forge_needs_a_token_here(browser: Client) -> None:
    answer = browser.post("/connections/new/", {"provider": "github", "name": "Ours"})
    assert answer.status_code == 422
    assert not Connection.objects.exists()


def test_each_forge_names_a_scope_for_each_need() -> None:
    told = [one for one in all_providers() if issubclass(one, Forge) and one.asks]
    assert {one.kind for one in told} >= {"github", "gitlab", "bitbucket", "gitea"}
    assert [one.kind for one in told if set(one.asks) != set(Need)] == []
