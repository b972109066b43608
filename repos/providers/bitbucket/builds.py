"""Build statuses, pipelines and webhooks at Bitbucket Cloud."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import urlencode

from opssight.core.errors import NotFound
from repos.providers.bitbucket import reading
from repos.providers.bitbucket.api import PAGE, CloudApi, braced
from repos.providers.forge import Check, CheckState, HookSpec, Pipeline, RemoteHook
from repos.providers.values import number_of

_EVENTS = frozenset(
    {
        "repo:push",
        "repo:updated",
        "repo:commit_status_created",
        "repo:commit_status_updated",
        "pullrequest:created",
        "pullrequest:updated",
        "pullrequest:fulfilled",
        "pullrequest:rejected",
    }
)
_STATES = {
    CheckState.PENDING: "INPROGRESS",
    CheckState.SUCCESS: "SUCCESSFUL",
    CheckState.FAILURE: "FAILED",
    CheckState.ERROR: "FAILED",  # STOPPED would say that a person stopped it
}


class CloudBuilds(CloudApi):
    hook_events = _EVENTS

    def set_check(self, external_id: str, oid: str, check: Check) -> None:
        body = {
            "key": reading.check_key(check.name),
            "name": check.name,
            "state": _STATES[check.state],
            "description": check.description,
            "url": check.url or self._git,  # one is needed
        }
        self._api.send("POST", self._path(external_id, "commit", oid, "statuses", "build"), body)

    def checks(self, external_id: str, oid: str) -> list[Check]:
        path = self._path(external_id, "commit", oid, "statuses")
        found = map(reading.check, self._every(path, {"sort": "-updated_on"}))
        newest: dict[str, Check] = {}
        for check in found:
            newest.setdefault(check.name, check)
        return list(newest.values())

    def pipelines(
        self, external_id: str, *, ref: str = "", since: dt.datetime | None = None
    ) -> Iterator[Pipeline]:
        path = self._path(external_id, "pipelines")
        params: dict[str, str | int] = {"pagelen": PAGE, "sort": "-created_on"}
        params |= {"target.branch": ref} if ref else {}

        def next_page(page: Any) -> str:
            """This list alone has no `next`, only the number of what there is."""
            at, size = (number_of(page.get(name)) or 0 for name in ("page", "size"))
            return f"{path}?{urlencode({**params, 'page': at + 1})}" if at and at * PAGE < size else ""

        for data in self._api.every(path, params, items=reading.values, next_of=next_page):
            pipeline = reading.pipeline(data, self._git)
            if since and pipeline.created_at and pipeline.created_at < since:
                return
            yield pipeline

    def hooks(self, external_id: str) -> list[RemoteHook]:
        return [reading.hook(data) for data in self._every(self._path(external_id, "hooks"), {})]

    def create_hook(self, external_id: str, hook: HookSpec) -> RemoteHook:
        return reading.hook(self._api.send("POST", self._path(external_id, "hooks"), _wanted(hook)))

    def update_hook(self, external_id: str, hook_id: str, hook: HookSpec) -> RemoteHook:
        return reading.hook(self._api.send("PUT", self._hook(external_id, hook_id), _wanted(hook)))

    def delete_hook(self, external_id: str, hook_id: str) -> None:
        with suppress(NotFound):
            self._api.send("DELETE", self._hook(external_id, hook_id))

    def _hook(self, external_id: str, hook_id: str) -> str:
        uuid = reading.uuid_of(hook_id)
        if not uuid:
            raise NotFound("This is not the id of a webhook at Bitbucket. List the webhooks again.")
        return f"{self._path(external_id, 'hooks')}/{braced(uuid)}"


def _wanted(hook: HookSpec) -> dict[str, Any]:
    return {
        "description": "OpsSight",
        "url": hook.url,
        "active": True,
        "events": sorted(_EVENTS),
        "secret": hook.secret,
    }
