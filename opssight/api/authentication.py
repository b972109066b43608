"""Who calls the API: a bearer token, or the session of a signed-in user (then with CSRF protection).

`request.auth` is always a `Principal`. Imported by DRF while its own views load: keep this module
free of viewsets and serializers.
"""

from __future__ import annotations

from rest_framework import authentication, exceptions
from rest_framework.request import Request

from opssight.accounts import access_tokens, tokens
from opssight.accounts.models import User
from opssight.accounts.scope import Principal


class BearerAuthentication(authentication.BaseAuthentication):
    """`Authorization: Bearer`, with an API token (`osp_…`) or an access token (a JWT)."""

    def authenticate(self, request: Request) -> tuple[User, Principal] | None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        text = text.strip()
        is_api_token = text.startswith(tokens.PREFIX)
        token = tokens.verify(text) if is_api_token else access_tokens.verify(text)
        principal = Principal.of_token(token) if token else None
        if principal is None or not principal.roles:  # its user may have left the team
            raise exceptions.AuthenticationFailed("This token is not valid: unknown, expired or revoked.")
        return principal.user, principal

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="opssight"'


class SessionAuthentication(authentication.SessionAuthentication):
    """The browser's session; a change needs the CSRF token."""

    def authenticate(self, request: Request) -> tuple[User, Principal] | None:
        found = super().authenticate(request)
        if found is None:
            return None
        user: User = found[0]
        return user, Principal.of_user(user)
