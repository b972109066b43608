"""Accounts, tokens, paging and repositories of the stand-in for Bitbucket Cloud."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode

from tests.forges.standin import Asked, Reply, Repo, StandIn, Token, page_of, route

API_SCOPES = [
    *(f"{what}:repository:bitbucket" for what in ("read", "write", "admin", "delete")),
    *(f"{what}:pullrequest:bitbucket" for what in ("read", "write")),
    *(f"{what}:webhook:bitbucket" for what in ("read", "write", "delete")),
    "read:pipeline:bitbucket",
    "read:user:bitbucket",
    "read:workspace:bitbucket",
]
REPO = r"/2\.0/repositories/([^/]+)/([^/]+)"
_REMOVED = r"/2\.0/(?:repositories/?|workspaces/?|user/permissions/.*)"
_TERM = re.compile(r'([\w.]+)\s*(=|~)\s*("(?:[^"\\]|\\.)*")')
GONE = "You may not have access to this repository or it no longer exists in this workspace."


@dataclasses.dataclass
class CloudToken(Token):
    """With an e-mail it is an API token of an account, else an access token of a workspace."""

    email: str = ""
    workspace: str = ""


class CloudBase(StandIn):
    """`budget_left`: requests until 429, None without end."""

    api_prefix: str | tuple[str, ...] = "/2.0/"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.budget_left: int | None = None
        self.workspaces: dict[str, str] = {}
        self.people = {name: _person(name) for name in ("ana", "bea")}

    # --- state ------------------------------------------------------------------------------------

    def add_token(self, value: str, login: str, **more: Any) -> Token:
        self.tokens[value] = token = CloudToken(login, **more)
        return token

    def add_repository(self, full_name: str, *args: Any, **more: Any) -> Repo:
        repo = super().add_repository(full_name, *args, **more)
        repo.more["uuid"] = new_uuid()
        self.workspaces.setdefault(repo.owner, new_uuid())
        return repo

    def allows(self, authorization: str | None) -> bool:
        name, _, password = _basic(authorization or "").partition(":")
        token = self.token_of(password)
        if not isinstance(token, CloudToken):
            return False
        return name == ("x-bitbucket-api-token-auth" if token.email else "x-token-auth")

    # --- every request ----------------------------------------------------------------------------

    def answer(self, asked: Asked) -> Reply:
        token = self._token(asked.headers.get("authorization", ""))
        if token is None:
            return error(401, "Token is invalid, expired, or not supported for this endpoint.")
        if self.budget_left is not None:
            if self.budget_left == 0:
                return error(429, "Rate limit for this resource has been exceeded")
            self.budget_left -= 1
        needed = _needed(asked, granular=bool(token.email))
        if needed and needed not in token.scopes:
            detail = {"required": [needed], "granted": token.scopes}
            words = "Your credentials lack one or more required privilege scopes."
            reply = Reply(403, {"type": "error", "error": {"message": words, "detail": detail}})
        elif token.workspace and asked.path.startswith("/2.0/user"):
            reply = error(403, "This API is not accessible by this authentication mechanism")
        else:
            reply = super().answer(asked)
        if reply.status < 300 and asked.query.get("fields"):
            reply.data = _only(reply.data, [name.split(".") for name in asked.query["fields"].split(",")])
        reply.headers["X-OAuth-Scopes"] = ", ".join(token.scopes)
        if token.workspace:
            reply.headers |= {"X-RateLimit-Limit": "1000", "X-RateLimit-Resource": "api"}
            reply.headers["X-RateLimit-NearLimit"] = "false"
        return reply

    def unknown(self, asked: Asked) -> Reply:
        return error(404, "Resource not found")

    def _token(self, authorization: str) -> CloudToken | None:
        kind, _, value = authorization.partition(" ")
        email, _, password = _basic(authorization).partition(":")
        token = self.token_of(value if kind == "Bearer" else password)
        if not isinstance(token, CloudToken) or (kind != "Bearer" and token.email != email):
            return None
        return token if bool(token.email) == (kind == "Basic") else None

    def repo(self, workspace: str, name: str) -> Repo | None:
        for repo in self.repositories.values():
            owner = {repo.owner, f"{{{self.workspaces[repo.owner]}}}"}
            if workspace in owner and name in {repo.name, f"{{{repo.more['uuid']}}}"}:
                return repo
        return None

    def page(self, asked: Asked, items: list[Any], *, most: int = 100, linked: bool = True) -> Reply:
        pagelen, page = int(asked.query.get("pagelen", 10)), int(asked.query.get("page", 1))
        if pagelen > most:
            return error(400, "Invalid pagelen")
        terms = _TERM.findall(asked.query.get("q", ""))
        items = [item for item in items if all(_fits(item, *term) for term in terms)]
        if sort := asked.query.get("sort", ""):
            items = sorted(items, key=lambda item: item[sort.lstrip("-")], reverse=sort.startswith("-"))
        data = {"values": page_of(items, page, pagelen), "pagelen": pagelen, "page": page, "size": len(items)}
        if linked and page * pagelen < len(items):
            query = urlencode({**parse_qs(asked.raw_query), "page": [page + 1]}, doseq=True)
            data["next"] = f"{self.url}{asked.path.replace('{', '%7B').replace('}', '%7D')}?{query}"
        return Reply(data=data)

    # --- accounts and repositories ----------------------------------------------------------------

    @route("GET", _REMOVED)
    def removed(self, asked: Asked) -> Reply:
        return error(410, "CHANGE-2770 - Functionality has been deprecated")

    @route("GET", "/2.0/user")
    def user(self, asked: Asked) -> Reply:
        token = self._token(asked.headers["authorization"])
        assert token is not None
        return Reply(data={"type": "user", **self.people[token.login]})

    @route("GET", "/2.0/user/workspaces")
    def user_workspaces(self, asked: Asked) -> Reply:
        rows = [
            {"type": "workspace_access", "administrator": True, "workspace": self._workspace(slug)}
            for slug in self.workspaces
        ]
        return self.page(asked, rows)

    @route("GET", r"/2\.0/workspaces/([^/]+)/members")
    def members(self, asked: Asked, workspace: str) -> Reply:
        return self.page(
            asked, [{"type": "workspace_membership", "user": one} for one in self.people.values()]
        )

    @route("GET", r"/2\.0/repositories/([^/]+)")
    def list_repositories(self, asked: Asked, workspace: str) -> Reply:
        names = [slug for slug, uuid in self.workspaces.items() if workspace in (slug, f"{{{uuid}}}")]
        if not names:
            return error(404, f"No workspace with identifier '{workspace}'.")
        found = [repo for repo in self.repositories.values() if repo.owner == names[0]]
        return self.page(asked, [self.described(repo) for repo in found])

    @route("GET", REPO)
    def get_repository(self, asked: Asked, workspace: str, name: str) -> Reply:
        repo = self.repo(workspace, name)
        return Reply(data=self.described(repo)) if repo else error(404, GONE)

    @route("POST", REPO)
    def create(self, asked: Asked, workspace: str, name: str) -> Reply:
        if self.repo(workspace, name):
            return error(400, "Repository with this Slug and Owner already exists.")
        if name != name.lower():
            return error(400, "Repository slug must be lower-case.")
        body = asked.json
        [owner] = [s for s, uuid in self.workspaces.items() if workspace in (s, f"{{{uuid}}}")]
        visibility = "private" if body.get("is_private") else "public"
        repo = self.add_repository(
            f"{owner}/{name}", description=body.get("description", ""), visibility=visibility
        )
        return Reply(data=self.described(repo))

    @route("PUT", REPO)
    def change(self, asked: Asked, workspace: str, name: str) -> Reply:
        repo, body = self.repo(workspace, name), asked.json
        if repo is None:
            return error(404, GONE)
        if branch := body.get("mainbranch", {}).get("name"):
            if not self.bare(repo).oid(f"refs/heads/{branch}"):
                return error(400, "Bad request", mainbranch=[f"Branch {branch} does not exist."])
            repo.default_branch = branch
        repo.description = body.get("description", repo.description)
        if "is_private" in body:
            repo.visibility = "private" if body["is_private"] else "public"
        return Reply(data=self.described(repo))

    @route("DELETE", REPO)
    def delete(self, asked: Asked, workspace: str, name: str) -> Reply:
        repo = self.repo(workspace, name)
        if repo is None:
            return error(404, GONE)
        del self.repositories[repo.id]
        return Reply(204)

    def _workspace(self, slug: str) -> dict[str, Any]:
        return {"type": "workspace", "uuid": f"{{{self.workspaces[slug]}}}", "slug": slug, "name": slug}

    def described(self, repo: Repo) -> dict[str, Any]:
        bare = self.root / f"{repo.full_name}.git"
        empty = bare.exists() and not self.bare(repo).oid(f"refs/heads/{repo.default_branch}")
        return {
            "type": "repository",
            "uuid": f"{{{repo.more['uuid']}}}",
            "full_name": repo.full_name,
            "name": repo.name,
            "slug": repo.name,
            "scm": "git",
            "description": repo.description,
            "is_private": repo.visibility == "private",
            "mainbranch": None if empty else {"type": "branch", "name": repo.default_branch},
            "parent": {"type": "repository", "uuid": f"{{{new_uuid()}}}"} if repo.fork else None,
            "size": 4711,
            "language": repo.more.get("language", ""),
            "has_issues": False,
            "has_wiki": False,
            "fork_policy": "no_public_forks",
            "workspace": self._workspace(repo.owner),
            "updated_on": "2026-11-20T08:00:00.123456+00:00",
            "links": {"html": {"href": f"{self.url}/{repo.full_name}"}},
        }


def error(status: int, message: str, **fields: list[str]) -> Reply:
    about: dict[str, Any] = {"message": message}
    if fields:
        about["fields"] = fields
    return Reply(status, {"type": "error", "error": about})


def new_uuid() -> str:
    return str(uuid.uuid4())


def _person(name: str) -> dict[str, Any]:
    account = f"557058:{name}"
    return {
        "uuid": f"{{{new_uuid()}}}",
        "account_id": account,
        "nickname": name,
        "display_name": name.title(),
    }


def _basic(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    return base64.b64decode(value).decode() if kind == "Basic" else ""


def _needed(asked: Asked, *, granular: bool) -> str:
    """The scope that a request needs; those of API tokens have other names."""
    reads = asked.method == "GET"
    if asked.path.startswith("/2.0/user"):
        return "read:user:bitbucket" if granular else "account"
    if not asked.path.startswith("/2.0/repositories/"):
        return ""
    if "/pullrequests" in asked.path:
        names = (
            ("pullrequest", "read:pullrequest:bitbucket")
            if reads
            else ("pullrequest:write", "write:pullrequest:bitbucket")
        )
    elif "/hooks" in asked.path:
        names = ("webhook", "read:webhook:bitbucket" if reads else "write:webhook:bitbucket")
    elif "/pipelines" in asked.path:
        names = ("pipeline", "read:pipeline:bitbucket")
    elif reads or "/statuses/" in asked.path:
        names = ("repository", "read:repository:bitbucket")
    elif asked.method == "DELETE":
        names = ("repository:delete", "delete:repository:bitbucket")
    else:
        names = ("repository:admin", "admin:repository:bitbucket")
    return names[1] if granular else names[0]


def _fits(item: dict[str, Any], name: str, operator: str, quoted: str) -> bool:
    value: Any = item
    for part in name.split("."):
        value = (value or {}).get(part)
    wanted = json.loads(quoted)
    return value == wanted if operator == "=" else wanted.lower() in str(value).lower()


def _only(data: Any, paths: list[list[str]]) -> Any:
    """What `fields` leaves of an answer."""
    if isinstance(data, list):
        return [_only(item, paths) for item in data]
    if not isinstance(data, dict):
        return data
    left = {}
    for name in {path[0] for path in paths} & data.keys():
        deeper = [path[1:] for path in paths if path[0] == name and len(path) > 1]
        left[name] = _only(data[name], deeper) if deeper else data[name]
    return left
