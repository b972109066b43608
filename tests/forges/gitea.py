"""A stand-in for Gitea and Forgejo: API, git over HTTP, webhooks, and as badly behaved as they are."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import re
import shutil
from pathlib import Path
from typing import Any, Literal

from tests.forges.gitea_base import REPO, Status, error, no_route, not_found
from tests.forges.gitea_pulls import Pulls
from tests.forges.standin import Asked, Hook, Reply, Repo, Token, route

_CATEGORIES = (
    (r"/api/v1/version", ()),
    (r"/api/v1/user/repos", ("user", "repository")),
    (r"/api/v1/user(/.*)?", ("user",)),
    (r"/api/v1/orgs/[^/]+/repos", ("organization", "repository")),
    (r"/api/v1/orgs/.*", ("organization",)),
    (rf"{REPO}/(issues|labels|milestones).*", ("issue",)),
    (r"/api/v1/.*", ("repository",)),
)
_STATES = ("pending", "success", "error", "failure", "warning")


class GiteaStandIn(Pulls):
    """`version` decides whether it is a Forgejo. `actions`: what it lists of them, "" for nothing."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.version = "1.24.6"
        self.actions: Literal["runs", "tasks", ""] = "runs"

    def add_token(self, value: str, login: str, **more: Any) -> Token:
        self.add_person(login)
        return super().add_token(value, login, **{"scopes": ["all"], **more})

    def allows(self, authorization: str | None) -> bool:
        """git: any name beside a token that may read repositories."""
        try:
            given = base64.b64decode((authorization or "").removeprefix("Basic "), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return False
        token = self.token_of(given.partition(":")[2])
        return token is not None and may(token, "repository", "read")

    def answer(self, asked: Asked) -> Reply:
        scheme, _, value = asked.headers.get("authorization", "").partition(" ")
        if not value:
            return error(401, "token is required")
        token = self.token_of(value) if scheme.lower() in ("token", "bearer") else None
        if token is None:
            return error(401, "user does not exist [uid: 0, name: ]")
        level = "read" if asked.method == "GET" else "write"
        for category in categories_of(asked.path):
            if not may(token, category, level):
                return error(
                    403, f"token does not have at least one of required scope(s): [{level}:{category}]"
                )
        return super().answer(asked)

    def unknown(self, asked: Asked) -> Reply:
        return no_route()

    # --- the server and its people ----------------------------------------------------------------

    @route("GET", "/api/v1/version")
    def show_version(self, asked: Asked) -> Reply:
        return Reply(200, {"version": self.version})

    @route("GET", "/api/v1/user")
    def show_user(self, asked: Asked) -> Reply:
        return Reply(200, self.user(self.who(asked)))

    # --- repositories -----------------------------------------------------------------------------

    @route("GET", "/api/v1/user/repos")
    def list_repositories(self, asked: Asked) -> Reply:
        return self.paged(asked, list(self.repositories.values()), self.show_repository)

    @route("GET", "/api/v1/repos/search")
    def search(self, asked: Asked) -> Reply:
        words = asked.query.get("q", "").lower()
        found = [repo for repo in self.repositories.values() if words in repo.name.lower()]
        reply = self.paged(asked, found, self.show_repository)
        reply.data = {"ok": True, "data": reply.data}
        return reply

    @route("GET", r"/api/v1/repositories/(\d+)")
    def show_by_id(self, asked: Asked, number: str) -> Reply:
        repo = self.repositories.get(int(number))
        return Reply(200, self.show_repository(repo)) if repo else not_found()

    @route("GET", REPO)
    def show_by_name(self, asked: Asked, owner: str, name: str) -> Reply:
        repo = self.found(owner, name)
        return Reply(200, self.show_repository(repo)) if repo else not_found()

    @route("POST", "/api/v1/user/repos")
    def create_own(self, asked: Asked) -> Reply:
        return self._create(self.who(asked), asked.json)

    @route("POST", "/api/v1/orgs/([^/]+)/repos")
    def create_in_organization(self, asked: Asked, owner: str) -> Reply:
        return self._create(owner, asked.json) if owner in self.organizations else not_found()

    def _create(self, owner: str, wanted: dict[str, Any]) -> Reply:
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", wanted["name"]):
            return error(422, "[Name]: AlphaDashDot")
        if self.found(owner, wanted["name"]):
            return error(409, "The repository with the same name already exists.")
        repo = self.add_repository(
            f"{owner}/{wanted['name']}",
            description=wanted.get("description", ""),
            visibility="private" if wanted.get("private") else "public",
        )
        return Reply(201, self.show_repository(repo))

    @route("PATCH", REPO)
    def change_repository(self, asked: Asked, owner: str, name: str) -> Reply:
        repo, wanted = self.found(owner, name), asked.json
        if repo is None:
            return not_found()
        repo.description = wanted.get("description", repo.description)
        repo.archived = wanted.get("archived", repo.archived)
        if "private" in wanted:
            repo.visibility = "private" if wanted["private"] else "public"
        branch = wanted.get("default_branch", "")
        if branch and (not self.has_branches(repo) or self.oid(repo, branch)):  # any other is passed over
            repo.default_branch = branch
            self.bare(repo).git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        return Reply(200, self.show_repository(repo))

    @route("DELETE", REPO)
    def delete_repository(self, asked: Asked, owner: str, name: str) -> Reply:
        repo = self.found(owner, name)
        if repo is None:
            return not_found()
        self.send(repo, "repository", {"action": "deleted", "repository": self.show_repository(repo)})
        del self.repositories[repo.id]
        shutil.rmtree(self.root / f"{repo.full_name}.git", ignore_errors=True)
        return Reply(204)

    # --- webhooks ---------------------------------------------------------------------------------

    def _show_hook(self, hook: Hook) -> dict[str, Any]:
        return {
            "id": int(hook.id),
            "type": "gitea",
            "config": {"content_type": "json", "url": hook.url},
            "events": hook.events,
            "active": hook.active,
            "authorization_header": "",
        }

    @route("GET", f"{REPO}/hooks")
    def list_hooks(self, asked: Asked, owner: str, name: str) -> Reply:
        repo = self.found(owner, name)
        if repo is None:
            return not_found()
        shown = [self._show_hook(hook) for hook in repo.hooks.values()] + repo.more.get("chat_hooks", [])
        return self.paged(asked, shown, lambda hook: hook, linked=False)

    @route("POST", f"{REPO}/hooks")
    def create_hook(self, asked: Asked, owner: str, name: str) -> Reply:
        repo, wanted = self.found(owner, name), asked.json
        if repo is None:
            return not_found()
        if wanted.get("type") not in ("gitea", "gogs"):
            return error(422, f"Invalid hook type: {wanted.get('type')}")
        for key in ("url", "content_type"):
            if key not in wanted.get("config", {}):
                return error(422, f"Missing config option: {key}")
        config = wanted["config"]
        events, active = wanted.get("events") or ["push"], wanted.get("active", False)
        hook = Hook(str(self.next_id()), config["url"], config.get("secret", ""), events, active)
        repo.hooks[hook.id] = hook
        return Reply(201, self._show_hook(hook))

    @route("PATCH", rf"{REPO}/hooks/([^/]+)")
    def change_hook(self, asked: Asked, owner: str, name: str, number: str) -> Reply:
        repo, wanted = self.found(owner, name), asked.json
        hook = repo.hooks.get(number) if repo else None
        if hook is None:
            return not_found()
        hook.url = wanted.get("config", {}).get("url", hook.url)
        hook.secret = wanted.get("config", {}).get("secret", hook.secret)
        hook.events = wanted.get("events") or ["push"]  # also when it was others before
        hook.active = wanted.get("active", hook.active)
        return Reply(200, self._show_hook(hook))

    @route("DELETE", rf"{REPO}/hooks/([^/]+)")
    def delete_hook(self, asked: Asked, owner: str, name: str, number: str) -> Reply:
        repo = self.found(owner, name)
        gone = repo is None or repo.hooks.pop(number, None) is None
        return not_found() if gone else Reply(204)

    @route("POST", rf"{REPO}/hooks/([^/]+)/tests")
    def test_hook(self, asked: Asked, owner: str, name: str, number: str) -> Reply:
        """A push that moves nothing, and names no files."""
        repo = self.found(owner, name)
        hook = repo.hooks.get(number) if repo else None
        if repo is None or hook is None:
            return not_found()
        head = self.bare(repo).oid(f"refs/heads/{repo.default_branch}") or "0" * 40
        alone = dataclasses.replace(repo, hooks={hook.id: hook})
        self.ref_moved(alone, f"refs/heads/{repo.default_branch}", head, head)
        return Reply(204)

    # --- checks and runs --------------------------------------------------------------------------

    @route("POST", rf"{REPO}/statuses/([^/]+)")
    def set_status(self, asked: Asked, owner: str, name: str, oid: str) -> Reply:
        repo, wanted = self.found(owner, name), asked.json
        if repo is None or not self.bare(repo).oid(f"{oid}^{{commit}}"):
            return not_found()
        if wanted["state"] not in _STATES:
            return error(422, "bad state")
        status = Status(
            self.next_id(),
            wanted["context"],
            wanted["state"],
            wanted.get("description", ""),
            wanted.get("target_url", ""),
        )
        repo.checks.setdefault(oid, []).append(vars(status))
        return Reply(201, vars(status))

    @route("GET", rf"{REPO}/commits/([^/]+)/status")
    def combined_status(self, asked: Asked, owner: str, name: str, oid: str) -> Reply:
        """`total_count` counts what is on this page only, and there are no links."""
        repo = self.found(owner, name)
        if repo is None:
            return not_found()
        newest = {status["context"]: status for status in repo.checks.get(oid, [])}
        reply = self.paged(asked, list(newest.values())[::-1], lambda status: status)
        data = {"state": "pending", "sha": oid, "statuses": reply.data, "total_count": len(reply.data)}
        return Reply(200, data)

    @route("GET", rf"{REPO}/actions/(runs|tasks)")
    def list_runs(self, asked: Asked, owner: str, name: str, what: str) -> Reply:
        repo = self.found(owner, name)
        if what != self.actions:
            return no_route()
        if repo is None:
            return not_found()
        branch = asked.query.get("branch", "")
        found = [run for run in repo.pipelines if branch in ("", run.get("head_branch", branch))]
        reply = self.paged(asked, found, lambda run: run)
        return Reply(200, {"workflow_runs": reply.data, "total_count": len(found)})

    def add_run(self, repo: Repo, branch: str) -> str:
        number = self.next_id()
        dates = {"started_at": "2026-11-20T09:00:00Z", "completed_at": "2026-11-20T09:05:00Z"}
        place = {
            "head_branch": branch,
            "head_sha": self.oid(repo, branch),
            "path": f"ci.yml@refs/heads/{branch}",
        }
        url = f"{self.root_url}{repo.full_name}/actions/runs/{number}"
        done = {"status": "completed", "conclusion": "success"}
        repo.pipelines.append({"id": number, "html_url": url, **place, **done, **dates})
        return str(number)


def categories_of(path: str) -> tuple[str, ...]:
    return next(needed for pattern, needed in _CATEGORIES if re.fullmatch(pattern, path))


def may(token: Token, category: str, level: str) -> bool:
    enough = {"all", f"write:{category}"} | ({f"read:{category}"} if level == "read" else set())
    return bool(enough & set(token.scopes))
