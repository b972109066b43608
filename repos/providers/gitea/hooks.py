"""Webhooks of a repository, whose `path` in the API is given."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from opssight.core.errors import NotFound
from repos.providers.forge import HookSpec, RemoteHook
from repos.providers.gitea import reading
from repos.providers.gitea.api import counted, segment
from repos.providers.http import Api

EVENTS = frozenset({"push", "delete"})  # a deleted branch sends no push
# servers leave out what they do not know
_ALSO = frozenset({"repository", "pull_request", "workflow_run"})


def every(api: Api, path: str) -> list[RemoteHook]:
    return [reading.hook(data) for data in counted(api, f"{path}/hooks", {}) if reading.is_own_hook(data)]


def create(api: Api, path: str, spec: HookSpec) -> RemoteHook:
    return reading.hook(api.send("POST", f"{path}/hooks", {"type": "gitea", **_body(spec)}))


def update(api: Api, path: str, hook_id: str, spec: HookSpec) -> RemoteHook:
    return reading.hook(api.send("PATCH", f"{path}/hooks/{segment(hook_id)}", _body(spec)))


def delete(api: Api, path: str, hook_id: str) -> None:
    with suppress(NotFound):
        api.send("DELETE", f"{path}/hooks/{segment(hook_id)}")


def test(api: Api, path: str, hook_id: str) -> None:
    """A push is sent that moves nothing."""
    api.send("POST", f"{path}/hooks/{segment(hook_id)}/tests")


def _body(spec: HookSpec) -> dict[str, Any]:
    """The events too when it is changed: without them a server falls back to pushes alone."""
    return {
        "config": {"url": spec.url, "content_type": "json", "secret": spec.secret},
        "events": sorted(EVENTS | _ALSO),
        "active": True,
    }
