from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from opssight.accounts.models import Role, Team
from opssight.core.ids import uuid7
from repos import access
from repos.models import Repository
from syncs import jobs
from syncs.models import Job, Run, RunState
from tests.api.client import Api, make_api
from tests.factories import make_connection, make_repository
from tests.repos.git.work import Bare
from tests.syncs.copy.story import execute

pytestmark = pytest.mark.django_db
RULE = {"type": "prefix", "pattern": "docs", "template": "handbook/${relative_path}"}


def config_of(source: object, target: object, **more: object) -> dict[str, Any]:
    return {
        "name": "handbook",
        "source": {"repository": str(source), "branch": "main"},
        "rules": [RULE],
        "targets": [{"repository": str(target), "branch": "main"}],
        **more,
    }


def two_repositories(team: Team) -> tuple[Repository, Repository]:
    connection = make_connection(team)
    return make_repository(connection, "acme/code"), make_repository(connection, "acme/site")


def test_a_rule_is_saved_changed_and_its_versions_kept() -> None:
    api, team = make_api(Role.OPERATOR)
    source, target = two_repositories(team)
    made = api.post("jobs/", {"kind": "copy", "config": config_of("acme/code", "acme/site")})
    assert made.status_code == 201, made.content
    job = made.json()
    assert (job["kind"], job["name"], job["version"], job["enabled"]) == ("copy", "handbook", 1, True)
    assert job["config"] == config_of(source.pk, target.pk)  # names became ids
    assert Run.objects.get().job_id == Job.objects.get().pk
    wider = config_of(source.pk, target.pk, match="every")
    changed = api.patch(f"jobs/{job['id']}/", {"config": wider, "note": "take all", "schedule": "0 3 * * *"})
    assert changed.json()["config"] == wider
    assert changed.json()["schedule"] == "0 3 * * *"
    versions = api.get(f"jobs/{job['id']}/versions/").json()["results"]
    assert [(row["number"], row["note"]) for row in versions] == [(2, "take all"), (1, "")]
    assert api.get(f"jobs/{job['id']}/").json()["config"] == wider


def test_what_is_wrong_with_a_rule_is_named_by_its_place() -> None:
    api, team = make_api()
    source, target = two_repositories(team)
    good = config_of(source.pk, target.pk)
    wrong = [
        ({**good, "rules": [{**RULE, "type": "magic"}]}, "rules[0].type"),
        ({**good, "rules": [{"type": "regex", "pattern": "(", "template": "x"}]}, "rules[0].pattern"),
        ({**good, "rules": [{"type": "copy", "pattern": "a", "template": "../b"}]}, "rules[0].template"),
        ({**good, "targets": []}, "targets"),
        (config_of("acme/nothing", target.pk), "source.repository"),
        ({**good, "magic": 1}, "magic"),
    ]
    for config, field in wrong:
        answer = api.post("jobs/", {"kind": "copy", "config": config})
        assert answer.status_code == 422, (field, answer.content)
        assert field in [row["field"] for row in answer.json()["errors"]]
    assert not Job.objects.filter(kind="copy").exists()
    for kind in ("probe", "magic"):
        answer = api.post("jobs/", {"kind": kind, "config": good})
        assert answer.json()["errors"][0]["field"] == "kind"
    answer = api.post("jobs/", {"kind": "copy", "config": good, "schedule": "at dawn"})
    assert answer.status_code == 422
    assert not Job.objects.filter(kind="copy").exists()


def test_a_name_is_used_once() -> None:
    api, team = make_api()
    source, target = two_repositories(team)
    body = {"kind": "copy", "config": config_of(source.pk, target.pk)}
    assert api.post("jobs/", body).status_code == 201
    answer = api.post("jobs/", body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "name"


@pytest.fixture
def real(tmp_path: Path, settings: Settings) -> tuple[Api, Repository, Repository]:
    root = tmp_path / "git"
    root.mkdir()
    Bare(root / "code.git").commit({b"docs/a.md": b"a", b"docs/b.md": b"b", b"src/x.py": b"x"})
    Bare(root / "site.git").commit({b"handbook/a.md": b"old"})
    settings.DATA, settings.STORES = tmp_path / "data", tmp_path / "data" / "stores"
    settings.FOLDER_ROOTS = (root,)
    api, team = make_api()
    connection = make_connection(team, options={"root": str(root)})
    assert api.post(f"connections/{connection.pk}/import/", {}).status_code == 200
    rows = {row.full_name: row for row in Repository.objects.all()}
    code, site = (next(row for name, row in rows.items() if part in name) for part in ("code", "site"))
    return api, code, site


def planned(api: Api, body: dict[str, Any]) -> dict[str, Any]:
    """The plan, asked again while the repositories are being fetched."""
    for _ in range(100):
        answer = api.post("copy/plan/", body)
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = answer.json()
        if not found["fetching"] and not any(target["fetching"] for target in found["targets"]):
            return found
        time.sleep(0.1)
    raise AssertionError("still fetching")


@pytest.mark.django_db(transaction=True)
def test_the_plan_shows_what_would_be_written_and_writes_nothing(
    real: tuple[Api, Repository, Repository],
) -> None:
    api, code, site = real
    found = planned(api, {"config": config_of(code.pk, site.pk)})
    [target] = found["targets"]
    assert (target["repository"], target["matched"], target["writes"]) == (str(site.pk), 2, 2)
    files = [(f["source_path"], f["path"], f["action"]) for f in target["files"]]
    assert files == [
        ("docs/a.md", "handbook/a.md", "change"),
        ("docs/b.md", "handbook/b.md", "add"),
    ]
    assert len(found["commit"]) == 40
    assert target["delta"] is None
    assert not Job.objects.filter(kind="copy").exists()
    assert not Run.objects.filter(kind="copy").exists()


@pytest.mark.django_db(transaction=True)
def test_the_plan_compares_with_the_saved_version(real: tuple[Api, Repository, Repository]) -> None:
    api, code, site = real
    config = config_of(code.pk, site.pk)
    job = api.post("jobs/", {"kind": "copy", "config": config}).json()
    wider = {**config, "rules": [RULE, {"type": "copy", "pattern": "src/x.py", "template": "x.py"}]}
    [target] = planned(api, {"config": wider, "job": job["id"]})["targets"]
    assert target["delta"] == {"added": 1, "changed": 0, "removed": 0}


@pytest.mark.django_db(transaction=True)
def test_the_plan_of_a_change_goes_by_what_the_rule_wrote(
    real: tuple[Api, Repository, Repository], tmp_path: Path
) -> None:
    api, code, site = real
    config = config_of(code.pk, site.pk, deletions={"policy": "delete"})
    job = api.post("jobs/", {"kind": "copy", "config": config}).json()
    execute()
    jobs.start(Job.objects.get(pk=job["id"]), Run.Trigger.MANUAL, "test", input={"whole": True})
    assert execute().state == RunState.SUCCEEDED
    source, target = Bare(tmp_path / "git" / "code.git"), Bare(tmp_path / "git" / "site.git")
    target.commit({b"handbook/a.md": b"edited"})
    source.commit({b"docs/b.md": None, b"docs/c.md": b"c"})
    for row in (code, site):
        access.store_of(row).fetch(access.remote_of(row), ["+refs/heads/*:refs/heads/*"])
    wider = {**config, "rules": [RULE, {"type": "copy", "pattern": "src/x.py", "template": "x.py"}]}
    asked = {"config": wider, "job": job["id"]}
    for body in (asked, {**asked, "at": "main"}):
        [found] = planned(api, {**body, "whole": True})["targets"]
        assert changes(found) == ["handbook/a.md", "handbook/c.md", "x.py", "-handbook/b.md"], body
        assert found["delta"] == {"added": 1, "changed": 0, "removed": 0}
        assert planned(api, body)["targets"] == [found], "all of it is what counts of a configuration"
        [since] = planned(api, {**body, "whole": False})["targets"]
        assert changes(since) == ["handbook/c.md", "-handbook/b.md"]
    [alone] = planned(api, {"config": wider})["targets"]
    assert (changes(alone), alone["delta"]) == (["handbook/c.md", "x.py"], None)
    assert "was written by the rule “handbook”" in alone["refused"][0]["sentence"]
    assert changes(planned(api, {"job": job["id"]})["targets"][0]) == changes(since)
    stranger = api.post("copy/plan/", {"config": wider, "at": "main", "job": str(uuid7())})
    assert stranger.status_code == 400


def changes(target: dict[str, Any]) -> list[str]:
    """The paths that are written, and `-` those that are deleted."""
    return ["-" * (one["action"] == "delete") + one["path"] for one in target["files"]]


def test_a_copier_s_file_is_checked() -> None:
    api, _ = make_api(Role.VIEWER, "jobs:read")
    good = """
workflows:
  - name: docs
    source: {repo: acme/code, branch: main}
    destination: {repo: acme/site, branch: main}
    transformations:
      - move: {from: docs, to: handbook}
"""
    answer = api.post("copy/validate/", {"text": good}).json()
    assert (answer["valid"], answer["format"], answer["rules"], answer["errors"]) == (
        True,
        "workflows",
        1,
        [],
    )
    bad = api.post("copy/validate/", {"text": good.replace("move:", "teleport:")}).json()
    assert bad["valid"] is False
    assert bad["errors"][0]["message"]
    for text in ("a: [", "&a [*a]", "x: y", "- " * 50_000):
        answer = api.post("copy/validate/", {"text": text})
        assert answer.status_code in (200, 422), text[:20]
        assert answer.status_code == 422 or answer.json()["valid"] is False
    assert api.post("copy/validate/", {"text": "x" * 1_000_001}).status_code == 400
