"""Webhooks of a repository, whose `path` in the API is given, and what they delivered."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from opssight.core.errors import NotFound
from repos.providers.forge import FailedDelivery, HookSpec, RemoteHook
from repos.providers.github.reading import hook_of, id_of, object_of
from repos.providers.http import Api
from repos.providers.values import number_of, text_of, time_of

# a push is also sent when a branch or tag is made or deleted
EVENTS = frozenset({"push", "repository", "pull_request", "workflow_run"})


def every(api: Api, path: str) -> list[RemoteHook]:
    return [hook_of(item) for item in api.every(f"{path}/hooks", {"per_page": 100})]


def create(api: Api, path: str, spec: HookSpec) -> RemoteHook:
    return hook_of(api.send("POST", f"{path}/hooks", {"name": "web", **_body(spec)}))


def update(api: Api, path: str, hook_id: str, spec: HookSpec) -> RemoteHook:
    return hook_of(api.send("PATCH", _hook(path, hook_id), _body(spec)))


def delete(api: Api, path: str, hook_id: str) -> None:
    with suppress(NotFound):
        api.send("DELETE", _hook(path, hook_id))


def test(api: Api, path: str, hook_id: str) -> None:
    """The last push is sent again; where nothing was pushed yet, nothing is sent."""
    api.send("POST", f"{_hook(path, hook_id)}/tests")


def failed(api: Api, path: str, hook_id: str, since: dt.datetime) -> list[FailedDelivery]:
    """One for each delivery of which no attempt was answered well, by its newest attempt."""
    newest: dict[str, FailedDelivery] = {}
    arrived = set()
    for item in api.every(f"{_hook(path, hook_id)}/deliveries", {"per_page": 100}):
        about = object_of(item, "a delivery")
        at, guid = time_of(about.get("delivered_at")), text_of(about.get("guid"), 100)
        if at is None or not guid:
            continue
        if at < since:  # the newest come first
            break
        if 200 <= (number_of(about.get("status_code")) or 0) < 300:
            arrived.add(guid)
        newest.setdefault(guid, FailedDelivery(id_of(about, "a delivery"), guid, at))
    return [one for guid, one in newest.items() if guid not in arrived]


def redeliver(api: Api, path: str, hook_id: str, attempt_id: str) -> None:
    api.send("POST", f"{_hook(path, hook_id)}/deliveries/{quote(attempt_id, safe='')}/attempts")


def _hook(path: str, hook_id: str) -> str:
    return f"{path}/hooks/{quote(hook_id, safe='')}"


def _body(spec: HookSpec) -> dict[str, Any]:
    config = {"url": spec.url, "secret": spec.secret, "content_type": "json", "insecure_ssl": "0"}
    return {"active": True, "events": sorted(EVENTS), "config": config}
