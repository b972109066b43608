from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from opssight.accounts.models import Invitation, Membership, Organization, Role, Team, User
from tests.factories import make_team, make_user
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db


def text(client: Client, name: str = "team", **query: str) -> str:
    answer = client.get(reverse(name), query)
    assert answer.status_code == 200
    return answer.content.decode()


def post(client: Client, page: str, /, *args: Any, **data: Any) -> str:
    """What the page says after the redirect."""
    answer = client.post(reverse(page, args=args), data, follow=True)
    assert answer.status_code == 200
    return answer.content.decode()


def member_of(team: Team, role: Role) -> User:
    user = make_user()
    team.memberships.create(user=user, role=role)
    return user


def invite(client: Client, email: str, role: Role = Role.OPERATOR) -> str:
    """The path of the link."""
    answer = client.post(reverse("team_invite"), {"email": email, "role": role.value})
    assert answer["Cache-Control"] == "no-store"
    found = re.search(r"http://testserver(/accounts/invitation/[^<\"]+/)", answer.content.decode())
    assert found is not None
    return found[1]


# --- the page -----------------------------------------------------------------------------------------


def test_who_is_in_the_team_and_with_which_role() -> None:
    client, team = signed_in()
    user = member_of(team, Role.VIEWER)
    page = text(client)
    assert user.email in page
    assert "Invite somebody" in page


def test_a_viewer_sees_the_members_and_may_leave_only() -> None:
    client, team = signed_in(role=Role.VIEWER)
    other = member_of(team, Role.OWNER)
    page = text(client)
    assert other.email in page
    assert "Leave…" in page
    assert "Invite somebody" not in page
    assert '<select name="role"' not in page
    assert client.post(reverse("team_invite"), {"email": "x@example.org", "role": 10}).status_code == 404
    assert "This needs the role owner" in post(client, "team_role", other.pk, role="10")
    assert "This needs the role owner" in post(client, "team_remove", other.pk)
    assert team.memberships.count() == 2


def test_changing_a_role() -> None:
    client, team = signed_in()
    user = member_of(team, Role.VIEWER)
    assert f"{user.email} is operator now." in post(client, "team_role", user.pk, role="20")
    assert Membership.objects.get(team=team, user=user).role == Role.OPERATOR


def test_the_last_owner_stays() -> None:
    client, team = signed_in()
    me = team.memberships.get().user_id
    assert "A team needs an owner." in post(client, "team_role", me, role="10")
    assert "A team needs an owner." in post(client, "team_remove", me)


def test_removing_and_leaving() -> None:
    client, team = signed_in()
    me = team.memberships.get().user_id
    user = member_of(team, Role.OWNER)
    third = member_of(team, Role.VIEWER)
    assert "is not in the team any more" in post(client, "team_remove", third.pk)
    answer = client.post(reverse("team_remove", args=[me]))
    assert answer.headers["Location"] == "/"
    assert [member.user_id for member in team.memberships.all()] == [user.pk]
    assert f"<h1>{team}</h1>" not in text(client)


def test_members_of_another_team_cannot_be_touched() -> None:
    client, _ = signed_in()
    other = make_team(make_user())
    user_id = other.memberships.get().user_id
    assert client.post(reverse("team_role", args=[user_id]), {"role": 10}).status_code == 404
    assert client.post(reverse("team_remove", args=[user_id])).status_code == 404


def test_renaming_needs_an_admin() -> None:
    client, team = signed_in()
    assert "The team has its new name." in post(client, "team_rename", name=" Platform ")
    team.refresh_from_db()
    assert team.name == "Platform"
    assert "Give it a name" in post(client, "team_rename", name=" ")
    operator, _ = signed_in(team, Role.OPERATOR)
    assert operator.post(reverse("team_rename"), {"name": "x"}).status_code == 404


def test_a_personal_team_offers_to_make_another() -> None:
    client = Client()
    client.force_login(make_user())
    page = text(client)
    assert "Your personal team" in page
    assert "Leave…" not in page
    assert "Invite somebody" not in page


def test_the_page_costs_the_same_whatever_the_number_of_members() -> None:
    client, team = signed_in()

    def cost() -> int:
        with CaptureQueriesContext(connection) as found:
            text(client)
        return len(found)

    for _ in range(3):
        member_of(team, Role.VIEWER)
    few = cost()
    for _ in range(27):
        member_of(team, Role.VIEWER)
    assert cost() == few


# --- other teams ---------------------------------------------------------------------------------------


def test_the_sidebar_switches_the_team() -> None:
    client, team = signed_in()
    second = make_team(team.memberships.get().user, name="Second team")
    page = text(client)
    assert f'action="{reverse("switch_team")}"' in page
    assert f'name="team" value="{second.pk}"' in page
    answer = client.post(reverse("switch_team"), {"team": str(second.pk), "next": reverse("team")})
    assert answer.headers["Location"] == reverse("team")
    assert "<h1>Second team</h1>" in text(client)


def test_making_a_team_leads_into_it() -> None:
    client, _ = signed_in()
    page = post(client, "team_new", name="Docs", kind="team")
    assert "<h1>Docs</h1>" in page
    assert Membership.objects.get(team__name="Docs").role == Role.OWNER


def test_making_an_organization_and_a_team_in_it() -> None:
    client, _ = signed_in()
    assert "Acme" in post(client, "team_new", name="Acme", kind="organization")
    organization = Organization.objects.get()
    assert 'name="organization"' in text(client, "team_new")
    post(client, "team_new", name="Platform", kind="team", organization=str(organization.pk))
    assert Team.objects.get(name="Platform").organization == organization


def test_a_team_needs_a_name_and_no_foreign_organization() -> None:
    client, _ = signed_in()
    foreign = Organization.objects.create(name="Other", slug="other")
    answer = client.post(reverse("team_new"), {"name": "", "kind": "team"})
    assert "This field is required." in answer.content.decode()
    data = {"name": "x", "kind": "team", "organization": str(foreign.pk)}
    answer = client.post(reverse("team_new"), data)
    assert "organization" in answer.context["form"].errors
    assert not Team.objects.filter(name="x").exists()


# --- invitations ----------------------------------------------------------------------------------------


def test_an_invitation_is_shown_once_and_can_be_withdrawn() -> None:
    client, _ = signed_in()
    link = invite(client, "ada@example.org")
    page = text(client)
    assert "ada@example.org" in page
    assert link not in page
    assert "is withdrawn" in post(client, "team_withdraw", Invitation.objects.get().pk)
    assert Client().get(link, follow=True).status_code == 404


def test_what_is_wrong_with_an_invitation_stands_at_the_field() -> None:
    client, team = signed_in()
    user = member_of(team, Role.VIEWER)
    answer = client.post(reverse("team_invite"), {"email": user.email, "role": 10})
    assert "is in this team already" in answer.content.decode()
    answer = client.post(reverse("team_invite"), {"email": "nonsense", "role": 10})
    assert "Enter a valid email address." in answer.content.decode()


def test_an_admin_cannot_invite_an_owner() -> None:
    client, _ = signed_in(role=Role.ADMIN)
    answer = client.post(reverse("team_invite"), {"email": "ada@example.org", "role": Role.OWNER.value})
    assert "Select a valid choice" in answer.content.decode()
    assert not Invitation.objects.exists()


def test_somebody_new_makes_an_account_and_joins() -> None:
    client, team = signed_in()
    link = invite(client, "ada@example.org")
    guest = Client()
    assert guest.get(link).headers["Location"] == reverse("invitation")
    assert f"Join {team}" in text(guest, "invitation")
    weak = guest.post(reverse("invitation"), {"name": "Ada", "password": "short"})
    assert "too short" in weak.content.decode()
    page = post(guest, "invitation", name="Ada Lovelace", password="correct horse battery")
    assert f"Welcome to {team}." in page
    assert User.objects.get(email="ada@example.org").display_name == "Ada Lovelace"
    assert team.memberships.get(user__email="ada@example.org").role == Role.OPERATOR
    assert Client().get(link, follow=True).status_code == 404


def test_who_has_an_account_signs_in_first() -> None:
    client, team = signed_in()
    ada = make_user("ada@example.org")
    guest = Client()
    guest.get(invite(client, "Ada@example.org"))
    assert "Sign in to join" in text(guest, "invitation")
    guest.post(
        f"{reverse('login')}?next={reverse('invitation')}",
        {"username": ada.email, "password": "correct horse"},
    )
    assert "Join the team" in text(guest, "invitation")
    assert f"Welcome to {team}." in post(guest, "invitation")


def test_an_invitation_is_for_its_address_only() -> None:
    client, team = signed_in()
    other = Client()
    other.force_login(make_user())
    other.get(invite(client, "ada@example.org"))
    assert "Sign out, then open the link again." in text(other, "invitation")
    assert "This invitation is for ada@example.org." in other.post(reverse("invitation")).content.decode()
    assert team.memberships.count() == 1


def test_an_invitation_that_is_over_says_so() -> None:
    answer = Client().get(reverse("invitation"))
    assert answer.status_code == 404
    assert b"Ask for a new one." in answer.content


# --- the account ----------------------------------------------------------------------------------------


def test_the_account_has_a_name_and_the_way_to_everything_else() -> None:
    client, team = signed_in()
    page = text(client, "account")
    for words in (str(team), reverse("password_change"), "data-theme-choice", reverse("tokens")):
        assert words in page
    assert "Saved." in post(client, "account", name="Mira Holt")
    assert "Mira Holt" in text(client, "account")


@pytest.mark.parametrize("name", ["team", "team_new", "account", "tokens", "notices", "audit", "runs"])
def test_visitors_are_asked_to_sign_in(name: str) -> None:
    answer = Client().get(reverse(name))
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(reverse("login"))
