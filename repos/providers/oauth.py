"""OAuth 2 as providers offer it: an address to send people to, and tokens for what they bring back.

Authorization codes are bound to us by PKCE (S256). The state that binds them to a session is the
caller's. Client secret, code and tokens travel in the body or a header, never in an address.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import urlencode

from opssight.core.errors import AuthFailure, PermanentFailure, TransientFailure
from opssight.core.outbound_http import Client
from repos.providers.http import post_form


@dataclass(frozen=True)
class OAuth:
    """How one provider gives tokens: paths below its web address, and the scopes that jobs need."""

    authorize: str
    token: str
    scopes: tuple[str, ...]
    separator: str = " "
    basic: bool = False  # client id and secret as a login, not in the form


@dataclass(frozen=True)
class OAuthApp:
    """Our registration at one provider instance, whose web address is `site`."""

    site: str
    client_id: str
    client_secret: str = field(repr=False)


@dataclass(frozen=True)
class Grant:
    """What a provider gave. `refresh_token` is "" and `expires_at` None where the token does not end."""

    token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: dt.datetime | None = None
    scopes: tuple[str, ...] = ()


class OAuthClient:
    """One OAuth application. `client` makes an HTTP client that keeps to the outbound policy."""

    _REFUSED: ClassVar[frozenset[str]] = frozenset({"invalid_client", "incorrect_client_credentials"})

    def __init__(self, oauth: OAuth, app: OAuthApp, client: Callable[[str], Client], label: str) -> None:
        self._oauth, self._app, self._client, self._label = oauth, app, client, label

    def authorize_url(self, redirect_uri: str, state: str, verifier: str) -> str:
        """Where a person allows us in. `verifier`: 43 to 128 random characters, kept in the session."""
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "client_id": self._app.client_id,
            "redirect_uri": redirect_uri,
            "response_type": "code",
            "scope": self._oauth.separator.join(self._oauth.scopes),
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{self._app.site.rstrip('/')}{self._oauth.authorize}?{urlencode(query)}"

    def exchange(self, code: str, redirect_uri: str, verifier: str) -> Grant:
        """The tokens for a code. AuthFailure when it is not accepted (any more)."""
        return self._ask(
            {
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "code_verifier": verifier,
            },
            f"{self._label} does not accept this sign-in any more. Start again from the connect page.",
        )

    def refresh(self, refresh_token: str) -> Grant:
        """New tokens for a refresh token, which many accept only once. AuthFailure when it is over."""
        return self._ask(
            {"grant_type": "refresh_token", "refresh_token": refresh_token},
            f"{self._label} does not renew the access any more. Connect again.",
        )

    def _ask(self, fields: Mapping[str, str], refused: str) -> Grant:
        app = {"client_id": self._app.client_id, "client_secret": self._app.client_secret}
        login = (self._app.client_id, self._app.client_secret) if self._oauth.basic else None
        url = f"{self._app.site.rstrip('/')}{self._oauth.token}"
        form = {**fields} if login else {**app, **fields}
        status, data = post_form(self._client, url, form, self._label, login)
        if status >= 500 or status == 429:
            raise TransientFailure(f"{self._label} gives no tokens just now (HTTP {status}).")
        error = data.get("error") if isinstance(data, dict) else None
        if error in self._REFUSED:
            raise PermanentFailure(
                f"{self._label} does not know our client id and secret. An administrator checks them."
            )
        if error or status >= 400:
            raise AuthFailure(refused)
        return _grant(data, self._label)


def _grant(data: Any, label: str) -> Grant:
    given: Mapping[str, Any] = data if isinstance(data, dict) else {}
    token, refresh, scope = (given.get(n) for n in ("access_token", "refresh_token", "scope"))
    if not isinstance(token, str) or not token or not token.isprintable():
        raise TransientFailure(f"{label} answered without a token.")
    seconds = given.get("expires_in")
    ends = None
    if isinstance(seconds, int) and 0 < seconds < 10 * 365 * 86_400:
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds)
    scopes = tuple(scope.replace(",", " ").split()) if isinstance(scope, str) else ()
    return Grant(token, refresh if isinstance(refresh, str) else "", ends, scopes)
