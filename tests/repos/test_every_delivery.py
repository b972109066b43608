"""Deliveries of every sender, signed and posted: none ends in an error of ours, known ones are understood."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.test import Client

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal
from repos import webhooks
from repos.events import Event
from repos.models import Connection, Delivery, Webhook
from tests.factories import make_connection, make_repository
from tests.repos.deliveries import EXAMPLES, SECRET, listening, send_example
from tests.repos.providers.deliveries import DELIVERIES, IDS, NAMES, Sent, signed

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def heard() -> Iterator[list[Event]]:
    yield from listening()


@pytest.fixture
def connection(team: Team) -> Connection:
    return make_connection(team, "github")


@pytest.fixture
def hook(principal: Principal, team: Team) -> Webhook:
    return webhooks.create_hook(principal, team, "github", secret=SECRET)[0]


UNDERSTOOD = {
    "push": "Pushed",
    "repository": "RepositoryChanged",
    "public": "RepositoryChanged",
    "pull_request": "PullRequestChanged",
    "workflow_run": "PipelineChanged",
    "installation": "InstallationChanged",
    "installation_repositories": "InstallationChanged",
}


@pytest.mark.parametrize("name", sorted(path.stem for path in EXAMPLES.glob("*.json")))
def test_examples_of_github(hook: Webhook, connection: Connection, name: str) -> None:
    make_repository(connection, "Codertocat/Hello-World", external_id="186853002")
    make_repository(connection, "Octocoders/Hello-World", external_id="186853261")
    event = name.partition(".")[0]
    wanted = event in UNDERSTOOD and not name.endswith("new_permissions_accepted")
    assert send_example(hook.path, name) == (202 if wanted else 204)
    delivery = Delivery.objects.get()
    assert delivery.verdict == ("accepted" if wanted else "ignored")
    assert delivery.events == ([UNDERSTOOD[event]] if wanted else [])


@pytest.mark.parametrize("sent", DELIVERIES, ids=lambda sent: f"{sent.scheme}-{sent.name}")
def test_every_sender(principal: Principal, team: Team, heard: list[Event], sent: Sent) -> None:
    provider = "folder" if sent.scheme == "plain" else sent.scheme
    name = NAMES.get(sent.scheme, "acme/site")
    external_id = IDS[sent.scheme] if sent.scheme != "github" else "7"
    make_repository(make_connection(team, provider), name, external_id=external_id or "somewhere")
    hook, _ = webhooks.create_hook(principal, team, sent.scheme, secret=SECRET)
    body = json.dumps(sent.payload).encode()
    headers = signed(sent, body, SECRET)
    kind = headers.pop("content-type")
    answer = Client().post(hook.path, body, content_type=kind, headers=headers)
    assert answer.status_code == (202 if sent.heard else 204)
    delivery = Delivery.objects.get()
    assert tuple(delivery.events) == sent.heard
    assert delivery.verdict == ("accepted" if sent.heard else "ignored")
    told = " was pushed" in delivery.sentence or " was deleted" in delivery.sentence
    assert told == ("Pushed" in sent.heard), delivery.sentence
    assert {event.name for event in heard} - {"RepositoryAppeared"} == set(sent.heard)
