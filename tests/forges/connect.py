"""The stand-in forges with their OAuth side: what a person connects to in a browser.

Paths, answers and errors are each forge's own: GitHub says errors with 200, Bitbucket takes the client as a
login and gives the same refresh token for good, Gitea has one error for nearly everything.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import urlencode

from tests.forges.bitbucket import BitbucketStandIn
from tests.forges.gitea import GiteaStandIn
from tests.forges.github import GitHubStandIn
from tests.forges.gitlab import GitLabStandIn
from tests.forges.oauth import OAuthSide
from tests.forges.standin import Asked, Reply

_DOCS = (
    "https://docs.github.com/apps/managing-oauth-apps/troubleshooting-oauth-app-access-token-request-errors"
)


class GitHubWithOAuth(OAuthSide, GitHubStandIn):
    """GitHub answers 200 with the error in the body, and as a form unless JSON is asked for.

    Tokens of an OAuth app do not end; here they do, as those of an app that has it switched on.
    """

    api_prefix = ("/api/", "/login/oauth/")
    needs_pkce = False

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/login/oauth/authorize":
            return self.authorize(asked)
        if asked.path != "/login/oauth/access_token":
            return super().answer(asked)
        reply = self.token(asked)
        if "json" not in asked.headers.get("accept", ""):
            form = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
            return Reply(200, raw=urlencode(reply.data).encode(), headers=form)
        return reply

    def refused(self, what: str) -> Reply:
        error, said = {
            "client": (
                "incorrect_client_credentials",
                "The client_id and/or client_secret passed are incorrect.",
            ),
            "redirect": ("redirect_uri_mismatch", "The redirect_uri MUST match the registered callback URL."),
            "refresh": ("bad_refresh_token", "The refresh token passed is incorrect or expired."),
        }.get(what, ("bad_verification_code", "The code passed is incorrect or expired."))
        return Reply(200, {"error": error, "error_description": said, "error_uri": _DOCS})

    def issue(self, login: str, scopes: list[str]) -> str:
        value = f"gho_{secrets.token_hex(18)}"
        self.add_token(value, login, scopes=scopes)
        return value

    def words(self, scopes: list[str]) -> dict[str, object]:
        more = {"refresh_token_expires_in": 15_811_200} if self.lifetime is not None else {}
        return {"token_type": "bearer", "scope": ",".join(scopes), **more}


class GitLabWithOAuth(OAuthSide, GitLabStandIn):
    needs_pkce = False

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/oauth/authorize":
            return self.authorize(asked)
        return self.token(asked) if asked.path == "/oauth/token" else super().answer(asked)

    def refused(self, what: str) -> Reply:
        if what == "client":
            said = (
                "Client authentication failed due to unknown client, no client authentication included, or "
            )
            said += "unsupported authentication method."
            return Reply(401, {"error": "invalid_client", "error_description": said})
        said = (
            "The provided authorization grant is invalid, expired, revoked, does not match the redirection "
        )
        said += "URI used in the authorization request, or was issued to another client."
        return Reply(400, {"error": "invalid_grant", "error_description": said})

    def issue(self, login: str, scopes: list[str]) -> str:
        value = secrets.token_hex(32)
        self.add_token(value, login, scopes=scopes)
        self.oauth.add(value)
        return value

    def words(self, scopes: list[str]) -> dict[str, object]:
        return {"token_type": "Bearer", "scope": " ".join(scopes), "created_at": 1_795_000_000}


class BitbucketWithOAuth(OAuthSide, BitbucketStandIn):
    """It knows no PKCE, takes no address to go back to but the registered one, and does not renew the
    refresh token."""

    api_prefix = ("/2.0/", "/site/oauth2/")
    used_once = needs_pkce = False

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/site/oauth2/authorize":
            return self.authorize(asked)
        return self.token(asked) if asked.path == "/site/oauth2/access_token" else super().answer(asked)

    def refused(self, what: str) -> Reply:
        if what == "client":
            said = "Invalid OAuth client credentials"
            return Reply(400, {"error": "unauthorized_client", "error_description": said})
        said = (
            "The specified refresh_token is invalid"
            if what == "refresh"
            else "The specified code is not valid."
        )
        return Reply(400, {"error": "invalid_grant", "error_description": said})

    def issue(self, login: str, scopes: list[str]) -> str:
        value = f"{secrets.token_urlsafe(48)}="
        self.add_token(value, login, scopes=_with_implied(scopes))
        return value

    def words(self, scopes: list[str]) -> dict[str, object]:
        return {"token_type": "bearer", "scopes": " ".join(scopes), "state": "authorization_code"}


class GiteaWithOAuth(OAuthSide, GiteaStandIn):
    """Its tokens are an hour old at most. Registered here: confidential, and refresh tokens are used once."""

    api_prefix = ("/api/", "/login/oauth/")
    needs_pkce = False

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.lifetime = 3_600

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/login/oauth/authorize":
            return self.authorize(asked)
        return self.token(asked) if asked.path == "/login/oauth/access_token" else super().answer(asked)

    def refused(self, what: str) -> Reply:
        error, said = {
            "client": ("invalid_client", "cannot load client with client id"),
            "pkce": ("unauthorized_client", "failed PKCE code challenge"),
            "refresh": ("unauthorized_client", "token was already used"),
        }.get(what, ("unauthorized_client", "client is not authorized"))
        return Reply(400, {"error": error, "error_description": said})

    def issue(self, login: str, scopes: list[str]) -> str:
        value = f"eyJhbGciOiJSUzI1NiJ9.{secrets.token_urlsafe(40)}.{secrets.token_urlsafe(20)}"
        self.add_token(value, login, scopes=scopes or ["all"])
        return value

    def words(self, scopes: list[str]) -> dict[str, object]:
        return {"token_type": "bearer"}


def _with_implied(scopes: list[str]) -> list[str]:
    """What Bitbucket counts as asked for with a scope."""
    implied = {
        "repository:write": ["repository"],
        "pullrequest": ["repository"],
        "pullrequest:write": ["pullrequest", "repository:write", "repository"],
        "account": ["email"],
    }
    return list(dict.fromkeys([one for scope in scopes for one in [scope, *implied.get(scope, [])]]))
