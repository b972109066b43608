"""What only a real process shows: its streams, its exit status, its data folder."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from tests.cli.command import files
from tests.cli.world import MOVE_DOCS, SOURCE, TARGET, World, tree, workflow, workflows
from tests.instance import Instance

WRONG = {
    "OPSSIGHT_PORT": "99999",
    "OPSSIGHT_LEASE_SECONDS": "soon",
    "OPSSIGHT_KEYS": "canary-not-a-key",
    "OPSSIGHT_DATABASE_URL": "mysql://u:canary-password@host/db",
    "OPSSIGHT_LOG_LEVEL": "loud",
}


def test_settings_that_cannot_be_used_are_all_named_and_nothing_is_made(tmp_path: Path) -> None:
    with Instance(tmp_path / "one", env=WRONG) as instance:
        for command in (["settings", "--json"], ["up", "--once"]):
            done = instance.command(*command, check=False)
            assert (done.returncode, done.stdout) == (2, "")
            lines = done.stderr.splitlines()
            assert {line.split()[0] for line in lines} == WRONG.keys()
            assert len(lines) == len(WRONG)
            assert all("give" in line for line in lines)
            assert "canary" not in done.stderr
        assert not instance.data.exists()


@pytest.mark.parametrize(
    ("env", "words"),
    [
        ({"OPSSIGHT_MODE": "production"}, "OPSSIGHT_PUBLIC_URL is not set"),
        ({"OPSSIGHT_KEYS_FILE": "/nonexistent/keys"}, "OPSSIGHT_KEYS_FILE"),
    ],
)
def test_what_is_missing_is_named_before_anything_is_made(
    tmp_path: Path, env: dict[str, str], words: str
) -> None:
    with Instance(tmp_path / "one", env=env) as instance:
        done = instance.command("web", check=False)
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
        assert "Traceback" not in done.stderr
        assert not instance.data.exists()


def test_a_data_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with Instance(tmp_path / "one", env={"OPSSIGHT_DATA": str(tmp_path / "file" / "data")}) as instance:
        done = instance.command("settings", check=False)
        assert (done.returncode, "OPSSIGHT_DATA" in done.stderr) == (2, True)
        assert "Traceback" not in done.stderr


def test_help_and_words_that_are_no_command(instance: Instance) -> None:
    shown = instance.command()
    assert instance.command("--help").stdout == shown.stdout == instance.command("help").stdout
    assert "\n  connection  Add, list, test, check, move and delete connections" in shown.stdout
    done = instance.command("conection", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "There is no command conection. Did you mean connection?\n"
    done = instance.command("run", "list", "--limit", "0", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: opssight run list ")


def test_without_a_database_it_says_what_to_run_and_copy_needs_none(instance: Instance, world: World) -> None:
    done = instance.command("job", "list", "--json", check=False)
    assert done.returncode == 1
    assert "run opssight up" in json.loads(done.stdout)["error"]["sentence"]
    (instance.data / "opssight.sqlite3").unlink()
    config = world.file(workflows(workflow(MOVE_DOCS)))
    repos = ["--repo", f"{SOURCE}={world.code.path}", "--repo", f"{TARGET}={world.site.path}"]
    answer = instance.json("copy", "sync", config, "--source", SOURCE, *repos)
    assert (answer["status"], answer["targets"][0]["writes"]) == ("succeeded", 1)
    assert "handbook/old.md" in tree(world.site)
    assert not (instance.data / "opssight.sqlite3").exists()
    again = instance.command("copy", "sync", config, "--source", SOURCE, *repos, "--json", "-v", "0")
    assert (json.loads(again.stdout)["targets"][0]["status"], again.stderr) == ("skipped", "")


def test_bad_input_changes_nothing_of_an_installation(instance: Instance, world: World) -> None:
    instance.prepare()
    instance.command("doctor")  # makes the keys and git's own configuration
    tables = [name for (name,) in instance.rows("SELECT name FROM sqlite_master WHERE type = 'table'")]

    def held() -> dict[str, object]:
        return {name: instance.rows(f'SELECT * FROM "{name}"') for name in tables}  # noqa: S608

    before = held(), set(files(instance.data)), world.site.refs()
    for argv in (
        ["connection", "add", "x", "--provider", "folder", "--set", "root=relative"],
        ["connection", "add", "x", "--provider", "plain", "--set", "urls=https://u:p@h/x"],
        ["hook", "add", "--provider", "cvs"],
        ["copy", "sync", world.file("a: ["), "--source", SOURCE],
    ):
        done = instance.command(*argv, "--json", check=False)
        assert (done.returncode, list(json.loads(done.stdout))) == (2, ["error"])
        assert done.stderr
    assert (held(), set(files(instance.data)), world.site.refs()) == before


def test_a_port_that_is_taken_is_told(instance: Instance) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for command in (["web"], ["up", "--no-demo"]):
            done = instance.command(*command, "--port", str(port), check=False)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr == (
                f"Port {port} is taken by another program. Choose another one: --port {port % 65535 + 1}.\n"
            )


def test_a_file_that_comes_by_a_pipe(instance: Instance) -> None:
    done = instance.command("copy", "validate", "-", input="workflows: [", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("1:13: This is not readable YAML")
    assert os.listdir(instance.folder) == ["data"]
