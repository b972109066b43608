"""`opssight copy history`: entries and sums, in words and as JSON."""

from __future__ import annotations

import pytest

from opssight.accounts.models import Team
from opssight.core.clock import now
from repos.models import Repository
from syncs.models import Job
from tests.cli.command import ran
from tests.factories import make_connection, make_job, make_repository
from tests.syncs.runs import make_item, make_run

pytestmark = pytest.mark.django_db


@pytest.fixture
def source(team: Team) -> Repository:
    return make_repository(make_connection(team), "acme/docs")


@pytest.fixture
def job(source: Repository) -> Job:
    job = make_job(source.team, kind="copy", name="docs")
    known = {"from": str(source.pk), "from_name": "acme/docs", "cross_organization": False, "files": 3}
    for state in ("done", "failed"):
        run = make_run(job, repository=source, input={"pull_request": 12})
        make_item(run, "acme/site", state, result=known, sentence=f"It is {state}.")
    make_item(make_run(job, repository=source), "other/site", result={**known, "cross_organization": True})
    return job


def listed(*argv: str) -> list[tuple[str, str]]:
    answer = ran("copy", "history", "--json", *argv)
    assert answer.status == 0, answer.err
    return [(row["target_repo"], row["outcome"]) for row in answer.document["results"]]


def test_the_entries_and_what_narrows_them(job: Job) -> None:
    done, failed, across = ("acme/site", "written"), ("acme/site", "failed"), ("other/site", "written")
    assert listed() == [across, failed, done]
    assert listed("--outcome", "failed") == listed("--event-type", "error") == [failed]
    assert listed("--rule", "docs", "--pull-request", "12") == [failed, done]
    assert listed("--cross-organization", "true") == [across]
    assert listed("--cross-organization", "false") == [failed, done]
    assert listed("--source", "acme/docs", "--limit", "1") == [across]
    assert listed("--source", "acme/other") == listed("--commit", "c0ffee") == []
    assert listed("--since", now().date().isoformat()) == [across, failed, done]
    assert listed("--since", "2999-01-01") == []


def test_sums(job: Job) -> None:
    [rule] = ran("copy", "history", "--by", "rule", "--json").document["results"]
    assert (rule["rule_name"], rule["total_copies"], rule["failure_count"], rule["files"]) == (
        "docs",
        3,
        1,
        6,
    )
    days = ran("copy", "history", "--by", "day", "--days", "2", "--json").document["results"]
    assert sum(day["total_copies"] for day in days) == 3
    assert len(days) == 2


def test_in_words(job: Job) -> None:
    text = ran("copy", "history").out
    assert "acme/docs" in text
    assert "It is failed." in text
    assert "docs" in ran("copy", "history", "--by", "rule").out
    assert ran("copy", "history", "--rule", "nothing").out == "Nothing was copied.\n"


@pytest.mark.parametrize(
    "argv", [["--since", "yesterday"], ["--days", "0"], ["--days", "367"], ["--limit", "x"], ["--by", "week"],
             ["--outcome", "odd"], ["--pull-request", "0"], ["--cross-organization", "maybe"]],
)  # fmt: skip
@pytest.mark.usefixtures("team")
def test_wrong_usage(argv: list[str]) -> None:
    assert ran("copy", "history", *argv).status == 2
