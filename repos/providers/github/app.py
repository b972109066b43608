"""GitHub Apps: what our app asks in its own name, what an installation sees, and whose it is.

An app signs a token of ten minutes with its private key, and gets for each installation one that is
good for an hour and for nothing but that installation.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import jwt

from opssight.core.errors import AuthFailure, NotFound, PermanentFailure, TransientFailure
from repos.providers.forge import Person
from repos.providers.github.dialect import dialect
from repos.providers.github.reading import id_of, login_of, object_of, odd
from repos.providers.http import Api, Wire
from repos.providers.oauth import Grant
from repos.providers.values import part_of, text_of, time_of, verified
from repos.providers.wire import FixedToken

LABEL = "GitHub"
# as jobs need them; `members` proves who owns an organization, `emails` lets people sign in
PERMISSIONS = {
    "administration": "write",
    "checks": "read",
    "contents": "write",
    "emails": "read",
    "actions": "read",
    "members": "read",
    "metadata": "read",
    "pull_requests": "write",
    "statuses": "write",
    "workflows": "write",
}
EVENTS = ("create", "delete", "pull_request", "push", "repository", "workflow_run")
_EARLIER, _LATER = 60, 540  # seconds: clocks differ, and more than ten minutes are refused


@dataclass(frozen=True)
class AppKey:
    """What an app signs with."""

    app_id: str
    private_key: str = field(repr=False)


@dataclass(frozen=True)
class NewApp:
    """An app as GitHub made it from a manifest; `hook_secret` is "" where it has no webhook."""

    app_id: str
    slug: str
    client_id: str
    client_secret: str = field(repr=False)
    private_key: str = field(repr=False)
    hook_secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class Installation:
    """Where an app is installed. `account` is a user, or an organization when `organization`."""

    id: str
    account: str
    account_id: str
    organization: bool
    suspended: bool = False


class _Signed:
    """Tokens that an app makes for itself."""

    def __init__(self, key: AppKey) -> None:
        self._key = key

    def current(self) -> str:
        at = int(time.time())
        claims = {"iss": self._key.app_id, "iat": at - _EARLIER, "exp": at + _LATER}
        try:
            return jwt.encode(claims, self._key.private_key, "RS256")
        except (jwt.InvalidKeyError, ValueError, TypeError):
            raise PermanentFailure(
                "The private key of the GitHub App cannot be read. Make a new one there, and enter it here."
            ) from None

    def renewed(self, refused: str) -> str:
        return ""


class GitHubApp:
    """Our app at the GitHub whose API is at `api`."""

    def __init__(self, api: str, key: AppKey, wire: Wire) -> None:
        self._api = Api(api, wire, _Signed(key), dialect(LABEL))

    def installation(self, number: str) -> Installation:
        """NotFound for one that is not ours, or not any more."""
        return installation_of(self._api.get(f"/app/installations/{_number(number)}"))

    def token(self, number: str) -> Grant:
        """A token of an hour. AuthFailure when the installation was removed or suspended."""
        try:
            data = self._api.send("POST", f"/app/installations/{_number(number)}/access_tokens")
        except NotFound:
            raise AuthFailure("The app is not installed there any more. Install it again.") from None
        except AuthFailure:
            raise PermanentFailure(
                "GitHub does not accept the private key of the app. An administrator enters a new one."
            ) from None
        except PermanentFailure as failure:
            if "suspended" in failure.sentence:
                raise AuthFailure("The installation of the app is suspended. Lift that at GitHub.") from None
            raise
        given = object_of(data, "a token")
        token, ends = text_of(given.get("token"), 2_000), time_of(given.get("expires_at"))
        if not token or ends is None:
            raise TransientFailure("GitHub answered without a token.")
        return Grant(token, "", ends)


class AppUser:
    """The person who allows our app in, by a token that is used at once and not kept."""

    def __init__(self, api: str, token: str, wire: Wire) -> None:
        self._api = Api(api, wire, FixedToken(token), dialect(LABEL))

    def owns(self, installation: Installation) -> bool:
        """Whether the account of the installation is this person's, or an organization of theirs.

        Everybody who may see one repository sees the installation, so seeing it proves nothing.
        """
        if not installation.organization:
            return (
                id_of(object_of(self._api.get("/user"), "an account"), "an account")
                == installation.account_id
            )
        path = f"/user/memberships/orgs/{quote(installation.account, safe='')}"
        try:
            member = object_of(self._api.get(path), "a membership")
        except NotFound:
            return False
        return member.get("state") == "active" and member.get("role") == "admin"

    def sees(self, number: str) -> bool:
        """Whether the installation is among those that this person can see."""
        rows = self._api.every(
            "/user/installations",
            {"per_page": 100},
            items=lambda data: object_of(data, "a list").get("installations"),
        )
        return any(isinstance(row, dict) and str(row.get("id")) == number for row in rows)


def convert(api: str, code: str, wire: Wire) -> NewApp:
    """The app that GitHub made from our manifest; a code counts once, and for an hour."""
    client = Api(api, wire, FixedToken(""), dialect(LABEL))
    item = object_of(client.send("POST", f"/app-manifests/{quote(code, safe='')}/conversions"), "an app")
    texts = [text_of(item.get(name), 200) for name in ("slug", "client_id", "client_secret")]
    key = item.get("pem")
    if not all(texts) or not isinstance(key, str) or "PRIVATE KEY" not in key:
        raise odd("an app")
    secret = text_of(item.get("webhook_secret"), 200)
    return NewApp(id_of(item, "an app"), texts[0], texts[1], texts[2], key, secret)


def installation_of(data: Any) -> Installation:
    item = object_of(data, "an installation")
    account = part_of(item, "account")
    login = login_of(account) or text_of(account.get("slug"), 100)
    if not login:
        raise odd("an installation")
    return Installation(
        id=id_of(item, "an installation"),
        account=login,
        account_id=id_of(account, "an account"),
        organization=item.get("target_type") == "Organization",
        suspended=bool(item.get("suspended_at")),
    )


def person_of(api: Api) -> Person:
    item = object_of(api.get("/user"), "an account")
    found = list(api.every("/user/emails", {"per_page": 100}))
    return Person(id_of(item, "an account"), login_of(item), text_of(item.get("name"), 150), verified(found))


def listed(api: Api) -> Iterator[Any]:
    """What an installation sees."""
    return api.every(
        "/installation/repositories",
        {"per_page": 100},
        items=lambda data: object_of(data, "a list").get("repositories"),
    )


def manifest(
    *,
    name: str,
    url: str,
    hook_url: str,
    made_url: str,
    callback_url: str,
    installed_url: str,
    anywhere: bool,
) -> Mapping[str, Any]:
    """What GitHub makes an app from. `hook_url`: "" where it could not reach us. `anywhere`: also accounts
    other than the app's owner may install it.
    """
    hook: dict[str, Any] = {
        "hook_attributes": {"url": hook_url, "active": True},
        "default_events": list(EVENTS),
    }
    return {
        "name": name,
        "url": url,
        "redirect_url": made_url,
        "callback_urls": [callback_url],
        "setup_url": installed_url,
        "setup_on_update": True,
        "public": anywhere,
        "default_permissions": PERMISSIONS,
        **(hook if hook_url else {}),
    }


def _number(text: str) -> str:
    """Of an installation. NotFound for anything else: nothing is asked under it."""
    if text.isascii() and text.isdecimal() and len(text) < 20:
        return text
    raise NotFound("GitHub has no such installation of the app.")
