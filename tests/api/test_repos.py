from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from opssight.accounts.models import Role, Team
from repos.models import Credential, Repository, RepositoryGrant, Webhook
from syncs.models import Run
from tests.api.client import Api, make_api
from tests.factories import make_connection, make_repository, make_team, make_user
from tests.repos.deliveries import fixture, github_headers
from tests.repos.git.work import Bare

pytestmark = pytest.mark.django_db
SECRET = "canary-secret-51c7"
NOWHERE = "https://git.example.org/team/site.git"


@pytest.fixture
def root(tmp_path: Path, settings: Settings) -> Path:
    root = tmp_path / "git"
    root.mkdir()
    Bare(root / "docs.git").commit({b"README": b"docs"})
    Bare(root / "site.git").commit({b"index.html": b"site"})
    settings.DATA = tmp_path / "data"
    settings.STORES = tmp_path / "data" / "stores"
    settings.FOLDER_ROOTS = (root,)
    return root


def make_folder(api: Api, root: Path) -> dict[str, Any]:
    body = {"provider": "folder", "name": "our folder", "options": {"root": str(root)}}
    answer = api.post("connections/", body)
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


@pytest.mark.django_db(transaction=True)  # servers are asked outside transactions
def test_a_connection_is_made_tested_and_its_repositories_imported(root: Path) -> None:
    api, _ = make_api()
    made = make_folder(api, root)
    assert (made["state"], made["secrets"], made["repositories"]) == ("unknown", [], 0)
    tested = api.post(f"connections/{made['id']}/test/").json()
    assert (tested["ok"], tested["sees"]) == (True, 2)
    found = api.post(f"connections/{made['id']}/discover/").json()["results"]
    assert [row["repository"] for row in found] == [None, None]
    docs = next(row for row in found if "docs" in row["full_name"])
    imported = api.post(f"connections/{made['id']}/import/", {"external_ids": [docs["external_id"]]})
    assert [row["full_name"] for row in imported.json()["results"]] == [docs["full_name"]]
    assert len(api.post(f"connections/{made['id']}/import/", {}).json()["results"]) == 2
    assert api.get(f"connections/{made['id']}/").json()["repositories"] == 2
    assert api.post(f"connections/{made['id']}/import/", {"external_ids": ["x"]}).status_code == 422


def test_a_folder_outside_the_roots_is_refused_and_nothing_written(root: Path) -> None:
    api, _ = make_api()
    for path in ("/", "/etc", str(root.parent), f"{root}/../.."):
        body = {"provider": "folder", "name": "x", "options": {"root": path}}
        assert api.post("connections/", body).status_code == 422, path
    assert api.get("connections/").json()["results"] == []


def test_a_secret_goes_in_and_never_comes_out() -> None:
    api, _ = make_api()
    body = {
        "provider": "plain",
        "name": "server",
        "options": {"urls": [NOWHERE], "username": "ada"},
        "secrets": {"password": SECRET},
    }
    made = api.post("connections/", body)
    assert made.status_code == 201, made.content
    assert made.json()["secrets"] == ["password"]
    path = f"connections/{made.json()['id']}/"
    renamed = api.patch(path, {"name": "renamed"})
    assert renamed.json()["name"] == "renamed"
    assert Credential.objects.get().secret == SECRET
    for answer in (made, renamed, api.get(path), api.get("connections/"), api.get("audit/")):
        assert SECRET not in answer.content.decode()
    without = {"options": {"urls": [NOWHERE]}, "secrets": {"password": ""}}
    assert api.patch(path, without).json()["secrets"] == []


@pytest.mark.parametrize(
    "body",
    [
        {"provider": "nothing", "name": "x"},
        {"provider": "plain", "name": "x", "options": {"urls": ["file:///etc"]}},
        {"provider": "plain", "name": "x", "options": []},
        {"provider": "plain", "name": "x", "options": "text"},
        {"provider": "plain", "name": "", "options": {"urls": [NOWHERE]}},
        {"provider": "plain", "name": "x", "options": {"urls": [NOWHERE]}, "secrets": {"password": 7}},
    ],
)
def test_a_wrong_connection_is_named_by_its_field(body: dict[str, object]) -> None:
    api, _ = make_api()
    answer = api.post("connections/", body)
    if "secrets" in body:
        assert answer.status_code in (201, 400, 422)
    else:
        assert answer.status_code in (400, 422)
        assert answer.json()["errors"]


@pytest.mark.django_db(transaction=True)  # servers are asked outside transactions
def test_what_hangs_on_a_connection_is_not_deleted_by_the_way(root: Path) -> None:
    api, _ = make_api()
    made = make_folder(api, root)
    api.post(f"connections/{made['id']}/import/", {})
    assert api.delete(f"connections/{made['id']}/").status_code == 409
    assert api.delete(f"connections/{made['id']}/?with_everything=true").status_code == 204
    assert not Repository.objects.exists()


@pytest.mark.django_db(transaction=True)  # servers are asked outside transactions
@pytest.mark.parametrize("role", list(Role))
def test_connections_are_for_administrators_and_imports_for_operators(role: Role, root: Path) -> None:
    api, team = make_api(role)
    body = {"provider": "folder", "name": "x", "options": {"root": str(root)}}
    assert api.post("connections/", body).status_code == (201 if role >= Role.ADMIN else 403)
    there = make_connection(team, "folder", options={"root": str(root)})
    assert api.post(f"connections/{there.pk}/import/", {}).status_code == (
        200 if role >= Role.OPERATOR else 403
    )
    assert api.patch(f"connections/{there.pk}/", {"name": "y"}).status_code == (
        200 if role >= Role.ADMIN else 403
    )


def test_repositories_are_searched_filtered_and_ignored() -> None:
    api, team = make_api()
    connection = make_connection(team)
    docs = make_repository(connection, "acme/docs", description="handbook")
    make_repository(connection, "acme/site", state="gone")
    make_repository(make_connection(team, "plain"), "other/docs")

    def names(query: str) -> list[str]:
        return [row["full_name"] for row in api.get(f"repositories/?{query}").json()["results"]]

    assert names("") == ["acme/docs", "acme/site", "other/docs"]
    assert names("sort=-name") == ["other/docs", "acme/site", "acme/docs"]
    assert names("search=HANDBOOK") == ["acme/docs"]
    assert names("state=gone") == ["acme/site"]
    assert names("provider=plain") == ["other/docs"]
    assert names(f"connection={connection.pk}&search=docs") == ["acme/docs"]
    assert api.get("repositories/?state=lost").status_code == 400
    assert api.patch(f"repositories/{docs.pk}/", {"ignored": True}).json()["state"] == "ignored"
    assert names("") == ["acme/site", "other/docs"]
    assert "acme/docs" in names("state=all")


def test_lists_take_the_same_number_of_queries_however_long(django_assert_max_num_queries: Any) -> None:
    api, team = make_api()
    connection = make_connection(team)
    for n in range(30):
        make_repository(connection, f"acme/r{n}")
        make_connection(team)
    for path in ("repositories/", "connections/"):
        with django_assert_max_num_queries(9):
            assert len(api.get(path).json()["results"]) >= 30


def test_a_shared_repository_is_read_and_not_changed() -> None:
    api, team = make_api()
    foreign = make_repository(make_connection(make_team(make_user())), "acme/shared")
    assert api.get(f"repositories/{foreign.pk}/").status_code == 404
    RepositoryGrant.objects.create(repository=foreign, team=team)
    assert api.get(f"repositories/{foreign.pk}/").json()["full_name"] == "acme/shared"
    assert api.patch(f"repositories/{foreign.pk}/", {"ignored": True}).status_code == 403
    foreign.refresh_from_db()
    assert foreign.state == "active"


def make_hook(api: Api, **more: object) -> dict[str, Any]:
    answer = api.post("hooks/", {"scheme": "github", "secret": SECRET, **more})
    assert answer.status_code == 201, answer.content
    made: dict[str, Any] = answer.json()
    return made


def deliver(client: Client, path: str, body: bytes) -> int:
    headers = github_headers(body, secret=SECRET, id="1")
    return client.post(path, body, content_type="application/json", headers=headers).status_code


@pytest.fixture
def repository_of_push() -> tuple[Api, Team, Repository]:
    api, team = make_api()
    name = json.loads(fixture("push__one_commit"))["repository"]["full_name"]
    return api, team, make_repository(make_connection(team, "plain"), name)


def test_a_delivery_is_seen_read_and_replayed(repository_of_push: Any, client: Client) -> None:
    api, _, repository = repository_of_push
    hook = make_hook(api, repository=str(repository.pk))
    assert hook["secret"] == SECRET
    assert hook["url"].endswith(hook["path"])
    push = fixture("push__one_commit")
    assert deliver(client, hook["path"], push) == 202
    [delivery] = api.get("deliveries/?verdict=accepted").json()["results"]
    assert (delivery["event"], delivery["repository"]) == ("push", str(repository.pk))
    body = api.get(f"deliveries/{delivery['id']}/body/")
    assert body.content == push
    assert body["Content-Type"] == "application/octet-stream"
    again = api.post(f"deliveries/{delivery['id']}/replay/")
    assert again.status_code == 201
    assert again.json()["replay_of"] == delivery["id"]
    assert api.get(f"deliveries/?webhook={hook['id']}").json()["results"][0]["id"] == again.json()["id"]
    assert not Run.objects.exists()  # no job listens


def test_the_secret_of_a_hook_is_rotated_with_an_overlap(client: Client) -> None:
    api, _ = make_api()
    hook = make_hook(api)
    path = f"hooks/{hook['id']}/"
    rotated = api.post(f"{path}rotate-secret/", {})
    assert rotated.json()["rotating"] is True
    assert rotated.json()["secret"] not in ("", SECRET)
    assert deliver(client, hook["path"], fixture("push__one_commit")) == 202  # the former one counts
    assert api.post(f"{path}end-rotation/").json()["rotating"] is False
    assert deliver(client, hook["path"], b'{"zen": "x"}') == 401
    for answer in (api.get(path), api.get("hooks/"), api.get("audit/")):
        assert SECRET not in answer.content.decode()
        assert rotated.json()["secret"] not in answer.content.decode()


def test_a_hook_is_tested_paused_and_deleted(client: Client) -> None:
    api, _ = make_api()
    hook = make_hook(api)
    tested = api.post(f"hooks/{hook['id']}/test/").json()
    assert tested["status"] in (202, 204)
    assert tested["delivery"]
    assert api.patch(f"hooks/{hook['id']}/", {"paused": True}).json()["state"] == "paused"
    assert deliver(client, hook["path"], fixture("push__one_commit")) == 204
    assert api.delete(f"hooks/{hook['id']}/").status_code == 204
    assert not Webhook.objects.exists()


def test_a_hook_is_bound_only_to_what_one_administers() -> None:
    api, _ = make_api()
    foreign = make_repository(make_connection(make_team(make_user())))
    answer = api.post("hooks/", {"scheme": "github", "repository": str(foreign.pk)})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "repository"
    assert api.post("hooks/", {"scheme": "nothing"}).status_code in (400, 422)
    operator, _ = make_api(Role.OPERATOR)
    assert operator.post("hooks/", {"scheme": "github"}).status_code == 403
