from __future__ import annotations

import datetime as dt

import pytest
from django.db.models.functions import Now

from opssight.notices.manage import add_rule, save_channel
from opssight.notices.models import Channel, Outbox, Severity
from syncs.engine import claim
from syncs.engine.request import RunRequest, request_run
from syncs.models import Job, Run, RunState
from syncs.signals import run_finished
from tests.factories import make_connection, make_job, make_repository, make_team, make_worker

pytestmark = pytest.mark.django_db


def make_channel(job: Job, severity: Severity = Severity.WARNING) -> Channel:
    channel = save_channel(
        None, team_id=job.team_id, name="ops", scheme="webhook", options={"url": "https://example.org/"}
    )
    add_rule(channel, topics=["run"], severity=severity)
    return channel


def end(job: Job, state: RunState, sentence: str = "It ended.") -> None:
    run = request_run(RunRequest(job=job, trigger=Run.Trigger.MANUAL, because="a push to acme/docs main"))
    run.state, run.sentence = state, sentence
    run.repository = make_repository(make_connection(job.team), "acme/docs")
    run.save()
    run_finished.send(sender=Run, run=run)


def told() -> list[str]:
    return [entry.message["title"].partition(": ")[2] for entry in Outbox.objects.order_by("id")]


def test_a_job_that_fails_and_recovers_is_told_twice() -> None:
    job = make_job(make_team())
    make_channel(job)
    for state in ("succeeded", "failed", "failed", "cancelled", "failed", "succeeded", "succeeded"):
        end(job, RunState(state))
    assert told() == ["failed", "succeeded"]


def test_the_message_has_the_sentence_and_the_way_to_the_run() -> None:
    job = make_job(make_team(), name="docs to site")
    make_channel(job)
    end(job, RunState.PARTIAL, "Copied 14 files to 3 of 4 targets.")
    message = Outbox.objects.get().message
    assert message["topic"] == "run.probe"
    assert message["title"] == "docs to site: partial"
    assert message["sentence"] == "Copied 14 files to 3 of 4 targets."
    assert "/runs/" in message["url"]
    assert {field["label"]: field["value"] for field in message["fields"]} == {
        "Job": "docs to site",
        "Because": "a push to acme/docs main",
        "Repository": "acme/docs",
    }


def test_a_run_that_was_given_up_is_told() -> None:
    job = make_job(make_team())
    make_channel(job, Severity.ERROR)
    run = request_run(RunRequest(job=job, trigger=Run.Trigger.MANUAL))
    for _ in range(3):
        Run.objects.filter(pk=run.pk).update(run_after=Now())
        claim.claim(make_worker(), ["std"])
        Run.objects.filter(pk=run.pk).update(lease_until=Now() - dt.timedelta(seconds=1))
        claim.reap()
    assert told() == ["dead"]


def test_a_broken_rule_does_not_keep_a_run_from_ending() -> None:
    job = make_job(make_team())
    channel = make_channel(job)
    channel.rules.update(topics=7)
    end(job, RunState.FAILED)
    assert told() == []
