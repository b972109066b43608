"""What Bitbucket Cloud answers, read with suspicion: JSON in, plain values out."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from opssight.core.errors import PermanentFailure
from repos.providers.forge import (
    Check,
    CheckState,
    Pipeline,
    Pull,
    RemoteHook,
)
from repos.providers.types import Need, PipelineState, PullState, RemoteRepository
from repos.providers.values import flags_of, lines_of, number_of, part_of, text_of, time_of, url_of

_UUID = re.compile(r"\{?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\}?", re.IGNORECASE)
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_KEY = 40  # characters of the key of a build status

_CHECKS = {
    "SUCCESSFUL": CheckState.SUCCESS,
    "FAILED": CheckState.FAILURE,
    "STOPPED": CheckState.ERROR,
    "INPROGRESS": CheckState.PENDING,
}
_PULLS = {"OPEN": PullState.OPEN, "MERGED": PullState.MERGED}  # else declined or superseded
_RESULTS = {
    "SUCCESSFUL": PipelineState.SUCCEEDED,
    "STOPPED": PipelineState.CANCELLED,
    "EXPIRED": PipelineState.CANCELLED,
    "SKIPPED": PipelineState.SKIPPED,
}
_STAGES = {
    "PENDING": PipelineState.QUEUED,
    "PAUSED": PipelineState.WAITING,
    "HALTED": PipelineState.WAITING,
}

# Classic scopes include smaller ones; those of API tokens stand for themselves.
_READ = {"repository", "repository:write", "pullrequest", "pullrequest:write", "read:repository:bitbucket"}
_ENOUGH: Mapping[Need, set[str]] = {
    Need.READ: _READ,
    Need.WRITE: {"repository:write", "pullrequest:write", "write:repository:bitbucket"},
    Need.PULL_REQUESTS: {"pullrequest:write", "write:pullrequest:bitbucket"},
    Need.STATUSES: _READ,
    Need.HOOKS: {"webhook", "write:webhook:bitbucket"},
    Need.CREATE: {"repository:write", "repository:admin", "admin:repository:bitbucket"},
}


def object_of(data: object, what: str) -> Mapping[str, Any]:
    if isinstance(data, dict):
        return data
    raise PermanentFailure(f"Bitbucket answered with something that is not {what}.")


def said(data: Any) -> str:
    """The message of an error, with the scopes that it says are missing."""
    error = part_of(data, "error") if isinstance(data, dict) else {}
    words = text_of(error.get("message"))
    required = part_of(error, "detail").get("required")
    names = [name for name in required if isinstance(name, str)] if isinstance(required, list) else []
    return f"{words} It needs: {', '.join(names)}." if names else words


def values(page: Any) -> Any:
    """The list in a page; None for what is no page."""
    return page.get("values") if isinstance(page, dict) else None


def next_page(page: Any) -> str:
    following = page.get("next") if isinstance(page, dict) else None
    return following if isinstance(following, str) else ""


def uuid_of(value: object) -> str:
    """A UUID without the braces that Bitbucket puts around it, or ""."""
    match = _UUID.fullmatch(value) if isinstance(value, str) else None
    return match[1].lower() if match else ""


def full_oid(value: object) -> str:
    """A commit's full name. Pull requests tell the first 12 digits only, which is "" here."""
    return value if isinstance(value, str) and _OID.fullmatch(value) else ""


def web_address(data: Mapping[str, Any]) -> str:
    return url_of(part_of(part_of(data, "links"), "html").get("href"))


def may(scopes: tuple[str, ...]) -> dict[Need, bool]:
    return {need: not enough.isdisjoint(scopes) for need, enough in _ENOUGH.items()}


# --- repositories ---------------------------------------------------------------------------------


def workspace(row: object) -> str:
    """The UUID of the workspace in a row of `user/workspaces`, or ""."""
    return uuid_of(part_of(row, "workspace").get("uuid")) if isinstance(row, dict) else ""


def workspace_name(row: object) -> str:
    about = part_of(row, "workspace") if isinstance(row, dict) else {}
    return text_of(about.get("slug"), 100) or text_of(about.get("name"), 100)


def repository_id(data: Mapping[str, Any]) -> str:
    """The ids of the workspace and of the repository: both keep them when they are renamed. Or ""."""
    workspace = uuid_of(part_of(data, "workspace").get("uuid"))
    repository = uuid_of(data.get("uuid"))
    return f"{workspace}/{repository}" if workspace and repository else ""


def repository(data: object) -> RemoteRepository:
    about = object_of(data, "a repository")
    external_id, full_name = repository_id(about), text_of(about.get("full_name"))
    if not external_id or "/" not in full_name:
        raise PermanentFailure("Bitbucket describes a repository without its ids and its name.")
    private = about.get("is_private")
    git = about.get("scm", "git") == "git"
    return RemoteRepository(
        external_id=external_id,
        full_name=full_name,
        description=text_of(about.get("description"), 2_000),
        default_branch=text_of(part_of(about, "mainbranch").get("name")),
        visibility="unknown" if not isinstance(private, bool) else "private" if private else "public",
        fork=isinstance(about.get("parent"), dict),
        size_bytes=number_of(about.get("size")),
        usable=git,
        reason="" if git else "This is not a git repository. Convert it at Bitbucket.",
        language=text_of(about.get("language"), 60),
        web_url=web_address(about),
        data=_data(about),
    )


def _data(about: Mapping[str, Any]) -> dict[str, Any]:
    """Bitbucket tells the last change of any kind, not the last push."""
    found = flags_of(about, "has_issues", "has_wiki")
    policy, active = text_of(about.get("fork_policy"), 40), time_of(about.get("updated_on"))
    found |= {"fork_policy": policy} if policy else {}
    return found | ({"active_at": active.isoformat()} if active else {})


# --- pull requests --------------------------------------------------------------------------------


def pull(data: object) -> Pull:
    about = object_of(data, "a pull request")
    number = number_of(about.get("id"))
    if number is None:
        raise PermanentFailure("Bitbucket describes a pull request without its number.")
    source, author = part_of(about, "source"), part_of(about, "author")
    return Pull(
        number=number,
        url=web_address(about),
        state=_PULLS.get(str(about.get("state")), PullState.CLOSED),
        title=text_of(about.get("title")),
        head=text_of(part_of(source, "branch").get("name")),
        base=text_of(part_of(part_of(about, "destination"), "branch").get("name")),
        head_oid=full_oid(part_of(source, "commit").get("hash")),
        body=lines_of(about.get("description")),
        draft=about.get("draft") is True,
        author=text_of(author.get("nickname"), 100) or text_of(author.get("display_name"), 100),
        merge_oid=full_oid(part_of(about, "merge_commit").get("hash")),
        updated_at=time_of(about.get("updated_on")),
    )


def merge_strategies(data: Mapping[str, Any]) -> list[str]:
    """What the branch that a pull request goes to allows; empty where it does not tell."""
    found = part_of(part_of(data, "destination"), "branch").get("merge_strategies")
    return [name for name in found if isinstance(name, str)] if isinstance(found, list) else []


def reviewers(data: Mapping[str, Any]) -> list[dict[str, str]]:
    """Who is asked for a review, in the form in which it is sent back."""
    found = data.get("reviewers")
    ids = (
        [uuid_of(one.get("uuid")) for one in found if isinstance(one, dict)]
        if isinstance(found, list)
        else []
    )
    return [{"uuid": f"{{{uuid}}}"} for uuid in ids if uuid]


def names_of(member: object) -> set[str]:
    """What a member of a workspace may be called: nickname or one of the two ids."""
    user = part_of(member, "user") if isinstance(member, dict) else {}
    names = {text_of(user.get("nickname")), text_of(user.get("account_id")), uuid_of(user.get("uuid"))}
    return {name.casefold() for name in names if name}


# --- builds and hooks -----------------------------------------------------------------------------


def check(data: object) -> Check:
    about = object_of(data, "a build status")
    return Check(
        name=text_of(about.get("name")) or text_of(about.get("key")),
        state=_CHECKS.get(str(about.get("state")), CheckState.PENDING),
        description=text_of(about.get("description")),
        url=url_of(about.get("url")),
    )


def check_key(name: str) -> str:
    """The key of a check: its name, or what fits of it and a digest."""
    if len(name) <= _KEY:
        return name
    return f"{name[: _KEY - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def pipeline(data: object, web: str) -> Pipeline:
    """`web` is the address of Bitbucket for people."""
    about = object_of(data, "a pipeline")
    target, number = part_of(about, "target"), number_of(about.get("build_number"))
    selector = part_of(target, "selector")
    full_name = text_of(part_of(about, "repository").get("full_name"))
    return Pipeline(
        external_id=uuid_of(about.get("uuid")) or str(number),
        name=text_of(selector.get("pattern")) or text_of(selector.get("type")) or "default",
        state=_pipeline_state(part_of(about, "state")),
        ref=text_of(target.get("ref_name")) or text_of(target.get("source")),
        oid=text_of(part_of(target, "commit").get("hash"), 64),
        url=f"{web}/{full_name}/pipelines/results/{number}" if full_name else "",
        created_at=time_of(about.get("created_on")),
        finished_at=time_of(about.get("completed_on")),
    )


def _pipeline_state(state: Mapping[str, Any]) -> PipelineState:
    if state.get("name") == "COMPLETED":
        return _RESULTS.get(str(part_of(state, "result").get("name")), PipelineState.FAILED)
    stage = part_of(state, "stage").get("name") or state.get("name")
    return _STAGES.get(str(stage), PipelineState.RUNNING)


def hook(data: object) -> RemoteHook:
    about = object_of(data, "a webhook")
    uuid = uuid_of(about.get("uuid"))
    if not uuid:
        raise PermanentFailure("Bitbucket describes a webhook without its id.")
    events, active = about.get("events"), about.get("active") is True
    return RemoteHook(
        external_id=uuid,
        url=url_of(about.get("url")),
        active=active,
        events=tuple(map(text_of, events)) if isinstance(events, list) else (),
        disabled="" if active else "It is switched off at Bitbucket.",
    )
