from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from opssight.accounts.models import Role
from opssight.audit.models import AuditEvent
from opssight.core.outbound import AllowedTarget, Policy
from opssight.notices import http, manage, outbox
from opssight.notices.models import Channel, Severity
from tests.factories import make_team
from tests.notices.servers import HttpServer, http_server
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db

WEBHOOK = {"name": "ops", "url": "https://hooks.example.org/x", "severity": "20", "topics": ["run.copy"]}


def page(client: Client) -> str:
    answer = client.get(reverse("notices"))
    assert answer.status_code == 200
    return answer.content.decode()


def new(client: Client, scheme: str, **data: object) -> str:
    return client.post(reverse("channel_new", args=[scheme]), data, follow=True).content.decode()


def test_without_a_channel_the_page_says_what_it_is_for() -> None:
    client, _ = signed_in()
    text = page(client)
    assert "Hear of it before anybody asks" in text
    assert reverse("channel_new", args=["slack"]) in text
    viewer, _ = signed_in(role=Role.VIEWER)
    assert reverse("channel_new", args=["slack"]) not in page(viewer)


def test_a_webhook_shows_its_key_once() -> None:
    client, team = signed_in()
    text = new(client, "webhook", **WEBHOOK)
    channel = Channel.objects.get()
    assert channel.team_id == team.pk
    assert channel.secret in text
    rule = channel.rules.get()
    assert (rule.topics, rule.min_severity) == (["run.copy"], Severity.WARNING)
    listed = page(client)
    assert channel.secret not in listed
    assert "runs of copy: what needs a look" in listed
    assert channel.secret not in client.get(reverse("channel", args=[channel.pk])).content.decode()
    event = AuditEvent.objects.get(action="channel.create")
    assert channel.secret not in json.dumps(event.diff)


def test_mail_and_slack() -> None:
    client, _ = signed_in()
    assert "is saved" in new(client, "smtp", name="mail", to="a@example.org, b@example.org", severity="30")
    assert Channel.objects.get(name="mail").options == {"to": ["a@example.org", "b@example.org"]}
    secret = "https://hooks.slack.com/services/T/B/x"
    assert "is saved" in new(client, "slack", name="#docs", secret=secret, severity="10")
    text = page(client)
    assert "everything: failures only" in text
    assert secret not in text
    event = AuditEvent.objects.get(object_label="#docs")
    assert event.diff["secret"] == "changed"


@pytest.mark.parametrize(
    ("scheme", "data", "sentence"),
    [
        ("smtp", {"name": "m", "to": "nonsense", "severity": "10"}, "is not an e-mail address"),
        (
            "slack",
            {"name": "s", "secret": "nonsense", "severity": "10"},
            "begins with https://hooks.slack.com/",
        ),
        ("webhook", {**WEBHOOK, "url": "ftp://x"}, "begins with https:// or http://"),
        ("webhook", {**WEBHOOK, "name": "taken"}, "There is a channel taken already"),
        ("webhook", {**WEBHOOK, "topics": ["moon"]}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_said(scheme: str, data: dict[str, object], sentence: str) -> None:
    client, team = signed_in()
    manage.save_channel(None, team_id=team.pk, name="taken", scheme="smtp", options={"to": ["a@example.org"]})
    assert sentence in new(client, scheme, **data)
    assert Channel.objects.count() == 1


def test_changing_a_channel_keeps_its_secret_and_replaces_its_rule() -> None:
    client, _ = signed_in()
    new(client, "webhook", **WEBHOOK)
    before = Channel.objects.get()
    answer = client.post(
        reverse("channel", args=[before.pk]), {**WEBHOOK, "name": "renamed", "topics": [], "severity": "30"}
    )
    assert answer.status_code == 302
    after = Channel.objects.get()
    assert (after.name, after.secret) == ("renamed", before.secret)
    assert (after.rules.get().topics, after.rules.get().min_severity) == ([], Severity.ERROR)


def test_switching_off_and_deleting() -> None:
    client, _ = signed_in()
    new(client, "webhook", **WEBHOOK)
    pk = Channel.objects.get().pk
    assert "ops is off" in client.post(reverse("channel_switch", args=[pk]), follow=True).content.decode()
    assert not Channel.objects.get().enabled
    client.post(reverse("channel_switch", args=[pk]))
    assert Channel.objects.get().enabled
    assert "ops is deleted" in client.post(reverse("channel_delete", args=[pk]), follow=True).content.decode()
    assert not Channel.objects.exists()
    actions = AuditEvent.objects.order_by("id").values_list("action", flat=True)
    assert list(actions) == ["channel.create", "channel.disable", "channel.enable", "channel.delete"]


def test_who_may_not_set_up_sees_and_changes_nothing() -> None:
    client, team = signed_in(role=Role.OPERATOR)
    channel = manage.save_channel(
        None, team_id=team.pk, name="ops", scheme="smtp", options={"to": ["a@example.org"]}
    )
    assert "ops" in page(client)
    for name in ("channel", "channel_test", "channel_switch", "channel_delete"):
        assert client.post(reverse(name, args=[channel.pk])).status_code == 404
    assert client.get(reverse("channel", args=[channel.pk])).status_code == 404
    assert client.get(reverse("channel_new", args=["smtp"])).status_code == 404


def test_channels_of_another_team_are_not_there() -> None:
    client, _ = signed_in()
    other = manage.save_channel(
        None, team_id=make_team().pk, name="theirs", scheme="smtp", options={"to": ["a@example.org"]}
    )
    assert "theirs" not in page(client)
    assert client.get(reverse("channel", args=[other.pk])).status_code == 404
    assert client.post(reverse("channel_delete", args=[other.pk])).status_code == 404
    assert client.get(reverse("channel_new", args=["pigeon"])).status_code == 404


def test_what_was_sent_lately_is_listed() -> None:
    client, team = signed_in()
    new(client, "webhook", **{**WEBHOOK, "topics": []})
    outbox.report(
        team_id=team.pk,
        topic="run.copy",
        subject="job:1",
        state="failed",
        severity=Severity.ERROR,
        title="docs: failed",
        sentence="Copied nothing.",
    )
    text = page(client)
    assert "docs: failed" in text
    assert "1 waiting to be sent" in text


def test_the_page_costs_the_same_whatever_the_number_of_channels() -> None:
    client, team = signed_in()

    def add(n: int) -> None:
        channel = manage.save_channel(
            None, team_id=team.pk, name=f"channel {n}", scheme="smtp", options={"to": ["a@example.org"]}
        )
        manage.add_rule(channel)

    def cost() -> int:
        with CaptureQueriesContext(connection) as found:
            page(client)
        return len(found)

    for n in range(3):
        add(n)
    few = cost()
    for n in range(3, 30):
        add(n)
    assert cost() == few


@pytest.fixture
def receiver() -> Iterator[HttpServer]:
    """An HTTP server on loopback that the policy allows."""
    before = http._policy
    http.use_policy(lambda: Policy([AllowedTarget("127.0.0.1", "127.0.0.1/32")]))
    with http_server() as server:
        yield server
    http.use_policy(before)


@pytest.mark.django_db(transaction=True)
def test_a_test_message_says_what_came_of_it(receiver: HttpServer) -> None:
    client, _ = signed_in()
    new(client, "webhook", **{**WEBHOOK, "url": f"{receiver.url}/hook"})
    test = reverse("channel_test", args=[Channel.objects.get().pk])
    assert "A test message was sent to ops." in client.post(test, follow=True).content.decode()
    assert receiver.received[0].json["type"] == "test"
    receiver.answers = [(403, {})]
    said = client.post(test, follow=True).content.decode()
    assert said.count("refused the message (403)") == 2  # above the page, and on the channel
