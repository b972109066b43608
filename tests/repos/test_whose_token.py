"""A token goes to the server it was given for, on the way that was chosen for it, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal
from opssight.core.errors import Conflict, InvalidInput
from repos import connections, health, oauth, reconnect
from repos.instances import instance_of
from repos.models import Connection, ProviderInstance
from repos.tokens import store_secret
from tests.factories import make_connection, make_team, make_user

pytestmark = pytest.mark.django_db
ELSEWHERE = "https://evil.example.org"
PROXY = "http://proxy.example.org:8080"


@pytest.fixture
def team_of_admin() -> tuple[Principal, Team]:
    user = make_user()
    team = make_team(user)
    return Principal.of_user(user), team


@pytest.mark.parametrize(
    "change",
    [
        {"options": {"url": ELSEWHERE}, "secrets": {"token": "x"}},
        {"proxy": PROXY, "secrets": {"token": "x"}},
        {"secrets": {"token": "x"}},
        {"options": {"url": ELSEWHERE}},
    ],
)
def test_an_installation_of_an_app_can_only_be_renamed(
    team_of_admin: tuple[Principal, Team], change: dict[str, dict[str, str]]
) -> None:
    principal, team = team_of_admin
    row = make_connection(team, "github", installation_id="7", options={"url": ""})
    with pytest.raises(InvalidInput, match="only its name can be changed"):
        connections.update_connection(principal, row, **change)  # type: ignore[arg-type]
    row.refresh_from_db()
    assert (row.options, row.proxy, row.credentials.count()) == ({"url": ""}, "", 0)
    connections.update_connection(principal, row, name="Another", options={"url": ""}, secrets={})
    assert Connection.objects.get().name == "Another"


@pytest.fixture
def registered() -> None:
    for url in ("", "https://github.example.org"):
        ProviderInstance.objects.create(provider="github", url=url, client_id="c", client_secret="s")


@pytest.mark.usefixtures("registered")
@pytest.mark.parametrize("own", [{"proxy": PROXY}, {"ca": "-----BEGIN"}, {"installation_id": "7"}])
def test_the_button_is_not_for_a_connection_with_a_way_of_its_own(
    team_of_admin: tuple[Principal, Team], own: dict[str, str]
) -> None:
    principal, team = team_of_admin
    row = make_connection(team, "github", options={"url": ""}, **own)
    with pytest.raises(Conflict, match="not a connection that the button"):
        oauth.reconnect(principal, row, instance_of("github", ""), "code", "v" * 43)
    assert reconnect.mend(row, reconnect.button_places()).label != "Connect again"


@pytest.mark.usefixtures("registered")
def test_a_token_of_one_server_is_not_stored_for_another(team_of_admin: tuple[Principal, Team]) -> None:
    principal, team = team_of_admin
    row = make_connection(team, "github", options={"url": ""})
    with pytest.raises(Conflict, match="not a connection that the button"):
        oauth.reconnect(principal, row, instance_of("github", "https://github.example.org"), "code", "v" * 43)
    assert reconnect.mend(row, reconnect.button_places()).label == "Connect again"


def test_another_way_ends_the_trust_of_the_command_line(
    team_of_admin: tuple[Principal, Team], tmp_path: Path
) -> None:
    principal, team = team_of_admin
    row = make_connection(team, "plain", options={"urls": ["https://git.example.org/a.git"]}, local=True)
    store_secret(row, "password", "canary")
    connections.update_connection(principal, row, proxy=PROXY, secrets={"password": "canary"})
    assert not Connection.objects.get().local


def test_a_connection_that_moved_is_reported_to_its_new_team(team_of_admin: tuple[Principal, Team]) -> None:
    _, team = team_of_admin
    row = make_connection(team, "plain", state="ok")
    new = make_team()
    Connection.objects.filter(pk=row.pk).update(team=new)
    health.note_failure(row, InvalidInput("It does not answer as it should."), whole=True)
    assert row.team_id == new.pk
