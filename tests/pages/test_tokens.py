from __future__ import annotations

import datetime as dt
import re

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from opssight.accounts import tokens
from opssight.accounts.models import ApiToken, Role
from opssight.accounts.scope import Principal
from opssight.core.clock import now
from opssight.pages.tokens import scope_words
from tests.factories import make_team, make_user
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db


def make_token(
    client: Client, name: str = "ci", scopes: tuple[str, ...] = ("runs:read",), days: str = "90"
) -> str:
    answer = client.post(reverse("tokens"), {"name": name, "scopes": scopes, "days": days})
    assert answer["Cache-Control"] == "no-store"
    found = re.search(r"<code>(osp_[^<]+)</code>", answer.content.decode())
    assert found is not None
    return found[1]


def test_a_token_works_is_shown_once_and_listed() -> None:
    client, team = signed_in()
    text = make_token(client, "deploy docs", ("repositories:read", "jobs:write"))
    token = tokens.verify(text)
    assert token is not None
    assert (token.team, token.scopes) == (team, ["jobs:write", "repositories:read"])
    assert token.expires_at is not None
    assert dt.timedelta(days=89) < token.expires_at - now() < dt.timedelta(days=91)
    page = client.get(reverse("tokens")).content.decode()
    assert "deploy docs" in page
    assert "read repositories; change jobs" in page
    assert text not in page


def test_a_token_that_never_ends() -> None:
    client, _ = signed_in()
    make_token(client, days="0")
    assert ApiToken.objects.get().expires_at is None


def test_what_is_wrong_stands_at_the_field_and_the_choice_stays() -> None:
    client, _ = signed_in()
    page = client.post(reverse("tokens"), {"name": "ci", "days": "30"}).content.decode()
    assert "Choose at least one scope." in page
    assert 'value="ci"' in page
    page = client.post(reverse("tokens"), {"name": "", "scopes": ["all"], "days": "30"}).content.decode()
    assert 'id="scope-all" checked' in page
    page = client.post(
        reverse("tokens"), {"name": "x", "scopes": ["moon:write"], "days": "30"}
    ).content.decode()
    assert "Select a valid choice" in page
    assert not ApiToken.objects.exists()


def test_revoking_ends_it_and_moves_it_to_the_ended() -> None:
    client, _ = signed_in()
    text = make_token(client)
    token = ApiToken.objects.get()
    page = client.post(reverse("token_revoke", args=[token.pk]), follow=True).content.decode()
    assert "ci is revoked." in page
    assert tokens.verify(text) is None
    assert "No token is valid." in page
    ended = client.get(reverse("tokens"), {"show": "ended"}).content.decode()
    assert "revoked" in ended
    assert reverse("token_revoke", args=[token.pk]) not in ended


def test_one_sees_ones_own_and_an_admin_sees_all_of_the_team() -> None:
    viewer, team = signed_in(role=Role.VIEWER)
    admin, _ = signed_in(team, Role.ADMIN)
    make_token(viewer, "of the viewer")
    make_token(admin, "of the admin")
    theirs = ApiToken.objects.get(name="of the admin")
    assert "of the admin" not in viewer.get(reverse("tokens")).content.decode()
    assert viewer.post(reverse("token_revoke", args=[theirs.pk])).status_code == 404
    assert "of the viewer" in admin.get(reverse("tokens")).content.decode()


def test_tokens_of_another_team_are_not_there() -> None:
    client, _ = signed_in()
    user = make_user()
    other = make_team(user)
    token, _ = tokens.issue(Principal.of_user(user), other, "secret", ["all"])
    assert "secret" not in client.get(reverse("tokens")).content.decode()
    assert client.post(reverse("token_revoke", args=[token.pk])).status_code == 404


def test_the_page_costs_the_same_whatever_the_number_of_tokens() -> None:
    client, team = signed_in()
    principal = Principal.of_user(team.memberships.get().user)

    def cost() -> int:
        with CaptureQueriesContext(connection) as found:
            client.get(reverse("tokens"))
        return len(found)

    for n in range(3):
        tokens.issue(principal, team, f"token {n}", ["all"])
    few = cost()
    for n in range(27):
        tokens.issue(principal, team, f"another {n}", ["all"])
    assert cost() == few


@pytest.mark.parametrize(
    ("scopes", "words"),
    [
        (["all", "runs:read"], "everything its user may"),
        (["runs:read", "jobs:read"], "read jobs, runs"),
        (["runs:read", "runs:write"], "change runs"),
    ],
)
def test_scopes_are_said_in_words(scopes: list[str], words: str) -> None:
    assert scope_words(scopes) == words
