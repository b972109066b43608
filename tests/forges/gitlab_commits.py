"""Commits that are made by the API of the stand-in of GitLab."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from tests.forges.committing import Committer
from tests.forges.gitlab_base import PROJECT, Base, not_found
from tests.forges.standin import Asked, Reply, Repo, route


class Commits(Base):
    """`repo.more["unsigned"]`: nobody set up that commits are signed. `api_commits`: how many were made."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.api_commits = 0

    @route("POST", PROJECT + "/repository/commits")
    def create_commit(self, asked: Asked, name: str) -> Reply:
        repo, body = self.project(name), asked.json
        if repo is None:
            return not_found("Project")
        bare, ref = self.bare(repo), f"refs/heads/{body['branch']}"
        before = bare.oid(ref)
        parent = body.get("start_sha") or before
        if body.get("start_sha") and before and not body.get("force"):
            words = f"A branch called '{body['branch']}' already exists. "
            words += "Switch to that branch in order to make changes"
            return Reply(400, {"message": words})
        if not parent or not bare.oid(f"{parent}^{{commit}}"):
            return Reply(400, {"message": f"Cannot find start_sha '{parent}'"})
        files: dict[str, bytes | None] = {}
        for action in body["actions"]:
            if refused := self._refusal(repo, parent, action):
                return Reply(400, {"message": refused})
            data = None if action["action"] == "delete" else base64.b64decode(action["content"])
            files[action["file_path"]] = data
        signs = not repo.more.get("unsigned")
        login = self.who(asked)
        maker = (
            Committer(self.root.parent, "GitLab", "noreply@gitlab.com")
            if signs
            else Committer(self.root.parent, login, f"{login}@example.org")
        )
        oid = maker.commit(bare, parent, body["commit_message"], files, login, signs=signs)
        bare.git("update-ref", ref, oid)
        self.api_commits += 1
        self.ref_moved(repo, ref, before or "0" * 40, oid)
        shown = {"id": oid, "short_id": oid[:8], "title": body["commit_message"].partition("\n")[0]}
        return Reply(201, {**shown, "parent_ids": [parent], "author_name": login})

    def _refusal(self, repo: Repo, parent: str, action: dict[str, Any]) -> str:
        there = bool(self.bare(repo).git("ls-tree", parent, "--", action["file_path"]))
        if action["action"] == "create" and there:
            return "A file with this name already exists"
        if action["action"] != "create" and not there:
            return "A file with this name doesn't exist"
        return ""
