"""Pages of deliveries and webhooks."""

from __future__ import annotations

import html
import json
import re
import uuid
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from opssight.accounts.models import Role, Team
from repos import receiving, webhooks
from repos.models import Delivery, DeliveryBody, Repository, Webhook
from syncs.models import RunCause
from tests.factories import make_connection, make_job, make_repository, make_team
from tests.repos.deliveries import SECRET, fixture, github_headers, plain_body, plain_headers
from tests.syncs.runs import make_run, signed_in

pytestmark = pytest.mark.django_db


def make_hook(team: Team, scheme: str = "plain", **extra: Any) -> Webhook:
    return Webhook.objects.create(team=team, scheme=scheme, secret=SECRET, **{"name": "docs hook", **extra})


def deliver(hook: Webhook, body: bytes | None = None, **headers: Any) -> Delivery:
    body = plain_body() if body is None else body
    signed = plain_headers if hook.scheme == "plain" else github_headers
    got = receiving.receive(hook, signed(body, **headers), body)
    assert got.delivery is not None
    return got.delivery


def site(team: Team) -> Repository:
    return make_repository(make_connection(team), "team/site")


def page(client: Client, name: str, *args: Any, **query: str) -> str:
    """What the page says, in words: tags and white space aside."""
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return words(answer.content)


def words(content: bytes) -> str:
    main = content.decode().partition('id="main"')[2]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", main)).split())


def said(answer: Any) -> list[str]:
    return [str(message) for message in answer.context["messages"]]


# --- deliveries ---------------------------------------------------------------------------------------


def test_without_a_webhook_the_list_leads_to_the_first_one() -> None:
    client, team = signed_in()
    answer = client.get(reverse("deliveries"))
    assert "Hear of a push within a second" in words(answer.content)
    assert reverse("webhook_new") in answer.content.decode()
    make_hook(team)
    assert "Nothing has been delivered yet" in page(client, "deliveries")


def test_who_may_not_add_a_webhook_is_not_led_to_it() -> None:
    client, _ = signed_in(role=Role.OPERATOR)
    assert reverse("webhook_new") not in client.get(reverse("deliveries")).content.decode()


def test_the_list_says_how_each_was_judged_and_what_it_started() -> None:
    client, team = signed_in()
    site(team)
    hook = make_hook(team)
    delivery = deliver(hook, id="one")
    deliver(hook, id="one")
    run = make_run(make_job(team, name="site to mirror"))
    RunCause.objects.create(run=run, delivery=delivery)
    text = page(client, "deliveries")
    for part in ("accepted", "duplicate", "team/site", f"run {run.short_id}", "1×"):
        assert part in text


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["unauthentic", "ignored", "accepted"]),
        ({"verdict": "accepted"}, ["accepted"]),
        ({"verdict": "ignored"}, ["ignored"]),
        ({"event": "ping"}, ["ignored"]),
        ({"q": "site team"}, ["ignored", "accepted"]),
        ({"q": "tulips"}, []),
        ({"sort": "received"}, ["accepted", "ignored", "unauthentic"]),
        ({"webhook": "nonsense"}, ["unauthentic", "ignored", "accepted"]),
        ({"webhook": str(uuid.uuid4())}, []),
        ({"page": "99"}, ["unauthentic", "ignored", "accepted"]),
    ],
)
def test_the_list_is_narrowed_and_sorted(query: dict[str, str], found: list[str]) -> None:
    client, team = signed_in()
    site(team)
    hook = make_hook(team)
    deliver(hook)
    deliver(hook, plain_body(n=2), event="ping")
    deliver(hook, secret="not it")
    rows = client.get(reverse("deliveries"), query).context["rows"]
    assert [row.delivery.verdict for row in rows] == found


def test_deliveries_and_webhooks_of_other_teams_are_not_there() -> None:
    client, _ = signed_in()
    hook = make_hook(make_team(), name="secret hook")
    delivery = deliver(hook)
    assert "secret hook" not in page(client, "deliveries") + page(client, "webhooks")
    assert client.get(reverse("delivery", args=[delivery.pk])).status_code == 404
    assert client.get(reverse("webhook", args=[hook.pk])).status_code == 404
    assert client.post(reverse("delivery_replay", args=[delivery.pk])).status_code == 404
    for name in ("webhook", "webhook_test", "webhook_secret", "webhook_pause", "webhook_delete"):
        assert client.post(reverse(name, args=[hook.pk]), {"name": "mine"}).status_code == 404
    hook.refresh_from_db()
    assert (hook.name, hook.state, hook.secret) == ("secret hook", "active", SECRET)
    assert Delivery.objects.count() == 1


@pytest.mark.parametrize("name", ["deliveries", "webhooks"])
def test_the_lists_ask_as_much_for_thirty_rows_as_for_three(name: str) -> None:
    client, team = signed_in()
    job = make_job(team)

    def add(number: int) -> None:
        for _ in range(number):
            repository = make_repository(make_connection(team))
            hook = make_hook(team, repository=repository)
            RunCause.objects.create(run=make_run(job), delivery=deliver(hook))

    def queries() -> int:
        cache.clear()  # the number beside "Overview" is kept for some seconds
        with CaptureQueriesContext(connection) as asked:
            assert client.get(reverse(name)).status_code == 200
        return len(asked)

    add(3)
    few = queries()
    add(27)
    assert queries() == few


# --- one delivery -------------------------------------------------------------------------------------


def test_a_delivery_says_what_arrived_and_what_it_started() -> None:
    client, team = signed_in()
    repository = make_repository(make_connection(team), "acme/docs")
    delivery = deliver(
        make_hook(team, "github", repository=repository), fixture("push__one_commit"), id="abc"
    )
    run = make_run(make_job(team), sentence="Copied 6 files to 4 targets.")
    RunCause.objects.create(run=run, delivery=delivery)
    text = page(client, "delivery", delivery.pk)
    for part in ("acme/docs", "accepted", "Copied 6 files to 4 targets.", "x-github-event", '"ref":'):
        assert part in text
    assert "x-hub-signature" not in text


def test_a_payload_is_shown_as_text_with_nothing_invisible_in_it() -> None:
    client, team = signed_in()
    site(team)
    note = "<script>alert(1)</script> \u202egnp.exe \x07"
    delivery = deliver(make_hook(team), plain_body(note=note))
    shown = client.get(reverse("delivery", args=[delivery.pk])).content.decode()
    assert "&lt;script&gt;alert(1)" in shown
    assert "<script>alert(1)" not in shown
    assert "\\u202egnp.exe \\u0007" in html.unescape(shown)
    assert "\u202e" not in shown


def test_a_large_payload_is_shown_by_its_beginning() -> None:
    client, team = signed_in()
    site(team)
    hook = make_hook(team)
    for size in (100_000, 2_000_000):
        delivery = deliver(hook, plain_body(note="x" * size))
        answer = client.get(reverse("delivery", args=[delivery.pk]))
        assert "This is its beginning" in words(answer.content)
        assert 64_000 <= len(answer.content) < 250_000


def test_a_payload_that_is_no_json_is_shown_as_it_came() -> None:
    client, team = signed_in()
    delivery = deliver(make_hook(team), b"payload=%7B%7D & more")
    assert delivery.verdict == "unreadable"
    assert "payload=%7B%7D & more" in page(client, "delivery", delivery.pk)


def test_without_a_body_it_says_why() -> None:
    client, team = signed_in()
    hook = make_hook(team)
    refused = deliver(hook, secret="not it")
    assert "The body of a delivery that is unauthentic is not kept." in page(client, "delivery", refused.pk)
    old = deliver(hook)
    DeliveryBody.objects.all().delete()
    assert "The body of this delivery is not kept (any more)." in page(client, "delivery", old.pk)


def test_replaying_leads_to_the_new_delivery() -> None:
    client, team = signed_in(role=Role.OPERATOR)
    site(team)
    delivery = deliver(make_hook(team))
    url = reverse("delivery_replay", args=[delivery.pk])
    assert url in client.get(reverse("delivery", args=[delivery.pk])).content.decode()
    answer = client.post(url)
    again = Delivery.objects.get(replay_of=delivery)
    assert answer.headers["Location"] == reverse("delivery", args=[again.pk])
    short = again.pk.hex[-4:]
    assert f"Replayed as delivery {short}" in page(client, "delivery", delivery.pk)


def test_what_cannot_be_replayed_says_why() -> None:
    client, team = signed_in()
    refused = deliver(make_hook(team), secret="not it")
    url = reverse("delivery_replay", args=[refused.pk])
    assert url not in client.get(reverse("delivery", args=[refused.pk])).content.decode()
    assert said(client.post(url, follow=True)) == [
        "This delivery was unauthentic, so there is nothing to replay."
    ]


def test_a_viewer_sees_and_does_not_replay() -> None:
    client, team = signed_in(role=Role.VIEWER)
    site(team)
    delivery = deliver(make_hook(team))
    url = reverse("delivery_replay", args=[delivery.pk])
    assert url not in client.get(reverse("delivery", args=[delivery.pk])).content.decode()
    assert client.post(url).status_code == 404
    assert Delivery.objects.count() == 1


# --- webhooks -----------------------------------------------------------------------------------------


def test_the_list_of_webhooks_says_how_each_does() -> None:
    client, team = signed_in()
    site(team)
    deliver(make_hook(team, name="well"))
    deliver(make_hook(team, name="wrong secret"), secret="not it")
    make_hook(team, name="asleep", state="paused")
    make_hook(team, name="new")
    rows = client.get(reverse("webhooks")).context["rows"]
    assert {str(row.hook): row.state for row in rows} == {
        "well": "delivering",
        "wrong secret": "unauthentic",
        "asleep": "paused",
        "new": "pending",
    }


def test_a_webhook_is_made_and_its_secret_shown_once() -> None:
    client, team = signed_in()
    answer = client.post(reverse("webhook_new"), {"scheme": "github", "name": "Acme"})
    hook = Webhook.objects.get()
    text = answer.content.decode()
    assert hook.secret in text
    assert webhooks.url_of(hook) in text
    assert "application/json" in text
    assert "GitHub sends a ping at once" in text
    assert "no-store" in answer.headers["Cache-Control"]
    assert hook.secret not in client.get(reverse("webhook", args=[hook.pk])).content.decode()
    delivery = deliver(hook, fixture("push__one_commit"), secret=hook.secret)
    assert delivery.verdict == "accepted"
    assert (hook.team, hook.name) == (team, "Acme")


def test_a_webhook_is_bound_to_a_repository_or_a_connection_of_the_team() -> None:
    client, team = signed_in()
    repository = site(team)
    new = f"{reverse('webhook_new')}?repository={repository.pk}"
    assert "team/site" in words(client.get(new).content)
    ready = words(client.post(new, {"scheme": "plain"}).content)
    assert "The first delivery is listed" in ready
    assert "GitHub" not in ready
    assert Webhook.objects.get().repository == repository
    client.post(reverse("webhook_new"), {"scheme": "plain", "connection": str(repository.connection_id)})
    assert Webhook.objects.filter(connection=repository.connection_id).count() == 1
    other = site(make_team())
    answer = client.post(reverse("webhook_new"), {"scheme": "plain", "connection": str(other.connection_id)})
    assert "connection" in answer.context["form"].errors
    assert client.get(f"{reverse('webhook_new')}?repository={other.pk}").status_code == 404
    assert Webhook.objects.count() == 2


def test_what_does_not_fit_is_said_at_the_field() -> None:
    client, _ = signed_in()
    answer = client.post(reverse("webhook_new"), {"scheme": "plain", "secret": "two\nlines"})
    assert answer.context["form"].errors["secret"] == ["A secret is one line without control characters."]
    assert client.post(reverse("webhook_new"), {"scheme": "nobody"}).context["form"].errors["scheme"]
    assert not Webhook.objects.exists()


def test_a_new_secret_counts_beside_the_old_one_until_that_is_ended() -> None:
    client, team = signed_in()
    site(team)
    hook = make_hook(team)
    answer = client.post(reverse("webhook_secret", args=[hook.pk]))
    hook.refresh_from_db()
    assert hook.secret != SECRET
    assert hook.secret in answer.content.decode()
    assert "no-store" in answer.headers["Cache-Control"]
    assert "Two secrets count." in page(client, "webhook", hook.pk)
    assert deliver(hook, plain_body(n=1)).verdict == "accepted"
    client.post(reverse("webhook_secret", args=[hook.pk]), {"end": "1"})
    hook.refresh_from_db()
    assert deliver(hook, plain_body(n=2)).verdict == "unauthentic"
    assert deliver(hook, plain_body(n=2), secret=hook.secret).verdict == "accepted"
    assert "Two secrets count." not in page(client, "webhook", hook.pk)


def test_a_test_goes_through_and_is_shown() -> None:
    client, team = signed_in(role=Role.OPERATOR)
    hook = make_hook(team, "github")
    answer = client.post(reverse("webhook_test", args=[hook.pk]), follow=True)
    assert Delivery.objects.get().event == "ping"
    assert "signed, delivered and understood" in said(answer)[0]


def test_a_paused_webhook_keeps_what_comes_and_starts_nothing() -> None:
    client, team = signed_in()
    site(team)
    hook = make_hook(team)
    url = reverse("webhook_pause", args=[hook.pk])
    client.post(url, {"paused": "yes"})
    hook.refresh_from_db()
    assert deliver(hook).verdict == "ignored"
    assert "paused" in page(client, "webhook", hook.pk)
    client.post(url, {"paused": "no"})
    hook.refresh_from_db()
    assert deliver(hook, plain_body(n=2)).verdict == "accepted"


def test_a_webhook_is_renamed_and_needs_a_name() -> None:
    client, team = signed_in()
    hook = make_hook(team)
    url = reverse("webhook", args=[hook.pk])
    client.post(url, {"name": "  docs at GitHub "})
    assert said(client.post(url, {"name": " "}, follow=True))[-1] == "Give the webhook a name."
    hook.refresh_from_db()
    assert hook.name == "docs at GitHub"


def test_a_deleted_webhook_takes_its_deliveries_along() -> None:
    client, team = signed_in()
    hook = make_hook(team)
    deliver(hook)
    answer = client.post(reverse("webhook_delete", args=[hook.pk]), follow=True)
    assert said(answer) == ["docs hook is deleted. Remove it at the sender as well."]
    assert not Delivery.objects.exists()
    assert client.post(hook.path).status_code == 404


@pytest.mark.parametrize(
    ("role", "test"), [(Role.VIEWER, 404), (Role.OPERATOR, 302)], ids=["viewer", "operator"]
)
def test_only_administrators_change_webhooks(role: Role, test: int) -> None:
    client, team = signed_in(role=role)
    hook = make_hook(team)
    assert client.get(reverse("webhook_new")).status_code == 404
    assert client.post(reverse("webhook_new"), {"scheme": "plain"}).status_code == 404
    for name in ("webhook", "webhook_secret", "webhook_pause", "webhook_delete"):
        assert client.post(reverse(name, args=[hook.pk]), {"name": "x"}).status_code == 404
    assert client.post(reverse("webhook_test", args=[hook.pk])).status_code == test
    shown = client.get(reverse("webhook", args=[hook.pk])).content.decode()
    for name in ("webhook_secret", "webhook_pause", "webhook_delete"):
        assert reverse(name, args=[hook.pk]) not in shown
    hook.refresh_from_db()
    assert (hook.name, hook.state, hook.secret) == ("docs hook", "active", SECRET)


@pytest.mark.parametrize(
    ("address", "warned"),
    [
        ("http://localhost:8000", True),
        ("http://192.168.1.7", True),
        ("https://ops.example.org", False),
    ],
)
def test_an_address_that_no_other_machine_reaches_is_said(
    address: str, warned: bool, settings: Settings
) -> None:
    settings.PUBLIC_URL = address
    client, _ = signed_in()
    assert ("a server on the internet cannot reach it" in page(client, "webhook_new")) is warned


def test_the_answer_to_a_stranger_is_to_sign_in(client: Client) -> None:
    for name in ("deliveries", "webhooks", "webhook_new"):
        assert client.get(reverse(name)).status_code == 302


def test_a_delivery_of_another_shape_is_read_by_the_page_too() -> None:
    client, team = signed_in()
    body = json.dumps([1, {"a": None}]).encode()
    delivery = deliver(make_hook(team), body)
    assert '[ 1, { "a": null } ]' in page(client, "delivery", delivery.pk)
