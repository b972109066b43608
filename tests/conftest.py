"""What every test may use, and what the runner (`tests/run.py`) needs to know about the tests."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import hypothesis
import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from opssight.audit import triggers
from tests.instance import Instance
from tests.needs import MISSING
from tests.postgres import Postgres

# Machines differ in speed, so no example has a deadline; in CI the same examples are tried each time.
hypothesis.settings.register_profile("opssight", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("opssight")

NEEDS = {"postgres": "postgres", "postgres_url": "postgres", "page": "browser", "server": "http_git"}
"""Fixtures that say by themselves what a test needs: name, marker."""

DATABASE = {"db", "transactional_db", "django_db_reset_sequences", "live_server"}

REQUIRED = {"postgres", "browser", "http_git", "ssh", "root"}
"""Markers of tests that may not be skipped where CI is set."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("opssight")
    group.addoption("--database-only", action="store_true", help="Only tests that touch the database.")
    group.addoption("--totals", type=Path, help="Write what was counted as JSON into this file.")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--totals")
    if path is not None and not hasattr(config, "workerinput"):  # the processes of -n do not count
        config.pluginmanager.register(Totals(path))


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for fixture in fixtures & NEEDS.keys():
            item.add_marker(NEEDS[fixture])
        for marker in (mark.name for mark in list(item.iter_markers()) if mark.name in MISSING):
            item.add_marker(pytest.mark.skip(reason=MISSING[marker]))
    chosen = [item for item in items if belongs(item, database_only=config.getoption("--database-only"))]
    config.hook.pytest_deselected(items=[item for item in items if item not in set(chosen)])
    items[:] = chosen


def belongs(item: pytest.Item, *, database_only: bool) -> bool:
    """If the test is one for the database and the part that is run."""
    if item.get_closest_marker("many_writers") and connection.vendor == "sqlite":
        return False
    return touches_database(item) or not database_only


def touches_database(item: pytest.Item) -> bool:
    fixtures = set(getattr(item, "fixturenames", ()))
    return item.get_closest_marker("django_db") is not None or bool(fixtures & DATABASE)


@dataclasses.dataclass(eq=False)  # plugins are told apart by identity
class Totals:
    """Counts each test once, whatever failed of it: its setup, itself or its teardown."""

    path: Path
    passed: set[str] = dataclasses.field(default_factory=set)
    failed: set[str] = dataclasses.field(default_factory=set)
    skipped: set[str] = dataclasses.field(default_factory=set)
    skipped_required: set[str] = dataclasses.field(default_factory=set)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)
        elif report.skipped:
            self.skipped.add(report.nodeid)
            if REQUIRED & set(report.keywords):
                self.skipped_required.add(report.nodeid)
        elif report.when == "call":
            self.passed.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        counted = {
            "passed": len(self.passed - self.failed),
            "failed": len(self.failed),
            "skipped": len(self.skipped - self.failed),
            "skipped_required": sorted(self.skipped_required),
        }
        self.path.write_text(json.dumps(counted))


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> None:
    """Emptying the tables after a transactional test is the one deletion the audit log lets pass."""
    if connection.vendor != "sqlite":  # elsewhere the tables are truncated, which fires no trigger
        return
    flush = connection.ops.execute_sql_flush

    def flush_everything(sql_list: Iterable[str]) -> None:
        triggers.remove(connection)
        flush(sql_list)
        triggers.install(connection)

    connection.ops.execute_sql_flush = flush_everything  # type: ignore[method-assign]


@pytest.fixture(autouse=True)
def _nothing_spent_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests counted in memory by one test are no work for the next one."""
    monkeypatch.setattr("repos.spending._counted", {})


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL beside the test database, for installations of their own."""
    with Postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> str:
    """The URL of a new, empty PostgreSQL database."""
    return postgres.create_database("opssight")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[Instance]:
    """An installation on SQLite, not yet prepared."""
    with Instance(tmp_path / "instance") as running:
        yield running
