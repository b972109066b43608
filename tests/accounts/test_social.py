"""Signing in with a forge, from the button to the account, against stand-ins with an OAuth side."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.contrib.messages import get_messages
from django.core.cache import cache
from django.db import connection as database
from django.test import Client
from pytest_django.fixtures import Settings
from social_django.models import Nonce, UserSocialAuth

from opssight.accounts import invitations
from opssight.accounts.models import AllowedHost, Membership, Role, User
from opssight.accounts.scope import Principal
from opssight.audit.models import AuditEvent
from opssight.core.env_kinds import Rate
from repos.instances import of_row
from repos.models import Connection, ProviderInstance
from repos.providers.registry import provider_named
from tests.factories import make_team, make_user
from tests.forges.people import BitbucketPeople, GiteaPeople, GitHubPeople, GitLabPeople

pytestmark = pytest.mark.django_db(transaction=True)
FORGES: dict[str, type[Any]] = {
    "github": GitHubPeople,
    "gitlab": GitLabPeople,
    "bitbucket": BitbucketPeople,
    "gitea": GiteaPeople,
}
PASSWORD = "correct horse"  # of everybody whom the factories make
TOO_OLD = "not started here, or it is too old"


def started(kind: str, folder: Path) -> Any:
    forge = FORGES[kind](folder).__enter__()
    forge.emails["ana"] = [("ana@example.org", True)]
    AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=str(forge.port))
    ProviderInstance.objects.create(
        provider=kind, url=forge.url, client_id="client-1", client_secret="canary-client-secret"
    )
    return forge


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[GitHubPeople]:
    cache.clear()
    running = started("github", tmp_path)
    yield running
    running.__exit__(None, None, None)


def begin(browser: Client, forge: Any, kind: str = "github", **more: str) -> str:
    """The address that the browser is sent to."""
    given = {"provider": kind, "url": forge.url, "password": PASSWORD}
    page = browser.post("/accounts/signin/with/", {**given, **more})
    assert page.status_code == 200, page["Location"]
    return str(page["Refresh"]).partition("url=")[2]


def allow(address: str) -> str:
    back = urlsplit(httpx.post(address).headers["location"])
    return f"{back.path}?{back.query}"


def trust(forge: Any) -> None:
    """An administrator says that addresses of this server count."""
    ProviderInstance.objects.filter(url=forge.url).update(trusts_email=True)


def come(browser: Client, forge: Any, kind: str = "github", **more: str) -> Any:
    return browser.get(allow(begin(browser, forge, kind, **more)))


def linked(user: User, forge: Any, browser: Client | None = None) -> None:
    browser = browser or Client()
    browser.force_login(user)
    assert come(browser, forge)["Location"] == "/accounts/"


def who(browser: Client) -> str:
    return str(browser.session.get("_auth_user_id", ""))


def said(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


@pytest.mark.parametrize("kind", FORGES)
def test_linking_then_signing_in(kind: str, tmp_path: Path) -> None:
    cache.clear()
    forge = started(kind, tmp_path)
    try:
        user, browser = make_user("somebody@example.org"), Client()
        browser.force_login(user)
        assert "You can sign in with" in said(come(browser, forge, kind))
        link = UserSocialAuth.objects.get()
        assert (link.user_id, link.provider, link.extra_data) == (user.pk, kind, {})
        assert link.uid.endswith(f"@{forge.url}")
        fresh = Client()
        answer = come(fresh, forge, kind, next="/runs/")
        assert (answer["Location"], who(fresh)) == ("/runs/", str(user.pk))
        event = AuditEvent.objects.get(action="user.signed_in")
        assert (event.actor_label, event.diff["as"]) == ("somebody@example.org", "ana")
        assert AuditEvent.objects.get(action="user.linked").diff["with"] == provider_named(kind).label
    finally:
        forge.__exit__(None, None, None)


def test_the_pages_offer_what_is_registered(forge: GitHubPeople, settings: Settings) -> None:
    assert forge.url.partition("://")[2] in Client().get("/accounts/signin/").content.decode()
    browser = Client()
    browser.force_login(make_user())
    assert "Link 127.0.0.1" in browser.get("/accounts/").content.decode()
    settings.SIGN_IN = "off"
    assert "or with" not in Client().get("/accounts/signin/").content.decode()
    answer = Client().post("/accounts/signin/with/", {"provider": "github", "url": forge.url})
    assert answer["Location"] == "/accounts/signin/"


def test_sessions_of_strangers_stay_small(forge: GitHubPeople) -> None:
    browser = Client()
    begin(browser, forge, next="/runs/?q=" + "a" * 1_000)
    begin(browser, forge, next="/" + "a" * 2_000)
    assert [len(attempt["next"]) for attempt in browser.session["signin"]] == [1_009, 0]


def test_it_asks_for_no_more_than_who_one_is_and_with_pkce(forge: GitHubPeople) -> None:
    query = parse_qs(urlsplit(begin(Client(), forge)).query)
    assert query["scope"] == ["read:user user:email"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == ["http://127.0.0.1:8000/auth/callback/github"]


def test_tokens_are_nowhere(forge: GitHubPeople, caplog: pytest.LogCaptureFixture) -> None:
    linked(make_user(), forge)
    come(Client(), forge)
    secrets = [*forge.tokens, *forge.refresh_tokens, "canary-client-secret"]
    assert len(secrets) == 5
    for table in database.introspection.table_names():
        with database.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {database.ops.quote_name(table)}")  # noqa: S608
            rows = repr(cursor.fetchall())
        assert not [table for secret in secrets if secret in rows]
    assert not [secret for secret in secrets if secret in caplog.text]
    assert not [a for a in forge.asked if any(s in f"{a.path}?{a.raw_query}" for s in secrets)]
    assert not Nonce.objects.exists()


def test_nobody_new_comes_in_by_default(forge: GitHubPeople) -> None:
    make_user("ana@example.org")
    browser = Client()
    answer = come(browser, forge)
    assert answer["Location"] == "/accounts/signin/"
    assert "No account here is linked to ana at GitHub" in said(answer)
    assert "No account here is linked" in browser.get("/accounts/signin/").content.decode()
    assert (who(browser), User.objects.count(), UserSocialAuth.objects.count()) == ("", 1, 0)


def test_a_verified_address_opens_an_account_where_that_is_allowed(
    forge: GitHubPeople, settings: Settings
) -> None:
    settings.SIGN_IN = "email"
    trust(forge)
    user = make_user("Ana@example.org")
    forge.emails["ana"] = [("other@example.org", True), ("ana@example.org", False)]
    answer = come(Client(), forge)
    assert "No account here" in said(answer), "an address that was not verified counts for nothing"
    forge.emails["ana"] = [("other@example.org", False), ("ana@EXAMPLE.org", True)]
    browser = Client()
    come(browser, forge)
    assert who(browser) == str(user.pk)
    forge.emails["ana"] = []
    again = Client()
    come(again, forge)
    assert who(again) == str(user.pk), "it is linked from then on"


@pytest.mark.parametrize("flag", ["is_superuser", "is_staff", "inactive"])
def test_administrators_and_switched_off_accounts_are_not_found_by_address(
    forge: GitHubPeople, settings: Settings, flag: str
) -> None:
    settings.SIGN_IN = "email"
    trust(forge)
    make_user("ana@example.org", **({"is_active": False} if flag == "inactive" else {flag: True}))
    browser = Client()
    come(browser, forge)
    assert (who(browser), UserSocialAuth.objects.count()) == ("", 0)


def test_domains_that_may_sign_up(forge: GitHubPeople, settings: Settings) -> None:
    settings.SIGN_UP_DOMAINS = ("example.org",)
    trust(forge)
    forge.emails["ana"] = [("ana@notexample.org", True), ("x@example.org", False)]
    assert "No account here" in said(come(Client(), forge))
    forge.emails["ana"] = [("ana@Example.org", True)]
    browser = Client()
    come(browser, forge)
    user = User.objects.get(email__iexact="ana@example.org")
    assert (who(browser), user.has_usable_password(), user.name) == (str(user.pk), False, "Ana")
    assert user.personal_team is not None
    assert AuditEvent.objects.filter(action="user.signed_up").count() == 1


def test_domains_open_no_account_that_exists(forge: GitHubPeople, settings: Settings) -> None:
    settings.SIGN_UP_DOMAINS = ("example.org",)
    trust(forge)
    make_user("ana@example.org")
    browser = Client()
    come(browser, forge)
    assert who(browser) == ""


def test_a_server_that_nobody_said_to_trust_opens_no_account_by_an_address(
    forge: GitHubPeople, settings: Settings
) -> None:
    settings.SIGN_IN, settings.SIGN_UP_DOMAINS = "email", ("example.com",)
    user = make_user("ana@example.org")
    forge.emails["ana"] = [("ana@example.org", True), ("ana@example.com", True)]
    assert "No account here" in said(come(Client(), forge))
    assert (User.objects.count(), UserSocialAuth.objects.count()) == (1, 0)
    linked(user, forge)
    browser = Client()
    come(browser, forge)
    assert who(browser) == str(user.pk), "who linked it signs in with it"


def test_the_public_ones_confirm_addresses() -> None:
    rows = [
        ProviderInstance.objects.create(provider=kind, url=url, client_id="x", client_secret="y")
        for kind, url in (
            ("github", ""),
            ("gitlab", ""),
            ("bitbucket", ""),
            ("gitlab", "https://git.example"),
        )
    ]
    assert [of_row(row).trusts_email for row in rows] == [True, True, True, False]


@pytest.mark.parametrize(
    ("account", "claimed"),
    [
        ("mass@example.org", "ma\u00df@example.org"),
        ("ana@strasse.example", "ana@stra\u00dfe.example"),
        ("kim@example.org", "\u212aim@example.org"),
        ("\u212aim@example.org", "kim@example.org"),
    ],
)
def test_addresses_that_are_only_written_alike(
    forge: GitHubPeople, settings: Settings, account: str, claimed: str
) -> None:
    settings.SIGN_IN = "email"
    trust(forge)
    make_user(account)
    forge.emails["ana"] = [(claimed, True)]
    browser = Client()
    come(browser, forge)
    assert (who(browser), UserSocialAuth.objects.count()) == ("", 0)


@pytest.mark.parametrize("claimed", ["ana@stra\u00dfe.example", "\u00e4na@strasse.example"])
def test_nobody_signs_up_with_letters_that_are_others_to_others(
    forge: GitHubPeople, settings: Settings, claimed: str
) -> None:
    settings.SIGN_UP_DOMAINS = ("strasse.example",)
    trust(forge)
    forge.emails["ana"] = [(claimed, True)]
    come(Client(), forge)
    assert not User.objects.exists()


def test_linking_asks_for_the_password(forge: GitHubPeople, settings: Settings) -> None:
    settings.SIGNIN_RATE = Rate(3, 60)
    user, browser = make_user(), Client()
    browser.force_login(user)
    assert 'autocomplete="current-password"' in browser.get("/accounts/").content.decode()

    def start(**given: str) -> str:
        answer = browser.post(
            "/accounts/signin/with/", {"provider": "github", "url": forge.url, **given}, follow=True
        )
        return str(answer.content.decode())

    linked(user, forge, browser)  # a right one is no attempt that counts
    UserSocialAuth.objects.all().delete()
    assert "The password is not right" in start(password="wrong")
    assert "The password is not right" in start()
    assert not browser.session["signin"], "nothing was started"
    start(password="wrong")
    assert "Too many attempts" in start(password=PASSWORD), "as slow as signing in"
    assert (
        "Too many attempts"
        in Client().post("/accounts/signin/", {"username": user.email, "password": PASSWORD}).content.decode()
    )


def test_an_account_without_a_password_links_without_one(forge: GitHubPeople) -> None:
    user, browser = make_user(), Client()
    user.set_unusable_password()
    user.save()
    browser.force_login(user)
    assert "current-password" not in browser.get("/accounts/").content.decode()
    assert "You can sign in with" in said(come(browser, forge, password=""))


def test_who_was_invited_comes_in_without_a_password(forge: GitHubPeople) -> None:
    owner = make_user()
    team = make_team(owner)
    _, secret = invitations.invite(Principal.of_user(owner), team, "ana@example.org", Role.OPERATOR)
    browser = Client()
    browser.get(f"/accounts/invitation/{secret}/")
    assert "signin/with" in browser.get("/accounts/invitation/").content.decode()
    forge.emails["ana"] = [("ana@elsewhere.example", True)]
    come(browser, forge)
    assert who(browser) == "", "the invitation is for another address"
    forge.emails["ana"] = [("Ana@example.org", True)]
    answer = come(browser, forge, next="/accounts/invitation/")
    assert answer["Location"] == "/"
    member = Membership.objects.get(team=team, user__email__iexact="ana@example.org")
    assert (member.role, who(browser)) == (Role.OPERATOR, str(member.user_id))
    assert browser.session["team"] == str(team.pk)


@pytest.mark.parametrize("change", ["state", "session", "provider", "age", "twice", "signed in", "nonce"])
def test_what_was_not_started_here_is_refused(
    forge: GitHubPeople, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    linked(make_user(), forge)
    browser = Client()
    back = allow(begin(browser, forge))
    if change == "state":
        back = re.sub(r"state=[^&]+", "state=x", back)
    if change == "session":
        browser = Client()
    if change == "provider":
        back = back.replace("/callback/github", "/callback/gitlab")
    if change == "age":
        monkeypatch.setattr("opssight.web.attempts.SECONDS", -1)
    if change == "twice":
        browser.get(back)
        browser.logout()
    if change == "signed in":
        browser.force_login(make_user())
    if change == "nonce":
        cache.clear()
    answer = browser.get(back)
    assert TOO_OLD in said(answer)
    assert UserSocialAuth.objects.count() == 1


def test_an_attempt_to_sign_in_does_not_link(forge: GitHubPeople) -> None:
    """Somebody who gets another person's browser to follow a link must not get into their account."""
    browser, victim = Client(), make_user()
    back = allow(begin(browser, forge))
    browser.force_login(victim)
    assert TOO_OLD in said(browser.get(back))
    assert not UserSocialAuth.objects.exists()


def test_who_says_no_there(forge: GitHubPeople) -> None:
    browser = Client()
    state = parse_qs(urlsplit(begin(browser, forge)).query)["state"][0]
    answer = browser.get(f"/auth/callback/github?error=access_denied&state={state}")
    assert "You did not allow it at GitHub" in said(answer)


@pytest.mark.parametrize("code", ["", "x", "%00"])
def test_a_code_that_is_none(forge: GitHubPeople, code: str) -> None:
    browser = Client()
    state = parse_qs(urlsplit(begin(browser, forge)).query)["state"][0]
    answer = browser.get(f"/auth/callback/github?code={code}&state={state}")
    assert answer["Location"] == "/accounts/signin/"
    assert said(answer)


def test_one_account_there_signs_in_to_one_here(forge: GitHubPeople) -> None:
    first, second = make_user(), make_user()
    linked(first, forge)
    browser = Client()
    browser.force_login(second)
    assert "signs in to another account here" in said(come(browser, forge))
    assert UserSocialAuth.objects.get().user_id == first.pk


def test_ids_of_two_servers_are_not_mixed_up(forge: GitHubPeople, tmp_path: Path) -> None:
    linked(make_user(), forge)
    other = started("github", tmp_path / "other")
    try:
        browser = Client()
        come(browser, other)
        assert who(browser) == ""
    finally:
        other.__exit__(None, None, None)


def test_unlinking(forge: GitHubPeople) -> None:
    user, browser = make_user(), Client()
    linked(user, forge, browser)
    stranger = Client()
    stranger.force_login(make_user())
    link = UserSocialAuth.objects.get()
    assert stranger.post(f"/accounts/links/{link.pk}/remove/").status_code == 404
    user.set_unusable_password()
    user.save()
    browser.force_login(user)
    assert "only way to sign in" in said(browser.post(f"/accounts/links/{link.pk}/remove/"))
    user.set_password("correct horse")
    user.save()
    browser.force_login(user)
    assert "Unlinked" in said(browser.post(f"/accounts/links/{link.pk}/remove/"))
    assert AuditEvent.objects.filter(action="user.unlinked").count() == 1
    fresh = Client()
    come(fresh, forge)
    assert who(fresh) == ""


@pytest.mark.parametrize(
    "target", ["https://elsewhere.example/", "//elsewhere.example", "javascript:alert(1)"]
)
def test_it_goes_on_to_pages_of_ours_only(forge: GitHubPeople, target: str) -> None:
    linked(make_user(), forge)
    assert come(Client(), forge, next=target)["Location"] == "/"


def test_attempts_are_counted_and_good_ones_are_not(forge: GitHubPeople, settings: Settings) -> None:
    linked(make_user(), forge)
    settings.SIGNIN_RATE = Rate(2, 60)
    for _ in range(4):
        come(Client(), forge)
    forge.signed_in = "eve"
    for _ in range(2):
        come(Client(), forge)
    answer = Client().post("/accounts/signin/with/", {"provider": "github", "url": forge.url})
    assert "Too many attempts" in said(answer)


@pytest.mark.parametrize(
    "given", [{}, {"provider": "plain"}, {"provider": "github", "url": "https://x.example"}]
)
def test_a_forge_that_is_not_registered(forge: GitHubPeople, given: dict[str, str]) -> None:
    assert said(Client().post("/accounts/signin/with/", given))


def test_connecting_still_comes_back_to_the_same_address(forge: GitHubPeople) -> None:
    user, browser = make_user(), Client()
    team = make_team(user)
    browser.force_login(user)
    browser.post("/accounts/team/", {"team": str(team.pk)})
    page = browser.post("/connections/new/oauth/", {"provider": "github", "url": forge.url})
    browser.get(allow(str(page["Refresh"]).partition("url=")[2]))
    assert Connection.objects.get().account == "ana"
    assert not UserSocialAuth.objects.exists()
