"""A GitHub App, from the button to deliveries, against a stand-in that knows apps."""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from django.contrib.messages import get_messages
from django.db import connection as database
from django.db.models.signals import post_save
from django.test import Client

from opssight.accounts.models import AllowedHost, Membership, Role, Team, User
from opssight.core.clock import now
from opssight.core.errors import AuthFailure
from repos import access, connections, inventory
from repos.models import Connection, Credential, Delivery, ProviderInstance, Repository, Webhook
from repos.webhook_status import is_told, why_no_hooks
from tests.factories import make_connection, make_team, make_user
from tests.forges.github_app import GitHubWithApp
from tests.forges.standin import Sent

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[GitHubWithApp]:
    with GitHubWithApp(tmp_path) as running:
        running.own_organization("acme", "ana", "bob")
        AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=str(running.port))
        yield running


@pytest.fixture
def admin() -> User:
    return make_user(is_superuser=True)


@pytest.fixture
def team(admin: User) -> Team:
    return make_team(admin)


@pytest.fixture
def browser(admin: User, team: Team) -> Client:
    return signed_in(admin, team)


def signed_in(user: User, team: Team) -> Client:
    browser = Client()
    browser.force_login(user)
    browser.post("/accounts/team/", {"team": str(team.pk)})
    return browser


def below(address: str) -> str:
    """An address of ours without its host, which the test client does not know."""
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


def said(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def start(browser: Client, forge: GitHubWithApp, **more: str) -> str:
    """The person presses the button here and at GitHub; where the browser is sent back to."""
    page = browser.post("/connections/github-app/", {"url": forge.url, "anywhere": "on", **more})
    assert page.status_code == 200
    text = html.unescape(page.content.decode())
    address = re.search(r'action="([^"]+/settings/apps/new[^"]*)"', text)
    manifest = re.search(r'name="manifest" value="(\{.*?\})">', text)
    assert address is not None
    assert manifest is not None
    return below(forge.confirm(address[1], manifest[1]))


def make(browser: Client, forge: GitHubWithApp, **more: str) -> ProviderInstance:
    browser.get(start(browser, forge, **more))
    return ProviderInstance.objects.get()


def refreshed(page: Any) -> str:
    assert page.status_code == 200, said(page)
    return str(page["Refresh"]).partition("url=")[2]


def install(browser: Client, forge: GitHubWithApp, account: str, *repositories: Any) -> Any:
    """Installed there and proved there; the answer to what the browser brings back."""
    row = ProviderInstance.objects.get()
    page = browser.post("/connections/github-app/install/", {"app": str(row.pk)})
    back = forge.install(refreshed(page), account, *repositories)
    proof = browser.get(below(back))
    return browser.get(below(httpx.post(refreshed(proof)).headers["location"]))


def delivered(sent: Sent) -> int:
    """Hand a webhook that the stand-in sent to our view."""
    headers = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in sent.headers.items()}
    path = urlsplit(sent.hook.url).path
    answer = Client().post(path, sent.body, content_type="application/json", **headers)  # type: ignore[arg-type]
    return answer.status_code


def last(forge: GitHubWithApp, count: int) -> Sent:
    forge.wait_until_sent(count)
    return forge.sent[-1]


def test_one_press_makes_the_app_with_its_webhook(browser: Client, forge: GitHubWithApp, team: Team) -> None:
    row = make(browser, forge)
    [app] = forge.github_apps.values()
    assert (row.app_id, row.app_slug, row.client_id) == (str(app.id), app.slug, app.client_id)
    assert row.private_key == app.pem
    hook = Webhook.objects.get()
    assert app.hook is not None
    assert app.hook.url == f"http://127.0.0.1:8000{hook.path}"
    assert (hook.instance_id, hook.team_id, hook.secret) == (row.pk, team.pk, app.hook.secret)
    assert "contents" in app.manifest["default_permissions"]
    assert app.manifest["public"] is True


def test_the_form_may_go_to_github_only(browser: Client, forge: GitHubWithApp) -> None:
    page = browser.post("/connections/github-app/", {"url": forge.url})
    assert f"form-action {forge.url};" in page["Content-Security-Policy"]
    assert "form-action 'self'" in browser.get("/connections/github-app/")["Content-Security-Policy"]
    page = browser.post("/connections/github-app/", {})
    assert 'action="https://github.com/settings/apps/new?state=' in page.content.decode()
    assert "&quot;public&quot;: false" in page.content.decode()
    assert "hook_attributes" not in page.content.decode(), "github.com does not reach this machine"


def test_an_app_of_an_organization(browser: Client, forge: GitHubWithApp) -> None:
    page = browser.post("/connections/github-app/", {"url": forge.url, "organization": "acme"})
    assert f'action="{forge.url}/organizations/acme/settings/apps/new?state=' in page.content.decode()


@pytest.mark.parametrize(
    "given",
    [
        {"url": "ftp://x"},
        {"url": "https://a b"},
        {"organization": "a/b"},
        {"url": "https://u:p@github.example"},
    ],
)
def test_what_cannot_be_asked_for_is_said(browser: Client, given: dict[str, str]) -> None:
    page = browser.post("/connections/github-app/", given)
    assert page.status_code == 422
    assert page.context["form"].errors


def test_only_administrators_of_the_installation_make_it(forge: GitHubWithApp, browser: Client) -> None:
    user = make_user()
    other = signed_in(user, make_team(user))
    assert other.get("/connections/github-app/").status_code == 404
    assert other.post("/connections/github-app/", {}).status_code == 404
    back = start(browser, forge)
    assert "not started here" in said(other.get(back))
    browser.get(back.replace("state=", "state=x"))
    assert not ProviderInstance.objects.exists()
    browser.get(back)
    browser.get(back)
    assert ProviderInstance.objects.count() == Webhook.objects.count() == 1


def test_there_is_one_registration_for_an_address(browser: Client, forge: GitHubWithApp) -> None:
    first, second = start(browser, forge), start(browser, forge)
    browser.get(first)
    assert "has an application here already" in said(browser.get(second))
    assert browser.post("/connections/github-app/", {"url": forge.url}).status_code == 422


def test_each_installation_becomes_a_connection(browser: Client, forge: GitHubWithApp, team: Team) -> None:
    site = forge.add_repository("acme/site", {b"a": b"1"})
    own = forge.add_repository("ana/notes", {b"a": b"1"})
    forge.add_repository("acme/secret", {b"a": b"1"})
    row = make(browser, forge)
    answer = install(browser, forge, "acme", site)
    made = Connection.objects.get()
    assert answer["Location"] == f"/connections/{made.pk}/found/"
    assert (made.team, made.name, made.instance_id) == (team, "GitHub: acme", row.pk)
    assert (made.account, made.state) == (f"{row.app_slug} at acme", "ok")
    install(browser, forge, "ana", own)
    names = {
        one.name: [found.remote.full_name for found in inventory.discover(one)]
        for one in Connection.objects.all()
    }
    assert names == {"GitHub: acme": ["acme/site"], "GitHub: ana": ["ana/notes"]}
    tested = connections.test_connection(made)
    assert tested.identity is not None
    assert tested.identity.account == made.account


def test_git_uses_the_token_of_the_installation(browser: Client, forge: GitHubWithApp) -> None:
    site = forge.add_repository("acme/site", {b"a": b"1"})
    make(browser, forge)
    install(browser, forge, "acme", site)
    [repository] = brought(Connection.objects.get())
    assert is_told(repository)
    Webhook.objects.all().delete()
    assert not is_told(repository)
    assert "without a webhook" in why_no_hooks(repository.connection)
    assert list(access.look(repository).heads) == [b"refs/heads/main"]


def brought(connection: Connection) -> list[Repository]:
    for found in inventory.discover(connection):
        Repository.objects.create(
            team=connection.team,
            connection=connection,
            external_id=found.remote.external_id,
            full_name=found.remote.full_name,
            default_branch="main",
        )
    return list(Repository.objects.filter(connection=connection))


def test_tokens_are_made_anew_before_they_end_and_when_refused(browser: Client, forge: GitHubWithApp) -> None:
    make(browser, forge)
    install(browser, forge, "acme", forge.add_repository("acme/site", {b"a": b"1"}))
    made = Connection.objects.get()
    assert forge.minted == 1
    assert connections.test_connection(made).ok
    assert forge.minted == 1, "an hour is an hour"
    Credential.objects.update(expires_at=now() + dt.timedelta(minutes=4))
    assert connections.test_connection(made).ok
    assert forge.minted == 2
    forge.tokens.clear()
    assert connections.test_connection(Connection.objects.get()).ok, "a 401 renews once and goes on"
    assert forge.minted == 3


def test_whoever_only_sees_it_does_not_get_it(browser: Client, forge: GitHubWithApp) -> None:
    make(browser, forge)
    forge.signed_in = "bob"  # a member who sees the installation in GitHub's list
    answer = install(browser, forge, "acme", forge.add_repository("acme/site", {b"a": b"1"}))
    assert "Only an owner of acme" in said(answer)
    answer = install(browser, forge, "ana")
    assert "Only an owner of ana" in said(answer)
    assert not Connection.objects.exists()


def test_a_number_in_the_address_proves_nothing(browser: Client, forge: GitHubWithApp) -> None:
    make(browser, forge)
    page = browser.post("/connections/github-app/install/", {"app": str(ProviderInstance.objects.get().pk)})
    address = refreshed(page)
    state = parse_qs(urlsplit(address).query)["state"][0]
    forge.install(address, "acme")
    [number] = forge.installed
    forge.signed_in = "eve"
    for given in (str(number), "999", "x", ""):
        answer = browser.get(f"/auth/github-app/installed?installation_id={given}&state={state}")
        if "Refresh" in answer:
            answer = browser.get(below(httpx.post(refreshed(answer)).headers["location"]))
            assert said(answer)
        else:
            assert "not started here" in said(answer), "a state counts once"
    assert not Connection.objects.exists()


def test_it_is_connected_once(browser: Client, forge: GitHubWithApp, admin: User) -> None:
    make(browser, forge)
    install(browser, forge, "acme")
    row, [one] = ProviderInstance.objects.get(), forge.installed.values()
    Connection.objects.update(state="revoked")

    def again(browser: Client) -> Any:
        page = browser.post("/connections/github-app/install/", {"app": str(row.pk)})
        state = parse_qs(urlsplit(refreshed(page)).query)["state"][0]
        proof = browser.get(f"/auth/github-app/installed?installation_id={one.id}&state={state}")
        return browser.get(below(httpx.post(refreshed(proof)).headers["location"]))

    assert again(browser)["Location"].endswith("/found/")
    assert Connection.objects.get().state == "ok"
    other = make_user()
    assert "in another team already" in said(again(signed_in(other, make_team(other))))
    assert Connection.objects.count() == 1


def test_two_who_connect_it_at_once(browser: Client, forge: GitHubWithApp) -> None:
    """The second one of them was not there yet when the first looked."""
    make(browser, forge)
    elsewhere = make_team()

    def rival(instance: Connection, created: bool, **more: Any) -> None:
        number = str(next(iter(forge.installed)))
        if created and instance.team_id != elsewhere.pk:
            row = ProviderInstance.objects.get()
            make_connection(elsewhere, "github", instance=row, installation_id=number)

    post_save.connect(rival, sender=Connection)
    try:
        answer = install(browser, forge, "acme")
    finally:
        post_save.disconnect(rival, sender=Connection)
    assert "was connected by somebody else just now" in said(answer)
    assert not Connection.objects.exists()


def test_a_request_that_an_owner_must_approve(browser: Client, forge: GitHubWithApp) -> None:
    make(browser, forge)
    page = browser.post("/connections/github-app/install/", {"app": str(ProviderInstance.objects.get().pk)})
    state = parse_qs(urlsplit(refreshed(page)).query)["state"][0]
    answer = browser.get(f"/auth/github-app/installed?setup_action=request&state={state}")
    assert "owner has to approve" in said(answer)


def test_coming_from_the_settings_of_github(browser: Client, forge: GitHubWithApp) -> None:
    make(browser, forge)
    install(browser, forge, "acme")
    made = Connection.objects.get()
    path = "/auth/github-app/installed?setup_action=update&installation_id="
    assert browser.get(f"{path}{made.installation_id}")["Location"] == f"/connections/{made.pk}/"
    assert browser.get(f"{path}1")["Location"] == "/connections/new/"
    other = make_user()
    stranger = signed_in(other, make_team(other))
    assert stranger.get(f"{path}{made.installation_id}")["Location"] == "/connections/new/"


def test_operators_do_not_install(browser: Client, forge: GitHubWithApp, team: Team) -> None:
    row, other = make(browser, forge), make_user()
    Membership.objects.create(team=team, user=other, role=Role.OPERATOR)
    operator = signed_in(other, team)
    assert operator.post("/connections/github-app/install/", {"app": str(row.pk)}).status_code == 404


def test_deliveries_go_to_the_team_of_the_installation(
    browser: Client, forge: GitHubWithApp, team: Team
) -> None:
    """Two teams have the same app; each hears of its own installation."""
    site, notes = (
        forge.add_repository("acme/site", {b"a": b"1"}),
        forge.add_repository("ana/notes", {b"a": b"1"}),
    )
    make(browser, forge)
    install(browser, forge, "acme", site)
    other = make_user()
    second = make_team(other)
    install(signed_in(other, second), forge, "ana", notes)
    for connection in Connection.objects.all():
        brought(connection)
    known = 2  # of each installation
    forge.bare(notes).commit({b"b": b"2"})
    forge.ref_moved(notes, "refs/heads/main", "1" * 40, forge.bare(notes).oid("refs/heads/main") or "")
    sent = last(forge, known + 1)
    assert delivered(sent) == 202
    delivery = Delivery.objects.latest("id")
    assert (delivery.team, delivery.repository and delivery.repository.full_name) == (second, "ana/notes")


def test_an_unknown_installation_is_ignored_with_a_sentence(
    browser: Client, forge: GitHubWithApp, team: Team
) -> None:
    site = forge.add_repository("acme/site", {b"a": b"1"})
    row = make(browser, forge)
    page = browser.post("/connections/github-app/install/", {"app": str(row.pk)})
    forge.install(refreshed(page), "acme", site)
    known = 1
    forge.ref_moved(site, "refs/heads/main", "1" * 40, forge.bare(site).oid("refs/heads/main") or "")
    assert delivered(last(forge, known + 1)) == 204
    delivery = Delivery.objects.latest("id")
    assert (delivery.team, delivery.verdict) == (team, "ignored")
    assert "No connection here was made from this installation" in delivery.sentence


def test_removed_suspended_and_back_again(browser: Client, forge: GitHubWithApp) -> None:
    make(browser, forge)
    install(browser, forge, "acme")
    made = Connection.objects.get()
    number, known = int(made.installation_id), 1
    forge.suspend(number)
    assert delivered(last(forge, known + 1)) == 202
    made.refresh_from_db()
    assert (made.state, "suspended" in made.sentence) == ("revoked", True)
    forge.suspend(number, suspended=False)
    delivered(last(forge, known + 2))
    made.refresh_from_db()
    assert made.state == "ok"
    forge.uninstall(number)
    delivered(last(forge, known + 3))
    made.refresh_from_db()
    assert (made.state, "removed" in made.sentence) == ("revoked", True)
    forge.tokens.clear()
    with pytest.raises(AuthFailure, match="Install it again"):
        access.client_of(made).identity()
    page = browser.get(f"/connections/{made.pk}/").content.decode()
    assert "Install again" in page
    install(browser, forge, "acme")
    again = Connection.objects.get()
    assert (again.pk, again.state, again.installation_id != str(number)) == (made.pk, "ok", True)


def test_secrets_are_nowhere_in_clear(
    browser: Client, forge: GitHubWithApp, caplog: pytest.LogCaptureFixture
) -> None:
    row = make(browser, forge)
    install(browser, forge, "acme")
    key_line = row.private_key.splitlines()[5]
    secrets = [*forge.tokens, row.client_secret, key_line, Webhook.objects.get().secret]
    assert len(secrets) == 5
    for table in database.introspection.table_names():
        with database.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {database.ops.quote_name(table)}")  # noqa: S608
            rows = repr(cursor.fetchall())
        assert not [table for secret in secrets if secret in rows]
    assert not [secret for secret in secrets if secret in caplog.text]
    assert not [a for a in forge.asked if any(s in f"{a.path}?{a.raw_query}" for s in secrets)]
