from __future__ import annotations

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from opssight.accounts import tokens
from opssight.accounts.models import AllowedHost, ApiToken, Role, User
from opssight.accounts.scope import Principal
from opssight.audit.models import AuditEvent
from tests.factories import make_team, make_user


def test_the_queue_has_no_pages_in_the_admin_site() -> None:
    labels = {model._meta.app_label for model in admin.site._registry}
    assert "accounts" in labels
    assert "django_q" not in labels
    assert "social_django" not in labels
    assert "auth" not in labels  # rights come from roles in teams


@pytest.mark.django_db
def test_a_user_made_by_an_administrator_has_a_personal_team(client: Client) -> None:
    client.force_login(make_user(is_staff=True, is_superuser=True))
    fields = {"email": "new@example.org", "name": "New", "usable_password": "true"}
    passwords = {"password1": "a long enough one", "password2": "a long enough one"}
    answer = client.post(reverse("admin:accounts_user_add"), {**fields, **passwords})
    assert answer.status_code == 302, answer.context["errors"]
    user = User.objects.get(email="new@example.org")
    assert Principal.of_user(user).roles == {user.personal_team.pk: Role.OWNER}
    assert client.get(reverse("admin:accounts_user_change", args=[user.pk])).status_code == 200


@pytest.mark.django_db
def test_the_admin_site_shows_no_digest_and_makes_no_token(client: Client) -> None:
    user = make_user(is_staff=True, is_superuser=True)
    client.force_login(user)
    team = make_team(user)
    token, shown = tokens.issue(Principal.of_user(user), team, "ci", ["all"])
    for url in (
        reverse("admin:accounts_apitoken_changelist"),
        reverse("admin:accounts_apitoken_change", args=[token.pk]),
    ):
        text = client.get(url).content.decode()
        assert token.key in text
        assert token.digest not in text
        assert shown.split(".")[1] not in text
    assert client.get(reverse("admin:accounts_apitoken_add")).status_code == 403
    assert ApiToken.objects.count() == 1


@pytest.mark.django_db
@pytest.mark.parametrize("model", ["team", "organization", "membership", "invitation", "allowedhost"])
def test_the_lists_open(client: Client, model: str) -> None:
    client.force_login(make_user(is_staff=True, is_superuser=True))
    answer = client.get(f"/admin/accounts/{model}/")
    assert answer.status_code == (404 if model == "membership" else 200)


@pytest.fixture
def administrator(client: Client) -> User:
    user = make_user("root@example.org", is_staff=True, is_superuser=True)
    client.force_login(user)
    return user


@pytest.mark.django_db
def test_what_the_admin_site_changes_is_in_the_audit_log(client: Client, administrator: User) -> None:
    host = {"pattern": "git.internal", "cidr": "10.0.0.0/8", "ports": "443", "reason": ""}
    assert client.post(reverse("admin:accounts_allowedhost_add"), host).status_code == 302
    row = AllowedHost.objects.get()
    other = make_user("other@example.org")
    rights = {"email": other.email, "name": "", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    assert client.post(reverse("admin:accounts_user_change", args=[other.pk]), rights).status_code == 302
    chosen = {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"}
    assert client.post(reverse("admin:accounts_allowedhost_changelist"), chosen).status_code == 302

    assert not AllowedHost.objects.exists()
    events = AuditEvent.objects.order_by("id").values_list("action", "object_label", "actor_label")
    assert list(events) == [
        ("admin.add", "git.internal 10.0.0.0/8:443", administrator.email),
        ("admin.change", "other@example.org", administrator.email),
        ("admin.delete", "git.internal 10.0.0.0/8:443", administrator.email),
    ]
    assert "Superuser status" in str(AuditEvent.objects.get(action="admin.change").diff)


@pytest.mark.django_db
def test_a_member_added_on_the_admin_site_is_in_the_log_of_the_team(
    client: Client, administrator: User
) -> None:
    team, other = make_team(make_user("owner@example.org")), make_user("new@example.org")
    [owner] = team.memberships.all()
    answer = client.post(
        reverse("admin:accounts_team_change", args=[team.pk]),
        {
            "name": team.name,
            "kind": team.kind,
            "slug": team.slug,
            "memberships-TOTAL_FORMS": "2",
            "memberships-INITIAL_FORMS": "1",
            "memberships-0-id": str(owner.pk),
            "memberships-0-team": str(team.pk),
            "memberships-0-user": str(owner.user_id),
            "memberships-0-role": str(Role.OWNER.value),
            "memberships-1-team": str(team.pk),
            "memberships-1-user": str(other.pk),
            "memberships-1-role": str(Role.ADMIN.value),
        },
    )
    assert answer.status_code == 302
    event = AuditEvent.objects.get(action="admin.change", team_id=team.pk)
    assert "new@example.org" in str(event.diff)


@pytest.mark.django_db
def test_the_admin_site_has_no_sign_in_of_its_own(client: Client) -> None:
    make_user("root@example.org", is_staff=True, is_superuser=True)
    guess = {"username": "root@example.org", "password": "correct horse"}
    answer = client.post("/admin/login/", guess)
    assert answer.headers["Location"].startswith(reverse("login"))
    assert "_auth_user_id" not in client.session
    client.force_login(make_user())
    assert client.get("/admin/login/").status_code == 403  # and no circle between the two
    client.force_login(User.objects.get(email="root@example.org"))
    assert client.get("/admin/login/").headers["Location"] == reverse("admin:index")
