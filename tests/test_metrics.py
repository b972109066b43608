from __future__ import annotations

import datetime as dt
import re
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from prometheus_client.parser import text_string_to_metric_families
from pytest_django import Settings

from opssight.audit.record import record
from opssight.core.clock import now
from opssight.core.ids import first_id, uuid7
from opssight.metrics import METRICS, numbers
from opssight.notices import outbox
from opssight.notices.manage import add_rule, save_channel
from opssight.notices.models import Severity
from repos.models import Delivery, RateBudget, RateSpend, Repository, Webhook
from syncs.engine.request import RunRequest, request_run
from syncs.models import Item, Job, Run, RunCause, Trigger
from tests.factories import make_connection, make_job, make_repository, make_team, make_user, make_worker

DOCS = Path(__file__).resolve().parent.parent / "docs/reference/metrics.md"


def scrape() -> dict[str, dict[tuple[str, ...], float]]:
    """Values by metric and label values (in the order of the labels' names)."""
    answer = Client().get("/metrics")
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.content.decode())
    return {
        family.name: {
            tuple(value for _, value in sorted(sample.labels.items())): sample.value
            for sample in family.samples
        }
        for family in families
    }


def as_json() -> dict[str, Any]:
    document: dict[str, Any] = Client().get("/metrics?format=json").json()
    return document


def make_run(job: Job, state: str, seconds: float = 1.0, **values: Any) -> Run:
    ended = now()
    run = request_run(RunRequest(job=job, trigger=Run.Trigger.MANUAL))
    Run.objects.filter(pk=run.pk).update(
        state=state, started_at=ended - dt.timedelta(seconds=seconds), finished_at=ended, **values
    )
    return run


def make_item(run: Run, state: str, **values: Any) -> Item:
    return Item.objects.create(run=run, key=uuid.uuid4().hex, label="target", state=state, **values)


def make_delivery(repository: Repository, verdict: str = "accepted", **values: Any) -> Delivery:
    hook, _ = Webhook.objects.get_or_create(
        team=repository.team,
        repository=repository,
        defaults={"scheme": "github", "secret": "hook-secret-4f1c7a"},
    )
    defaults: dict[str, Any] = {"event": "push", "body_sha256": "0" * 64, "delivery_key": uuid.uuid4().hex}
    return Delivery.objects.create(
        webhook=hook, team=repository.team, repository=repository, verdict=verdict, **{**defaults, **values}
    )


@pytest.mark.django_db
def test_every_metric_is_there_with_its_help_and_no_other() -> None:
    fill()
    names = set(scrape())
    assert names == set(METRICS)
    text = Client().get("/metrics").content.decode()
    for name, help in METRICS.items():
        assert f"# HELP {name} {help}" in text


def test_the_reference_page_has_a_heading_and_the_help_of_each_metric() -> None:
    page = DOCS.read_text()
    assert re.findall(r"^### (\w+)$", page, re.MULTILINE) == list(METRICS)
    for name, help in METRICS.items():
        assert f"### {name}\n\n{help}\n" in page


@pytest.mark.django_db
def test_runs_queue_and_workers() -> None:
    make_worker(slots=3)
    make_worker(beat_at=now() - dt.timedelta(minutes=1))
    job = make_job(make_team())
    waiting = request_run(RunRequest(job=job, trigger=Run.Trigger.MANUAL))
    Run.objects.filter(pk=waiting.pk).update(run_after=now() - dt.timedelta(seconds=40))
    later = request_run(RunRequest(job=make_job(job.team), trigger=Run.Trigger.MANUAL))
    Run.objects.filter(pk=later.pk).update(run_after=now() + dt.timedelta(hours=1))
    for seconds in (1, 2, 3, 4, 100):
        make_run(job, "succeeded", seconds, crash_count=1)
    make_run(job, "dead")

    found = scrape()

    assert found["opssight_workers"] == {(): 1}
    assert found["opssight_worker_slots"] == {(): 3}
    assert found["opssight_queue_due"][("std",)] == 1
    assert found["opssight_queue_later"][("std",)] == 1
    assert 39 < found["opssight_queue_oldest_due_seconds"][("std",)] < 60
    assert found["opssight_runs_last_day"][("probe", "std", "succeeded")] == 5
    assert found["opssight_runs_last_day"][("probe", "std", "dead")] == 1
    assert found["opssight_run_crashes_last_day"][("probe",)] == 5
    times = found["opssight_run_seconds_last_day"]
    assert round(times[("probe", "0.5")]) == 2
    assert round(times[("probe", "0.95")]) == 100


@pytest.mark.django_db
def test_what_is_older_than_a_day_does_not_count() -> None:
    job = make_job(make_team())
    run = make_run(job, "succeeded")
    old = uuid.UUID(int=first_id(now() - dt.timedelta(hours=25)).int | 1)
    Run.objects.filter(pk=run.pk).update(id=old)
    assert scrape()["opssight_runs_last_day"] == {}
    make_run(job, "failed")
    assert scrape()["opssight_runs_last_day"] == {("probe", "std", "failed"): 1}


def test_the_first_id_of_a_time_lies_before_every_id_made_then() -> None:
    before = now()
    made = uuid7()
    assert first_id(before) <= made < first_id(now() + dt.timedelta(milliseconds=2))


def test_percentiles_are_values_that_were_measured() -> None:
    ordered = [1.0, 2.0, 3.0, 4.0, 100.0]
    assert [numbers.percentile(ordered, share) for share in (0.0, 0.5, 0.8, 0.95, 1.0)] == [1, 3, 4, 100, 100]
    assert numbers.percentile([7.0], 0.99) == 7


@pytest.mark.django_db
def test_deliveries_inventory_and_upkeep() -> None:
    team = make_team()
    good = make_repository(make_connection(team, state="ok"))
    make_repository(make_connection(team, provider="plain", state="degraded"), state="gone")
    make_delivery(good, duplicates=2)
    make_delivery(good, "unauthentic")
    with transaction.atomic():
        record("a.b", team_id=None, target=("x", 1, "x"))
    channel = save_channel(
        None, team_id=team.pk, name="ops", scheme="webhook", options={"url": "https://example.org"}
    )
    add_rule(channel)
    outbox.report(
        team_id=team.pk,
        topic="run",
        subject="s",
        state="failed",
        severity=Severity.ERROR,
        sentence="It failed.",
    )

    found = scrape()

    assert found["opssight_deliveries_last_day"] == {("accepted",): 1, ("unauthentic",): 1}
    assert found["opssight_delivery_duplicates_last_day"] == {(): 2}
    assert found["opssight_connections"] == {("folder", "ok"): 1, ("plain", "degraded"): 1}
    assert found["opssight_repositories"] == {("active",): 1, ("gone",): 1}
    assert found["opssight_audit_unsealed"] == {(): 1}
    assert found["opssight_notices_waiting"] == {(): 1}
    assert found["opssight_notices_given_up_last_day"] == {(): 0}
    assert found["opssight_disk_free_bytes"][("data",)] > 0


@pytest.mark.django_db
def test_json_gives_webhooks_and_files_for_the_whole_and_by_source() -> None:
    team = make_team()
    docs, site = (make_repository(make_connection(team), name) for name in ("acme/docs", "acme/site"))
    job = make_job(team, kind="copy")
    Trigger.objects.create(job=job, repository=docs, event="Pushed")
    delivery = make_delivery(docs, received_at=now() - dt.timedelta(seconds=10))
    make_delivery(docs, "error", event="push")
    make_delivery(site, "ignored", event="ping")
    run = make_run(job, "succeeded", kind="copy", repository=docs)
    RunCause.objects.create(run=run, delivery=delivery)
    at = now()
    timed = {"started_at": at - dt.timedelta(milliseconds=250), "finished_at": at}
    done = {"files": 14, "equal": 3, "refused_count": 2, "deletes": 4, "recorded": 5}
    make_item(run, "done", result={**done, "from": str(docs.pk), "cross_organization": True}, **timed)
    by_button = make_run(job, "succeeded", kind="copy")
    within = {"cross_organization": False}
    make_item(by_button, "skipped", result={"files": 0, "equal": 17, "refused_count": 0, **within}, **timed)
    make_item(by_button, "failed", planned={"add": 5, "change": 1}, result=within)
    Webhook.objects.filter(repository=docs).update(last_delivery_at=now())

    document = as_json()

    assert {"global", "by_source"} <= set(document)
    assert document["window_seconds"] == 86_400
    webhooks = document["global"]["webhooks"]
    assert (webhooks["received"], webhooks["processed"], webhooks["failed"], webhooks["ignored"]) == (
        3,
        1,
        1,
        1,
    )
    assert webhooks["event_types"] == {"push": 2, "ping": 1}
    assert webhooks["success_rate"] == 50.0
    assert webhooks["processing_time"]["samples"] == 1
    assert 9_000 < webhooks["processing_time"]["p95_ms"] < 20_000
    files = document["global"]["files"]
    assert (files["uploaded"], files["equal"], files["refused"], files["upload_failed"]) == (14, 20, 2, 6)
    assert files["matched"] == 40
    assert files["upload_time"]["p50_ms"] == 250.0
    assert files["upload_success_rate"] == 66.67
    assert (files["deprecated"], files["deleted"], files["not_collected"]) == (5, 4, [])
    assert files["cross_organization"] == {"targets": 1, "targets_failed": 0, "uploaded": 14}
    assert files["complete"] is True
    assert document["global"]["github_api"] is None

    assert set(document["by_source"]) == {"acme/docs", "acme/site"}
    source = document["by_source"]["acme/docs"]
    assert source["webhooks"]["received"] == 2
    assert source["files"]["uploaded"] == 14
    assert source["files"]["targets"] == 3  # also those of the run that somebody started by hand
    assert source["last_webhook"] is not None
    assert document["by_source"]["acme/site"]["files"]["targets"] == 0


@pytest.mark.django_db
def test_what_is_not_known_is_null_and_named() -> None:
    document = as_json()
    webhooks, files = document["global"]["webhooks"], document["global"]["files"]
    assert webhooks["received"] == 0
    assert webhooks["success_rate"] is None
    times = dict.fromkeys(("avg_ms", "min_ms", "max_ms", "p50_ms", "p95_ms", "p99_ms"))
    assert webhooks["processing_time"] == {"samples": 0, **times}
    assert files["upload_success_rate"] is None
    assert document["by_source"] == {}

    run = make_run(make_job(make_team(), kind="copy"), "failed", kind="copy")
    make_item(run, "failed")  # failed before anybody knew how many files it is about
    files = as_json()["global"]["files"]
    assert (files["uploaded"], files["upload_failed"], files["matched"]) == (0, None, None)
    assert files["not_collected"] == ["matched", "upload_failed", "cross_organization"]
    assert files["targets_failed"] == 1


@pytest.mark.django_db
def test_files_of_a_run_by_an_earlier_version_are_unknown_where_it_did_not_tell() -> None:
    run = make_run(make_job(make_team(), kind="copy"), "succeeded", kind="copy")
    make_item(run, "done", result={"files": 3, "equal": 0, "refused_count": 0})
    files = as_json()["global"]["files"]
    assert (files["uploaded"], files["deleted"], files["deprecated"]) == (3, None, None)
    assert files["not_collected"] == ["deleted", "deprecated", "cross_organization"]


@pytest.mark.django_db
def test_copies_to_other_owners_are_counted_apart_and_can_be_asked_for() -> None:
    team = make_team()
    source = make_repository(make_connection(team), "acme/docs")
    run = make_run(make_job(team, kind="copy"), "succeeded", kind="copy", repository=source)
    for cross, state, files in (
        (True, "done", 3),
        (True, "failed", 0),
        (False, "done", 5),
        (None, "done", 7),
    ):
        known = {} if cross is None else {"cross_organization": cross}
        make_item(run, state, result={"files": files, "equal": 0, "refused_count": 0, **known})

    def uploaded(query: str) -> tuple[int, int]:
        document = Client().get(f"/metrics?format=json{query}").json()
        assert document["by_source"]["acme/docs"]["files"] == document["global"]["files"]
        return document["global"]["files"]["uploaded"], document["global"]["files"]["targets"]

    assert uploaded("") == (15, 4)
    assert uploaded("&cross_organization=true") == (3, 2)
    assert uploaded("&cross_organization=false") == (5, 1)
    refused = Client().get("/metrics?format=json&cross_organization=maybe")
    assert (refused.status_code, refused["Content-Type"]) == (400, "application/problem+json")
    found = scrape()
    assert found["opssight_copy_cross_organization_targets_last_day"] == {("done",): 1, ("failed",): 1}
    assert found["opssight_copy_targets_last_day"] == {("done",): 3, ("failed",): 1}


@pytest.mark.django_db
def test_what_was_only_looked_at_or_stands_in_a_pull_request_is_not_written_again() -> None:
    run = make_run(make_job(make_team(), kind="copy"), "succeeded", kind="copy")
    told = {"equal": 1, "refused_count": 0, "deletes": 0, "recorded": 0, "cross_organization": False}
    make_item(run, "skipped", result={"files": 9, **told})  # the open pull request has them
    make_item(run, "skipped", result={"files": 0, "would": 9, "shadow": True, **told})
    make_item(run, "planned")  # just now
    files = as_json()["global"]["files"]
    assert (files["uploaded"], files["equal"], files["targets"], files["shadow_targets"]) == (0, 10, 1, 1)
    assert files["not_collected"] == []
    assert scrape()["opssight_copy_files_last_day"] == {
        (name,): number
        for name, number in {"written": 0, "equal": 10, "refused": 0, "deleted": 0, "recorded": 0}.items()
    }


@pytest.mark.django_db
def test_a_source_is_listed_before_anything_happened_there() -> None:
    team = make_team()
    source = make_repository(make_connection(team), "acme/quiet")
    Trigger.objects.create(job=make_job(team, kind="copy"), repository=source, event="Pushed", ref="main")
    entry = as_json()["by_source"]["acme/quiet"]
    assert (entry["webhooks"]["received"], entry["files"]["targets"], entry["last_webhook"]) == (0, 0, None)


@pytest.mark.django_db
def test_requests_to_github_are_those_that_were_counted() -> None:
    assert as_json()["global"]["not_collected"] == ["github_api"]
    connection = make_connection(make_team(), provider="github")
    github = as_json()["global"]["github_api"]
    assert (github["calls"], github["errors"], github["rate_limit"]) == (0, None, None)
    hour = now().replace(minute=0, second=0, microsecond=0)
    for at, requests in ((hour, 7), (hour - dt.timedelta(hours=30), 100)):
        RateSpend.objects.create(
            connection=connection, resource="core", spender="copy", hour=at, requests=requests
        )
    reset = now() + dt.timedelta(minutes=20)
    RateBudget.objects.create(
        connection=connection, resource="core", limit=5000, remaining=4321, reset_at=reset
    )
    github = as_json()["global"]["github_api"]
    assert (github["calls"], github["rate_limit"]["remaining"]) == (7, 4321)
    assert github["not_collected"] == ["errors", "error_rate"]


@pytest.mark.django_db
def test_numbers_made_from_the_newest_rows_only_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(make_job(make_team(), kind="copy"), "succeeded", kind="copy")
    for _ in range(3):
        make_item(run, "done", result={"files": 1, "equal": 0, "refused_count": 0})
    monkeypatch.setattr(numbers, "MOST", 2)
    files = as_json()["global"]["files"]
    assert (files["uploaded"], files["complete"]) == (2, False)


def fill(n: int = 1) -> None:
    team = make_team()
    make_worker()
    for _ in range(n):
        repository = make_repository(make_connection(team))
        job = make_job(team, kind="copy")
        request_run(RunRequest(job=job, trigger=Run.Trigger.MANUAL))
        run = make_run(job, "succeeded", kind="copy", repository=repository)
        make_item(run, "done", result={"files": 1, "equal": 0, "refused_count": 0})
        RunCause.objects.create(run=run, delivery=make_delivery(repository))


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/metrics", "/metrics?format=json"])
def test_the_number_of_queries_does_not_grow(path: str) -> None:
    counts = []
    for n in (1, 10):
        fill(n)
        with CaptureQueriesContext(connection) as queries:
            assert Client().get(path).status_code == 200
        counts.append(len(queries))
    assert counts[0] == counts[1] <= 20


@pytest.mark.django_db
def test_who_may_read(settings: Settings) -> None:
    def status(client: Client | None = None, **headers: str) -> int:
        return (client or Client()).get("/metrics", headers=headers).status_code

    member, admin = Client(), Client()
    member.force_login(make_user())
    admin.force_login(make_user(is_superuser=True))
    elsewhere = Client(REMOTE_ADDR="203.0.113.9")

    assert status() == 200
    assert status(Client(REMOTE_ADDR="::1")) == 200
    assert status(elsewhere) == 403
    assert status(None, **{"X-Forwarded-For": "203.0.113.9"}) == 403
    assert (status(member), status(admin)) == (403, 200)

    settings.METRICS_TOKEN = "correct-horse-battery"
    assert status() == 401
    assert status(elsewhere, Authorization="Bearer wrong") == 401
    assert status(elsewhere, Authorization="Basic correct-horse-battery") == 401
    assert status(elsewhere, Authorization="Bearer correct-horse-battery") == 200
    refused = elsewhere.get("/metrics")
    assert refused["WWW-Authenticate"].startswith("Bearer")
    assert refused.json()["status"] == 401

    settings.METRICS_TOKEN, settings.ANONYMOUS_METRICS = "", True
    assert status(elsewhere) == 200
    assert elsewhere.post("/metrics").status_code == 405


@pytest.mark.django_db
def test_names_from_elsewhere_cannot_break_the_text() -> None:
    make_connection(make_team(), provider='a"b\n\\c', state="ok")
    assert scrape()["opssight_connections"] == {('a"b\n\\c', "ok"): 1}
