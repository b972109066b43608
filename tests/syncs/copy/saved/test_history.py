"""What copies did, asked by rule, source, outcome and time; each team sees its own."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext

from opssight.accounts.models import Role, Team
from opssight.core.clock import now
from repos.models import Repository
from syncs.copy.models import CopyTarget
from syncs.copy.saved.origin import crosses, kept, origin_of
from syncs.jobs import delete_job
from syncs.models import Item, Job
from tests.api.client import Api, make_api
from tests.factories import make_connection, make_job, make_repository
from tests.syncs.runs import make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> tuple[Api, Team]:
    return make_api(Role.VIEWER, "runs:read")


@pytest.fixture
def asks(api: tuple[Api, Team]) -> Api:
    return api[0]


@pytest.fixture
def source(api: tuple[Api, Team]) -> Repository:
    return make_repository(make_connection(api[1]), "acme/docs")


@pytest.fixture
def job(source: Repository) -> Job:
    return make_job(source.team, kind="copy", name="docs")


def copied(job: Job, source: Repository, state: str = "done", /, **more: Any) -> Item:
    """One target of a run of its own, which took a second."""
    run = make_run(job, repository=source, input=more.pop("input", {}))
    at = more.pop("at", now())
    item = Item(run=run, key=uuid.uuid4().hex, state=state, label="acme/site")
    item.sentence = more.pop("sentence", "")
    item.repository = more.pop("repository", None)
    known = {"from": str(source.pk), "from_name": source.full_name, "from_ref": "main", "to_branch": "main"}
    item.result = {**known, "cross_organization": False, **more}
    item.started_at, item.finished_at = at - dt.timedelta(seconds=more.pop("took", 1)), at
    item.save()
    return item


def listed(api: Api, query: str = "") -> list[Any]:
    answer = api.get(f"copy/history/?{query}")
    assert answer.status_code == 200, answer.content
    return [row["id"] for row in answer.json()["results"]]


# --- the list ---------------------------------------------------------------------------------------


def test_an_entry_says_what_came_from_where_and_went_where(asks: Api, job: Job, source: Repository) -> None:
    target = make_repository(source.connection, "acme/site")
    told: dict[str, Any] = {"commit": "c" * 40, "source": "a" * 40, "files": 2, "deletes": 1, "recorded": 0}
    pull = {"number": 3, "url": "https://forge.example/acme/site/pull/3", "state": "open"}
    item = copied(
        job, source, repository=target, input={"pull_request": 12}, sentence="2 files written.",
        paths=["a.md", "b.md"], recorded_paths=[], pull_request=pull, **told,
    )  # fmt: skip
    [row] = asks.get("copy/history/").json()["results"]
    assert row.pop("timestamp") is not None
    assert row == {
        "id": item.pk,
        "run": str(item.run_id),
        "event_type": "copy",
        "outcome": "written",
        "rule": str(job.pk),
        "rule_name": "docs",
        "source": str(source.pk),
        "source_repo": "acme/docs",
        "source_ref": "main",
        "source_commit": "a" * 40,
        "target": str(target.pk),
        "target_repo": "acme/site",
        "target_branch": "main",
        "cross_organization": False,
        "commit_sha": "c" * 40,
        "pr_number": 12,
        "pull_request": pull,
        "success": True,
        "sentence": "2 files written.",
        "error_message": "",
        "duration_ms": 1000.0,
        "files": 2,
        "deletes": 1,
        "deprecated": 0,
        "paths": ["a.md", "b.md"],
        "deprecated_paths": [],
    }


def test_what_failed_says_why_and_claims_nothing(asks: Api, job: Job, source: Repository) -> None:
    copied(job, source, "failed", sentence="acme/site refused the push.")
    [row] = asks.get("copy/history/?outcome=failed").json()["results"]
    assert (row["event_type"], row["success"]) == ("error", False)
    assert row["error_message"] == "acme/site refused the push."
    assert (row["files"], row["deletes"], row["deprecated"], row["commit_sha"]) == (None, None, None, "")


def test_an_entry_of_an_earlier_version_is_shown_with_what_is_known(
    asks: Api, job: Job, source: Repository
) -> None:
    run = make_run(job, repository=source)
    Item.objects.create(run=run, key="1", label="acme/site", state="done", result={"files": 3})
    [row] = asks.get("copy/history/").json()["results"]
    assert (row["source_repo"], row["source"]) == ("acme/docs", str(source.pk))
    assert (row["cross_organization"], row["duration_ms"], row["deprecated"]) == (None, None, None)


def test_filters(asks: Api, job: Job, source: Repository) -> None:
    other_job = make_job(source.team, kind="copy", name="api docs")
    other = make_repository(source.connection, "acme/api")
    target = make_repository(source.connection, "other/site")
    plain = copied(job, source, commit="c0ffee" + "0" * 34, source="beef" + "0" * 36, files=1)
    failed = copied(job, source, "failed")
    conflict = copied(job, source, "conflict")
    same = copied(job, source, "skipped")
    shadow = copied(job, source, "skipped", shadow=True)
    across = copied(
        other_job, other, repository=target, cross_organization=True, recorded=2, input={"pull_request": 7}
    )
    old = copied(job, source, at=now() - dt.timedelta(days=3))
    merged = copied(job, source, only_merged=True, files=0)
    closed = copied(job, source, only_closed=True, files=0)
    copied(job, source, "planned")
    copied(make_job(source.team), source)  # of another kind

    mine = [closed, merged, old, shadow, same, conflict, failed, plain]
    everything = [*mine, across]
    since = (now() - dt.timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    for query, wanted in {
        "": everything,
        "outcome=written": [old, across, plain],
        "outcome=unchanged": [same],
        "outcome=shadow": [shadow],
        "outcome=merged": [merged],
        "outcome=closed": [closed],
        "outcome=failed": [conflict, failed],
        "event_type=copy": [old, across, plain],
        "event_type=error": [conflict, failed],
        "event_type=deprecation": [across],
        f"rule={job.pk}": mine,
        "rule=api docs": [across],
        "rule=nothing": [],
        f"rule={uuid.uuid4()}": [],
        "source=acme/api": [across],
        f"source={source.pk}": mine,
        f"target={target.pk}": [across],
        f"run={same.run_id}": [same],
        "commit=c0ffee": [plain],
        "commit=beef": [plain],
        "pull_request=7": [across],
        "cross_organization=true": [across],
        "cross_organization=false": mine,
        f"since={since}": [closed, merged, across, shadow, same, conflict, failed, plain],
        f"until={since}": [old],
        f"outcome=failed&rule={job.pk}&cross_organization=false": [conflict, failed],
    }.items():
        assert set(listed(asks, query)) == {item.pk for item in wanted}, query
    assert listed(asks) == sorted((item.pk for item in everything), reverse=True)


@pytest.mark.parametrize(
    "query",
    ["outcome=odd", "target=7", "commit=zz", "commit=%25", "pull_request=0", "pull_request=x",
     "pull_request=99999999999999999999", "cross_organization=maybe", "since=yesterday", "cursor=x"],
)  # fmt: skip
def test_what_cannot_be_asked_is_said(asks: Api, query: str) -> None:
    answer = asks.get(f"copy/history/?{query}")
    assert answer.status_code in (400, 422)
    assert answer["Content-Type"] == "application/problem+json"


def test_pages_follow_each_other(asks: Api, job: Job, source: Repository) -> None:
    made = [copied(job, source).pk for _ in range(5)]
    url, found = "copy/history/?page_size=2", []
    while url:
        page = asks.get(url).json()
        found += [row["id"] for row in page["results"]]
        url = page["next"]
    assert found == made[::-1]


def test_a_rule_that_was_deleted_stays_in_the_history(asks: Api, job: Job, source: Repository) -> None:
    item = copied(job, source)
    delete_job(job)
    [row] = asks.get("copy/history/?rule=docs").json()["results"]
    assert (row["id"], row["rule"], row["rule_name"]) == (item.pk, None, "docs")


# --- sums -------------------------------------------------------------------------------------------


def test_sums_by_rule(asks: Api, job: Job, source: Repository) -> None:
    quiet = make_job(source.team, kind="copy", name="quiet")
    copied(job, source, files=3, took=1)
    copied(job, source, files=4, took=3)
    copied(job, source, "failed", took=2)
    copied(job, source, "skipped", files=9, took=100)
    copied(job, source, "skipped", shadow=True)
    copied(job, source, only_merged=True, files=0)
    copied(quiet, source, "skipped")
    first, second = asks.get("copy/history/stats/").json()["results"]
    assert (first.pop("first_at"), first.pop("last_at")) != (None, None)
    assert first == {
        "rule": str(job.pk),
        "rule_name": "docs",
        "total_copies": 3,
        "success_count": 2,
        "failure_count": 1,
        "unchanged_count": 1,
        "files": 7,
        "avg_duration_ms": 2000.0,
    }
    assert (second["rule_name"], second["total_copies"], second["files"]) == ("quiet", 0, 0)
    assert second["avg_duration_ms"] is None
    [failed] = asks.get("copy/history/stats/?outcome=failed").json()["results"]
    assert (failed["total_copies"], failed["success_count"], failed["failure_count"]) == (1, 0, 1)


def test_each_day_has_its_volume(asks: Api, job: Job, source: Repository) -> None:
    with time_machine.travel("2026-03-10T12:00:00Z", tick=False):
        at = now()
        copied(job, source, files=3, at=at)
        copied(job, source, "failed", at=at)
        copied(job, source, "skipped", at=at)
        copied(job, source, files=5, at=at.replace(hour=0, minute=0) - dt.timedelta(days=2))
        copied(job, source, files=7, at=at - dt.timedelta(days=3))
        days = asks.get("copy/history/daily/?days=3").json()["results"]
    names = ("date", "total_copies", "success_count", "failure_count", "files")
    assert [tuple(day[name] for name in names) for day in days] == [
        ("2026-03-08", 1, 1, 0, 5),
        ("2026-03-09", 0, 0, 0, 0),
        ("2026-03-10", 2, 1, 1, 3),
    ]
    assert len(asks.get("copy/history/daily/").json()["results"]) == 30
    for wrong in ("0", "367", "x"):
        assert asks.get(f"copy/history/daily/?days={wrong}").status_code in (400, 422)


# --- for whom, and at what cost ---------------------------------------------------------------------


@pytest.mark.parametrize("path", ["copy/history/", "copy/history/stats/", "copy/history/daily/?days=1"])
def test_another_team_sees_nothing_of_it(job: Job, source: Repository, path: str) -> None:
    copied(job, source, files=3)
    stranger, _ = make_api()
    rows = stranger.get(path).json()["results"]
    assert not rows or rows[0]["total_copies"] == 0
    narrow, _ = make_api(Role.OWNER, "repositories:read")
    assert narrow.get(path).status_code == 403
    assert Api().get(path).status_code == 401


@pytest.mark.parametrize("path", ["copy/history/", "copy/history/stats/", "copy/history/daily/"])
def test_the_number_of_queries_does_not_grow(asks: Api, source: Repository, path: str) -> None:
    counts = []
    for number in (1, 5):
        for _ in range(number):
            target = make_repository(make_connection(source.team))
            copied(make_job(source.team, kind="copy"), source, repository=target)
        with CaptureQueriesContext(connection) as queries:
            assert asks.get(path).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1]


# --- across owners ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "crossing"),
    [
        (("github", "acme/docs", {}), ("github", "acme/site", {}), False),
        (("github", "acme/docs", {}), ("github", "ACME/site", {}), False),
        (("github", "acme/docs", {}), ("github", "other/docs", {}), True),
        (("github", "acme/docs", {}), ("gitlab", "acme/docs", {}), True),
        (("gitlab", "acme/a/docs", {}), ("gitlab", "acme/b/site", {}), False),
        (("gitea", "acme/a", {"url": "https://a.example"}),
         ("gitea", "acme/a", {"url": "https://b.example"}), True),
        (("gitea", "acme/a", {"url": "https://a.example"}),
         ("gitea", "acme/b", {"url": "https://A.example/"}), False),
        (("folder", "docs", {"root": "/a"}), ("folder", "site", {"root": "/b"}), False),
        (("folder", "docs", {"root": "/a"}), ("github", "acme/docs", {}), True),
        (("folder", "acme/docs", {"root": "/a"}), ("github", "acme/docs", {}), True),
        (("plain", "acme/docs", {"id": "https://h.example/acme/docs"}),
         ("plain", "acme/site", {"id": "ssh://git@h.example/acme/site"}), False),
        (("plain", "acme/docs", {"id": "https://h.example/acme/docs"}),
         ("plain", "acme/site", {"id": "https://i.example/acme/site"}), True),
        (("gitea", "acme/a", {"url": "http://[broken"}),
         ("gitea", "acme/b", {"url": "https://b.example"}), True),
    ],
)  # fmt: skip
def test_owners_and_hosts_are_compared(
    api: tuple[Api, Team], one: tuple[str, str, dict[str, str]], other: Any, crossing: bool
) -> None:
    def made(provider: str, full_name: str, options: dict[str, str]) -> Repository:
        connection = make_connection(api[1], provider, options=options)
        return make_repository(connection, full_name, external_id=options.get("id", full_name))

    assert crosses(made(*one), made(*other)) is crossing
    assert crosses(made(*other), made(*one)) is crossing


def test_what_an_item_keeps_is_found_again(source: Repository) -> None:
    target = CopyTarget(repository=make_repository(source.connection, "other/site"), branch="next")
    origin = origin_of(source, "main", target)
    assert origin["cross_organization"] is True
    assert kept({**origin, "files": 3, "commit": "c"}) == origin
    assert kept({}) == {}
