"""The original's addresses, against the stand-in of GitHub."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries

from opssight.accounts.models import AllowedHost, Role, Team
from opssight.core.clock import now
from repos.models import Connection, ConnectionGrant, Credential, Repository
from tests.api.client import Api, api_of, make_api, make_member
from tests.factories import make_connection, make_repository, make_team
from tests.forges.github import GitHubStandIn

pytestmark = pytest.mark.django_db(transaction=True)
BASE = "repository-management"
TOKEN = "ghp_canary0123456789abcdef"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[GitHubStandIn]:
    with GitHubStandIn(tmp_path) as running:
        running.add_token(TOKEN, "ana", scopes=["repo"])
        running.add_repository("acme/site", {b"index.html": b"hello"}, visibility="public")
        running.add_repository("acme/secret", {b"a": b"b"}, visibility="private")
        running.add_repository("acme/site-docs", {b"a": b"b"}, visibility="private")
        AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=str(running.port))
        yield running


@pytest.fixture
def member() -> tuple[Api, Team]:
    return make_api()


def connect(api: Api, forge: GitHubStandIn, name: str = "acme/site", **more: Any) -> Any:
    body = {
        "name": f"Our {name}",
        "repository_url": f"{forge.url}/{name}.git",
        "connection_type": "github",
        "credential_type": "personal_access_token",
        "credentials": {"token": TOKEN},
        **more,
    }
    return api.post(f"{BASE}/connect", body)


def test_discover_with_a_token_stores_nothing(member: tuple[Api, Team], forge: GitHubStandIn) -> None:
    api, _ = member
    body = {"connection_type": "github", "access_token": TOKEN, "url": forge.url}
    found = api.post(f"{BASE}/discover", body)
    assert found.status_code == 200, found.content
    assert [one["full_name"] for one in found.json()] == ["acme/secret", "acme/site", "acme/site-docs"]
    assert found.json()[1]["visibility"] == "public"
    filters = {"search": "site", "visibility": "private", "sort": "updated"}
    narrowed = api.post(f"{BASE}/discover", {**body, "filters": filters}).json()
    assert [one["full_name"] for one in narrowed] == ["acme/site-docs"]
    assert not Connection.objects.exists()


def test_discover_without_a_token_needs_a_connection(member: tuple[Api, Team], forge: GitHubStandIn) -> None:
    api, _ = member
    refused = api.post(f"{BASE}/discover", {})
    assert refused.status_code == 422
    assert "Send an access_token" in refused.json()["detail"]
    assert connect(api, forge).status_code == 201
    assert len(api.post(f"{BASE}/discover", {}).json()) == 3


def test_discover_leaves_out_what_a_refused_connection_sees(
    member: tuple[Api, Team], forge: GitHubStandIn
) -> None:
    api, team = member
    connect(api, forge)
    refused = make_connection(team, "github", name="Gone", options={"url": forge.url})
    Credential.objects.create(connection=refused, purpose="token", secret="ghp_of_nobody_at_all")
    assert len(api.post(f"{BASE}/discover", {}).json()) == 3
    Connection.objects.exclude(pk=refused.pk).delete()
    assert api.post(f"{BASE}/discover", {}).status_code == 502


def test_search_pages(member: tuple[Api, Team], forge: GitHubStandIn) -> None:
    api, _ = member
    connect(api, forge)
    answer = api.get(f"{BASE}/search?query=site&per_page=1&page=2&sort=name").json()
    assert [one["full_name"] for one in answer["repositories"]] == ["acme/site-docs"]
    assert answer["pagination"] == {"page": 2, "per_page": 1, "total": 2, "pages": 2}
    assert api.get(f"{BASE}/search?query=site&per_page=101").status_code == 400
    assert api.get(f"{BASE}/search").status_code == 400


def test_connect_takes_the_one_repository_in(member: tuple[Api, Team], forge: GitHubStandIn) -> None:
    api, team = member
    made = connect(api, forge, project_id=str(team.pk))
    assert made.status_code == 201, made.content
    row = Repository.objects.get()
    document = made.json()
    assert document["id"] == str(row.pk)
    assert (document["name"], document["connection_type"]) == ("Our acme/site", "github")
    assert document["status"] == "active"
    assert document["metadata"]["full_name"] == "acme/site"
    assert TOKEN not in made.content.decode()
    assert row.connection.credentials.get().secret == TOKEN
    assert api.get(f"{BASE}/connections").json()[0]["id"] == str(row.pk)


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"credential_type": "app_password"}, "credential_type", "App passwords are Bitbucket's"),
        (
            {"credential_type": "app_password", "connection_type": "bitbucket"},
            "credential_type",
            "Bitbucket ended app passwords",
        ),
        ({"credential_type": "app_installation"}, "credential_type", "connect page"),
        ({"credential_type": "ssh_key"}, "credential_type", "connection_type plain"),
        ({"credentials": {}}, "credentials", "no token"),
        ({"connection_type": "azure"}, "connection_type", "cannot be connected yet"),
        ({"repository_url": "https://github.com/acme"}, "repository_url", "names no repository"),
        ({"repository_url": "/srv/git/site"}, "repository_url", "command line"),
    ],
)
def test_connect_refuses_with_a_sentence(
    member: tuple[Api, Team], forge: GitHubStandIn, change: dict[str, Any], field: str, words: str
) -> None:
    refused = connect(member[0], forge, **change)
    assert refused.status_code == 422, refused.content
    assert words in refused.json()["detail"]
    assert refused.json()["errors"][0]["field"] == field
    assert not Connection.objects.exists()


def test_connect_leaves_nothing_half_made(member: tuple[Api, Team], forge: GitHubStandIn) -> None:
    assert connect(member[0], forge, "acme/not-there").status_code == 404
    assert connect(member[0], forge, credentials={"token": "ghp_" + "x" * 20}).status_code == 502
    assert not Connection.objects.exists()
    assert connect(member[0], forge).status_code == 201
    assert connect(member[0], forge).status_code == 422  # the name is taken
    assert Connection.objects.count() == 1


def test_plain_git_with_a_key_needs_its_host(member: tuple[Api, Team]) -> None:
    body = {
        "name": "git",
        "repository_url": "git@git.example.org:acme/site.git",
        "connection_type": "plain",
        "credential_type": "ssh_key",
        "credentials": {"private_key": "x"},
    }
    refused = member[0].post(f"{BASE}/connect", body)
    assert refused.status_code == 422
    assert "host_key" in refused.json()["detail"]


def test_status_says_what_is_not_collected(member: tuple[Api, Team], forge: GitHubStandIn) -> None:
    api, _ = member
    made = connect(api, forge).json()
    status = api.get(f"{BASE}/connections/{made['id']}/status").json()
    assert status["status"] == "active"
    assert status["ci_status"] is None
    assert status["security_status"] is None
    assert status["not_collected"] == ["ci_status", "security_status"]
    assert status["recent_activity"] == []
    analytics = api.get(f"{BASE}/connections/{made['id']}/analytics?time_range=7d").json()
    assert analytics["time_range"] == "7d"
    assert {analytics[name] for name in analytics["not_collected"]} == {None}
    assert len(analytics["not_collected"]) == 6
    assert api.get(f"{BASE}/connections/{made['id']}/analytics?time_range=1y").status_code == 400


def test_sync_looks_and_does_not_look_twice(member: tuple[Api, Team], forge: GitHubStandIn) -> None:
    api, _ = member
    made = connect(api, forge).json()
    first = api.post(f"{BASE}/connections/{made['id']}/sync").json()
    assert first["status"] == "completed"
    assert first["sync_result"]["changed"] is True
    assert first["sync_result"]["branches"] == 1
    assert len(first["sync_result"]["head"]) == 40
    again = api.post(f"{BASE}/connections/{made['id']}/sync").json()
    assert (again["status"], again["sync_result"]) == ("skipped", None)
    assert "force=true" in again["reason"]
    forced = api.post(f"{BASE}/connections/{made['id']}/sync?force=true").json()
    assert (forced["status"], forced["sync_result"]["changed"]) == ("completed", False)


def test_disconnect_ends_the_credential_with_the_last_repository(
    member: tuple[Api, Team], forge: GitHubStandIn
) -> None:
    api, _ = member
    made = connect(api, forge).json()
    connection = Connection.objects.get()
    other = make_repository(connection, "acme/other")
    gone = api.delete(f"{BASE}/connections/{made['id']}")
    assert gone.json() == {"status": "disconnected", "connection_id": made["id"]}
    assert api.get(f"{BASE}/connections?status=disconnected").json()[0]["id"] == made["id"]
    api.delete(f"{BASE}/connections/{other.pk}")
    assert not Connection.objects.exists()


def test_statuses_are_mapped_and_filtered(member: tuple[Api, Team]) -> None:
    api, team = member
    ok = make_connection(team, "github", state="ok")
    States = Repository.State
    expected = {
        make_repository(ok).pk: "active",
        make_repository(ok, state=States.IGNORED).pk: "disconnected",
        make_repository(ok, state=States.LOST_ACCESS).pk: "error",
        make_repository(ok, state=States.GONE).pk: "error",
        make_repository(make_connection(team, "gitlab", state="revoked")).pk: "error",
        make_repository(make_connection(team, "gitlab", state="degraded")).pk: "error",
        make_repository(make_connection(team, "gitlab", state="unknown")).pk: "inactive",
    }
    listed = {one["id"]: one["status"] for one in api.get(f"{BASE}/connections").json()}
    assert listed == {str(pk): status for pk, status in expected.items()}
    for status in ("active", "inactive", "error", "disconnected", "syncing"):
        rows = api.get(f"{BASE}/connections?status={status}").json()
        assert {one["id"] for one in rows} == {str(pk) for pk, said in expected.items() if said == status}
    monitored = api.get(f"{BASE}/monitor?project_id={team.pk}").json()
    assert (monitored["total_repositories"], monitored["healthy_repositories"]) == (6, 1)


def test_monitor_takes_few_queries(
    member: tuple[Api, Team], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    api, team = member
    connection = make_connection(team, "github", state="ok", last_ok_at=now() - dt.timedelta(hours=1))
    for _ in range(30):
        make_repository(connection)
    with django_assert_max_num_queries(8):
        assert api.get(f"{BASE}/monitor").json()["total_repositories"] == 30


def test_providers_and_health_need_no_token() -> None:
    providers = {one["type"]: one for one in Api().get(f"{BASE}/providers").json()["providers"]}
    assert providers["github"]["status"] == "available"
    assert "pull_requests" in providers["github"]["features"]
    assert providers["azure"]["status"] == "coming_soon"
    assert providers["azure"]["features"] == []
    assert "archive" not in providers["bitbucket"]["features"]
    health = Api().get(f"{BASE}/health")
    assert health.json()["checks"]["database"] is True
    for path in ("connections", "monitor", "search?query=x"):
        assert Api().get(f"{BASE}/{path}").status_code == 401


def test_a_shared_connection_is_not_asked_for_others(member: tuple[Api, Team], forge: GitHubStandIn) -> None:
    api, _ = member
    assert connect(api, forge).status_code == 201
    stranger, theirs = make_api()
    ConnectionGrant.objects.create(connection=Connection.objects.get(), team=theirs)
    forge.asked.clear()
    assert stranger.get(f"{BASE}/search?query=secret").json()["repositories"] == []
    assert stranger.post(f"{BASE}/discover", {}).status_code == 422
    assert forge.asked == []


def test_a_viewer_makes_us_ask_no_server(member: tuple[Api, Team], forge: GitHubStandIn) -> None:
    _, team = member
    viewer, _ = make_member(Role.VIEWER, team)
    body = {"access_token": TOKEN, "url": forge.url}
    assert api_of(viewer, team).post(f"{BASE}/discover", body).status_code == 403
    assert forge.asked == []


def test_others_see_and_change_nothing(member: tuple[Api, Team], forge: GitHubStandIn) -> None:
    api, team = member
    made = connect(api, forge).json()
    stranger, _ = make_api()
    for path in ("status", "analytics"):
        assert stranger.get(f"{BASE}/connections/{made['id']}/{path}").status_code == 404
    assert stranger.post(f"{BASE}/connections/{made['id']}/sync").status_code == 404
    assert stranger.delete(f"{BASE}/connections/{made['id']}").status_code == 404
    assert stranger.get(f"{BASE}/connections").json() == []
    viewer, _ = make_member(Role.VIEWER, team)
    theirs = api_of(viewer, team)
    assert theirs.get(f"{BASE}/connections/{made['id']}/status").status_code == 200
    assert theirs.post(f"{BASE}/connections/{made['id']}/sync").status_code == 403
    assert theirs.delete(f"{BASE}/connections/{made['id']}").status_code == 403
    assert connect(theirs, forge, "acme/secret").status_code == 403
    reader = api_of(viewer, team, "runs:read")
    assert reader.get(f"{BASE}/connections").status_code == 403
    elsewhere = connect(api, forge, "acme/secret", project_id=str(make_team().pk))
    assert elsewhere.status_code == 400
