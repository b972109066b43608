"""A client that speaks JSON with a bearer token."""

from __future__ import annotations

from typing import Any

from django.test import Client

from opssight.accounts import tokens
from opssight.accounts.models import Role, Team, User
from opssight.accounts.scope import Principal
from tests.factories import make_team, make_user


class Api:
    """`Api(token).get("runs/")` asks `/api/v1/runs/`; without a token nobody asks."""

    def __init__(self, token: str = "") -> None:
        self._client = Client(raise_request_exception=False)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def send(self, method: str, path: str, body: object = None, **headers: str) -> Any:
        path = path if path.startswith(("/", "http")) else f"/api/v1/{path}"
        return self._client.generic(
            method.upper(),
            path,
            data=b"" if body is None else self._client._encode_json(body, "application/json"),  # type: ignore[attr-defined]
            content_type="application/json",
            headers={**self._headers, **{name.replace("_", "-"): value for name, value in headers.items()}},
        )

    def get(self, path: str, **headers: str) -> Any:
        return self.send("GET", path, **headers)

    def post(self, path: str, body: object = None, **headers: str) -> Any:
        return self.send("POST", path, body, **headers)

    def patch(self, path: str, body: object = None) -> Any:
        return self.send("PATCH", path, body)

    def delete(self, path: str) -> Any:
        return self.send("DELETE", path)


def make_member(role: Role = Role.OWNER, team: Team | None = None) -> tuple[User, Team]:
    """A user with the role in a team of its own, or in the given one."""
    user = make_user()
    if team is None:
        return user, make_team(user, role)
    team.memberships.create(user=user, role=role)
    return user, team


def api_of(user: User, team: Team, *scopes: str) -> Api:
    """The API as this user in this team, with a token of these scopes (default: all)."""
    _, shown = tokens.issue(Principal.of_user(user), team, "test", scopes or ["all"])
    return Api(shown)


def make_api(role: Role = Role.OWNER, *scopes: str) -> tuple[Api, Team]:
    user, team = make_member(role)
    return api_of(user, team, *scopes), team
