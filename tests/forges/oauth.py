"""The OAuth side of a stand-in forge: a page that asks a person, codes, tokens that end and are used once."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import hashlib
import secrets
from urllib.parse import parse_qs, urlencode

from tests.forges.standin import Asked, Reply, StandIn, Token


@dataclasses.dataclass
class Code:
    login: str
    redirect_uri: str
    challenge: str
    scopes: list[str]


class OAuthSide(StandIn):
    """`apps`: client id to secret. `lifetime`: seconds of a token, None for one that does not end.

    A subclass routes `authorize` (GET shows a form, POST is the person who allows it as `signed_in`) and
    `token`. `exchanged` and `refreshed` count what was given out; a refresh token is accepted once.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.apps = {"client-1": "canary-client-secret"}
        self.signed_in = "ana"
        self.lifetime: int | None = 7_200
        self.codes: dict[str, Code] = {}
        self.refresh_tokens: dict[str, str] = {}  # to the login
        self.exchanged = self.refreshed = 0

    def authorize(self, asked: Asked) -> Reply:
        given = asked.query
        if given.get("client_id") not in self.apps or given.get("response_type") != "code":
            return Reply(404, raw=b"<h1>There is no such application.</h1>", headers=_HTML)
        if given.get("code_challenge_method") != "S256" or len(given.get("code_challenge", "")) != 43:
            return Reply(400, raw=b"<h1>PKCE is needed.</h1>", headers=_HTML)
        if asked.method == "GET":
            page = (
                f"<h1>Allow OpsSight?</h1><form method=post><button>Allow as {self.signed_in}</button></form>"
            )
            return Reply(200, raw=page.encode(), headers=_HTML)
        code = secrets.token_urlsafe(20)
        scopes = given.get("scope", "").replace(",", " ").split()
        self.codes[code] = Code(self.signed_in, given["redirect_uri"], given["code_challenge"], scopes)
        back = f"{given['redirect_uri']}?{urlencode({'code': code, 'state': given.get('state', '')})}"
        return Reply(302, headers={"Location": back})

    def token(self, asked: Asked) -> Reply:
        form = {name: values[-1] for name, values in parse_qs(asked.body.decode()).items()}
        if self.apps.get(form.get("client_id", "")) != form.get("client_secret"):
            return Reply(401, {"error": "invalid_client"})
        if form.get("grant_type") == "refresh_token":
            login = self.refresh_tokens.pop(form.get("refresh_token", ""), None)
            if login is None:
                return Reply(400, {"error": "invalid_grant", "error_description": "It was used already."})
            self.refreshed += 1
            return self._give(login, [])
        code = self.codes.pop(form.get("code", ""), None)
        if code is None or code.redirect_uri != form.get("redirect_uri"):
            return Reply(400, {"error": "invalid_grant"})
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != code.challenge:
            return Reply(400, {"error": "invalid_grant", "error_description": "PKCE does not fit."})
        self.exchanged += 1
        return self._give(code.login, code.scopes)

    def _give(self, login: str, scopes: list[str]) -> Reply:
        token, ends = f"oat-{secrets.token_hex(16)}", None
        answer: dict[str, object] = {"access_token": token, "token_type": "bearer", "scope": " ".join(scopes)}
        if self.lifetime is not None:
            refresh = f"ort-{secrets.token_hex(16)}"
            self.refresh_tokens[refresh] = login
            ends = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.lifetime)
            answer |= {"refresh_token": refresh, "expires_in": self.lifetime}
        self.tokens[token] = Token(login, scopes, ends)
        return Reply(200, answer)


_HTML = {"Content-Type": "text/html; charset=utf-8"}
