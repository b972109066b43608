from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

import jwt
import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from opssight.accounts import access_tokens, tokens
from opssight.accounts.models import AccessToken, Membership, Role, Team, User
from opssight.accounts.scope import NotAllowed, Principal
from opssight.audit.models import AuditEvent
from opssight.core.clock import now
from opssight.core.env_kinds import Rate
from opssight.core.errors import InvalidInput, NotFound
from opssight.core.keys import keyring
from syncs.engine.housekeeping import prune
from tests.api.client import Api, api_of, make_member
from tests.factories import make_team

pytestmark = pytest.mark.django_db
SECRET_WORD = "a long enough pass phrase 4711"


@pytest.fixture
def member() -> tuple[User, Team]:
    user, team = make_member()
    user.set_password(SECRET_WORD)
    user.save()
    return user, team


def exchange(api: Api, **body: Any) -> dict[str, Any]:
    answer = api.post("auth/token", body)
    assert answer.status_code == 200, answer.content
    document: dict[str, Any] = answer.json()
    return document


def status_with(text: str) -> int:
    return int(Api(text).get("repositories/").status_code)


def test_an_api_token_is_exchanged_for_a_quarter_of_an_hour(member: tuple[User, Team]) -> None:
    user, team = member
    given = exchange(api_of(user, team, "repositories:read", "runs:read"))
    assert given["expires_in"] == 900
    assert given["token_type"] == "bearer"
    assert given["scopes"] == ["repositories:read", "runs:read"]
    claims = jwt.decode(given["access_token"], options={"verify_signature": False})
    assert (claims["aud"], claims["sub"], claims["team"]) == ("opssight-api", str(user.pk), str(team.pk))
    assert claims["jti"] == given["jti"]
    assert claims["exp"] - claims["iat"] == 900
    assert status_with(given["access_token"]) == 200
    assert Api(given["access_token"]).get("connections/").status_code == 403  # not among its scopes
    assert AuditEvent.objects.filter(action="access_token.issued", team_id=team.pk).count() == 1


def test_scopes_are_narrowed_and_never_widened(member: tuple[User, Team]) -> None:
    user, team = member
    api = api_of(user, team, "repositories:write")
    narrow = exchange(api, scopes=["repositories:read"])
    assert Api(narrow["access_token"]).get("repositories/").status_code == 200
    refused = api.post("auth/token", {"scopes": ["runs:read"]})
    assert refused.status_code == 403
    assert "allowed more than itself: runs:read" in refused.json()["detail"]
    assert api.post("auth/token", {"scopes": ["no:such"]}).status_code == 400
    with pytest.raises(InvalidInput, match="no scope no:such"):
        access_tokens.issue(Principal.of_user(user), team, ["no:such"])


def test_an_access_token_makes_no_other(member: tuple[User, Team]) -> None:
    given = exchange(Api(), email=member[0].email, password=SECRET_WORD, team=str(member[1].pk))
    again = Api(given["access_token"]).post("auth/token", {})
    assert again.status_code == 403
    assert "does not renew itself" in again.json()["detail"]


def test_what_passes_makes_nothing_that_stays(member: tuple[User, Team]) -> None:
    user, team = member
    for given in (
        exchange(api_of(user, team)),
        exchange(Api(), email=user.email, password=SECRET_WORD, team=str(team.pk)),
    ):
        refused = Api(given["access_token"]).post("tokens/", {"name": "for ever", "scopes": ["all"]})
        assert refused.status_code == 403
        assert "makes no other token" in refused.json()["detail"]


def test_ending_those_of_others_needs_the_scope(member: tuple[User, Team]) -> None:
    user, team = member
    theirs = exchange(api_of(*make_member(Role.VIEWER, team)[:1], team))
    assert (
        api_of(user, team, "runs:read").post("auth/token/revoke", {"jti": theirs["jti"]}).status_code == 403
    )
    assert status_with(theirs["access_token"]) == 200
    narrow = api_of(user, team, "tokens:write")
    assert narrow.post("auth/token/revoke", {"jti": theirs["jti"]}).status_code == 204
    assert status_with(theirs["access_token"]) == 401


def test_email_and_password_sign_in(member: tuple[User, Team], settings: Settings) -> None:
    user, team = member
    given = exchange(Api(), email=user.email, password=SECRET_WORD, team=str(team.pk))
    assert given["scopes"] == ["all"]
    assert Api(given["access_token"]).get(f"teams/{team.pk}/").status_code == 200
    settings.SIGNIN_RATE = Rate(2, 60)
    wrong = {"email": user.email, "password": "not this one"}
    answers = [Api().post("auth/token", wrong) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 401]
    assert "Too many attempts" in answers[2].json()["detail"]
    assert Api().post("auth/token", {}).status_code == 401
    settings.SIGNIN_RATE = Rate(50, 60)
    personal = Team.objects.get(personal_user=user)
    assert exchange(Api(), email=user.email, password=SECRET_WORD)["team"] == str(personal.pk)
    elsewhere = {"email": user.email, "password": SECRET_WORD, "team": str(make_team().pk)}
    assert "Name one of your teams" in Api().post("auth/token", elsewhere).json()["errors"][0]["message"]
    assert Api().post("auth/token", {"email": user.email}).status_code == 401


def test_a_session_needs_its_csrf_token(member: tuple[User, Team]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(member[0])
    assert client.post("/api/v1/auth/token", {}, content_type="application/json").status_code == 403
    client = Client()
    client.force_login(member[0])
    given = client.post("/api/v1/auth/token", {}, content_type="application/json")
    assert given.status_code == 200
    assert given["Cache-Control"] == "no-store"
    assert status_with(given.json()["access_token"]) == 200


def test_it_acts_in_its_team_only(member: tuple[User, Team]) -> None:
    user, team = member
    other = make_team(user, Role.OWNER)
    text = exchange(Api(), email=user.email, password=SECRET_WORD, team=str(team.pk))["access_token"]
    assert {row["id"] for row in Api(text).get("teams/").json()["results"]} == {str(team.pk)}
    assert Api(text).get(f"teams/{other.pk}/").status_code == 404
    made = Api(text).post("teams/", {"name": "Another"})
    assert made.status_code == 403


def test_revoked_at_once(member: tuple[User, Team]) -> None:
    user, team = member
    api = api_of(user, team)
    given = exchange(api)
    stranger = api_of(*make_member())
    assert stranger.post("auth/token/revoke", {"jti": given["jti"]}).status_code == 404
    viewer, _ = make_member(Role.VIEWER, team)
    assert api_of(viewer, team).post("auth/token/revoke", {"jti": given["jti"]}).status_code == 403
    assert status_with(given["access_token"]) == 200
    assert Api(given["access_token"]).post("auth/token/revoke", {"jti": given["jti"]}).status_code == 204
    assert status_with(given["access_token"]) == 401
    assert api.post("auth/token/revoke", {"jti": given["jti"]}).status_code == 204
    assert AuditEvent.objects.filter(action="access_token.revoked").count() == 1
    with pytest.raises(NotFound):
        access_tokens.revoke(Principal.of_user(user), team.pk)


def test_it_ends_with_what_it_was_given_for(member: tuple[User, Team]) -> None:
    user, team = member
    principal = Principal.of_user(user)
    parent, shown = tokens.issue(principal, team, "ci", ["all"])
    of_token = exchange(Api(shown))["access_token"]
    of_password = exchange(Api(), email=user.email, password=SECRET_WORD, team=str(team.pk))["access_token"]
    assert [status_with(of_token), status_with(of_password)] == [200, 200]
    tokens.revoke(principal, parent)
    assert [status_with(of_token), status_with(of_password)] == [401, 200]
    user.set_password("another long pass phrase 12")
    user.save()
    assert status_with(of_password) == 401


def test_it_ends_with_the_membership_and_the_account(member: tuple[User, Team]) -> None:
    user, team = member
    text = exchange(Api(), email=user.email, password=SECRET_WORD, team=str(team.pk))["access_token"]
    User.objects.filter(pk=user.pk).update(is_active=False)
    assert status_with(text) == 401
    User.objects.filter(pk=user.pk).update(is_active=True)
    assert status_with(text) == 200
    Membership.objects.filter(user=user, team=team).delete()
    assert status_with(text) == 401


def test_it_does_not_outlive_its_parent(member: tuple[User, Team]) -> None:
    user, team = member
    soon = now() + dt.timedelta(minutes=3)
    _, shown = tokens.issue(Principal.of_user(user), team, "short", ["all"], soon)
    assert exchange(Api(shown))["expires_in"] in (179, 180)


def forged(claims: dict[str, Any], key: bytes, algorithm: str, kid: str | None) -> str:
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid} if kid else {})


def test_forged_and_odd_tokens_are_refused(member: tuple[User, Team]) -> None:
    user, team = member
    text = exchange(api_of(user, team))["access_token"]
    right = jwt.decode(text, options={"verify_signature": False})
    kid = keyring().primary
    key = keyring().derive("access token", kid)
    assert status_with(forged(right, key, "HS256", kid)) == 200  # so the others are refused for one reason
    moment = int(now().timestamp())
    wrong: list[dict[str, Any]] = [
        {"aud": "another"},
        {"iss": "https://elsewhere.example.org"},
        {"exp": moment - 60},
        {"nbf": moment + 600},
        {"iat": moment + 600},
        {"jti": "7"},
        {"jti": str(team.pk)},
        {"account": "0" * 32},
    ]
    odd = [forged({**right, **part}, key, "HS256", kid) for part in wrong]
    odd += [forged({n: v for n, v in right.items() if n != name}, key, "HS256", kid) for name in right]
    head, body, signature = text.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": kid}).encode()).decode().rstrip("=")
    odd += [
        forged(right, key * 2, "HS512", kid),
        forged(right, key, "HS256", None),
        forged(right, key, "HS256", "k00000000"),
        forged(right, keyring().derive("another purpose", kid), "HS256", kid),
        f"{none}.{body}.",
        f"{none}.{body}.{signature}",
        f"{head}.{body}.{signature[:-2]}",
        f"{head}.{body}",
        "eyJ",
        "a.b.c",
        "x" * 100_000,
        "é.é.é",
    ]
    assert {status_with(one) for one in odd} == {401}


def test_few_queries(
    member: tuple[User, Team], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    text = exchange(api_of(*member))["access_token"]
    with django_assert_max_num_queries(2):
        token = access_tokens.verify(text)
        assert token is not None
        assert Principal.of_token(token).roles


def test_old_ones_are_pruned(member: tuple[User, Team]) -> None:
    user, team = member
    token, _ = access_tokens.issue(Principal.of_user(user), team)
    assert prune()["access tokens"] == 0
    AccessToken.objects.filter(pk=token.pk).update(expires_at=now() - dt.timedelta(hours=2))
    assert prune()["access tokens"] == 1


def test_strangers_get_none(member: tuple[User, Team]) -> None:
    stranger, _ = make_member()
    with pytest.raises(NotAllowed):
        access_tokens.issue(Principal.of_user(stranger), member[1])
