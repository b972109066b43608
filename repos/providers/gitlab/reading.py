"""What GitLab's JSON says, as plain values. Fields may be missing or of another type."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from repos.providers.forge import Check, CheckState, Pipeline, Pull, RemoteHook
from repos.providers.gitlab.api import object_of, odd
from repos.providers.types import Need, PipelineState, PullState, RemoteRepository
from repos.providers.values import flags_of, line_of, part_of, text_of, time_of, url_of, words_of

_DRAFT = re.compile(r"(?:\s*(?:\[draft\]|\(draft\)|draft:))+\s*", re.IGNORECASE)
VISIBILITIES: dict[str, Literal["public", "internal", "private"]] = {
    "public": "public",
    "internal": "internal",
    "private": "private",
}
_PULL_STATES = {
    "opened": PullState.OPEN,
    "locked": PullState.OPEN,  # while it is being merged
    "merged": PullState.MERGED,
    "closed": PullState.CLOSED,
}
_CHECK_STATES = {
    "success": CheckState.SUCCESS,
    "skipped": CheckState.SUCCESS,
    "failed": CheckState.FAILURE,
    "canceled": CheckState.ERROR,
}
_PIPELINE_STATES = {
    "running": PipelineState.RUNNING,
    "success": PipelineState.SUCCEEDED,
    "failed": PipelineState.FAILED,
    "canceling": PipelineState.CANCELLED,
    "canceled": PipelineState.CANCELLED,
    "skipped": PipelineState.SKIPPED,
    "manual": PipelineState.WAITING,
}
_HOOK_STATES = {
    "temporarily_disabled": "GitLab has paused it, because deliveries failed, and tries again by itself.",
    "disabled": "GitLab has disabled it, because too many deliveries failed.",
}
_SCOPES = {"api", "read_api", "read_user", "read_repository", "write_repository"}


def external_id_of(data: Mapping[str, Any], what: str) -> str:
    number = data.get("id")
    if type(number) is int:  # True is an int as well
        return str(number)
    raise odd(what)


def repository(data: object) -> RemoteRepository:
    """A project. Raises a `Failure` for what is none, so that nothing seems to have vanished."""
    project = object_of(data, "a project")
    full_name = text_of(project.get("path_with_namespace"))
    if not full_name:
        raise odd("a project")
    without_git = project.get("repository_access_level") == "disabled"
    size = part_of(project, "statistics").get("repository_size")
    return RemoteRepository(
        external_id=external_id_of(project, "a project"),
        full_name=full_name,
        description=line_of(project.get("description"), 1_000),
        default_branch=text_of(project.get("default_branch")),
        visibility=VISIBILITIES.get(text_of(project.get("visibility")), "unknown"),
        archived=project.get("archived") is True,
        fork=bool(part_of(project, "forked_from_project")),
        size_bytes=size if isinstance(size, int) and size >= 0 else None,
        topics=words_of(project.get("topics") or project.get("tag_list")),
        usable=not without_git,
        reason="Its repository is switched off. Switch it on in GitLab, in the project's settings."
        if without_git
        else "",
        web_url=url_of(project.get("web_url")),
        data=_data(project),
    )


def _data(project: Mapping[str, Any]) -> dict[str, Any]:
    """GitLab tells the last activity of any kind, not the last push."""
    found = flags_of(project, "issues_enabled", "merge_requests_enabled", "wiki_enabled", "packages_enabled")
    if isinstance(project.get("jobs_enabled"), bool):
        found["ci_enabled"] = project["jobs_enabled"]
    granted = part_of(project, "permissions")
    levels = [part_of(granted, name).get("access_level") for name in ("project_access", "group_access")]
    if known := [level for level in levels if type(level) is int]:
        found["access_level"] = max(known)
    active = time_of(project.get("last_activity_at"))
    return found | ({"active_at": active.isoformat()} if active else {})


def is_leaving(data: object) -> bool:
    """Whether it was deleted already and is only kept for some days."""
    marks = ("marked_for_deletion_on", "marked_for_deletion_at")
    return isinstance(data, dict) and any(data.get(mark) for mark in marks)


def pull(data: object) -> Pull:
    """A merge request; the mark of a draft is taken off the title."""
    request = object_of(data, "a merge request")
    number, title = request.get("iid"), line_of(request.get("title"), 400)
    if type(number) is not int:
        raise odd("a merge request")
    state = _PULL_STATES.get(text_of(request.get("state")), PullState.CLOSED)
    head_oid = text_of(request.get("sha"))
    merged = text_of(request.get("merge_commit_sha")) or text_of(request.get("squash_commit_sha"))
    return Pull(
        number=number,
        url=url_of(request.get("web_url")),
        state=state,
        title=without_draft(title),
        head=text_of(request.get("source_branch")),
        base=text_of(request.get("target_branch")),
        head_oid=head_oid,
        body=body if isinstance(body := request.get("description"), str) else "",
        draft=request.get("draft") is True or is_draft(title),
        author=text_of(part_of(request, "author").get("username")),
        labels=texts(request.get("labels")),
        merge_oid=(merged or head_oid) if state == PullState.MERGED else "",
        updated_at=time_of(request.get("updated_at")),
    )


def is_draft(title: str) -> bool:
    return _DRAFT.match(title) is not None


def without_draft(title: str) -> str:
    return _DRAFT.sub("", title, count=1) if is_draft(title) else title


def checks(statuses: Iterable[Any]) -> list[Check]:
    """One for each name: the newest. The same commit may have several pipelines."""
    newest: dict[str, tuple[int, Check]] = {}
    for data in statuses:
        status = object_of(data, "a status")
        number, name = status.get("id"), text_of(status.get("name"))
        order = number if isinstance(number, int) else 0
        if name not in newest or newest[name][0] <= order:
            newest[name] = (order, _check(name, status))
    return [check for _, check in newest.values()]


def _check(name: str, status: Mapping[str, Any]) -> Check:
    word = text_of(status.get("status"))
    # a job that may fail, or that nobody has to start, does not hold a merge request up
    passes = status.get("allow_failure") is True and word in ("failed", "manual")
    state = CheckState.SUCCESS if passes else _CHECK_STATES.get(word, CheckState.PENDING)
    return Check(name, state, line_of(status.get("description"), 400), url_of(status.get("target_url")))


def pipeline(data: object) -> Pipeline:
    run = object_of(data, "a pipeline")
    number = external_id_of(run, "a pipeline")
    return Pipeline(
        external_id=number,
        name=text_of(run.get("name")) or text_of(run.get("source")) or f"#{number}",
        state=_PIPELINE_STATES.get(text_of(run.get("status")), PipelineState.QUEUED),
        ref=text_of(run.get("ref")),
        oid=text_of(run.get("sha")),
        url=url_of(run.get("web_url")),
        created_at=time_of(run.get("created_at")),
        started_at=time_of(run.get("started_at")),
        finished_at=time_of(run.get("finished_at")),
    )


def hook(data: object) -> RemoteHook:
    """A webhook of a project. Servers before 15.x do not tell whether they have disabled it."""
    given = object_of(data, "a webhook")
    state = text_of(given.get("alert_status")) or "executable"
    active = state == "executable"
    events = [
        name.removesuffix("_events") for name, on in given.items() if name.endswith("_events") and on is True
    ]
    return RemoteHook(
        external_id=external_id_of(given, "a webhook"),
        url=url_of(given.get("url")),
        active=active,
        events=tuple(sorted(events)),
        disabled="" if active else _HOOK_STATES.get(state, "GitLab does not use it at the moment."),
    )


def may(scopes: tuple[str, ...] | None) -> dict[Need, bool]:
    """What the classic scopes allow; fine-grained tokens do not tell it this way."""
    if scopes is None or not _SCOPES & set(scopes):
        return {}
    everything = "api" in scopes
    fetch = everything or "write_repository" in scopes or "read_repository" in scopes
    allowed = dict.fromkeys(Need, everything)
    allowed[Need.READ] = fetch and (everything or "read_api" in scopes)
    allowed[Need.WRITE] = everything or "write_repository" in scopes
    return allowed


def texts(value: object) -> tuple[str, ...]:
    """The texts of a list."""
    return tuple(text for one in value if (text := text_of(one))) if isinstance(value, list) else ()
