from __future__ import annotations

import threading

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from repos.models import Delivery, Webhook
from syncs.engine import claim
from syncs.engine.request import GATHERING, QUIET_CAP, RunRequest, request_run
from syncs.models import Job, Run, RunCause, RunState
from tests.factories import make_job, make_team, make_worker


def event(job: Job, delivery: Delivery | None = None) -> Run:
    return request_run(
        RunRequest(
            job=job,
            trigger=Run.Trigger.WEBHOOK,
            coalesce="events",
            delivery_id=delivery.pk if delivery else None,
        )
    )


def make_delivery(job: Job, key: str) -> Delivery:
    hook, _ = Webhook.objects.get_or_create(team=job.team, name="hook", defaults={"scheme": "hmac"})
    return Delivery.objects.create(
        webhook=hook, team=job.team, delivery_key=key, verdict="accepted", body_sha256="0" * 64
    )


@pytest.mark.django_db
def test_events_share_the_queued_run_and_each_is_linked_to_it() -> None:
    job = make_job(make_team())
    first = event(job, make_delivery(job, "1"))
    second = event(job, make_delivery(job, "2"))

    assert first.pk == second.pk
    assert RunCause.objects.filter(run=first).count() == 2


@pytest.mark.django_db
def test_a_running_run_is_never_joined() -> None:
    job = make_job(make_team())
    first = event(job)
    claim.claim(make_worker(), ["std"])

    second = event(job)

    assert second.pk != first.pk
    assert second.state == RunState.QUEUED


@pytest.mark.django_db
def test_the_first_event_starts_at_once_and_a_burst_is_gathered() -> None:
    job = make_job(make_team())
    assert event(job).wait_reason == ""
    assert claim.claim(make_worker(), ["std"]) is not None

    second = event(job)
    assert second.wait_reason == GATHERING
    assert claim.due_count(["std"]) == 0
    Run.objects.filter(pk=second.pk).update(run_after=Now())  # as if the quiet time were nearly over
    before = Run.objects.get(pk=second.pk)
    event(job)
    after = Run.objects.get(pk=second.pk)
    assert after.run_after > before.run_after
    assert after.run_after <= after.created_at + QUIET_CAP


@pytest.mark.django_db
def test_an_event_does_not_shorten_a_wait_for_a_rate_limit() -> None:
    job = make_job(make_team())
    run = event(job)
    Run.objects.filter(pk=run.pk).update(
        run_after=Now() + QUIET_CAP * 10, wait_reason="Rate limited until 14:05."
    )
    before = Run.objects.get(pk=run.pk).run_after

    assert event(job).pk == run.pk
    assert Run.objects.get(pk=run.pk).run_after == before


@pytest.mark.django_db
def test_going_back_to_the_queue_where_another_waits_keeps_both() -> None:
    job = make_job(make_team())
    event(job)
    mine = claim.claim(make_worker(), ["std"])
    assert mine is not None
    waiting = event(job)

    claim.release(mine, RunState.QUEUED, wait_reason="again")

    mine.refresh_from_db()
    assert mine.coalesce_key == ""
    assert Run.objects.get(pk=waiting.pk).coalesce_key != ""


@pytest.mark.django_db(transaction=True)
def test_a_hundred_events_from_ten_threads_become_one_queued_run() -> None:
    job = make_job(make_team())
    deliveries = [make_delivery(job, str(n)) for n in range(100)]
    failures: list[BaseException] = []

    def work(mine: list[Delivery]) -> None:
        try:
            for delivery in mine:
                with transaction.atomic():
                    event(job, delivery)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(deliveries[n::10],)) for n in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert Run.objects.filter(job=job, state=RunState.QUEUED).count() == 1
    assert RunCause.objects.count() == 100
