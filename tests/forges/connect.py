"""The stand-in forges with their OAuth side: what a person connects to in a browser."""

from __future__ import annotations

from tests.forges.github import GitHubStandIn
from tests.forges.oauth import OAuthSide
from tests.forges.standin import Asked, Reply


class GitHubWithOAuth(OAuthSide, GitHubStandIn):
    """GitHub answers 200 with the error in the body when it gives no token."""

    api_prefix = ("/api/", "/login/oauth/")

    def answer(self, asked: Asked) -> Reply:
        if asked.path == "/login/oauth/authorize":
            return self.authorize(asked)
        if asked.path == "/login/oauth/access_token":
            reply = self.token(asked)
            return Reply(200, reply.data) if reply.status == 400 else reply
        return super().answer(asked)
