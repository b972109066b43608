"""Looking where no webhook reaches us: one `ls-remote` per job and interval."""

from __future__ import annotations

import datetime as dt
import logging
import threading
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from django.db import close_old_connections, transaction
from django.db.models import DateTimeField, ExpressionWrapper, Value
from django.db.models.functions import Now

from opssight.core.errors import Failure
from repos import access
from repos.events import Pushed, publish
from repos.models import DEAD_STATES
from syncs.models import Job, Run, Trigger

logger = logging.getLogger(__name__)


class Poller:
    """Looks at the sources of jobs that are due, a few at a time, beside the supervisor's loop.

    A job waits for its look in the database, not here: a team whose servers answer slowly has half of
    the threads at most, and never two looks of one job.
    """

    def __init__(self, threads: int = 4) -> None:
        # long-lived threads: git dies with the thread that started it
        self._pool = ThreadPoolExecutor(max_workers=threads, thread_name_prefix="poll")
        self._threads = threads
        self._share = max(threads // 2, 1)  # of one team
        self._looking: dict[uuid.UUID, uuid.UUID] = {}  # job, team
        self._lock = threading.Lock()
        self._turn = threading.Lock()  # one chooses at a time
        self._stopped = False

    def start_due(self) -> int:
        """Start looking at jobs that are due while threads are free; each is claimed by a compare-and-set.

        How many were started; whoever ends a look starts the next.
        """
        started = 0
        with self._turn:
            while not self._stopped and (job := self._next()) is not None:
                later = ExpressionWrapper(
                    Now() + Value(dt.timedelta(seconds=job.poll_seconds or 0)), output_field=DateTimeField()
                )
                # not "equal to what was read": SQLite keeps times as text of differing precision
                if Job.objects.filter(pk=job.pk, next_poll_at__lte=Now()).update(next_poll_at=later):
                    with self._lock:
                        self._looking[job.pk] = job.team_id
                    self._pool.submit(self._look, job)
                    started += 1
        return started

    def _next(self) -> Job | None:
        """The job that is due for longest, among those that may be looked at now."""
        with self._lock:
            jobs, teams = list(self._looking), Counter(self._looking.values())
        if len(jobs) >= self._threads:
            return None
        full = [team for team, n in teams.items() if n >= self._share]
        due = Job.objects.filter(enabled=True, poll_seconds__isnull=False, next_poll_at__lte=Now())
        # a credential that is refused is not tried again and again: servers lock accounts for that
        due = due.exclude(triggers__repository__connection__state__in=DEAD_STATES)
        return due.exclude(pk__in=jobs).exclude(team_id__in=full).order_by("next_poll_at").first()

    def _look(self, job: Job) -> None:
        try:
            _look_safely(job)
        finally:
            with self._lock:
                self._looking.pop(job.pk, None)
        try:
            self.start_due()
        except Exception:
            logger.exception("looking for the next job failed; the supervisor does it at its next tick")
            close_old_connections()

    def stop(self) -> None:
        with self._turn:
            self._stopped = True
        self._pool.shutdown(wait=False, cancel_futures=True)


def _look_safely(job: Job) -> None:
    close_old_connections()
    try:
        look(job)
    except Failure as failure:  # the connection's health says so; the next look is due by itself
        logger.info("could not look for job %s: %s", job.pk, failure.sentence)
    except Exception:
        logger.exception("looking for job %s failed", job.pk)
    finally:
        close_old_connections()


def look(job: Job) -> int:
    """Compare each watched branch with what was seen last; publish what moved. How many moved."""
    moved = 0
    for trigger in Trigger.objects.filter(job=job, event="Pushed").select_related("repository__connection"):
        refs = access.look(trigger.repository)
        tip = refs.refs.get(f"refs/heads/{trigger.ref}".encode(), "")
        if tip != trigger.seen_oid:
            moved += _note(trigger, tip)
    return moved


def _note(trigger: Trigger, tip: str) -> int:
    """Remember what was seen; the first look only remembers."""
    with transaction.atomic():
        seen = Trigger.objects.filter(pk=trigger.pk, seen_oid=trigger.seen_oid).update(seen_oid=tip)
        if not seen or not trigger.seen_oid:
            return 0
        publish(
            Pushed(
                repository_id=trigger.repository_id,
                heard=Run.Trigger.POLL.value,
                ref=f"refs/heads/{trigger.ref}",
                before=trigger.seen_oid,
                after=tip,
            )
        )
    return 1
