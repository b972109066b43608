from __future__ import annotations

import datetime as dt
import threading

import pytest
from django.db import connection

from opssight.core.clock import now
from opssight.core.errors import InvalidInput
from syncs.engine import schedule
from syncs.models import Job, Run
from tests.factories import make_job, make_team

UTC = dt.UTC


@pytest.mark.parametrize(
    ("cron", "tz", "after", "expected"),
    [
        ("0 3 * * *", "UTC", dt.datetime(2026, 1, 1, tzinfo=UTC), dt.datetime(2026, 1, 1, 3, tzinfo=UTC)),
        ("0 3 29 2 *", "UTC", dt.datetime(2026, 1, 1, tzinfo=UTC), dt.datetime(2028, 2, 29, 3, tzinfo=UTC)),
        # 02:30 does not exist in Berlin on 29 March 2026: once, right after the gap
        (
            "30 2 * * *",
            "Europe/Berlin",
            dt.datetime(2026, 3, 28, 12, tzinfo=UTC),
            dt.datetime(2026, 3, 29, 1, 0, tzinfo=UTC),
        ),
        # 02:30 exists twice on 25 October 2026: once
        (
            "30 2 * * *",
            "Europe/Berlin",
            dt.datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            dt.datetime(2026, 10, 26, 1, 30, tzinfo=UTC),
        ),
    ],
)
def test_next_time(cron: str, tz: str, after: dt.datetime, expected: dt.datetime) -> None:
    assert schedule.next_time(cron, tz, after) == expected


@pytest.mark.parametrize(
    ("cron", "tz", "where"), [("every day", "UTC", "cron"), ("0 3 * * *", "Mars/Olympus", "tz")]
)
def test_what_cannot_be_read_says_where_and_what_to_write(cron: str, tz: str, where: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        schedule.next_time(cron, tz, now())
    assert caught.value.problems[0][0] == where
    assert "use" in caught.value.sentence


@pytest.mark.django_db
def test_a_late_schedule_fires_once_and_moves_on() -> None:
    late = now() - dt.timedelta(days=3)
    job = make_job(make_team(), cron="0 * * * *", next_at=late)

    assert len(schedule.fire_due()) == 1
    assert schedule.fire_due() == []

    job.refresh_from_db()
    assert job.next_at is not None
    assert job.next_at > now()
    run = Run.objects.get(job=job)
    assert (run.trigger, run.scheduled_for) == (Run.Trigger.SCHEDULE, late)


@pytest.mark.django_db
def test_a_bad_schedule_is_switched_off_and_the_others_go_on() -> None:
    team = make_team()
    bad = make_job(team, cron="nonsense", next_at=now() - dt.timedelta(minutes=2))
    good = make_job(team, cron="0 * * * *", next_at=now() - dt.timedelta(minutes=1))

    assert [run.job_id for run in schedule.fire_due()] == [good.pk]
    bad.refresh_from_db()
    assert bad.next_at is None
    assert "nonsense" in bad.schedule_error


@pytest.mark.django_db
def test_a_job_that_is_off_does_not_fire() -> None:
    make_job(make_team(), cron="0 * * * *", next_at=now() - dt.timedelta(minutes=1), enabled=False)
    assert schedule.fire_due() == []


@pytest.mark.django_db(transaction=True)
def test_six_supervisors_fire_a_schedule_once() -> None:
    team = make_team()
    for _ in range(5):
        make_job(team, cron="0 * * * *", next_at=now() - dt.timedelta(minutes=1))

    def work() -> None:
        schedule.fire_due()
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Run.objects.count() == Job.objects.count() == 5
