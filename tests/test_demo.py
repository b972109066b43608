"""`opssight up --once` from a fresh clone: the first thing a newcomer does, on several kinds of clones."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.instance import ROOT, Instance

KINDS = ["clone", "shallow", "foreign", "worktree", "detached"]


def git(*arguments: str, cwd: Path) -> str:
    safe = {
        **os.environ,
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "safe.directory",
        "GIT_CONFIG_VALUE_0": "*",
    }
    done = subprocess.run(["git", *arguments], cwd=cwd, capture_output=True, text=True, check=True, env=safe)
    return done.stdout


def checkout(folder: Path, kind: str) -> Path:
    """This project's own repository, cloned the way `kind` says."""
    place = folder / "checkout"
    if kind == "shallow":
        git("clone", "--quiet", "--depth=1", f"file://{ROOT}", str(place), cwd=folder)
        return place
    if kind == "worktree":
        git("clone", "--quiet", str(ROOT), "main", cwd=folder)
        git("worktree", "add", "--quiet", "-b", "elsewhere", str(place), cwd=folder / "main")
        return place
    git("clone", "--quiet", str(ROOT), str(place), cwd=folder)
    if kind == "detached":
        git("checkout", "--quiet", "--detach", cwd=place)
    if kind == "foreign":
        for path in (place, *place.rglob("*")):
            os.chown(path, 12_345, 12_345, follow_symlinks=False)
    return place


def up(place: Path, data: Path) -> tuple[subprocess.CompletedProcess[str], list[dict[str, str]]]:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OPSSIGHT_", "DJANGO_"))}
    env |= {"OPSSIGHT_DATA": str(data), "PYTHONPATH": str(place), "OPSSIGHT_WEB_WORKERS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "opssight", "up", "--once", "--json"],
        cwd=place,
        env=env,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done, json.loads(done.stdout)["jobs"] if done.returncode == 0 else []


def tree(repository: Path, commit: str = "main") -> dict[str, str]:
    lines = git("ls-tree", "-r", commit, cwd=repository).splitlines()
    return {path: entry for entry, _, path in (line.partition("\t") for line in lines)}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fresh_clone_copies_for_real_or_says_why_not(tmp_path: Path, kind: str) -> None:
    if kind == "foreign":
        assert os.getuid() == 0, "this test needs root to give files to another user"
    place, data = checkout(tmp_path, kind), tmp_path / "data"

    done, rows = up(place, data)

    assert done.returncode == 0, done.stderr
    documents, handbook = rows
    website = data / "demo" / "website.git"
    there = tree(website)
    assert handbook["status"] == "succeeded"
    expected = {
        path.replace("pages/", "handbook/", 1): entry
        for path, entry in tree(data / "demo" / "handbook.git").items()
        if path.startswith("pages/")
    }
    if documents["status"] == "succeeded":
        assert kind in ("clone", "foreign")
        for path, entry in tree(place, "HEAD").items():
            if path.startswith("docs/"):
                expected[path.replace("docs/", "opssight/", 1)] = entry
            if path == "README.md":
                expected["opssight/about.md"] = entry
    else:
        assert kind in ("shallow", "worktree", "detached")
        words = {"shallow": "unshallow", "worktree": "worktree", "detached": "detached"}
        assert words[kind] in documents["summary"]
    assert there == expected

    tip = git("rev-parse", "main", cwd=website)
    again, rows = up(place, data)
    assert again.returncode == 0, again.stderr
    assert [row["status"] for row in rows] == [documents["status"], "succeeded"]
    assert git("rev-parse", "main", cwd=website) == tip
    runs = Instance(tmp_path / "reader", env={"OPSSIGHT_DATA": str(data)})
    runs.data = data
    [[count]] = runs.rows("SELECT COUNT(*) FROM syncs_run WHERE kind = 'copy'")
    assert count == (3 if documents["status"] == "succeeded" else 2)
    shutil.rmtree(data)


def test_the_password_is_shown_once_and_signs_in(tmp_path: Path) -> None:
    with Instance(tmp_path / "one") as instance:
        first = instance.command("up", "--once", "--no-demo", "--json").stderr
        assert re.search(r"Sign in as admin@localhost with the password [0-9a-f-]{19}", first)
        assert "password" not in instance.command("up", "--once", "--no-demo", "--json").stderr
