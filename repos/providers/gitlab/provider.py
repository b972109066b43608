"""GitLab.com and GitLab on a server of one's own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, urlsplit

from opssight.core.errors import AuthFailure, Conflict, InvalidInput, NotFound, PermanentFailure
from repos.git.remote import PasswordCredential, Remote
from repos.providers.base import Options, not_seen
from repos.providers.forge import (
    Check,
    Forge,
    HookSpec,
    MergeMethod,
    NewCommit,
    NewPull,
    NewRepository,
    Person,
    Pipeline,
    Pull,
    PullChange,
    RemoteHook,
    RepositoryChange,
)
from repos.providers.gitlab import checks, commits, hooks, pulls, reading
from repos.providers.gitlab.api import DIALECT, PUBLIC, api_of, base_of, object_of, project_path
from repos.providers.http import Api, Params
from repos.providers.oauth import OAuth
from repos.providers.types import (
    Capability,
    Context,
    Field,
    Identity,
    Missed,
    Need,
    PullState,
    RemoteRepository,
)
from repos.providers.values import text_of, time_of
from repos.providers.wire import FixedToken

_USER = "oauth2"  # what git is called by; GitLab takes any name with an access token, only this with OAuth
_ALL: Params = {
    "membership": "true",
    "statistics": "true",
    "order_by": "id",
    "sort": "asc",
    "per_page": 100,
}


class GitLabProvider(Forge):
    """Projects by their numbers, so that renaming and moving them loses nothing."""

    kind = "gitlab"
    label = "GitLab"
    pull_word = "merge request"
    mark = "GL"
    public = PUBLIC
    asks = dict.fromkeys(Need, "api") | {Need.READ: "read_api", Need.WRITE: "write_repository"}
    credentials_page = "/-/user_settings/personal_access_tokens?name=OpsSight&scopes=api"
    oauth = OAuth("/oauth/authorize", "/oauth/token", ("api", "read_repository", "write_repository"))
    fields = (
        Field("url", "Address", "text", f"Of a GitLab of your own. Left empty, it is {PUBLIC}."),
        Field(
            "token",
            "Access token",
            "secret",
            "Personal, group or project access token with the scope api. To look and fetch only, "
            "read_api and read_repository are enough.",
        ),
    )
    capabilities = frozenset(
        {
            Capability.LIST,
            Capability.WEBHOOKS_IN,
            Capability.SEARCH,
            Capability.CREATE,
            Capability.DESCRIBE,
            Capability.ARCHIVE,
            Capability.DELETE,
            Capability.DEFAULT_BRANCH,
            Capability.PULL_REQUESTS,
            Capability.DRAFTS,
            Capability.LABELS,
            Capability.REVIEWERS,
            Capability.ASSIGNEES,
            Capability.AUTO_MERGE,
            Capability.SIGNED_COMMITS,
            Capability.STATUSES,
            Capability.PIPELINES,
            Capability.HOOKS,
            Capability.HOOK_TESTS,
        }
    )
    commit_bytes = commits.BYTES
    hook_events = hooks.EVENTS

    def __init__(self, options: Options, secrets: Mapping[str, str], context: Context) -> None:
        super().__init__(options, secrets, context)
        self._base = base_of(self.options["url"])
        if context.wire is None:
            raise RuntimeError("GitLab has an API: the context needs a wire.")
        if not self.secrets.get("token") and context.wire.tokens is None:
            sentence = "An access token is missing. Make one in GitLab, in your preferences."
            raise InvalidInput(sentence, [("token", sentence)])
        fallback = FixedToken(self.secrets.get("token", ""))
        self._api = Api(api_of(self._base), context.wire, fallback, DIALECT)

    @property
    def origins(self) -> frozenset[str]:
        return frozenset({Remote(f"{self._base}/x").origin})  # API and git are one server

    # --- looking ----------------------------------------------------------------------------------

    def identity(self) -> Identity:
        user = object_of(self._api.get("user"), "a user")
        login, name = text_of(user.get("username"), 100), text_of(user.get("name"), 100)
        if not login:
            raise PermanentFailure("GitLab does not say who the token belongs to. Check the address.")
        scopes, expires_at = self._about_the_token()
        return Identity(
            account=login,
            detail=f"{name or login} at {urlsplit(self._base).netloc}",
            scopes=scopes,
            may=reading.may(scopes),
            expires_at=expires_at,
        )

    def person(self) -> Person:
        user = object_of(self._api.get("user"), "a user")
        login, name = text_of(user.get("username"), 100), text_of(user.get("name"), 150)
        email = text_of(user.get("email"), 254) if user.get("confirmed_at") else ""
        return Person(reading.external_id_of(user, "a user"), login, name, (email,) if email else ())

    def repositories(self, missed: Missed | None = None) -> Iterator[RemoteRepository]:
        return self._projects(_ALL)

    def repository(self, external_id: str) -> RemoteRepository:
        data = self._api.get(project_path(external_id), {"statistics": "true"})
        if reading.is_leaving(data):
            raise NotFound(
                "The project was deleted in GitLab. Restore it there while it is kept, or forget it."
            )
        return reading.repository(data)

    def repository_named(self, full_name: str) -> RemoteRepository:
        """GitLab takes a path wherever it takes an id, also the path that a project had before."""
        if "/" not in full_name:  # that would be an id
            raise not_seen(full_name)
        return self.repository(full_name)

    def search(self, words: str) -> Iterator[RemoteRepository]:
        return self._projects({**_ALL, "search": words, "search_namespaces": "true"})

    def remote(self, external_id: str, full_name: str) -> Remote:
        url = f"{self._base}/{quote(full_name)}.git"
        return Remote(url, PasswordCredential(_USER, self._api.tokens.current()), label=full_name)

    def _projects(self, params: Params) -> Iterator[RemoteRepository]:
        """By pages that are counted; where GitLab counts no further, on from the last one.

        What goes on from there (keyset paging) has no such end, so it begins once.
        """
        last, extent = 0, self._api.extent()
        try:
            for data in self._api.every("projects", params, extent=extent):
                found = reading.repository(data)
                last = int(found.external_id)
                if not reading.is_leaving(data):
                    yield found
            return
        except InvalidInput:
            if not last:
                raise
        rest: Params = {**params, "pagination": "keyset", "id_after": last}
        for data in self._api.every("projects", rest, extent=extent):
            if not reading.is_leaving(data):
                yield reading.repository(data)

    def _about_the_token(self) -> tuple[tuple[str, ...] | None, dt.datetime | None]:
        """Scopes and end of an access token, scopes of an OAuth token; None where GitLab does not tell."""
        refused = (AuthFailure, NotFound, PermanentFailure)
        with suppress(*refused):
            about = object_of(self._api.get("personal_access_tokens/self"), "a token")
            return _scopes(about.get("scopes")), time_of(about.get("expires_at"))
        with suppress(*refused):
            about = object_of(self._api.get(f"{self._base}/oauth/token/info"), "a token")
            return _scopes(about.get("scope")), None  # it is renewed before it ends
        return None, None

    # --- changing ---------------------------------------------------------------------------------

    def create_repository(self, new: NewRepository) -> RemoteRepository:
        body: dict[str, Any] = {
            "name": new.name,
            "path": new.name,
            "description": new.description,
            "visibility": new.visibility,
            "initialize_with_readme": False,
        }
        if new.owner:
            body["namespace_id"] = self._namespace(new.owner)
        try:
            return reading.repository(self._api.send("POST", "projects", body))
        except InvalidInput as refused:
            if "already been taken" not in refused.sentence:
                raise
            raise Conflict(f"There is a project {new.name} already. Choose another name.") from None

    def change_repository(self, external_id: str, change: RepositoryChange) -> RemoteRepository:
        """An archived project takes no changes: it is archived last and unarchived first."""
        path = project_path(external_id)
        wanted = {
            "description": change.description,
            "visibility": change.visibility,
            "default_branch": change.default_branch,
        }
        body = {name: value for name, value in wanted.items() if value is not None}
        if change.archived is False:
            self._api.send("POST", f"{path}/unarchive")
        if body:
            self._api.send("PUT", path, body)
        if change.archived:
            self._api.send("POST", f"{path}/archive")
        return self.repository(external_id)

    def delete_repository(self, external_id: str) -> None:
        """GitLab keeps it for some days, as its settings say, and it can be restored there."""
        self._api.send("DELETE", project_path(external_id))

    def _namespace(self, owner: str) -> int:
        try:
            found = object_of(self._api.get(f"namespaces/{quote(owner, safe='')}"), "a group")
        except NotFound:
            raise NotFound(f"There is no group {owner} in GitLab that this connection can see.") from None
        return int(reading.external_id_of(found, "a group"))

    # --- merge requests ---------------------------------------------------------------------------

    def open_pull(self, external_id: str, new: NewPull) -> Pull:
        return pulls.open_pull(self._api, external_id, new)

    def pull(self, external_id: str, number: int) -> Pull:
        return pulls.get(self._api, external_id, number)

    def find_pull(self, external_id: str, head: str, base: str) -> Pull | None:
        return pulls.find(self._api, external_id, head, base)

    def pulls(self, external_id: str, state: PullState = PullState.OPEN) -> Iterator[Pull]:
        return pulls.every(self._api, external_id, state)

    def change_pull(self, external_id: str, number: int, change: PullChange) -> Pull:
        return pulls.change(self._api, external_id, number, change)

    def close_pull(self, external_id: str, number: int) -> Pull:
        return pulls.close(self._api, external_id, number)

    def merge_pull(
        self, external_id: str, number: int, method: MergeMethod, *, head_oid: str = "", message: str = ""
    ) -> Pull:
        return pulls.merge(self._api, external_id, number, method, head_oid=head_oid, message=message)

    def auto_merge(self, external_id: str, number: int, method: MergeMethod) -> None:
        pulls.auto_merge(self._api, external_id, number, method)

    def cancel_auto_merge(self, external_id: str, number: int) -> bool:
        return pulls.cancel_auto_merge(self._api, external_id, number)

    def commit_files(self, external_id: str, new: NewCommit) -> str:
        return commits.commit_files(self._api, external_id, new)

    # --- CI and webhooks --------------------------------------------------------------------------

    def set_check(self, external_id: str, oid: str, check: Check) -> None:
        checks.set_check(self._api, external_id, oid, check)

    def checks(self, external_id: str, oid: str) -> list[Check]:
        return checks.checks(self._api, external_id, oid)

    def pipelines(
        self, external_id: str, *, ref: str = "", since: dt.datetime | None = None
    ) -> Iterator[Pipeline]:
        return checks.pipelines(self._api, external_id, ref, since)

    def hooks(self, external_id: str) -> list[RemoteHook]:
        return hooks.every(self._api, external_id)

    def create_hook(self, external_id: str, hook: HookSpec) -> RemoteHook:
        return hooks.create(self._api, external_id, hook)

    def update_hook(self, external_id: str, hook_id: str, hook: HookSpec) -> RemoteHook:
        return hooks.update(self._api, external_id, hook_id, hook)

    def delete_hook(self, external_id: str, hook_id: str) -> None:
        hooks.delete(self._api, external_id, hook_id)

    def test_hook(self, external_id: str, hook_id: str) -> None:
        hooks.test(self._api, external_id, hook_id)


def _scopes(value: object) -> tuple[str, ...] | None:
    """A list of words, or one text with spaces between them; None for what is neither."""
    if isinstance(value, str):
        return tuple(value.split())
    return reading.texts(value) if isinstance(value, list) else None
