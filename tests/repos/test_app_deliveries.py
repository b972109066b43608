"""What the one webhook of a GitHub App hears, for all of its installations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal
from opssight.audit.models import AuditEvent
from repos import webhooks
from repos.events import Event, InstallationChanged, RepositoryAppeared
from repos.models import Connection, Delivery, ProviderInstance, Webhook
from tests.factories import make_connection, make_repository, make_team
from tests.repos.deliveries import SECRET, example, listening, send_example

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def heard() -> Iterator[list[Event]]:
    yield from listening()


@pytest.fixture
def hook(principal: Principal, team: Team) -> Webhook:
    return webhooks.create_hook(principal, team, "github", secret=SECRET)[0]


@pytest.fixture
def app_hook(hook: Webhook) -> Webhook:
    hook.instance = ProviderInstance.objects.create(provider="github", client_id="x", app_id="1")
    hook.save()
    return hook


def installed(hook: Webhook, team: Team, number: str) -> Connection:
    return make_connection(team, "github", instance=hook.instance, installation_id=number)


def test_an_app_speaks_to_the_team_of_each_installation(app_hook: Webhook, heard: list[Event]) -> None:
    other = make_team()
    connection = installed(app_hook, other, "375706")
    row = make_repository(connection, "Codertocat/Hello-World", external_id="186853002")
    make_repository(make_connection(app_hook.team, "github"), "mine", external_id="186853002")
    assert send_example(app_hook.path, "push.0", installation={"id": 375706}) == 202
    assert [getattr(event, "repository_id", None) for event in heard] == [row.pk]
    assert Delivery.objects.get().team_id == other.pk
    assert send_example(app_hook.path, "push.0", installation={"id": 375706}) == 200
    assert {delivery.team_id for delivery in Delivery.objects.all()} == {other.pk}
    heard.clear()
    send_example(app_hook.path, "repository.created", installation={"id": 375706})
    assert [getattr(event, "connection_id", None) for event in heard] == [connection.pk]


def test_an_unknown_installation_is_noted(app_hook: Webhook, heard: list[Event]) -> None:
    for installation in ({"id": 1}, None):
        assert send_example(app_hook.path, "push.0", installation=installation) == 204
        delivery = Delivery.objects.order_by("id").last()
        assert delivery is not None
        assert (delivery.verdict, delivery.team_id) == ("ignored", app_hook.team_id)
        assert delivery.sentence == "No connection here was made from this installation of the app."
    assert heard == []


@pytest.mark.parametrize(
    ("name", "what"),
    [("created", "added"), ("deleted", "removed"), ("suspend", "suspended"), ("unsuspend", "unsuspended")],
)
def test_an_installation_changes(app_hook: Webhook, heard: list[Event], name: str, what: str) -> None:
    number = str(example(f"installation.{name}")["installation"]["id"])
    assert send_example(app_hook.path, f"installation.{name}") == 202
    [unknown] = heard
    assert isinstance(unknown, InstallationChanged)
    assert (unknown.what, unknown.connection_ids, unknown.installation_id) == (what, (), number)
    heard.clear()
    connection = installed(app_hook, make_team(), number)
    send_example(app_hook.path, f"installation.{name}", again=True)
    changed = heard[0]
    assert isinstance(changed, InstallationChanged)
    assert (changed.webhook_id, changed.connection_ids) == (app_hook.pk, (connection.pk,))


def test_what_an_installation_sees(app_hook: Webhook, heard: list[Event]) -> None:
    added, removed = (example(f"installation_repositories.{word}") for word in ("added", "removed"))
    connection = installed(app_hook, make_team(), str(added["installation"]["id"]))
    gone = removed["repositories_removed"][0]
    row = make_repository(connection, gone["full_name"], external_id=str(gone["id"]))
    other = make_repository(connection, "acme/other", external_id="5")
    send_example(app_hook.path, "installation_repositories.added")
    appeared = [event for event in heard if isinstance(event, RepositoryAppeared)]
    assert [(event.connection_id, event.full_name) for event in appeared] == [
        (connection.pk, repository["full_name"]) for repository in added["repositories_added"]
    ]
    send_example(app_hook.path, "installation_repositories.removed", installation=added["installation"])
    row.refresh_from_db()
    other.refresh_from_db()
    assert (row.state, other.state) == ("lost_access", "active")
    assert "GitHub App" in row.state_reason
    assert AuditEvent.objects.get(action="repository.lost").object_id == str(row.pk)


def test_a_webhook_of_a_team_does_not_speak_for_the_installations_of_another(
    hook: Webhook, heard: list[Event]
) -> None:
    number = str(example("installation.deleted")["installation"]["id"])
    make_connection(make_team(), "github", installation_id=number)
    mine = make_connection(hook.team, "github", installation_id=number)
    send_example(hook.path, "installation.deleted")
    [event] = heard
    assert isinstance(event, InstallationChanged)
    assert event.connection_ids == (mine.pk,)
