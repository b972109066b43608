"""Making, changing, testing and deleting webhooks."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import NotAllowed, Principal
from opssight.audit.models import AuditEvent
from opssight.core.errors import InvalidInput
from repos import managed_webhooks, selectors, webhooks
from repos.models import Delivery, Repository, Webhook
from tests.factories import make_connection, make_repository, make_team, make_user
from tests.repos.deliveries import PUSH, SECRET, github_headers, plain_body, post, post_push

pytestmark = pytest.mark.django_db


@pytest.fixture
def hook(principal: Principal, team: Team) -> Webhook:
    return webhooks.create_hook(principal, team, "github", secret=SECRET)[0]


@pytest.fixture
def repository(team: Team) -> Repository:
    return make_repository(make_connection(team, "plain"), "acme-widgets/docs-site")


def test_create_makes_a_secret(principal: Principal, team: Team, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://ops.example.org/"
    hook, secret = webhooks.create_hook(principal, team, "github")
    assert len(secret) >= 32
    assert Webhook.objects.get().secret == secret
    assert webhooks.url_of(hook) == f"https://ops.example.org/hooks/{hook.pk}/"
    assert hook.pk.version == 4  # not to be guessed
    event = AuditEvent.objects.get(action="webhook.create")
    assert (event.object_label, event.diff) == ("GitHub", {"scheme": "github"})
    headers = github_headers(PUSH, secret=secret)
    assert post(hook, PUSH, headers).status_code == 202


def test_create_refuses(principal: Principal, team: Team) -> None:
    with pytest.raises(InvalidInput, match="github, gitlab"):
        webhooks.create_hook(principal, team, "sourcesafe")
    with pytest.raises(InvalidInput, match="one line"):
        webhooks.create_hook(principal, team, "github", secret="two\nlines")
    with pytest.raises(InvalidInput, match="another team"):
        webhooks.create_hook(principal, team, "github", connection=make_connection(make_team()))
    with pytest.raises(NotAllowed):
        webhooks.create_hook(Principal(make_user(), {team.pk: Role.OPERATOR}), team, "github")
    assert not Webhook.objects.exists()


def test_update(hook: Webhook, principal: Principal) -> None:
    webhooks.update_hook(principal, hook, name=" Our  hook ")
    webhooks.update_hook(principal, hook, paused=True)
    row = Webhook.objects.get()
    assert (row.name, row.state, row.secret) == ("Our hook", "paused", SECRET)
    diffs = AuditEvent.objects.filter(action="webhook.update").order_by("id").values_list("diff", flat=True)
    assert list(diffs) == [{"name": ["GitHub", "Our hook"]}, {"state": ["active", "paused"]}]


def test_rotation_overlaps(hook: Webhook, principal: Principal) -> None:
    new = managed_webhooks.rotate(principal, hook)
    assert new != SECRET

    def status(secret: str) -> int:
        body = plain_body(by=secret)
        return int(post(hook, body, github_headers(body, secret=secret)).status_code)

    assert (status(SECRET), status(new)) == (202, 202)
    managed_webhooks.end_rotation(principal, hook)
    again = plain_body(by="again")
    assert post(hook, again, github_headers(again, secret=SECRET)).status_code == 401
    assert post(hook, again, github_headers(again, secret=new)).status_code == 202
    assert "secret" not in str(list(AuditEvent.objects.filter(action="webhook.rotate").values("diff")))


def test_delete(hook: Webhook, principal: Principal) -> None:
    post_push(hook)
    with pytest.raises(NotAllowed):
        managed_webhooks.delete(Principal(make_user(), {hook.team_id: Role.OPERATOR}), hook)
    assert managed_webhooks.delete(principal, hook) == ""
    assert not Delivery.objects.exists()
    assert Client().post(f"/hooks/{uuid.uuid4()}/").status_code == 404


@pytest.mark.parametrize("scheme", ["github", "plain"])
def test_send_test(principal: Principal, team: Team, scheme: str) -> None:
    hook, _ = webhooks.create_hook(principal, team, scheme)
    received = webhooks.send_test(principal, hook)
    assert (received.status, received.verdict) == (204, "ignored")
    delivery = Delivery.objects.get()
    assert (delivery.event, delivery.headers["user-agent"]) == ("ping", "OpsSight test delivery")


def test_lists(
    principal: Principal, hook: Webhook, repository: Repository, django_assert_num_queries: Any
) -> None:
    for n in range(3):
        post_push(hook, id=str(n))
    post(hook, PUSH, github_headers(PUSH, event="star"))
    with django_assert_num_queries(1):
        rows = [(row.webhook.scheme, row.repository) for row in selectors.deliveries(principal, event="push")]
    assert rows == [("github", repository)] * 3
    found = selectors.deliveries(principal)
    assert [row.event for row in found] == ["star", "push", "push", "push"]
    assert selectors.deliveries(principal, verdict="ignored").count() == 1
    assert selectors.deliveries(principal, webhook=str(hook.pk), repository=str(repository.pk)).count() == 4
    assert [row.name for row in selectors.webhooks(principal)] == ["GitHub"]
    stranger = Principal.of_user(make_user())
    assert not selectors.deliveries(stranger)
    assert not selectors.webhooks(stranger)


def test_the_hook_remembers_when_it_was_last_used(hook: Webhook) -> None:
    post_push(hook, id="1")
    first = Webhook.objects.get().last_delivery_at
    assert first is not None
    post_push(hook, id="2")
    assert Webhook.objects.get().last_delivery_at == first  # not written for each one
