"""What deliveries do to the inventory, through the address at which they arrive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal
from opssight.audit.models import AuditEvent
from repos import events, receiving, webhooks
from repos.events import Event, PipelineChanged, PullRequestChanged, RepositoryAppeared, RepositoryChanged
from repos.models import Connection, Delivery, Repository, Webhook
from tests.factories import make_connection, make_repository, make_team
from tests.repos.deliveries import SECRET, example, hex_hmac, listening, post_github, send_example
from tests.repos.providers.deliveries import DELIVERIES, IDS, NEW, signed

pytestmark = pytest.mark.django_db

HELLO = "186853261"  # Octocoders/Hello-World in the examples


@pytest.fixture(autouse=True)
def heard() -> Iterator[list[Event]]:
    yield from listening()


@pytest.fixture
def connection(team: Team) -> Connection:
    return make_connection(team, "github")


@pytest.fixture
def hook(principal: Principal, team: Team) -> Webhook:
    return webhooks.create_hook(principal, team, "github", secret=SECRET)[0]


# --- the repository itself -----------------------------------------------------------------------


def test_a_rename_is_the_same_row(hook: Webhook, connection: Connection, heard: list[Event]) -> None:
    row = make_repository(connection, "Octocoders/Old", external_id=HELLO)
    assert send_example(hook.path, "repository.renamed") == 202
    row.refresh_from_db()
    payload = example("repository.renamed")["repository"]
    assert row.full_name == payload["full_name"]
    [event] = heard
    assert isinstance(event, RepositoryChanged)
    assert (event.repository_id, event.what, event.full_name) == (row.pk, "renamed", row.full_name)
    audit = AuditEvent.objects.get(action="repository.rename")
    assert audit.diff["full_name"] == ["Octocoders/Old", row.full_name]
    assert (audit.actor_kind, audit.actor_id, audit.team_id) == ("webhook", str(hook.pk), row.team_id)


def test_another_row_may_still_have_the_name(
    hook: Webhook, connection: Connection, heard: list[Event]
) -> None:
    """Two repositories swapped their names, and we hear of it one by one."""
    name = example("repository.renamed")["repository"]["full_name"]
    row = make_repository(connection, "Octocoders/Old", external_id=HELLO)
    other = make_repository(connection, name, external_id="1")
    send_example(hook.path, "repository.renamed")
    row.refresh_from_db()
    other.refresh_from_db()
    assert row.full_name == other.full_name == name
    assert [event.repository_id for event in heard if isinstance(event, RepositoryChanged)] == [row.pk]


def test_a_transfer(hook: Webhook, connection: Connection, heard: list[Event]) -> None:
    row = make_repository(connection, "octocat/Hello-World", external_id=HELLO)
    send_example(hook.path, "repository.transferred")
    row.refresh_from_db()
    assert row.full_name == "Octocoders/Hello-World"
    [changed, appeared] = heard  # whoever got it sees it for the first time
    assert isinstance(changed, RepositoryChanged)
    assert isinstance(appeared, RepositoryAppeared)
    assert (appeared.connection_id, appeared.external_id) == (connection.pk, HELLO)


def test_a_transfer_that_changes_the_id(principal: Principal, team: Team) -> None:
    [sent] = [one for one in DELIVERIES if (one.scheme, one.name) == ("bitbucket", "transferred")]
    new = IDS["bitbucket"]
    former = f"11111111-2222-3333-4444-555555555555/{new.partition('/')[2]}"
    row = make_repository(make_connection(team, "bitbucket"), "old/site", external_id=former)
    hook, _ = webhooks.create_hook(principal, team, "bitbucket", secret=SECRET, repository=row)
    body = json.dumps(sent.payload).encode()
    received = receiving.receive(hook, signed(sent, body, SECRET), body)
    row.refresh_from_db()
    assert received.status == 202
    assert (row.external_id, row.full_name) == (new, "acme/site")
    other = make_repository(row.connection, "older/site", external_id=former)
    receiving.receive(hook, signed(sent, body + b" ", SECRET), body + b" ")
    other.refresh_from_db()
    assert other.external_id == former  # the id has a row already


def test_archived_and_unarchived(hook: Webhook, connection: Connection) -> None:
    row = make_repository(connection, "Octocoders/Hello-World", external_id=HELLO)
    for action, archived in (("archived", True), ("unarchived", False)):
        payload = example("repository.edited") | {"action": action}
        payload["repository"]["archived"] = archived
        post_github(hook.path, "repository", payload)
        row.refresh_from_db()
        assert row.archived is archived
    actions = AuditEvent.objects.filter(object_id=str(row.pk)).order_by("id")
    assert [event.action for event in actions] == ["repository.archive", "repository.unarchive"]


def test_visibility_and_default_branch(hook: Webhook, connection: Connection) -> None:
    row = make_repository(
        connection, "Codertocat/Hello-World", external_id="186853002", visibility="public", default_branch="x"
    )
    send_example(hook.path, "repository.privatized")
    row.refresh_from_db()
    assert (row.visibility, row.default_branch) == ("private", "master")
    send_example(hook.path, "public")
    row.refresh_from_db()
    assert row.visibility == "public"


def test_nothing_is_audited_when_nothing_changes(hook: Webhook, connection: Connection) -> None:
    make_repository(
        connection,
        "Octocoders/Hello-World",
        external_id=HELLO,
        visibility="public",
        default_branch="master",
    )
    send_example(hook.path, "repository.edited")
    assert not AuditEvent.objects.filter(object_type="repository").exists()


def test_deleted_and_back(hook: Webhook, connection: Connection) -> None:
    row = make_repository(connection, "Octocoders/Hello-World", external_id=HELLO)
    gone = example("repository.deleted")
    gone["repository"] |= {"id": int(HELLO), "html_url": ""}
    post_github(hook.path, "repository", gone)
    row.refresh_from_db()
    assert row.state == "gone"
    assert row.state_reason == (
        "It was deleted at its provider by Codertocat. What is stored here of it is kept."
    )
    assert AuditEvent.objects.get(action="repository.gone").diff["state"] == ["active", "gone"]
    post_github(hook.path, "repository", gone | {"action": "edited"})
    row.refresh_from_db()
    assert row.state == "gone"  # said before it was deleted, and arrived late
    send_example(hook.path, "repository.created")
    row.refresh_from_db()
    assert (row.state, row.state_reason) == ("active", "")


def test_an_ignored_row_stays_ignored(hook: Webhook, connection: Connection, heard: list[Event]) -> None:
    row = make_repository(connection, "Octocoders/Old", external_id=HELLO, state="ignored")
    send_example(hook.path, "repository.renamed")
    gone = example("repository.deleted")
    gone["repository"]["id"] = int(HELLO)
    post_github(hook.path, "repository", gone)
    row.refresh_from_db()
    assert (row.state, row.full_name) == ("ignored", gone["repository"]["full_name"])
    heard.clear()
    push = example("push.0")
    push["repository"] |= {"id": int(HELLO), "full_name": "Octocoders/Hello-World"}
    post_github(hook.path, "push", push)
    assert heard == []
    assert Delivery.objects.order_by("id").last().sentence == "Octocoders/Hello-World is ignored here."  # type: ignore[union-attr]


def test_a_new_repository_is_told_to_the_connections(
    hook: Webhook, connection: Connection, principal: Principal, team: Team, heard: list[Event]
) -> None:
    other = make_connection(team, "github")
    make_connection(team, "gitlab")
    make_connection(make_team(), "github")
    assert send_example(hook.path, "repository.created") == 202
    assert [(event.name, getattr(event, "connection_id", None)) for event in heard] == [
        ("RepositoryAppeared", connection.pk),
        ("RepositoryAppeared", other.pk),
    ]
    assert Delivery.objects.get().sentence == ""
    heard.clear()
    mine, _ = webhooks.create_hook(principal, team, "github", secret=SECRET, connection=other)
    send_example(mine.path, "repository.created")
    assert [getattr(event, "connection_id", None) for event in heard] == [other.pk]


def test_other_servers_count_by_the_same_numbers(
    hook: Webhook, connection: Connection, heard: list[Event]
) -> None:
    """Octocoders/Hello-World at github.com is not number 186853261 of a server of our own."""
    web = "https://github.example.org/other/thing"
    row = make_repository(connection, "other/thing", external_id=HELLO, web_url=web)
    send_example(hook.path, "repository.renamed")
    row.refresh_from_db()
    assert (row.full_name, heard) == ("other/thing", [])
    bad = example("repository.renamed")
    bad["repository"]["html_url"] = "https://[github.com"
    assert post_github(hook.path, "repository", bad).status_code == 202


def test_a_repository_made_anew_under_the_old_name_is_another_one(
    hook: Webhook, connection: Connection, heard: list[Event]
) -> None:
    make_repository(connection, "Codertocat/Hello-World", external_id="1")
    assert send_example(hook.path, "push.0") == 202
    assert heard == []
    assert "No repository here is called" in Delivery.objects.get().sentence


def test_a_bound_hook_changes_only_the_very_repository(
    principal: Principal, team: Team, connection: Connection, heard: list[Event]
) -> None:
    row = make_repository(connection, "ours/name", external_id="1")
    hook, _ = webhooks.create_hook(principal, team, "github", secret=SECRET, repository=row)
    send_example(hook.path, "repository.renamed")
    row.refresh_from_db()
    assert (row.full_name, heard) == ("ours/name", [])
    send_example(hook.path, "push.0")  # whatever name the sender uses
    assert [event.name for event in heard] == ["Pushed"]
    heard.clear()
    send_example(hook.path, "repository.created")
    assert [getattr(event, "connection_id", None) for event in heard] == [connection.pk]


# --- pushes, pull requests, pipelines ------------------------------------------------------------


def push_to(hook: Webhook, ref: str, after: str, number: int = 1) -> None:
    payload = example("push.0") | {"ref": ref, "after": after, "number": number}
    assert post_github(hook.path, "push", payload).status_code == 202


def test_a_push_to_the_default_branch_is_shown_at_once(hook: Webhook, connection: Connection) -> None:
    row = make_repository(
        connection, "Codertocat/Hello-World", external_id="186853002", default_branch="main"
    )
    for ref, after in (
        ("refs/heads/other", "a" * 40),
        ("refs/tags/main", "b" * 40),
        ("refs/heads/main", "0" * 40),
    ):
        push_to(hook, ref, after)
        row.refresh_from_db()
        assert (row.head_oid, row.pushed_at) == ("", None)
    push_to(hook, "refs/heads/main", NEW)
    row.refresh_from_db()
    assert row.head_oid == NEW
    assert row.pushed_at == row.head_seen_at is not None


def test_an_old_push_that_is_replayed_is_not_the_head(
    hook: Webhook, connection: Connection, principal: Principal
) -> None:
    row = make_repository(
        connection, "Codertocat/Hello-World", external_id="186853002", default_branch="main"
    )
    push_to(hook, "refs/heads/main", "a" * 40)
    push_to(hook, "refs/heads/main", "b" * 40)
    receiving.replay(principal, Delivery.objects.order_by("id")[0])
    row.refresh_from_db()
    assert row.head_oid == "b" * 40


def test_a_push_without_a_commit(principal: Principal, team: Team) -> None:
    row = make_repository(make_connection(team), "team/site", default_branch="main", head_oid="a" * 40)
    hook, _ = webhooks.create_hook(principal, team, "plain", secret=SECRET)
    body = b'{"repository": "team/site", "ref": "refs/heads/main"}'
    receiving.receive(hook, {"x-opssight-signature-256": f"sha256={hex_hmac(body)}"}, body)
    row.refresh_from_db()
    assert row.head_oid == "a" * 40
    assert row.pushed_at is not None


def test_pull_requests_and_pipelines(hook: Webhook, connection: Connection, heard: list[Event]) -> None:
    row = make_repository(connection, "Codertocat/Hello-World", external_id="186853002")
    send_example(hook.path, "pull_request.opened")
    run = example("workflow_run.completed")
    run["repository"]["id"] = 186853002
    post_github(hook.path, "workflow_run", run)
    [pull, pipeline] = heard
    assert isinstance(pull, PullRequestChanged)
    assert isinstance(pipeline, PipelineChanged)
    assert (pull.repository_id, pull.number, pull.state, pull.what) == (row.pk, 2, "open", "opened")
    assert (pipeline.repository_id, pipeline.state) == (row.pk, "succeeded")
    assert pull.delivery_id is not None
    assert [row.repository_id for row in Delivery.objects.all()] == [row.pk, row.pk]


# --- cost ----------------------------------------------------------------------------------------


def test_queries_do_not_grow_with_the_inventory(
    hook: Webhook, connection: Connection, principal: Principal, django_assert_max_num_queries: Any
) -> None:
    row = make_repository(
        connection, "Codertocat/Hello-World", external_id="186853002", default_branch="main"
    )
    for number in range(20):
        make_repository(connection, f"acme/site-{number}")
    bound, _ = webhooks.create_hook(principal, hook.team, "github", secret=SECRET, repository=row)
    push_to(hook, "refs/heads/main", NEW)
    push_to(bound, "refs/heads/main", NEW)
    # webhook, rate, repositories, delivery, body, row, and the brackets of the transaction and of who listens
    with django_assert_max_num_queries(14):
        push_to(hook, "refs/heads/main", "a" * 40)
    with django_assert_max_num_queries(13):
        push_to(bound, "refs/heads/main", "b" * 40)


def test_a_row_that_is_deleted_meanwhile(connection: Connection) -> None:
    row = make_repository(connection)
    event = RepositoryChanged(repository_id=row.pk, heard="webhook", what="renamed", full_name="x/y")
    Repository.objects.all().delete()
    assert events.publish(event) == []


def test_a_subscriber_hears_of_its_kinds_only(hook: Webhook, connection: Connection) -> None:
    pulls: list[Event] = []
    everything: list[Event] = []
    events.subscribe(pulls.append, PullRequestChanged)
    events.subscribe(everything.append)
    make_repository(connection, "Codertocat/Hello-World", external_id="186853002")
    send_example(hook.path, "pull_request.opened")
    send_example(hook.path, "push.0")
    assert [event.name for event in pulls] == ["PullRequestChanged"]
    assert [event.name for event in everything] == ["PullRequestChanged", "Pushed"]
