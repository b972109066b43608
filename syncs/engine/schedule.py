"""Schedules: a job's cron line makes runs, once each, however many supervisors look.

Firing is a compare-and-set of `next_at` together with the insert of the run; no leader is needed.
"""

from __future__ import annotations

import datetime as dt
import logging
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from django.db import transaction
from django.db.models.functions import Now

from opssight.core.errors import InvalidInput
from syncs.engine import claim
from syncs.engine.request import RunRequest, request_run
from syncs.models import Job, Run

logger = logging.getLogger(__name__)


def next_time(cron: str, tz: str, after: dt.datetime) -> dt.datetime:
    """The first time of the schedule after `after` (UTC). InvalidInput says what is wrong with it."""
    return next_times(cron, tz, after, 1)[0]


def next_times(cron: str, tz: str, after: dt.datetime, number: int) -> list[dt.datetime]:
    """The first `number` times of the schedule after `after` (UTC), at least one. InvalidInput as above."""
    try:
        zone = ZoneInfo(tz)
    except (KeyError, ValueError, OSError):
        sentence = f"There is no time zone {tz!r}; use a name such as UTC or Europe/Berlin."
        raise InvalidInput(sentence, [("tz", sentence)]) from None
    try:
        found = [at.astimezone(dt.UTC) for at in islice(CronSim(cron, after.astimezone(zone)), number)]
    except CronSimError:
        found = []
    if not found:
        sentence = (
            f"The schedule {cron!r} cannot be read; use five fields such as 0 3 * * * (03:00 each day)."
        )
        raise InvalidInput(sentence, [("cron", sentence)])
    return found


def fire_due() -> list[Run]:
    """Make the runs of all schedules that are due; a late one fires once, not once per missed time."""
    fired = []
    due = Job.objects.filter(enabled=True, next_at__lte=Now()).select_related("version")
    for job in due[:200]:
        try:
            run = _fire(job)
        except InvalidInput as error:
            Job.objects.filter(pk=job.pk).update(next_at=None, schedule_error=error.sentence)
            logger.warning("schedule of job %s is switched off: %s", job.pk, error.sentence)
            continue
        if run is not None:
            fired.append(run)
    return fired


def _fire(job: Job) -> Run | None:
    scheduled_for = job.next_at
    following = next_time(job.cron, job.tz, claim.db_now())
    with transaction.atomic():
        won = Job.objects.filter(pk=job.pk, next_at=scheduled_for).update(next_at=following)
        if not won:
            return None
        return request_run(
            RunRequest(
                job=job,
                trigger=Run.Trigger.SCHEDULE,
                because=f"the schedule {job.cron} ({job.tz})",
                input={"whole": True},
                coalesce="schedule",  # one that waits is enough, however long it has to
                scheduled_for=scheduled_for,
            )
        )
