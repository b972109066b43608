from __future__ import annotations

import json

import pytest
from django.test import Client

from opssight.accounts.models import ApiToken, Invitation, Role, Team
from opssight.audit.models import AuditEvent
from tests.api.client import Api, api_of, make_api, make_member
from tests.factories import make_user

pytestmark = pytest.mark.django_db


def session_of(client: Client, path: str, body: object) -> tuple[int, dict[str, object]]:
    answer = client.post(f"/api/v1/{path}", json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


def test_a_token_is_made_shown_once_listed_and_revoked() -> None:
    api, team = make_api()
    made = api.post("tokens/", {"name": "ci", "scopes": ["runs:read"]})
    assert made.status_code == 201
    assert made["Cache-Control"] == "no-store"
    text = made.json()["token"]
    assert text.startswith(made.json()["begins_with"])
    assert made.json()["team"] == str(team.pk)
    listed = api.get("tokens/")
    assert {row["name"] for row in listed.json()["results"]} == {"ci", "test"}
    assert text.split(".")[1] not in listed.content.decode()
    assert Api(text).get("runs/").status_code == 200
    assert api.delete(f"tokens/{made.json()['id']}/").status_code == 204
    assert Api(text).get("runs/").status_code == 401
    assert text.split(".")[1] not in str(list(AuditEvent.objects.values()))


def test_a_member_sees_and_revokes_own_tokens_only() -> None:
    admin_api, team = make_api(Role.ADMIN)
    viewer, _ = make_member(Role.VIEWER, team)
    viewer_api = api_of(viewer, team)
    others = ApiToken.objects.exclude(user=viewer).get()
    assert len(viewer_api.get("tokens/").json()["results"]) == 1
    assert viewer_api.delete(f"tokens/{others.pk}/").status_code == 404
    own = ApiToken.objects.get(user=viewer)
    assert admin_api.delete(f"tokens/{own.pk}/").status_code == 204
    assert viewer_api.get("runs/").status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"scopes": ["all"]}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["fly"]}, "scopes[0]"),
        ({"name": "x", "scopes": ["all"], "expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "scopes": ["all"], "team": "nonsense"}, "team"),
    ],
)
def test_what_is_wrong_with_a_token_is_named(body: dict[str, object], field: str) -> None:
    api, _ = make_api()
    answer = api.post("tokens/", body)
    assert answer.status_code in (400, 422)
    assert answer.json()["errors"][0]["field"].startswith(field.split("[")[0])


def test_a_narrow_token_makes_no_wider_one() -> None:
    api, _ = make_api(Role.OWNER, "tokens:write", "runs:read")
    assert api.post("tokens/", {"name": "x", "scopes": ["runs:read"]}).status_code == 201
    answer = api.post("tokens/", {"name": "x", "scopes": ["all"]})
    assert answer.status_code == 403
    assert "more than itself" in answer.json()["detail"]


def test_a_team_is_made_in_a_session_and_not_by_a_token(client: Client) -> None:
    user, team = make_member()
    assert api_of(user, team).post("teams/", {"name": "Docs"}).status_code == 403
    client.force_login(user)
    status, made = session_of(client, "teams/", {"name": "Docs"})
    assert (status, made["role"], made["slug"]) == (201, "owner", "docs")
    names = [row["name"] for row in client.get("/api/v1/teams/?sort=name").json()["results"]]
    assert "Docs" in names
    assert len(names) == 3  # with the personal one
    acme = Team.objects.get(pk=str(made["id"]))
    status, answer = session_of(client, "teams/", {"name": "x", "organization": str(acme.pk)})
    assert status == 400
    assert answer["errors"][0]["field"] == "organization"  # type: ignore[index]


def test_members_are_listed_changed_and_taken_out() -> None:
    user, team = make_member()
    api = api_of(user, team)
    other, _ = make_member(Role.VIEWER, team)
    listed = api.get(f"teams/{team.pk}/members/").json()["results"]
    assert {(row["email"], row["role"]) for row in listed} == {(user.email, "owner"), (other.email, "viewer")}
    path = f"teams/{team.pk}/members/{other.pk}/"
    assert api.patch(path, {"role": "admin"}).json()["role"] == "admin"
    assert api.patch(path, {"role": "king"}).status_code == 400
    assert api.patch(f"teams/{team.pk}/members/{user.pk}/", {"role": "viewer"}).status_code == 409
    assert api.patch(f"teams/{team.pk}/members/{make_user().pk}/", {"role": "viewer"}).status_code == 404
    assert api.delete(path).status_code == 204
    assert api.delete(path).status_code == 404


def test_a_team_is_renamed_and_handed_over() -> None:
    user, team = make_member()
    heir, _ = make_member(Role.VIEWER, team)
    api, heir_api = api_of(user, team), api_of(heir, team)
    assert heir_api.patch(f"teams/{team.pk}/", {"name": "New"}).status_code == 403
    assert api.patch(f"teams/{team.pk}/", {"name": "New"}).json()["name"] == "New"
    path = f"teams/{team.pk}/members/{heir.pk}/make-owner/"
    assert heir_api.post(path).status_code == 403
    assert api.post(path).json()["role"] == "admin"
    assert heir_api.get(f"teams/{team.pk}/").json()["role"] == "owner"


def test_an_invitation_shows_its_secret_once() -> None:
    api, team = make_api(Role.ADMIN)
    made = api.post("invitations/", {"email": "new@example.org", "role": "operator"})
    assert made.status_code == 201
    secret = made.json()["secret"]
    listed = api.get("invitations/")
    assert [row["email"] for row in listed.json()["results"]] == ["new@example.org"]
    assert secret not in listed.content.decode()
    assert api.post("invitations/", {"email": "x@example.org", "role": "owner"}).status_code == 403
    assert api.post("invitations/", {"email": "nobody", "role": "viewer"}).status_code == 422
    viewer, _ = make_member(Role.VIEWER, team)
    assert api_of(viewer, team).get("invitations/").json()["results"] == []
    assert api.delete(f"invitations/{made.json()['id']}/").status_code == 204
    assert not Invitation.objects.exists()
