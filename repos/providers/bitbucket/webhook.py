"""Deliveries as Bitbucket Cloud and Bitbucket Data Center send and sign them.

Both put `sha256=` and the HMAC-SHA256 of the raw body into `X-Hub-Signature`, the header that
carries a SHA-1 at GitHub. One delivery may tell of several branches and tags.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from repos.providers.base import HookScheme
from repos.providers.bitbucket import reading
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

_SIGNATURE = "x-hub-signature"
_NOTHING = "0" * 40
_KINDS = {"branch": "refs/heads/", "tag": "refs/tags/"}
_PING = "diagnostics:ping"


class _Scheme(HookScheme):
    """`delivery`: the header with the id of a delivery, the same when it is sent again."""

    delivery: ClassVar[str]
    body: ClassVar[bytes]  # of an example

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        return is_signed(headers.get(_SIGNATURE, ""), body, secrets)

    def example(self, secret: str) -> tuple[dict[str, str], bytes]:
        headers = {
            "content-type": "application/json",
            "user-agent": "OpsSight test delivery",
            "x-event-key": _PING,
            self.delivery: str(uuid.uuid4()),
            _SIGNATURE: signature(secret, self.body),
        }
        return headers, self.body

    def _event(self, headers: Mapping[str, str]) -> str:
        event = text_of(headers.get("x-event-key"), 60)
        if not event:
            raise Unreadable("The header X-Event-Key is missing, so nobody knows what this is about.")
        return "ping" if event == _PING else event


class BitbucketScheme(_Scheme):
    scheme: ClassVar[str] = "bitbucket"
    label: ClassVar[str] = "Bitbucket"
    help: ClassVar[str] = (
        "In the repository's settings under Webhooks: this address and this secret, and as trigger the push "
        "of a repository."
    )
    headers: ClassVar[tuple[str, ...]] = (
        "content-type",
        "user-agent",
        "x-event-key",
        "x-hook-uuid",
        "x-request-uuid",
        "x-attempt-number",
    )
    delivery: ClassVar[str] = "x-request-uuid"
    body: ClassVar[bytes] = b'{"test": "A test delivery of OpsSight."}'

    def parse(self, headers: Mapping[str, str], body: bytes) -> Parsed:
        event = self._event(headers)
        payload = read_object(body)
        repository = part_of(payload, "repository")
        actor = part_of(payload, "actor")
        by = text_of(actor.get("nickname"), 100) or text_of(actor.get("display_name"), 100)
        changes = _changes(part_of(payload, "push")) if event == "repo:push" else []
        return Parsed(
            event=event,
            delivery_id=text_of(headers.get(self.delivery)),
            repository_id=reading.repository_id(repository),
            repository_name=text_of(repository.get("full_name")),
            pushes=tuple(_push(change, by) for change in changes),
        )


class BitbucketDataCenterScheme(_Scheme):
    scheme: ClassVar[str] = "bitbucket_dc"
    label: ClassVar[str] = "Bitbucket Data Center"
    help: ClassVar[str] = (
        "In the repository's settings under Webhooks: this address and this secret, and as event the push of "
        "a repository."
    )
    headers: ClassVar[tuple[str, ...]] = ("content-type", "user-agent", "x-event-key", "x-request-id")
    delivery: ClassVar[str] = "x-request-id"
    body: ClassVar[bytes] = b'{"test": true}'

    def parse(self, headers: Mapping[str, str], body: bytes) -> Parsed:
        event = self._event(headers)
        payload = read_object(body)
        repository = part_of(payload, "repository")
        number = reading.number_of(repository.get("id"))
        key = text_of(part_of(repository, "project").get("key"), 200)
        slug = text_of(repository.get("slug"), 200)
        by = text_of(part_of(payload, "actor").get("name"), 100)
        changes = _changes(payload) if event == "repo:refs_changed" else []
        return Parsed(
            event=event,
            delivery_id=text_of(headers.get(self.delivery)),
            repository_id="" if number is None else str(number),
            repository_name=f"{key}/{slug}" if key and slug else "",
            pushes=tuple(
                Push(
                    ref=ref_of(part_of(change, "ref").get("id")),
                    before=oid_of(change.get("fromHash")),
                    after=oid_of(change.get("toHash")),
                    by=by,
                )
                for change in changes
            ),
        )


def _changes(payload: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = payload.get("changes")
    if not isinstance(found, list) or not all(isinstance(change, dict) for change in found):
        raise Unreadable("The delivery does not say what was pushed.")
    return found


def _push(change: Mapping[str, Any], by: str) -> Push:
    """`old` is null for what is new, `new` for what was deleted."""
    old, new = part_of(change, "old"), part_of(change, "new")
    told = new or old
    name = told.get("name")
    prefix = _KINDS.get(str(told.get("type")), "")
    return Push(
        ref=ref_of(f"{prefix}{name}" if isinstance(name, str) else None),
        before=_oid(old),
        after=_oid(new),
        by=by,
    )


def _oid(side: Mapping[str, Any]) -> str:
    """A tag is told by the commit below it, which is not what an annotated one stands for: "" then."""
    if not side:
        return _NOTHING
    return "" if side.get("type") == "tag" else oid_of(part_of(side, "target").get("hash"))
