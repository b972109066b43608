"""Saved rules and copiers' files in the API: state, versions, preview of any commit, paths, export."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from opssight.accounts.models import Role
from repos.models import Repository
from syncs.copy.formats import load
from syncs.copy.models import ConfigFile, CopyRule
from syncs.models import Job
from tests.api.client import Api, api_of, make_api, make_member
from tests.factories import make_connection, make_repository
from tests.repos.git.work import Bare

pytestmark = pytest.mark.django_db(transaction=True)
RULE = {"type": "prefix", "pattern": "docs", "template": "handbook/${relative_path}"}
FILE = """
workflows:
  - name: docs
    source: {repo: code, branch: main}
    destination: {repo: site, branch: main}
    transformations:
      - move: {from: docs, to: handbook}
"""


class Place:
    def __init__(self, root: Path) -> None:
        self.user, self.team = make_member()
        self.api = api_of(self.user, self.team, "all")
        self.bare = Bare(root / "code")
        self.bare.commit({b"docs/a.md": b"a", b"docs/b.md": b"b", b"src/x.py": b"x"})
        Bare(root / "site").commit({b"handbook/a.md": b"a"})
        self.config = Bare(root / "config")
        self.config.commit({b"copier.yaml": FILE.encode()})
        connection = make_connection(self.team, options={"root": str(root)}, local=True)
        self.code, self.site = make_repository(connection, "code"), make_repository(connection, "site")
        make_repository(connection, "config")

    def rule(self, **more: Any) -> str:
        config = {
            "name": "handbook",
            "source": {"repository": "code", "branch": "main"},
            "rules": [RULE],
            "targets": [{"repository": "site", "branch": "main"}],
            **more,
        }
        made = self.api.post("jobs/", {"kind": "copy", "config": config})
        assert made.status_code == 201, made.content
        return str(made.json()["id"])

    def planned(self, body: dict[str, Any]) -> dict[str, Any]:
        for _ in range(200):
            answer = self.api.post("copy/plan/", body)
            assert answer.status_code == 200, answer.content
            found: dict[str, Any] = answer.json()
            if not found["fetching"] and not any(target["fetching"] for target in found["targets"]):
                return found
            time.sleep(0.1)
        raise AssertionError("still fetching")


@pytest.fixture
def place(tmp_path: Path, settings: Settings) -> Place:
    root = tmp_path / "git"
    root.mkdir()
    settings.DATA, settings.STORES = tmp_path / "data", tmp_path / "data" / "stores"
    settings.FOLDER_ROOTS = (root,)
    return Place(root)


def test_a_rule_is_enabled_in_the_shadow_or_disabled(place: Place) -> None:
    rule = place.rule()
    assert place.api.get(f"copy/rules/{rule}/").json()["state"] == "enabled"
    for state in ("shadow", "disabled", "enabled"):
        answer = place.api.patch(f"copy/rules/{rule}/", {"state": state})
        assert (answer.status_code, answer.json()["state"]) == (200, state)
    assert place.api.patch(f"copy/rules/{rule}/", {"state": "magic"}).status_code == 400
    [row] = place.api.get("copy/rules/").json()["results"]
    assert row["targets"][0] == {
        "repository": str(place.site.pk),
        "name": "site",
        "branch": "main",
        "strategy": "direct",
        "source_commit": "",
        "pull_request": None,
    }
    viewer = api_of(*make_member(Role.VIEWER, place.team), "jobs:write")
    assert viewer.patch(f"copy/rules/{rule}/", {"state": "shadow"}).status_code == 403
    other, _ = make_api()
    assert other.patch(f"copy/rules/{rule}/", {"state": "shadow"}).status_code == 404


def test_an_earlier_version_is_brought_back(place: Place) -> None:
    rule = place.rule()
    first = place.api.get(f"jobs/{rule}/").json()["config"]
    place.api.patch(f"jobs/{rule}/", {"config": {**first, "match": "every"}})
    answer = place.api.post(f"copy/rules/{rule}/roll-back/", {"version": 1})
    assert (answer.status_code, answer.json()["version"]) == (200, 3)
    job = place.api.get(f"jobs/{rule}/").json()
    assert job["config"] == first
    newest = place.api.get(f"jobs/{rule}/versions/").json()["results"][0]
    assert (newest["note"], newest["by"]) == ("As version 1.", place.user.email)
    assert place.api.post(f"copy/rules/{rule}/roll-back/", {"version": 9}).status_code == 404


def test_the_preview_of_any_commit(place: Place) -> None:
    rule = place.rule()
    old = place.bare.oid("refs/heads/main")
    place.bare.commit({b"docs/c.md": b"c", b"docs/b.md": None})
    place.bare.git("tag", "v1", old)
    place.bare.commit({b"docs/d.md": b"d"}, branch="feature")

    def paths(body: dict[str, Any]) -> list[str]:
        [target] = place.planned(body)["targets"]
        return [file["path"] for file in target["files"]]

    assert paths({"job": rule}) == ["handbook/c.md"]
    assert paths({"job": rule, "at": old}) == ["handbook/b.md"]
    assert paths({"job": rule, "at": old[:9]}) == ["handbook/b.md"]
    assert paths({"job": rule, "at": "v1"}) == ["handbook/b.md"]
    config = place.api.get(f"jobs/{rule}/").json()["config"]
    found = place.planned({"config": config, "at": "v1"})
    assert found["commit"] == old
    assert found["targets"][0]["adoptable"] == 1
    assert (found["targets"][0]["deletes"], found["targets"][0]["delta"]) == (0, None)
    for wrong, said in (("nowhere", "no branch, tag or commit"), ("0" * 40, "no branch, tag or commit")):
        answer = place.planned({"job": rule, "at": wrong})
        assert answer["targets"] == []
        assert said in answer["sentence"]
    assert "has no pull requests" in place.planned({"job": rule, "pull": 1})["sentence"]
    assert place.api.post("copy/plan/", {}).status_code == 400
    assert place.api.post("copy/plan/", {"job": rule, "pull": 0}).status_code == 400


def test_which_rule_takes_a_path(place: Place) -> None:
    license = {"type": "copy", "pattern": "LICENSE", "template": "LICENSE"}
    rule = place.rule(rules=[{**RULE, "exclude": ["**/*.tmp"]}, license])
    [found] = place.api.get(f"copy/rules/{rule}/test/?path=docs/a.md").json()["results"]
    assert found["taken"]
    assert [(row["rule"], row["verdict"]) for row in found["rules"]] == [(1, "takes"), (2, "too late")]
    assert found["rules"][0]["sentence"] == "Takes it to handbook/a.md."
    [found] = place.api.get(f"copy/rules/{rule}/test/?path=docs/a.tmp").json()["results"]
    assert [row["verdict"] for row in found["rules"]] == ["left out", "no match"]
    assert place.api.get(f"copy/rules/{rule}/test/").status_code == 400
    other, _ = make_api()
    assert other.get(f"copy/rules/{rule}/test/?path=docs/a.md").status_code == 404
    config = place.api.get(f"jobs/{rule}/").json()["config"]
    answer = place.api.post("copy/test/", {"config": config, "path": "docs/a.md"}).json()
    assert answer["results"][0]["taken"]


def test_rules_are_exported_as_workflows(place: Place) -> None:
    rule = place.rule(rules=[{"type": "glob", "pattern": "docs/**", "template": "x/${relative_path}"}])
    text = place.api.post("copy/export/", {"jobs": [rule, rule]}).json()["text"]
    loaded = load(text)
    assert (loaded.errors, loaded.format) == ((), "workflows")
    [flow] = loaded.flows
    assert (flow.source_repo, flow.target_repo) == ("code", "site")
    other, _ = make_api()
    assert other.post("copy/export/", {"jobs": [rule]}).status_code == 404
    assert place.api.post("copy/export/", {"jobs": []}).status_code == 400


def test_a_file_of_a_repository_is_taken_in(place: Place) -> None:
    api = place.api
    body = {"name": "copier", "repository": "config", "path": "copier.yaml", "mode": "shadow"}
    made = api.post("copy/files/", body)
    assert made.status_code == 201, made.content
    file = made.json()
    assert (file["version"], file["sentence"], file["branch"], len(file["rules"])) == (1, "", "main", 1)
    [rule] = file["rules"]
    assert api.get(f"copy/rules/{rule}/").json()["file"] == file["id"]
    assert api.get(f"copy/rules/{rule}/").json()["state"] == "shadow"
    job = api.get(f"jobs/{rule}/").json()
    changed = api.patch(f"jobs/{rule}/", {"config": job["config"]})
    assert changed.status_code == 409
    assert "made from the file copier" in changed.json()["detail"]
    assert api.post(f"copy/rules/{rule}/roll-back/", {"version": 1}).status_code == 409

    place.config.commit({b"copier.yaml": b"workflows: ["})
    assert api.post(f"copy/files/{file['id']}/reload/").status_code == 202
    assert ConfigFile.objects.get().due_at is not None
    assert api.patch(f"copy/files/{file['id']}/", {"texts": {"a": FILE}}).status_code == 409
    assert api.patch(f"copy/files/{file['id']}/", {"mode": "enabled"}).json()["mode"] == "enabled"
    assert not CopyRule.objects.get().shadow
    assert api.delete(f"copy/files/{file['id']}/").status_code == 204
    assert not Job.objects.filter(kind="copy").exists()


def test_texts_are_taken_in_changed_and_brought_back(place: Place) -> None:
    api = place.api
    made = api.post("copy/files/", {"name": "copier", "texts": {"a.yaml": FILE}})
    assert made.status_code == 201, made.content
    url = f"copy/files/{made.json()['id']}/"
    wider = FILE.replace("to: handbook", "to: book")
    changed = api.patch(url, {"texts": {"a.yaml": wider}, "note": "Renamed."})
    assert changed.json()["version"] == 2
    assert api.post(f"{url}roll-back/", {"version": 1}).json()["version"] == 3
    versions = api.get(f"{url}versions/").json()["results"]
    assert [(row["number"], row["note"]) for row in versions] == [
        (3, "As version 1."),
        (2, "Renamed."),
        (1, ""),
    ]
    assert versions[1]["texts"] == [["", "", "a.yaml", wider]]
    assert [row["name"] for row in api.get("copy/files/").json()["results"]] == ["copier"]


def test_what_is_wrong_with_a_file_is_a_problem(place: Place) -> None:
    for body, status in (
        ({"name": "x", "texts": {"a": "workflows: ["}}, 422),
        ({"name": "x", "texts": {}}, 422),
        ({"name": "x"}, 422),
        ({"texts": {"a": FILE}}, 400),
        ({"name": "x", "repository": "config"}, 422),
        ({"name": "x", "repository": "config", "path": "nowhere"}, 422),
        ({"name": "x", "repository": "gone", "path": "a"}, 404),
        ({"name": "x", "texts": {"a": FILE.replace("code", "gone")}}, 422),
        ({"name": "x", "texts": {"a": FILE}, "mode": "magic"}, 400),
    ):
        answer = place.api.post("copy/files/", body)
        assert answer.status_code == status, (body, answer.content)
        assert answer["Content-Type"] == "application/problem+json"
    assert not ConfigFile.objects.exists()
    assert Repository.objects.count() == 3


def test_a_viewer_reads_files_and_changes_none(place: Place) -> None:
    made = place.api.post("copy/files/", {"name": "copier", "texts": {"a.yaml": FILE}}).json()
    viewer = api_of(*make_member(Role.VIEWER, place.team), "jobs:write")
    url = f"copy/files/{made['id']}/"
    assert viewer.get(url).status_code == 200
    assert viewer.post("copy/files/", {"name": "b", "texts": {"a": FILE}}).status_code == 403
    assert viewer.patch(url, {"mode": "enabled"}).status_code == 403
    assert viewer.delete(url).status_code == 403
    assert viewer.post(f"{url}reload/").status_code == 403
    assert viewer.post(f"{url}roll-back/", {"version": 1}).status_code == 403
    other: Api = make_api()[0]
    assert other.get(url).status_code == 404
