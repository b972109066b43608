"""Repositories, checks and runs of the stand-in of GitHub, and how its lists are paged."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.forges.github_refused import REPO, Refused, error, invalid
from tests.forges.github_shapes import check_run_json, repository_json, status_json, workflow_run_json
from tests.forges.standin import Asked, Reply, Repo, StandIn, Token, page_of, route


class ChecksStandIn(StandIn):
    """`people`: who may write to all repositories, beside those who have tokens.

    `repo.more`: `check_runs` (by commit), `refuses` (what its organization says to everybody).
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.people = {"bea"}
        self.asking: Token | None = None

    @property
    def me(self) -> Token:
        assert self.asking is not None
        return self.asking

    def sees(self, repo: Repo) -> bool:
        return repo.visibility == "public" or "repo" in self.me.scopes or self.fine_grained

    @property
    def fine_grained(self) -> bool:
        return any(
            token is self.me for value, token in self.tokens.items() if value.startswith("github_pat_")
        )

    def find(self, where: str, *, write: bool = False) -> Repo:
        """A repository by id or name. What one may not see or change is said to be not there."""
        kind, _, name = where.partition("/")
        repo = self.repositories.get(int(name)) if kind == "repositories" else self.named(name)
        may = "repo" in self.me.scopes or self.fine_grained
        may = may or (repo is not None and repo.visibility == "public" and "public_repo" in self.me.scopes)
        if repo is None or not self.sees(repo) or (write and not may):
            raise Refused(error(404, "Not Found"))
        if "refuses" in repo.more:
            reply = error(403, repo.more["refuses"])
            if "SAML" in repo.more["refuses"]:
                reply.headers["X-GitHub-SSO"] = f"required; url={self.url}/orgs/{repo.owner}/sso"
            raise Refused(reply)
        return repo

    def page(self, asked: Asked, items: list[Any], show: Callable[[Any], Any], name: str = "") -> Reply:
        """One page of a list, by itself or under a name, with links to the others."""
        size = min(int(asked.query.get("per_page", 30)), 100)
        number, last = int(asked.query.get("page", 1)), max(-(-len(items) // size), 1)
        shown = [show(item) for item in page_of(items, number, size)]
        pages = {"prev": number - 1, "next": number + 1, "last": last, "first": 1}
        fits = [rel for rel in pages if (number > 1 if rel in ("prev", "first") else number < last)]
        links = [
            f'<{self.url}{asked.path}?{urlencode({**asked.query, "page": pages[rel]})}>; rel="{rel}"'
            for rel in fits
        ]
        data = {"total_count": len(items), name: shown} if name else shown
        return Reply(200, data, {"Link": ", ".join(links)} if links else {})

    # --- checks and runs ----------------------------------------------------------------------------

    @route("POST", REPO + r"/statuses/([^/]+)")
    def set_status(self, asked: Asked, where: str, oid: str) -> Reply:
        repo, given = self.find(where, write=True), asked.json
        if not self._commit(repo, oid):
            return error(422, f"No commit found for SHA: {oid}")
        if len(given.get("description") or "") > 140:
            return invalid(
                "Status", "description", "custom", "description is too long (maximum is 140 characters)"
            )
        if given.get("state") not in ("pending", "success", "failure", "error"):
            return invalid("Status", "state", "custom", "state is not included in the list")
        fields = {"id": self.next_id(), "context": "default", **given}
        status = status_json(self.url, repo, oid, self.me.login, fields)
        repo.checks.setdefault(oid, []).append(status)
        self.checked(repo)
        return Reply(201, status)

    @route("GET", REPO + r"/commits/([^/]+)/status")
    def combined_status(self, asked: Asked, where: str, oid: str) -> Reply:
        repo = self.find(where)
        newest = {status["context"]: status for status in repo.checks.get(oid, [])}
        login = self.me.login
        reply = self.page(
            asked, list(newest.values()), lambda one: status_json(self.url, repo, oid, login, one), "statuses"
        )
        here = repository_json(self.url, repo)
        commit = f"{here['url']}/commits/{oid}"
        reply.data |= {"state": "pending", "sha": oid, "repository": here, "commit_url": commit}
        reply.data["url"] = f"{commit}/status"
        return reply

    @route("GET", REPO + r"/commits/([^/]+)/check-runs")
    def check_runs(self, asked: Asked, where: str, oid: str) -> Reply:
        repo = self.find(where)
        if self.fine_grained:
            reply = error(403, "Resource not accessible by personal access token")
            reply.headers["X-Accepted-GitHub-Permissions"] = "checks=read"
            return reply
        runs = repo.more.get("check_runs", {}).get(oid, [])
        return self.page(asked, runs, lambda run: check_run_json(self.url, repo, oid, run), "check_runs")

    @route("GET", REPO + r"/actions/runs")
    def runs(self, asked: Asked, where: str) -> Reply:
        branch, since = asked.query.get("branch", ""), asked.query.get("created", "").removeprefix(">=")
        repo = self.find(where)
        fits = [
            run for run in repo.pipelines if branch in ("", run["head_branch"]) and run["created_at"] >= since
        ]
        fits.sort(key=lambda run: str(run["created_at"]), reverse=True)
        return self.page(asked, fits, lambda run: workflow_run_json(self.url, repo, run), "workflow_runs")

    def add_run(self, repo: Repo, branch: str) -> str:
        number = self.next_id()
        oid = self.bare(repo).oid(f"refs/heads/{branch}")
        run = {"id": number, "name": "CI", "head_branch": branch, "head_sha": oid, "conclusion": "success"}
        dates = dict.fromkeys(["created_at", "updated_at", "run_started_at"], "2026-11-20T08:00:00Z")
        repo.pipelines.append({"status": "completed", **run, **dates})
        return str(number)

    def prepare_auto_merge(self, repo: Repo, branch: str) -> None:
        repo.more |= {"allow_auto_merge": True, "required_checks": ["build"]}

    def checked(self, repo: Repo) -> None:
        """A status was set."""

    def _commit(self, repo: Repo, oid: str) -> bool:
        return re.fullmatch(r"[0-9a-f]{40}", oid) is not None and bool(
            self.bare(repo).oid(f"{oid}^{{commit}}")
        )
