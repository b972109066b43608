from __future__ import annotations

import base64
import datetime as dt
import json
import shutil
from collections import namedtuple
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.models.functions import Now
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from opssight import health
from opssight.audit import triggers
from opssight.audit.record import record
from opssight.audit.sealer import seal_new
from opssight.core import env
from opssight.core.clock import now
from repos.models import Connection, Delivery, Repository, RepositoryStatus, Webhook
from syncs.engine.request import RunRequest, request_run
from syncs.models import Run, Trigger
from tests.factories import make_connection, make_job, make_repository, make_team, make_user, make_worker

Usage = namedtuple("Usage", "total used free")


def get(path: str, client: Client | None = None, **headers: str) -> tuple[int, dict[str, Any]]:
    answer = (client or Client()).get(path, headers=headers)
    return answer.status_code, answer.json()


def make_hook(repository: Repository, **values: Any) -> Webhook:
    return Webhook.objects.create(
        team=repository.team, scheme="github", secret="hook-secret-4f1c7a", repository=repository, **values
    )


def make_delivery(hook: Webhook, repository: Repository, key: str = "1", **values: Any) -> Delivery:
    defaults = {"verdict": "accepted", "event": "push", "body_sha256": "0" * 64}
    return Delivery.objects.create(
        webhook=hook, team=hook.team, repository=repository, delivery_key=key, **{**defaults, **values}
    )


@pytest.fixture
def ready(db: None) -> None:
    """What a working installation has beside its database."""
    make_worker()


def test_alive_asks_no_database() -> None:
    assert get("/healthz") == (200, {"status": "alive"})  # this test may not touch it


def test_probes_may_call_by_any_address_and_without_https(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["opssight.example.org"]
    settings.SECURE_SSL_REDIRECT = True
    answer = Client().get("/healthz", headers={"host": "10.1.2.3:8000"})
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
    assert Client().get("/health", headers={"host": "10.1.2.3:8000"}).status_code == 400


@pytest.mark.usefixtures("ready")
def test_ready_when_everything_is_right() -> None:
    status, document = get("/readyz")
    assert (status, document["status"]) == (200, "ready")
    assert list(document["checks"]) == ["database", "migrations", "worker", "disk", "keys"]
    assert all(check["ok"] and check["detail"] for check in document["checks"].values())


def not_ready(name: str) -> str:
    status, document = get("/readyz")
    assert (status, document["status"]) == (503, "not ready")
    assert [key for key, check in document["checks"].items() if not check["ok"]] == [name]
    return str(document["checks"][name]["detail"])


@pytest.mark.django_db
def test_not_ready_without_a_living_worker() -> None:
    assert "opssight worker" in not_ready("worker")
    make_worker(beat_at=now() - dt.timedelta(seconds=20))
    assert "heard 2" in not_ready("worker")
    make_worker(stopped_at=Now())
    not_ready("worker")
    make_worker()
    assert get("/readyz")[0] == 200


@pytest.mark.usefixtures("ready")
def test_not_ready_when_the_disk_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(10**12, 10**12 - 10**8, 10**8))
    assert "100.0 MB free" in not_ready("disk")


@pytest.mark.usefixtures("ready")
def test_not_ready_when_the_keys_cannot_be_used(tmp_path: Path, settings: Settings) -> None:
    settings.ENV = env.load({"OPSSIGHT_DATA": str(tmp_path)})
    (tmp_path / "keys").write_text("k1:broken")
    (tmp_path / "keys").chmod(0o600)
    assert "keys" in not_ready("keys")


@pytest.mark.usefixtures("ready")
def test_not_ready_when_the_key_of_earlier_secrets_is_gone(settings: Settings) -> None:
    with transaction.atomic():
        record("a.b", team_id=None, target=("x", 1, "x"))
    seal_new()
    other = base64.b64encode(b"o" * 32).decode()
    settings.ENV = env.load({"OPSSIGHT_KEYS": f"other:{other}"})
    assert "is not here" in not_ready("keys")


@pytest.mark.usefixtures("ready")
def test_not_ready_while_migrations_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_all_applied", False)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'audit' AND name LIKE '0002%%'", [])
    status, document = get("/readyz")
    assert status == 503
    assert "1 migration is not applied" in document["checks"]["migrations"]["detail"]
    assert health.missing_migrations() == ["audit.0002_triggers"]
    assert get("/health")[0] == 503


@pytest.mark.django_db(transaction=True)
def test_not_ready_without_the_database(monkeypatch: pytest.MonkeyPatch) -> None:
    connections["default"].close()
    broken = "/nowhere/db.sqlite3" if connection.vendor == "sqlite" else "nobody"
    monkeypatch.setitem(connections["default"].settings_dict, "NAME", broken)
    try:
        status, document = get("/readyz")
        assert status == 503
        assert "OPSSIGHT_DATABASE_URL" in document["checks"]["database"]["detail"]
        assert broken not in json.dumps(document)
        assert get("/healthz")[0] == 200
        assert get("/health")[1]["status"] == "unhealthy"
    finally:
        connections["default"].close()


@pytest.mark.usefixtures("ready")
def test_health_has_the_promised_shape_and_real_sources() -> None:
    connection = make_connection(make_team(), state="ok")
    heard, silent, paused = (
        make_repository(connection, name) for name in ("a/heard", "a/silent", "a/paused")
    )
    at = now()
    make_hook(heard, last_delivery_at=at)
    make_hook(silent)
    make_hook(paused, state="paused")
    make_repository(connection, "a/without-webhook")

    status, document = get("/health")

    assert status == 200
    assert set(document) == {
        "status", "service", "version", "uptime_seconds", "timestamp", "checks", "sources",
    }  # fmt: skip
    assert (document["status"], document["service"]) == ("healthy", "opssight")
    assert document["uptime_seconds"] > 0
    assert document["version"]
    assert dt.datetime.fromisoformat(document["timestamp"]).tzinfo is not None
    assert document["sources"] == {
        "a/heard": {"status": "healthy", "last_webhook": at.isoformat(), "installation_id": None},
        "a/paused": {"status": "paused", "last_webhook": None, "installation_id": None},
        "a/silent": {"status": "waiting", "last_webhook": None, "installation_id": None},
    }


@pytest.mark.usefixtures("ready")
def test_a_source_is_as_well_as_its_connection_and_repository() -> None:
    team = make_team()
    for state, expected in (
        ("degraded", "degraded"),
        ("reauth_required", "unhealthy"),
        ("unknown", "waiting"),
    ):
        make_hook(make_repository(make_connection(team, state=state), f"a/{state}"))
        assert get("/health")[1]["sources"][f"a/{state}"]["status"] == expected
    assert get("/health")[1]["status"] == "degraded"
    Connection.objects.update(state="ok")
    assert get("/health")[1]["status"] == "healthy"
    make_hook(make_repository(make_connection(team, state="ok"), "a/gone", state="lost_access"))
    assert get("/health")[1]["sources"]["a/gone"]["status"] == "unhealthy"


@pytest.mark.usefixtures("ready")
def test_what_jobs_follow_is_a_source_without_any_webhook() -> None:
    team = make_team()
    connection = make_connection(team, state="ok")

    def follow(name: str, looked: float | None = None, **job: Any) -> Repository:
        at = None if looked is None else now() - dt.timedelta(seconds=looked)
        repository = make_repository(connection, name, head_seen_at=at)
        Trigger.objects.create(
            job=make_job(team, kind="copy", **job), repository=repository, event="Pushed", ref="main"
        )
        return repository

    follow("a/looked-at", 100, poll_seconds=60)
    follow("a/late", 600, poll_seconds=60)
    follow("a/never", None, poll_seconds=60)
    follow("a/told", 5)
    follow("a/off", 5, poll_seconds=60, enabled=False)
    failing = follow("a/failing", 5, poll_seconds=60)
    RepositoryStatus.objects.create(repository=failing, lane="copy", state="failed")
    make_hook(follow("a/heard"), last_delivery_at=now())
    make_hook(follow("a/heard-and-off", enabled=False), last_delivery_at=now())

    document = get("/health")[1]

    assert {name: source["status"] for name, source in document["sources"].items()} == {
        "a/failing": "degraded",
        "a/heard": "healthy",
        "a/heard-and-off": "disabled",
        "a/late": "waiting",
        "a/looked-at": "healthy",
        "a/never": "waiting",
        "a/off": "disabled",
        "a/told": "waiting",
    }
    assert document["status"] == "degraded"
    assert document["sources"]["a/looked-at"]["last_webhook"] is None


@pytest.mark.usefixtures("ready")
def test_a_source_that_one_of_two_jobs_follows_is_not_disabled() -> None:
    team = make_team()
    repository = make_repository(make_connection(team, state="ok"), "a/two", head_seen_at=now())
    for enabled in (False, True):
        job = make_job(team, enabled=enabled, poll_seconds=60)
        Trigger.objects.create(job=job, repository=repository, event="Pushed", ref="main")
    assert get("/health")[1]["sources"]["a/two"]["status"] == "healthy"


@pytest.mark.usefixtures("ready")
def test_a_source_of_a_github_app_names_its_installation() -> None:
    connection = make_connection(make_team(), "github", state="ok", installation_id="4711")
    make_hook(make_repository(connection, "a/app"))
    assert get("/health")[1]["sources"]["a/app"]["installation_id"] == "4711"


@pytest.mark.usefixtures("ready")
def test_repositories_that_share_a_webhook_or_a_name_are_sources_too() -> None:
    first, second = make_connection(make_team(), name="first"), make_connection(make_team(), name="second")
    one, two = make_repository(first, "a/same"), make_repository(second, "a/same")
    shared = Webhook.objects.create(
        team=first.team, scheme="github", secret="hook-secret-4f1c7a", connection=first
    )
    late = make_delivery(shared, one, "1")
    make_delivery(shared, one, "2", received_at=now() - dt.timedelta(hours=1))
    make_hook(two)

    sources = get("/health")[1]["sources"]

    assert set(sources) == {"a/same", "a/same (second)"} or set(sources) == {"a/same", "a/same (first)"}
    heard = [source["last_webhook"] for source in sources.values() if source["last_webhook"]]
    late.refresh_from_db()
    assert heard == [late.received_at.isoformat()]


@pytest.mark.usefixtures("ready")
def test_who_sees_which_sources(settings: Settings) -> None:
    mine, theirs = make_user(), make_user()
    for user in (mine, theirs):
        make_hook(make_repository(make_connection(make_team(user)), f"of/{user.initials}{user.pk.hex[-4:]}"))
    member, admin = Client(), Client()
    member.force_login(mine)
    admin.force_login(make_user(is_superuser=True))

    assert len(get("/health")[1]["sources"]) == 2
    assert list(get("/health", member)[1]["sources"]) == [f"of/{mine.initials}{mine.pk.hex[-4:]}"]
    assert len(get("/health", admin)[1]["sources"]) == 2
    assert get("/health", Client(REMOTE_ADDR="203.0.113.9"))[1]["sources"] == {}
    # through a proxy on this machine that nobody told us to trust
    for header in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
        assert get("/health", None, **{header: "203.0.113.9"})[1]["sources"] == {}
    settings.METRICS_TOKEN = "correct-horse-battery"
    assert get("/health")[1]["sources"] == {}
    assert len(get("/health", Authorization="Bearer correct-horse-battery")[1]["sources"]) == 2


@pytest.mark.usefixtures("ready")
def test_health_costs_the_same_for_many_sources(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    connection = make_connection(make_team())
    for _ in range(20):
        make_hook(make_repository(connection))
    get("/health")
    with django_assert_max_num_queries(7):
        assert len(get("/health")[1]["sources"]) == 20


# --- opssight doctor -----------------------------------------------------------------------------------


def doctor() -> tuple[int, dict[str, dict[str, Any]]]:
    out, code = StringIO(), 0
    try:
        call_command("doctor", "--json", stdout=out, stderr=StringIO())
    except SystemExit as exit:
        code = int(exit.code or 0)
    document = json.loads(out.getvalue())
    assert set(document) == {"ok", "checks"}
    assert document["ok"] is (code == 0)
    return code, {check["name"]: check for check in document["checks"]}


@pytest.fixture
def own_folders(tmp_path: Path, settings: Settings) -> Path:
    settings.DATA, settings.STORES = tmp_path / "data", tmp_path / "stores"
    return tmp_path


@pytest.mark.django_db(transaction=True)
def test_doctor_finds_nothing_wrong_where_nothing_is(own_folders: Path) -> None:
    make_worker()
    code, found = doctor()
    assert code == 0, found
    assert set(found) == {
        "python", "settings", "setpriv", "data", "stores", "database", "migrations", "worker", "disk", "keys",
        "audit", "clock", "git",
    }  # fmt: skip
    assert "git version 2" in found["git"]["detail"]


@pytest.mark.django_db(transaction=True)
def test_no_worker_is_only_wrong_where_a_run_waits(own_folders: Path) -> None:
    assert doctor()[1]["worker"]["ok"]
    request_run(RunRequest(job=make_job(make_team()), trigger=Run.Trigger.MANUAL))
    code, found = doctor()
    assert code == 1
    assert found["worker"]["detail"].startswith("No worker runs, though 1 run should")


@pytest.mark.django_db(transaction=True)
def test_doctor_names_what_is_wrong(own_folders: Path, settings: Settings) -> None:
    (own_folders / "stores").write_text("a file")
    settings.FOLDER_ROOTS = [own_folders, own_folders / "missing"]
    settings.ENV = env.load({"OPSSIGHT_DATA": str(own_folders / "data"), "OPSSIGHT_WORKRES": "1"})
    triggers.remove(connection)
    try:
        code, found = doctor()
    finally:
        triggers.install(connection)
    assert code == 1
    wrong = {name: check["detail"] for name, check in found.items() if not check["ok"]}
    assert "OPSSIGHT_WORKERS" in wrong["settings"]
    assert "stores" in wrong["stores"]
    assert str(own_folders / "missing") in wrong["folder_roots"]
    assert "audit_auditevent_keep" in wrong["audit"]
