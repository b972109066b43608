"""Commit statuses, and the pipelines of GitLab CI."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from opssight.core.errors import InvalidInput
from repos.providers.forge import Check, CheckState, Pipeline
from repos.providers.gitlab import reading
from repos.providers.gitlab.api import project_path
from repos.providers.http import Api

_LONGEST = 255  # characters of a name, a description and an address
_STATES = {
    CheckState.PENDING: "pending",
    CheckState.SUCCESS: "success",
    CheckState.FAILURE: "failed",
    CheckState.ERROR: "failed",  # there is no other word for it
}


def set_check(api: Api, external_id: str, oid: str, check: Check) -> None:
    state = _STATES[check.state]
    body: dict[str, Any] = {
        "state": state,
        "name": check.name[:_LONGEST],
        "description": check.description[:_LONGEST],
    }
    if check.url and len(check.url) <= _LONGEST:
        body["target_url"] = check.url
    try:
        api.send("POST", f"{project_path(external_id)}/statuses/{quote(oid, safe='')}", body)
    except InvalidInput as refused:  # GitLab refuses a state that it has already
        if f"Cannot transition status via :enqueue from :{state}" not in refused.sentence:
            raise


def checks(api: Api, external_id: str, oid: str) -> list[Check]:
    path = f"{project_path(external_id)}/repository/commits/{quote(oid, safe='')}/statuses"
    return reading.checks(api.every(path, {"per_page": 100}))


def pipelines(api: Api, external_id: str, ref: str, since: dt.datetime | None) -> Iterator[Pipeline]:
    """Those that changed since then. The list does not tell when one started and finished."""
    params: dict[str, str | int] = {"order_by": "id", "sort": "desc", "per_page": 100}
    params |= {"ref": ref} if ref else {}
    params |= {"updated_after": since.astimezone(dt.UTC).isoformat()} if since else {}
    for data in api.every(f"{project_path(external_id)}/pipelines", params):
        yield reading.pipeline(data)
