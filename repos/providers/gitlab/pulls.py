"""Merge requests. People are looked up by their user names, drafts are told by their titles."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from opssight.core.errors import Conflict, InvalidInput, NotFound, PermanentFailure, TransientFailure
from opssight.core.words import join_words
from repos.providers.forge import MergeMethod, NewPull, Pull, PullChange
from repos.providers.gitlab import reading
from repos.providers.gitlab.api import object_of, project_path
from repos.providers.http import Api, Params
from repos.providers.types import PullState
from repos.providers.values import part_of, text_of

PAUSES = (0.5, 1.0, 2.0, 4.0)  # seconds in which GitLab finds out whether a new one can be merged
_FINDING_OUT = ("unchecked", "checking", "preparing", "cannot_be_merged_recheck", "approvals_syncing")
_STATES = {PullState.OPEN: "opened", PullState.MERGED: "merged", PullState.CLOSED: "closed"}
_REQUEST = "a merge request"


def open_pull(api: Api, external_id: str, new: NewPull) -> Pull:
    """The one that is open already, or a new one. Who is not there is told when it is open."""
    found = find(api, external_id, new.head, new.base)
    if found is not None:
        return found
    for branch in (new.head, new.base):
        _require_branch(api, external_id, branch)
    reviewers, unknown = _people(api, new.reviewers)
    assignees, also_unknown = _people(api, new.assignees)
    body: dict[str, Any] = {
        "source_branch": new.head,
        "target_branch": new.base,
        "title": _title(new.title, new.draft),
        "description": new.body,
    }
    body |= {"labels": ",".join(new.labels)} if new.labels else {}
    body |= {"reviewer_ids": reviewers} if reviewers else {}
    body |= {"assignee_ids": assignees} if assignees else {}
    opened = _create(api, external_id, new, body)
    _refuse_unknown([*unknown, *also_unknown])
    return opened


def get(api: Api, external_id: str, number: int) -> Pull:
    return reading.pull(api.get(_path(external_id, number)))


def find(api: Api, external_id: str, head: str, base: str) -> Pull | None:
    """The open one between two branches of this project; forks may have branches of the same name."""
    params: Params = {"state": "opened", "source_branch": head, "target_branch": base, "per_page": 100}
    for data in api.every(f"{project_path(external_id)}/merge_requests", params):
        request = object_of(data, _REQUEST)
        if request.get("source_project_id") == request.get("target_project_id"):
            return reading.pull(request)
    return None


def every(api: Api, external_id: str, state: PullState) -> Iterator[Pull]:
    params: Params = {"state": _STATES[state], "order_by": "created_at", "sort": "desc", "per_page": 100}
    for data in api.every(f"{project_path(external_id)}/merge_requests", params):
        yield reading.pull(data)


def change(api: Api, external_id: str, number: int, wanted: PullChange) -> Pull:
    path = _path(external_id, number)
    body: dict[str, Any] = {}
    if wanted.title is not None or wanted.draft is not None:
        now = reading.pull(api.get(path))
        title = now.title if wanted.title is None else wanted.title
        body["title"] = _title(title, now.draft if wanted.draft is None else wanted.draft)
    if wanted.body is not None:
        body["description"] = wanted.body
    if wanted.labels is not None:
        body["labels"] = ",".join(wanted.labels)
    unknown: list[str] = []
    for field, logins in (("reviewer_ids", wanted.reviewers), ("assignee_ids", wanted.assignees)):
        if logins is not None:
            body[field], missing = _people(api, logins)
            unknown += missing
    changed = reading.pull(api.send("PUT", path, body) if body else api.get(path))
    _refuse_unknown(unknown)
    return changed


def close(api: Api, external_id: str, number: int) -> Pull:
    return reading.pull(api.send("PUT", _path(external_id, number), {"state_event": "close"}))


def merge(
    api: Api, external_id: str, number: int, method: MergeMethod, *, head_oid: str, message: str
) -> Pull:
    request = _settled(api, external_id, number)
    body = _how_to_merge(api, external_id, request, method)
    if head_oid:
        body["sha"] = head_oid
    if message:
        body["squash_commit_message" if method == "squash" else "merge_commit_message"] = message
    return _merge(api, external_id, number, body)


def auto_merge(api: Api, external_id: str, number: int, method: MergeMethod) -> None:
    """GitLab merges at once what has no pipeline, so it is given time to start one."""
    request = _settled(api, external_id, number, with_pipeline=True)
    body = _how_to_merge(api, external_id, request, method)
    body |= {"auto_merge": True, "merge_when_pipeline_succeeds": True}  # the newer and the older name
    _merge(api, external_id, number, body)


def cancel_auto_merge(api: Api, external_id: str, number: int) -> bool:
    path = _path(external_id, number)
    if object_of(api.get(path), _REQUEST).get("merge_when_pipeline_succeeds") is not True:
        return False
    api.send("POST", f"{path}/cancel_merge_when_pipeline_succeeds")
    return True


def _create(api: Api, external_id: str, new: NewPull, body: Mapping[str, Any]) -> Pull:
    try:
        return reading.pull(api.send("POST", f"{project_path(external_id)}/merge_requests", body))
    except Conflict:  # somebody was quicker
        found = find(api, external_id, new.head, new.base)
        if found is None:
            raise
        return found
    except InvalidInput as refused:
        if "does not exist" not in refused.sentence:
            raise
        sentence = (
            f"GitLab does not know of the branch {new.head} yet, which was just pushed. It is tried again."
        )
        raise TransientFailure(sentence) from None


def _how_to_merge(
    api: Api, external_id: str, request: Mapping[str, Any], method: MergeMethod
) -> dict[str, Any]:
    """What to send, or a `Failure` that says why it cannot be merged; GitLab says only that it cannot."""
    pull = reading.pull(request)
    if pull.state == PullState.CLOSED:
        raise Conflict("The merge request is closed. Open it again in GitLab, or open another one.")
    if pull.draft:
        raise Conflict("The merge request is a draft, which GitLab does not merge. Mark it as ready.")
    if part_of(request, "user").get("can_merge") is False:
        raise PermanentFailure(
            f"GitLab does not let the connection's account merge into {pull.base}. Allow it in the project's "
            "settings, under protected branches."
        )
    if method == "rebase" and not _is_fast_forward(api, external_id):
        raise InvalidInput(
            "GitLab merges without a merge commit only where the project says so. Set its merge method to "
            "fast-forward merge, or choose merge or squash."
        )
    return {"sha": pull.head_oid, "squash": method == "squash"}


def _merge(api: Api, external_id: str, number: int, body: Mapping[str, Any]) -> Pull:
    try:
        return reading.pull(api.send("PUT", f"{_path(external_id, number)}/merge", body))
    except InvalidInput as refused:  # 405, 406 or 422, whichever the version has for it
        now = get(api, external_id, number)
        if now.state == PullState.MERGED and now.head_oid == body["sha"]:
            return now
        raise Conflict(
            f"GitLab does not merge it as it is now. Look at {now.url or 'the merge request'} for what is "
            f"missing. {refused.sentence}"
        ) from None


def _settled(api: Api, external_id: str, number: int, *, with_pipeline: bool = False) -> dict[str, Any]:
    """The merge request, once GitLab has found out whether it can be merged.

    `with_pipeline`: also when it has a pipeline, as long as there is time. Raises `TransientFailure`.
    """
    for pause in (*PAUSES, None):
        request = object_of(api.get(_path(external_id, number)), _REQUEST)
        status = text_of(request.get("detailed_merge_status")) or text_of(request.get("merge_status"))
        finding_out = request.get("state") == "opened" and status in _FINDING_OUT
        if not finding_out and (not with_pipeline or request.get("head_pipeline") or pause is None):
            return request
        if pause is not None:
            time.sleep(pause)
    raise TransientFailure("GitLab still finds out whether it can be merged. It is tried again.")


def _is_fast_forward(api: Api, external_id: str) -> bool:
    project = object_of(api.get(project_path(external_id)), "a project")
    return project.get("merge_method") == "ff"


def _require_branch(api: Api, external_id: str, branch: str) -> None:
    """Older servers open a merge request between branches that are not there."""
    try:
        api.get(f"{project_path(external_id)}/repository/branches/{quote(branch, safe='')}")
    except NotFound:
        raise NotFound(f"The repository has no branch {branch}. Push it before, or choose another.") from None


def _people(api: Api, logins: Sequence[str]) -> tuple[list[int], list[str]]:
    """The ids of these people, and who of them is not there."""
    found = [(login, _user_id(api, login)) for login in logins]
    return [number for _, number in found if number], [login for login, number in found if not number]


def _user_id(api: Api, login: str) -> int:
    """0 where nobody has this name."""
    for user in api.every("users", {"username": login}):
        number = user.get("id") if isinstance(user, dict) else None
        if isinstance(number, int) and text_of(user.get("username")).lower() == login.lower():
            return number
    return 0


def _refuse_unknown(logins: Sequence[str]) -> None:
    if logins:
        raise InvalidInput(
            f"The merge request is there, but nobody in GitLab is called {join_words(sorted(set(logins)))}. "
            "Correct the name."
        )


def _title(title: str, draft: bool) -> str:
    return f"Draft: {reading.without_draft(title)}" if draft else reading.without_draft(title)


def _path(external_id: str, number: int) -> str:
    return f"{project_path(external_id)}/merge_requests/{number}"
