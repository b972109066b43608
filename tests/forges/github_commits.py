"""Branches that are pointed somewhere and commits that are made on them, at the stand-in of GitHub."""

from __future__ import annotations

import base64
import binascii
import re
from pathlib import Path
from typing import Any

from tests.forges.committing import Committer
from tests.forges.github_pulls import PullsStandIn
from tests.forges.github_refused import REPO, error
from tests.forges.standin import Asked, Reply, Repo, route

MOST_BYTES = 40_000_000  # of a request


class CommitsStandIn(PullsStandIn):
    """`repo.more["unsigned"]`: commits are made without a signature. `api_commits`: how many were made."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.api_commits = 0

    @route("POST", REPO + r"/git/refs")
    def create_ref(self, asked: Asked, where: str) -> Reply:
        repo, given = self.find(where, write=True), asked.json
        if self.bare(repo).oid(given["ref"]):
            return error(422, "Reference already exists")
        return self._pointed(repo, given["ref"], given["sha"], 201)

    @route("PATCH", REPO + r"/git/refs/heads/(.+)")
    def update_ref(self, asked: Asked, where: str, branch: str) -> Reply:
        repo, given, ref = self.find(where, write=True), asked.json, f"refs/heads/{branch}"
        if not self.bare(repo).oid(ref):
            return error(422, "Reference does not exist")
        return self._pointed(repo, ref, given["sha"], 200)

    def _pointed(self, repo: Repo, ref: str, oid: str, status: int) -> Reply:
        bare = self.bare(repo)
        if not bare.oid(f"{oid}^{{commit}}"):
            return error(422, "Object does not exist")
        before = bare.oid(ref) or "0" * 40
        bare.git("update-ref", ref, oid)
        self.ref_moved(repo, ref, before, oid)
        url = f"{self.url}/api/v3/repos/{repo.full_name}/git"
        shown = {"type": "commit", "sha": oid, "url": f"{url}/commits/{oid}"}
        node = base64.b64encode(f"REF:{repo.id}:{ref}".encode()).decode()
        return Reply(status, {"ref": ref, "node_id": node, "url": f"{url}/{ref}", "object": shown})

    @route("POST", r"/api/graphql")
    def graphql(self, asked: Asked) -> Reply:
        """One mutation more."""
        if not re.search(r"createCommitOnBranch\s*\(\s*input:", asked.json.get("query", "")):
            reply: Reply = super().graphql(asked)
            return reply
        if len(asked.body) > MOST_BYTES:
            return error(413, "Payload too large")
        given = asked.json["variables"]["input"]
        found = self._ref_of(given["branch"]["id"])
        if found is None:
            said = f"Could not resolve to a node with the global id of '{given['branch']['id']}'."
            return _refused("NOT_FOUND", said)
        repo, ref = found
        expected = given["expectedHeadOid"]
        if self.bare(repo).oid(ref) != expected:
            said = f'Expected branch to point to "{expected}" but it did not.  Pull and try again.'
            return _refused("STALE_DATA", said)
        return self._committed(repo, ref, expected, given)

    def _committed(self, repo: Repo, ref: str, parent: str, given: dict[str, Any]) -> Reply:
        changes = given["fileChanges"]
        try:
            files: dict[str, bytes | None] = {
                one["path"]: base64.b64decode(one["contents"], validate=True) for one in changes["additions"]
            }
        except binascii.Error:
            return _refused("UNPROCESSABLE", "A contents is not valid base64")
        files |= {one["path"]: None for one in changes["deletions"]}
        words = given["message"]
        message = f"{words['headline']}\n\n{words.get('body', '')}".strip() + "\n"
        maker = Committer(self.root.parent, "GitHub", "noreply@github.com")
        signs = not repo.more.get("unsigned")
        oid = maker.commit(self.bare(repo), parent, message, files, self.me.login, signs=signs)
        self.bare(repo).git("update-ref", ref, oid)
        self.api_commits += 1
        self.ref_moved(repo, ref, parent, oid)
        return Reply(200, {"data": {"createCommitOnBranch": {"commit": {"oid": oid}}}})

    def _ref_of(self, node: str) -> tuple[Repo, str] | None:
        kind, _, rest = base64.b64decode(node).decode(errors="replace").partition(":")
        number, _, ref = rest.partition(":")
        repo = self.repositories.get(int(number)) if kind == "REF" and number.isdecimal() else None
        return (repo, ref) if repo is not None and self.bare(repo).oid(ref) else None


def _refused(kind: str, said: str) -> Reply:
    problem = {"type": kind, "path": ["createCommitOnBranch"], "message": said}
    return Reply(200, {"data": {"createCommitOnBranch": None}, "errors": [problem]})
