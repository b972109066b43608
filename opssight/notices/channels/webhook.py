"""Outgoing webhooks, signed as Standard Webhooks says, so that the receiver can check them.

A receiver compares `webhook-signature` with `v1,` and the base64 of HMAC-SHA256 over
`<webhook-id>.<webhook-timestamp>.<body>`, refuses old timestamps, and takes a `webhook-id` only
once: a message may arrive twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from opssight.notices.http import is_address, post
from opssight.notices.message import Message
from opssight.notices.models import Channel

PREFIX = "whsec_"
_SHORTEST, _LONGEST = 24, 64  # bytes of a key


def new_secret() -> str:
    """A new signing key as it is given to the receiver: `whsec_<base64 of 32 bytes>`."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def problems(secret: str, options: Mapping[str, Any]) -> list[tuple[str, str]]:
    found = []
    if not is_address(str(options.get("url", ""))):
        found.append(("url", "Give an address that begins with https:// or http://."))
    if not _SHORTEST <= len(_key(secret)) <= _LONGEST:
        found.append(
            ("secret", "Give a key such as whsec_ and the base64 of 32 random bytes, or leave it empty.")
        )
    return found


def send(channel: Channel, message_id: str, message: Message) -> None:
    """Post the message as JSON with its signature; a repeated message has the same id."""
    content = message.to_json()
    envelope = {"type": content["topic"], "timestamp": content["at"], "data": content}
    body = json.dumps(envelope, separators=(",", ":")).encode()
    timestamp = str(int(time.time()))
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": sign(channel.secret, message_id, timestamp, body),
    }
    host = urlsplit(channel.options["url"]).hostname
    post(channel.options["url"], body, headers, who=f"The webhook at {host}")


def sign(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    content = f"{message_id}.{timestamp}.".encode() + body
    mac = hmac.new(_key(secret), content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(mac).decode()}"


def _key(secret: str) -> bytes:
    """The bytes of a key; empty when it cannot be read."""
    try:
        return base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""
