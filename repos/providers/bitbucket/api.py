"""One connection to Bitbucket Cloud: its fields, its credential, and how its lists are walked."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from opssight.core.errors import AuthFailure, InvalidInput, NotFound, PermanentFailure
from repos.git.remote import PasswordCredential, Remote
from repos.providers.base import Options
from repos.providers.bitbucket import reading
from repos.providers.forge import Forge, Person
from repos.providers.http import Api, Params
from repos.providers.oauth import OAuth
from repos.providers.paging import Extent
from repos.providers.types import Context, Field, Identity, Need
from repos.providers.values import text_of, verified
from repos.providers.wire import Dialect, FixedToken

GIT = "https://bitbucket.org"
API = "https://api.bitbucket.org/2.0"
PAGE = 100
_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ID = re.compile(f"({_UUID})/({_UUID})")
_HINT = (
    "A token of a workspace, project or repository needs its workspace named under Workspaces; an API token "
    "needs the scopes read:user:bitbucket and read:workspace:bitbucket."
)
_NOT_AN_EMAIL = (
    "This is a user name, as app passwords had it. Atlassian ended app passwords in 2026: enter the e-mail "
    "address of the Atlassian account and an API token."
)


class CloudApi(Forge):
    """Repositories are named by the UUIDs of workspace and repository, which renaming both keeps."""

    fields = (
        Field(
            "url",
            "Address",
            "text",
            f"Only for a gateway in front of Bitbucket Cloud, with the API below /2.0. Default: {GIT}.",
        ),
        Field(
            "email",
            "E-mail",
            "text",
            "The e-mail address of the Atlassian account that an API token belongs to. Leave it empty for a "
            "token of a workspace, project or repository.",
        ),
        Field(
            "workspaces",
            "Workspaces",
            "lines",
            "Only these workspaces, by the name in their address. Needed for a token of a workspace, project "
            "or repository.",
        ),
        Field(
            "token",
            "Token",
            "secret",
            "An API token of an Atlassian account, or an access token of a workspace, project or repository.",
        ),
    )

    public = GIT
    asks: ClassVar[Mapping[Need, str]] = {
        Need.READ: "read:repository:bitbucket",
        Need.WRITE: "write:repository:bitbucket",
        Need.PULL_REQUESTS: "write:pullrequest:bitbucket",
        Need.STATUSES: "read:repository:bitbucket",
        Need.HOOKS: "write:webhook:bitbucket",
        Need.CREATE: "admin:repository:bitbucket",
    }
    credentials_page = "https://id.atlassian.com/manage-profile/security/api-tokens"
    oauth = OAuth(
        authorize="/site/oauth2/authorize",
        token="/site/oauth2/access_token",  # noqa: S106 - a path
        scopes=(
            "account",
            "repository:write",
            "repository:admin",
            "pullrequest:write",
            "webhook",
            "pipeline",
        ),
    )

    def __init__(self, options: Options, secrets: Mapping[str, str], context: Context) -> None:
        super().__init__(options, secrets, context)
        if context.wire is None:
            raise RuntimeError("A provider with an API needs a wire.")
        self._email: str = self.options["email"]
        problems = [("url", problem)] if (problem := bad_address(self.options["url"])) else []
        if self._email and "@" not in self._email:
            problems.append(("email", _NOT_AN_EMAIL))
        if not self.secrets.get("token") and context.wire.tokens is None:
            problems.append(("token", "There is no token. Make an API token at Atlassian and enter it here."))
        if problems:
            raise InvalidInput(" ".join(sentence for _, sentence in problems), problems)
        self._git = self.options["url"].rstrip("/") or GIT
        api = API if self._git == GIT else f"{self._git}/2.0"
        token = FixedToken(self.secrets.get("token", ""))
        self._api = Api(api, context.wire, token, Dialect(self.label, self._authorize, said=reading.said))

    @property
    def origins(self) -> frozenset[str]:
        return frozenset(_origin(url) for url in (self._git, self._api.base_url))

    def identity(self) -> Identity:
        try:
            data, headers = self._api.get_with_headers("user")
            user = reading.object_of(data, "an account")
        except (AuthFailure, PermanentFailure) as failure:
            if self.options["workspaces"]:
                return self._identity_of_access_token()
            if isinstance(failure, AuthFailure):
                raise
            raise PermanentFailure(f"{failure.sentence} {_HINT}") from None
        account = text_of(user.get("nickname"), 100) or text_of(user.get("display_name"), 100)
        if not account:
            raise PermanentFailure("Bitbucket does not say whose token this is.")
        detail = text_of(user.get("display_name"), 100)
        return self._identity(account, "" if detail == account else detail, headers)

    def person(self) -> Person:
        user = reading.object_of(self._api.get("user"), "an account")
        name, login = text_of(user.get("display_name"), 150), text_of(user.get("nickname"), 100)
        uuid = text_of(user.get("uuid"), 60)
        if not uuid:
            raise PermanentFailure("Bitbucket does not say whose token this is.")
        found = list(self._every("user/emails", {}))
        emails = verified(found, "is_confirmed", "is_primary")
        return Person(uuid, login or name, name, emails)

    def remote(self, external_id: str, full_name: str) -> Remote:
        """An address made from the name: what the server calls its address is not used."""
        name = "x-bitbucket-api-token-auth" if self._email else "x-token-auth"
        credential = PasswordCredential(name, self._api.tokens.current())
        return Remote.from_url(f"{self._git}/{quote(full_name, safe='/')}.git", credential, label=full_name)

    def _identity_of_access_token(self) -> Identity:
        """Tokens of a workspace, project or repository belong to nobody; what they see proves them."""
        workspace = self.options["workspaces"][0]
        path = f"repositories/{quote(workspace, safe='')}?pagelen=1"
        _, headers = self._api.get_with_headers(path, {"fields": "values.uuid"})
        return self._identity(workspace, "access token", headers)

    def _identity(self, account: str, detail: str, headers: Mapping[str, str]) -> Identity:
        told = headers.get("x-oauth-scopes")
        if told is None:
            return Identity(account, detail)
        scopes = tuple(scope for scope in map(text_of, map(str.strip, told.split(","))) if scope)
        return Identity(account, detail, scopes, reading.may(scopes))

    def _authorize(self, token: str) -> dict[str, str]:
        if not self._email:
            return {"Authorization": f"Bearer {token}"}
        pair = base64.b64encode(f"{self._email}:{token}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def _every(self, path: str, params: Params, extent: Extent | None = None) -> Iterator[Any]:
        asked = {"pagelen": PAGE, **params}
        return self._api.every(path, asked, items=reading.values, next_of=reading.next_page, extent=extent)

    def _workspaces(self) -> list[str]:
        """The workspaces as they stand in paths."""
        return list(self._named_workspaces())

    def _named_workspaces(self) -> dict[str, str]:
        """What people call them, by path; lists across workspaces were removed in April 2026."""
        if named := self.options["workspaces"]:
            return {quote(name, safe=""): name for name in named}
        try:
            rows = list(self._every("user/workspaces", {}))
        except PermanentFailure as failure:
            raise PermanentFailure(f"{failure.sentence} {_HINT}") from None
        found = {reading.workspace(row): reading.workspace_name(row) for row in rows}
        return {braced(uuid): name or uuid for uuid, name in found.items() if uuid}

    def _path(self, external_id: str, *more: str | int) -> str:
        """The path of a repository, or of something in it. NotFound for what is no id of one."""
        match = _ID.fullmatch(external_id)
        if match is None:
            raise NotFound("This is not the id of a repository at Bitbucket. List the repositories again.")
        parts = [braced(match[1]), braced(match[2]), *(quote(str(part), safe="") for part in more)]
        return "/".join(["repositories", *parts])


def workspace_of(external_id: str) -> str:
    """The workspace of a repository as it stands in paths."""
    return braced(external_id.partition("/")[0])


def quoted(text: str) -> str:
    """Text as it stands in a filter (`q`)."""
    return json.dumps(text, ensure_ascii=False)


def bad_address(url: str) -> str:
    """What is wrong with the address of a server, or ""."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment or "@" in parts.netloc:
        return "This is not the address of a server. Enter one such as https://bitbucket.example.org."
    return ""


def braced(uuid: str) -> str:
    """A UUID as it stands in paths: braces that are not escaped are refused."""
    return f"%7B{uuid}%7D"


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
