"""Pull requests of GitHub. Repositories are named by their id, which a rename does not change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from opssight.core.errors import Conflict, InvalidInput, PermanentFailure
from repos.providers.forge import MergeMethod, NewPull, Pull, PullChange
from repos.providers.github.graphql import AUTO_MERGE, DRAFT, NO_AUTO_MERGE, READY, mutate
from repos.providers.github.reading import is_between, login_of, object_of, pull_of
from repos.providers.http import Api, Params
from repos.providers.types import PullState
from repos.providers.values import text_of

_NO_AUTO_MERGE = {
    "auto merge is not allowed": (
        "The repository does not allow auto-merge. Allow it in its settings at GitHub."
    ),
    "protected branch rules not configured": (
        "GitHub merges by itself only into branches that are protected. Protect the branch, or merge now."
    ),
}


@dataclass(frozen=True)
class Pulls:
    """`graphql` is the full address of the GraphQL API of the same server."""

    api: Api
    graphql: str

    def get(self, repository_id: str, number: int) -> Pull:
        return pull_of(self.api.get(_path(repository_id, number)))

    def all(self, repository_id: str, state: PullState) -> Iterator[Pull]:
        asked = "open" if state == PullState.OPEN else "closed"
        params: Params = {"state": asked, "sort": "created", "direction": "desc", "per_page": 100}
        for item in self.api.every(f"{_path(repository_id)}/pulls", params):
            pull = pull_of(item)
            if pull.state == state:
                yield pull

    def find(self, repository_id: str, head: str, base: str) -> Pull | None:
        """GitHub wants the owner before the head, and ignores the filter when it does not fit."""
        owner = login_of(object_of(self.api.get(_path(repository_id)), "a repository").get("owner"))
        params: Params = {"state": "open", "head": f"{owner}:{head}", "base": base, "per_page": 100}
        for item in self.api.every(f"{_path(repository_id)}/pulls", params):
            if is_between(item, repository_id, head, base):
                return pull_of(item)
        return None

    def open(self, repository_id: str, new: NewPull) -> Pull:
        """One request, and one each for labels, assignees and reviewers: GitHub limits them by number."""
        body = {"title": new.title, "head": new.head, "base": new.base, "body": new.body, "draft": new.draft}
        try:
            pull = pull_of(self.api.send("POST", f"{_path(repository_id)}/pulls", body))
        except InvalidInput:
            there = self.find(repository_id, new.head, new.base)  # GitHub refuses a second one
            if there:
                return there
            raise
        if new.labels:
            self.api.send(
                "POST", f"{_issue(repository_id, pull.number)}/labels", {"labels": list(new.labels)}
            )
        self._assign(repository_id, pull.number, new.assignees)
        self._ask(repository_id, pull.number, new.reviewers)
        return replace(pull, labels=tuple(new.labels))

    def change(self, repository_id: str, number: int, change: PullChange) -> Pull:
        path = _path(repository_id, number)
        words = {"title": change.title, "body": change.body}
        told = {name: value for name, value in words.items() if value is not None}
        if told and change == PullChange(change.title, change.body):
            return pull_of(self.api.send("PATCH", path, told))
        before = object_of(self.api.get(path), "a pull request")
        if told:
            self.api.send("PATCH", path, told)
        if change.labels is not None:
            labels = {"labels": list(change.labels)}
            self.api.send("PUT", f"{_issue(repository_id, number)}/labels", labels)
        if change.assignees is not None:
            here = _logins(before, "assignees")
            gone = _without(here, change.assignees)
            if gone:
                self.api.send("DELETE", f"{_issue(repository_id, number)}/assignees", {"assignees": gone})
            self._assign(repository_id, number, _without(change.assignees, here))
        if change.reviewers is not None:
            here = _logins(before, "requested_reviewers")
            gone = _without(here, change.reviewers)
            if gone:
                self.api.send("DELETE", f"{path}/requested_reviewers", {"reviewers": gone})
            self._ask(repository_id, number, _without(change.reviewers, here))
        if change.draft is not None and change.draft is not (before.get("draft") is True):
            self._mutate(DRAFT if change.draft else READY, before)
        return self.get(repository_id, number)

    def close(self, repository_id: str, number: int) -> Pull:
        return pull_of(self.api.send("PATCH", _path(repository_id, number), {"state": "closed"}))

    def merge(
        self, repository_id: str, number: int, method: MergeMethod, head_oid: str, message: str
    ) -> Pull:
        title, _, rest = message.partition("\n")
        words = {"sha": head_oid, "commit_title": title, "commit_message": rest.strip()}
        body = {"merge_method": method} | {name: value for name, value in words.items() if value}
        path = _path(repository_id, number)
        try:
            merged = object_of(self.api.send("PUT", f"{path}/merge", body), "a merge")
        except (InvalidInput, Conflict) as refused:
            pull = self.get(repository_id, number)
            if pull.state == PullState.MERGED and head_oid in ("", pull.head_oid):
                return pull  # by an earlier try whose answer was lost
            if "not allowed on this repository" in refused.sentence:
                raise
            raise Conflict(refused.sentence) from None
        oid = text_of(merged.get("sha"), 64)
        return replace(self.get(repository_id, number), state=PullState.MERGED, merge_oid=oid)

    def auto_merge(self, repository_id: str, number: int, method: MergeMethod) -> None:
        item = object_of(self.api.get(_path(repository_id, number)), "a pull request")
        pull = pull_of(item)
        if pull.state == PullState.MERGED:
            return
        try:
            self._mutate(AUTO_MERGE, item, method=method.upper())
        except PermanentFailure as refused:
            words = refused.sentence.lower()
            if "clean status" in words:  # nothing is left to wait for, so GitHub wants it merged instead
                self.merge(repository_id, number, method, pull.head_oid, "")
                return
            if "unstable status" in words:
                raise Conflict(
                    f"Pull request #{number} waits for no required check, and another one has not passed. "
                    "Merge it when that is well, or require the check at GitHub."
                ) from None
            for said, sentence in _NO_AUTO_MERGE.items():
                if said in words:
                    raise PermanentFailure(sentence) from None
            raise

    def cancel_auto_merge(self, repository_id: str, number: int) -> bool:
        item = object_of(self.api.get(_path(repository_id, number)), "a pull request")
        if not item.get("auto_merge"):
            return False
        self._mutate(NO_AUTO_MERGE, item)
        return True

    def _mutate(self, query: str, pull: Mapping[str, Any], **variables: str) -> None:
        mutate(self.api, self.graphql, query, {"id": text_of(pull.get("node_id"), 200), **variables})

    def _assign(self, repository_id: str, number: int, people: Sequence[str]) -> None:
        """GitHub leaves out whom it cannot assign, and says nothing."""
        if not people:
            return
        path = f"{_issue(repository_id, number)}/assignees"
        issue = object_of(self.api.send("POST", path, {"assignees": list(people)}), "an issue")
        missing = _without(people, _logins(issue, "assignees"))
        if missing:
            raise InvalidInput(
                f"Pull request #{number} is there, but cannot be assigned to {', '.join(missing)}: nobody of "
                "this name may write to the repository."
            )

    def _ask(self, repository_id: str, number: int, people: Sequence[str]) -> None:
        if not people:
            return
        path = f"{_path(repository_id, number)}/requested_reviewers"
        try:
            self.api.send("POST", path, {"reviewers": list(people)})
        except InvalidInput as refused:
            raise InvalidInput(
                f"Pull request #{number} is there, but not all of {', '.join(people)} can be asked for a "
                f"review. {refused.sentence}"
            ) from None


def _path(repository_id: str, number: int | None = None) -> str:
    return f"/repositories/{repository_id}" + ("" if number is None else f"/pulls/{number}")


def _issue(repository_id: str, number: int) -> str:
    return f"/repositories/{repository_id}/issues/{number}"


def _logins(item: Mapping[str, Any], name: str) -> list[str]:
    people = item.get(name)
    return [login for one in people if (login := login_of(one))] if isinstance(people, list) else []


def _without(people: Sequence[str], others: Sequence[str]) -> list[str]:
    known = {one.lower() for one in others}
    return [one for one in people if one.lower() not in known]
