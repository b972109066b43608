from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from opssight.accounts.models import Role
from syncs.engine.progress import LogBuffer
from syncs.models import Item, ItemState, Run, RunState
from tests.api.client import Api, make_api
from tests.factories import make_connection, make_job, make_repository

KEY = {"Idempotency_Key": "deploy-42"}


@pytest.mark.django_db
def test_a_run_is_started_shown_and_cancelled() -> None:
    api, team = make_api()
    job = make_job(team, name="nightly")
    answer = api.post("runs/", {"job": str(job.pk), "whole": True})
    assert answer.status_code == 201
    made = answer.json()
    assert (made["state"], made["trigger"], made["title"]) == ("queued", "api", "nightly")
    assert Run.objects.get().input == {"whole": True}
    assert api.get(f"runs/{made['id']}/").json() == made
    assert [row["id"] for row in api.get("runs/?state=open").json()["results"]] == [made["id"]]
    cancelled = api.post(f"runs/{made['id']}/cancel/").json()
    assert cancelled["state"] == "cancelled"
    assert "(token test)" in cancelled["summary"]
    assert api.post(f"runs/{made['id']}/cancel/").status_code == 409
    assert api.get("runs/?state=open").json()["results"] == []


@pytest.mark.django_db
def test_the_same_key_and_body_give_the_same_run() -> None:
    api, team = make_api()
    body = {"job": str(make_job(team).pk)}
    first = api.post("runs/", body, **KEY)
    again = api.post("runs/", body, **KEY)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert "Idempotency-Replayed" not in first
    assert again["Idempotency-Replayed"] == "true"
    assert Run.objects.count() == 1
    assert api.post("runs/", body, Idempotency_Key="another").json()["id"] != first.json()["id"]


@pytest.mark.django_db
def test_the_same_key_with_another_body_is_refused() -> None:
    api, team = make_api()
    job, other = make_job(team), make_job(team)
    api.post("runs/", {"job": str(job.pk)}, **KEY)
    for body in ({"job": str(other.pk)}, {"job": str(job.pk), "whole": True}):
        answer = api.post("runs/", body, **KEY)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "Idempotency-Key"
    assert Run.objects.count() == 1


@pytest.mark.django_db
def test_keys_of_two_teams_do_not_meet() -> None:
    for _ in range(2):
        api, team = make_api()
        assert api.post("runs/", {"job": str(make_job(team).pk)}, **KEY).status_code == 201
    assert Run.objects.count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["with space", "x" * 101, "ümlaut"])
def test_an_unusable_key_is_refused(key: str) -> None:
    api, team = make_api()
    answer = api.post("runs/", {"job": str(make_job(team).pk)}, Idempotency_Key=key)
    assert answer.status_code == 400
    assert not Run.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_one_key_sent_many_times_at_once_makes_one_run() -> None:
    api, team = make_api()
    body = {"job": str(make_job(team).pk)}

    def send(_: int) -> tuple[int, str]:
        try:
            answer = api.post("runs/", body, **KEY)
            return answer.status_code, answer.json().get("id", "")
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(send, range(16)))
    assert answers == {(201, str(Run.objects.get().pk))}


@pytest.mark.django_db
def test_a_failed_run_is_retried_once_per_key() -> None:
    api, team = make_api()
    job = make_job(team)
    run_id = api.post("runs/", {"job": str(job.pk)}).json()["id"]
    assert api.post(f"runs/{run_id}/retry/").status_code == 409
    Run.objects.filter(pk=run_id).update(state=RunState.FAILED)
    first = api.post(f"runs/{run_id}/retry/", None, **KEY)
    again = api.post(f"runs/{run_id}/retry/", None, **KEY)
    assert first.status_code == 201
    assert first.json()["retry_of"] == run_id
    assert first.json() == again.json()
    assert api.post("runs/", {"job": str(job.pk)}, **KEY).status_code == 422
    assert Run.objects.count() == 2


def make_finished_run(api: Api, job_id: object) -> Run:
    run = Run.objects.get(pk=api.post("runs/", {"job": str(job_id)}).json()["id"])
    for n, state in enumerate([ItemState.DONE, ItemState.FAILED, ItemState.PLANNED]):
        Item.objects.create(run=run, key=str(n), label=f"target {n}", state=state, result={"commit": "abc"})
    return run


@pytest.mark.django_db
def test_items_come_failures_first_in_pages() -> None:
    api, team = make_api()
    run = make_finished_run(api, make_job(team).pk)
    first = api.get(f"runs/{run.pk}/items/?page_size=2").json()
    rest = api.get(first["next"]).json()
    assert [row["state"] for row in [*first["results"], *rest["results"]]] == ["failed", "planned", "done"]
    assert rest["results"][0]["result"] == {"commit": "abc"}


@pytest.mark.django_db
def test_the_log_is_read_on_from_where_one_was() -> None:
    api, team = make_api()
    run = make_finished_run(api, make_job(team).pk)
    lines = LogBuffer(run)
    lines.add("fetch", "one")
    lines.flush()
    first = api.get(f"runs/{run.pk}/log/").json()
    assert [line["message"] for line in first["results"]] == ["one"]
    assert first["finished"] is False
    lines.add("push", "two", "error")
    lines.flush()
    rest = api.get(f"runs/{run.pk}/log/?after={first['after']}").json()
    assert [(line["message"], line["level"]) for line in rest["results"]] == [("two", "error")]
    assert api.get(f"runs/{run.pk}/log/?after={rest['after']}").json()["results"] == []
    assert api.get(f"runs/{run.pk}/log/?after=x").status_code == 400


@pytest.mark.django_db
def test_runs_are_found_by_job_and_by_repository() -> None:
    api, team = make_api()
    job = make_job(team)
    run = make_finished_run(api, job.pk)
    make_finished_run(api, make_job(team).pk)
    repository = make_repository(make_connection(team))
    run.items.filter(key="0").update(repository=repository)
    for query in (f"job={job.pk}", f"repository={repository.pk}"):
        assert [row["id"] for row in api.get(f"runs/?{query}").json()["results"]] == [str(run.pk)]


@pytest.mark.django_db
def test_a_viewer_reads_runs_and_starts_none() -> None:
    api, team = make_api(Role.VIEWER)
    job = make_job(team)
    assert api.get("runs/").status_code == 200
    answer = api.post("runs/", {"job": str(job.pk)})
    assert answer.status_code == 403
    assert "operator" in answer.json()["detail"]
