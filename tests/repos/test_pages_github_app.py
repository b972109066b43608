"""What the pages say of a GitHub App: where it is installed, its webhook, what came before a connection."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from opssight.accounts.models import Team, User
from opssight.core.clock import now
from repos.models import Connection, Delivery, DeliveryBody, ProviderInstance, Webhook
from tests.factories import make_connection, make_repository, make_team
from tests.repos.deliveries import SECRET, example, send_example
from tests.repos.pages import page, queries

pytestmark = pytest.mark.django_db
BANNER = "a server on the internet cannot reach it"


@pytest.fixture
def browser(owner: User, team: Team) -> Client:
    client = Client()
    client.force_login(owner)
    client.post("/accounts/team/", {"team": str(team.pk)})
    return client


@pytest.fixture
def app(team: Team) -> Webhook:
    row = ProviderInstance.objects.create(provider="github", client_id="x", app_id="7", app_slug="ours")
    more = {"managed": True, "remote_state": "ok"}
    return Webhook.objects.create(
        team=team, scheme="github", secret=SECRET, instance=row, name="GitHub App ours", **more
    )


def installed(app: Webhook, team: Team, number: str, **more: str) -> Connection:
    return make_connection(team, "github", instance=app.instance, installation_id=number, **more)


@pytest.mark.parametrize(
    ("public", "there", "warned"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:3000", False),
        ("http://127.0.0.1:8000", "https://github.example.org", True),
        ("http://10.0.0.5", "https://github.example.org", False),
        ("http://127.0.0.1:8000", "", True),
        ("http://10.0.0.5", "", True),
        ("https://ops.example.org", "", False),
    ],
)
def test_only_an_app_that_may_be_out_of_reach_is_warned_of(
    browser: Client, app: Webhook, settings: Settings, public: str, there: str, warned: bool
) -> None:
    settings.PUBLIC_URL = public
    ProviderInstance.objects.update(url=there)
    assert (BANNER in page(browser, "webhook", app.pk)) is warned
    Webhook.objects.update(last_delivery_at=now())
    text = page(browser, "webhook", app.pk)
    assert "delivering" in text
    assert BANNER not in text


def test_what_came_before_it_was_connected_says_so(browser: Client, app: Webhook, team: Team) -> None:
    assert send_example(app.path, "installation.created") == 204
    installed(app, team, str(example("installation.created")["installation"]["id"]))
    text = page(browser, "webhook", app.pk)
    assert "This came before it was connected here" in text
    assert "No connection here was made" not in text
    assert send_example(app.path, "push.0", installation={"id": 1}) == 204
    assert "No connection here was made from this installation" in page(browser, "webhook", app.pk)


def test_a_test_of_the_app_says_why_it_has_no_body_and_is_not_replayed(browser: Client, app: Webhook) -> None:
    browser.post(reverse("webhook_test", args=[app.pk]))
    test = Delivery.objects.get()
    text = page(browser, "delivery", test.pk)
    assert "Bodies of deliveries that concern no team are not kept." in text
    assert "Replay" not in text


def test_a_body_that_is_gone_is_not_replayed(browser: Client, app: Webhook, team: Team) -> None:
    connection = installed(app, team, "375706")
    make_repository(connection, "Codertocat/Hello-World", external_id="186853002")
    assert send_example(app.path, "push.0", installation={"id": 375706}) == 202
    delivery = Delivery.objects.get()
    assert "Replay" in page(browser, "delivery", delivery.pk)
    DeliveryBody.objects.all().delete()
    text = page(browser, "delivery", delivery.pk)
    assert "not kept (any more). Ask the sender to deliver again." in text
    assert "Replay" not in text


def test_its_page_lists_where_it_is_installed_and_its_webhook(
    browser: Client, app: Webhook, team: Team
) -> None:
    text = page(browser, "github_app")
    assert "Installed at nowhere yet" in text
    mine = installed(app, team, "1", name="GitHub: acme")
    other = installed(app, make_team(name="Others"), "2", name="GitHub: zeta")
    text = page(browser, "github_app")
    assert "Installed at GitHub: acme GitHub: zeta of Others" in text
    assert "Webhook GitHub App ours" in text
    source = browser.get(reverse("github_app")).content.decode()
    assert reverse("connection", args=[mine.pk]) in source
    assert reverse("webhook", args=[app.pk]) in source
    assert reverse("connection", args=[other.pk]) not in source, "a page of another team is not opened here"
    few = queries(browser, reverse("github_app"))
    for number in range(3, 13):
        installed(app, team, str(number), name=f"GitHub: {number}")
    assert queries(browser, reverse("github_app")) == few
    Webhook.objects.update(team=other.team)
    text = page(browser, "github_app")
    assert "Webhook GitHub App ours of Others" in text
    Webhook.objects.all().delete()
    assert "none: pushes are found by looking" in page(browser, "github_app")


def test_a_connection_of_the_app_has_one_webhook(browser: Client, app: Webhook, team: Team) -> None:
    made = installed(app, team, "1")
    text = page(browser, "connection", made.pk)
    assert "Webhooks one, of its GitHub App See it" in text
    assert "none are registered" not in text
    source = browser.get(reverse("connection", args=[made.pk])).content.decode()
    assert reverse("webhook", args=[app.pk]) in source
    Webhook.objects.update(team=make_team())
    assert "See it" not in page(browser, "connection", made.pk)
    Webhook.objects.update(state="paused")
    assert "none are registered" in page(browser, "connection", made.pk)
