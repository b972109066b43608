"""A GitHub Enterprise Server to test against: REST at /api/v3, GraphQL at /api/graphql, git beside them.

    with GitHubStandIn(folder) as forge:
        forge.add_token("ghp_canary", "ana", scopes=["repo"])
        forge.add_repository("acme/site", {b"README": b"hello"})

A token whose value begins with `github_pat_` is a fine-grained one: it has no scopes to tell.
"""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import hashlib
import hmac
import json
import re
import shutil
import uuid
from pathlib import Path

from tests.forges.github_deliveries import DeliveriesStandIn
from tests.forges.github_refused import REPO, Refused, error, invalid
from tests.forges.github_shapes import (
    hook_json,
    me_json,
    repository_json,
    user_json,
    whole_repository_json,
)
from tests.forges.openapi.check import unlike
from tests.forges.standin import Asked, Hook, Reply, route

_HOUR = 3_600


class GitHubStandIn(DeliveriesStandIn):
    """`budget_left`: requests before the limit is over, by resource; a 304 and /rate_limit cost none. They
    are all there again at `resets_at`, in seconds since 1970.

    `too_fast`: everything meets the secondary limit. `limits_off`: as a server of one's own usually is.
    `hidden`: ids of organizations that keep their repositories back for want of single sign-on.
    `unlike`: answers that are not as GitHub's description of its API says; checked when it ends.
    `repo.more["refuses"]`: the message of the 403 that a repository's organization answers with.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.budget_limit = 5_000
        self.budget_left = {"core": 5_000, "graphql": 5_000}
        self.too_fast = self.limits_off = False
        self.hidden: list[int] = []
        self.unlike: set[str] = set()
        self.resets_at = int(dt.datetime.now(dt.UTC).timestamp()) + _HOUR

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)
        assert not self.unlike, "not as GitHub answers:\n" + "\n".join(sorted(self.unlike))

    @property
    def api(self) -> str:
        return f"{self.url}/api/v3"

    # --- every request ------------------------------------------------------------------------------

    def answer(self, asked: Asked) -> Reply:
        value = _token_in(asked.headers.get("authorization", ""))
        self.asking = self.token_of(value)
        resource = "graphql" if asked.path == "/api/graphql" else "core"
        self._refill()
        free = asked.path == "/api/v3/rate_limit"
        spent = not self.limits_off and not free and self.budget_left[resource] <= 0
        try:
            if self.asking is None:
                raise Refused(error(401, "Bad credentials" if value else "Requires authentication"))
            if self.too_fast:
                raise Refused(secondary_limit())
            if spent:
                raise Refused(error(403, f"API rate limit exceeded for user ID {_id_of(self.asking.login)}."))
            reply = super().answer(asked)
        except Refused as refused:
            reply = refused.reply
        self._compare(asked, reply)
        reply = _tagged(asked, reply, value)
        if not free and not spent and reply.status != 304:
            self.budget_left[resource] -= 1
        return dataclasses.replace(reply, headers=self._headers(resource, value) | reply.headers)

    def _refill(self) -> None:
        """Each hour begins with all of the requests."""
        if dt.datetime.now(dt.UTC).timestamp() >= self.resets_at:
            self.resets_at += _HOUR
            self.budget_left = dict.fromkeys(self.budget_left, self.budget_limit)

    def _compare(self, asked: Asked, reply: Reply) -> None:
        """With what GitHub says of its API; the test fails when the stand-in ends."""
        if asked.path.startswith("/api/v3/"):
            wrong = unlike(asked.method, asked.path.removeprefix("/api/v3"), reply.status, reply.data)
            self.unlike |= {wrong} if wrong else set()

    def _headers(self, resource: str, value: str) -> dict[str, str]:
        headers = {
            "Cache-Control": "private, max-age=60, s-maxage=60",
            "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, Accept, X-Requested-With",
            "X-GitHub-Media-Type": "github.v3; format=json",
            "X-GitHub-Api-Version-Selected": "2022-11-28",
            "X-GitHub-Request-Id": uuid.uuid4().hex,
        }
        if not self.limits_off:
            left = max(self.budget_left[resource], 0)
            headers |= {
                "X-RateLimit-Limit": str(self.budget_limit),
                "X-RateLimit-Remaining": str(left),
                "X-RateLimit-Used": str(self.budget_limit - left),
                "X-RateLimit-Reset": str(self.resets_at),
                "X-RateLimit-Resource": resource,
            }
        if self.asking is not None:
            if not value.startswith("github_pat_"):
                headers["X-OAuth-Scopes"] = ", ".join(self.asking.scopes)
            if self.asking.expires_at:
                headers["GitHub-Authentication-Token-Expiration"] = (
                    f"{self.asking.expires_at:%Y-%m-%d %H:%M:%S} UTC"
                )
        return headers

    def unknown(self, asked: Asked) -> Reply:
        return error(404, "Not Found")

    def allows(self, authorization: str | None) -> bool:
        """Git takes a token as the password of any user."""
        kind, _, value = (authorization or "").partition(" ")
        if kind.lower() != "basic":
            return False
        password = base64.b64decode(value).decode().partition(":")[2]
        token = self.token_of(password)
        return token is not None and ("repo" in token.scopes or password.startswith("github_pat_"))

    # --- who asks, and what there is ----------------------------------------------------------------

    @route("GET", r"/api/v3/user")
    def user(self, asked: Asked) -> Reply:
        return Reply(200, me_json(self.url, self.me.login))

    @route("GET", r"/api/v3/rate_limit")
    def rate_limit(self, asked: Asked) -> Reply:
        if self.limits_off:
            return error(404, "Rate limiting is not enabled.")
        parts = {name: self._limit(left) for name, left in self.budget_left.items()}
        return Reply(200, {"resources": {**parts, "search": self._limit(30)}, "rate": parts["core"]})

    def _limit(self, left: int) -> dict[str, int]:
        used = self.budget_limit - left
        return {"limit": self.budget_limit, "used": used, "remaining": left, "reset": self.resets_at}

    @route("GET", r"/api/v3/user/repos")
    def repos(self, asked: Asked) -> Reply:
        mine = [repo for repo in self.repositories.values() if self.sees(repo) and "refuses" not in repo.more]
        by_age = asked.query.get("sort") == "created"
        mine.sort(key=lambda repo: repo.id if by_age else repo.full_name.lower())
        if asked.query.get("direction", "desc" if by_age else "asc") == "desc":
            mine.reverse()
        reply = self.page(asked, mine, lambda repo: repository_json(self.url, repo))
        if self.hidden:
            ids = ",".join(map(str, self.hidden))
            reply.headers["X-GitHub-SSO"] = f"partial-results; organizations={ids}"
        return reply

    @route("GET", REPO)
    def repo(self, asked: Asked, where: str) -> Reply:
        return Reply(200, whole_repository_json(self.url, self.find(where)))

    @route("POST", r"/api/v3/user/repos")
    def create_own(self, asked: Asked) -> Reply:
        return self._create(asked, self.me.login)

    @route("POST", r"/api/v3/orgs/([^/]+)/repos")
    def create_in(self, asked: Asked, owner: str) -> Reply:
        if owner not in {repo.owner for repo in self.repositories.values()}:
            return error(404, "Not Found")
        return self._create(asked, owner)

    def _create(self, asked: Asked, owner: str) -> Reply:
        given = asked.json
        name = re.sub(r"[^A-Za-z0-9._-]", "-", str(given.get("name") or ""))
        if not name:
            return invalid("Repository", "name", "missing_field")
        if self.named(f"{owner}/{name}"):
            said = "name already exists on this account"
            return invalid("Repository", "name", "custom", said, "Repository creation failed.")
        visibility = given.get("visibility") or ("private" if given.get("private") else "public")
        words = given.get("description") or ""
        repo = self.add_repository(f"{owner}/{name}", description=words, visibility=visibility)
        return Reply(201, whole_repository_json(self.url, repo))

    @route("PATCH", REPO)
    def change(self, asked: Asked, where: str) -> Reply:
        repo, given = self.find(where, write=True), asked.json
        if repo.archived and given.get("archived") is not False:
            return error(403, "Repository was archived so is read-only.")
        branch = given.get("default_branch")
        if branch and not self.bare(repo).oid(f"refs/heads/{branch}"):
            said = f"The branch {branch} was not found. Please push that ref first."
            return invalid("Repository", "default_branch", "custom", said)
        if branch:
            self.bare(repo).git("symbolic-ref", "HEAD", f"refs/heads/{branch}")
        for name in ("description", "visibility", "archived", "default_branch"):
            if name in given:
                setattr(repo, name, given[name])
        return Reply(200, whole_repository_json(self.url, repo))

    @route("DELETE", REPO)
    def delete(self, asked: Asked, where: str) -> Reply:
        repo = self.find(where, write=True)
        if "delete_repo" not in self.me.scopes:
            return error(403, "Must have admin rights to Repository.")
        del self.repositories[repo.id]
        shutil.rmtree(self.bare(repo).path)
        return Reply(204)

    # --- webhooks -----------------------------------------------------------------------------------

    @route("GET", REPO + r"/hooks")
    def list_hooks(self, asked: Asked, where: str) -> Reply:
        repo = self.find(where, write=True)
        return self.page(asked, list(repo.hooks.values()), lambda hook: hook_json(self.url, repo, hook))

    @route("POST", REPO + r"/hooks")
    def create_hook(self, asked: Asked, where: str) -> Reply:
        repo, given = self.find(where, write=True), asked.json
        config = given.get("config") or {}
        if not str(config.get("url", "")).startswith(("https://", "http://")):
            return invalid("Hook", "url", "custom", "url is missing a scheme")
        if any(hook.url == config["url"] for hook in repo.hooks.values()):
            return invalid("Hook", "", "custom", "Hook already exists on this repository")
        events = given.get("events") or ["push"]
        hook = Hook(
            str(self.next_id()), config["url"], config.get("secret", ""), events, given.get("active", True)
        )
        repo.hooks[hook.id] = hook
        self._ping(hook)
        return Reply(201, hook_json(self.url, repo, hook))

    @route("PATCH", REPO + r"/hooks/(\d+)")
    def change_hook(self, asked: Asked, where: str, number: str) -> Reply:
        repo, given = self.find(where, write=True), asked.json
        hook = repo.hooks.get(number)
        if hook is None:
            return error(404, "Not Found")
        config = given.get("config") or {}
        hook.url, hook.secret = (
            config.get("url", hook.url),
            config.get("secret", ""),
        )  # left out is taken away
        hook.events, hook.active = given.get("events", hook.events), given.get("active", hook.active)
        return Reply(200, hook_json(self.url, repo, hook))

    @route("DELETE", REPO + r"/hooks/(\d+)")
    def delete_hook(self, asked: Asked, where: str, number: str) -> Reply:
        gone = self.find(where, write=True).hooks.pop(number, None)
        return Reply(204) if gone else error(404, "Not Found")

    def _ping(self, hook: Hook) -> None:
        """What a new hook gets at once. It is there before the answer, so that tests can count on it."""
        body = json.dumps({"zen": "Keep it logically awesome.", "hook_id": int(hook.id)}).encode()
        count = len(self.sent) + self._outbox.qsize() + 1
        self._outbox.put((hook, "ping", self.signed(hook, "ping", body), body))
        self.wait_until_sent(count)

    def wants(self, hook: Hook, event: str) -> bool:
        return event in hook.events or "*" in hook.events

    def signed(self, hook: Hook, event: str, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/0a1b2c3",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": str(uuid.uuid4()),
            "X-GitHub-Hook-ID": hook.id,
            "X-GitHub-Hook-Installation-Target-Type": "repository",
        }
        if hook.secret:
            for name, kind in (("X-Hub-Signature", "sha1"), ("X-Hub-Signature-256", "sha256")):
                headers[name] = f"{kind}={hmac.new(hook.secret.encode(), body, kind).hexdigest()}"
        return headers


def secondary_limit() -> Reply:
    said = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
    reply = error(403, said)
    reply.headers["Retry-After"] = "60"
    return reply


def _tagged(asked: Asked, reply: Reply, token: str) -> Reply:
    """With an ETag, which is bound to the token, and 304 for what the asker has already."""
    if asked.method != "GET" or reply.status != 200:
        return reply
    body = reply.body
    tag = f'W/"{hashlib.sha256(body + token.encode()).hexdigest()}"'
    headers = reply.headers | {"ETag": tag}
    return (
        Reply(304, headers=headers)
        if asked.headers.get("if-none-match") == tag
        else Reply(200, raw=body, headers=headers)
    )


def _token_in(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    return value.strip() if kind.lower() in ("bearer", "token") else ""


def _id_of(login: str) -> int:
    return int(user_json("", login)["id"])
