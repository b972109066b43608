"""The networks that a webhook takes deliveries from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from django.urls import reverse
from pytest_django import Settings

from opssight.accounts.models import AllowedHost, Role, Team
from opssight.accounts.scope import NotAllowed, Principal
from opssight.audit.models import AuditEvent
from opssight.core.env_kinds import TrustedProxies
from opssight.core.errors import InvalidInput, PermanentFailure
from opssight.core.outbound import AddressRefused
from repos import sources, webhooks
from repos.beside import Answer as Pending
from repos.models import Delivery, Webhook
from repos.providers.github.webhook import GitHubScheme
from tests.api.client import make_api
from tests.factories import make_connection, make_team, make_user
from tests.repos.deliveries import SECRET, example, post_github
from tests.repos.pages import page, said, settle
from tests.repos.test_commands import Answer, answer_of
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db

GITHUB = ["192.30.252.0/22", "2a0a:a440::/29"]


@pytest.fixture
def hook(principal: Principal, team: Team) -> Webhook:
    return webhooks.create_hook(principal, team, "github", secret=SECRET)[0]


class Meta(ThreadingHTTPServer):
    """Answers like `api.github.com/meta`; `answer` may be changed."""

    answer: Any = {"verifiable_password_authentication": False, "hooks": GITHUB, "web": ["140.82.112.0/20"]}
    asked = 0


class _Handler(BaseHTTPRequestHandler):
    server: Meta

    def do_GET(self) -> None:
        self.server.asked += 1
        body = json.dumps(self.server.answer).encode()
        self.send_response(200 if self.path == "/meta" else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def meta(monkeypatch: pytest.MonkeyPatch, db: None) -> Iterator[Meta]:
    server = Meta(("127.0.0.1", 0), _Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    port = server.server_port
    monkeypatch.setattr(GitHubScheme, "published", f"http://127.0.0.1:{port}/meta")
    AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=str(port))
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def deliver(hook: Webhook, source: str, **more: Any) -> Any:
    return post_github(hook.path, "ping", example("ping"), REMOTE_ADDR=source, **more)


# --- arriving ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "status"),
    [
        ("192.30.252.1", 204),
        ("192.30.255.255", 204),
        ("::ffff:192.30.252.1", 204),
        ("2a0a:a440::1", 204),
        ("192.31.0.1", 401),
        ("127.0.0.1", 401),
        ("2a0b::1", 401),
        ("unix:", 401),
        ("", 401),
    ],
)
def test_only_allowed_networks(hook: Webhook, principal: Principal, source: str, status: int) -> None:
    webhooks.update_hook(principal, hook, allowed_sources=GITHUB)
    answer = deliver(hook, source)
    assert answer.status_code == status
    if status == 401:
        assert (source or "an unknown address") in answer.json()["detail"]
        delivery = Delivery.objects.get()
        assert (delivery.verdict, delivery.sentence) == ("unauthentic", answer.json()["detail"])


def test_without_a_list_any_address_will_do(hook: Webhook) -> None:
    assert deliver(hook, "203.0.113.7").status_code == 204
    assert deliver(hook, "").status_code == 200


def test_the_right_address_is_no_signature(hook: Webhook, principal: Principal) -> None:
    webhooks.update_hook(principal, hook, allowed_sources=GITHUB)
    hook.secret = "hook-secret-9e2b7c"
    hook.save()
    assert deliver(hook, "192.30.252.1").status_code == 401


def test_behind_a_proxy_the_client_counts(hook: Webhook, principal: Principal, settings: Settings) -> None:
    webhooks.update_hook(principal, hook, allowed_sources=GITHUB)
    forwarded = {"HTTP_X_FORWARDED_FOR": "192.30.252.1"}
    assert deliver(hook, "10.0.0.1", **forwarded).status_code == 401  # anybody could say so
    assert "10.0.0.1" in Delivery.objects.get().sentence
    settings.TRUSTED_PROXIES = TrustedProxies(count=1)
    assert deliver(hook, "10.0.0.1", **forwarded).status_code == 204


def test_a_test_is_not_refused(hook: Webhook, principal: Principal) -> None:
    webhooks.update_hook(principal, hook, allowed_sources=GITHUB)
    assert webhooks.send_test(principal, hook).status == 204


# --- setting them --------------------------------------------------------------------------------


def test_networks_are_written_in_one_way(hook: Webhook, principal: Principal) -> None:
    given = [" 192.0.2.7", "", "192.0.2.9/24", "192.0.2.0/24", "2001:DB8::/32"]
    webhooks.update_hook(principal, hook, allowed_sources=given)
    row = Webhook.objects.get()
    assert row.allowed_sources == ["192.0.2.7/32", "192.0.2.0/24", "2001:db8::/32"]
    audit = AuditEvent.objects.get(action="webhook.update")
    assert audit.diff == {"allowed_sources": [[], row.allowed_sources]}
    webhooks.update_hook(principal, hook, name="other")
    assert Webhook.objects.get().allowed_sources == row.allowed_sources


@pytest.mark.parametrize("bad", ["github.com", "192.0.2.0/33", "1", "x" * 500, "192.0.2.0/24, 192.0.3.0/24"])
def test_what_is_no_network(hook: Webhook, principal: Principal, bad: str) -> None:
    with pytest.raises(InvalidInput, match="is not a network"):
        webhooks.update_hook(principal, hook, allowed_sources=["192.0.2.0/24", bad])
    assert Webhook.objects.get().allowed_sources == []


def test_too_many(hook: Webhook, principal: Principal) -> None:
    with pytest.raises(InvalidInput, match="may have 1000"):
        webhooks.update_hook(principal, hook, allowed_sources=[f"2001:db8::{n:x}" for n in range(1_001)])


def test_only_administrators(hook: Webhook) -> None:
    with pytest.raises(NotAllowed):
        webhooks.update_hook(
            Principal(make_user(), {hook.team_id: Role.OPERATOR}), hook, allowed_sources=GITHUB
        )


# --- what is published -----------------------------------------------------------------------------


def test_published(meta: Meta) -> None:
    assert sources.published("github") == GITHUB
    nothing: list[Any] = [{}, [], {"hooks": []}]
    for answer in nothing:
        meta.answer = answer
        with pytest.raises(PermanentFailure, match="published no networks"):
            sources.published("github")
    meta.answer = {"hooks": ["everywhere"]}
    with pytest.raises(InvalidInput, match="everywhere"):
        sources.published("github")
    with pytest.raises(InvalidInput, match="does not publish"):
        sources.published("gitea")


def test_the_outbound_policy_counts(meta: Meta) -> None:
    AllowedHost.objects.all().delete()
    with pytest.raises(AddressRefused):
        sources.published("github")
    assert meta.asked == 0


def test_who_publishes(hook: Webhook, team: Team) -> None:
    assert sources.is_published(hook)
    hook.scheme = "gitlab"
    assert not sources.is_published(hook)
    hook.scheme, hook.connection = "github", make_connection(team, "github", options={"url": ""})
    assert sources.is_published(hook)
    hook.connection.options = {"url": "https://github.example.org"}
    assert not sources.is_published(hook)


# --- page, API, command ----------------------------------------------------------------------------


@pytest.mark.usefixtures("beside")
def test_the_page(meta: Meta) -> None:
    client, team = signed_in()
    hook = Webhook.objects.create(team=team, scheme="github", secret=SECRET, name="hook")
    assert "From anywhere, as long as the signature fits" in page(client, "webhook", hook.pk)
    url = reverse("webhook_sources", args=[hook.pk])
    answer = client.post(url, {"sources": "192.0.2.0/24\r\n198.51.100.7"}, follow=True)
    assert said(answer) == ["Deliveries are taken from 2 networks only."]
    assert "192.0.2.0/24&#10;198.51.100.7/32</textarea>" in answer.content.decode()
    answer = client.post(url, {"sources": "nonsense"}, follow=True)
    assert "is not a network" in said(answer)[0]
    answer = client.post(url, {"published": "1", "sources": "192.0.2.0/24"}, follow=True)
    hook.refresh_from_db()
    assert hook.allowed_sources == GITHUB
    client.post(url, {"sources": ""}, follow=True)
    hook.refresh_from_db()
    assert hook.allowed_sources == []
    AllowedHost.objects.all().delete()
    settle()
    answer = client.post(url, {"published": "1"}, follow=True)
    assert len(said(answer)) == 1
    hook.refresh_from_db()
    assert hook.allowed_sources == []


@pytest.mark.usefixtures("beside")
def test_a_slow_answer_is_not_waited_for(meta: Meta, monkeypatch: pytest.MonkeyPatch) -> None:
    client, team = signed_in()
    hook = Webhook.objects.create(team=team, scheme="github", secret=SECRET, name="hook")
    monkeypatch.setattr(sources, "ask", lambda *args, **more: Pending(pending=True))
    answer = client.post(reverse("webhook_sources", args=[hook.pk]), {"published": "1"}, follow=True)
    assert said(answer) == ["GitHub is being asked. Press the button again in a moment."]


def test_the_page_says_from_where_a_refused_one_came() -> None:
    client, team = signed_in()
    hook = Webhook.objects.create(
        team=team, scheme="github", secret=SECRET, name="hook", allowed_sources=GITHUB
    )
    deliver(hook, "203.0.113.7")
    said_there = page(client, "webhook", hook.pk)
    assert "The last delivery was not taken. This came from 203.0.113.7" in said_there
    assert "From 2 networks only, and signed." in said_there


def test_the_page_of_another_team() -> None:
    client, _ = signed_in()
    hook = Webhook.objects.create(team=make_team(), scheme="github", secret=SECRET)
    assert client.post(reverse("webhook_sources", args=[hook.pk]), {"sources": "::/0"}).status_code == 404
    hook.refresh_from_db()
    assert hook.allowed_sources == []


@pytest.mark.usefixtures("beside")
def test_the_api(meta: Meta) -> None:
    api, team = make_api()
    hook = Webhook.objects.create(team=team, scheme="github", secret=SECRET)
    path = f"hooks/{hook.pk}/"
    assert api.get(path).json()["allowed_sources"] == []
    changed = api.patch(path, {"allowed_sources": ["192.0.2.7"]}).json()
    assert changed["allowed_sources"] == ["192.0.2.7/32"]
    assert api.patch(path, {"allowed_sources": ["home"]}).status_code in (400, 422)
    assert api.post(f"{path}published-sources/").json()["allowed_sources"] == GITHUB
    AllowedHost.objects.all().delete()
    settle()
    assert api.post(f"{path}published-sources/").status_code == 503
    hook.refresh_from_db()
    assert hook.allowed_sources == GITHUB
    operator, _ = make_api(Role.OPERATOR)
    assert operator.post(f"{path}published-sources/").status_code == 404


@pytest.mark.django_db(transaction=True)
def test_the_command(meta: Meta, hook: Webhook) -> None:
    assert "From anywhere." in Answer("hook", "sources", "GitHub").out
    found = answer_of("hook", "sources", "GitHub", "--allow", "192.0.2.0/24", "--allow", "::1")
    assert found == {"id": str(hook.pk), "allowed_sources": ["192.0.2.0/24", "::1/128"]}
    assert answer_of("hook", "sources", "GitHub", "--published")["allowed_sources"] == GITHUB
    assert answer_of("hook", "sources", str(hook.pk), "--anywhere")["allowed_sources"] == []
    assert AuditEvent.objects.filter(action="webhook.update", actor_kind="cli").count() == 3
    assert Answer("hook", "sources", "GitHub", "--allow", "home").status == 2
