"""Deliveries as GitLab sends them: signed since 2026, with a plain token before.

A signing token is `whsec_` and 32 bytes in base64. A secret of another form is given to GitLab as the
signing token that `signing_token` makes of it, so any secret can sign.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from repos.providers.base import HookScheme
from repos.providers.errors import Unreadable
from repos.providers.gitlab import reading
from repos.providers.news import What, pipeline_news, pull_news, understood
from repos.providers.signatures import oid_of, read_object, ref_of
from repos.providers.types import News, Parsed, Push, RepositoryNews
from repos.providers.values import part_of, text_of, url_of

WINDOW = 300  # seconds that the clocks may differ, and that a delivery may be sent again as it is
_PREFIX = "whsec_"
_MOST = 10  # signatures in one header
_PROJECT: dict[str, What] = {
    "project_create": "created",
    "project_destroy": "deleted",
    "project_rename": "renamed",
    "project_transfer": "transferred",
    "project_update": "changed",
}
_EXAMPLE = b'{"object_kind": "ping", "message": "A test delivery of OpsSight."}'


class GitLabScheme(HookScheme):
    """`webhook-signature` over id, time and raw body; without one, the secret in `X-Gitlab-Token`.

    A delivery with a signature is never accepted for its token.
    """

    scheme: ClassVar[str] = "gitlab"
    label: ClassVar[str] = "GitLab"
    help: ClassVar[str] = (
        "In the project's or group's settings under Webhooks: the address as URL, push, tag push, "
        "merge request and pipeline events. Let GitLab generate a signing token and enter it here as the "
        "secret; on older servers, enter this secret there as the secret token."
    )
    headers: ClassVar[tuple[str, ...]] = (
        "content-type",
        "user-agent",
        "x-gitlab-event",
        "x-gitlab-event-uuid",
        "x-gitlab-instance",
        "idempotency-key",
        "webhook-id",
        "webhook-timestamp",
    )

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        known = [secret for secret in secrets if secret]
        if "webhook-signature" in headers:
            return _is_signed(headers, body, known)
        given = headers.get("x-gitlab-token", "").encode(errors="replace")
        right = [hmac.compare_digest(secret.encode(), given) for secret in known]
        return any(right)

    def parse(self, headers: Mapping[str, str], body: bytes) -> Parsed:
        name = text_of(headers.get("x-gitlab-event"), 60)
        if not name:
            raise Unreadable("The header X-Gitlab-Event is missing, so nobody knows what this is about.")
        payload = read_object(body)
        project = part_of(payload, "project")
        number = project.get("id", payload.get("project_id"))
        event = name.removesuffix(" Hook").lower().replace(" ", "_")
        if event in ("system", "project"):  # of the whole server, of a group
            event = text_of(payload.get("object_kind"), 60) or text_of(payload.get("event_name"), 60) or event
        return Parsed(
            event=event,
            delivery_id=_delivery_id(headers),
            repository_id=str(number) if type(number) is int else "",
            repository_name=text_of((project or payload).get("path_with_namespace")),
            repository_url=url_of(project.get("web_url")),
            pushes=(_push(payload),) if event in ("push", "tag_push") else (),
            news=tuple(_news(event, payload)),
        )

    def example(self, secret: str) -> tuple[dict[str, str], bytes]:
        delivery, now = str(uuid.uuid4()), str(int(time.time()))
        headers = {
            "content-type": "application/json",
            "user-agent": "OpsSight test delivery",
            "x-gitlab-event": "Ping Hook",
            "webhook-id": delivery,
            "webhook-timestamp": now,
            "webhook-signature": signature(key_of(signing_token(secret)), delivery, now, _EXAMPLE),
        }
        return headers, _EXAMPLE


def signing_token(secret: str) -> str:
    """The token that GitLab signs with for a secret: itself, if it has that form."""
    if len(key_of(secret)) == 32:
        return secret
    return _PREFIX + base64.b64encode(hashlib.sha256(secret.encode()).digest()).decode()


def key_of(token: str) -> bytes:
    """The bytes in a signing token; none where it is not one."""
    if not token.startswith(_PREFIX):
        return b""
    try:
        return base64.b64decode(token.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        return b""


def signature(key: bytes, delivery: str, timestamp: str, body: bytes) -> str:
    message = f"{delivery}.{timestamp}.".encode(errors="replace") + body
    return "v1," + base64.b64encode(hmac.new(key, message, hashlib.sha256).digest()).decode()


def _is_signed(headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
    delivery, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not delivery or not _is_recent(timestamp):
        return False
    given = [one.encode(errors="replace") for one in headers["webhook-signature"].split(" ", _MOST)[:_MOST]]
    keys = [key for secret in secrets for key in (key_of(secret), key_of(signing_token(secret))) if key]
    made = [signature(key, delivery, timestamp, body).encode() for key in keys]
    right = [hmac.compare_digest(one, other) for one in made for other in given]
    return any(right)


def _is_recent(timestamp: str) -> bool:
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 12):
        return False
    return abs(time.time() - int(timestamp)) <= WINDOW


def _delivery_id(headers: Mapping[str, str]) -> str:
    """The id that stays the same when GitLab sends it again; older servers have one per event only."""
    names = ("webhook-id", "idempotency-key", "x-gitlab-event-uuid")
    return next((found for name in names if (found := text_of(headers.get(name)))), "")


def _news(event: str, payload: Mapping[str, Any]) -> Iterable[News]:
    by = text_of(part_of(payload, "user").get("username"), 100)
    about = part_of(payload, "object_attributes")
    if event in _PROJECT:
        # "private" from a group, "visibilitylevel|private" from the server
        told = text_of(payload.get("project_visibility")).rpartition("|")[2]
        yield RepositoryNews(_PROJECT[event], visibility=reading.VISIBILITIES.get(told, ""))
    elif event == "merge_request":
        # hooks have other names than the API for two fields
        seen = {**about, "web_url": about.get("url"), "sha": part_of(about, "last_commit").get("id")}
        pull = understood(reading.pull, {"object_attributes": seen}, "object_attributes")
        yield pull_news(pull, text_of(about.get("action"), 60) or "update", by)
    elif event == "pipeline":
        seen = {**about, "web_url": about.get("url")}
        run = understood(reading.pipeline, {"object_attributes": seen}, "object_attributes")
        yield pipeline_news(run, by)


def _push(payload: Mapping[str, Any]) -> Push:
    by = text_of(payload.get("user_username"), 100) or text_of(payload.get("user_name"), 100)
    return Push(
        ref=ref_of(payload.get("ref")),
        before=oid_of(payload.get("before")),
        after=oid_of(payload.get("after")),
        by=by,
    )
