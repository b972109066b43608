"""Pull requests: between branches of one repository, whose `path` in the API is given."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from opssight.core.errors import (
    Conflict,
    Failure,
    InvalidInput,
    NotFound,
    PermanentFailure,
    TransientFailure,
)
from repos.providers.forge import MergeMethod, NewPull, Pull, PullChange
from repos.providers.gitea import reading
from repos.providers.gitea.api import MOST_ITEMS, counted, object_of, odd, patiently
from repos.providers.http import Api
from repos.providers.types import PullState
from repos.providers.values import number_of

_COLOUR = "#4b7bec"  # of a label that we make


def open_pull(api: Api, path: str, new: NewPull, *, was_empty: bool) -> Pull:
    """`was_empty`: a moment ago. After the first push a server needs some time to see the branches."""
    found = find(api, path, new.head, new.base)
    if found is not None:
        return found
    body: dict[str, Any] = {
        "head": new.head,
        "base": new.base,
        "title": titled(new.title, draft=new.draft),
        "body": new.body,
        "labels": _label_ids(api, path, new.labels),
    }
    try:
        made = patiently(
            lambda: api.send("POST", f"{path}/pulls", body),
            lambda failure: was_empty and isinstance(failure, NotFound),
        )
    except (Conflict, TransientFailure):  # somebody was faster, or the answer was lost
        found = find(api, path, new.head, new.base)
        if found is None:
            raise
        return found
    number = reading.pull(made).number
    _ask_for_review(api, path, number, new.reviewers)
    if new.assignees:
        _assign(api, path, number, new.assignees)
    return get(api, path, number)


def get(api: Api, path: str, number: int) -> Pull:
    return reading.pull(api.get(f"{path}/pulls/{number}"))


def find(api: Api, path: str, head: str, base: str) -> Pull | None:
    for data in _every(api, path, "open", base):
        found = reading.pull(data)
        if reading.is_within(data) and (found.head, found.base) == (head, base):
            return found
    return None


def every(api: Api, path: str, state: PullState) -> Iterator[Pull]:
    for data in _every(api, path, "open" if state == PullState.OPEN else "closed"):
        found = reading.pull(data)
        if found.state == state:
            yield found


def change(api: Api, path: str, number: int, wanted: PullChange) -> Pull:
    body: dict[str, Any] = {}
    if wanted.title is not None or wanted.draft is not None:
        now = get(api, path, number)
        title = now.title if wanted.title is None else wanted.title
        body["title"] = titled(title, draft=now.draft if wanted.draft is None else wanted.draft)
    if wanted.body is not None:
        body["body"] = wanted.body
    if wanted.labels is not None:
        body["labels"] = _label_ids(api, path, wanted.labels)
    if body:
        api.send("PATCH", f"{path}/pulls/{number}", body)
    if wanted.reviewers is not None:
        _without_reviewers(api, path, number, wanted.reviewers)
        _ask_for_review(api, path, number, wanted.reviewers)
    if wanted.assignees is not None:
        _assign(api, path, number, wanted.assignees)
    return get(api, path, number)


def close(api: Api, path: str, number: int) -> Pull:
    return reading.pull(api.send("PATCH", f"{path}/pulls/{number}", {"state": "closed"}))


def merge(api: Api, path: str, number: int, method: MergeMethod, *, head_oid: str, message: str) -> Pull:
    body: dict[str, Any] = {"Do": method}
    title, _, text = message.strip().partition("\n")
    if title:
        body |= {"MergeTitleField": title, "MergeMessageField": text.strip()}
    if head_oid:
        body["head_commit_id"] = head_oid
    try:
        _send_merge(api, path, number, body)
    except (Conflict, InvalidInput, NotFound, TransientFailure) as refused:
        now = get(api, path, number)
        if now.state == PullState.MERGED and head_oid in ("", now.head_oid):
            return now  # the answer was lost, or somebody was faster
        if isinstance(refused, TransientFailure):
            raise
        raise _cannot_merge(now, refused) from None
    return get(api, path, number)


def auto_merge(api: Api, path: str, number: int, method: MergeMethod) -> None:
    try:
        _send_merge(api, path, number, {"Do": method, "merge_when_checks_succeed": True})
    except (Conflict, InvalidInput, NotFound) as refused:
        if "already scheduled" not in refused.sentence:
            raise _cannot_merge(get(api, path, number), refused) from None


def cancel_auto_merge(api: Api, path: str, number: int) -> bool:
    try:
        api.send("DELETE", f"{path}/pulls/{number}/merge")
    except NotFound:  # nothing is scheduled, or there is no such pull request
        get(api, path, number)
        return False
    return True


def titled(title: str, *, draft: bool) -> str:
    plain = reading.without_draft(title)
    return f"WIP: {plain}" if draft else plain


def _every(api: Api, path: str, state: str, base: str = "") -> Iterator[Any]:
    params: dict[str, str | int] = {"state": state, "page": 1, "limit": MOST_ITEMS}
    if base:
        params["base_branch"] = base  # servers of old do not know it and give all
    return api.every(f"{path}/pulls", params)


def _send_merge(api: Api, path: str, number: int, body: dict[str, Any]) -> None:
    """Right after a push the server is still looking whether it can be merged."""
    patiently(
        lambda: api.send("POST", f"{path}/pulls/{number}/merge", body),
        lambda failure: "try again later" in failure.sentence,
    )


def _cannot_merge(now: Pull, refused: Failure) -> Conflict:
    if now.state != PullState.OPEN:
        return Conflict(f"Pull request {now.number} is {now.state.value} already.")
    return Conflict(f"Pull request {now.number} cannot be merged now. {refused.sentence}")


# --- people and labels ----------------------------------------------------------------------------


@contextmanager
def _naming(number: int, field: str, names: Sequence[str], problem: str) -> Iterator[None]:
    """The pull request stays as it is when somebody cannot be asked; the sentence names them."""
    try:
        yield
    except (NotFound, PermanentFailure) as refused:
        sentence = f"Pull request {number} is there, but {', '.join(names)} {problem}. {refused.sentence}"
        raise InvalidInput(sentence, [(field, sentence)]) from None


def _ask_for_review(api: Api, path: str, number: int, names: Sequence[str]) -> None:
    if names:
        with _naming(number, "reviewers", names, "cannot be asked for a review"):
            where = f"{path}/pulls/{number}/requested_reviewers"
            api.send("POST", where, {"reviewers": list(names)})


def _assign(api: Api, path: str, number: int, names: Sequence[str]) -> None:
    with _naming(number, "assignees", names, "cannot be assigned"):
        api.send("PATCH", f"{path}/pulls/{number}", {"assignees": list(names)})


def _without_reviewers(api: Api, path: str, number: int, wanted: Sequence[str]) -> None:
    """Take back the requests to those who are not wanted any more."""
    item = object_of(api.get(f"{path}/pulls/{number}"), "a pull request")
    surplus = [
        name for name in reading.names_of(item.get("requested_reviewers"), "login") if name not in wanted
    ]
    if surplus:
        api.send("DELETE", f"{path}/pulls/{number}/requested_reviewers", {"reviewers": surplus})


def _label_ids(api: Api, path: str, names: Sequence[str]) -> list[int]:
    """The numbers of labels of the repository or its organization; those that are not there are made."""
    if not names:
        return []
    known = _labels(api, f"{path}/labels")
    if not set(names) <= known.keys():
        with suppress(NotFound, PermanentFailure):  # the owner is a person, or its labels are not ours to see
            known = _labels(api, f"orgs/{path.split('/')[1]}/labels") | known
    return [known[name] if name in known else _new_label(api, path, name) for name in names]


def _labels(api: Api, path: str) -> dict[str, int]:
    return dict(_label(data) for data in counted(api, path, {}))


def _new_label(api: Api, path: str, name: str) -> int:
    return _label(api.send("POST", f"{path}/labels", {"name": name, "color": _COLOUR}))[1]


def _label(data: object) -> tuple[str, int]:
    item = object_of(data, "a label")
    name, number = item.get("name"), number_of(item.get("id"))
    if not isinstance(name, str) or number is None:
        raise odd("a label")
    return name, number
