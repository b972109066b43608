"""Real repositories in a folder, connected and imported, and forms as a browser sends them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from django.test import Client

from opssight.accounts.models import Role, Team, User
from opssight.accounts.scope import Principal
from repos.models import Connection
from syncs.copy.rules.config import CopyConfig, Target
from syncs.copy.rules.rule import Rule
from syncs.copy.saved.service import create_rule
from syncs.models import Job
from tests.chaos.world import git
from tests.factories import make_connection, make_repository, make_team, make_user

SOURCE = {
    "README.md": "docs\n",
    "docs/a.md": "new a\n",
    "docs/b.md": "b\n",
    "docs/tests/t.md": "t\n",
    "other/x.txt": "x\n",
}
TARGET = {"copied/a.md": "old a\n", "copied/b.md": "b\n", "own.txt": "mine\n"}
RULE = Rule("glob", "docs/**", "copied/${relative_path}", ("**/tests/**",))


def make_git(folder: Path, files: dict[str, str]) -> None:
    """A bare repository with one commit on main; none without files."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main")
    lines = ["commit refs/heads/main", "committer A <a@example.org> now", "data 1", "c"]
    for path, text in files.items():
        lines += [f"M 100644 inline {path}", f"data {len(text.encode())}", text]
    if files:
        git(folder, "fast-import", "--quiet", "--date-format=now", data="\n".join(lines) + "\n")


class Desk:
    """A signed-in operator with `docs` (the source) and `site` (the target) in their team."""

    def __init__(self, folder: Path, role: Role = Role.OPERATOR) -> None:
        self.user: User = make_user()
        self.team: Team = make_team(self.user, role)
        self.connection: Connection = make_connection(
            self.team, options={"root": str(folder)}, local=True, name="served"
        )
        self.docs = make_repository(self.connection, "docs")
        self.site = make_repository(self.connection, "site")
        self.client = signed_in(self.user, self.team)

    @property
    def principal(self) -> Principal:
        return Principal.of_user(self.user)

    def config(self, name: str = "docs to site", *rules: Rule) -> CopyConfig:
        target = Target(str(self.site.pk), "main")
        return CopyConfig(name, str(self.docs.pk), "main", rules or (RULE,), (target,))

    def rule(self, name: str = "docs to site") -> Job:
        return create_rule(self.principal, self.team, self.config(name))[0]

    def ready(self, url: str, form: dict[str, Any], seconds: float = 20) -> str:
        """The page or part at `url` for this form, once nothing is on its way any more."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            text = self.client.post(url, form).content.decode()
            if 'hx-trigger="load delay:1s"' not in text:
                return text
            time.sleep(0.05)
        raise AssertionError("the repositories were not fetched in time")


def signed_in(user: User, team: Team) -> Client:
    client = Client()
    client.force_login(user)
    session = client.session
    session["team"] = str(team.pk)
    session.save()
    return client


def form(**changes: Any) -> dict[str, Any]:
    """The workbench's form with one rule and one target."""
    return {
        "name": "docs to site",
        "source": "docs",
        "branch": "main",
        "type": [RULE.type],
        "pattern": [RULE.pattern],
        "template": [RULE.template],
        "exclude": ["**/tests/**"],
        "exclude_syntax": ["glob"],
        "target": ["site"],
        "target_branch": ["main"],
        "message": "",
        "match": "first",
        **changes,
    }
