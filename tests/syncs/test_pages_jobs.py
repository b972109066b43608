from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.urls import reverse

from opssight.core.errors import InvalidInput
from syncs.engine.schedule import next_times
from syncs.views.jobs import TimesForm
from tests.factories import make_job, make_team
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db

NOON = dt.datetime(2026, 10, 23, 12, tzinfo=dt.UTC)


def times(cron: str, tz: str = "UTC") -> str:
    client, _ = signed_in()
    return client.get(reverse("job_times"), {"cron": cron, "tz": tz}).content.decode()


@time_machine.travel(NOON, tick=False)
def test_the_next_five_times_by_the_clock_of_the_schedule() -> None:
    shown = times("0 3 * * *", "Europe/Berlin")
    assert shown.count(" · ") == 4
    assert "Next: Sat 24 Oct, 03:00 CEST · Sun 25 Oct, 03:00 CET" in shown


@pytest.mark.parametrize(
    ("cron", "tz", "sentence"),
    [
        ("every day", "UTC", "cannot be read"),
        ("0 3 * * *", "Mars/Base", "There is no time zone"),
        ("0 3 * * *", "", "There is no time zone"),
    ],
)
def test_what_is_wrong_is_said_while_typing(cron: str, tz: str, sentence: str) -> None:
    assert sentence in times(cron, tz)


def test_no_schedule_says_nothing() -> None:
    assert times("  ").strip() == ""


def test_a_day_that_never_comes_is_refused() -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        next_times("0 0 30 2 *", "UTC", NOON, 5)


def test_the_form_stores_schedule_and_looking() -> None:
    job = make_job(make_team())
    assert TimesForm({"cron": "0 3 * * *", "tz": "UTC", "minutes": "5"}).save(job)
    job.refresh_from_db()
    assert (job.cron, job.poll_seconds) == ("0 3 * * *", 300)
    assert TimesForm.of(job).initial == {"cron": "0 3 * * *", "tz": "UTC", "minutes": 5}
    assert TimesForm({"cron": "", "tz": "UTC", "minutes": ""}).save(job)
    job.refresh_from_db()
    assert (job.cron, job.next_at, job.poll_seconds) == ("", None, None)


def test_the_form_keeps_what_cannot_be_read_out() -> None:
    job = make_job(make_team())
    form = TimesForm({"cron": "nonsense", "tz": "UTC", "minutes": ""})
    assert not form.save(job)
    assert "cannot be read" in form.errors["cron"][0]
    assert not TimesForm({"cron": "", "tz": "UTC", "minutes": "0"}).save(job)
