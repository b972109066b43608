"""The life of a lease: claim, renew, hand back, finish, reap. All times are the database's.

Every write after the claim carries the lease token: a worker that lost its lease changes nothing.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.db.models import Count, DateTimeField, Exists, ExpressionWrapper, F, OuterRef, Q, QuerySet
from django.db.models.expressions import Combinable
from django.db.models.functions import Now

from opssight.core.clock import db_now_value
from repos.models import DEAD_STATES, Connection
from syncs.engine.kinds import background_kinds
from syncs.engine.retry import MAX_CRASHES, crash_wait
from syncs.models import Run, RunState, Worker
from syncs.signals import run_finished


class LeaseLost(BaseException):
    """This worker no longer owns the run. Derives from BaseException: no handler may swallow it."""


def lease() -> dt.timedelta:
    return dt.timedelta(seconds=settings.LEASE_SECONDS)


def after(delta: dt.timedelta) -> Combinable:
    """The database's time, `delta` from now."""
    return ExpressionWrapper(Now() + delta, output_field=DateTimeField())


def paused() -> Q:
    """Runs whose connection has no credential that is accepted; what would find out is not held back."""
    return Q(connection__state__in=DEAD_STATES) & ~Q(kind__in=background_kinds())


def waits_for(connection: Connection) -> str:
    """Why a run of a connection that is dead does not start."""
    return f"waits until {connection.name} is connected again"


def claimable(lanes: Sequence[str]) -> QuerySet[Run]:
    """Queued runs that are due, not paused, and whose lock is free, in the order they should start."""
    same_lock = Run.objects.filter(state=RunState.RUNNING, lock_key=OuterRef("lock_key"))
    return (
        Run.objects.filter(state=RunState.QUEUED, lane__in=lanes, run_after__lte=Now())
        .filter(Q(lock_key="") | ~Exists(same_lock))
        .exclude(paused())
        .order_by("-priority", "run_after", "id")
    )


def claim(worker: Worker, lanes: Sequence[str]) -> Run | None:
    """Take the next due run with a fresh lease, or None when nothing is due.

    A team that has half of this worker's slots waits for the others; no slot stays empty for that.
    One transaction: on PostgreSQL the row is locked with SKIP LOCKED, on SQLite the transaction is
    IMMEDIATE. A second run of the same lock that slips in is refused by the unique index.
    """
    for _ in range(5):
        try:
            with transaction.atomic():
                due = claimable(lanes).select_for_update(skip_locked=True, of=("self",))
                full = _full_teams(worker)
                run = due.exclude(team__in=full).first() or (due.first() if full else None)
                return run and _take(run, worker)
        except IntegrityError:
            continue
    return None


def _full_teams(worker: Worker) -> list[uuid.UUID]:
    """Teams that use half of the worker's slots or more."""
    running = Run.objects.filter(worker=worker, state=RunState.RUNNING).values("team").order_by()
    share = max(worker.slots // 2, 1)
    return [row["team"] for row in running.annotate(used=Count("id")) if row["used"] >= share]


def _take(run: Run, worker: Worker) -> Run:
    Run.objects.filter(pk=run.pk).update(
        state=RunState.RUNNING,
        wait_reason="",
        worker=worker,
        lease_token=uuid.uuid4(),
        lease_until=after(lease()),
        beat_at=Now(),
        progress_at=Now(),
        progress_text="",
        progress_done=0,
        progress_total=None,
        started_at=Now(),
        attempt=F("attempt") + 1,
    )
    taken: Run = Run.objects.select_related("job", "version", "team").get(pk=run.pk)
    return taken


def owned(run: Run) -> QuerySet[Run]:
    """The run's row as long as this lease is the valid one."""
    return Run.objects.filter(pk=run.pk, state=RunState.RUNNING, lease_token=run.lease_token)


@contextmanager
def fenced(run: Run) -> Iterator[None]:
    """A transaction that only the owner of the lease can commit. Raises LeaseLost."""
    with transaction.atomic():
        if not owned(run).select_for_update(of=("self",)).exists():
            raise LeaseLost
        yield


def write(run: Run, **values: Any) -> None:
    """Change the owned run's row. Raises LeaseLost when it is no longer owned."""
    if not owned(run).update(**values):
        raise LeaseLost


def renew(run: Run, **values: Any) -> bool:
    """Extend the lease (and store progress); False when the lease is lost."""
    return bool(owned(run).update(lease_until=after(lease()), beat_at=Now(), **values))


def release(run: Run, state: RunState, **values: Any) -> None:
    """End the attempt: terminal, or back to `queued` with `run_after` and `wait_reason`."""
    ended: dict[str, Any] = {"finished_at": Now()} if state != RunState.QUEUED else {}
    if state == RunState.QUEUED:
        ended |= _join_queued(run)
    write(run, **{"state": state, "lease_token": None, "lease_until": None, **ended, **values})


def _join_queued(run: Run) -> dict[str, Any]:
    """Going back to the queue where another run of the same key already waits: drop the key.

    Both will run, one after the other; the second finds nothing left to do.
    """
    other = Run.objects.filter(state=RunState.QUEUED, coalesce_key=run.coalesce_key)
    return {"coalesce_key": ""} if run.coalesce_key and other.exists() else {}


def reap() -> list[Run]:
    """Give back runs whose lease ran out. Any number of supervisors may do this at once."""
    return _crashed(Q(lease_until__lt=Now()), "The worker stopped answering.")


def give_back(worker: Worker, *, crashed: bool) -> list[Run]:
    """Give back the runs of a worker whose processes are known to be gone."""
    mine = Q(worker=worker)
    if crashed:
        return _crashed(mine, "The worker process died.")
    returned = []
    for run in Run.objects.filter(mine, state=RunState.RUNNING):
        with transaction.atomic():
            if _lock_owned(run, mine):
                release(run, RunState.QUEUED, wait_reason="The worker was stopped.", attempt=F("attempt") - 1)
                returned.append(run)
    return returned


def _lock_owned(run: Run, condition: Q) -> bool:
    """Lock the run's row if it is still as it was read: its lease may have been renewed or lost since."""
    return owned(run).filter(condition).select_for_update(of=("self",)).exists()


def _crashed(condition: Q, why: str) -> list[Run]:
    reaped = []
    for run in Run.objects.filter(condition, state=RunState.RUNNING).select_related("team"):
        with transaction.atomic():
            if _lock_owned(run, condition):
                _count_crash(run, why)
                reaped.append(run)
    return reaped


def _count_crash(run: Run, why: str) -> None:
    """Back into the queue, or dead after the third time. A crash is counted by itself, not as an attempt."""
    crashes = run.crash_count + 1
    values: dict[str, Any] = {"crash_count": crashes, "worker": None, "attempt": F("attempt") - 1}
    if crashes < MAX_CRASHES:
        pause = after(dt.timedelta(seconds=crash_wait(crashes)))
        release(run, RunState.QUEUED, wait_reason=why, run_after=pause, **values)
        return
    values["sentence"] = (
        f"{why} It happened {crashes} times, so this run was given up. Look at the log, then retry."
    )
    release(run, RunState.DEAD, **values)
    run_finished.send(sender=Run, run=Run.objects.get(pk=run.pk))


def due_count(lanes: Sequence[str]) -> int:
    return claimable(lanes).count()


def db_now() -> dt.datetime:
    return db_now_value(connection)
