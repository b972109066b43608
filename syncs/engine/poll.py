"""Looking where no webhook reaches us: one `ls-remote` per job, repository and interval."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
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
from repos.events import PullRequestChanged, Pushed, publish
from repos.git.types import RemoteRefs
from repos.models import DEAD_STATES
from syncs.engine.kinds import kind_named
from syncs.models import Job, Run, Trigger

logger = logging.getLogger(__name__)

_TAGS = "refs/tags/"
_MOST_TAGS = 50  # that one look starts runs for


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
    """Compare the watched branches and tags with what was seen last; publish what moved. How many moved."""
    moved = 0
    seen: dict[uuid.UUID, RemoteRefs] = {}
    for trigger in _watched(job):
        refs = seen.get(trigger.repository_id) or access.look(trigger.repository)
        seen[trigger.repository_id] = refs
        if trigger.ref.startswith(_TAGS):
            moved += _look_at_tags(trigger, refs)
            continue
        tip = refs.refs.get(f"refs/heads/{trigger.ref}".encode(), "")
        if tip != trigger.seen_oid:
            moved += _note(trigger, tip)
    return moved


def _watched(job: Job) -> list[Trigger]:
    """Triggers to look for; a branch is looked at once, whether a push or a merge is waited for."""
    rows = Trigger.objects.filter(job=job, event__in=[Pushed.__name__, PullRequestChanged.__name__])
    found: dict[tuple[uuid.UUID, str], Trigger] = {}
    for trigger in rows.select_related("job", "repository__connection").order_by("-event"):
        found.setdefault((trigger.repository_id, trigger.ref), trigger)
    return list(found.values())


def _look_at_tags(trigger: Trigger, refs: RemoteRefs) -> int:
    """Tags that are new or point elsewhere. What is more than a look may start comes at the next one."""
    kind = kind_named(trigger.job.kind)
    named = {name: oid for ref, oid in refs.refs.items() if (name := _tag_name(ref))}
    tags = {name: oid for name, oid in named.items() if kind.takes_tag(trigger, name)}
    known: dict[str, str] = trigger.seen_tags
    moved = sorted(name for name, oid in tags.items() if known.get(name) != oid)
    later = set(moved[_MOST_TAGS:]) if trigger.seen_oid else set()
    now = {name: oid for name, oid in tags.items() if name not in later}
    now |= {name: known[name] for name in later if name in known}
    if now == known and trigger.seen_oid:
        return 0
    return _note_tags(trigger, now, moved[:_MOST_TAGS])


def _tag_name(ref: bytes) -> str:
    """The name of a tag; "" for another ref, and for one that is not text: nothing here could name it."""
    try:
        return ref.decode().removeprefix(_TAGS) if ref.startswith(_TAGS.encode()) else ""
    except UnicodeDecodeError:
        return ""


def _note_tags(trigger: Trigger, tags: dict[str, str], moved: list[str]) -> int:
    """Remember the tags; the first look only remembers."""
    digest = hashlib.sha256(json.dumps(tags, sort_keys=True).encode()).hexdigest()
    with transaction.atomic():
        rows = Trigger.objects.filter(pk=trigger.pk, seen_oid=trigger.seen_oid)
        if not rows.update(seen_oid=digest, seen_tags=tags) or not trigger.seen_oid:
            return 0
        for name in moved:
            _publish(trigger, f"{_TAGS}{name}", trigger.seen_tags.get(name, ""), tags[name])
    return len(moved)


def _note(trigger: Trigger, tip: str) -> int:
    """Remember what was seen; the first look only remembers."""
    with transaction.atomic():
        seen = Trigger.objects.filter(pk=trigger.pk, seen_oid=trigger.seen_oid).update(seen_oid=tip)
        if not seen or not trigger.seen_oid:
            return 0
        _publish(trigger, f"refs/heads/{trigger.ref}", trigger.seen_oid, tip)
    return 1


def _publish(trigger: Trigger, ref: str, before: str, after: str) -> None:
    publish(
        Pushed(
            repository_id=trigger.repository_id,
            heard=Run.Trigger.POLL.value,
            ref=ref,
            before=before,
            after=after,
        )
    )
