"""Webhooks of a project, signed where the server can."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from urllib.parse import quote

from opssight.core.errors import Failure, NotFound
from repos.providers.forge import HookSpec, RemoteHook
from repos.providers.gitlab import reading
from repos.providers.gitlab.api import object_of, project_path
from repos.providers.gitlab.webhook import signing_token
from repos.providers.http import Api

EVENTS = frozenset({"push", "tag_push", "merge_requests", "pipeline"})


def every(api: Api, external_id: str) -> list[RemoteHook]:
    return [reading.hook(data) for data in api.every(_hooks(external_id), {"per_page": 100})]


def create(api: Api, external_id: str, spec: HookSpec) -> RemoteHook:
    made = object_of(api.send("POST", _hooks(external_id), _body(spec)), "a webhook")
    return _signed_only(api, external_id, made, spec)


def update(api: Api, external_id: str, hook_id: str, spec: HookSpec) -> RemoteHook:
    path = _hook(external_id, hook_id)
    changed = object_of(api.send("PUT", path, _body(spec)), "a webhook")
    hook = _signed_only(api, external_id, changed, spec)
    if hook.active:
        return hook
    with suppress(Failure):  # a delivery that arrives is what makes a disabled webhook active again
        test(api, external_id, hook_id)
    return reading.hook(api.get(path))


def delete(api: Api, external_id: str, hook_id: str) -> None:
    with suppress(NotFound):
        api.send("DELETE", _hook(external_id, hook_id))


def test(api: Api, external_id: str, hook_id: str) -> None:
    """The last push is sent again. InvalidInput where nothing was pushed yet."""
    api.send("POST", f"{_hook(external_id, hook_id)}/test/push_events")


def _body(spec: HookSpec) -> dict[str, Any]:
    """Both kinds of secret: a server that cannot sign ignores the signing token without a word."""
    return {
        "url": spec.url,
        **{f"{name}_events": True for name in EVENTS},
        "token": spec.secret,
        "signing_token": signing_token(spec.secret),
    }


def _signed_only(api: Api, external_id: str, made: dict[str, Any], spec: HookSpec) -> RemoteHook:
    """Where it is signed, the secret is not sent along with every delivery."""
    hook = reading.hook(made)
    if made.get("signing_token_present") is not True or made.get("token_present") is False:
        return hook
    path = _hook(external_id, hook.external_id)
    return reading.hook(api.send("PUT", path, {"url": spec.url, "token": ""}))


def _hooks(external_id: str) -> str:
    return f"{project_path(external_id)}/hooks"


def _hook(external_id: str, hook_id: str) -> str:
    return f"{_hooks(external_id)}/{quote(hook_id, safe='')}"
