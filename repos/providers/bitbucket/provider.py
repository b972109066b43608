"""Repositories at Bitbucket Cloud."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote

from opssight.core.errors import Conflict, InvalidInput, NotFound, PermanentFailure, TransientFailure
from repos.providers.base import not_seen
from repos.providers.bitbucket import reading
from repos.providers.bitbucket.api import quoted
from repos.providers.bitbucket.builds import CloudBuilds
from repos.providers.bitbucket.pulls import CloudPulls
from repos.providers.errors import TooMany, TooSlow
from repos.providers.forge import NewRepository, RepositoryChange, Visibility
from repos.providers.types import Capability, Missed, RemoteRepository
from repos.providers.values import is_full_name

_FIELDS = (
    "uuid",
    "full_name",
    "description",
    "is_private",
    "mainbranch.name",
    "parent.uuid",
    "size",
    "scm",
    "workspace.uuid",
    "language",
    "has_issues",
    "has_wiki",
    "fork_policy",
    "updated_on",
    "links.html.href",
)
_ONE = {"fields": ",".join(_FIELDS)}
_MANY = {"fields": ",".join(["next", *(f"values.{name}" for name in _FIELDS)])}


class BitbucketProvider(CloudPulls, CloudBuilds):
    kind = "bitbucket"
    label = "Bitbucket"
    mark = "BB"
    capabilities = frozenset(
        {
            Capability.LIST,
            Capability.WEBHOOKS_IN,
            Capability.SEARCH,
            Capability.CREATE,
            Capability.DESCRIBE,
            Capability.DELETE,
            Capability.DEFAULT_BRANCH,
            Capability.PULL_REQUESTS,
            Capability.DRAFTS,
            Capability.REVIEWERS,
            Capability.STATUSES,
            Capability.PIPELINES,
            Capability.HOOKS,
        }
    )

    def repositories(self, missed: Missed | None = None) -> Iterator[RemoteRepository]:
        extent = self._api.extent()
        for workspace, name in self._named_workspaces().items():
            try:
                yield from map(reading.repository, self._every(f"repositories/{workspace}", _MANY, extent))
            except (TooMany, TooSlow):  # the others would fail in the same way
                raise
            except (NotFound, PermanentFailure, TransientFailure) as failure:
                if missed is None:
                    raise
                missed(f"Workspace {name}: {failure.sentence}")

    def repository(self, external_id: str) -> RemoteRepository:
        return reading.repository(self._api.get(self._path(external_id), _ONE))

    def repository_named(self, full_name: str) -> RemoteRepository:
        if not is_full_name(full_name):
            raise not_seen(full_name)
        return reading.repository(self._api.get(f"repositories/{full_name}", _ONE))

    def search(self, words: str) -> Iterator[RemoteRepository]:
        params = {**_MANY, "q": f"full_name ~ {quoted(words)}"}
        extent = self._api.extent()
        for workspace in self._workspaces():
            yield from map(reading.repository, self._every(f"repositories/{workspace}", params, extent))

    def create_repository(self, new: NewRepository) -> RemoteRepository:
        slug = re.sub(r"[^a-z0-9._-]+", "-", new.name.lower())
        body = {
            "scm": "git",
            "name": new.name,
            "description": new.description,
            "is_private": _is_private(new.visibility),
        }
        owner = quote(new.owner, safe="") if new.owner else self._only_workspace()
        try:
            return reading.repository(self._api.send("POST", f"repositories/{owner}/{quote(slug)}", body))
        except InvalidInput as refused:  # 400 for all that is wrong, told apart by words only
            if "already exists" in refused.sentence:
                raise Conflict(refused.sentence) from None
            raise

    def change_repository(self, external_id: str, change: RepositoryChange) -> RemoteRepository:
        if change.archived is not None:
            self._not_offered(Capability.ARCHIVE)
        body: dict[str, object] = {}
        if change.description is not None:
            body["description"] = change.description
        if change.visibility is not None:
            body["is_private"] = _is_private(change.visibility)
        if change.default_branch is not None:
            body["mainbranch"] = {"name": change.default_branch}
        return reading.repository(self._api.send("PUT", self._path(external_id), body))

    def delete_repository(self, external_id: str) -> None:
        self._api.send("DELETE", self._path(external_id))

    def _only_workspace(self) -> str:
        found = self._workspaces()
        if len(found) != 1:
            sentence = "Name the workspace in which the repository is made."
            raise InvalidInput(sentence, [("owner", sentence)])
        return found[0]


def _is_private(visibility: Visibility) -> bool:
    if visibility == "internal":
        sentence = "Bitbucket has public and private repositories only. Choose one of them."
        raise InvalidInput(sentence, [("visibility", sentence)])
    return visibility == "private"
