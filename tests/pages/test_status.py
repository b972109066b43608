from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django import Settings

from opssight.core.clock import now
from opssight.health import version
from opssight.pages import status
from repos import access
from repos.beside import forget
from tests.factories import make_job, make_team, make_user, make_worker
from tests.syncs.runs import make_run, make_runs, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, settings: Settings) -> None:
    settings.DATA, settings.STORES = tmp_path, tmp_path / "stores"
    forget(("stores", "used"))


def test_without_a_worker_it_says_how_to_start_one() -> None:
    client, _ = signed_in()
    text = client.get(reverse("status")).content.decode()
    assert "No worker is running, so nothing is done." in text
    assert "opssight worker" in text
    assert "Works, but not everything" in text


def test_a_worker_is_shown_with_the_slots_it_uses() -> None:
    client, team = signed_in()
    worker = make_worker(host="machine-7", lanes=["std", "bulk"], slots=4)
    make_run(make_job(team), "running", worker=worker)
    make_run(make_job(team), "succeeded", worker=worker)
    make_worker(host="long-gone", beat_at=now() - dt.timedelta(minutes=5))
    answer = client.get(reverse("status"))
    assert [(row.busy, row.lanes) for row in answer.context["workers"]] == [(1, "std and bulk")]
    assert "1 of 4" in answer.content.decode()


def test_names_of_machines_are_for_who_runs_them() -> None:
    make_worker(host="machine-7")
    client, _ = signed_in()
    assert "machine-7" not in client.get(reverse("status")).content.decode()
    operator = Client()
    operator.force_login(make_user(is_superuser=True))
    assert "machine-7" in operator.get(reverse("status")).content.decode()


def test_the_queue_counts_runs_of_all_teams_and_names_none() -> None:
    client, team = signed_in()
    other = make_job(make_team(), name="secret copy")
    make_run(other, "queued", run_after=now() - dt.timedelta(seconds=200))
    make_run(make_job(team), "queued", run_after=now() + dt.timedelta(hours=1))
    make_run(make_job(team), "running")
    make_run(other, "failed", title="secret copy")
    answer = client.get(reverse("status"))
    queue = answer.context["queue"]
    assert (queue.running, queue.due, queue.later) == (1, 1, 1)
    assert queue.waits.startswith("3 min")
    assert "secret copy" not in answer.content.decode()


def test_the_versions_are_those_that_run() -> None:
    client, _ = signed_in()
    facts = {fact.label: fact.value for fact in client.get(reverse("status")).context["versions"]}
    assert facts["OpsSight"] == version()
    assert facts["git"][:2] == "2."
    assert facts["Database"].split()[0] in ("SQLite", "PostgreSQL")


def test_the_stores_are_measured(tmp_path: Path) -> None:
    folder = access.stores().store(make_team().pk).folder
    folder.mkdir(parents=True)
    (folder / "pack").write_bytes(b"x" * 300_000)
    measured = status._used_bytes()
    assert 300_000 <= measured < 400_000


def test_it_asks_as_much_whatever_there_is() -> None:
    client, team = signed_in()
    reverse_url = reverse("status")
    client.get(reverse_url)

    def queries() -> int:
        cache.clear()  # the number beside "Overview" is kept for some seconds
        with CaptureQueriesContext(connection) as asked:
            assert client.get(reverse_url).status_code == 200
        return len(asked)

    make_worker()
    few = queries()
    for _ in range(5):
        make_worker()
    make_runs(team, 10)
    assert queries() == few


def test_visitors_sign_in_first(client: Client) -> None:
    assert client.get(reverse("status")).status_code == 302
