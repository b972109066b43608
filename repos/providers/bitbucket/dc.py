"""Repositories at a Bitbucket Data Center: pull requests and webhooks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from opssight.core.errors import Conflict, InvalidInput, NotFound
from repos.providers.bitbucket import dc_reading as reading
from repos.providers.bitbucket.dc_api import DataCenterApi
from repos.providers.forge import (
    HookSpec,
    MergeMethod,
    NewPull,
    Pull,
    PullChange,
    RemoteHook,
)
from repos.providers.types import Capability, PullState

_STATES = {PullState.OPEN: "OPEN", PullState.MERGED: "MERGED", PullState.CLOSED: "DECLINED"}
_STRATEGIES: Mapping[MergeMethod, str] = {"merge": "no-ff", "squash": "squash", "rebase": "rebase-ff-only"}
_EVENTS = frozenset(
    {
        "repo:refs_changed",
        "repo:modified",
        "pr:opened",
        "pr:modified",
        "pr:from_ref_updated",
        "pr:merged",
        "pr:declined",
    }
)


class BitbucketDataCenterProvider(DataCenterApi):
    kind = "bitbucket_dc"
    label = "Bitbucket Data Center"
    mark = "BD"
    capabilities = frozenset(
        {
            Capability.LIST,
            Capability.WEBHOOKS_IN,
            Capability.SEARCH,
            Capability.PULL_REQUESTS,
            Capability.DRAFTS,
            Capability.REVIEWERS,
            Capability.HOOKS,
        }
    )
    hook_events = _EVENTS

    # --- pull requests ----------------------------------------------------------------------------

    def open_pull(self, external_id: str, new: NewPull) -> Pull:
        self._refuse_foreign(labels=new.labels, assignees=new.assignees)
        path = self._path(external_id)
        if found := self._open_one(external_id, path, new.head, new.base):
            return found
        people, unknown = self._people(new.reviewers)
        body = {
            "title": new.title,
            "description": new.body,
            "draft": new.draft,
            "fromRef": {"id": f"refs/heads/{new.head}"},
            "toRef": {"id": f"refs/heads/{new.base}"},
            "reviewers": people,
        }
        data = self._api.send("POST", f"{path}/pull-requests", body)
        _refuse_unknown(unknown)
        return self._read(path, data)

    def pull(self, external_id: str, number: int) -> Pull:
        path = self._path(external_id)
        return self._read(path, self._api.get(f"{path}/pull-requests/{number}"))

    def find_pull(self, external_id: str, head: str, base: str) -> Pull | None:
        return self._open_one(external_id, self._path(external_id), head, base)

    def pulls(self, external_id: str, state: PullState = PullState.OPEN) -> Iterator[Pull]:
        path = self._path(external_id)
        params = {"state": _STATES[state], "order": "NEWEST"}
        for data in self._every(f"{path}/pull-requests", params):
            yield self._read(path, data)

    def change_pull(self, external_id: str, number: int, change: PullChange) -> Pull:
        self._refuse_foreign(labels=change.labels, assignees=change.assignees)
        path = self._path(external_id)
        data = self._api.get(f"{path}/pull-requests/{number}")
        now = self._read(path, data)
        people = [_user(name) for name in reading.reviewers(data)]
        unknown: list[str] = []
        if change.reviewers is not None:
            people, unknown = self._people(change.reviewers)
        body = {  # what is left out would be emptied
            "version": reading.version(data),
            "title": now.title if change.title is None else change.title,
            "description": now.body if change.body is None else change.body,
            "draft": now.draft if change.draft is None else change.draft,
            "reviewers": people,
        }
        changed = self._api.send("PUT", f"{path}/pull-requests/{number}", body)
        _refuse_unknown(unknown)
        return self._read(path, changed)

    def close_pull(self, external_id: str, number: int) -> Pull:
        path = self._path(external_id)
        data = self._api.get(f"{path}/pull-requests/{number}")
        decline = f"{path}/pull-requests/{number}/decline?version={reading.version(data)}"
        return self._read(path, self._api.send("POST", decline, {}))

    def merge_pull(
        self, external_id: str, number: int, method: MergeMethod, *, head_oid: str = "", message: str = ""
    ) -> Pull:
        path = self._path(external_id)
        data = self._api.get(f"{path}/pull-requests/{number}")
        now = self._read(path, data)
        if now.state == PullState.MERGED:
            return now
        if head_oid and now.head_oid != head_oid:
            raise Conflict(f"Pull request {number} has other commits by now. Look at it again.")
        body = {"strategyId": _STRATEGIES[method]} | ({"message": message} if message else {})
        # the version makes sure that these commits are merged and no later ones
        merge = f"{path}/pull-requests/{number}/merge?version={reading.version(data)}"
        return self._read(path, self._api.send("POST", merge, body))

    def _open_one(self, external_id: str, path: str, head: str, base: str) -> Pull | None:
        params = {"state": "OPEN", "direction": "OUTGOING", "at": f"refs/heads/{head}"}
        for data in self._every(f"{path}/pull-requests", params):
            if reading.is_between(data, external_id, head, base):
                return self._read(path, data)
        return None

    def _read(self, path: str, data: object) -> Pull:
        return reading.pull(data, f"{self._url}/{path}")

    def _people(self, names: Sequence[str]) -> tuple[list[dict[str, Any]], list[str]]:
        """Users by name, and the names of those who are not there: one would spoil the whole request."""
        people: list[dict[str, Any]] = []
        unknown: list[str] = []
        for name in dict.fromkeys(names):
            try:
                self._api.get(f"users/{quote(name, safe='')}")
                people.append(_user(name))
            except NotFound:
                unknown.append(name)
        return people, unknown

    def _refuse_foreign(self, *, labels: Sequence[str] | None, assignees: Sequence[str] | None) -> None:
        if labels:
            self._not_offered(Capability.LABELS)
        if assignees:
            self._not_offered(Capability.ASSIGNEES)

    # --- webhooks ---------------------------------------------------------------------------------

    def hooks(self, external_id: str) -> list[RemoteHook]:
        return [reading.hook(data) for data in self._every(f"{self._path(external_id)}/webhooks", {})]

    def create_hook(self, external_id: str, hook: HookSpec) -> RemoteHook:
        path = f"{self._path(external_id)}/webhooks"
        return reading.hook(self._api.send("POST", path, _wanted(hook)))

    def update_hook(self, external_id: str, hook_id: str, hook: HookSpec) -> RemoteHook:
        path = f"{self._path(external_id)}/webhooks/{quote(hook_id, safe='')}"
        return reading.hook(self._api.send("PUT", path, _wanted(hook)))

    def delete_hook(self, external_id: str, hook_id: str) -> None:
        with suppress(NotFound):
            self._api.send("DELETE", f"{self._path(external_id)}/webhooks/{quote(hook_id, safe='')}")


def _user(name: str) -> dict[str, Any]:
    return {"user": {"name": name}}


def _wanted(hook: HookSpec) -> dict[str, Any]:
    return {
        "name": "OpsSight",
        "url": hook.url,
        "active": True,
        "events": sorted(_EVENTS),
        "configuration": {"secret": hook.secret},
    }


def _refuse_unknown(names: list[str]) -> None:
    if names:
        raise InvalidInput(
            f"Bitbucket has nobody called {', '.join(names)}, so they were not asked for a review. "
            "Name people by user name."
        )
