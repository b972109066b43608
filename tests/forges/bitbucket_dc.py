"""A Bitbucket Data Center on loopback: REST below /rest/api/1.0, git below /scm.

    with BitbucketDataCenterStandIn(folder) as forge:
        forge.add_token("BBDC-x", "ana")
        forge.add_token("BBDC-y", "", project=True)  # a token of a project: git takes it with any name

Like the original it answers anonymous requests for what is public, has no way to ask for a repository by
its number, refuses changes that name an old version, and forgets old names of repositories.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import json
import uuid
from pathlib import Path
from typing import Any

from tests.forges.bitbucket_git import merge
from tests.forges.standin import Asked, Hook, Reply, Repo, StandIn, Token, route

_API = r"/rest/api/1\.0"
_REPO = _API + r"/projects/([^/]+)/repos/([^/]+)"
_PULL = _REPO + r"/pull-requests/(\d+)"
_HOOK = _REPO + r"/webhooks/([^/]+)"
_STRATEGIES = {"no-ff": "merge", "squash": "squash", "rebase-ff-only": "forward"}
_NOTHING = "0" * 40
_MOST = 50  # what an administrator may set `page.max.repositories` to


@dataclasses.dataclass
class DataCenterToken(Token):
    project: bool = False


class BitbucketDataCenterStandIn(StandIn):
    api_prefix = "/rest/"

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        (root / "scm").symlink_to(".")
        super().__init__(root)
        self.budget_left: int | None = None
        self.people = {"ana", "bea"}

    # --- tokens and answers -----------------------------------------------------------------------

    def add_token(self, value: str, login: str, **more: Any) -> Token:
        self.tokens[value] = token = DataCenterToken(login, **more)
        return token

    def allows(self, authorization: str | None) -> bool:
        kind, _, value = (authorization or "").partition(" ")
        name, _, password = (base64.b64decode(value).decode() if kind == "Basic" else "").partition(":")
        token = self.token_of(password)
        return isinstance(token, DataCenterToken) and name == (
            "x-token-auth" if token.project else token.login
        )

    def answer(self, asked: Asked) -> Reply:
        given = asked.headers.get("authorization", "")
        token = self.token_of(given.removeprefix("Bearer "))
        if given and token is None:
            return error(401, "Authentication failed. Please check your credentials and try again.")
        if self.budget_left is not None:
            if self.budget_left == 0:
                return Reply(429, raw=b"You have been rate limited.", headers={"Retry-After": "42"})
            self.budget_left -= 1
        reply = super().answer(asked)
        if token is not None:
            reply.headers["X-AUSERNAME"] = token.login or "access-token-user%2F1%2F7"
        return reply

    def unknown(self, asked: Asked) -> Reply:
        return error(404, f"null for uri: {self.url}{asked.path}")

    def page(self, asked: Asked, items: list[Any]) -> Reply:
        start, limit = int(asked.query.get("start", 0)), min(int(asked.query.get("limit", 25)), _MOST)
        data = {"values": items[start : start + limit], "start": start, "limit": limit}
        last = start + limit >= len(items)
        more = {"isLastPage": last, "nextPageStart": None if last else start + limit}
        return Reply(data={**data, **more, "size": len(data["values"])})  # type: ignore[arg-type]

    @route("GET", _API + "/application-properties")
    def properties(self, asked: Asked) -> Reply:
        return Reply(data={"version": "9.4.3", "buildNumber": "9004003", "displayName": "Bitbucket"})

    @route("GET", _API + "/users/([^/]+)")
    def user(self, asked: Asked, name: str) -> Reply:
        return Reply(data={"name": name}) if name in self.people else error(404, f"No such user {name}.")

    # --- repositories -----------------------------------------------------------------------------

    @route("GET", _API + "/repos")
    def list_repositories(self, asked: Asked) -> Reply:
        words = asked.query.get("name", "").lower()
        found = [repo for repo in self.repositories.values() if words in repo.name.lower()]
        return self.page(asked, [self._described(repo) for repo in found])

    @route("GET", _REPO)
    def get_repository(self, asked: Asked, key: str, slug: str) -> Reply:
        repo = self.named(f"{key}/{slug}")
        return Reply(data=self._described(repo)) if repo else _no_repository(key, slug)

    @route("GET", _REPO + "/default-branch")
    def default_branch(self, asked: Asked, key: str, slug: str) -> Reply:
        repo = self.named(f"{key}/{slug}")
        if repo is None:
            return _no_repository(key, slug)
        there = (self.root / f"{repo.full_name}.git").exists()
        if not there or not self.bare(repo).refs():
            return Reply(204)
        ref = f"refs/heads/{repo.default_branch}"
        return Reply(data={"id": ref, "displayId": repo.default_branch, "type": "BRANCH"})

    def _described(self, repo: Repo) -> dict[str, Any]:
        return {
            "id": repo.id,
            "slug": repo.name,
            "name": repo.name,
            "description": repo.description,
            "scmId": "git",
            "state": "AVAILABLE",
            "archived": repo.archived,
            "forkable": True,
            "public": repo.visibility == "public",
            "links": {"self": [{"href": f"{self.url}/projects/{repo.owner}/repos/{repo.name}/browse"}]},
            "project": {"key": repo.owner, "public": False, "type": "NORMAL"},
        }

    # --- pull requests ----------------------------------------------------------------------------

    @route("GET", _REPO + "/pull-requests")
    def pulls(self, asked: Asked, key: str, slug: str) -> Reply:
        repo = self.named(f"{key}/{slug}")
        if repo is None:
            return _no_repository(key, slug)
        state, at = asked.query.get("state", "OPEN"), asked.query.get("at")
        side = "head" if asked.query.get("direction") == "OUTGOING" else "base"
        found = [pull for pull in repo.pulls.values() if pull["state"] == state]
        found = [pull for pull in found if at in (None, f"refs/heads/{pull[side]}")]
        return self.page(asked, [self._shown(repo, pull) for pull in reversed(found)])

    @route("POST", _REPO + "/pull-requests")
    def open(self, asked: Asked, key: str, slug: str) -> Reply:
        repo, body = self.named(f"{key}/{slug}"), asked.json
        if repo is None:
            return _no_repository(key, slug)
        head, base = (body[side]["id"].removeprefix("refs/heads/") for side in ("fromRef", "toRef"))
        for branch in (head, base):
            if not self.bare(repo).oid(f"refs/heads/{branch}"):
                return error(404, f'Repository "{slug}" has no branch "{branch}".')
        if any((p["head"], p["base"], p["state"]) == (head, base, "OPEN") for p in repo.pulls.values()):
            return error(409, "Only one pull request may be open for a given source and target branch")
        number = len(repo.pulls) + 1
        repo.pulls[number] = pull = {"id": number, "version": 0, "state": "OPEN", "head": head, "base": base}
        return self._set(pull, body) or Reply(201, self._shown(repo, pull))

    @route("GET", _PULL)
    def pull(self, asked: Asked, key: str, slug: str, number: str) -> Reply:
        repo = self.named(f"{key}/{slug}")
        found = repo.pulls.get(int(number)) if repo else None
        return Reply(data=self._shown(repo, found)) if repo and found else _no_pull(number)

    @route("PUT", _PULL)
    def change_pull(self, asked: Asked, key: str, slug: str, number: str) -> Reply:
        repo, pull, refusal = self._changing(key, slug, number, asked.json.get("version"))
        return refusal or self._set(pull, asked.json) or Reply(data=self._shown(repo, pull))

    @route("POST", _PULL + "/decline")
    def decline(self, asked: Asked, key: str, slug: str, number: str) -> Reply:
        repo, pull, refusal = self._changing(key, slug, number, int(asked.query.get("version", -1)))
        if refusal:
            return refusal
        pull |= {"state": "DECLINED", "oid": self.bare(repo).oid(f"refs/heads/{pull['head']}")}
        return Reply(data=self._shown(repo, pull))

    @route("POST", _PULL + "/merge")
    def merge_pull(self, asked: Asked, key: str, slug: str, number: str) -> Reply:
        repo, pull, refusal = self._changing(key, slug, number, int(asked.query.get("version", -1)))
        if refusal:
            return refusal
        bare, ref = self.bare(repo), f"refs/heads/{pull['base']}"
        before, head = bare.oid(ref), bare.oid(f"refs/heads/{pull['head']}")
        strategy = _STRATEGIES[asked.json.get("strategyId", "no-ff")]
        message = asked.json.get("message") or f"Pull request #{number}: {pull['title']}"
        merged = merge(bare, pull["head"], pull["base"], strategy, message)
        if not merged:
            return error(409, "The pull request has conflicts and cannot be merged.")
        pull |= {"state": "MERGED", "merged": merged, "oid": head}
        self._tell(repo, {ref: before}, {ref: merged})
        return Reply(data=self._shown(repo, pull))

    def _changing(
        self, key: str, slug: str, number: str, version: int | None
    ) -> tuple[Repo, dict[str, Any], Reply | None]:
        """A pull request that may be changed by this version, or why not."""
        repo = self.named(f"{key}/{slug}")
        pull = repo.pulls.get(int(number)) if repo else None
        if repo is None or pull is None:
            return Repo(0, ""), {}, _no_pull(number)
        if version != self._version(repo, pull):
            return repo, pull, error(409, "You are attempting to modify a pull request based on old data.")
        if pull["state"] != "OPEN":
            return repo, pull, error(409, "This pull request has already been closed.")
        pull["version"] += 1
        return repo, pull, None

    def _version(self, repo: Repo, pull: dict[str, Any]) -> int:
        """It goes up with each change, and with each push to the branch."""
        head = self.bare(repo).oid(f"refs/heads/{pull['head']}")
        if pull["state"] == "OPEN" and pull.setdefault("seen", head) != head:
            pull["version"] += 1
            pull["seen"] = head
        return int(pull["version"])

    def _set(self, pull: dict[str, Any], body: dict[str, Any]) -> Reply | None:
        asked = [one["user"]["name"] for one in body.get("reviewers", [])]
        if unknown := [name for name in asked if name not in self.people]:
            return error(409, f"{unknown[0]} is not a user.")
        pull |= {
            "title": body["title"],
            "description": body.get("description", ""),
            "draft": body.get("draft", False),
            "reviewers": asked,
        }
        return None

    def _shown(self, repo: Repo, pull: dict[str, Any]) -> dict[str, Any]:
        version = self._version(repo, pull)
        oid = pull.get("oid") or self.bare(repo).oid(f"refs/heads/{pull['head']}")
        here = {"id": repo.id, "slug": repo.name, "project": {"key": repo.owner}}
        return {
            "id": pull["id"],
            "version": version,
            "title": pull["title"],
            "description": pull["description"],
            "state": pull["state"],
            "open": pull["state"] == "OPEN",
            "draft": pull["draft"],
            "updatedDate": 1_795_165_200_000,
            "fromRef": {"id": f"refs/heads/{pull['head']}", "latestCommit": oid, "repository": here},
            "toRef": {"id": f"refs/heads/{pull['base']}", "repository": here},
            "author": {"user": {"name": "ana"}},
            "reviewers": [{"user": {"name": name}} for name in pull["reviewers"]],
            "properties": {"mergeCommit": {"id": pull["merged"]}} if "merged" in pull else {},
        }

    # --- webhooks ---------------------------------------------------------------------------------

    @route("GET", _REPO + "/webhooks")
    def hooks(self, asked: Asked, key: str, slug: str) -> Reply:
        repo = self.named(f"{key}/{slug}")
        found = [_hook(one) for one in repo.hooks.values()] if repo else []
        return self.page(asked, found) if repo else _no_repository(key, slug)

    @route("POST", _REPO + "/webhooks")
    def create_hook(self, asked: Asked, key: str, slug: str) -> Reply:
        repo, body = self.named(f"{key}/{slug}"), asked.json
        if repo is None:
            return _no_repository(key, slug)
        secret = body.get("configuration", {}).get("secret", "")
        hook = Hook(str(self.next_id()), body["url"], secret, body["events"], body["active"])
        repo.hooks[hook.id] = hook
        return Reply(201, _hook(hook))

    @route("PUT", _HOOK)
    def change_hook(self, asked: Asked, key: str, slug: str, hook_id: str) -> Reply:
        repo, body = self.named(f"{key}/{slug}"), asked.json
        hook = repo.hooks.get(hook_id) if repo else None
        if hook is None:
            return error(404, f"No webhook with id {hook_id}.")
        hook.url, hook.events, hook.active = body["url"], body["events"], body["active"]
        hook.secret = body.get("configuration", {}).get("secret", "")
        return Reply(data=_hook(hook))

    @route("DELETE", _HOOK)
    def delete_hook(self, asked: Asked, key: str, slug: str, hook_id: str) -> Reply:
        repo = self.named(f"{key}/{slug}")
        gone = repo.hooks.pop(hook_id, None) if repo else None
        return Reply(204) if gone else error(404, f"No webhook with id {hook_id}.")

    def signed(self, hook: Hook, event: str, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Atlassian HttpClient 4.2.0 / Bitbucket-9.4.3",
            "X-Event-Key": event,
            "X-Request-Id": str(uuid.uuid4()),
        }
        if hook.secret:
            digest = hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest()
            headers["X-Hub-Signature"] = f"sha256={digest}"
        return headers

    def pushed(self, path: str, before: dict[str, str], after: dict[str, str]) -> None:
        """One delivery for all refs of a push."""
        repo = self.named(path.removeprefix("scm/").removesuffix(".git"))
        if repo is not None:
            with self.state_lock:
                self._tell(repo, before, after)

    def _tell(self, repo: Repo, before: dict[str, str], after: dict[str, str]) -> None:
        changes = [
            {
                "ref": {"id": ref, "type": "TAG" if ref.startswith("refs/tags/") else "BRANCH"},
                "refId": ref,
                "fromHash": before.get(ref, _NOTHING),
                "toHash": after.get(ref, _NOTHING),
                "type": "ADD" if ref not in before else "DELETE" if ref not in after else "UPDATE",
            }
            for ref in sorted(before | after)
            if before.get(ref) != after.get(ref)
        ]
        if changes:
            about = {"eventKey": "repo:refs_changed", "actor": {"name": "ana"}, "changes": changes}
            self.send(repo, "repo:refs_changed", {**about, "repository": self._described(repo)})


def error(status: int, message: str) -> Reply:
    about = {"context": None, "message": message, "exceptionName": None}
    return Reply(status, raw=json.dumps({"errors": [about]}).encode())


def _no_repository(key: str, slug: str) -> Reply:
    return error(404, f"Repository {key}/{slug} does not exist.")


def _no_pull(number: str) -> Reply:
    return error(404, f"No pull request exists with ID {number} for this repository ID")


def _hook(hook: Hook) -> dict[str, Any]:
    return {
        "id": int(hook.id),
        "name": "OpsSight",
        "url": hook.url,
        "active": hook.active,
        "events": hook.events,
        "configuration": {"secret": hook.secret},  # in clear, as the original does
    }
