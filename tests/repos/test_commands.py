from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from pytest_django import Settings

from opssight.accounts.models import Team
from opssight.audit.models import AuditEvent
from repos import events
from repos.management.finding import with_id
from repos.models import Connection, Credential, Delivery, Repository, Webhook
from tests.factories import make_connection, make_repository, make_team
from tests.repos.deliveries import SECRET, fixture, github_headers
from tests.repos.git.work import Bare

pytestmark = pytest.mark.django_db(transaction=True)

PUSH = fixture("push__one_commit")


class Answer:
    """What a command answered: exit status, standard output and standard error."""

    def __init__(self, *args: str) -> None:
        out, err = io.StringIO(), io.StringIO()
        self.status = 0
        try:
            call_command(*args, stdout=out, stderr=err, no_color=True)
        except SystemExit as end:
            self.status = int(end.code or 0)
        self.out, self.err = out.getvalue(), err.getvalue()


def answer_of(*args: str, status: int = 0) -> Any:
    answer = Answer(*args, "--json")
    assert answer.status == status, answer.err
    return json.loads(answer.out)


@pytest.fixture
def connection(team: Team, folder: Path) -> Connection:
    return make_connection(team, name="Folder", options={"root": str(folder)})


# --- connection ------------------------------------------------------------------------------------


def test_connection_add_and_test(team: Team, folder: Path, settings: Settings) -> None:
    settings.FOLDER_ROOTS = ()  # the person at the keyboard is not limited by it
    made = answer_of("connection", "add", "Local", "--provider", "folder", "--set", f"root={folder}")
    assert (made["name"], made["provider"], made["repositories"]) == ("Local", "folder", 0)
    row = Connection.objects.get()
    assert (str(row.pk), row.local, row.team) == (made["id"], True, team)
    assert AuditEvent.objects.get(action="connection.create").actor_kind == "cli"
    tested = answer_of("connection", "test", "Local")
    assert (tested["ok"], tested["account"], tested["sees"]) == (True, str(folder), 2)
    assert "It sees 2 repositories" in Answer("connection", "test", made["id"]).out


def test_connection_add_takes_secrets_from_elsewhere(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("canary-from-file\n")
    monkeypatch.setenv("GIT_TOKEN", "canary-from-env")
    monkeypatch.setattr(sys, "stdin", io.StringIO("canary-from-stdin\n"))
    sources = {"a": f"file:{tmp_path}/token", "b": "env:GIT_TOKEN", "c": "-", "d": "canary-as-it-is"}
    url = ["--set", "urls=https://git.example.org/a/b", "--set", "urls=https://git.example.org/a/c"]
    for name, source in sources.items():
        answer = Answer(
            "connection", "add", name, "--provider", "plain", *url, "--secret", f"password={source}"
        )
        assert answer.status == 0
        assert "canary" not in answer.out + answer.err
    found = {row.connection.name: row.secret for row in Credential.objects.select_related("connection")}
    assert found == {
        "a": "canary-from-file",
        "b": "canary-from-env",
        "c": "canary-from-stdin",
        "d": "canary-as-it-is",
    }
    assert len(Connection.objects.get(name="a").options["urls"]) == 2


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--provider", "cvs"], "plain, folder"),
        (["--provider", "folder"], "root: Folder is missing"),
        (["--provider", "folder", "--set", "root"], "NAME=VALUE"),
        (["--provider", "folder", "--set", "root=/a", "--set", "root=/b"], "given twice"),
        (["--provider", "folder", "--set", "root=a/b"], "not a full path"),
        (["--provider", "plain", "--set", "urls=https://h/x", "--secret", "password=env:NOT_SET"], "not set"),
        (
            ["--provider", "plain", "--set", "urls=https://h/x", "--secret", "password=file:/none"],
            "cannot be read",
        ),
        (
            ["--provider", "plain", "--set", "urls=https://h/x", "--secret", "password=file:/dev/null"],
            "is empty",
        ),
    ],
)
def test_connection_add_refuses(team: Team, args: list[str], words: str) -> None:
    answer = Answer("connection", "add", "New", *args)
    assert answer.status == 2
    assert words in answer.err
    assert not Connection.objects.exists()


def test_connection_list_shows_health(team: Team, connection: Connection) -> None:
    Connection.objects.update(state="degraded", sentence="It broke off.")
    [row] = answer_of("connection", "list")["results"]
    assert (row["name"], row["state"], row["sentence"]) == ("Folder", "degraded", "It broke off.")
    assert "It broke off." in Answer("connection", "list").out


def test_connection_test_that_fails(connection: Connection, folder: Path) -> None:
    folder.rename(folder.parent / "away")
    answer = Answer("connection", "test", "Folder", "--json")
    assert answer.status == 1
    assert json.loads(answer.out)["ok"] is False
    assert "is not there" in answer.err


def test_connection_delete(connection: Connection) -> None:
    make_repository(connection)
    refused = Answer("connection", "delete", "Folder")
    assert (refused.status, "1 repository would be deleted" in refused.err) == (1, True)
    assert answer_of("connection", "delete", "Folder", "--with-everything") == {
        "deleted": "Folder",
        "webhooks_left": 0,
    }
    assert Answer("connection", "delete", "Folder").status == 1
    assert Answer("connection", "list").out.strip() == "No connections yet."


def test_commands_act_in_one_team(connection: Connection) -> None:
    other = make_team(connection.team.personal_user, name="Others")
    assert answer_of("connection", "list", "--team", other.slug) == {"results": []}
    assert Answer("connection", "test", str(connection.pk), "--team", other.slug).status == 1
    assert Answer("connection", "list", "--team", "nobody").status == 2


def test_a_delivery_is_found_by_the_end_of_its_id(connection: Connection) -> None:
    rows = Connection.objects.order_by("-id")
    assert with_id(rows, connection.pk.hex[-6:]) == connection
    assert with_id(rows, str(connection.pk)) == connection
    for wanted in ("", "zz", "0", "../x", "f" * 40):
        assert with_id(rows, wanted) is None


# --- repo ------------------------------------------------------------------------------------------


def test_repo_discover_import_list(connection: Connection, folder: Path) -> None:
    (folder / "broken" / ".git").mkdir(parents=True)
    found = answer_of("repo", "discover", "Folder")["results"]
    assert [(row["full_name"], row["usable"], row["imported"]) for row in found] == [
        ("broken", False, False),
        ("site", True, False),
        ("team/docs", True, False),
    ]
    assert "not a git repository" in Answer("repo", "discover", "Folder").out
    [taken] = answer_of("repo", "import", "Folder", "team/docs")["results"]
    assert taken["full_name"] == "team/docs"
    assert AuditEvent.objects.get(action="repository.import").actor_kind == "cli"
    assert "2 repositories imported" in Answer("repo", "import", "Folder", "--all").out
    rows = answer_of("repo", "list")["results"]
    assert [row["full_name"] for row in rows] == ["site", "team/docs"]
    assert [row["full_name"] for row in answer_of("repo", "list", "--search", "doc")["results"]] == [
        "team/docs"
    ]
    assert answer_of("repo", "list", "--connection", "Folder", "--state", "gone") == {"results": []}


def test_repo_import_refuses(connection: Connection, folder: Path) -> None:
    (folder / "broken" / ".git").mkdir(parents=True)
    for args in ([], ["site", "--all"], ["nothing"], ["broken"]):
        assert Answer("repo", "import", "Folder", *args).status == 2
    assert not Repository.objects.exists()


def test_repo_filters(connection: Connection, folder: Path) -> None:
    found = answer_of("repo", "discover", "Folder", "--owner", "team")
    assert [row["full_name"] for row in found["results"]] == ["team/docs"]
    assert (found["total"], found["failed"]) == (2, [])
    assert "Nothing fits." in Answer("repo", "discover", "Folder", "--search", "zzz").out
    for args in (["--include", "(["], ["--pushed-since", "soon"]):
        assert Answer("repo", "discover", "Folder", *args).status == 2
    for args in (["--match"], ["--owner", "team"], ["--all", "--match", "--owner", "team"]):
        assert Answer("repo", "import", "Folder", *args).status == 2
    taken = answer_of("repo", "import", "Folder", "--match", "--exclude", "site")["results"]
    assert [row["full_name"] for row in taken] == ["team/docs"]
    (folder / "new.git").mkdir()
    Bare(folder / "really-new.git").commit({b"a": b"b"})
    assert answer_of("repo", "discover", "Folder")["total"] == 2  # the list is young
    assert answer_of("repo", "discover", "Folder", "--again")["total"] == 3


def test_repo_refresh(connection: Connection, folder: Path) -> None:
    Answer("repo", "import", "Folder", "--all")
    (folder / "site.git").rename(folder.parent / "away")
    document = answer_of("repo", "refresh", "Folder")
    assert document == {
        "seen": 1,
        "renamed": [],
        "lost": ["site"],
        "back": [],
        "imported": [],
        "failed": [],
    }
    assert "1 repository seen" in Answer("repo", "refresh", "Folder").out


def test_empty_lists_say_what_to_do(team: Team, folder: Path) -> None:
    (folder / "none").mkdir()
    make_connection(team, name="Empty", options={"root": str(folder / "none")})
    assert "sees no repository" in Answer("repo", "discover", "Empty").out
    assert "repo import" in Answer("repo", "list").out
    assert "No webhooks yet." in Answer("hook", "list").out
    assert "No deliveries yet." in Answer("delivery", "list").out


# --- hook and delivery ------------------------------------------------------------------------------


def test_hook_add_with_a_secret(team: Team, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://ops.example.org"
    document = answer_of("hook", "add", "--provider", "github", "--secret", SECRET)
    hook = Webhook.objects.get()
    path = f"/hooks/{hook.pk}/"
    assert document == {"id": str(hook.pk), "path": path, "url": f"https://ops.example.org{path}"}
    assert hook.secret == SECRET


def test_hook_add_makes_a_secret_and_shows_it_once(team: Team) -> None:
    document = answer_of("hook", "add", "--provider", "plain", "--name", "Mine")
    assert Webhook.objects.get().secret == document["secret"]
    assert document["secret"] not in Answer("hook", "list", "--json").out
    assert "shown only now" in Answer("hook", "add", "--provider", "plain").out


def test_hook_add_for_a_repository(connection: Connection) -> None:
    repository = make_repository(connection, "acme/site")
    answer_of("hook", "add", "--provider", "plain", "--repository", "acme/site")
    assert Webhook.objects.get().repository == repository
    [row] = answer_of("hook", "list")["results"]
    assert (row["repository"], row["provider"], row["state"]) == ("acme/site", "plain", "active")
    assert Answer("hook", "add", "--provider", "plain", "--repository", "acme/none").status == 1
    make_repository(connection, "acme/site", external_id="2")
    assert "several called" in Answer("hook", "add", "--provider", "plain", "--repository", "acme/site").err
    assert Answer("hook", "add", "--provider", "folder").status == 2


def test_hook_test_and_delete(team: Team) -> None:
    made = answer_of("hook", "add", "--provider", "github")
    assert answer_of("hook", "test", made["id"]) == {"ok": True, "status": 204, "verdict": "ignored"}
    assert "It answers 204" in Answer("hook", "test", "GitHub").out
    assert answer_of("hook", "delete", made["id"]) == {"deleted": made["id"]}
    assert not Webhook.objects.exists()


def test_hook_test_above_the_ceiling(team: Team, settings: Settings) -> None:
    from opssight.core.env_kinds import Rate

    settings.HOOK_RATE = Rate(0, 60)
    answer_of("hook", "add", "--provider", "github")
    answer = Answer("hook", "test", "GitHub")
    assert (answer.status, "It answers 429" in answer.err) == (1, True)


def test_deliveries(team: Team) -> None:
    hook = answer_of("hook", "add", "--provider", "github", "--secret", SECRET)

    def post(body: bytes, headers: dict[str, str]) -> int:
        others = {name: value for name, value in headers.items() if name != "content-type"}
        answer = Client().post(hook["path"], body, content_type="application/json", headers=others)
        return answer.status_code

    headers = github_headers(PUSH, id="7")
    assert [post(PUSH, headers), post(PUSH, headers), post(PUSH, {})] == [202, 200, 401]
    assert [post(b"{", github_headers(b"{")), post(PUSH, github_headers(PUSH, event="star"))] == [400, 204]
    rows = answer_of("delivery", "list")["results"]
    assert [(row["provider"], row["event"], row["verdict"], row["events"]) for row in reversed(rows)] == [
        ("github", "push", "accepted", ["Pushed"]),
        ("github", "push", "duplicate", ["Pushed"]),
        ("github", "", "unauthentic", []),
        ("github", "", "unreadable", []),
        ("github", "star", "ignored", []),
    ]
    assert len(answer_of("delivery", "list", "--verdict", "accepted")["results"]) == 1
    assert len(answer_of("delivery", "list", "--limit", "2")["results"]) == 2
    assert "unauthentic" in Answer("delivery", "list").out

    first, refused = rows[4]["id"], rows[2]["id"]
    shown = answer_of("delivery", "show", first)
    assert (shown["body"], shown["duplicates"]) == (PUSH.decode(), 1)
    assert answer_of("delivery", "show", refused)["body"] is None
    again = answer_of("delivery", "replay", first)
    assert (again["verdict"], again["replay_of"]) == ("accepted", first)
    assert Answer("delivery", "replay", refused).status == 1
    for wanted in ("nonsense", hook["id"]):
        assert Answer("delivery", "show", wanted).status == 1


def test_a_replay_that_fails_is_told(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(event: object) -> None:
        raise ValueError("cannot")

    monkeypatch.setattr(events, "_subscribers", [fail])
    make_repository(connection, "acme-widgets/docs-site")
    hook = answer_of("hook", "add", "--provider", "github", "--secret", SECRET)
    headers = github_headers(PUSH)
    del headers["content-type"]
    assert (
        Client().post(hook["path"], PUSH, content_type="application/json", headers=headers).status_code == 202
    )
    answer = Answer("delivery", "replay", str(Delivery.objects.get().pk))
    assert (answer.status, "acting on it failed" in answer.err) == (1, True)
