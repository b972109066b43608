"""Pages of connections: what they say, who may do what, and the way from an address to repositories."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.audit.models import AuditEvent
from opssight.core.clock import now
from repos import beside
from repos.connections import create_connection
from repos.discovery import packed
from repos.forms import recognise
from repos.models import Connection, Credential, Discovery, Repository, Webhook
from syncs.copy.models import CopyRule
from tests.factories import make_connection, make_job, make_repository, make_team
from tests.repos.pages import page, queries, said, settle, words
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db
HTMX = {"HX-Request": "true"}


def form_of(root: Path, **more: Any) -> dict[str, Any]:
    return {"provider": "folder", "name": "Team git", "root": str(root), **more}


# --- the list and one of them --------------------------------------------------------------------------


def test_without_a_connection_the_list_leads_to_the_first_one() -> None:
    client, _ = signed_in()
    text = page(client, "connections")
    assert "Everything starts with a connection" in text
    assert "Connect a forge, a git server or a folder" in text


def test_who_may_not_connect_is_not_led_to_it() -> None:
    client, _ = signed_in(role=Role.OPERATOR)
    assert "Connect a forge, a git server or a folder" not in page(client, "connections")
    assert client.get(reverse("connection_new")).status_code == 404
    assert client.post(reverse("connection_new"), form_of(Path("/srv"))).status_code == 404


def test_the_list_says_how_each_is() -> None:
    client, team = signed_in()
    make_connection(team, name="Fine", state=Connection.State.OK, account="/srv/git")
    make_connection(team, name="Refused", state=Connection.State.REAUTH, sentence="The token has ended.")
    lost = make_connection(team, name="Silent")
    make_repository(lost)
    make_repository(lost, state=Repository.State.IGNORED)
    text = page(client, "connections")
    assert "Fine /srv/git healthy 0 never" in text
    assert "Refused reconnect The token has ended. 0 never" in text
    assert "Silent not asked yet 1 never" in text


@pytest.mark.parametrize(
    ("sort", "found"), [("-name", ["b", "a"]), ("-repositories", ["b", "a"]), ("x", ["a", "b"])]
)
def test_the_list_is_sorted(sort: str, found: list[str]) -> None:
    client, team = signed_in()
    make_connection(team, name="a")
    make_repository(make_connection(team, name="b"))
    rows = client.get(reverse("connections"), {"sort": sort}).context["rows"]
    assert [row.connection.name for row in rows] == found


def test_the_lists_ask_as_much_for_thirty_rows_as_for_three() -> None:
    client, team = signed_in()

    def grow(number: int) -> None:
        for _ in range(number):
            make_repository(make_connection(team, state=Connection.State.DEGRADED))

    grow(3)
    few = [queries(client, reverse(name)) for name in ("connections", "repositories")]
    grow(27)
    assert [queries(client, reverse(name)) for name in ("connections", "repositories")] == few


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("connection", "get"),
        ("connection_edit", "get"),
        ("connection_edit", "post"),
        ("connection_found", "get"),
        ("connection_found", "post"),
        ("connection_test", "post"),
        ("connection_delete", "post"),
    ],
)
def test_connections_of_other_teams_are_not_there(name: str, method: str) -> None:
    client, team = signed_in()
    other = make_connection(make_team())
    shared = make_connection(make_team())
    shared.grants.create(team=team)
    for connection in (other, shared):
        assert getattr(client, method)(reverse(name, args=[connection.pk])).status_code == 404
    assert Connection.objects.count() == 2


@pytest.mark.parametrize(
    ("role", "edit", "delete", "find"), [(Role.VIEWER, 404, 404, 404), (Role.OPERATOR, 404, 404, 302)]
)
def test_each_role_does_what_it_may(role: Role, edit: int, delete: int, find: int) -> None:
    client, team = signed_in(role=role)
    connection = make_connection(team, name="Team git")
    Discovery.objects.create(connection=connection, found_at=now(), found=packed([]))
    text = page(client, "connection", connection.pk)
    assert "Team git" in text
    assert "Delete…" not in text
    assert ("Test now" in text) == (find == 302)
    assert client.get(reverse("connection_edit", args=[connection.pk])).status_code == edit
    assert client.post(reverse("connection_delete", args=[connection.pk])).status_code == delete
    assert client.post(reverse("connection_found", args=[connection.pk])).status_code == find


def test_the_page_names_what_it_is_made_of_and_no_secret() -> None:
    client, team = signed_in()
    options = {"urls": ["https://git.example.org/a.git", "https://git.example.org/b.git"], "username": "ci"}
    connection = make_connection(team, "plain", options=options, sentence="It is slow.", state="degraded")
    Credential.objects.create(connection=connection, purpose="password", secret="hunter2 hunter2")
    for index in range(12):
        make_repository(connection, f"team/r{index}")
    text = page(client, "connection", connection.pk)
    assert "It is slow." in text
    assert "https://git.example.org/a.git and 1 more" in text
    assert "Password or token stored, encrypted" in text
    assert "12 imported" in text
    assert "team/r11" in text
    assert "team/r1 " not in text  # the newest ten
    for name in ("connection", "connection_edit"):
        assert "hunter2" not in client.get(reverse(name, args=[connection.pk])).content.decode()


def test_deleting_asks_says_what_is_lost_and_takes_it_along() -> None:
    client, team = signed_in()
    connection = make_connection(team, name="Team git")
    make_repository(connection)
    Webhook.objects.create(team=team, scheme="plain", secret="x", connection=connection)
    text = page(client, "connection", connection.pk)
    assert "1 repository and 1 webhook go with it here" in text
    answer = client.post(reverse("connection_delete", args=[connection.pk]), follow=True)
    assert said(answer) == ["Team git is deleted with 1 repository here."]
    assert not Connection.objects.exists()
    assert not Repository.objects.exists()


def test_what_a_job_works_with_is_not_deleted() -> None:
    client, team = signed_in()
    connection = make_connection(team, name="Team git")
    CopyRule.objects.create(
        job=make_job(team, "copy"), source=make_repository(connection), source_branch="main"
    )
    answer = client.post(reverse("connection_delete", args=[connection.pk]), follow=True)
    assert said(answer) == [
        "1 copy rule still work with repositories of Team git. Change or delete those jobs first."
    ]
    assert Connection.objects.exists()


# --- making one -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "provider", "initial"),
    [
        (" /srv/git ", "folder", {"root": "/srv/git"}),
        ("https://git.example.org/a/b.git", "plain", {"urls": "https://git.example.org/a/b.git"}),
        ("git@git.example.org:a/b.git", "plain", {"urls": "git@git.example.org:a/b.git"}),
        ("ssh://git@host/a.git", "plain", {"urls": "ssh://git@host/a.git"}),
        ("https://me:hunter2@git.example.org/a.git", "plain", {"urls": "https://git.example.org/a.git"}),
    ],
)
def test_a_folder_or_an_address_is_recognised(text: str, provider: str, initial: dict[str, str]) -> None:
    found = recognise(text)
    assert (found.provider, found.initial, found.sentence) == (provider, initial, "")


@pytest.mark.parametrize("text", ["", "acme", "ftp://host/a"])
def test_anything_else_is_answered_with_what_to_do(text: str) -> None:
    found = recognise(text)
    assert found.provider == ""
    assert found.sentence.endswith(".")
    assert text == "" or text not in found.sentence


@pytest.mark.parametrize(
    ("text", "provider", "initial"),
    [
        ("ghp_abcdefghijklmnop", "github", {"token": "ghp_abcdefghijklmnop"}),
        (" glpat-abcdef ", "gitlab", {"token": "glpat-abcdef"}),
        ("ATATT3xFfGF0", "bitbucket", {"token": "ATATT3xFfGF0"}),
        ("https://github.com/acme/site", "github", {}),
        ("git@gitlab.com:acme/site.git", "gitlab", {}),
        ("https://codeberg.org/acme/site", "gitea", {"url": "https://codeberg.org"}),
    ],
)
def test_a_forge_is_recognised_by_its_tokens_and_its_host(
    text: str, provider: str, initial: dict[str, str]
) -> None:
    found = recognise(text)
    assert (found.provider, found.initial, found.sentence) == (provider, initial, "")


def test_pasting_fills_the_form_and_puts_nothing_into_an_address() -> None:
    client, _ = signed_in()
    answer = client.post(reverse("connection_new"), {"paste": "https://me:hunter2@git.example.org/a.git"})
    assert answer.status_code == 200
    text = answer.content.decode()
    assert "recognised by what you pasted" in text
    assert "https://git.example.org/a.git</textarea>" in text
    assert "hunter2" not in text
    answer = client.post(reverse("connection_new"), {"paste": "ghp_abcdefghijklmnop"})
    text = answer.content.decode()
    assert 'value="ghp_abcdefghijklmnop"' in text
    assert '<h2 id="connect">GitHub</h2>' in text


def test_the_form_says_which_folders_may_be_used(settings: Settings) -> None:
    client, _ = signed_in()
    settings.FOLDER_ROOTS = (Path("/srv/git"), Path("/home/git"))
    assert "It must be below /srv/git and /home/git." in page(client, "connection_new", provider="folder")
    settings.FOLDER_ROOTS = ()
    assert "an administrator sets OPSSIGHT_FOLDER_ROOTS" in page(client, "connection_new", provider="folder")


def test_each_provider_has_its_own_fields() -> None:
    client, _ = signed_in()
    text = page(client, "connection_new", provider="plain")
    assert "Addresses" in text
    assert "Private key" in text
    assert "Folder" not in page(client, "connection_new", provider="plain").partition("Name")[2]
    assert page(client, "connection_new", provider="no such") == page(client, "connection_new")


@pytest.mark.usefixtures("beside")
def test_a_test_shows_what_it_sees_and_stores_nothing(folder: Path) -> None:
    client, _ = signed_in()
    data = form_of(folder, name="", test="1")
    part = client.post(reverse("connection_new"), data, headers=HTMX)
    text = words(part.content)
    assert f'title="{folder}"' in part.content.decode()
    assert text.endswith("a folder on this machine It sees 2 repositories It works answered")
    whole = client.post(reverse("connection_new"), data)
    assert "It sees 2 repositories" in words(whole.content)
    assert not Connection.objects.exists()
    assert not AuditEvent.objects.exists()


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize(
    ("root", "sentence"),
    [
        ("/etc", "/etc is not below an allowed folder."),
        ("relative", "relative is not a full path."),
        ("", "Folder: This field is required."),
        ("{folder}/missing", "is not there. Was it moved, or not mounted?"),
    ],
)
def test_a_test_that_fails_says_why(folder: Path, root: str, sentence: str) -> None:
    client, _ = signed_in()
    data = {**form_of(folder, test="1"), "root": root.format(folder=folder)}
    part = client.post(reverse("connection_new"), data, headers=HTMX)
    assert part.status_code == 200
    assert sentence in words(part.content)


def test_a_test_that_takes_too_long_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client, _ = signed_in()
    monkeypatch.setattr("repos.views.connecting.ask", lambda *args, **more: beside.Answer(pending=True))
    part = client.post(reverse("connection_new"), form_of(folder, test="1"), headers=HTMX)
    assert "It has not answered within 20 s." in words(part.content)


@pytest.mark.usefixtures("beside")
def test_from_an_address_to_repositories(folder: Path) -> None:
    client, team = signed_in()
    answer = client.post(reverse("connection_new"), form_of(folder))
    connection = Connection.objects.get()
    found = reverse("connection_found", args=[connection.pk])
    assert answer["Location"] == found
    assert (connection.team, connection.name, connection.local) == (team, "Team git", False)

    first = client.get(found)
    assert 'hx-trigger="load"' in first.content.decode()  # the page is there before the list
    part = words(client.get(found, headers=HTMX).content)
    assert "2 found 2 not here yet" in part
    assert "site not here yet main not told team/docs not here yet main not told" in part
    assert "Import all 2" in part

    answer = client.post(found, {"id": ["site.git"]}, follow=True)
    assert said(answer) == ["1 repository imported. Nothing starts by itself."]
    assert "What next" in words(answer.content)
    assert "Make a copy rule" in words(answer.content)
    settle()
    site = Repository.objects.get()
    assert (site.full_name, site.team) == ("site", team)
    assert site.head_oid != ""  # it was looked at
    assert "2 found 1 not here yet" in words(client.get(found, headers=HTMX).content)

    token = client.get(found).context["seen"].token
    client.post(found, {"all": "1", "token": token})
    settle()
    assert set(Repository.objects.values_list("full_name", flat=True)) == {"site", "team/docs"}
    assert "See them" in words(client.get(found, headers=HTMX).content)
    connection.refresh_from_db()
    assert connection.state == Connection.State.OK


@pytest.mark.usefixtures("beside")
def test_picking_works_without_a_script_and_narrows_by_name(folder: Path) -> None:
    client, team = signed_in()
    connection = make_connection(team, options={"root": str(folder)})
    found = reverse("connection_found", args=[connection.pk])
    assert "2 found" in words(client.get(found, {"wait": "1"}).content)
    text = words(client.get(found, {"search": "DOCS"}).content)
    assert "team/docs" in text
    assert " site " not in text
    answer = client.post(found, {}, follow=True)
    assert said(answer) == ["Nothing was picked. Tick a repository, or import all."]
    answer = client.post(found, {"id": ["nowhere"]}, follow=True)
    assert said(answer) == ["nowhere: The connection does not see this repository."]
    assert not Repository.objects.exists()


@pytest.mark.usefixtures("beside")
def test_a_folder_that_vanished_is_said_and_makes_the_connection_degraded(folder: Path) -> None:
    client, team = signed_in()
    connection = make_connection(team, options={"root": str(folder / "gone")})
    part = client.get(reverse("connection_found", args=[connection.pk]), headers=HTMX)
    assert "is not there. Was it moved, or not mounted?" in words(part.content)
    connection.refresh_from_db()
    assert connection.state == Connection.State.DEGRADED
    answer = client.post(reverse("connection_found", args=[connection.pk]), {"all": "1"}, follow=True)
    assert "is not there." in said(answer)[0]


@pytest.mark.usefixtures("beside")
def test_looking_again_asks_again(folder: Path) -> None:
    client, team = signed_in()
    connection = make_connection(team, options={"root": str(folder)})
    found = reverse("connection_found", args=[connection.pk])
    assert "2 found" in words(client.get(found, headers=HTMX).content)
    (folder / "site.git").rename(folder / "no longer a repository")
    (folder / "no longer a repository" / "HEAD").unlink()
    assert "2 found" in words(client.get(found, headers=HTMX).content)
    client.get(found, {"again": ""})
    assert "1 found" in words(client.get(found, headers=HTMX).content)


@pytest.mark.usefixtures("beside")
def test_testing_now_says_how_it_is(folder: Path) -> None:
    client, team = signed_in(role=Role.OPERATOR)
    connection = make_connection(team, name="Team git", options={"root": str(folder)})
    url = reverse("connection_test", args=[connection.pk])
    assert said(client.post(url, follow=True)) == [f"Team git works. It sees 2 repositories as {folder}."]
    Connection.objects.update(options={"root": str(folder / "gone")})
    [sentence] = said(client.post(url, follow=True))
    assert sentence.startswith("Team git: The folder ")
    connection.refresh_from_db()
    assert connection.state == Connection.State.DEGRADED


def test_what_does_not_fit_is_said_at_the_field(folder: Path) -> None:
    client, team = signed_in()
    make_connection(team, name="Team git")
    answer = client.post(reverse("connection_new"), form_of(folder))
    assert answer.status_code == 422
    assert (
        "There is a connection called Team git in this team already."
        in answer.context["form"].errors["name"][0]
    )
    answer = client.post(reverse("connection_new"), form_of(Path("/etc"), name="Other"))
    assert "is not below an allowed folder" in answer.context["form"].errors["root"][0]


# --- changing one ---------------------------------------------------------------------------------------


@pytest.fixture
def plain() -> tuple[Client, Team, Connection]:
    client, team = signed_in()
    options = {"urls": ["https://git.example.org/a.git"], "username": "ci", "host_key": []}
    connection = make_connection(team, "plain", name="Server", options=options)
    Credential.objects.create(connection=connection, purpose="password", secret="hunter2")
    return client, team, connection


def change(**more: str) -> dict[str, str]:
    return {"name": "Server", "urls": "https://git.example.org/a.git", "username": "ci", **more}


def test_a_stored_secret_stays_unless_another_is_entered(plain: tuple[Client, Team, Connection]) -> None:
    client, _, connection = plain
    url = reverse("connection_edit", args=[connection.pk])
    assert client.post(url, change(name="Renamed")).status_code == 302
    connection.refresh_from_db()
    assert connection.name == "Renamed"
    assert connection.credentials.get().secret == "hunter2"
    client.post(url, change(password="correct horse"))
    assert connection.credentials.get().secret == "correct horse"
    client.post(url, change(username="", remove_password="on"))
    assert not connection.credentials.exists()


def test_a_stored_secret_is_not_sent_to_another_server(plain: tuple[Client, Team, Connection]) -> None:
    client, _, connection = plain
    url = reverse("connection_edit", args=[connection.pk])
    answer = client.post(url, change(urls="https://evil.example.org/a.git"))
    assert answer.status_code == 422
    assert "Enter the secret again for it." in answer.context["form"].errors["password"][0]
    connection.refresh_from_db()
    assert connection.options["urls"] == ["https://git.example.org/a.git"]


def test_a_connection_of_the_command_line_keeps_its_freedom_while_untouched(folder: Path) -> None:
    client, team = signed_in()
    owner = Principal.of_user(team.memberships.get().user)
    outside = folder.parent.parent
    connection = create_connection(owner, team, "folder", "Local", {"root": str(outside)}, {}, local=True)
    url = reverse("connection_edit", args=[connection.pk])
    assert client.post(url, {"name": "Renamed", "root": str(outside)}).status_code == 302
    connection.refresh_from_db()
    assert (connection.name, connection.local) == ("Renamed", True)
    assert client.post(url, {"name": "Renamed", "root": "/etc"}).status_code == 422
    assert client.post(url, {"name": "Renamed", "root": str(folder)}).status_code == 302
    connection.refresh_from_db()
    assert connection.local is False
