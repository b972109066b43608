"""What the one webhook of a GitHub App hears, for all of its installations."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from opssight.accounts.models import Membership, Role, Team, User
from opssight.accounts.scope import NotAllowed, Principal
from opssight.accounts.tokens import issue
from opssight.audit.models import AuditEvent
from opssight.core.clock import now
from opssight.core.env_kinds import Rate
from opssight.core.errors import Conflict, NotFound
from repos import managed_webhooks, receiving, webhooks
from repos.events import Event, InstallationChanged, RepositoryAppeared
from repos.models import Connection, Delivery, ProviderInstance, Webhook
from tests.factories import make_connection, make_repository, make_team, make_user
from tests.repos.deliveries import SECRET, example, listening, post_github, send_example

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


def test_an_unknown_installation_is_noted_without_what_it_says(app_hook: Webhook, heard: list[Event]) -> None:
    for installation in ({"id": 1}, None):
        assert send_example(app_hook.path, "push.0", installation=installation) == 204
        delivery = Delivery.objects.order_by("id").last()
        assert delivery is not None
        assert (delivery.verdict, delivery.team_id) == ("ignored", app_hook.team_id)
        assert delivery.sentence == "No connection here was made from this installation of the app."
        with pytest.raises(NotFound):
            receiving.body_of(delivery)
    assert heard == []


def test_strangers_who_install_the_app_take_nothing_from_the_teams(
    app_hook: Webhook, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HOOK_RATE, settings.HOOK_REFUSED_RATE = Rate(2, 60), Rate(5, 60)
    connection = installed(app_hook, make_team(), "375706")
    make_repository(connection, "Codertocat/Hello-World", external_id="186853002")

    def stranger(number: int) -> int:
        return send_example(app_hook.path, "push.0", installation={"id": 1}, n=number)

    assert {stranger(number) for number in range(8)} == {204}
    assert Delivery.objects.count() == 5, "what comes faster is not even noted"
    assert send_example(app_hook.path, "push.0", installation={"id": 375706}) == 202
    monkeypatch.setattr(receiving, "_KEEP_OF_STRANGERS", 3)
    Delivery.objects.filter(verdict="ignored").update(received_at=now() - dt.timedelta(minutes=2))
    assert stranger(9) == 204
    assert Delivery.objects.filter(verdict="ignored").count() == 3
    assert Delivery.objects.filter(verdict="accepted").count() == 1


def test_an_installation_that_is_connected_later_is_heard_then(app_hook: Webhook) -> None:
    push = {"installation": {"id": 375706}}
    assert send_example(app_hook.path, "push.0", **push) == 204
    connection = installed(app_hook, make_team(), "375706")
    make_repository(connection, "Codertocat/Hello-World", external_id="186853002")
    assert send_example(app_hook.path, "push.0", **push) == 202, "the same again is no duplicate"


def test_what_cannot_be_read_is_not_kept_for_the_team_of_the_app(app_hook: Webhook) -> None:
    assert post_github(app_hook.path, "push", ["nothing"]).status_code == 400
    with pytest.raises(NotFound):
        receiving.body_of(Delivery.objects.get())


def test_a_delivery_is_replayed_for_its_own_team_only(app_hook: Webhook) -> None:
    user = make_user()
    connection = installed(app_hook, make_team(user), "375706")
    make_repository(connection, "Codertocat/Hello-World", external_id="186853002")
    assert send_example(app_hook.path, "push.0", installation={"id": 375706}) == 202
    member = Principal.of_user(user)
    assert receiving.replay(member, Delivery.objects.get()).team_id == connection.team_id
    connection.delete()
    with pytest.raises(Conflict, match="not connected in this team any more"):
        receiving.replay(member, Delivery.objects.get(replay_of=None))


# --- whose webhook it is ----------------------------------------------------------------------------------


CHANGES: dict[str, Callable[[Principal, Webhook], object]] = {
    "update": lambda who, hook: webhooks.update_hook(who, hook, paused=True),
    "delete": managed_webhooks.delete,
    "rotate": managed_webhooks.rotate,
    "end": managed_webhooks.end_rotation,
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_administrator_of_one_team_does_not_change_what_all_teams_share(
    app_hook: Webhook, change: str
) -> None:
    member = make_user()
    Membership.objects.create(team=app_hook.team, user=member, role=Role.OWNER)
    before = Webhook.objects.values().get()
    with pytest.raises(NotAllowed, match="All teams share"):
        CHANGES[change](Principal.of_user(member), app_hook)
    assert Webhook.objects.values().get() == before


@pytest.mark.parametrize("change", CHANGES)
def test_no_token_changes_it_either(app_hook: Webhook, principal: Principal, change: str) -> None:
    token, _ = issue(principal, app_hook.team, "ci", ["all"])
    with pytest.raises(NotAllowed, match="All teams share"):
        CHANGES[change](Principal.of_token(token), app_hook)
    assert Webhook.objects.get().state == "active"


def test_an_administrator_of_the_installation_changes_it(app_hook: Webhook, principal: Principal) -> None:
    assert webhooks.update_hook(principal, app_hook, paused=True).state == "paused"
    with pytest.raises(Conflict, match="keeps its secret"):
        managed_webhooks.rotate(principal, app_hook)
    assert Webhook.objects.get().secret == SECRET
    assert "GitHub goes on sending" in managed_webhooks.delete(principal, app_hook)
    assert not Webhook.objects.exists()


def test_its_page_offers_what_one_may_do(app_hook: Webhook, owner: User) -> None:
    page = reverse("webhook", args=[app_hook.pk])
    member, browser = make_user(), Client()
    Membership.objects.create(team=app_hook.team, user=member, role=Role.OWNER)
    browser.force_login(member)
    browser.post("/accounts/team/", {"team": str(app_hook.team_id)})
    text = browser.get(page).content.decode()
    assert "All teams share" in text
    for words in ("Rename…", "New secret…", "Pause", "Delete…", "Allowed networks"):
        assert words not in text
    assert browser.post(reverse("webhook_delete", args=[app_hook.pk])).status_code == 404
    assert browser.post(reverse("webhook_pause", args=[app_hook.pk])).status_code == 404
    browser.force_login(owner)
    text = browser.get(page).content.decode()
    assert "Delete…" in text
    assert "New secret…" not in text
    answer = browser.post(reverse("webhook_secret", args=[app_hook.pk]), follow=True)
    assert "keeps its secret" in answer.content.decode()
    assert Webhook.objects.get().state == "active"


@pytest.mark.parametrize(
    ("name", "what"),
    [("created", "added"), ("deleted", "removed"), ("suspend", "suspended"), ("unsuspend", "unsuspended")],
)
def test_an_installation_changes(app_hook: Webhook, heard: list[Event], name: str, what: str) -> None:
    number = str(example(f"installation.{name}")["installation"]["id"])
    assert send_example(app_hook.path, f"installation.{name}") == 204, "nobody connected it"
    assert heard == []
    connection = installed(app_hook, make_team(), number)
    assert send_example(app_hook.path, f"installation.{name}") == 202
    changed = heard[0]
    assert isinstance(changed, InstallationChanged)
    assert (changed.what, changed.installation_id) == (what, number)
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
