from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import NotAllowed, Principal
from opssight.audit.models import AuditEvent
from opssight.core.errors import Failure, InvalidInput
from repos import inventory, selectors
from repos.discovery import Found
from repos.models import Connection, Repository
from repos.providers.types import RemoteRepository
from tests.factories import make_connection, make_repository, make_team, make_user
from tests.repos.git.work import Bare

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def connection(team: Team, folder: Path) -> Connection:
    return make_connection(team, options={"root": str(folder)}, name="Folder")


def names(rows: Any) -> list[str]:
    return [row.full_name for row in rows]


def break_one(folder: Path) -> None:
    (folder / "broken" / ".git").mkdir(parents=True)


def test_discover_shows_what_is_known(principal: Principal, connection: Connection, folder: Path) -> None:
    break_one(folder)
    inventory.import_repositories(principal, connection, ["site.git"])
    found = inventory.discover(connection)
    assert [(one.remote.full_name, one.known is not None) for one in found] == [
        ("broken", False),
        ("site", True),
        ("team/docs", False),
    ]
    connection.refresh_from_db()
    assert connection.state == "ok"


def test_discover_that_fails_is_noted(connection: Connection, folder: Path) -> None:
    connection.options = {"root": "/nowhere/allowed"}
    connection.save()
    with pytest.raises(InvalidInput):
        inventory.discover(connection)
    connection.refresh_from_db()
    assert connection.state == "degraded"
    assert "not below an allowed folder" in connection.sentence


def test_import_all_takes_what_can_be_used(
    principal: Principal, connection: Connection, folder: Path
) -> None:
    break_one(folder)
    rows = inventory.import_repositories(principal, connection)
    assert names(rows) == ["site", "team/docs"]
    row = Repository.objects.get(full_name="site")
    assert (row.team_id, row.external_id, row.default_branch, row.state) == (
        connection.team_id,
        "site.git",
        "main",
        "active",
    )
    assert AuditEvent.objects.filter(action="repository.import").count() == 2


def test_import_again_changes_nothing(principal: Principal, connection: Connection) -> None:
    first = inventory.import_repositories(principal, connection)
    again = inventory.import_repositories(principal, connection, found=inventory.discover(connection))
    assert [row.pk for row in again] == [row.pk for row in first]
    assert AuditEvent.objects.filter(action="repository.import").count() == 2


def test_import_names_what_cannot_be_used(principal: Principal, connection: Connection, folder: Path) -> None:
    break_one(folder)
    with pytest.raises(InvalidInput) as refused:
        inventory.import_repositories(principal, connection, ["site.git", "broken", "nothing.git"])
    assert [where for where, _ in refused.value.problems] == ["broken", "nothing.git"]
    assert not Repository.objects.exists()


def test_import_brings_an_ignored_one_back(principal: Principal, connection: Connection) -> None:
    [row] = inventory.import_repositories(principal, connection, ["site.git"])
    inventory.set_ignored(principal, row, True)
    inventory.import_repositories(principal, connection, ["site.git"])
    assert Repository.objects.get().state == "active"


def test_import_needs_an_operator(team: Team, connection: Connection) -> None:
    with pytest.raises(NotAllowed):
        inventory.import_repositories(Principal(make_user(), {team.pk: Role.VIEWER}), connection)


def test_refresh_keeps_rows_of_renamed_repositories(
    principal: Principal, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = inventory.import_repositories(principal, connection)
    # a folder has no ids that outlive a rename, so two names are swapped by hand
    Repository.objects.filter(pk=rows[0].pk).update(full_name="team/docs")
    Repository.objects.filter(pk=rows[1].pk).update(full_name="site")
    done = inventory.refresh(connection)
    assert sorted(done.renamed) == [("site", "team/docs"), ("team/docs", "site")]
    assert {row.pk: row.full_name for row in Repository.objects.all()} == {
        row.pk: row.full_name for row in rows
    }
    assert done.sentence == "2 repositories seen, 2 renamed."


def test_refresh_keeps_what_vanished_as_lost(
    principal: Principal, connection: Connection, folder: Path
) -> None:
    inventory.import_repositories(principal, connection)
    (folder / "site.git").rename(folder.parent / "away")
    done = inventory.refresh(connection)
    assert (done.seen, done.lost, done.back) == (1, ["site"], [])
    row = Repository.objects.get(full_name="site")
    assert row.state == "lost_access"
    assert row.state_reason
    assert inventory.refresh(connection).lost == []  # told once
    (folder.parent / "away").rename(folder / "site.git")
    assert inventory.refresh(connection).back == ["site"]
    row.refresh_from_db()
    assert (row.state, row.state_reason) == ("active", "")


def test_refresh_notes_what_cannot_be_used_any_more(
    principal: Principal, connection: Connection, folder: Path
) -> None:
    inventory.import_repositories(principal, connection)
    (folder / "site.git" / "shallow").write_text(Bare(folder / "site.git").oid("HEAD") + "\n")
    inventory.refresh(connection)
    row = Repository.objects.get(full_name="site")
    assert row.state == "active"
    assert "unshallow" in row.state_reason


def test_a_listing_that_fails_loses_nothing(
    principal: Principal, connection: Connection, folder: Path
) -> None:
    inventory.import_repositories(principal, connection)
    shutil.rmtree(folder)
    with pytest.raises(Failure, match="is not there"):
        inventory.refresh(connection)
    assert set(Repository.objects.values_list("state", flat=True)) == {"active"}


def test_what_the_provider_does_not_tell_is_kept(principal: Principal, connection: Connection) -> None:
    row = make_repository(connection, "site", external_id="site.git", size_bytes=7, visibility="private")
    inventory.import_repositories(principal, connection, ["site.git"])
    row.refresh_from_db()
    assert (row.size_bytes, row.visibility) == (7, "private")


def test_long_texts_are_cut(principal: Principal, connection: Connection) -> None:
    told = RemoteRepository("1", "n" * 500, default_branch="b" * 300, topics=("a", "b"))
    [row] = inventory.import_repositories(principal, connection, found=[Found(told, None)])
    row.refresh_from_db()
    assert (len(row.full_name), len(row.default_branch), row.topics) == (400, 255, ["a", "b"])


def test_ignore_and_restore(principal: Principal, connection: Connection) -> None:
    row = make_repository(connection)
    inventory.set_ignored(principal, row, True)
    inventory.set_ignored(principal, row, True)
    assert not selectors.repositories(principal)
    assert selectors.repositories(principal, state="ignored").get() == row
    inventory.set_ignored(principal, row, False)
    assert selectors.repositories(principal).get() == row
    actions = AuditEvent.objects.filter(object_id=str(row.pk)).order_by("id").values_list("action", flat=True)
    assert list(actions) == ["repository.ignore", "repository.restore"]


def test_list_filters_searches_and_sorts(principal: Principal, team: Team, connection: Connection) -> None:
    other = make_connection(team, "plain", name="Another")
    make_repository(connection, "acme/site")
    make_repository(connection, "acme/docs", description="the Handbook", state="lost_access")
    make_repository(other, "zeta/site")
    make_repository(make_connection(make_team()), "secret/site")
    rows = selectors.repositories

    assert names(rows(principal)) == ["acme/docs", "acme/site", "zeta/site"]
    assert names(rows(principal, search="SITE acme")) == ["acme/site"]
    assert names(rows(principal, search="handbook")) == ["acme/docs"]
    assert names(rows(principal, state="active", sort="-name")) == ["zeta/site", "acme/site"]
    assert names(rows(principal, state="all")) == ["acme/docs", "acme/site", "zeta/site"]
    assert names(rows(principal, connection=str(other.pk))) == ["zeta/site"]
    assert names(rows(principal, provider="folder", sort="added")) == ["acme/site", "acme/docs"]
    assert names(rows(principal, sort="connection")) == ["zeta/site", "acme/docs", "acme/site"]
    assert names(rows(principal, sort="nonsense; drop table")) == ["acme/docs", "acme/site", "zeta/site"]


def test_list_costs_the_same_for_many(
    principal: Principal, connection: Connection, django_assert_num_queries: Any
) -> None:
    for _ in range(20):
        make_repository(connection)
    with django_assert_num_queries(2):
        assert len([(row.connection.name, row.team.name, list(row.statuses.all()))
                    for row in selectors.repositories(principal)]) == 20  # fmt: skip
