"""Deliveries as senders make them: the signatures are computed here on their own."""

from __future__ import annotations

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

SECRET = "it is no secret"
FIXTURES = Path(__file__).parent / "providers" / "github" / "fixtures"


def fixture(name: str) -> bytes:
    """A delivery of GitHub, written after its documentation."""
    return (FIXTURES / f"{name}.json").read_bytes()


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
