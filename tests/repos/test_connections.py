from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from opssight.accounts.models import AllowedHost, Role, Team
from opssight.accounts.scope import NotAllowed, Principal
from opssight.audit.models import AuditEvent
from opssight.core.errors import Conflict, InvalidInput
from repos import connections, selectors
from repos.models import Connection, Credential
from syncs.copy.models import CopyRule
from tests.factories import make_connection, make_job, make_repository, make_team, make_user
from tests.forges.githttp import GitServer

TOKEN = "canary-token-6b2f"
URL = "https://git.example.org/team/site.git"


def create(principal: Principal, team: Team, **changes: Any) -> Connection:
    values: dict[str, Any] = {
        "provider": "plain",
        "name": "Our server",
        "options": {"urls": [URL], "username": "ada"},
        "secrets": {"password": TOKEN},
    }
    return connections.create_connection(principal, team, **{**values, **changes})


def problems(error: pytest.ExceptionInfo[InvalidInput]) -> list[str]:
    return [where for where, _ in error.value.problems]


def test_create(principal: Principal, team: Team) -> None:
    made = create(principal, team, name="  Our   server ")
    row = Connection.objects.get()
    assert (row.pk, row.name, row.provider, row.state, row.local) == (
        made.pk,
        "Our server",
        "plain",
        "unknown",
        False,
    )
    assert row.options == {"urls": [URL], "username": "ada", "host_key": []}
    assert row.created_by == principal.user
    credential = Credential.objects.get()
    assert (credential.purpose, credential.secret) == ("password", TOKEN)
    [stored] = Credential.objects.values_list("secret", flat=True)
    assert TOKEN not in stored


def test_create_is_audited_without_the_secret(principal: Principal, team: Team) -> None:
    create(principal, team)
    event = AuditEvent.objects.get(action="connection.create")
    assert (event.team_id, event.object_label) == (team.pk, "Our server")
    assert event.diff["secret_fields"] == ["password"]
    assert TOKEN not in str(event.diff)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"provider": "cvs"}, ["provider"]),
        ({"name": " "}, ["name"]),
        ({"name": "x" * 101}, ["name"]),
        ({"options": {}}, ["urls"]),
        ({"options": {"urls": [URL], "colour": "red"}}, ["colour"]),
        ({"options": {"urls": ["ftp://x/y"]}}, ["urls"]),
        ({"secrets": {"pin": "1"}}, ["pin"]),
        ({"provider": "folder", "options": {"root": "/"}, "secrets": {}}, ["root"]),
    ],
)
def test_create_refuses(principal: Principal, team: Team, changes: dict[str, Any], fields: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        create(principal, team, **changes)
    assert problems(refused) == fields
    assert not Connection.objects.exists()
    assert not AuditEvent.objects.filter(action__startswith="connection").exists()


def test_a_name_is_used_once_in_a_team(principal: Principal, team: Team) -> None:
    create(principal, team)
    with pytest.raises(InvalidInput) as refused:
        create(principal, team)
    assert problems(refused) == ["name"]
    other = make_team(principal.user)
    create(Principal.of_user(principal.user), other)
    assert Connection.objects.count() == 2


def test_only_administrators_change_connections(team: Team) -> None:
    user = make_user()
    operator = Principal(user, {team.pk: Role.OPERATOR})
    row = make_connection(team, "plain", options={"urls": [URL]})
    with pytest.raises(NotAllowed):
        create(operator, team)
    with pytest.raises(NotAllowed):
        connections.update_connection(operator, row, name="x")
    with pytest.raises(NotAllowed):
        connections.delete_connection(operator, row)


def test_update_keeps_what_is_not_given(principal: Principal, team: Team) -> None:
    row = create(principal, team)
    connections.update_connection(principal, row, name="Server")
    row = Connection.objects.get()
    assert (row.name, row.options["urls"]) == ("Server", [URL])
    assert Credential.objects.get().secret == TOKEN
    event = AuditEvent.objects.get(action="connection.update")
    assert event.diff == {"name": ["Our server", "Server"], "secret_fields": []}


def test_update_replaces_and_removes_secrets(principal: Principal, team: Team) -> None:
    row = create(principal, team)
    connections.update_connection(principal, row, secrets={"password": "canary-new-token"})
    assert Credential.objects.get().secret == "canary-new-token"
    assert "canary" not in str(AuditEvent.objects.get(action="connection.update").diff)
    connections.update_connection(principal, row, options={"urls": [URL]}, secrets={"password": ""})
    assert not Credential.objects.exists()


def test_a_stored_secret_never_goes_to_another_server(principal: Principal, team: Team) -> None:
    row = create(principal, team)
    elsewhere = {"urls": ["https://evil.example.net/team/site.git"], "username": "ada"}
    with pytest.raises(InvalidInput, match="Enter the secret again") as refused:
        connections.update_connection(principal, row, options=elsewhere)
    assert problems(refused) == ["password"]
    assert Connection.objects.get().options["urls"] == [URL]
    connections.update_connection(principal, row, options=elsewhere, secrets={"password": "for the other"})
    assert Connection.objects.get().options["urls"] == elsewhere["urls"]


def test_another_repository_on_the_same_server_needs_no_secret(principal: Principal, team: Team) -> None:
    row = create(principal, team)
    more = {"urls": [URL, URL.replace("site", "docs")], "username": "ada"}
    connections.update_connection(principal, row, options=more)
    assert Credential.objects.get().secret == TOKEN


def test_update_refuses_what_does_not_fit(principal: Principal, team: Team) -> None:
    row = create(principal, team)
    make_connection(team, name="Taken")
    unfit: list[dict[str, Any]] = [{"name": "Taken"}, {"options": {"urls": []}}, {"secrets": {"pin": "1"}}]
    for changes in unfit:
        with pytest.raises(InvalidInput):
            connections.update_connection(principal, Connection.objects.get(pk=row.pk), **changes)
    assert Connection.objects.get(pk=row.pk).name == "Our server"


def test_trust_of_the_command_line_ends_with_other_options(
    principal: Principal, team: Team, folder: Path, settings: Settings
) -> None:
    settings.FOLDER_ROOTS = ()
    row = connections.create_connection(
        principal, team, "folder", "Mine", {"root": str(folder)}, {}, local=True
    )
    assert row.local
    connections.update_connection(principal, row, name="Still mine")
    assert Connection.objects.get().local
    with pytest.raises(InvalidInput):
        connections.update_connection(principal, row, options={"root": str(folder / "team")})
    connections.update_connection(principal, row, options={"root": str(folder / "team")}, local=True)
    settings.FOLDER_ROOTS = (folder,)
    connections.update_connection(principal, row, options={"root": str(folder)})
    assert not Connection.objects.get().local


@pytest.mark.django_db(transaction=True)
def test_test_says_who_we_are_and_what_it_sees(principal: Principal, team: Team, folder: Path) -> None:
    (folder / "broken" / ".git").mkdir(parents=True)
    row = create(principal, team, provider="folder", options={"root": str(folder)}, secrets={})
    tested = connections.test_connection(row)
    assert tested.ok
    assert tested.sees == 3
    assert tested.identity is not None
    assert tested.sentences[0] == f"It sees 3 repositories as {folder}."
    assert tested.sentences[1].startswith("broken: This folder is not a git repository.")
    row.refresh_from_db()
    assert (row.state, row.account) == ("ok", str(folder))


@pytest.mark.django_db(transaction=True)
def test_test_names_only_some_of_many(principal: Principal, team: Team, folder: Path) -> None:
    for n in range(8):
        (folder / f"broken{n}" / ".git").mkdir(parents=True)
    row = create(principal, team, provider="folder", options={"root": str(folder)}, secrets={})
    tested = connections.test_connection(row)
    assert tested.sees == 10
    assert len(tested.sentences) == 7
    assert tested.sentences[-1] == "3 more cannot be used."


@pytest.fixture
def server(folder: Path) -> Iterator[GitServer]:
    with GitServer(folder, username="ada", password=TOKEN) as running:
        yield running


@pytest.mark.http_git
@pytest.mark.django_db(transaction=True)
def test_test_of_a_refused_credential(principal: Principal, team: Team, server: GitServer) -> None:
    AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.1/32", ports="")
    options = {"urls": [server.url_of("site.git")], "username": "ada"}
    row = create(principal, team, options=options, secrets={"password": "wrong one"})
    tested = connections.test_connection(row)
    assert (tested.ok, tested.identity, tested.sees) == (False, None, 0)
    assert "refuses the credential" in tested.sentences[0]
    row.refresh_from_db()
    assert row.state == "reauth_required"


def test_delete_says_what_hangs_on_it(principal: Principal, team: Team) -> None:
    row = create(principal, team)
    make_repository(row)
    make_repository(row)
    with pytest.raises(Conflict, match="2 repositories would be deleted with Our server"):
        connections.delete_connection(principal, row)
    assert Connection.objects.exists()
    connections.delete_connection(principal, row, with_everything=True)
    assert not Connection.objects.exists()
    assert not Credential.objects.exists()
    assert AuditEvent.objects.get(action="connection.delete").diff == {"with": ["2 repositories"]}


def test_delete_of_an_empty_one(principal: Principal, team: Team) -> None:
    connections.delete_connection(principal, create(principal, team))
    assert not Connection.objects.exists()


def test_what_a_job_works_with_stays(principal: Principal, team: Team) -> None:
    row = create(principal, team)
    rule = CopyRule.objects.create(job=make_job(team), source=make_repository(row), source_branch="main")
    with pytest.raises(Conflict, match="1 copy rule still work"):
        connections.delete_connection(principal, row, with_everything=True)
    assert CopyRule.objects.get() == rule
    assert not AuditEvent.objects.filter(action="connection.delete").exists()


def test_list_counts_in_one_query(principal: Principal, team: Team, django_assert_num_queries: Any) -> None:
    row = create(principal, team)
    make_repository(row)
    make_repository(row, state="ignored")
    create(principal, team, name="A server")
    make_connection(make_team(), "plain")
    with django_assert_num_queries(1):
        found = {one.name: one for one in selectors.connections(principal)}
        assert {one.team.name for one in found.values()} == {team.name}
    counts = {name: getattr(one, "repository_count") for name, one in found.items()}  # noqa: B009 - annotated
    assert list(counts.items()) == [("A server", 0), ("Our server", 1)]
    assert not selectors.connections(principal, provider="folder")
    assert selectors.connections(principal, provider="plain", state="unknown").count() == 2
