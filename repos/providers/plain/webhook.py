"""Deliveries that anybody can make: a small JSON body with an HMAC over it.

    POST /hooks/<id>/
    X-OpsSight-Signature-256: sha256=<HMAC-SHA256 of the raw body with the secret, in hex>
    X-OpsSight-Delivery: <an id of your own, optional; the same id again is a duplicate>
    X-OpsSight-Event: push | ping (default: push)

    {"repository": "team/site", "ref": "refs/heads/main", "before": "<oid>", "after": "<oid>", "by": "ada"}

`before`, `after` and `by` are optional: a delivery is a hint to look. `repository` may be left out
for a webhook that belongs to one repository.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from repos.providers.base import HookScheme
from repos.providers.signatures import is_signed, oid_of, read_object, ref_of, signature
from repos.providers.types import Parsed, Push
from repos.providers.values import text_of

_SIGNATURE = "x-opssight-signature-256"
_EXAMPLE = b'{"message": "A test delivery of OpsSight."}'


class PlainScheme(HookScheme):
    scheme: ClassVar[str] = "plain"
    label: ClassVar[str] = "Any sender (HMAC)"
    help: ClassVar[str] = (
        "Send JSON with repository and ref, and the header X-OpsSight-Signature-256: sha256= followed by the "
        "HMAC-SHA256 of the body with this secret, in hex."
    )
    headers: ClassVar[tuple[str, ...]] = (
        "content-type",
        "user-agent",
        "x-opssight-event",
        "x-opssight-delivery",
    )

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        return is_signed(headers.get(_SIGNATURE, ""), body, secrets)

    def parse(self, headers: Mapping[str, str], body: bytes) -> Parsed:
        payload = read_object(body)
        event = text_of(headers.get("x-opssight-event"), 60) or "push"
        return Parsed(
            event=event,
            delivery_id=text_of(headers.get("x-opssight-delivery")),
            repository_name=text_of(payload.get("repository")),
            pushes=(_push(payload),) if event == "push" else (),
        )

    def example(self, secret: str) -> tuple[dict[str, str], bytes]:
        headers = {
            "content-type": "application/json",
            "user-agent": "OpsSight test delivery",
            "x-opssight-event": "ping",
            "x-opssight-delivery": str(uuid.uuid4()),
            _SIGNATURE: signature(secret, _EXAMPLE),
        }
        return headers, _EXAMPLE


def _push(payload: Mapping[str, Any]) -> Push:
    return Push(
        ref=ref_of(payload.get("ref")),
        before=oid_of(payload.get("before")),
        after=oid_of(payload.get("after")),
        by=text_of(payload.get("by"), 100),
    )
