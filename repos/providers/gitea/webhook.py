"""Deliveries as Gitea, Forgejo and Gogs send and sign them.

They also send the headers of GitHub; which scheme counts is up to the webhook, never to the headers.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar

from repos.git.types import NO_OBJECT
from repos.providers.base import HookScheme
from repos.providers.errors import Unreadable
from repos.providers.gitea import reading
from repos.providers.news import What, pipeline_news, pull_news, repository_news, understood
from repos.providers.signatures import is_form, is_signed, json_in, oid_of, read_object, ref_of, signature
from repos.providers.types import News, Parsed, Push
from repos.providers.values import number_of, part_of, text_of, url_of

_SENDERS = ("forgejo", "gitea", "gogs")  # each sends its own headers and those of its ancestors
_EXAMPLE = b'{"message": "A test delivery of OpsSight."}'
_REPOSITORY: dict[str, What] = {"created": "created", "deleted": "deleted"}
_FORGEJO_RUN = "action_run_"  # success, failure, recover


class GiteaScheme(HookScheme):
    """The bare hex HMAC-SHA256 over the JSON, also where that is sent in the form field `payload`."""

    scheme: ClassVar[str] = "gitea"
    label: ClassVar[str] = "Gitea, Forgejo or Gogs"
    help: ClassVar[str] = (
        "In the repository's settings under Webhooks: the kind Gitea, Forgejo or Gogs, the address as target "
        "URL, POST with application/json, this secret, and the events push, delete, repository, pull "
        "request, pull request synchronized and workflow run."
    )
    headers: ClassVar[tuple[str, ...]] = (
        "content-type",
        "user-agent",
        *(f"x-{sender}-{name}" for sender in _SENDERS for name in ("event", "event-type", "delivery")),
    )

    def opens(self, headers: Mapping[str, str]) -> bool:
        return is_form(headers)

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        with suppress(Unreadable):
            return is_signed(f"sha256={_header(headers, 'signature')}", json_in(headers, body), secrets)
        return False

    def parse(self, headers: Mapping[str, str], body: bytes) -> Parsed:
        event = text_of(_header(headers, "event"), 60)
        if not event:
            raise Unreadable("The header X-Gitea-Event is missing, so nobody knows what this is about.")
        payload = read_object(json_in(headers, body))
        # the runs of Forgejo have it inside
        repository = part_of(payload, "repository") or part_of(part_of(payload, "run"), "repository")
        number = number_of(repository.get("id"))
        return Parsed(
            event=event,
            delivery_id=text_of(_header(headers, "delivery")),
            repository_id="" if number is None else str(number),
            repository_name=text_of(repository.get("full_name")),
            repository_url=url_of(repository.get("html_url")),
            pushes=_pushes(event, payload),
            news=tuple(_news(event, payload)),
        )

    def example(self, secret: str) -> tuple[dict[str, str], bytes]:
        headers = {
            "content-type": "application/json",
            "user-agent": "OpsSight test delivery",
            "x-gitea-event": "ping",
            "x-gitea-delivery": str(uuid.uuid4()),
            "x-gitea-signature": signature(secret, _EXAMPLE).removeprefix("sha256="),
        }
        return headers, _EXAMPLE


def _header(headers: Mapping[str, str], name: str) -> str:
    return next((value for sender in _SENDERS if (value := headers.get(f"x-{sender}-{name}"))), "")


def _pushes(event: str, payload: Mapping[str, Any]) -> tuple[Push, ...]:
    if event == "delete" and payload.get("ref_type") == "branch":  # no push tells of it, as with tags
        ref = ref_of(f"refs/heads/{text_of(payload.get('ref'))}")
        return (Push(ref, "", NO_OBJECT, _by(payload)),)
    if event != "push":
        return ()
    push = Push(
        ref=ref_of(payload.get("ref")),
        before=oid_of(payload.get("before")),
        after=oid_of(payload.get("after")),
        by=_by(payload),
    )
    is_test = push.before == push.after != ""  # the button beside the webhook in Gitea
    return () if is_test else (push,)


def _news(event: str, payload: Mapping[str, Any]) -> Iterable[News]:
    """Renaming and archiving send nothing: only looking tells."""
    action, by = text_of(payload.get("action"), 60), _by(payload)
    if event == "repository" and action in _REPOSITORY:
        told = understood(reading.repository, payload, "repository")
        yield repository_news(_REPOSITORY[action], told, by, archived=told.archived)
    elif event == "pull_request":  # also when commits were added, with another event type
        yield pull_news(understood(reading.pull, payload, "pull_request"), action, by)
    elif event == "workflow_run":
        yield pipeline_news(understood(reading.pipeline, payload, "workflow_run"), by)
    elif event.startswith(_FORGEJO_RUN):
        yield pipeline_news(understood(reading.pipeline, payload, "run"), by)


def _by(payload: Mapping[str, Any]) -> str:
    pusher, sender = part_of(payload, "pusher"), part_of(payload, "sender")
    names = (part.get(name) for part in (pusher, sender) for name in ("login", "username"))
    return next((text for name in names if (text := text_of(name, 100))), "")
