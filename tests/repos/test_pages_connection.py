"""One connection: what follows an import, what its limits mean, and what it says of trouble."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from opssight.accounts.models import Role, Team, User
from opssight.accounts.scope import Principal
from opssight.core.clock import now
from opssight.core.errors import ErrorClass
from repos import spending
from repos.limits import DatabaseLimiter
from repos.models import Connection, RateSpend, Webhook
from repos.providers.wire import Budget
from repos.views.lists import trouble_of
from syncs.models import Run
from syncs.watch.service import job_of
from tests.factories import make_connection, make_repository, make_team
from tests.repos.forges import connected
from tests.repos.pages import page
from tests.syncs.runs import make_run, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def gitea(settings: Settings) -> tuple[Client, Team, Connection]:
    """A forge on this machine, which registers webhooks itself; one repository of it is here."""
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    client, team = signed_in()
    connection = make_connection(team, "gitea", name="Ours", options={"url": "http://127.0.0.1:3000"})
    make_repository(connection, "acme/site")
    return client, team, connection


# --- just after an import ------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["queued", "running"])
def test_webhooks_are_being_registered_while_the_check_runs(
    gitea: tuple[Client, Team, Connection], state: str
) -> None:
    client, _, connection = gitea
    url = reverse("connection", args=[connection.pk])
    run = make_run(job_of(connection), state)
    source = client.get(url, {"imported": ""}).content.decode()
    assert "Being registered now." in source
    assert "registered with the next check" not in source
    assert 'hx-trigger="every' in source
    assert f'hx-get="{url}"' in source, "the page as it is now, not what followed the import"
    assert 'id="brought-card"' in source
    Run.objects.filter(pk=run.pk).delete()
    make_run(job_of(connection))
    source = client.get(url).content.decode()
    assert "The others are registered with the next check." in source
    assert "hx-get" not in source.partition('id="hooks"')[2].partition("</section>")[0]


def test_the_check_of_another_connection_is_not_waited_for(gitea: tuple[Client, Team, Connection]) -> None:
    client, team, connection = gitea
    make_run(job_of(make_connection(team)), "running")
    assert "Being registered" not in page(client, "connection", connection.pk)


def test_what_nobody_looked_at_says_so(gitea: tuple[Client, Team, Connection]) -> None:
    client, _, connection = gitea
    assert "acme/site main not looked yet" in page(client, "connection", connection.pk)
    connection.repositories.update(head_seen_at=now())
    assert "acme/site main just now" in page(client, "connection", connection.pk)


def test_a_webhook_is_proposed_only_where_none_comes_by_itself(
    gitea: tuple[Client, Team, Connection], settings: Settings
) -> None:
    client, team, connection = gitea
    by_hand = make_connection(team)
    make_repository(by_hand)
    assert "Add a webhook" not in page(client, "connection", connection.pk, imported="")
    assert "What next" in page(client, "connection", connection.pk, imported="")
    assert "Add a webhook" in page(client, "connection", by_hand.pk, imported="")
    settings.PUBLIC_URL = "http://127.0.0.1:8000"
    Connection.objects.filter(pk=connection.pk).update(options={"url": "https://codeberg.org"})
    assert "Add a webhook" in page(client, "connection", connection.pk, imported="")


def test_the_card_leads_to_the_webhooks(gitea: tuple[Client, Team, Connection]) -> None:
    client, team, connection = gitea
    listed = f"{reverse('webhooks')}?connection={connection.pk}"
    assert listed not in client.get(reverse("connection", args=[connection.pk])).content.decode()
    more = {"managed": True, "remote_id": "1", "remote_state": "ok", "connection": connection}
    Webhook.objects.create(
        team=team, scheme="gitea", secret="x", repository=connection.repositories.get(), **more
    )
    assert listed in client.get(reverse("connection", args=[connection.pk])).content.decode()


# --- limits --------------------------------------------------------------------------------------------


def spend(connection: Connection, resource: str, spender: str) -> None:
    hour = now().replace(minute=0, second=0, microsecond=0)
    RateSpend.objects.create(
        connection=connection, resource=resource, spender=spender, hour=hour, requests=3, unchanged=1
    )


def test_limits_have_names_that_people_know() -> None:
    client, team = signed_in()
    connection = make_connection(team, "github")
    later = now() + dt.timedelta(minutes=30)
    for resource in ("core", "graphql"):
        DatabaseLimiter(connection).told(Budget(resource, 5_000, 4_000, later))
    spend(connection, "core", "watch")
    spend(connection, "core", spending.PEOPLE)
    text = page(client, "connection", connection.pk).partition("Rate limits")[2]
    assert "REST API fine 4,000 of 5,000 left" in text
    assert "GraphQL fine" in text
    assert "500 kept for people and webhooks: below that, runs wait" in text
    assert "checks 3 1 people 3 1" in text or "people 3 1 checks 3 1" in text
    for unexplained in ("core", "graphql", "watch "):
        assert unexplained not in text


def test_where_nothing_is_told_there_is_no_name_of_a_limit() -> None:
    client, team = signed_in()
    connection = make_connection(team, "gitlab")
    spend(connection, "core", "copy")
    text = page(client, "connection", connection.pk).partition("Rate limits")[2]
    assert "core" not in text
    assert "REST API" not in text
    assert text.count("the server tells no limit") == 1
    assert "copy 3 1" in text


# --- trouble -------------------------------------------------------------------------------------------


def test_each_kind_of_trouble_has_words() -> None:
    words = {kind: trouble_of(Connection(error_class=kind.value)) for kind in ErrorClass}
    assert words[ErrorClass.AUTH] == "credential refused"
    assert len(set(words.values())) == len(ErrorClass)
    assert not [word for kind, word in words.items() if not word or kind.value == word]
    assert trouble_of(Connection()) == ""


@pytest.mark.http_git
@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("beside", "folder")
def test_a_test_that_fails_says_it_once_beside_the_step(tmp_path: Path, owner: User, team: Team) -> None:
    client = Client()
    client.force_login(owner)
    with connected("gitlab", tmp_path, team, Principal.of_user(owner)) as gitlab:
        for token in gitlab.forge.tokens.values():
            token.revoked = True
        url = reverse("connection_test", args=[gitlab.connection.pk])
        tested = client.post(url, follow=True).content.decode()
        later = client.get(reverse("connection", args=[gitlab.connection.pk])).content.decode()
    sentence = "The token was revoked at GitLab."
    assert later.count(sentence) == 1
    assert tested.count(sentence) == 2, "in the answer to the button, and in the step that failed"
    for source in (tested, later):
        assert "Its runs wait until it works again." in source
        assert "Enter a new token" in source
        assert "Connect again" not in source


# --- moving it -----------------------------------------------------------------------------------------


@pytest.fixture
def alone(owner: User, team: Team) -> tuple[Client, Connection]:
    """Somebody in their own team, and a connection of it."""
    client = Client()
    client.force_login(owner)
    return client, make_connection(team, name="Team git")


def transfer_page(connection: Connection) -> str:
    return reverse("connection_transfer", args=[connection.pk])


def test_who_has_one_team_is_led_to_another(alone: tuple[Client, Connection], owner: User) -> None:
    client, connection = alone
    assert f'href="{reverse("team_new")}"' in client.get(transfer_page(connection)).content.decode()
    make_team(owner, Role.ADMIN)
    source = client.get(transfer_page(connection)).content.decode()
    assert "Move it" in source
    assert reverse("team_new") not in source.partition("<main")[2]


def test_what_is_wrong_with_a_whole_form_has_a_sign(alone: tuple[Client, Connection], owner: User) -> None:
    client, connection = alone
    other = make_team(owner, Role.ADMIN)
    make_connection(other, name=connection.name)
    source = client.post(transfer_page(connection), {"team": str(other.pk)}).content.decode()
    block = source.partition('class="form-errors"')[2].partition("</div></div>")[0]
    assert "octagon-cross" in block
    assert "Team git" in block
