"""Who may do what: role by scope, for every collection."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from opssight.accounts.models import Membership, Role
from opssight.accounts.scope import Principal, visible_to
from opssight.accounts.tokens import SCOPES
from opssight.api.views import refuse_unseen
from opssight.core.env_kinds import Rate
from syncs.models import Job, Run
from tests.api.client import Api, api_of, make_api, make_member
from tests.factories import make_job, make_team, make_user

pytestmark = pytest.mark.django_db

COLLECTIONS = {
    "jobs": "jobs",
    "runs": "runs",
    "teams": "teams",
    "invitations": "teams",
    "tokens": "tokens",
    "audit": "audit",
    "connections": "connections",
    "repositories": "repositories",
    "hooks": "deliveries",
    "deliveries": "deliveries",
}


@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize("scope", SCOPES)
def test_a_list_needs_the_scope_of_its_area(collection: str, scope: str) -> None:
    api, _ = make_api(Role.OWNER, scope)
    area = COLLECTIONS[collection]
    allowed = scope in (f"{area}:read", f"{area}:write", "all")
    answer = api.get(f"{collection}/")
    assert answer.status_code == (200 if allowed else 403)
    if not allowed:
        assert f"{area}:read" in answer.json()["detail"]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("scopes", [("runs:read",), ("runs:write",), ("all",), ("jobs:write",)])
def test_starting_a_run_needs_an_operator_and_the_scope(role: Role, scopes: tuple[str, ...]) -> None:
    api, team = make_api(role, *scopes)
    job = make_job(team)
    allowed = role >= Role.OPERATOR and scopes[0] in ("runs:write", "all")
    answer = api.post("runs/", {"job": str(job.pk)})
    assert answer.status_code == (201 if allowed else 403)
    assert Run.objects.count() == (1 if allowed else 0)


@pytest.mark.parametrize("role", list(Role))
def test_each_change_of_a_job_needs_its_role(role: Role) -> None:
    api, team = make_api(role)
    job = make_job(team)
    by_operator = 200 if role >= Role.OPERATOR else 403
    assert api.post(f"jobs/{job.pk}/disable/").status_code == by_operator
    assert api.post(f"jobs/{job.pk}/enable/").status_code == by_operator
    assert api.patch(f"jobs/{job.pk}/", {"schedule": "0 3 * * *"}).status_code == by_operator
    assert api.delete(f"jobs/{job.pk}/").status_code == (204 if role >= Role.ADMIN else 403)
    assert Job.objects.filter(pk=job.pk).exists() is (role < Role.ADMIN)


def test_the_role_is_the_one_of_today() -> None:
    user, team = make_member(Role.OWNER)
    api = api_of(user, team)
    job = make_job(team)
    Membership.objects.filter(user=user, team=team).update(role=Role.VIEWER)
    assert api.get(f"jobs/{job.pk}/").status_code == 200
    assert api.post(f"jobs/{job.pk}/disable/").status_code == 403
    Membership.objects.filter(user=user, team=team).delete()
    assert api.get(f"jobs/{job.pk}/").status_code == 401


def test_a_token_acts_in_its_own_team_only() -> None:
    user, team = make_member()
    other = make_team(user)
    job = make_job(other)
    api = api_of(user, team)
    assert api.get(f"jobs/{job.pk}/").status_code == 404
    assert api.get("jobs/").json()["results"] == []
    assert api.post("tokens/", {"team": str(other.pk), "name": "x", "scopes": ["all"]}).status_code == 400
    assert [row["id"] for row in api.get("teams/").json()["results"]] == [str(team.pk)]


def test_another_team_s_object_is_404_and_not_403_for_every_method() -> None:
    api, _ = make_api()
    foreign = make_job(make_team(make_user()))
    for method in ("GET", "PATCH", "DELETE"):
        assert api.send(method, f"jobs/{foreign.pk}/", {}).status_code == 404
    for action in ("enable", "disable"):
        assert api.post(f"jobs/{foreign.pk}/{action}/").status_code == 404
    answer = api.post("runs/", {"job": str(foreign.pk)})
    assert answer.status_code == 400
    assert not Run.objects.exists()


def test_the_session_works_with_the_csrf_token_only() -> None:
    user, team = make_member()
    job = make_job(team)
    client = Client(enforce_csrf_checks=True)
    client.force_login(user)
    assert client.get(f"/api/v1/jobs/{job.pk}/").status_code == 200
    disable, as_json = f"/api/v1/jobs/{job.pk}/disable/", "application/json"
    answer = client.post(disable, content_type=as_json)
    assert answer.status_code == 403
    assert answer["Content-Type"] == "application/problem+json"
    client.get(reverse("login"))
    client.get(reverse("password_change"))
    token = client.cookies["opssight-csrf"].value
    assert client.post(disable, headers={"X-CSRFToken": token}, content_type=as_json).status_code == 200


def test_what_is_changed_is_recorded_with_who_did_it() -> None:
    user, team = make_member()
    api = api_of(user, team)
    job = make_job(team, name="copy docs")
    api.post(f"jobs/{job.pk}/disable/", None)
    event = api.get("audit/?action=job.").json()["results"][0]
    assert event["action"] == "job.disable"
    assert event["actor_kind"] == "token"
    assert event["actor_label"] == f"{user.email} (token test)"
    assert event["object_label"] == "copy docs"
    assert event["team"] == str(team.pk)
    assert api.get(f"audit/{event['id']}/").json() == event


def test_rows_that_did_not_pass_visible_to_are_refused() -> None:
    user, team = make_member()
    principal, other = Principal.of_user(user), Principal.of_user(user)
    rows = visible_to(Job.objects.all(), principal)
    assert refuse_unseen(rows.filter(enabled=True).order_by("id")[:3], principal) is not None
    for wrong in (Job.objects.filter(team=team), visible_to(Job.objects.all(), other), Job.objects.none()):
        with pytest.raises(ImproperlyConfigured):
            refuse_unseen(wrong, principal)


def test_requests_above_the_ceiling_wait(settings: Settings) -> None:
    cache.clear()
    settings.API_RATE = Rate(3, 3600)
    user, team = make_member()
    first, second = api_of(user, team), api_of(user, team)
    assert [first.get("jobs/").status_code for _ in range(4)] == [200, 200, 200, 429]
    answer = first.get("jobs/")
    assert 1 <= int(answer["Retry-After"]) <= 3600
    assert answer.json()["type"].endswith("too-many")
    assert second.get("jobs/").status_code == 200  # each token has its own


def test_the_index_names_what_there_is() -> None:
    api, _ = make_api(Role.VIEWER, "runs:read")
    index = api.get("").json()
    assert set(COLLECTIONS) <= set(index["collections"])
    assert api.get(index["collections"]["runs"]).status_code == 200
    assert Api().get("").status_code == 401
