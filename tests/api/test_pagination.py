from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

import pytest

from opssight.core.clock import now
from syncs.engine.request import RunRequest, request_run
from syncs.models import Job, Run
from tests.api.client import Api, make_api
from tests.factories import make_job

pytestmark = pytest.mark.django_db


def walk(api: Api, path: str) -> tuple[list[list[str]], list[list[str]]]:
    """The names on every page, forth and back again."""
    forth, back = [], []
    answer: Any = api.get(path).json()
    while True:
        forth.append([row["name"] for row in answer["results"]])
        if answer["next"] is None:
            break
        answer = api.get(answer["next"]).json()
    while answer["previous"] is not None:
        answer = api.get(answer["previous"]).json()
        back.append([row["name"] for row in answer["results"]])
    return forth, back


@pytest.mark.parametrize("sort", ["id", "-id", "name", "-name", "next_at", "-next_at"])
def test_every_row_comes_once_forth_and_back(sort: str) -> None:
    api, team = make_api()
    at = now()
    for n in range(11):  # equal times and nulls among them
        next_at = None if n % 3 == 0 else at + dt.timedelta(hours=n % 2)
        make_job(team, name=f"job {n:02}", next_at=next_at)
    forth, back = walk(api, f"jobs/?page_size=3&sort={sort}")
    names = [name for page in forth for name in page]
    assert sorted(names) == [f"job {n:02}" for n in range(11)]
    assert [len(page) for page in forth] == [3, 3, 3, 2]
    assert back == forth[-2::-1]
    if sort.endswith("name"):
        assert names == sorted(names, reverse=sort.startswith("-"))


def test_rows_made_meanwhile_move_nothing() -> None:
    api, team = make_api()
    for n in range(4):
        make_job(team, name=f"job {n}")
    first = api.get("jobs/?page_size=2").json()
    make_job(team, name="newer")
    Job.objects.filter(name="job 3").update(version=None)
    Job.objects.filter(name="job 3").delete()
    second = api.get(first["next"]).json()
    assert [row["name"] for row in second["results"]] == ["job 1", "job 0"]
    assert second["next"] is None


def test_a_page_of_nothing() -> None:
    api, _ = make_api()
    assert api.get("jobs/").json() == {"next": None, "previous": None, "results": []}


def test_a_cursor_belongs_to_its_order() -> None:
    api, team = make_api()
    for n in range(3):
        make_job(team, name=f"job {n}")
    link = api.get("jobs/?page_size=1&sort=name").json()["next"]
    answer = api.get(link.replace("sort=name", "sort=-name"))
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "cursor"


def test_the_largest_page_is_200(django_assert_max_num_queries: Any) -> None:
    api, team = make_api()
    Job.objects.bulk_create([Job(team=team, kind="probe", name=f"job {n}") for n in range(201)])
    with django_assert_max_num_queries(6):
        assert len(api.get("jobs/?page_size=200").json()["results"]) == 200
    assert len(api.get("jobs/").json()["results"]) == 50


@pytest.mark.parametrize(
    ("path", "value", "pk"),
    [
        ("jobs/?sort=name", "\ud800", "01900000-0000-7000-8000-000000000000"),
        ("jobs/?sort=next_at", "0001-01-01T00:00:00+23:59", "01900000-0000-7000-8000-000000000000"),
        ("jobs/?sort=next_at", [1], "01900000-0000-7000-8000-000000000000"),
        ("audit/?sort=-id", {}, {}),
        ("runs/{run}/items/?sort=rank", 0, float("inf")),
        ("runs/{run}/items/?sort=rank", float("inf"), 1),
    ],
)
def test_a_cursor_that_somebody_made_up_is_refused(path: str, value: object, pk: object) -> None:
    api, team = make_api()
    run = request_run(RunRequest(job=make_job(team), trigger=Run.Trigger.MANUAL))
    sort = path.rpartition("=")[2]
    text = json.dumps([sort, False, value, pk])
    cursor = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
    answer = api.get(f"{path.format(run=run.pk)}&cursor={cursor}")
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "cursor"
