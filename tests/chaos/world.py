"""A small world for the chaos tests: a source and a target repository, and a rule between them."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

from tests.forges.github import GitHubStandIn
from tests.instance import Instance

_MAKE_RULE = """
import django, json, sys
django.setup()
from opssight.accounts.local import local_principal, local_team
from repos.connections import create_connection
from repos.inventory import import_repositories
from syncs.copy.rules.config import CopyConfig, Rule, Target
from syncs.copy.saved.service import create_rule
team = local_team()
who = local_principal(team)
connection = create_connection(who, team, "folder", "served", {{"root": {root!r}}}, {{}}, local=True)
found = {{r.full_name: r for r in import_repositories(who, connection, None)}}
job, run = create_rule(who, team, CopyConfig(
    name="docs", source_repository=str(found["source"].pk), source_branch="main",
    rules=(Rule("glob", "docs/**", "copied/${{relative_path}}"),),
    targets=(Target(str(found["target"].pk), "main"),),
))
json.dump({{"job": str(job.pk), "run": str(run.pk)}}, sys.stdout)
"""


_AT_GITHUB = """
import django, json
django.setup()
from opssight.accounts.local import local_principal, local_team
from opssight.accounts.models import AllowedHost
from repos.connections import create_connection
from repos.inventory import import_repositories
from syncs.copy.rules.config import CopyConfig, Target
from syncs.copy.rules.options import Options, PullRequest
from syncs.copy.rules.rule import Rule
from syncs.copy.saved.service import create_rule
from syncs.models import Job
team = local_team()
who = local_principal(team)
AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports="{port}")
connection = create_connection(who, team, "github", "forge", {{"url": "{url}"}}, {{"token": "{token}"}})
found = {{r.full_name: str(r.pk) for r in import_repositories(who, connection)}}
"""


def at_github(forge: GitHubStandIn, token: str) -> str:
    """The beginning of a script of an installation: every repository of the stand-in is imported.

    `found` has their ids by name; `team`, `who`, and what a rule is made of, are there as well.
    """
    return _AT_GITHUB.format(port=forge.port, url=forge.url, token=token)


def git(folder: Path, *arguments: str, data: str | None = None) -> str:
    """Plain git, as a person would run it."""
    who = {"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org"}
    who |= {"GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org"}
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        input=data,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **who},
    )
    return done.stdout


class World:
    """Two bare repositories `source` and `target` below `served`, each with one commit."""

    def __init__(self, folder: Path) -> None:
        self.served = folder / "served"
        for name in ("source", "target"):
            (self.served / name).mkdir(parents=True)
            git(self.served / name, "init", "--quiet", "--bare", "--initial-branch=main")
            git(self.served / name, "config", "core.logAllRefUpdates", "true")
            self.commit(name, {"README.md": f"the {name}\n"})

    def commit(self, name: str, files: dict[str, str]) -> str:
        """A commit with these files changed; its id."""
        folder = self.served / name
        has = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "--verify", "-q", "main"],
            capture_output=True,
            check=False,
        )
        lines = ["commit refs/heads/main", "committer A <a@example.org> now", "data 1", "c"]
        lines += ["from refs/heads/main^0"] if has.returncode == 0 else []
        for path, text in files.items():
            lines += [f"M 100644 inline {path}", f"data {len(text.encode())}", text]
        git(folder, "fast-import", "--quiet", "--date-format=now", data="\n".join(lines) + "\n")
        return git(folder, "rev-parse", "main").strip()

    def target_tips(self) -> list[str]:
        """Every tip the target's branch ever had, newest first: its reflog."""
        return git(self.served / "target", "log", "-g", "--format=%H", "main").split()

    def run_keys(self) -> list[str]:
        form = "--format=%(trailers:key=OpsSight-Run-Key,valueonly)"
        return git(self.served / "target", "log", form, "main").split()

    def text(self, name: str, path: str) -> str:
        return git(self.served / name, "show", f"main:{path}")

    def make_rule(self, instance: Instance) -> dict[str, str]:
        made: dict[str, str] = json.loads(instance.python(_MAKE_RULE.format(root=str(self.served))))
        return made


def start_within(instance: Instance) -> float:
    """Seconds from a kill to the next attempt: 5, or more where this machine is too busy to start a process.

    Recovery is one look around (at most 1 s) and the start of one process tree; the lease is 3 s.
    """
    started = time.monotonic()
    instance.command("settings")
    return max(5.0, 4 * (time.monotonic() - started))


def wait_for_run(instance: Instance, run: str, seconds: float = 40) -> dict[str, Any]:
    """The run's document once it has ended."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        [[state]] = instance.rows(f"SELECT state FROM syncs_run WHERE id = '{_id(instance, run)}'")  # noqa: S608
        if state not in ("queued", "running"):
            document: dict[str, Any] = instance.json("run", "show", run)
            return document
        time.sleep(0.1)
    raise AssertionError(f"the run did not end: {instance.json('run', 'show', run)}")


def _id(instance: Instance, run: str) -> str:
    postgres = instance.env.get("OPSSIGHT_DATABASE_URL", "").startswith("postgres")
    return run if postgres else run.replace("-", "")
