"""Pull requests at Bitbucket Cloud."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from opssight.core.errors import Conflict, InvalidInput, NotFound, TransientFailure
from repos.providers.bitbucket import reading
from repos.providers.bitbucket.api import CloudApi, quoted, workspace_of
from repos.providers.forge import MergeMethod, NewPull, Pull, PullChange
from repos.providers.http import Params
from repos.providers.types import Capability, PullState
from repos.providers.values import part_of

_PAGE = 50  # pull requests have shorter pages than all else
_STATES = {
    PullState.OPEN: "state=OPEN",
    PullState.MERGED: "state=MERGED",
    PullState.CLOSED: "state=DECLINED&state=SUPERSEDED",
}
# Names of merge strategies, the best first; a branch may allow some of them only.
_STRATEGIES: Mapping[MergeMethod, tuple[str, ...]] = {
    "merge": ("merge_commit",),
    "squash": ("squash", "squash_fast_forward"),
    "rebase": ("rebase_fast_forward", "fast_forward"),
}


class CloudPulls(CloudApi):
    def open_pull(self, external_id: str, new: NewPull) -> Pull:
        self._refuse_foreign(labels=new.labels, assignees=new.assignees)
        found = self.find_pull(external_id, new.head, new.base)
        if found is not None:
            return found
        people, unknown = self._people(external_id, new.reviewers)
        body = {
            "title": new.title,
            "description": new.body,
            "source": {"branch": {"name": new.head}},
            "destination": {"branch": {"name": new.base}},
            "draft": new.draft,
            "reviewers": people,
        }
        data = self._api.send("POST", self._path(external_id, "pullrequests"), body)
        _refuse_unknown(unknown)
        return self._full(external_id, data)

    def pull(self, external_id: str, number: int) -> Pull:
        return self._full(external_id, self._pull(external_id, number))

    def find_pull(self, external_id: str, head: str, base: str) -> Pull | None:
        words = f"source.branch.name={quoted(head)} AND destination.branch.name={quoted(base)}"
        params: Params = {"pagelen": _PAGE, "q": f'{words} AND state="OPEN"'}
        for data in self._every(self._path(external_id, "pullrequests"), params):
            if _is_own(external_id, data):
                return self._full(external_id, data)
        return None

    def pulls(self, external_id: str, state: PullState = PullState.OPEN) -> Iterator[Pull]:
        """Without `head_oid` and `merge_oid`: lists tell 12 digits, and asking costs a request for each."""
        path = f"{self._path(external_id, 'pullrequests')}?{_STATES[state]}"
        for data in self._every(path, {"pagelen": _PAGE, "sort": "-created_on"}):
            yield reading.pull(data)

    def change_pull(self, external_id: str, number: int, change: PullChange) -> Pull:
        self._refuse_foreign(labels=change.labels, assignees=change.assignees)
        data = self._pull(external_id, number)
        now = reading.pull(data)
        unknown: list[str] = []
        # What is left out would be emptied: everything is sent.
        body: dict[str, Any] = {
            "title": now.title if change.title is None else change.title,
            "description": now.body if change.body is None else change.body,
            "draft": now.draft if change.draft is None else change.draft,
            "reviewers": reading.reviewers(data),
        }
        if change.reviewers is not None:
            body["reviewers"], unknown = self._people(external_id, change.reviewers)
        changed = self._api.send("PUT", self._path(external_id, "pullrequests", number), body)
        _refuse_unknown(unknown)
        return self._full(external_id, changed)

    def close_pull(self, external_id: str, number: int) -> Pull:
        data = self._api.send("POST", self._path(external_id, "pullrequests", number, "decline"), {})
        return self._full(external_id, data)

    def merge_pull(
        self, external_id: str, number: int, method: MergeMethod, *, head_oid: str = "", message: str = ""
    ) -> Pull:
        """Bitbucket cannot be told which head to merge: it is compared just before."""
        data = self._pull(external_id, number)
        now = self._full(external_id, data)
        if now.state == PullState.MERGED:
            return now
        if now.state != PullState.OPEN:
            raise Conflict(f"Pull request {number} is closed. Open a new one.")
        if head_oid and now.head_oid != head_oid:
            raise Conflict(f"Pull request {number} has other commits by now. Look at it again.")
        body = {"merge_strategy": _strategy(data, method), "close_source_branch": False}
        path = self._path(external_id, "pullrequests", number, "merge")
        try:
            self._api.send("POST", path, {**body, "message": message} if message else body)
        except InvalidInput as refused:  # how it says that there are conflicts
            raise Conflict(refused.sentence) from None
        merged = self.pull(external_id, number)
        if merged.state != PullState.MERGED:  # large ones are merged later
            raise TransientFailure(
                f"Bitbucket is still merging pull request {number}. It is looked at again."
            )
        return merged

    def _pull(self, external_id: str, number: int) -> Mapping[str, Any]:
        data = self._api.get(self._path(external_id, "pullrequests", number))
        return reading.object_of(data, "a pull request")

    def _full(self, external_id: str, data: object) -> Pull:
        """A pull request with the full names of its commits, which are asked for one by one."""
        about = reading.object_of(data, "a pull request")
        source, merged = part_of(part_of(about, "source"), "commit"), part_of(about, "merge_commit")
        found = reading.pull(about)
        return dataclasses.replace(
            found,
            head_oid=found.head_oid or self._oid(external_id, source.get("hash")),
            merge_oid=found.merge_oid or self._oid(external_id, merged.get("hash")),
        )

    def _oid(self, external_id: str, short: object) -> str:
        if not isinstance(short, str) or not short:
            return ""
        try:
            data = self._api.get(self._path(external_id, "commit", short), {"fields": "hash"})
        except NotFound:  # it lies in a fork, or was cleaned away
            return ""
        oid = reading.full_oid(reading.object_of(data, "a commit").get("hash"))
        return oid if oid.startswith(short) else ""

    def _people(self, external_id: str, names: Sequence[str]) -> tuple[list[dict[str, str]], list[str]]:
        """Members of the workspace by nickname or id, and the names of those who are not there."""
        if not names:
            return [], []
        wanted = {name.strip("{}").casefold(): name for name in names}
        found: dict[str, str] = {}
        fields = "next,values.user.uuid,values.user.nickname,values.user.account_id"
        for member in self._every(f"workspaces/{workspace_of(external_id)}/members", {"fields": fields}):
            for name in reading.names_of(member) & wanted.keys():
                found[name] = reading.uuid_of(part_of(member, "user").get("uuid"))
        people = [{"uuid": f"{{{uuid}}}"} for uuid in dict.fromkeys(found.values()) if uuid]
        return people, [name for key, name in wanted.items() if not found.get(key)]

    def _refuse_foreign(self, *, labels: Sequence[str] | None, assignees: Sequence[str] | None) -> None:
        if labels:
            self._not_offered(Capability.LABELS)
        if assignees:
            self._not_offered(Capability.ASSIGNEES)


def _refuse_unknown(names: list[str]) -> None:
    if names:
        raise InvalidInput(
            f"The workspace at Bitbucket has nobody called {', '.join(names)}, so they were not asked for a "
            "review. Name people by nickname, account id or UUID."
        )


def _is_own(external_id: str, data: object) -> bool:
    """Whether the source of a pull request is the repository itself, not a fork."""
    about = data if isinstance(data, dict) else {}
    source = part_of(part_of(about, "source"), "repository")
    return reading.uuid_of(source.get("uuid")) == external_id.partition("/")[2]


def _strategy(data: Mapping[str, Any], method: MergeMethod) -> str:
    names = _STRATEGIES[method]
    allowed = reading.merge_strategies(data)
    return next((name for name in names if name in allowed), names[-1] if method == "rebase" else names[0])
