"""What the JSON of Gitea and Forgejo says, as plain values. Fields may be missing or of another type."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any, Literal

from repos.providers.forge import Check, CheckState, Pipeline, Pull, RemoteHook
from repos.providers.gitea.api import object_of, odd
from repos.providers.types import PipelineState, PullState, RemoteRepository
from repos.providers.values import (
    flags_of,
    flags_within,
    is_full_name,
    line_of,
    lines_of,
    number_of,
    part_of,
    text_of,
    time_of,
    url_of,
    words_of,
)

_DRAFT = re.compile(r"\s*(?:wip:|\[wip\])\s*", re.IGNORECASE)  # what servers take for one by default
_LONGEST = 65_536  # characters of a pull request's text
_OWN_HOOKS = ("gitea", "forgejo", "gogs")
_FLAGS = (
    "has_issues",
    "has_wiki",
    "has_pull_requests",
    "has_projects",
    "has_releases",
    "has_packages",
    "has_actions",
    "template",
    "mirror",
)
_CHECKS = {
    "pending": CheckState.PENDING,
    "success": CheckState.SUCCESS,
    "skipped": CheckState.SUCCESS,
    "failure": CheckState.FAILURE,
    "warning": CheckState.FAILURE,
    "error": CheckState.ERROR,
}
_RUNS = {
    "in_progress": PipelineState.RUNNING,
    "running": PipelineState.RUNNING,
    "success": PipelineState.SUCCEEDED,
    "failure": PipelineState.FAILED,
    "cancelled": PipelineState.CANCELLED,
    "skipped": PipelineState.SKIPPED,
}


def id_of(item: Mapping[str, Any], what: str) -> str:
    number = number_of(item.get("id"))
    if number is None:
        raise odd(what)
    return str(number)


def login_of(data: object) -> str:
    user = object_of(data, "a user")
    return text_of(user.get("login"), 100) or text_of(user.get("username"), 100)


def repository(data: object) -> RemoteRepository:
    """Raises a `Failure` for what is none, so that nothing seems to have vanished."""
    item = object_of(data, "a repository")
    full_name = text_of(item.get("full_name"))
    if not is_full_name(full_name):
        raise odd("a repository")
    size = number_of(item.get("size"))
    reason = _unusable(item)
    return RemoteRepository(
        external_id=id_of(item, "a repository"),
        full_name=full_name,
        description=line_of(item.get("description"), 1_000),
        default_branch=text_of(item.get("default_branch"), 255),
        visibility=_visibility(item),
        archived=item.get("archived") is True,
        fork=item.get("fork") is True,
        size_bytes=None if size is None else size * 1024,  # told in KiB
        topics=words_of(item.get("topics")),
        usable=not reason,
        reason=reason,
        language=text_of(item.get("language"), 60),
        web_url=url_of(item.get("html_url")),
        data=_data(item),
    )


def _data(item: Mapping[str, Any]) -> dict[str, Any]:
    """The server tells the last change of any kind, not the last push."""
    active = time_of(item.get("updated_at"))
    found = flags_of(item, *_FLAGS) | flags_within(item, "permissions")
    return found | ({"active_at": active.isoformat()} if active else {})


def _unusable(item: Mapping[str, Any]) -> str:
    if item.get("has_code") is False:
        return "Its code is switched off. Switch it on in the repository's settings."
    if part_of(item, "permissions").get("pull") is False:
        return "The connection's account may not read its code. Ask its owner for access."
    return ""


def _visibility(item: Mapping[str, Any]) -> Literal["unknown", "public", "internal", "private"]:
    private = item.get("private")
    if not isinstance(private, bool):
        return "unknown"
    if private:
        return "private"
    return "internal" if item.get("internal") is True else "public"


def pull(data: object) -> Pull:
    """A pull request; the mark of a draft is taken off the title."""
    item = object_of(data, "a pull request")
    number, title = number_of(item.get("number")), line_of(item.get("title"), 400)
    if number is None:
        raise odd("a pull request")
    merged, is_open = item.get("merged") is True, item.get("state") == "open"
    head = part_of(item, "head")
    return Pull(
        number=number,
        url=url_of(item.get("html_url")),
        state=PullState.MERGED if merged else PullState.OPEN if is_open else PullState.CLOSED,
        title=without_draft(title),
        head=_branch(head),
        base=_branch(part_of(item, "base")),
        head_oid=text_of(head.get("sha"), 64),
        body=lines_of(item.get("body")),
        draft=item.get("draft") is True or is_draft(title),
        author=text_of(part_of(item, "user").get("login"), 100),
        labels=tuple(names_of(item.get("labels"), "name")),
        merge_oid=text_of(item.get("merge_commit_sha"), 64) if merged else "",
        updated_at=time_of(item.get("updated_at")),
    )


def is_within(data: object) -> bool:
    """Whether a pull request is between branches of one repository, not from a fork."""
    item = object_of(data, "a pull request")
    return part_of(item, "head").get("repo_id") == part_of(item, "base").get("repo_id")


def _branch(end: Mapping[str, Any]) -> str:
    ref = text_of(end.get("ref"), 255)
    # once the branch is deleted, only the label still says what it was called
    return text_of(end.get("label"), 255) if ref.startswith("refs/") else ref


def is_draft(title: str) -> bool:
    return _DRAFT.match(title) is not None


def without_draft(title: str) -> str:
    return _DRAFT.sub("", title, count=1) if is_draft(title) else title


def check(data: object) -> Check:
    item = object_of(data, "a status")
    return Check(
        name=text_of(item.get("context"), 255),
        state=_CHECKS.get(text_of(item.get("status")), CheckState.PENDING),
        description=line_of(item.get("description"), 400),
        url=url_of(item.get("target_url")),
    )


def pipeline(data: object) -> Pipeline:
    """A run of Gitea, a run of Forgejo, or a task of either: each has names of its own for the same."""
    item = object_of(data, "a run")
    number = id_of(item, "a run")
    workflow = text_of(item.get("workflow_id")) or text_of(item.get("path")).partition("@")[0]
    names = [workflow, text_of(item.get("name"))]
    return Pipeline(
        external_id=number,
        name=" / ".join(filter(None, names)) or f"#{number}",
        state=_run_state(item),
        ref=text_of(item.get("head_branch") or item.get("prettyref"), 255),
        oid=text_of(item.get("head_sha") or item.get("commit_sha"), 64),
        url=url_of(item.get("html_url") or item.get("url")),
        created_at=_first(item, "created_at", "created"),
        started_at=_first(item, "started_at", "started", "run_started_at"),
        finished_at=_first(item, "completed_at", "stopped"),
    )


def _run_state(item: Mapping[str, Any]) -> PipelineState:
    word = text_of(item.get("status"))
    # "waiting" is for a runner, except in the runs of Gitea, which have a path and call that "queued"
    if item.get("need_approval") is True or (word == "waiting" and "path" in item):
        return PipelineState.WAITING
    if word == "completed":
        return _RUNS.get(text_of(item.get("conclusion")), PipelineState.FAILED)
    return _RUNS.get(word, PipelineState.QUEUED)


def _first(item: Mapping[str, Any], *names: str) -> dt.datetime | None:
    return next((found for name in names if (found := time_of(item.get(name)))), None)


def hook(data: object) -> RemoteHook:
    item = object_of(data, "a webhook")
    events = tuple(text for one in list_of(item.get("events")) if (text := text_of(one, 60)))
    return RemoteHook(
        external_id=id_of(item, "a webhook"),
        url=url_of(part_of(item, "config").get("url")),
        active=item.get("active") is True,
        events=events,
    )


def is_own_hook(data: object) -> bool:
    """Not one of the chat services, whose addresses are secrets of somebody else."""
    return object_of(data, "a webhook").get("type") in _OWN_HOOKS


def names_of(value: object, name: str) -> list[str]:
    """The texts called `name` in a list of objects."""
    found = (text_of(one.get(name), 100) for one in list_of(value) if isinstance(one, dict))
    return [text for text in found if text]


def list_of(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
