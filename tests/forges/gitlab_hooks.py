"""Webhooks of the stand-in of GitLab: kept, disabled, tested, signed and sent."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
import uuid
from pathlib import Path
from typing import Any

from tests.forges.gitlab_base import PROJECT, Base, not_found
from tests.forges.standin import Asked, Hook, Reply, Repo, route

_EVENTS = {
    "push_events": "Push Hook",
    "tag_push_events": "Tag Push Hook",
    "merge_requests_events": "Merge Request Hook",
    "pipeline_events": "Pipeline Hook",
}
_MOST_REFS = 3  # a push of more sends nothing at all


class Webhooks(Base):
    """`signs`: whether webhooks can be signed; a server that cannot ignores the token for it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.signs = True
        self.signing: dict[str, str] = {}  # id of a hook -> its signing token

    @route("GET", PROJECT + "/hooks")
    def list_hooks(self, asked: Asked, name: str) -> Reply:
        repo = self.project(name)
        if repo is None:
            return not_found("Project")
        return self.paged(asked, list(repo.hooks.values()), self.hook_json)

    @route("POST", PROJECT + "/hooks")
    def create_hook(self, asked: Asked, name: str) -> Reply:
        repo = self.project(name)
        if repo is None:
            return not_found("Project")
        hook = Hook(str(self.next_id()), "", "", ["Push Hook"])
        refused = self._change(hook, asked.json)
        if refused:
            return refused
        repo.hooks[hook.id] = hook
        return Reply(201, self.hook_json(hook))

    @route("GET", PROJECT + r"/hooks/(\d+)")
    def get_hook(self, asked: Asked, name: str, number: str) -> Reply:
        repo = self.project(name)
        if repo is None or number not in repo.hooks:
            return Reply(404, {"message": "404 Not found"})
        return Reply(200, self.hook_json(repo.hooks[number]))

    @route("PUT", PROJECT + r"/hooks/(\d+)")
    def change_hook(self, asked: Asked, name: str, number: str) -> Reply:
        repo = self.project(name)
        if repo is None or number not in repo.hooks:
            return Reply(404, {"message": "404 Not found"})
        if "url" not in asked.json:
            return Reply(400, {"error": "url is missing"})
        return self._change(repo.hooks[number], asked.json) or Reply(200, self.hook_json(repo.hooks[number]))

    @route("DELETE", PROJECT + r"/hooks/(\d+)")
    def delete_hook(self, asked: Asked, name: str, number: str) -> Reply:
        repo = self.project(name)
        if repo is None or repo.hooks.pop(number, None) is None:
            return Reply(404, {"message": "404 Not found"})
        return Reply(204)

    @route("POST", PROJECT + r"/hooks/(\d+)/test/push_events")
    def test_hook(self, asked: Asked, name: str, number: str) -> Reply:
        """Sends the last push again; an answer makes the hook active."""
        repo = self.project(name)
        if repo is None or number not in repo.hooks:
            return Reply(404, {"message": "404 Not found"})
        head = self.bare(repo).oid(f"refs/heads/{repo.default_branch}")
        if not head:
            return Reply(422, {"message": "Ensure the project has at least one commit."})
        repo.hooks[number].active = True
        self.ref_moved(repo, f"refs/heads/{repo.default_branch}", head, head)
        return Reply(201, {"message": "201 Created"})

    def hook_json(self, hook: Hook) -> dict[str, Any]:
        data: dict[str, Any] = {
            "id": int(hook.id),
            "url": hook.url,
            "enable_ssl_verification": True,
            "alert_status": "executable" if hook.active else "disabled",
            "disabled_until": None,
            "url_variables": [],
            **{field: event in hook.events for field, event in _EVENTS.items()},
        }
        if self.signs:
            data |= {"token_present": bool(hook.secret), "signing_token_present": hook.id in self.signing}
        return data

    def _change(self, hook: Hook, body: dict[str, Any]) -> Reply | None:
        url, token = body.get("url", hook.url), body.get("signing_token", "")
        if not url.startswith(("http://", "https://")):
            return Reply(422, {"error": "Invalid url given"})
        if self.signs and token and len(_key(token)) != 32:
            return Reply(422, {"message": {"signing_token": ["is invalid"]}})
        if url != hook.url:
            hook.secret = ""  # it is not given to another receiver
        hook.url = url
        hook.secret = body.get("token", hook.secret)
        if self.signs and token:
            self.signing[hook.id] = token
        for field, event in _EVENTS.items():
            if field in body:
                hook.events = [one for one in hook.events if one != event] + [event] * bool(body[field])
        return None

    # --- sending ----------------------------------------------------------------------------------

    def signed(self, hook: Hook, event: str, body: bytes) -> dict[str, str]:
        delivery, now = str(uuid.uuid4()), str(int(time.time()))
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "GitLab/18.6.0",
            "Idempotency-Key": delivery,
            "X-Gitlab-Event": event,
            "X-Gitlab-Webhook-UUID": str(uuid.uuid4()),
            "X-Gitlab-Instance": self.url,
            "X-Gitlab-Event-UUID": str(uuid.uuid4()),
        }
        if hook.secret:
            headers["X-Gitlab-Token"] = hook.secret
        if hook.id in self.signing:
            message = f"{delivery}.{now}.".encode() + body
            digest = hmac.new(_key(self.signing[hook.id]), message, hashlib.sha256).digest()
            headers |= {
                "webhook-id": delivery,
                "webhook-timestamp": now,
                "webhook-signature": "v1," + base64.b64encode(digest).decode(),
            }
        return headers

    def pushed(self, path: str, before: dict[str, str], after: dict[str, str]) -> None:
        if len(_moved(before, after)) <= _MOST_REFS:
            super().pushed(path, before, after)

    def ref_moved(self, repo: Repo, ref: str, before: str, after: str) -> None:
        kind = "tag_push" if ref.startswith("refs/tags/") else "push"
        gone = after == "0" * 40
        payload: dict[str, Any] = {
            "object_kind": kind,
            "event_name": kind,
            "before": before,
            "after": after,
            "ref": ref,
            "checkout_sha": None if gone else after,
            "user_id": 4,
            "user_name": "Ana",
            "user_username": "ana",
            "user_email": "",
            "project_id": repo.id,
            "project": {
                "id": repo.id,
                "name": repo.name,
                "namespace": repo.owner.title(),
                "path_with_namespace": repo.full_name,
                "default_branch": repo.default_branch,
                "git_http_url": f"{self.url}/{repo.full_name}.git",
            },
            "commits": [],
            "total_commits_count": 0,
            "push_options": {},
        }
        self.send(repo, "Tag Push Hook" if kind == "tag_push" else "Push Hook", payload)


def _moved(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {ref for ref, _ in before.items() ^ after.items()}


def _key(token: str) -> bytes:
    try:
        return (
            base64.b64decode(token.removeprefix("whsec_"), validate=True)
            if token.startswith("whsec_")
            else b""
        )
    except binascii.Error:
        return b""
