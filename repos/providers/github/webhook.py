"""Deliveries as GitHub sends and signs them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import parse_qs

from repos.providers.base import HookScheme
from repos.providers.errors import Unreadable
from repos.providers.signatures import (
    is_signed,
    oid_of,
    part_of,
    read_object,
    ref_of,
    signature,
    text_of,
)
from repos.providers.types import Parsed, Push

_SIGNATURE = "x-hub-signature-256"
_EXAMPLE = b'{"zen": "A test delivery of OpsSight.", "hook_id": 0}'


class GitHubScheme(HookScheme):
    """`X-Hub-Signature-256` over the raw body; JSON, or JSON in the form field `payload`."""

    scheme: ClassVar[str] = "github"
    label: ClassVar[str] = "GitHub"
    help: ClassVar[str] = (
        "In the repository's settings under Webhooks: the address as payload URL, content type "
        "application/json, this secret, and just the push event."
    )
    headers: ClassVar[tuple[str, ...]] = (
        "content-type",
        "user-agent",
        "x-github-event",
        "x-github-delivery",
        "x-github-hook-id",
    )

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        return is_signed(headers.get(_SIGNATURE, ""), body, secrets)

    def parse(self, headers: Mapping[str, str], body: bytes) -> Parsed:
        event = text_of(headers.get("x-github-event"), 60)
        if not event:
            raise Unreadable("The header X-GitHub-Event is missing, so nobody knows what this is about.")
        payload = read_object(_json_of(headers, body))
        repository = part_of(payload, "repository")
        number = repository.get("id")
        return Parsed(
            event=event,
            delivery_id=text_of(headers.get("x-github-delivery")),
            repository_id=str(number) if isinstance(number, int) else "",
            repository_name=text_of(repository.get("full_name")),
            pushes=(_push(payload),) if event == "push" else (),
        )

    def example(self, secret: str) -> tuple[dict[str, str], bytes]:
        headers = {
            "content-type": "application/json",
            "user-agent": "OpsSight test delivery",
            "x-github-event": "ping",
            "x-github-delivery": str(uuid.uuid4()),
            _SIGNATURE: signature(secret, _EXAMPLE),
        }
        return headers, _EXAMPLE


def _json_of(headers: Mapping[str, str], body: bytes) -> bytes:
    if not headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        return body
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=10)
    except ValueError:
        raise Unreadable("The body is not a form that can be read.") from None
    return fields.get("payload", [""])[0].encode("utf-8", "replace")


def _push(payload: Mapping[str, Any]) -> Push:
    by = text_of(part_of(payload, "pusher").get("name")) or text_of(part_of(payload, "sender").get("login"))
    return Push(
        ref=ref_of(payload.get("ref")),
        before=oid_of(payload.get("before")),
        after=oid_of(payload.get("after")),
        by=by[:100],
    )
