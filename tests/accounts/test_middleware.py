from __future__ import annotations

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django.fixtures import Settings

from opssight.accounts.middleware import RequestIdMiddleware, team_of
from opssight.accounts.models import Membership, User
from opssight.core import logs
from tests.factories import make_team, make_user


def request_of(user: User, chosen: str = "") -> HttpRequest:
    request = RequestFactory().get("/")
    request.user = user
    request.session = {"team": chosen}  # type: ignore[assignment]
    return request


def test_an_id_comes_in_goes_into_the_logs_and_out() -> None:
    seen: list[str] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(logs.bound()["request_id"])
        return HttpResponse()

    middleware = RequestIdMiddleware(view)
    given = middleware(RequestFactory().get("/", headers={"X-Request-Id": "abc-123.DEF_9"}))
    made = middleware(RequestFactory().get("/"))
    forged = middleware(RequestFactory().get("/", headers={"X-Request-Id": "a\tb injected" * 9}))
    assert given["X-Request-Id"] == seen[0] == "abc-123.DEF_9"
    assert made["X-Request-Id"] == seen[1]
    assert forged["X-Request-Id"] == seen[2]
    assert len({*seen}) == 3
    assert "injected" not in seen[2]
    assert "request_id" not in logs.bound()


@pytest.mark.django_db
def test_one_works_in_the_chosen_team_while_a_member_of_it() -> None:
    user = make_user()
    team = make_team(user)
    assert team_of(request_of(user)) == user.personal_team
    assert team_of(request_of(user, str(team.pk))) == team
    Membership.objects.filter(team=team).delete()
    assert team_of(request_of(user, str(team.pk))) == user.personal_team


@pytest.mark.django_db
def test_a_page_without_a_session_asks_the_database_nothing(
    client: Client, settings: Settings, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    settings.SIGN_IN = "off"  # else it asks which forges are registered
    with django_assert_num_queries(0):  # type: ignore[operator]
        assert client.get(reverse("login")).status_code == 200
