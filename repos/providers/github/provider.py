"""GitHub.com and GitHub Enterprise Server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from opssight.core.errors import Conflict, InvalidInput, NotFound
from opssight.core.words import count
from repos.git.remote import PasswordCredential, Remote
from repos.providers.base import Options, not_seen
from repos.providers.forge import (
    Check,
    CheckState,
    FailedDelivery,
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
from repos.providers.github import app, commits, hooks
from repos.providers.github.dialect import dialect
from repos.providers.github.pulls import Pulls
from repos.providers.github.reading import (
    allowed_by,
    budgets_of,
    expiry_of,
    hidden_organizations,
    login_of,
    object_of,
    odd,
    pipeline_of,
    repository_of,
    run_check_of,
    scopes_of,
    status_check_of,
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
from repos.providers.values import is_full_name, text_of
from repos.providers.wire import Budget, FixedToken

_LONGEST_DESCRIPTION = 140  # of a commit status
_GRAVITY = (CheckState.SUCCESS, CheckState.PENDING, CheckState.ERROR, CheckState.FAILURE)


class GitHubProvider(Forge):
    """Repositories are named by GitHub's number for them, so renaming and moving them changes nothing."""

    kind = "github"
    label = "GitHub"
    mark = "GH"
    fields = (
        Field(
            "url",
            "Address",
            "text",
            "Leave it empty for github.com. For GitHub Enterprise Server: https://github.example.org.",
        ),
        Field(
            "token",
            "Token",
            "secret",
            "A personal access token: classic with the scopes repo and workflow, or a fine-grained one.",
        ),
    )
    capabilities = frozenset(Capability)
    hook_events = hooks.EVENTS
    commit_bytes = commits.BYTES
    delivery_header = "x-github-delivery"
    public = "https://github.com"
    asks = dict.fromkeys(Need, "repo")
    credentials_page = "/settings/tokens/new?description=OpsSight&scopes=repo,workflow"
    # without `workflow` a push that touches .github/workflows is refused
    oauth = OAuth("/login/oauth/authorize", "/login/oauth/access_token", ("repo", "workflow"))

    def __init__(self, options: Options, secrets: Mapping[str, str], context: Context) -> None:
        super().__init__(options, secrets, context)
        self._server = _server(self.options["url"])
        if context.wire is None:
            raise RuntimeError("GitHub needs a wire in its context")
        token = FixedToken(self.secrets.get("token", ""))
        self._api = Api(self._server.api, context.wire, token, dialect(self.label))
        self._pulls = Pulls(self._api, self._server.graphql)

    @property
    def origins(self) -> frozenset[str]:
        return frozenset({self._server.git, self._server.api.removesuffix("/api/v3")})

    def identity(self) -> Identity:
        if self.context.installation:
            return self._identity_of_installation()
        user, headers = self._api.get_with_headers("/user")
        item = object_of(user, "an account")
        login = login_of(item)
        if not login:
            raise odd("an account")
        scopes = scopes_of(headers)
        # only a list says which organizations keep theirs back
        _, listed = self._api.get_with_headers("/user/repos", {"per_page": 1})
        return Identity(
            account=login,
            detail=_detail(text_of(item.get("name"), 100), self._server.git, hidden_organizations(listed)),
            scopes=scopes,
            may=allowed_by(scopes),
            expires_at=expiry_of(headers),
        )

    def _identity_of_installation(self) -> Identity:
        """An installation is nobody; what it sees proves it."""
        self._api.get("/installation/repositories", {"per_page": 1})
        return Identity(self.context.installation, f"installed at {self._server.git.partition('://')[2]}")

    def person(self) -> Person:
        return app.person_of(self._api)

    def repositories(self, missed: Missed | None = None) -> Iterator[RemoteRepository]:
        """The oldest first: what is new then changes the last page only, and the others cost nothing."""
        self._api.kept.clear()
        params: Params = {
            "affiliation": "owner,collaborator,organization_member",
            "sort": "created",
            "direction": "asc",
            "per_page": 100,
        }
        seen: set[str] = set()
        own = not self.context.installation
        for item in self._api.every("/user/repos", params) if own else app.listed(self._api):
            found = repository_of(item)
            if found.external_id not in seen:  # what is made or deleted meanwhile moves the pages
                seen.add(found.external_id)
                yield found
        if missed and (hidden := hidden_organizations(self._api.kept)):
            missed(f"{_hiding(hidden)}.")

    def repository(self, external_id: str) -> RemoteRepository:
        return repository_of(self._api.get(_path(external_id)))

    def repository_named(self, full_name: str) -> RemoteRepository:
        """One that was renamed is found by its old name too."""
        if not is_full_name(full_name):
            raise not_seen(full_name)
        return repository_of(self._api.get(f"/repos/{full_name}"))

    def remote(self, external_id: str, full_name: str) -> Remote:
        if not is_full_name(full_name):
            raise InvalidInput(f"{full_name} is not the name of a repository at GitHub: owner/name.")
        token = self._api.tokens.current()
        credential = PasswordCredential("x-access-token", token) if token else None
        return Remote(f"{self._server.git}/{full_name}.git", credential, label=full_name)

    def search(self, words: str) -> Iterator[RemoteRepository]:
        """GitHub's own search knows new repositories late and finds those of strangers, so it is not used."""
        wanted = words.lower().split()
        for found in self.repositories():
            if all(word in found.full_name.lower() for word in wanted):
                yield found

    # --- repositories -----------------------------------------------------------------------------

    def create_repository(self, new: NewRepository) -> RemoteRepository:
        path = "/user/repos"
        if new.owner and (self.context.installation or new.owner.lower() != self._login().lower()):
            path = f"/orgs/{quote(new.owner, safe='')}/repos"
        elif new.visibility == "internal":
            raise InvalidInput("Only an organization of an enterprise can have internal repositories.")
        body = {"name": new.name, "description": new.description, "private": new.visibility != "public"}
        if path != "/user/repos":
            body["visibility"] = new.visibility
        try:
            return repository_of(self._api.send("POST", path, body))
        except InvalidInput as refused:
            if "already exists" in refused.sentence:
                raise Conflict(f"GitHub has a repository {new.name} there already.") from None
            raise

    def change_repository(self, external_id: str, change: RepositoryChange) -> RemoteRepository:
        """An archived repository takes no other change: it is archived last and unarchived first."""
        wanted = {
            "description": change.description,
            "visibility": change.visibility,
            "default_branch": change.default_branch,
        }
        body = {name: value for name, value in wanted.items() if value is not None}
        archived = [] if change.archived is None else [{"archived": change.archived}]
        steps: list[dict[str, Any]] = [*archived, body] if change.archived is False else [body, *archived]
        for step in filter(None, steps):
            self._api.send("PATCH", _path(external_id), step)
        return self.repository(external_id)

    def delete_repository(self, external_id: str) -> None:
        self._api.send("DELETE", _path(external_id))

    def _login(self) -> str:
        return login_of(self._api.get("/user"))

    # --- pull requests ----------------------------------------------------------------------------

    def open_pull(self, external_id: str, new: NewPull) -> Pull:
        return self._pulls.open(_id(external_id), new)

    def pull(self, external_id: str, number: int) -> Pull:
        return self._pulls.get(_id(external_id), number)

    def find_pull(self, external_id: str, head: str, base: str) -> Pull | None:
        return self._pulls.find(_id(external_id), head, base)

    def pulls(self, external_id: str, state: PullState = PullState.OPEN) -> Iterator[Pull]:
        return self._pulls.all(_id(external_id), state)

    def change_pull(self, external_id: str, number: int, change: PullChange) -> Pull:
        return self._pulls.change(_id(external_id), number, change)

    def close_pull(self, external_id: str, number: int) -> Pull:
        return self._pulls.close(_id(external_id), number)

    def merge_pull(
        self, external_id: str, number: int, method: MergeMethod, *, head_oid: str = "", message: str = ""
    ) -> Pull:
        return self._pulls.merge(_id(external_id), number, method, head_oid, message)

    def auto_merge(self, external_id: str, number: int, method: MergeMethod) -> None:
        self._pulls.auto_merge(_id(external_id), number, method)

    def cancel_auto_merge(self, external_id: str, number: int) -> bool:
        return self._pulls.cancel_auto_merge(_id(external_id), number)

    def commit_files(self, external_id: str, new: NewCommit) -> str:
        return commits.commit_files(self._api, self._server.graphql, _path(external_id), new)

    # --- checks and runs --------------------------------------------------------------------------

    def set_check(self, external_id: str, oid: str, check: Check) -> None:
        body = {
            "state": check.state.value,
            "context": check.name,
            "description": check.description[:_LONGEST_DESCRIPTION],
        }
        body |= {"target_url": check.url} if check.url else {}
        self._api.send("POST", f"{_path(external_id)}/statuses/{quote(oid, safe='')}", body)

    def checks(self, external_id: str, oid: str) -> list[Check]:
        """Statuses and check runs; where several have one name, the worst one counts."""
        commit = f"{_path(external_id)}/commits/{quote(oid, safe='')}"
        params = {"per_page": 100}
        found = [status_check_of(one) for one in self._every(f"{commit}/status", params, "statuses")]
        found += [run_check_of(one) for one in self._every(f"{commit}/check-runs", params, "check_runs")]
        worst: dict[str, Check] = {}
        for check in found:
            known = worst.get(check.name)
            if known is None or _GRAVITY.index(check.state) > _GRAVITY.index(known.state):
                worst[check.name] = check
        return list(worst.values())

    def pipelines(
        self, external_id: str, *, ref: str = "", since: dt.datetime | None = None
    ) -> Iterator[Pipeline]:
        """Runs of GitHub Actions; with `ref` or `since` GitHub lists the newest thousand only."""
        params: dict[str, str | int] = {"per_page": 100}
        if ref:
            params["branch"] = ref
        if since:
            params["created"] = f">={since.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
        for item in self._every(f"{_path(external_id)}/actions/runs", params, "workflow_runs"):
            yield pipeline_of(item)

    def _every(self, path: str, params: Params, name: str) -> Iterator[Any]:
        """Everything in a list that each page has under a name."""
        return self._api.every(path, params, items=lambda data: object_of(data, "a list").get(name))

    # --- webhooks and limits ----------------------------------------------------------------------

    def hooks(self, external_id: str) -> list[RemoteHook]:
        return hooks.every(self._api, _path(external_id))

    def create_hook(self, external_id: str, hook: HookSpec) -> RemoteHook:
        return hooks.create(self._api, _path(external_id), hook)

    def update_hook(self, external_id: str, hook_id: str, hook: HookSpec) -> RemoteHook:
        return hooks.update(self._api, _path(external_id), hook_id, hook)

    def delete_hook(self, external_id: str, hook_id: str) -> None:
        hooks.delete(self._api, _path(external_id), hook_id)

    def test_hook(self, external_id: str, hook_id: str) -> None:
        hooks.test(self._api, _path(external_id), hook_id)

    def failed_deliveries(self, external_id: str, hook_id: str, since: dt.datetime) -> list[FailedDelivery]:
        return hooks.failed(self._api, _path(external_id), hook_id, since)

    def redeliver(self, external_id: str, hook_id: str, attempt_id: str) -> None:
        hooks.redeliver(self._api, _path(external_id), hook_id, attempt_id)

    def budgets(self) -> list[Budget]:
        try:
            return budgets_of(self._api.get("/rate_limit"))
        except NotFound:
            return []  # a server of one's own, where limits are off


@dataclass(frozen=True)
class _Server:
    """Where git, the REST API and the GraphQL API are."""

    git: str
    api: str
    graphql: str


def api_of(url: str) -> str:
    """Where the REST API of an instance is; `url` is "" for github.com."""
    return _server(url).api


def _server(url: str) -> _Server:
    """Raises `InvalidInput` for what is not the bare address of a server."""
    address = url.rstrip("/") or "https://github.com"
    wrong = InvalidInput(
        f"{address} is not the address of a server.",
        [("url", "Enter the address of the server only, such as https://github.example.org.")],
    )
    try:
        remote = Remote.from_url(f"{address}/owner/name.git")
    except InvalidInput:
        raise wrong from None
    if remote.scheme not in ("https", "http") or remote.url != f"{remote.origin}/owner/name.git":
        raise wrong
    if remote.host in ("github.com", "www.github.com", "api.github.com"):
        return _Server("https://github.com", "https://api.github.com", "https://api.github.com/graphql")
    if remote.host.endswith(".ghe.com"):  # GitHub Enterprise Cloud with a subdomain of one's own
        api = f"https://api.{remote.host}"
        return _Server(f"https://{remote.host}", api, f"{api}/graphql")
    return _Server(remote.origin, f"{remote.origin}/api/v3", f"{remote.origin}/api/graphql")


def _detail(name: str, server: str, hidden: int) -> str:
    where = server.partition("://")[2]
    words = f"{name} at {where}" if name else where
    return f"{words}; {_hiding(hidden)}" if hidden else words


def _hiding(hidden: int) -> str:
    organizations = count(hidden, "organization hides its", "organizations hide their")
    return f"{organizations} repositories until the token is authorized for single sign-on"


def _id(external_id: str) -> str:
    """GitHub's number for a repository. NotFound for anything else: nothing is asked under it."""
    if external_id.isascii() and external_id.isdecimal():
        return external_id
    raise NotFound(f"GitHub has no repository with the id {external_id[:40]!r}.")


def _path(external_id: str) -> str:
    return f"/repositories/{_id(external_id)}"
