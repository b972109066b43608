"""Results of checks, and the runs of Actions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from opssight.core.errors import NotFound
from repos.providers.forge import Check, NotOffered, Pipeline
from repos.providers.gitea import reading
from repos.providers.gitea.api import counted, object_of, segment
from repos.providers.http import Api


def set_check(api: Api, path: str, oid: str, check: Check) -> None:
    body = {
        "context": check.name,
        "state": check.state.value,
        "description": check.description,
        "target_url": check.url,
    }
    api.send("POST", f"{path}/statuses/{segment(oid)}", body)


def checks(api: Api, path: str, oid: str) -> list[Check]:
    """The combined status has the newest of each name, the newest first."""
    found: dict[str, Check] = {}
    for data in counted(api, f"{path}/commits/{segment(oid)}/status", {}, _statuses):
        check = reading.check(data)
        found.setdefault(check.name, check)
    return list(found.values())


def pipelines(api: Api, path: str, ref: str, since: dt.datetime | None) -> Iterator[Pipeline]:
    params = {"branch": ref} if ref else {}  # Forgejo does not know it and gives all
    for data in _runs(api, path, params):
        run = reading.pipeline(data)
        started = run.created_at or run.started_at
        if since and started and started < since:
            return
        if ref in ("", run.ref):
            yield run


def _runs(api: Api, path: str, params: dict[str, str]) -> Iterator[Any]:
    """Runs where the server lists them (Gitea 1.25, Forgejo 12), or tasks: one for each job of a run."""
    for name in ("runs", "tasks"):
        try:
            yield from counted(api, f"{path}/actions/{name}", params, _entries)
        except NotFound:
            continue
        return
    raise NotOffered(
        "The server lists no runs of this repository: Actions are switched off for it, or the server is too "
        "old to tell of them."
    )


def _statuses(data: Any) -> Any:
    return object_of(data, "a list of statuses").get("statuses") or []  # null where there are none


def _entries(data: Any) -> Any:
    return object_of(data, "a list of runs").get("workflow_runs") or []
