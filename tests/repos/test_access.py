from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import transaction
from pytest_django import Settings

from opssight.accounts.models import AllowedHost, Team
from opssight.core import redact
from opssight.core.errors import AuthFailure, Failure, InvalidInput, NotFound, RateLimited, TransientFailure
from opssight.core.outbound import AddressRefused
from opssight.notices.models import Channel, NoticeRule, Outbox
from repos import access
from repos.git.remote import PasswordCredential
from repos.models import Connection, Credential, Repository
from tests.factories import make_connection, make_repository
from tests.forges.githttp import GitServer
from tests.repos.git.work import Bare

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "canary-password-93ab"


@pytest.fixture
def connection(team: Team, folder: Path) -> Connection:
    return make_connection(team, options={"root": str(folder)})


@pytest.fixture
def repository(connection: Connection) -> Repository:
    return make_repository(connection, "site", external_id="site.git", default_branch="")


@pytest.fixture
def server(folder: Path) -> Iterator[GitServer]:
    with GitServer(folder, username="robot", password=PASSWORD) as running:
        yield running


@pytest.fixture
def remote_repository(team: Team, server: GitServer) -> Repository:
    url = server.url_of("site.git")
    connection = make_connection(team, "plain", options={"urls": [url], "username": "robot"})
    Credential.objects.create(connection=connection, purpose="password", secret=PASSWORD)
    AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=f"{server.port}")
    return make_repository(connection, "site", external_id=url)


def fresh(row: Repository) -> Repository:
    again: Repository = Repository.objects.select_related("connection").get(pk=row.pk)
    return again


def test_look_keeps_head_branch_and_health(repository: Repository, folder: Path) -> None:
    refs = access.look(repository)
    tip = Bare(folder / "site.git").oid("refs/heads/main")
    assert refs.refs == {b"refs/heads/main": tip}
    row = fresh(repository)
    assert (row.head_oid, row.default_branch) == (tip, "main")
    assert row.head_seen_at is not None
    assert (row.connection.state, row.connection.sentence) == ("ok", "")
    assert row.connection.last_ok_at is not None


def test_look_at_an_empty_repository(connection: Connection, folder: Path) -> None:
    Bare(folder / "empty.git")
    row = make_repository(connection, "empty", external_id="empty.git", default_branch="")
    assert access.look(row).refs == {}
    assert fresh(row).head_oid == ""


def test_a_vanished_repository_is_lost_until_it_is_back(repository: Repository, folder: Path) -> None:
    (folder / "site.git").rename(folder / "elsewhere")
    with pytest.raises(NotFound):
        access.look(repository)
    row = fresh(repository)
    assert row.state == "lost_access"
    assert row.state_reason.endswith(".")
    assert row.connection.state == "unknown"  # the folder itself is well
    (folder / "elsewhere").rename(folder / "site.git")
    access.look(row)
    row = fresh(repository)
    assert (row.state, row.state_reason) == ("active", "")


def test_an_ignored_repository_stays_ignored(repository: Repository, folder: Path) -> None:
    Repository.objects.update(state="ignored")
    (folder / "site.git").rename(folder / "elsewhere")
    with pytest.raises(NotFound):
        access.look(repository)
    assert fresh(repository).state == "ignored"


def test_the_folder_is_checked_again_when_it_is_used(
    repository: Repository, folder: Path, settings: Settings
) -> None:
    settings.FOLDER_ROOTS = (folder / "team",)
    with pytest.raises(InvalidInput, match="not below an allowed folder"):
        access.remote_of(repository)
    Connection.objects.update(local=True)
    assert access.remote_of(fresh(repository)).path == folder / "site.git"


def test_fetch_into_a_store(repository: Repository, folder: Path) -> None:
    store = access.store_of(repository)
    store.fetch(access.remote_of(repository), ["+refs/heads/*:refs/heads/*"])
    assert store.has(Bare(folder / "site.git").oid("refs/heads/main"))


@pytest.mark.root
def test_folders_of_other_users_are_trusted_one_by_one(repository: Repository, folder: Path) -> None:
    other = folder / "team" / "docs.git"
    for path in [folder / "site.git", *(folder / "site.git").rglob("*"), other, *other.rglob("*")]:
        os.chown(path, 12345, 12345)
    assert access.git().safe_directories == (folder / "site.git",)  # docs was never imported
    access.look(repository)
    store = access.stores(access.git()).store(repository.pk)
    store.fetch(access.remote_of(repository), ["+refs/heads/*:refs/heads/*"])
    assert store.current is not None


def test_folders_that_are_not_allowed_any_more_are_not_trusted(
    repository: Repository, settings: Settings
) -> None:
    settings.FOLDER_ROOTS = ()
    assert access.git().safe_directories == ()


@pytest.mark.http_git
def test_remote_has_credential_and_vetted_addresses(remote_repository: Repository) -> None:
    remote = access.remote_of(remote_repository)
    assert remote.credential == PasswordCredential("robot", PASSWORD)
    assert remote.addresses == ("127.0.0.1",)
    assert PASSWORD not in redact.redact(f"a line with {PASSWORD}")
    assert access.look(remote_repository).head == b"refs/heads/main"


@pytest.mark.http_git
def test_an_address_that_is_not_allowed(remote_repository: Repository, server: GitServer) -> None:
    AllowedHost.objects.update(ports="443, https")
    with pytest.raises(AddressRefused, match="this machine"):
        access.look(remote_repository)
    assert server.looks == 0
    row = fresh(remote_repository)
    assert (row.state, row.connection.state) == ("active", "degraded")
    assert "administrator allows" in row.connection.sentence


@pytest.mark.http_git
def test_the_command_line_may_name_any_host(remote_repository: Repository) -> None:
    AllowedHost.objects.all().delete()
    Connection.objects.update(local=True)
    assert access.look(fresh(remote_repository)).head == b"refs/heads/main"


@pytest.mark.http_git
def test_a_refused_credential_needs_a_person(remote_repository: Repository) -> None:
    credential = Credential.objects.get()
    credential.secret = "wrong password"
    credential.save()
    with pytest.raises(AuthFailure):
        access.look(remote_repository)
    connection = fresh(remote_repository).connection
    assert (connection.state, connection.error_class) == ("reauth_required", "auth")
    assert "Enter a valid one" in connection.sentence
    credential.secret = PASSWORD
    credential.save()
    access.look(fresh(remote_repository))
    assert fresh(remote_repository).connection.state == "ok"


@pytest.mark.parametrize(
    ("failure", "state"),
    [
        (TransientFailure("It broke off."), "degraded"),
        (RateLimited("It asks for fewer requests."), "degraded"),
        (AuthFailure("It refuses the credential."), "reauth_required"),
        (NotFound("One repository is not there."), "unknown"),
    ],
)
def test_which_failures_concern_the_connection(connection: Connection, failure: Failure, state: str) -> None:
    access.note_failure(connection, failure)
    connection.refresh_from_db()
    assert connection.state == state


def test_a_change_of_health_is_told_once(connection: Connection) -> None:
    channel = Channel.objects.create(team_id=connection.team_id, name="Mail", scheme="smtp")
    NoticeRule.objects.create(team_id=connection.team_id, channel=channel, topics=["connection"])
    for _ in range(3):
        access.note_failure(connection, AuthFailure("It refuses the credential."))
    for _ in range(3):
        access.note_ok(connection)
    told = [row.message for row in Outbox.objects.order_by("id")]
    assert [one["state"] for one in told] == ["reauth_required", "ok"]
    assert told[0]["sentence"] == "It refuses the credential."
    assert connection.name in told[1]["sentence"]


def test_still_fine_is_not_written_each_time(connection: Connection) -> None:
    access.note_ok(connection)
    first = connection.last_ok_at
    access.note_ok(connection)
    assert connection.last_ok_at == first
    access.note_failure(connection, TransientFailure("It broke off."))
    access.note_ok(connection)
    connection.refresh_from_db()
    assert (connection.state, connection.sentence, connection.error_class) == ("ok", "", "")


def test_nothing_waits_for_another_machine_inside_a_transaction(repository: Repository) -> None:
    for use in (access.remote_of, access.look, lambda row: access.client_of(row.connection)):
        with transaction.atomic(), pytest.raises(RuntimeError, match="transaction"):
            use(repository)
