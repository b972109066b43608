"""Registered webhooks on pages, in the API and on the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from opssight.accounts.models import Team, User
from opssight.accounts.scope import Principal
from opssight.accounts.tokens import issue
from repos import managed_webhooks
from repos.models import Webhook
from syncs.engine import claim, runner
from tests.factories import make_connection, make_repository, make_worker
from tests.repos.forges import Connected, connected
from tests.repos.pages import page, queries
from tests.repos.test_commands import Answer, answer_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]


@pytest.fixture
def github(
    tmp_path: Path, team: Team, principal: Principal, folder: Path, settings: Settings, beside: None
) -> Iterator[Connected]:
    settings.PUBLIC_URL = "http://127.0.0.1:9"  # nobody listens there
    with connected("github", tmp_path, team, principal) as made:
        managed_webhooks.reconcile(made.connection)
        yield made


@pytest.fixture
def browser(owner: User) -> Client:
    browser = Client()
    browser.force_login(owner)
    return browser


def hook_of(github: Connected) -> Webhook:
    return Webhook.objects.get(repository=github.row())


def said(answer: Any) -> str:
    return " ".join(str(message) for message in get_messages(answer.wsgi_request))


def post(browser: Client, name: str, hook: Webhook, **data: str) -> str:
    answer = browser.post(reverse(name, args=[hook.pk]), data)
    assert answer.status_code == 302
    return said(answer)


def test_the_connection_says_how_its_webhooks_stand(github: Connected, browser: Client) -> None:
    page = reverse("connection", args=[github.connection.pk])
    text = browser.get(page).content.decode()
    assert "2 of 2 registered, checked" in text
    assert "Check now" in text
    mine = Webhook.objects.filter(repository=github.row())
    mine.update(remote_state="refused", remote_sentence="It may not.")
    text = browser.get(page).content.decode()
    assert "1 of 2 registered" in text
    assert "1 repository: It may not." in text


def test_a_connection_without_webhooks_says_how_pushes_are_found(
    team: Team, browser: Client, folder: Path
) -> None:
    connection = make_connection(team, options={"root": str(folder)})
    text = browser.get(reverse("connection", args=[connection.pk])).content.decode()
    assert "Pushes are found by looking every 2 min." in text


def test_the_webhook_says_how_it_stands_there(github: Connected, browser: Client) -> None:
    hook = hook_of(github)
    text = browser.get(reverse("webhook", args=[hook.pk])).content.decode()
    assert "At GitHub" in text
    assert "Ask GitHub for a test" in text
    assert "Set <code>OPSSIGHT_PUBLIC_URL" not in text
    for state, words in (("refused", "could not be registered"), ("disabled", "switched off there")):
        Webhook.objects.update(remote_state=state, remote_sentence="It may not.")
        text = browser.get(reverse("webhook", args=[hook.pk])).content.decode()
        assert words in text
        assert "It may not." in text
    assert "switched off by the provider" in browser.get(reverse("webhooks")).content.decode()


def test_a_new_secret_is_told_and_never_shown(github: Connected, browser: Client) -> None:
    before = hook_of(github).secret
    assert "has the new secret" in post(browser, "webhook_secret", hook_of(github))
    hook = hook_of(github)
    assert (github.hooks_there()[0].secret, hook.previous_secret) == (hook.secret, before)
    text = browser.get(reverse("webhook", args=[hook.pk])).content.decode()
    assert "ends by itself after 24 h" in text
    assert hook.secret not in text
    post(browser, "webhook_secret", hook, end="1")
    assert hook_of(github).previous_secret == ""


def test_a_provider_that_refuses_is_told_later(github: Connected, browser: Client) -> None:
    for token in github.forge.tokens.values():
        token.revoked = True
    assert "token" in post(browser, "webhook_secret", hook_of(github))
    page = browser.get(reverse("webhook", args=[hook_of(github).pk])).content.decode()
    assert "GitHub has not been told of the new one yet" in page
    assert "Only the new one" not in page


def test_it_is_checked_and_tested_from_its_page(github: Connected, browser: Client) -> None:
    github.repo().hooks.clear()
    assert "registered as it should be" in post(browser, "webhook_mend", hook_of(github))
    [there] = github.hooks_there()
    assert hook_of(github).remote_id == there.id
    count = len(github.forge.sent)
    assert "sends a test" in post(browser, "webhook_ask", hook_of(github))
    github.forge.wait_until_sent(count + 1)


def test_deleting_takes_it_away_at_the_provider(github: Connected, browser: Client) -> None:
    assert "deleted here and at the provider" in post(browser, "webhook_delete", hook_of(github))
    assert github.hooks_there() == []
    for token in github.forge.tokens.values():
        token.revoked = True
    other = Webhook.objects.get()
    assert "may still be at the provider" in post(browser, "webhook_delete", other)
    assert Webhook.objects.count() == 0


def test_the_api_knows_it_too(github: Connected, client: Client) -> None:
    _, secret = issue(github.principal, github.connection.team, "ci", ["deliveries:write", "deliveries:read"])
    head: dict[str, Any] = {"HTTP_AUTHORIZATION": f"Bearer {secret}"}
    address = f"/api/v1/hooks/{hook_of(github).pk}/"
    shown = client.get(address, **head).json()
    assert (shown["managed"], shown["remote_state"]) == (True, "ok")
    count = len(github.forge.sent)
    assert client.post(f"{address}provider-test/", **head).status_code == 202
    github.forge.wait_until_sent(count + 1)
    rotated = client.post(f"{address}rotate-secret/", **head)
    assert (rotated.status_code, rotated.json()["secret"], rotated.json()["rotating"]) == (200, "", True)
    assert client.delete(address, **head).status_code == 204
    assert github.hooks_there() == []
    for token in github.forge.tokens.values():
        token.revoked = True
    stays = client.delete(f"/api/v1/hooks/{Webhook.objects.get().pk}/", **head)
    assert (stays.status_code, "token" in stays.json()["sentence"]) == (200, True)
    assert not Webhook.objects.exists()


def test_the_command_line_checks(github: Connected) -> None:
    asked = answer_of("connection", "check", "github: ana")
    assert asked["kind"] == "watch"
    claimed = claim.claim(make_worker(), ["std"])
    assert claimed is not None
    runner.execute(claimed)
    assert "2 of 2 webhooks registered" in Answer("run", "show", asked["short_id"]).out
    hook = answer_of("hook", "list")["results"][0]
    assert hook["registered"] == "ok"
    assert "deleted" in Answer("hook", "delete", hook["id"]).out
    assert Webhook.objects.count() == 1
    for token in github.forge.tokens.values():
        token.revoked = True
    assert "may still be registered at the provider. " in Answer("hook", "delete", "GitHub: acme/site").out
    assert not Webhook.objects.exists()


def test_the_list_tells_webhooks_of_one_name_apart(github: Connected, browser: Client) -> None:
    other = make_connection(github.connection.team, name="Team git")
    twin = make_repository(other, "acme/site")
    team = github.connection.team
    Webhook.objects.create(team=team, scheme="plain", secret="x", name="GitHub: acme/site", repository=twin)
    Webhook.objects.create(team=team, scheme="plain", secret="x", name="all")
    text = page(browser, "webhooks")
    assert "acme/site github: ana" in text
    assert "acme/site Team git" in text
    assert "every repository of the team any" in text
    few = queries(browser, reverse("webhooks"))
    for number in range(10):
        of = make_repository(make_connection(team), f"acme/{number}")
        Webhook.objects.create(team=team, scheme="plain", secret="x", repository=of)
    assert queries(browser, reverse("webhooks")) == few

    def listed(connection: str) -> set[str]:
        rows = browser.get(reverse("webhooks"), {"connection": connection}).context["rows"]
        return {row.about for row in rows}

    assert listed(str(github.connection.pk)) == {"acme/site", "acme/docs"}
    assert listed(str(other.pk)) == {"acme/site"}
    assert len(listed("nonsense")) > 3
    Webhook.objects.filter(repository=twin).delete()
    assert "No webhook is about it. Show all" in page(browser, "webhooks", connection=str(other.pk))


def test_the_page_names_its_repository_and_its_connection(github: Connected, browser: Client) -> None:
    hook, row = hook_of(github), github.row()
    assert "about acme/site of github: ana" in page(browser, "webhook", hook.pk)
    text = browser.get(reverse("webhook", args=[hook.pk])).content.decode()
    assert f'<a href="{reverse("repository", args=[row.pk])}">acme/site</a>' in text
    assert f'<a href="{reverse("connection", args=[github.connection.pk])}">github: ana</a>' in text
    server = Webhook.objects.create(
        team=hook.team, scheme="plain", secret="x", connection=github.connection, name="server"
    )
    assert "about all of its repositories of github: ana" in page(browser, "webhook", server.pk)
