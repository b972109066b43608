"""Deliveries as Bitbucket Cloud and Bitbucket Data Center send and sign them.

Both put `sha256=` and the HMAC-SHA256 of the raw body into `X-Hub-Signature`, the header that
carries a SHA-1 at GitHub. One delivery may tell of several branches and tags.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from repos.git.types import NO_OBJECT
from repos.providers.base import HookScheme
from repos.providers.bitbucket import dc_reading, reading
from repos.providers.errors import Unreadable
from repos.providers.news import What, pull_news, repository_news, understood
from repos.providers.signatures import is_signed, oid_of, read_object, ref_of, signature
from repos.providers.types import News, Parsed, PipelineNews, PipelineState, PullState, Push, RepositoryNews
from repos.providers.values import part_of, text_of, url_of

_SIGNATURE = "x-hub-signature"
_KINDS = {"branch": "refs/heads/", "tag": "refs/tags/"}
_PING = "diagnostics:ping"
_PULLS = {
    "pullrequest:created",
    "pullrequest:updated",
    "pullrequest:fulfilled",
    "pullrequest:rejected",
    "pr:opened",
    "pr:modified",
    "pr:from_ref_updated",
    "pr:to_ref_updated",
    "pr:merged",
    "pr:declined",
    "pr:deleted",
}
_BUILDS = {
    "INPROGRESS": PipelineState.RUNNING,
    "SUCCESSFUL": PipelineState.SUCCEEDED,
    "FAILED": PipelineState.FAILED,
    "STOPPED": PipelineState.CANCELLED,
}


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
        "In the repository's settings under Webhooks: this address and this secret, and as triggers push, "
        "updated, deleted, transferred and build statuses of a repository, and those of pull requests."
    )
    headers: ClassVar[tuple[str, ...]] = (
        "content-type",
        "user-agent",
        "x-event-key",
        "x-hook-uuid",
        "x-request-uuid",
        "x-attempt-number",
    )
    published: ClassVar[str] = "https://ip-ranges.atlassian.com/"
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
            repository_url=reading.web_address(repository),
            pushes=tuple(_push(change, by) for change in changes),
            news=tuple(_cloud_news(event, payload, by)),
        )

    def networks_of(self, document: object) -> list[str]:
        """Those of Atlassian's networks that Bitbucket sends from."""
        listed = document.get("items") if isinstance(document, dict) else None
        rows = [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []
        rows = [row for row in rows if _has(row, "direction", "egress")]
        return [text_of(row.get("cidr")) for row in rows if _has(row, "product", "bitbucket")]


class BitbucketDataCenterScheme(_Scheme):
    scheme: ClassVar[str] = "bitbucket_dc"
    label: ClassVar[str] = "Bitbucket Data Center"
    help: ClassVar[str] = (
        "In the repository's settings under Webhooks: this address and this secret, and as events push "
        "and modified of a repository, and those of pull requests."
    )
    headers: ClassVar[tuple[str, ...]] = ("content-type", "user-agent", "x-event-key", "x-request-id")
    delivery: ClassVar[str] = "x-request-id"
    body: ClassVar[bytes] = b'{"test": true}'

    def parse(self, headers: Mapping[str, str], body: bytes) -> Parsed:
        event = self._event(headers)
        payload = read_object(body)
        repository = _dc_repository(payload)
        by = text_of(part_of(payload, "actor").get("name"), 100)
        changes = _changes(payload) if event == "repo:refs_changed" else []
        return Parsed(
            event=event,
            delivery_id=text_of(headers.get(self.delivery)),
            repository_id=dc_reading.repository_id(repository),
            repository_name=dc_reading.repository_name(repository),
            pushes=tuple(
                Push(
                    ref=ref_of(part_of(change, "ref").get("id")),
                    before=oid_of(change.get("fromHash")),
                    after=oid_of(change.get("toHash")),
                    by=by,
                )
                for change in changes
            ),
            news=tuple(_dc_news(event, payload, by)),
        )


def _has(row: Mapping[str, Any], name: str, word: str) -> bool:
    words = row.get(name)
    return isinstance(words, list) and word in words


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


def _cloud_news(event: str, payload: Mapping[str, Any], by: str) -> Iterable[News]:
    if event in ("repo:updated", "repo:transfer", "repo:created", "repo:deleted"):
        yield _cloud_repository(event, payload, by)
    elif event in _PULLS:
        what = event.partition(":")[2]
        yield pull_news(understood(reading.pull, payload, "pullrequest"), what, by)
    elif event.startswith("repo:commit_status_"):
        yield _build(part_of(payload, "commit_status"), by)


def _cloud_repository(event: str, payload: Mapping[str, Any], by: str) -> RepositoryNews:
    """The id of a repository has its workspace in it, so that a transfer changes it."""
    told = understood(reading.repository, payload, "repository")
    if event == "repo:transfer":
        previous = part_of(payload, "previous")
        workspace = part_of(previous, "workspace") or previous
        former = reading.repository_id({"workspace": workspace, "uuid": told.external_id.partition("/")[2]})
        return replace(repository_news("transferred", told, by), former_id=former)
    words: dict[str, What] = {"repo:created": "created", "repo:deleted": "deleted"}
    renamed = not {"name", "full_name"}.isdisjoint(part_of(payload, "changes"))
    return repository_news(words.get(event, "renamed" if renamed else "changed"), told, by)


def _build(status: Mapping[str, Any], by: str) -> PipelineNews:
    """The result of a build: Bitbucket tells of no runs."""
    commit = text_of(part_of(part_of(status, "links"), "commit").get("href"), 2_000).rpartition("/")[2]
    key = text_of(status.get("key"), 100)
    state = text_of(status.get("state"))
    if state not in _BUILDS or not key:
        raise Unreadable("The delivery does not say which build it is about and how it stands.")
    return PipelineNews(
        external_id=key,
        state=_BUILDS[state],
        name=text_of(status.get("name")) or key,
        ref=text_of(status.get("refname"), 255),
        oid=reading.full_oid(part_of(status, "commit").get("hash")) or reading.full_oid(commit),
        url=url_of(status.get("url")),
        by=by,
    )


def _dc_repository(payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Each sort of event has it somewhere else."""
    target = part_of(part_of(payload, "pullRequest"), "toRef")
    return part_of(payload, "repository") or part_of(payload, "new") or part_of(target, "repository")


def _dc_news(event: str, payload: Mapping[str, Any], by: str) -> Iterable[News]:
    if event == "repo:modified":
        old, new = (part_of(part_of(payload, side), "project").get("id") for side in ("old", "new"))
        yield RepositoryNews("renamed" if old == new else "transferred", by=by)
    elif event in _PULLS:
        pull = understood(lambda part: dc_reading.pull(part, ""), payload, "pullRequest")
        state = PullState.CLOSED if event == "pr:deleted" else pull.state
        yield replace(pull_news(pull, event.partition(":")[2], by), url="", state=state)


def _oid(side: Mapping[str, Any]) -> str:
    """A tag is told by the commit below it, which is not what an annotated one stands for: "" then."""
    if not side:
        return NO_OBJECT
    return "" if side.get("type") == "tag" else oid_of(part_of(side, "target").get("hash"))
