"""Whether a forge can call us, and who tells of pushes: by what is set and stored."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from opssight.accounts.models import Team
from repos import redelivery, webhook_status
from repos.models import Connection, ProviderInstance, Webhook
from tests.factories import make_connection, make_repository
from tests.repos.forges import STANDINS

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("public", "provider", "url", "registered"),
    [
        ("https://ops.example.org", "github", "", True),
        ("https://ops.example.org", "gitlab", "https://git.example.org", True),
        ("http://127.0.0.1:8000", "github", "", False),
        ("http://localhost:8000", "gitea", "https://git.example.org", False),
        ("http://localhost:8000", "gitea", "http://127.0.0.1:3000", True),
        ("http://[::1]:8000", "gitea", "http://localhost:3000", True),
        ("http://10.0.0.5", "gitlab", "", False),
        ("http://10.0.0.5", "gitlab", "https://gitlab.example.org", True),
        ("http://ops.local", "bitbucket", "", False),
        ("http://ops", "gitea", "http://git", True),
        ("https://ops.example.org", "plain", "", False),
        ("https://ops.example.org", "folder", "", False),
    ],
)
def test_nothing_is_registered_where_nobody_could_call(
    team: Team, settings: Settings, public: str, provider: str, url: str, registered: bool
) -> None:
    settings.PUBLIC_URL, settings.POLL_SECONDS = public, 300
    connection = make_connection(team, provider, options={"url": url})

    why = webhook_status.why_no_hooks(connection)

    assert (why == "") is registered
    assert registered or "looking every 5 min" in why


def test_a_connection_of_an_app_is_told_by_the_app(team: Team) -> None:
    app = ProviderInstance.objects.create(provider="github", client_id="x", client_secret="y")
    connection = make_connection(team, "github", installation_id="42", instance=app)
    repository = make_repository(connection)
    assert not webhook_status.is_told(repository)
    assert "made without a webhook" in webhook_status.standing(connection).sentence

    Webhook.objects.create(team=team, scheme="github", secret="x", instance=app)

    assert webhook_status.is_told(repository)
    assert "webhook of its GitHub App" in webhook_status.standing(connection).sentence


def test_who_keeps_deliveries() -> None:
    kept = {kind for kind in STANDINS if redelivery.are_kept(Connection(provider=kind))}
    assert kept == {"github"}
