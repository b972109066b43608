"""One connection to a Bitbucket Data Center: its fields, its credential, and its repositories."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

from opssight.core.errors import AuthFailure, InvalidInput, NotFound, PermanentFailure
from repos.git.remote import PasswordCredential, Remote
from repos.providers.base import Options, not_seen
from repos.providers.bitbucket import dc_reading as reading
from repos.providers.bitbucket.api import bad_address
from repos.providers.bitbucket.reading import object_of, values
from repos.providers.forge import Forge
from repos.providers.http import Api, Params
from repos.providers.types import Context, Field, Identity, Missed, RemoteRepository
from repos.providers.values import is_full_name, text_of
from repos.providers.wire import Dialect, FixedToken

_PAGE = 500
_ANY_NAME = "x-token-auth"


class DataCenterApi(Forge):
    """Repositories are named by their numbers. The API has no way to ask for a number: it is looked up
    in the list, and where it was found is remembered and checked again before each use.
    """

    fields = (
        Field("url", "Address", "text", "Such as https://bitbucket.example.org.", required=True),
        Field(
            "username",
            "User name",
            "text",
            "For git with the token of a person: that person's user name. Leave it empty for a token of a "
            "project or repository.",
        ),
        Field("token", "HTTP access token", "secret", "Made in Bitbucket under HTTP access tokens."),
    )

    def __init__(self, options: Options, secrets: Mapping[str, str], context: Context) -> None:
        super().__init__(options, secrets, context)
        if context.wire is None:
            raise RuntimeError("A provider with an API needs a wire.")
        problems = [("url", problem)] if (problem := bad_address(self.options["url"])) else []
        if not self.secrets.get("token") and context.wire.tokens is None:
            sentence = "There is no token. Make an HTTP access token in Bitbucket and enter it here."
            problems.append(("token", sentence))
        if problems:
            raise InvalidInput(" ".join(sentence for _, sentence in problems), problems)
        self._url = self.options["url"].rstrip("/")
        token = FixedToken(self.secrets.get("token", ""))
        dialect = Dialect(self.label, lambda token: {"Authorization": f"Bearer {token}"}, said=reading.said)
        self._api = Api(f"{self._url}/rest/api/1.0", context.wire, token, dialect)
        self._paths: dict[str, str] = {}

    @property
    def origins(self) -> frozenset[str]:
        parts = urlsplit(self._url)
        return frozenset({f"{parts.scheme}://{parts.netloc}"})

    def identity(self) -> Identity:
        data, headers = self._api.get_with_headers("application-properties")
        account = text_of(unquote(headers.get("x-ausername", "")), 100)
        if not account:  # everybody may ask this, so that an answer alone proves nothing
            raise AuthFailure("Bitbucket does not know the token. Enter another one.")
        version = text_of(object_of(data, "a description of itself").get("version"), 40)
        return Identity(account, f"Bitbucket {version}" if version else "")

    def repositories(self, missed: Missed | None = None) -> Iterator[RemoteRepository]:
        """One request more for each: lists do not tell the default branch."""
        yield from map(self._described, self._listed({}))

    def search(self, words: str) -> Iterator[RemoteRepository]:
        yield from map(self._described, self._listed({"name": words}))

    def repository(self, external_id: str) -> RemoteRepository:
        return self._described(self._find(external_id))

    def repository_named(self, full_name: str) -> RemoteRepository:
        if not is_full_name(full_name.removeprefix("~")):  # ~ begins the project of a person
            raise not_seen(full_name)
        project, _, slug = full_name.partition("/")
        return self._described(self._api.get(f"projects/{project}/repos/{slug}"))

    def remote(self, external_id: str, full_name: str) -> Remote:
        """An address made from the name: what the server calls its address is not used."""
        name = self.options["username"] or _ANY_NAME
        credential = PasswordCredential(name, self._api.tokens.current())
        return Remote.from_url(
            f"{self._url}/scm/{quote(full_name, safe='/~')}.git", credential, label=full_name
        )

    def _described(self, data: object) -> RemoteRepository:
        branch = ""
        with suppress(NotFound):  # it is not there yet; where there is nothing at all, the answer is empty
            found = self._api.send("GET", f"{reading.repository_path(data)}/default-branch")
            branch = reading.branch(found.get("id")) if isinstance(found, dict) else ""
        return reading.repository(data, branch)

    def _listed(self, params: Params) -> Iterator[Mapping[str, Any]]:
        for data in self._every("repos", params):
            about = object_of(data, "a repository")
            self._paths[reading.repository_id(about)] = reading.repository_path(about)
            yield about

    def _find(self, external_id: str) -> Mapping[str, Any]:
        if path := self._paths.get(external_id):
            with suppress(NotFound, PermanentFailure):  # it has another name by now
                data = object_of(self._api.get(path), "a repository")
                if reading.repository_id(data) == external_id:
                    return data
        for data in self._listed({}):
            if reading.repository_id(data) == external_id:
                return data
        raise NotFound("Bitbucket has no repository with this id that this connection can see.")

    def _path(self, external_id: str) -> str:
        return reading.repository_path(self._find(external_id))

    def _every(self, path: str, params: Params) -> Iterator[Any]:
        asked = {"limit": _PAGE, **params}

        def next_page(page: Any) -> str:
            start = reading.next_start(page)
            return "" if start is None else f"{path}?{urlencode({**asked, 'start': start})}"

        return self._api.every(path, asked, items=values, next_of=next_page)
