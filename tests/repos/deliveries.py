"""Deliveries as senders make them: the signatures are computed here on their own."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.test import Client

from repos import events, inventory_events
from repos.events import Event
from repos.models import Webhook

SECRET = "it is no secret"
FIXTURES = Path(__file__).parent / "providers" / "github" / "fixtures"
EXAMPLES = FIXTURES / "octokit"


def fixture(name: str) -> bytes:
    """A delivery of GitHub, written after its documentation."""
    return (FIXTURES / f"{name}.json").read_bytes()


def example(name: str) -> dict[str, Any]:
    """A delivery of GitHub from the collection whose origin stands beside it."""
    found: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_bytes())
    return found


def hex_hmac(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def github_headers(body: bytes, *, secret: str = SECRET, event: str = "push", id: str = "") -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "user-agent": "GitHub-Hookshot/044aadd",
        "x-github-event": event,
        "x-hub-signature-256": f"sha256={hex_hmac(body, secret)}",
        "x-hub-signature": "sha1=7d38cdd689735b008b3c702edd92eea23791c5f6",
        "x-github-hook-id": "292430182",
    }
    return headers | ({"x-github-delivery": id} if id else {})


def plain_headers(body: bytes, *, secret: str = SECRET, id: str = "", event: str = "") -> dict[str, str]:
    headers = {
        "content-type": "application/json",
        "x-opssight-signature-256": f"sha256={hex_hmac(body, secret)}",
    }
    headers |= {"x-opssight-delivery": id} if id else {}
    return headers | ({"x-opssight-event": event} if event else {})


def plain_body(repository: str = "team/site", ref: str = "refs/heads/main", **more: Any) -> bytes:
    return json.dumps({"repository": repository, "ref": ref, "after": "a" * 40, **more}).encode()


def post_github(path: str, event: str, payload: Any, **more: Any) -> Any:
    """The answer to a signed delivery of GitHub at this path."""
    body = json.dumps(payload).encode()
    headers = github_headers(body, event=event)
    kind = headers.pop("content-type")
    return Client().post(path, body, content_type=kind, headers=headers, **more)


def send_example(path: str, name: str, **changes: Any) -> int:
    """The status that an example is answered with; its name begins with the event."""
    payload = {**example(name), **changes}
    status: int = post_github(path, name.partition(".")[0], payload).status_code
    return status


def listening() -> Iterator[list[Event]]:
    """What is published meanwhile; beside this only the inventory listens."""
    before = list(events._subscribers)
    found: list[Event] = []
    events._subscribers[:] = [inventory_events.answer, found.append]
    yield found
    events._subscribers[:] = before


PUSH = fixture("push__one_commit")


def post(hook: Webhook, body: bytes, headers: dict[str, str], **more: Any) -> Any:
    kind = headers.get("content-type", "application/json")
    others = {name: value for name, value in headers.items() if name != "content-type"}
    return Client(enforce_csrf_checks=True).post(hook.path, body, content_type=kind, headers=others, **more)


def post_push(hook: Webhook, id: str = "", **more: Any) -> Any:
    return post(hook, PUSH, github_headers(PUSH, id=id), **more)
