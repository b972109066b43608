from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from pytest_django.fixtures import Settings

from opssight.accounts import throttle
from opssight.audit.models import AuditEvent
from opssight.core.env_kinds import Rate
from tests.factories import make_team, make_user

pytestmark = pytest.mark.django_db
PASSWORD = "correct horse"


@pytest.fixture(autouse=True)
def _no_attempts_yet() -> None:
    cache.clear()


def signin(client: Client, email: str, password: str = PASSWORD, **extra: str) -> int:
    answer = client.post(reverse("login"), {"username": email, "password": password}, **extra)  # type: ignore[arg-type]
    return answer.status_code


def test_the_address_is_taken_in_any_spelling(client: Client) -> None:
    user = make_user("Ada@Example.org")
    assert signin(client, " ada@EXAMPLE.org ") == 302
    assert client.session["_auth_user_id"]
    event = AuditEvent.objects.get(action="user.signed_in")
    assert (event.actor_label, event.team_id) == ("Ada@example.org", user.personal_team.pk)


def test_wrong_password_unknown_and_switched_off_accounts_look_the_same(client: Client) -> None:
    make_user("ada@example.org")
    make_user("off@example.org", is_active=False)
    answers = []
    for email, password in (
        ("ada@example.org", "wrong"),
        ("nobody@example.org", PASSWORD),
        ("off@example.org", PASSWORD),
    ):
        answer = client.post(reverse("login"), {"username": email, "password": password})
        answers.append((answer.status_code, answer.context["form"].non_field_errors()))
    assert len({str(answer) for answer in answers}) == 1
    assert "_auth_user_id" not in client.session


def test_guessing_one_account_is_stopped_with_the_wait(client: Client, settings: Settings) -> None:
    settings.SIGNIN_RATE = Rate(3, 60)
    make_user("ada@example.org")
    for n in range(3):
        assert signin(client, "ada@example.org", "wrong", REMOTE_ADDR=f"192.0.2.{n}") == 200
    answer = client.post(
        reverse("login"), {"username": "Ada@example.org", "password": PASSWORD}, REMOTE_ADDR="192.0.2.9"
    )
    assert answer.status_code == 429
    assert "Too many attempts. Try again in" in str(answer.context["form"].non_field_errors())
    assert "_auth_user_id" not in client.session


def test_guessing_from_one_address_is_stopped(client: Client, settings: Settings) -> None:
    settings.SIGNIN_RATE = Rate(3, 60)
    for n in range(3):
        signin(client, f"user{n}@example.org", "wrong", REMOTE_ADDR="192.0.2.1")
    make_user("ada@example.org")
    assert signin(client, "ada@example.org", REMOTE_ADDR="192.0.2.1") == 429
    assert signin(client, "ada@example.org", REMOTE_ADDR="192.0.2.2") == 302


def test_signing_in_well_does_not_count(client: Client, settings: Settings) -> None:
    settings.SIGNIN_RATE = Rate(2, 60)
    make_user("ada@example.org")
    for _ in range(5):
        assert signin(Client(), "ada@example.org") == 302


def test_attempts_sent_all_at_once_do_not_slip_through() -> None:
    def attempt(_: int) -> bool:
        try:
            throttle.take("someone", Rate(5, 60))
        except throttle.TooMany:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(attempt, range(64))) == 5


def test_signing_out_is_a_post(client: Client) -> None:
    client.force_login(make_user())
    assert client.get(reverse("logout")).status_code == 405
    assert client.post(reverse("logout")).status_code == 302
    assert "_auth_user_id" not in client.session


def test_a_new_password_signs_other_devices_out(client: Client) -> None:
    user = make_user("ada@example.org")
    other = Client()
    other.force_login(user)
    client.force_login(user)
    new = {"new_password1": "a much longer one", "new_password2": "a much longer one"}
    answer = client.post(reverse("password_change"), {"old_password": PASSWORD, **new})
    assert answer.status_code == 302
    assert client.get(reverse("password_change")).status_code == 200
    assert other.get(reverse("password_change")).status_code == 302
    user.refresh_from_db()
    assert user.check_password("a much longer one")
    assert AuditEvent.objects.get(action="user.password_changed").object_label == user.email


def test_the_team_one_works_in_is_chosen_among_one_s_own(client: Client) -> None:
    user = make_user()
    mine, foreign = make_team(user), make_team(make_user())
    client.force_login(user)
    answer = client.post(reverse("switch_team"), {"team": str(mine.pk), "next": "/runs/"})
    assert answer.headers["Location"] == "/runs/"
    assert client.session["team"] == str(mine.pk)
    assert client.post(reverse("switch_team"), {"team": str(foreign.pk)}).status_code == 404
    assert client.post(reverse("switch_team"), {"team": "nonsense"}).status_code == 404
    assert client.session["team"] == str(mine.pk)
    answer = client.post(reverse("switch_team"), {"team": str(mine.pk), "next": "https://elsewhere.example/"})
    assert answer.headers["Location"] == "/"


def test_a_network_of_addresses_counts_as_one(client: Client, settings: Settings) -> None:
    settings.SIGNIN_RATE = Rate(3, 60)
    for n in range(3):
        signin(client, f"user{n}@example.org", "wrong", REMOTE_ADDR=f"2001:db8:1:2::{n}")
    make_user("ada@example.org")
    assert signin(client, "ada@example.org", REMOTE_ADDR="2001:db8:1:2:ffff::9") == 429
    assert signin(client, "ada@example.org", REMOTE_ADDR="2001:db8:1:3::9") == 302


def test_another_spelling_of_an_account_is_no_other_account(client: Client, settings: Settings) -> None:
    """PostgreSQL compares upper case: a dotless i is an I to it."""
    settings.SIGNIN_RATE = Rate(2, 60)
    for n, email in enumerate(("admin@example.org", "adm\u0131n@example.org")):
        signin(client, email, "wrong", REMOTE_ADDR=f"192.0.2.{n}")
    assert signin(client, "ADMIN@example.org", "wrong", REMOTE_ADDR="192.0.2.9") == 429
