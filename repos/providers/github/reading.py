"""What GitHub's JSON means here. Every answer may be odd: what cannot be read is a `Failure`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal

from opssight.core.errors import PermanentFailure
from repos.providers.forge import Check, CheckState, Pipeline, Pull, RemoteHook
from repos.providers.github.dialect import budget_of
from repos.providers.types import Need, PipelineState, PullState, RemoteRepository
from repos.providers.values import (
    flags_of,
    flags_within,
    is_full_name,
    lines_of,
    number_of,
    part_of,
    text_of,
    time_of,
    url_of,
    words_of,
)
from repos.providers.wire import Budget

_LONGEST = 65_536  # characters of a pull request's text
_FLAGS = (
    "has_issues",
    "has_projects",
    "has_wiki",
    "has_pages",
    "has_discussions",
    "allow_forking",
    "is_template",
)

Visible = Literal["unknown", "public", "internal", "private"]
_VISIBLE: dict[str, Visible] = {"public": "public", "internal": "internal", "private": "private"}
_STATUSES = {
    "pending": CheckState.PENDING,
    "success": CheckState.SUCCESS,
    "failure": CheckState.FAILURE,
    "error": CheckState.ERROR,
}
_CONCLUSIONS = {
    "success": CheckState.SUCCESS,
    "neutral": CheckState.SUCCESS,
    "skipped": CheckState.SUCCESS,
    "failure": CheckState.FAILURE,
    "action_required": CheckState.FAILURE,
}
_RUNS = {
    "in_progress": PipelineState.RUNNING,
    "waiting": PipelineState.WAITING,
    "success": PipelineState.SUCCEEDED,
    "neutral": PipelineState.SUCCEEDED,
    "failure": PipelineState.FAILED,
    "timed_out": PipelineState.FAILED,
    "startup_failure": PipelineState.FAILED,
    "cancelled": PipelineState.CANCELLED,
    "stale": PipelineState.CANCELLED,
    "skipped": PipelineState.SKIPPED,
    "action_required": PipelineState.WAITING,
}
_ALL = frozenset(Need)
_GRANTED = {
    "repo": _ALL,
    "repo:status": frozenset({Need.STATUSES}),
    "write:repo_hook": frozenset({Need.HOOKS}),
    "admin:repo_hook": frozenset({Need.HOOKS}),
}


def repository_of(data: Any) -> RemoteRepository:
    item = object_of(data, "a repository")
    full_name = text_of(item.get("full_name"))
    if not is_full_name(full_name):
        raise odd("a repository")
    size = number_of(item.get("size"))
    disabled = item.get("disabled") is True
    return RemoteRepository(
        external_id=id_of(item, "a repository"),
        full_name=full_name,
        description=text_of(item.get("description"), 1_000),
        default_branch=text_of(item.get("default_branch"), 255),
        visibility=_visibility(item),
        archived=item.get("archived") is True,
        fork=item.get("fork") is True,
        size_bytes=None if size is None else size * 1024,  # told in KiB
        topics=words_of(item.get("topics")),
        pushed_at=time_of(item.get("pushed_at")),
        usable=not disabled,
        reason="GitHub has disabled this repository. Ask its support why." if disabled else "",
        language=text_of(item.get("language"), 60),
        web_url=url_of(item.get("html_url")),
        data=flags_of(item, *_FLAGS) | flags_within(item, "permissions"),
    )


def _visibility(item: Mapping[str, Any]) -> Visible:
    told = _VISIBLE.get(text_of(item.get("visibility")))
    if told:
        return told
    private = item.get("private")  # servers of old tell no more
    return "unknown" if not isinstance(private, bool) else "private" if private else "public"


def pull_of(data: Any) -> Pull:
    item = object_of(data, "a pull request")
    head, base = part_of(item, "head"), part_of(item, "base")
    number = number_of(item.get("number"))
    if number is None:
        raise odd("a pull request")
    merged = item.get("merged") is True or bool(item.get("merged_at"))
    state = (
        PullState.MERGED if merged else PullState.OPEN if item.get("state") == "open" else PullState.CLOSED
    )
    labels = item.get("labels")
    names = (
        text_of(part.get("name"), 100)
        for part in (labels if isinstance(labels, list) else [])
        if isinstance(part, dict)
    )
    return Pull(
        number=number,
        url=url_of(item.get("html_url")),
        state=state,
        title=text_of(item.get("title")),
        head=text_of(head.get("ref"), 255),
        base=text_of(base.get("ref"), 255),
        head_oid=text_of(head.get("sha"), 64),
        body=lines_of(item.get("body")),
        draft=item.get("draft") is True,
        author=login_of(item.get("user")),
        labels=tuple(filter(None, names)),
        # before the merge this is a trial merge, which comes and goes
        merge_oid=text_of(item.get("merge_commit_sha"), 64) if merged else "",
        updated_at=time_of(item.get("updated_at")),
    )


def is_between(data: Any, repository_id: str, head: str, base: str) -> bool:
    """Whether a pull request is from this head to this base, both in the repository itself."""
    item = object_of(data, "a pull request")
    source = part_of(item, "head")
    home = part_of(source, "repo").get("id")
    return (source.get("ref"), str(home), part_of(item, "base").get("ref")) == (head, repository_id, base)


def status_check_of(data: Any) -> Check:
    item = object_of(data, "a status")
    return Check(
        name=text_of(item.get("context")),
        state=_STATUSES.get(text_of(item.get("state")), CheckState.ERROR),
        description=text_of(item.get("description")),
        url=url_of(item.get("target_url")),
    )


def run_check_of(data: Any) -> Check:
    item = object_of(data, "a check run")
    done = item.get("status") == "completed"
    conclusion = text_of(item.get("conclusion"))
    return Check(
        name=text_of(item.get("name")),
        state=_CONCLUSIONS.get(conclusion, CheckState.ERROR) if done else CheckState.PENDING,
        description=text_of(part_of(item, "output").get("title")),
        url=url_of(item.get("html_url")),
    )


def pipeline_of(data: Any) -> Pipeline:
    item = object_of(data, "a workflow run")
    done = item.get("status") == "completed"
    word = text_of(item.get("conclusion") if done else item.get("status"))
    return Pipeline(
        external_id=id_of(item, "a workflow run"),
        name=text_of(item.get("name")) or text_of(item.get("path")),
        state=_RUNS.get(word, PipelineState.FAILED if done else PipelineState.QUEUED),
        ref=text_of(item.get("head_branch"), 255),
        oid=text_of(item.get("head_sha"), 64),
        url=url_of(item.get("html_url")),
        created_at=time_of(item.get("created_at")),
        started_at=time_of(item.get("run_started_at")),
        finished_at=time_of(item.get("updated_at")) if done else None,
    )


def hook_of(data: Any) -> RemoteHook:
    item = object_of(data, "a webhook")
    events = item.get("events")
    active = item.get("active") is not False
    return RemoteHook(
        external_id=id_of(item, "a webhook"),
        url=url_of(part_of(item, "config").get("url")),
        active=active,
        events=tuple(filter(None, map(text_of, events))) if isinstance(events, list) else (),
        disabled="" if active else "It is switched off in the repository's settings at GitHub.",
    )


def budgets_of(data: Any) -> list[Budget]:
    """Of the limits that this provider's requests count against."""
    resources = part_of(object_of(data, "limits"), "resources")
    found = []
    for name in ("core", "graphql"):
        part = part_of(resources, name)
        limit, left, reset = (number_of(part.get(key)) for key in ("limit", "remaining", "reset"))
        if limit is not None and left is not None and reset is not None:
            found.append(budget_of(name, limit, left, reset))
    return [one for one in found if one is not None]


# --- who we are ------------------------------------------------------------------------------------


def scopes_of(headers: Mapping[str, str]) -> tuple[str, ...] | None:
    """What `X-OAuth-Scopes` lists; None for a token with permissions of its own, which has none."""
    listed = headers.get("x-oauth-scopes")
    if listed is None:
        return None
    return tuple(filter(None, (text_of(one.strip(), 60) for one in listed.split(","))))


def allowed_by(scopes: tuple[str, ...] | None) -> dict[Need, bool]:
    """What scopes are enough for. `public_repo` is enough for some repositories: nothing is said."""
    if scopes is None:
        return {}
    granted = frozenset[Need]().union(*(_GRANTED.get(scope, frozenset()) for scope in scopes))
    told = dict.fromkeys(granted, True)
    if "repo" not in scopes and "public_repo" not in scopes:
        told |= dict.fromkeys(_ALL - granted - {Need.READ}, False)  # public ones can always be read
    return told


def expiry_of(headers: Mapping[str, str]) -> dt.datetime | None:
    """`2026-12-31 10:00:00 UTC`, sometimes with `+0200` instead."""
    told = headers.get("github-authentication-token-expiration", "").replace("UTC", "+0000")
    with suppress(ValueError, OverflowError):
        return dt.datetime.strptime(told, "%Y-%m-%d %H:%M:%S %z").astimezone(dt.UTC)
    return None


def hidden_organizations(headers: Mapping[str, str]) -> int:
    """How many organizations left out what they have, for want of single sign-on."""
    told = headers.get("x-github-sso", "")
    if not told.startswith("partial-results"):
        return 0
    return len([one for one in told.partition("organizations=")[2].split(",") if one.strip()])


# --- values ----------------------------------------------------------------------------------------


def object_of(data: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(data, dict):
        raise odd(what)
    return data


def id_of(item: Mapping[str, Any], what: str) -> str:
    number = number_of(item.get("id"))
    if number is None:
        raise odd(what)
    return str(number)


def login_of(user: object) -> str:
    return text_of(user.get("login"), 100) if isinstance(user, dict) else ""


def odd(what: str) -> PermanentFailure:
    return PermanentFailure(f"GitHub answered with something that is not {what}.")
