"""Gitea and Forgejo, Codeberg among them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from opssight.core.errors import InvalidInput, NotFound, PermanentFailure
from repos.git.remote import PasswordCredential, Remote
from repos.providers.base import Options, not_seen
from repos.providers.forge import (
    Check,
    Forge,
    HookSpec,
    MergeMethod,
    NewPull,
    NewRepository,
    Person,
    Pipeline,
    Pull,
    PullChange,
    RemoteHook,
    RepositoryChange,
    Visibility,
)
from repos.providers.gitea import checks, hooks, pulls, reading
from repos.providers.gitea.api import (
    MOST_ITEMS,
    api_of,
    base_of,
    by_id,
    dialect,
    object_of,
    odd,
    segment,
)
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
from repos.providers.values import is_full_name, text_of, verified
from repos.providers.wire import FixedToken

_PAGES: Params = {"page": 1, "limit": MOST_ITEMS}


class GiteaProvider(Forge):
    """Repositories by the numbers the server gave them, so that renaming and moving them loses nothing."""

    kind = "gitea"
    label = "Gitea or Forgejo"
    mark = "GT"
    asks = dict.fromkeys(Need, "write:repository") | {
        Need.READ: "read:repository",
        Need.CREATE: "write:user",
    }
    credentials_page = "/user/settings/applications"
    # Gitea before 1.23 knows no scopes for OAuth and gives all that the account may do
    oauth = OAuth(
        "/login/oauth/authorize",
        "/login/oauth/access_token",
        ("read:user", "write:repository", "write:issue", "read:organization"),
    )
    fields = (
        Field(
            "url",
            "Address",
            "text",
            "Of the server, such as https://codeberg.org.",
            required=True,
        ),
        Field(
            "token",
            "Access token",
            "secret",
            "Made in the settings under Applications, with the scopes write:repository, write:issue and "
            "read:user. To look and fetch only, read:repository and read:user are enough.",
        ),
    )
    capabilities = frozenset(Capability) - {
        Capability.RATE_LIMITS,
        Capability.REDELIVERY,
        Capability.SIGNED_COMMITS,
    }
    hook_events = hooks.EVENTS

    def __init__(self, options: Options, secrets: Mapping[str, str], context: Context) -> None:
        super().__init__(options, secrets, context)
        self._base = base_of(self.options["url"])
        if context.wire is None:
            raise RuntimeError("Gitea has an API: the context needs a wire.")
        token = FixedToken(self.secrets.get("token", ""))
        self._api = Api(api_of(self._base), context.wire, token, dialect(self._base))
        self._user: Mapping[str, Any] = {}

    @property
    def origins(self) -> frozenset[str]:
        return frozenset({Remote(f"{self._base}/x").origin})  # API and git are one server

    # --- looking ----------------------------------------------------------------------------------

    def identity(self) -> Identity:
        self._user = {}
        login = self._login()
        return Identity(account=login, detail=f"{self._version()} at {urlsplit(self._base).netloc}")

    def person(self) -> Person:
        user = self._who()
        found = list(self._api.every("user/emails"))
        name = text_of(user.get("full_name"), 150)
        return Person(reading.id_of(user, "a user"), self._login(), name, verified(found))

    def repositories(self, missed: Missed | None = None) -> Iterator[RemoteRepository]:
        return self._listed("user/repos", _PAGES)

    def repository(self, external_id: str) -> RemoteRepository:
        return reading.repository(self._api.get(by_id(external_id)))

    def repository_named(self, full_name: str) -> RemoteRepository:
        """One that was renamed is found by its old name too."""
        if not is_full_name(full_name):
            raise not_seen(full_name)
        return reading.repository(self._api.get(f"repos/{full_name}"))

    def search(self, words: str) -> Iterator[RemoteRepository]:
        """Among those that the account owns or works on, not in what strangers keep on a public server."""
        params: Params = {**_PAGES, "q": words, "uid": reading.id_of(self._who(), "a user")}
        return self._listed("repos/search", params, "data")

    def remote(self, external_id: str, full_name: str) -> Remote:
        if not is_full_name(full_name):
            raise InvalidInput(f"{full_name} is not the name of a repository there: owner/name.")
        url = f"{self._base}/{full_name}.git"
        tokens = self._api.tokens
        if not tokens.current():
            return Remote(url, label=full_name)
        login = self._login()  # this may renew the token
        return Remote(url, PasswordCredential(login, tokens.current()), label=full_name)

    def _listed(self, path: str, params: Params, within: str = "") -> Iterator[RemoteRepository]:
        seen: set[str] = set()  # what is made or deleted meanwhile moves the pages
        for data in self._api.every(path, params, items=lambda page: _part(page, within)):
            found = reading.repository(data)
            if found.external_id not in seen:
                seen.add(found.external_id)
                yield found

    def _who(self) -> Mapping[str, Any]:
        if not self._user:
            self._user = object_of(self._api.get("user"), "a user")
        return self._user

    def _login(self) -> str:
        login = reading.login_of(self._who())
        if not login:
            raise odd("a user")
        return login

    def _version(self) -> str:
        """`Forgejo 12.0.1` or `Gitea 1.24.0`; without the number where it is not told."""
        data: Any = None
        with suppress(NotFound, PermanentFailure):
            data = self._api.get("version")
        version = text_of(data.get("version"), 60) if isinstance(data, dict) else ""
        if "+gitea-" in version:
            return f"Forgejo {version.partition('+')[0]}"
        return f"Gitea {version.partition('+')[0]}".strip()

    def _item(self, external_id: str) -> Mapping[str, Any]:
        return object_of(self._api.get(by_id(external_id)), "a repository")

    def _path(self, external_id: str) -> str:
        return _path_of(self._item(external_id))

    # --- changing ---------------------------------------------------------------------------------

    def create_repository(self, new: NewRepository) -> RemoteRepository:
        body = {
            "name": new.name,
            "description": new.description,
            "private": _is_private(new.visibility),
            "auto_init": False,
        }
        own = not new.owner or new.owner.lower() == self._login().lower()
        path = "user/repos" if own else f"orgs/{segment(new.owner)}/repos"
        return reading.repository(self._api.send("POST", path, body))

    def change_repository(self, external_id: str, change: RepositoryChange) -> RemoteRepository:
        wanted = {
            "description": change.description,
            "private": None if change.visibility is None else _is_private(change.visibility),
            "archived": change.archived,
            "default_branch": change.default_branch,
        }
        body = {name: value for name, value in wanted.items() if value is not None}
        changed = reading.repository(self._api.send("PATCH", self._path(external_id), body))
        # a branch that is not there is passed over in silence
        if change.default_branch not in (None, changed.default_branch):
            raise NotFound(f"{changed.full_name} has no branch {change.default_branch} to make the default.")
        return changed

    def delete_repository(self, external_id: str) -> None:
        self._api.send("DELETE", self._path(external_id))

    # --- pull requests ----------------------------------------------------------------------------

    def open_pull(self, external_id: str, new: NewPull) -> Pull:
        item = self._item(external_id)
        return pulls.open_pull(self._api, _path_of(item), new, was_empty=item.get("empty") is True)

    def pull(self, external_id: str, number: int) -> Pull:
        return pulls.get(self._api, self._path(external_id), number)

    def find_pull(self, external_id: str, head: str, base: str) -> Pull | None:
        return pulls.find(self._api, self._path(external_id), head, base)

    def pulls(self, external_id: str, state: PullState = PullState.OPEN) -> Iterator[Pull]:
        return pulls.every(self._api, self._path(external_id), state)

    def change_pull(self, external_id: str, number: int, change: PullChange) -> Pull:
        return pulls.change(self._api, self._path(external_id), number, change)

    def close_pull(self, external_id: str, number: int) -> Pull:
        return pulls.close(self._api, self._path(external_id), number)

    def merge_pull(
        self, external_id: str, number: int, method: MergeMethod, *, head_oid: str = "", message: str = ""
    ) -> Pull:
        path = self._path(external_id)
        return pulls.merge(self._api, path, number, method, head_oid=head_oid, message=message)

    def auto_merge(self, external_id: str, number: int, method: MergeMethod) -> None:
        pulls.auto_merge(self._api, self._path(external_id), number, method)

    def cancel_auto_merge(self, external_id: str, number: int) -> bool:
        return pulls.cancel_auto_merge(self._api, self._path(external_id), number)

    # --- checks, runs and webhooks ----------------------------------------------------------------

    def set_check(self, external_id: str, oid: str, check: Check) -> None:
        checks.set_check(self._api, self._path(external_id), oid, check)

    def checks(self, external_id: str, oid: str) -> list[Check]:
        return checks.checks(self._api, self._path(external_id), oid)

    def pipelines(
        self, external_id: str, *, ref: str = "", since: dt.datetime | None = None
    ) -> Iterator[Pipeline]:
        return checks.pipelines(self._api, self._path(external_id), ref, since)

    def hooks(self, external_id: str) -> list[RemoteHook]:
        return hooks.every(self._api, self._path(external_id))

    def create_hook(self, external_id: str, hook: HookSpec) -> RemoteHook:
        return hooks.create(self._api, self._path(external_id), hook)

    def update_hook(self, external_id: str, hook_id: str, hook: HookSpec) -> RemoteHook:
        return hooks.update(self._api, self._path(external_id), hook_id, hook)

    def delete_hook(self, external_id: str, hook_id: str) -> None:
        hooks.delete(self._api, self._path(external_id), hook_id)

    def test_hook(self, external_id: str, hook_id: str) -> None:
        hooks.test(self._api, self._path(external_id), hook_id)


def _part(page: Any, within: str) -> Any:
    return object_of(page, "a list of repositories").get(within) if within else page


def _path_of(item: Mapping[str, Any]) -> str:
    return f"repos/{reading.repository(item).full_name}"


def _is_private(visibility: Visibility) -> bool:
    if visibility == "internal":
        sentence = (
            "Gitea and Forgejo have no internal repositories: their organization decides who sees the public "
            "ones. Choose public or private."
        )
        raise InvalidInput(sentence, [("visibility", sentence)])
    return visibility == "private"
