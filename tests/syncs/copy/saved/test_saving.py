"""Saving a rule while somebody else saves it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from django.db import connections

from syncs.copy.models import CopyTarget
from syncs.copy.rules.config import Target
from syncs.copy.saved.leaving import LEFT
from syncs.copy.saved.service import update_rule
from syncs.models import Job, Run
from tests.syncs.copy.left import opened
from tests.syncs.copy.story import Story, World, pull_options, rule_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]


@pytest.fixture
def told(world: World) -> Iterator[Story]:
    with world.story("github") as made:
        for branch in ("other", "third"):
            made.target.git("branch", branch, "main")
        yield opened(made)


def save(told: Story, job: Job, branch: str) -> None:
    """The rule goes to this branch from now on."""
    site = str(told.at.row("acme/site").pk)
    config = replace(rule_of(told.at, pull_options(), told.job.name), targets=(Target(site, branch),))
    update_rule(told.at.principal, job, config)


def lefts() -> list[str]:
    runs = Run.objects.filter(input__has_key=LEFT).order_by("id")
    return [left["base"] for run in runs for left in run.input[LEFT]]


def test_a_save_of_what_was_read_before_another_save_leaves_what_that_one_brought(told: Story) -> None:
    early, late = Job.objects.get(pk=told.job.pk), Job.objects.get(pk=told.job.pk)
    save(told, early, "other")
    save(told, late, "third")
    assert [row.branch for row in CopyTarget.objects.all()] == ["third"]
    assert lefts() == ["main", "other"]
    assert late.version is not None
    assert (late.version.number, late.version.config["targets"][0]["branch"]) == (3, "third")


def test_two_saves_at_once_come_one_after_the_other(told: Story) -> None:
    together, failed = threading.Barrier(2), list[Exception]()

    def saved(branch: str) -> None:
        job = Job.objects.get(pk=told.job.pk)
        together.wait()
        try:
            save(told, job, branch)
        except Exception as error:  # noqa: BLE001 - shown by the test
            failed.append(error)
        finally:
            connections.close_all()

    for _ in range(3):
        threads = [threading.Thread(target=saved, args=(branch,)) for branch in ("other", "third")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []
    job = Job.objects.get(pk=told.job.pk)
    assert job.version is not None
    assert job.version.number == 7
    assert CopyTarget.objects.get().branch == job.version.config["targets"][0]["branch"]
