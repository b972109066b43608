"""The OAuth side of a stand-in forge: a page that asks a person, codes, tokens that end and are used once."""

from __future__ import annotations

import base64
import binascii
import dataclasses
import datetime as dt
import hashlib
import html
import secrets
from urllib.parse import parse_qs, urlencode

from tests.forges.standin import Asked, Reply, StandIn, Token

CODE_SECONDS = 600


@dataclasses.dataclass
class Code:
    login: str
    client_id: str
    redirect_uri: str
    challenge: str
    scopes: list[str]
    ends: dt.datetime


class OAuthSide(StandIn):
    """`apps`: client id to secret. `callback`: the registered address, "" for any. `lifetime`: seconds of a
    token, None for one that does not end. `used_once`: a refresh token is accepted once, and a new one given.

    A subclass routes `authorize` (GET shows a form, POST is the person who allows it as `signed_in`) and
    `token`, and says errors as its original does. `exchanged` and `refreshed` count what was given out.
    """

    used_once = True
    needs_pkce = True  # else it is checked where it was asked for

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.apps = {"client-1": "canary-client-secret"}
        self.callback = ""
        self.signed_in = "ana"
        self.lifetime: int | None = 7_200
        self.codes: dict[str, Code] = {}
        self.refresh_tokens: dict[str, tuple[str, list[str], str]] = {}  # to login, scopes, access token
        self.given: list[str] = []  # every code and token there ever was
        self.exchanged = self.refreshed = 0

    # --- the page -----------------------------------------------------------------------------------

    def authorize(self, asked: Asked) -> Reply:
        given = asked.query
        back = given.get("redirect_uri", "")
        if given.get("client_id") not in self.apps or given.get("response_type", "code") != "code":
            return _page(404, "There is no such application.")
        if not back.startswith(("http://", "https://")) or (self.callback and back != self.callback):
            return _page(400, "The redirect URI is not the one that is registered.")
        pkce = given.get("code_challenge_method") == "S256" and len(given.get("code_challenge", "")) == 43
        if self.needs_pkce and not pkce:
            return _page(400, "PKCE is needed.")
        if asked.method == "GET":
            name = html.escape(self.signed_in)
            buttons = f"<button>Allow as {name}</button> <button name=deny value=1>Deny</button>"
            words = html.escape(given.get("scope", ""))
            return _page(200, "Allow OpsSight?", f"<p>{words}</p><form method=post>{buttons}</form>")
        state = {"state": given["state"]} if "state" in given else {}
        if parse_qs(asked.body.decode()).get("deny"):
            said = {"error": "access_denied", "error_description": "The resource owner denied the request."}
            return Reply(302, headers={"Location": f"{back}?{urlencode({**said, **state})}"})
        code = secrets.token_urlsafe(20)
        scopes = given.get("scope", "").replace(",", " ").split()
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=CODE_SECONDS)
        challenge = given.get("code_challenge", "")
        self.given.append(code)
        self.codes[code] = Code(self.signed_in, given["client_id"], back, challenge, scopes, ends)
        return Reply(302, headers={"Location": f"{back}?{urlencode({'code': code, **state})}"})

    # --- tokens -------------------------------------------------------------------------------------

    def token(self, asked: Asked) -> Reply:
        form = {name: values[-1] for name, values in parse_qs(asked.body.decode()).items()}
        app, secret = _login(asked.headers.get("authorization", "")) or (
            form.get("client_id", ""),
            form.get("client_secret", ""),
        )
        if self.apps.get(app) != secret:
            return self.refused("client")
        if form.get("grant_type") == "refresh_token":
            return self._refresh(form.get("refresh_token", ""))
        code = self.codes.pop(form.get("code", ""), None)
        now = dt.datetime.now(dt.UTC)
        if code is None or code.client_id != app or code.ends < now:
            return self.refused("code")
        if code.redirect_uri != form.get("redirect_uri"):
            return self.refused("redirect")
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if code.challenge not in ("", base64.urlsafe_b64encode(digest).rstrip(b"=").decode()):
            return self.refused("pkce")
        self.exchanged += 1
        return self._give(code.login, code.scopes)

    def _refresh(self, value: str) -> Reply:
        found = self.refresh_tokens.get(value)
        if found is None:
            return self.refused("refresh")
        self.refreshed += 1
        login, scopes, old = found
        if not self.used_once:
            return self._give(login, scopes, value)
        del self.refresh_tokens[value]
        self.tokens.pop(old, None)  # with the refresh token goes the token that came with it
        return self._give(login, scopes)

    def refused(self, what: str) -> Reply:
        """`what`: client, code, redirect, pkce or refresh; as RFC 6749 says it."""
        if what == "client":
            return Reply(401, {"error": "invalid_client"})
        return Reply(400, {"error": "invalid_grant", "error_description": f"The {what} does not fit."})

    def _give(self, login: str, scopes: list[str], refresh: str = "") -> Reply:
        token = self.issue(login, scopes)
        self.given.append(token)
        answer: dict[str, object] = {"access_token": token, **self.words(scopes)}
        if self.lifetime is not None:
            refresh = refresh or f"ort-{secrets.token_hex(16)}"
            self.given.append(refresh)
            self.refresh_tokens[refresh] = (login, scopes, token)
            answer |= {"refresh_token": refresh, "expires_in": self.lifetime}
            ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.lifetime)
            self.tokens[token].expires_at = ends
        return Reply(200, answer)

    def issue(self, login: str, scopes: list[str]) -> str:
        """A new token of the kind that the forge takes."""
        value = f"oat-{secrets.token_hex(16)}"
        self.tokens[value] = Token(login, scopes)
        return value

    def words(self, scopes: list[str]) -> dict[str, object]:
        """What an answer says of a token beside it."""
        return {"token_type": "bearer", "scope": " ".join(scopes)}


def _page(status: int, heading: str, more: str = "") -> Reply:
    head = "<title>Stand-in</title><link rel=icon href=data:,>"  # so that no icon is asked for
    page = f"<!doctype html><html lang=en>{head}<h1>{heading}</h1>{more}"
    return Reply(status, raw=page.encode(), headers={"Content-Type": "text/html; charset=utf-8"})


def _login(authorization: str) -> tuple[str, str] | None:
    """Client id and secret from a Basic login."""
    kind, _, value = authorization.partition(" ")
    if kind != "Basic":
        return None
    try:
        name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, secret
