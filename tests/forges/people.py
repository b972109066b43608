"""Stand-in forges that also tell e-mail addresses: who somebody is, for signing in.

forge.emails["ana"] = [("ana@example.org", True)]   # address, verified; the first is the main one
"""

from __future__ import annotations

from typing import Any

from tests.forges.connect import BitbucketWithOAuth, GiteaWithOAuth, GitHubWithOAuth, GitLabWithOAuth
from tests.forges.oauth import OAuthSide
from tests.forges.standin import Asked, Reply, route


class _People(OAuthSide):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.emails: dict[str, list[tuple[str, bool]]] = {}

    def addresses(self, login: str, word: str = "verified", main: str = "primary") -> list[dict[str, Any]]:
        return [
            {"email": email, word: good, main: number == 0}
            for number, (email, good) in enumerate(self.emails.get(login, []))
        ]


class GitHubPeople(_People, GitHubWithOAuth):
    @route("GET", "/api/v3/user/emails")
    def user_emails(self, asked: Asked) -> Reply:
        found = [{**one, "visibility": None} for one in self.addresses(self.me.login)]
        return Reply(200, found[::-1])  # in no order

    def _compare(self, asked: Asked, reply: Reply) -> None:
        if asked.path != "/api/v3/user/emails":  # not in the part of GitHub's description that is kept
            super()._compare(asked, reply)


class GitLabPeople(_People, GitLabWithOAuth):
    @route("GET", "/api/v4/user")
    def get_user(self, asked: Asked) -> Reply:
        login = self.who(asked)
        email, good = (self.emails.get(login) or [("", False)])[0]
        confirmed = "2026-01-05T10:00:00.000Z" if good else None
        return Reply(200, {**self.user(login), "bot": False, "email": email, "confirmed_at": confirmed})


class BitbucketPeople(_People, BitbucketWithOAuth):
    @route("GET", "/2.0/user/emails")
    def user_emails(self, asked: Asked) -> Reply:
        token = self._token(asked.headers["authorization"])
        assert token is not None
        return self.page(asked, self.addresses(token.login, "is_confirmed", "is_primary"))


class GiteaPeople(_People, GiteaWithOAuth):
    @route("GET", "/api/v1/user/emails")
    def user_emails(self, asked: Asked) -> Reply:
        return Reply(200, self.addresses(self.who(asked)))
