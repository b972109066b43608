"""Deliveries as GitHub sends and signs them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Literal

from repos.providers.base import HookScheme
from repos.providers.errors import Unreadable
from repos.providers.github import reading
from repos.providers.news import What, pipeline_news, pull_news, repository_news, understood
from repos.providers.signatures import is_signed, json_in, oid_of, read_object, ref_of, signature
from repos.providers.types import InstallationNews, News, Parsed, Push, RepositoryNews
from repos.providers.values import number_of, part_of, text_of, url_of

_SIGNATURE = "x-hub-signature-256"
_EXAMPLE = b'{"zen": "A test delivery of OpsSight.", "hook_id": 0}'
_REPOSITORY: dict[str, What] = {
    "created": "created",
    "deleted": "deleted",
    "archived": "archived",
    "unarchived": "unarchived",
    "renamed": "renamed",
    "transferred": "transferred",
    "publicized": "visibility",
    "privatized": "visibility",
    "edited": "changed",
}
_INSTALLATION: dict[str, Literal["added", "removed", "suspended", "unsuspended"]] = {
    "created": "added",
    "deleted": "removed",
    "suspend": "suspended",
    "unsuspend": "unsuspended",
}


class GitHubScheme(HookScheme):
    """`X-Hub-Signature-256` over the raw body; JSON, or JSON in the form field `payload`."""

    scheme: ClassVar[str] = "github"
    label: ClassVar[str] = "GitHub"
    help: ClassVar[str] = (
        "In the repository's settings under Webhooks: the address as payload URL, content type "
        "application/json, this secret, and the events pushes, pull requests, repositories and workflow runs."
    )
    headers: ClassVar[tuple[str, ...]] = (
        "content-type",
        "user-agent",
        "x-github-event",
        "x-github-delivery",
        "x-github-hook-id",
    )
    published: ClassVar[str] = "https://api.github.com/meta"

    def verify(self, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> bool:
        return is_signed(headers.get(_SIGNATURE, ""), body, secrets)

    def parse(self, headers: Mapping[str, str], body: bytes) -> Parsed:
        event = text_of(headers.get("x-github-event"), 60)
        if not event:
            raise Unreadable("The header X-GitHub-Event is missing, so nobody knows what this is about.")
        payload = read_object(json_in(headers, body))
        repository = part_of(payload, "repository")
        return Parsed(
            event=event,
            delivery_id=text_of(headers.get("x-github-delivery")),
            repository_id=_id_of(repository),
            repository_name=text_of(repository.get("full_name")),
            repository_url=url_of(repository.get("html_url")),
            pushes=(_push(payload),) if event == "push" else (),
            news=tuple(_news(event, payload)),
            installation_id=_id_of(part_of(payload, "installation")),
        )

    def networks_of(self, document: object) -> list[str]:
        listed = document.get("hooks") if isinstance(document, dict) else None
        return [text_of(one) for one in listed] if isinstance(listed, list) else []

    def example(self, secret: str) -> tuple[dict[str, str], bytes]:
        headers = {
            "content-type": "application/json",
            "user-agent": "OpsSight test delivery",
            "x-github-event": "ping",
            "x-github-delivery": str(uuid.uuid4()),
            _SIGNATURE: signature(secret, _EXAMPLE),
        }
        return headers, _EXAMPLE


def _id_of(item: Mapping[str, Any]) -> str:
    number = number_of(item.get("id"))
    return "" if number is None else str(number)


def _news(event: str, payload: Mapping[str, Any]) -> Iterable[News]:
    """Beside `create` and `delete` there is a push, which says more."""
    action, by = text_of(payload.get("action"), 60), reading.login_of(payload.get("sender"))
    if event == "repository" and action in _REPOSITORY:
        yield _repository(_REPOSITORY[action], payload, by)
    elif event == "public":
        yield _repository("visibility", payload, by)
    elif event == "pull_request":
        yield pull_news(understood(reading.pull_of, payload, "pull_request"), action, by)
    elif event == "workflow_run":
        yield pipeline_news(understood(reading.pipeline_of, payload, "workflow_run"), by)
    elif event == "installation" and action in _INSTALLATION:
        yield InstallationNews(
            _INSTALLATION[action],
            account=_account(payload),
            appeared=_named(payload.get("repositories")) if action == "created" else (),
            by=by,
        )
    elif event == "installation_repositories":
        yield InstallationNews(
            "repositories",
            account=_account(payload),
            appeared=_named(payload.get("repositories_added")),
            vanished=tuple(number for number, _ in _named(payload.get("repositories_removed"))),
            by=by,
        )


def _repository(what: What, payload: Mapping[str, Any], by: str) -> RepositoryNews:
    told = understood(reading.repository_of, payload, "repository")
    if payload.get("action") == "privatized" and told.visibility == "public":  # as it was before
        told = replace(told, visibility="private")
    return repository_news(what, told, by, archived=told.archived)


def _account(payload: Mapping[str, Any]) -> str:
    return reading.login_of(part_of(payload, "installation").get("account"))


def _named(repositories: object) -> tuple[tuple[str, str], ...]:
    """The ids and full names of a list of repositories, without those that make no sense."""
    rows = [row for row in repositories if isinstance(row, dict)] if isinstance(repositories, list) else []
    found = ((_id_of(row), text_of(row.get("full_name"))) for row in rows)
    return tuple((number, name) for number, name in found if number and name)


def _push(payload: Mapping[str, Any]) -> Push:
    by = text_of(part_of(payload, "pusher").get("name")) or text_of(part_of(payload, "sender").get("login"))
    return Push(
        ref=ref_of(payload.get("ref")),
        before=oid_of(payload.get("before")),
        after=oid_of(payload.get("after")),
        by=by[:100],
    )
