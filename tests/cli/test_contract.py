"""Every command of the contract: its names and flags, one JSON document, quiet when asked, a status."""

from __future__ import annotations

import argparse
import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class
from django.test import Client
from pytest_django import Settings

from opssight.accounts.models import Team
from opssight.cli import overview
from repos.models import Credential, Webhook
from syncs import jobs
from syncs.engine import claim, runner
from syncs.models import Job, Run
from tests.cli.command import Ran, ran
from tests.cli.world import World
from tests.factories import make_connection, make_job, make_repository, make_worker

NAMES = {
    "up": "--once --no-demo --port",
    "demo": "",
    "doctor": "",
    "web": "--bind --port",
    "worker": "--lanes --slots",
    "settings": "",
    "connection add": "--provider --set --secret --team",
    "connection list": "--team",
    "connection test": "--team",
    "connection delete": "--team",
    "repo discover": "--team",
    "repo import": "--all --team",
    "repo list": "--search --connection --state --sort --limit --team",
    "job list": "--team",
    "job show": "--team",
    "job enable": "--team",
    "job disable": "--team",
    "run start": "--whole --wait --team",
    "run list": "--state --limit --team",
    "run show": "--team",
    "run retry": "--team",
    "run cancel": "--team",
    "run log": "--team",
    "hook add": "--provider --repository --secret --name --team",
    "hook list": "--team",
    "hook test": "--team",
    "hook delete": "--team",
    "delivery list": "--verdict --limit --team",
    "delivery show": "--team",
    "delivery replay": "--team",
    "copy validate": "--repo --root --source",
    "copy convert": "--to --repo --root --source",
    "copy sources": "--repo --root --source",
    "copy test": "--batch --type --pattern --path --exclude --template --var --file --repo",
    "copy init": "--template --output",
    "copy import-env": "",
    "copy schema": "--format",
    "copy send-webhook": "--url --secret --pr --owner --repo --payload --dry-run",
    "copy history": "--outcome --event-type --rule --source --pull-request --commit --cross-organization "
    "--since --by --days --limit --team",
    "copy apply": "--repo --root --source --base --head --dry-run",
    "copy sync": "--repo --root --source --dry-run",
    "keys rotate": "--new --drop",
    "keys status": "",
    "audit verify": "--anchors",
}


# --- names, flags and help ---


@pytest.mark.parametrize("name", NAMES)
def test_a_command_of_the_contract_and_its_flags(name: str) -> None:
    answer = ran(*name.split(), "--help")
    assert (answer.status, answer.err) == (0, "")
    assert answer.out.startswith(f"usage: opssight {name} ")
    words = set(answer.out.replace(",", " ").split())
    assert {"--json", "--verbosity", *NAMES[name].split()} <= words


def parsers() -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command and subcommand of ours with its parser."""
    for name, room in get_commands().items():
        if str(room).split(".")[0] not in ("opssight", "repos", "syncs"):
            continue
        parser = load_command_class(str(room), name).create_parser("opssight", name)
        groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
        yield name, parser
        for group in groups:
            yield from ((f"{name} {word}", below) for word, below in group.choices.items())


def test_help_explains_every_command_and_every_argument() -> None:
    found = dict(parsers())
    assert NAMES.keys() <= found.keys()
    for name, parser in found.items():
        assert (parser.description or "").rstrip().endswith("."), name
        for action in parser._actions:
            if not isinstance(action, argparse._SubParsersAction) and action.dest != "args":
                assert action.help or action.choices, (name, action.dest)


def test_the_overview_names_every_command() -> None:
    lines = overview().splitlines()
    for name in {name.split()[0] for name in NAMES}:
        assert any(line.startswith(f"  {name} ") and len(line) > 20 for line in lines), name
    assert "migrate " not in lines


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["connection"], "COMMAND"),
        (["connection", "frob"], "invalid choice"),
        (["connection", "add"], "required: name, --provider"),
        (["run", "list", "--limit", "-1"], "whole number of 1 or more"),
        (["run", "list", "--limit", "many"], "whole number of 1 or more"),
        (["run", "list", "--state", "broken"], "invalid choice"),
        (["repo", "list", "--limit", "0"], "whole number of 1 or more"),
        (["repo", "list", "--state", "broken"], "invalid choice"),
        (["delivery", "list", "--limit", "-3"], "whole number of 1 or more"),
        (["delivery", "list", "--verdict", "odd"], "invalid choice"),
        (["audit", "list", "--limit", "0"], "whole number of 1 or more"),
        (["keys", "rotate", "--batch", "0"], "whole number of 1 or more"),
        (["worker", "--slots", "0"], "whole number from 1 to 64"),
        (["worker", "--lanes", "nowhere"], "There is no lane 'nowhere'"),
        (["web", "--port", "99999"], "whole number from 1 to 65535"),
        (["web", "--bind", "nowhere"], "IP address"),
        (["web", "--bind", "203.0.113.9"], "Nothing can listen on 203.0.113.9"),
        (["up", "--port", "0"], "whole number from 1 to 65535"),
        (["copy", "test"], "--batch"),
        (["copy", "validate"], "file"),
        (["copy", "sync", "x"], "--source"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_wrong(argv: list[str], words: str) -> None:
    answer = ran(*argv)
    assert (answer.status, answer.out) == (2, "")
    assert words in answer.err


# --- an installation ---


@pytest.fixture
def local(team: Team, world: World) -> Team:
    """The team, with a connection to the folder of both repositories and a hook."""
    make_connection(team, name="Local", options={"root": str(world.root)}, local=True)
    return team


def document(*argv: str, status: int = 0) -> object:
    """The one document of a command that is quiet on standard error unless something failed."""
    answer = ran(*argv, "--json", "-v", "0")
    assert answer.status == status, answer.err
    assert (answer.err == "") == (status == 0), answer.err
    return answer.document


def results(*argv: str) -> list[dict[str, object]]:
    found = document(*argv)
    assert isinstance(found, dict)
    assert list(found) == ["results"]
    rows: list[dict[str, object]] = found["results"]
    return rows


LISTS = ["connection", "repo", "job", "run", "hook", "delivery", "audit"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", LISTS)
def test_an_empty_list_is_a_list_and_a_sentence(team: Team, name: str) -> None:
    assert results(name, "list") == []
    answer = ran(name, "list")
    assert (answer.status, answer.err, answer.out[:3]) == (0, "", "No ")


@pytest.mark.django_db
@pytest.mark.parametrize(
    "argv", [["connection", "test"], ["job", "show"], ["run", "show"], ["hook", "test"], ["delivery", "show"]]
)
def test_what_is_not_there_is_status_1_and_one_document(team: Team, argv: list[str]) -> None:
    for wanted in ("nothing", str(uuid.uuid4()), "%", "' OR 1=1"):
        answer = ran(*argv, wanted, "--json")
        assert answer.status == 1
        error = answer.document["error"]
        assert error["class"] == "not_found"
        assert error["sentence"] == answer.err.strip()
        assert "opssight" in error["sentence"]  # the command that shows what there is


@pytest.mark.django_db
def test_without_any_team_it_says_what_to_do_first() -> None:
    answer = ran("connection", "list", "--json")
    assert (answer.status, "opssight up" in answer.err) == (2, True)
    assert ran("job", "list", "--team", "nobody").status == 2


@pytest.mark.django_db
def test_settings_keys_and_audit_are_one_document_each(team: Team, settings: Settings) -> None:
    shown = document("settings")
    assert isinstance(shown, dict)
    assert {"name", "value", "source"} <= shown["settings"][0].keys()
    secret = ran("settings", "--json").out + ran("settings").out
    assert str(settings.SECRET_KEY) not in secret
    for word in ("status", "rotate"):
        keys = document("keys", word)
        assert isinstance(keys, dict)
        assert (keys["missing"], {"keys", "places", "removable"} <= keys.keys()) == ([], True)
    verified = document("audit", "verify")
    assert isinstance(verified, dict)
    assert (verified["ok"], verified["problems"]) == (True, [])


@pytest.mark.django_db
def test_doctor_names_each_check(team: Team, world: World) -> None:
    answer = ran("doctor", "--json")
    found = answer.document
    assert list(found) == ["ok", "checks"]
    assert all(list(check) == ["name", "ok", "detail"] for check in found["checks"])
    assert {"python", "git", "database", "data", "worker", "keys"} <= {c["name"] for c in found["checks"]}
    assert found["ok"] is (answer.status == 0)
    wrong = [f"{check['name']}: {check['detail']}" for check in found["checks"] if not check["ok"]]
    assert answer.err.splitlines() == wrong


# --- connections and repositories ---


@pytest.mark.django_db(transaction=True)
def test_from_a_folder_to_the_inventory(team: Team, world: World) -> None:
    made = document("connection", "add", "Local", "--provider", "folder", "--set", f"root={world.root}")
    assert isinstance(made, dict)
    assert (made["name"], made["provider"]) == ("Local", "folder")
    tested = document("connection", "test", "Local")
    assert isinstance(tested, dict)
    assert (tested["ok"], tested["sees"]) == (True, 2)
    found = document("repo", "discover", "Local")
    assert isinstance(found, dict)
    assert (found["total"], found["failed"]) == (2, [])
    assert {row["full_name"] for row in found["results"]} == {"code", "site"}
    assert [row["full_name"] for row in results("repo", "import", "Local", "code")] == ["code"]
    assert {row["full_name"] for row in results("repo", "import", "Local", "--all")} == {"code", "site"}
    assert len(results("repo", "list", "--search", "code")) == 1
    assert [row["name"] for row in results("connection", "list")] == ["Local"]
    assert document("connection", "delete", "Local", "--with-everything") == {
        "deleted": "Local",
        "webhooks_left": 0,
    }
    assert results("repo", "list") == []


PLAIN = ["--provider", "plain", "--set", "urls=https://git.example.org/a/b.git"]


@pytest.mark.django_db
def test_a_secret_from_elsewhere_is_taken_silently_and_one_on_the_command_line_with_a_warning(
    team: Team, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_TOKEN", "canary-env")
    (tmp_path / "token").write_text("canary-file\n")
    sources = {"-": "canary-stdin", "env:GIT_TOKEN": "canary-env", f"file:{tmp_path}/token": "canary-file"}
    for number, (source, secret) in enumerate(sources.items()):
        answer = ran(
            "connection", "add", f"c{number}", *PLAIN, "--secret", f"password={source}", "--json",
            stdin=b"canary-stdin\n",
        )  # fmt: skip
        assert (answer.status, answer.err) == (0, "")
        assert Credential.objects.get(connection__name=f"c{number}").secret == secret
        assert "canary" not in answer.out
    for argv in (
        ["connection", "add", "c", *PLAIN, "--secret", "password=canary-argv"],
        ["hook", "add", "--provider", "github", "--secret", "canary-argv-0123456789"],
    ):
        answer = ran(*argv, "--json")
        assert answer.status == 0, answer.err
        assert "can be read in the list of processes" in answer.err
        assert "canary" not in answer.err + answer.out


# --- webhooks and deliveries ---


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("provider", "scheme"),
    [("github", "github"), ("plain", "plain"), ("generic", "plain"), ("hmac", "plain")],
)
def test_hook_add_says_where_to_post_to(local: Team, provider: str, scheme: str) -> None:
    make_repository(local.connections.get(), "acme/code", external_id="code")
    made = document(
        "hook", "add", "--provider", provider, "--repository", "acme/code", "--secret", "env:PATH"
    )
    assert isinstance(made, dict)
    assert list(made) == ["id", "path", "url"]
    assert made["path"] == f"/hooks/{made['id']}/"
    assert made["url"].endswith(made["path"])
    assert Webhook.objects.get().scheme == scheme
    [row] = results("hook", "list")
    assert (row["id"], row["provider"], row["repository"]) == (made["id"], scheme, "acme/code")
    assert document("hook", "test", made["id"])
    assert document("hook", "delete", made["id"]) == {"deleted": made["id"]}
    assert Client().post(made["path"], b"{}", content_type="application/json").status_code == 404


@pytest.mark.django_db
def test_hook_add_for_nobody_known(team: Team) -> None:
    answer = ran("hook", "add", "--provider", "cvs", "--json")
    assert (answer.status, "github, gitlab" in answer.err) == (2, True)
    assert list(answer.document) == ["error"]
    assert not Webhook.objects.exists()


@pytest.mark.django_db
def test_a_delivery_is_listed_shown_and_replayed(team: Team) -> None:
    made = document("hook", "add", "--provider", "generic", "--secret", "env:HOME")
    assert isinstance(made, dict)
    assert document("hook", "test", made["id"])
    assert Client().post(made["path"], b"{}", content_type="application/json").status_code == 401
    rows = results("delivery", "list")
    assert {"id", "provider", "event", "verdict", "events"} <= rows[0].keys()
    assert [row["verdict"] for row in rows] == ["unauthentic", "ignored"]
    assert len(results("delivery", "list", "--limit", "1")) == 1
    [ignored] = results("delivery", "list", "--verdict", "ignored")
    shown = document("delivery", "show", str(ignored["id"]))
    assert isinstance(shown, dict)
    assert {"headers", "body"} <= shown.keys()
    again = document("delivery", "replay", str(ignored["id"]))
    assert isinstance(again, dict)
    assert again["replay_of"] == ignored["id"]


# --- jobs and runs ---


def execute_next() -> None:
    claimed = claim.claim(make_worker(), ["std"])
    assert claimed is not None
    runner.execute(claimed)


@pytest.mark.django_db
def test_a_job_is_shown_and_switched(team: Team) -> None:
    job = make_job(team, name="probe it", config={"a": 1})
    [row] = results("job", "list")
    assert {"id", "kind", "name", "enabled", "version", "schedule"} <= row.keys()
    shown = document("job", "show", "probe it")
    assert isinstance(shown, dict)
    assert (shown["id"], shown["config"]) == (str(job.pk), {"a": 1})
    for word, enabled in (("disable", False), ("enable", True)):
        switched = document("job", word, str(job.pk))
        assert isinstance(switched, dict)
        assert switched["enabled"] is enabled
        assert Job.objects.get().enabled is enabled


@pytest.mark.django_db(transaction=True)
def test_a_run_is_started_shown_retried_and_cancelled(team: Team) -> None:
    make_job(team, name="probe it")
    started = document("run", "start", "probe it")
    assert isinstance(started, dict)
    assert (started["state"], started["items"]) == ("queued", [])
    assert {"id", "kind", "sentence", "wait_reason", "created_at", "job"} <= started.keys()
    execute_next()
    assert [row["state"] for row in results("run", "list")] == ["succeeded"]
    shown = document("run", "show", started["id"][-4:])
    assert isinstance(shown, dict)
    assert (shown["id"], shown["sentence"]) == (started["id"], "Done.")
    lines = results("run", "log", started["id"])
    assert lines[-1]["message"] == "Done."
    assert ran("run", "retry", started["id"], "--json").status == 1  # there is nothing to retry
    assert ran("run", "cancel", started["id"], "--json").status == 1  # it has ended
    second = document("run", "start", "probe it")
    assert isinstance(second, dict)
    cancelled = document("run", "cancel", second["id"])
    assert isinstance(cancelled, dict)
    assert cancelled["state"] == "cancelled"
    assert len(results("run", "list", "--state", "open")) == 0


@pytest.mark.django_db(transaction=True)
def test_a_run_that_failed_is_told_by_the_status_where_one_waited_for_it(
    team: Team, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(team, name="probe it")
    run = jobs.start(job, Run.Trigger.CLI, "test", input={"fail": "PermanentFailure"})
    execute_next()
    assert document("run", "show", str(run.pk))  # looking at it succeeds
    monkeypatch.setattr(jobs, "start", lambda *_, **__: run)
    run.refresh_from_db()
    answer = ran("run", "start", "probe it", "--wait", "--json")
    assert (answer.status, answer.document["state"]) == (1, "failed")
    assert answer.err.splitlines()[-1] == "It did not work."
    again = document("run", "retry", str(run.pk))
    assert isinstance(again, dict)
    assert again["state"] == "queued"


# --- copy ---


def test_copy_validate_says_format_and_rules(world: World) -> None:
    for text, format, count in (
        ("source_repo: a/b\ncopy_rules:\n- name: n\n  source_pattern: {type: prefix, pattern: x}\n"
         "  targets: [{repo: a/c, path_transform: '${path}'}]\n", "legacy", 1),
        ("workflows:\n- name: n\n  source: {repo: a/b}\n  destination: {repo: a/c}\n"
         "  transformations: [{copy: {from: x, to: y}}, {move: {from: a, to: b}}]\n", "workflows", 2),
    ):  # fmt: skip
        path = world.file(text)
        assert document("copy", "validate", path) == {
            "valid": True, "format": format, "errors": [], "warnings": [], "rules": count,
        }  # fmt: skip
        words = ran("copy", "validate", path)
        assert words.out == f"Valid: {format}, {count} rule{'s' if count > 1 else ''}.\n"


def test_warnings_are_in_the_document_and_on_standard_error(world: World) -> None:
    path = world.file(
        "workflows:\n- name: n\n  magic: 1\n  source: {repo: a/b}\n  destination: {repo: a/c}\n"
        "  transformations: [{copy: {from: x, to: y}}]\n"
    )
    answer = ran("copy", "validate", path, "--json")
    assert answer.status == 0
    [warning] = answer.document["warnings"]
    assert warning["where"] == "workflows[0].magic"
    assert "magic" in answer.err
    assert ran("copy", "validate", path, "--json", "-v", "0").err == ""


def test_copy_test_answers_in_order(world: World) -> None:
    lines = [
        {"op": "pattern", "type": "prefix", "pattern": "docs/", "path": "docs/a.md"},
        {"op": "transform", "template": "x/${filename}", "path": "docs/a.md", "variables": {}},
        {"op": "workflow", "transformations": [{"move": {"from": "a", "to": "b"}}], "path": "a/c"},
        {"op": "message", "template": "${file_count} files", "context": {"file_count": 3}},
        {"op": "config", "config": {"workflows": []}},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    answer: Ran = ran("copy", "test", "--batch", stdin=text.encode())
    assert (answer.status, answer.err) == (0, "")
    found = [json.loads(line) for line in answer.out.splitlines()]
    assert [next(iter(one)) for one in found] == ["matched", "path", "matched", "text", "valid"]
    assert (found[1], found[2]["path"], found[3]) == ({"path": "x/a.md"}, "b/c", {"text": "3 files"})
