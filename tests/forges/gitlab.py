"""GitLab as it answers: its paths, paging, limits, errors and webhooks, and git on the same origin.

    with GitLabStandIn(folder) as forge:
        forge.add_repository("acme/site", {b"README": b"hello"}, visibility="public")
        forge.add_token("glpat-x", "ana", scopes=["api"])

Merge requests, statuses and pipelines are in `gitlab_work`.
"""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from tests.forges.gitlab_base import PROJECT, not_found, per_page_of
from tests.forges.gitlab_commits import Commits
from tests.forges.gitlab_hooks import Webhooks
from tests.forges.gitlab_work import Work
from tests.forges.standin import Asked, Reply, Repo, Token, route

_MINUTE = 60


class GitLabStandIn(Webhooks, Work, Commits):
    """`budget_left`: requests until the limit; None for no limit. `offset_limit`: how far pages can be asked
    for by number. `oauth`: which tokens are OAuth tokens.
    """

    api_prefix = ("/api/", "/oauth/")

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.budget_left: int | None = None
        self.offset_limit = 50_000
        self.oauth: set[str] = set()
        self.users: dict[str, int] = {}
        self.namespaces: dict[str, int] = {}

    def add_token(self, value: str, login: str, **more: Any) -> Token:
        self.add_user(login)
        return super().add_token(value, login, **more)

    def add_user(self, login: str) -> int:
        self.namespace(login)
        return self.users.setdefault(login, self.next_id())

    def add_repository(
        self, full_name: str, files: Mapping[bytes, bytes] | None = None, *, on_disk: bool = True, **more: Any
    ) -> Repo:
        self.namespace(full_name.rpartition("/")[0])
        return super().add_repository(full_name, files, on_disk=on_disk, **more)

    def add_run(self, repo: Repo, branch: str) -> str:
        return str(self.add_pipeline(repo, branch, "success")["id"])

    def prepare_auto_merge(self, repo: Repo, branch: str) -> None:
        self.add_pipeline(repo, branch, "running")

    def namespace(self, path: str) -> int:
        return self.namespaces.setdefault(path, self.next_id())

    # --- every request ----------------------------------------------------------------------------

    def allows(self, authorization: str | None) -> bool:
        """Git: any name with an access token, `oauth2` with an OAuth token."""
        kind, _, encoded = (authorization or "").partition(" ")
        if kind != "Basic":
            return False
        name, _, value = base64.b64decode(encoded).decode().partition(":")
        token = self.token_of(value)
        fetches = {"api", "read_repository", "write_repository"}
        return bool(
            token and name and fetches & set(token.scopes) and (value not in self.oauth or name == "oauth2")
        )

    def answer(self, asked: Asked) -> Reply:
        if self.budget_left is not None:
            if self.budget_left == 0:
                headers = {"Content-Type": "text/plain", "Retry-After": "30", **self._limit_headers()}
                return Reply(429, raw=b"Retry later\n", headers=headers)
            self.budget_left -= 1
        refused = self._refused(asked)
        reply = refused or super().answer(asked)
        if reply.status == 200 and asked.method == "GET":
            reply.headers["ETag"] = f'W/"{hashlib.md5(reply.body, usedforsecurity=False).hexdigest()}"'
            if asked.headers.get("if-none-match") == reply.headers["ETag"]:
                reply.status = 304
        if self.budget_left is not None:
            reply.headers |= self._limit_headers()
        return reply

    def _limit_headers(self) -> dict[str, str]:
        reset = int(time.time()) // _MINUTE * _MINUTE + _MINUTE
        return {
            "RateLimit-Limit": "2000",
            "RateLimit-Name": "throttle_authenticated_api",
            "RateLimit-Observed": str(2000 - (self.budget_left or 0)),
            "RateLimit-Remaining": str(self.budget_left),
            "RateLimit-Reset": str(reset),
        }

    def _refused(self, asked: Asked) -> Reply | None:
        value = self.value_of(asked)
        token = self.token_of(value)
        if token is None and value in self.tokens:
            over = (
                "revoked. You have to re-authorize from the user."
                if self.tokens[value].revoked
                else "expired."
            )
            return Reply(401, {"error": "invalid_token", "error_description": f"Token was {over}"})
        if token is None:
            return Reply(401, {"message": "401 Unauthorized"})
        needed = _needed(asked)
        if needed and not needed & set(token.scopes):
            words = "The request requires higher privileges than provided by the access token."
            data = {
                "error": "insufficient_scope",
                "error_description": words,
                "scope": " ".join(sorted(needed)),
            }
            return Reply(403, data)
        return None

    def value_of(self, asked: Asked) -> str:
        return asked.headers.get("authorization", "").removeprefix("Bearer ")

    def who(self, asked: Asked) -> str:
        return self.tokens[self.value_of(asked)].login

    def unknown(self, asked: Asked) -> Reply:
        return Reply(404, {"error": "404 Not Found"})

    def project(self, name: str) -> Repo | None:
        if name.isdecimal():
            return self.repositories.get(int(name))
        return self.named(unquote(name))

    # --- who --------------------------------------------------------------------------------------

    def user(self, login: str) -> dict[str, Any]:
        return {
            "id": self.users[login],
            "username": login,
            "name": login.title(),
            "state": "active",
            "web_url": f"{self.url}/{login}",
        }

    def logins(self, ids: list[int]) -> list[str]:
        return [login for login, number in self.users.items() if number in ids]

    @route("GET", "/api/v4/user")
    def get_user(self, asked: Asked) -> Reply:
        login = self.who(asked)
        return Reply(200, {**self.user(login), "bot": False, "email": f"{login}@example.org"})

    @route("GET", "/api/v4/users")
    def list_users(self, asked: Asked) -> Reply:
        wanted = asked.query.get("username", "").lower()
        return Reply(200, [self.user(login) for login in self.users if login.lower() == wanted])

    @route("GET", "/api/v4/personal_access_tokens/self")
    def get_token(self, asked: Asked) -> Reply:
        value = self.value_of(asked)
        if value in self.oauth:
            words = "This endpoint requires token type to be a personal access token"
            return Reply(400, {"message": f"400 Bad request - {words}"})
        token = self.tokens[value]
        expires = token.expires_at.date().isoformat() if token.expires_at else None
        data = {"id": 5, "name": "ops", "revoked": False, "scopes": token.scopes, "active": True}
        return Reply(200, {**data, "expires_at": expires, "user_id": self.users[token.login]})

    @route("GET", "/oauth/token/info")
    def get_oauth_token(self, asked: Asked) -> Reply:
        value = self.value_of(asked)
        if value not in self.oauth:
            words = "The access token is invalid"
            return Reply(401, {"error": "invalid_token", "error_description": words})
        token = self.tokens[value]
        data = {"resource_owner_id": self.users[token.login], "scope": token.scopes, "expires_in": 7_200}
        return Reply(200, {**data, "application": {"uid": "a1"}, "created_at": 1_795_000_000})

    @route("GET", "/api/v4/namespaces/([^/]+)")
    def get_namespace(self, asked: Asked, name: str) -> Reply:
        path = unquote(name)
        if path not in self.namespaces:
            return not_found("Namespace")
        kind = "user" if path in self.users else "group"
        return Reply(200, {"id": self.namespaces[path], "full_path": path, "path": path, "kind": kind})

    # --- projects ---------------------------------------------------------------------------------

    def project_json(self, repo: Repo, statistics: bool) -> dict[str, Any]:
        folder = self.root / f"{repo.full_name}.git"
        data = {
            "id": repo.id,
            "name": repo.name,
            "path": repo.name,
            "path_with_namespace": repo.full_name,
            "description": repo.description or None,
            "default_branch": repo.default_branch,
            "visibility": repo.visibility,
            "archived": repo.archived,
            "topics": repo.topics,
            "last_activity_at": repo.pushed_at,
            "http_url_to_repo": f"{self.url}/{repo.full_name}.git",
            "web_url": f"{self.url}/{repo.full_name}",
            "repository_access_level": repo.more.get("access", "enabled"),
            "issues_enabled": True,
            "merge_requests_enabled": True,
            "wiki_enabled": True,
            "jobs_enabled": True,
            "packages_enabled": False,
            "permissions": {
                "project_access": None,
                "group_access": {"access_level": 40, "notification_level": 3},
            },
            "merge_method": repo.more.get("merge_method", "merge"),
            "marked_for_deletion_on": repo.more.get("leaving"),
            "empty_repo": not folder.exists() or not self.refs(f"{repo.full_name}.git"),
        }
        data |= {"forked_from_project": {"id": 1}} if repo.fork else {}
        return data | ({"statistics": {"repository_size": 4_096}} if statistics else {})

    @route("GET", "/api/v4/projects")
    def list_projects(self, asked: Asked) -> Reply:
        after, words = int(asked.query.get("id_after", 0)), asked.query.get("search", "").lower()
        found = [
            one for one in self.repositories.values() if one.id > after and words in one.full_name.lower()
        ]
        found.sort(key=lambda one: one.id, reverse=asked.query.get("sort", "desc") == "desc")
        statistics = asked.query.get("statistics") == "true"
        if asked.query.get("pagination") == "keyset":
            return self._keyset(asked, found, statistics)
        if self.page_start(asked) >= self.offset_limit:
            words = (
                f"Offset pagination has a maximum allowed offset of {self.offset_limit} for requests that "
            )
            words += (
                "return objects of type Project. Remaining records can be retrieved using keyset pagination."
            )
            return Reply(405, {"error": words})
        return self.paged(asked, found, lambda one: self.project_json(one, statistics))

    def _keyset(self, asked: Asked, found: list[Repo], statistics: bool) -> Reply:
        per_page = per_page_of(asked)
        page, headers = found[:per_page], {}
        if len(found) > per_page:
            query = urlencode({**asked.query, "id_after": page[-1].id})
            headers["Link"] = f'<{self.url}{asked.path}?{query}>; rel="next"'
        return Reply(200, [self.project_json(one, statistics) for one in page], headers)

    @route("GET", PROJECT)
    def get_project(self, asked: Asked, name: str) -> Reply:
        repo = self.project(name)
        if repo is None:
            return not_found("Project")
        return Reply(200, self.project_json(repo, asked.query.get("statistics") == "true"))

    @route("POST", "/api/v4/projects")
    def create_project(self, asked: Asked) -> Reply:
        body = asked.json
        owners = {number: path for path, number in self.namespaces.items()}
        owner = owners.get(body["namespace_id"]) if "namespace_id" in body else self.who(asked)
        if owner is None:
            return Reply(400, {"message": {"namespace": ["is not valid"]}})
        full_name = f"{owner}/{body['path']}"
        if self.named(full_name):
            taken = ["has already been taken"]
            return Reply(400, {"message": {"project_namespace.name": taken, "name": taken, "path": taken}})
        visibility = body.get("visibility", "private")
        repo = self.add_repository(full_name, description=body.get("description", ""), visibility=visibility)
        return Reply(201, self.project_json(repo, False))

    @route("PUT", PROJECT)
    def change_project(self, asked: Asked, name: str) -> Reply:
        repo, body = self.project(name), asked.json
        if repo is None:
            return not_found("Project")
        if repo.archived:
            return Reply(403, {"message": "403 Forbidden"})
        branch = body.get("default_branch", repo.default_branch)
        if branch != repo.default_branch and not self.bare(repo).oid(f"refs/heads/{branch}"):
            words = f"Could not change HEAD: branch '{branch}' does not exist"
            return Reply(400, {"message": {"base": [words, "Could not set the default branch"]}})
        self.bare(repo).git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        repo.default_branch = branch
        repo.description = body.get("description", repo.description)
        repo.visibility = body.get("visibility", repo.visibility)
        return Reply(200, self.project_json(repo, False))

    @route("POST", PROJECT + "/(archive|unarchive)")
    def archive_project(self, asked: Asked, name: str, verb: str) -> Reply:
        repo = self.project(name)
        if repo is None:
            return not_found("Project")
        repo.archived = verb == "archive"
        return Reply(201, self.project_json(repo, False))

    @route("DELETE", PROJECT)
    def delete_project(self, asked: Asked, name: str) -> Reply:
        """It stays for some days, out of the way of a new one of the same name."""
        repo = self.project(name)
        if repo is None:
            return not_found("Project")
        repo.more["leaving"] = "2026-12-21"
        self.rename(repo, f"{repo.full_name}-deletion_scheduled-{repo.id}")
        return Reply(202, {"message": "202 Accepted"})


def _needed(asked: Asked) -> set[str]:
    """The scopes of which one is needed; none for what every token may ask about itself."""
    if asked.path in ("/api/v4/personal_access_tokens/self", "/oauth/token/info"):
        return set()
    if asked.method != "GET":
        return {"api"}
    return {"api", "read_api", "read_user"} if asked.path == "/api/v4/user" else {"api", "read_api"}
