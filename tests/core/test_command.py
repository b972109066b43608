from __future__ import annotations

import datetime as dt
import io
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import CommandParser
from django.db import OperationalError

from opssight.core.command import Answer, CommandGroup, OpsCommand, table
from opssight.core.errors import InvalidInput, PermanentFailure
from opssight.core.logs import bound

ROOT = Path(__file__).resolve().parents[2]


class Plain(OpsCommand):
    answer: Answer | BaseException = Answer({"n": 1}, "one thing")

    def arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--port", type=int)

    def run(self, **options: Any) -> Answer:
        self.progress("working on https://u:hunter22@host")
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


class Many(CommandGroup):
    def arguments(self, parser: CommandParser) -> None:
        group = self.subcommands(parser)
        self.subcommand(group, "list", self.list_them, "List them.")
        show = self.subcommand(group, "show", self.show, "Show one.")
        show.add_argument("name")

    def list_them(self, **options: Any) -> Answer:
        return Answer({"verbosity": options["verbosity"], "request": bool(bound()["request_id"])}, "listed")

    def show(self, *, name: str, **options: Any) -> Answer:
        return Answer({"name": name}, f"shown {name}")


def ran(command: OpsCommand, *argv: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a command called as from a shell."""
    out, err = io.StringIO(), io.StringIO()
    command.stdout._out, command.stderr._out = out, err  # type: ignore[attr-defined]
    try:
        command.run_from_argv(["opssight", "example", *argv])
    except SystemExit as stopped:
        return int(stopped.code or 0), out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()


def ending(answer: Answer | BaseException, *argv: str) -> tuple[int, str, str]:
    command = Plain()
    command.answer = answer
    return ran(command, *argv)


def test_words_without_json_and_one_document_with_it() -> None:
    status, out, err = ran(Plain())
    assert (status, out) == (0, "one thing\n")
    assert err == "working on https://***@host\n"
    status, out, err = ran(Plain(), "--json")
    assert (status, json.loads(out)) == (0, {"n": 1})
    assert ran(Plain(), "-v", "0")[2] == ""
    assert ending(Answer([]))[:2] == (0, "")


def test_documents_may_hold_dates_and_ids() -> None:
    at, some = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC), uuid.uuid4()
    out = ending(Answer({"at": at, "id": some, "path": "caf\udce9"}), "--json")[1]
    assert json.loads(out) == {"at": "2026-01-02T03:04:05Z", "id": str(some), "path": "caf\udce9"}


def test_what_failed_is_named_after_the_answer() -> None:
    status, out, err = ending(
        Answer({"ok": False}, "2 of 3 done", failed=["b: not found", "c: refused"]), "--json"
    )
    assert (status, json.loads(out)) == (1, {"ok": False})
    assert err.splitlines()[1:] == ["b: not found", "c: refused"]


def test_a_failure_is_one_sentence_and_status_1() -> None:
    failure = PermanentFailure("https://u:hunter22@host is gone. Check the address.")
    status, out, err = ending(failure)
    assert (status, out) == (1, "")
    assert err.splitlines()[1:] == ["https://***@host is gone. Check the address."]
    out = ending(failure, "--json")[1]
    assert json.loads(out) == {
        "error": {"class": "permanent", "sentence": "https://***@host is gone. Check the address."}
    }


def test_bad_input_is_status_2_with_each_problem_on_its_own_line() -> None:
    bad = InvalidInput("The file cannot be used.", [("3:1", "unknown key"), ("", "no rules")])
    status, out, err = ending(bad, "--json")
    assert status == 2
    assert err.splitlines()[1:] == ["3:1: unknown key", "no rules"]
    assert json.loads(out)["error"] == {
        "class": "permanent",
        "sentence": "The file cannot be used.",
        "problems": [{"where": "3:1", "message": "unknown key"}, {"where": "", "message": "no rules"}],
    }


def test_the_unexpected_is_a_sentence_with_a_reference_and_a_traceback_only_when_asked_for() -> None:
    bug = ZeroDivisionError("token ghp_16C7e42F292c6912E7710c838347Ae178B4a")
    status, out, err = ending(bug)
    assert (status, out) == (1, "")
    last = err.splitlines()[-1]
    assert last.startswith("Something unexpected went wrong (ZeroDivisionError, reference ")
    assert "Traceback" not in err
    err = ending(bug, "-v", "2")[2]
    assert "Traceback" in err
    assert "in run" in err
    assert "ghp_" not in err
    with pytest.raises(ZeroDivisionError):
        ending(bug, "--traceback")
    assert json.loads(ending(bug, "--json")[1])["error"]["class"] == "permanent"


def test_a_database_that_does_not_answer_is_said_so() -> None:
    status, _, err = ending(OperationalError("no such table: x\nmore"))
    assert status == 1
    assert err.splitlines()[-1] == (
        "The database cannot be used: no such table: x. Check OPSSIGHT_DATABASE_URL, then run opssight up."
    )


def test_djangos_own_command_errors_keep_their_status() -> None:
    assert ending(CommandError("no such app", returncode=3))[::2] == (3, ANY_PROGRESS + "no such app\n")


ANY_PROGRESS = "working on https://***@host\n"


def test_interrupted_is_130() -> None:
    assert ending(KeyboardInterrupt())[::2] == (130, ANY_PROGRESS + "Stopped.\n")


def test_wrong_usage_is_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    for command, argv in (
        (Plain(), ["--port", "x"]),
        (Plain(), ["--nope"]),
        (Many(), []),
        (Many(), ["nope"]),
    ):
        assert ran(command, *argv)[:2] == (2, "")
        assert "usage:" in capsys.readouterr().err


def test_common_options_may_stand_before_or_after_the_subcommand() -> None:
    assert ran(Many(), "show", "x")[:2] == (0, "shown x\n")
    for argv in (
        ["--json", "list", "-v", "2"],
        ["-v", "2", "list", "--json"],
        ["list", "--verbosity=2", "--json"],
    ):
        status, out, _ = ran(Many(), *argv)
        assert (status, json.loads(out)) == (0, {"verbosity": 2, "request": True})
    assert ran(Many(), "list", "--traceback", "--settings", "tests.settings", "--no-color")[:2] == (
        0,
        "listed\n",
    )


def test_a_command_called_from_code() -> None:
    out = io.StringIO()
    call_command(Many(), "show", "x", json=True, stdout=out)
    assert json.loads(out.getvalue()) == {"name": "x"}
    with pytest.raises(CommandError, match="invalid choice"):
        call_command(Many(), "nope")


def test_a_command_without_a_body_cannot_be_made() -> None:
    with pytest.raises(TypeError, match=r"abstract method.* run"):
        OpsCommand()  # type: ignore[abstract]


_PIPE = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
from opssight.core.command import Answer, OpsCommand
class Long(OpsCommand):
    def run(self, **options):
        return Answer([], "x" * 5_000_000)
Long().run_from_argv(["opssight", "long"])
"""


def test_a_reader_that_has_seen_enough_is_no_failure() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _PIPE],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith("OPSSIGHT_")},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(10) == "x" * 10
    process.stdout.close()
    said = process.stderr.read()
    assert process.wait() == 0
    assert "Pipe" not in said
    assert "Traceback" not in said
    process.stderr.close()


def test_a_table_is_aligned_and_cannot_steer_the_terminal() -> None:
    rows: list[dict[str, object]] = [
        {"name": "a\x1b[31m", "files": 5, "ok": True, "at": dt.datetime(2026, 1, 2, 3, 4, tzinfo=dt.UTC)},
        {"name": "longer-name", "files": 1200, "ok": False, "at": None},
    ]
    assert table(rows, ["name", "files", ("ok", "healthy"), "at"]).splitlines() == [
        "name         files  healthy  at",
        "a?[31m           5  yes      2026-01-02 03:04",
        "longer-name   1200  no       –",
    ]
    assert table([], ["last_run"]) == "last run"
