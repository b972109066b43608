"""What happens beside the runs: sealing the audit log, sending notices, pruning, sweeping."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable

from django.conf import settings
from django.db import close_old_connections
from django.db.models import Model, QuerySet

from opssight.accounts.models import AccessToken
from opssight.audit.anchors import export_anchor
from opssight.audit.sealer import seal_new
from opssight.notices import outbox
from repos import access
from repos.models import DeliveryBody, Etag, RateSpend
from syncs.engine import queue
from syncs.engine.claim import after
from syncs.models import Run, RunLog, Worker

logger = logging.getLogger(__name__)

BATCH = 200  # rows per transaction: SQLite has one writer


class Chore(threading.Thread):
    """Something done again and again in a thread of its own, so that it never delays a run."""

    def __init__(self, name: str, every: float, work: Callable[[], object], stop: threading.Event) -> None:
        super().__init__(name=name, daemon=True)
        self._every = every  # seconds
        self._work = work
        self._stop_event = stop

    def run(self) -> None:
        while not self._stop_event.wait(self._every):
            try:
                self._work()
            except Exception:
                logger.exception("%s failed; it is tried again in %.0f s", self.name, self._every)
            close_old_connections()


_of_others: list[tuple[str, float, Callable[[], object]]] = []


def add_chore(name: str, every: float, work: Callable[[], object]) -> None:
    """Have every supervisor do `work` each `every` seconds; it must be safe beside itself elsewhere."""
    _of_others.append((name, every, work))


class Beside:
    """All chores of one supervisor. Every one is safe beside the same one elsewhere."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._chores = [
            Chore("seal", 1.0, seal_new, self._stop),
            Chore("anchor", 3_600.0, export_anchor, self._stop),
            Chore("notices", 1.0, outbox.deliver_due, self._stop),
            Chore("sweep", 600.0, sweep, self._stop),
            Chore("prune", 3_600.0, prune, self._stop),
            *(Chore(*chore, self._stop) for chore in _of_others),
        ]

    def start(self) -> None:
        for chore in self._chores:
            chore.start()

    def stop(self) -> None:
        """Give each a moment to finish; they are all safe to interrupt."""
        self._stop.set()
        for chore in self._chores:
            chore.join(timeout=2.0)


def prune() -> dict[str, int]:
    """Delete what is past its time: delivery bodies, run logs, runs, sent notices, workers long gone."""
    bodies = DeliveryBody.objects.filter(
        delivery__received_at__lt=after(-dt.timedelta(days=settings.DELIVERY_DAYS))
    )
    logs = RunLog.objects.filter(run__finished_at__lt=after(-dt.timedelta(days=settings.LOG_DAYS)))
    runs = Run.objects.filter(finished_at__lt=after(-dt.timedelta(days=settings.RUN_DAYS)))
    workers = Worker.objects.filter(beat_at__lt=after(-dt.timedelta(days=7)))
    alive = Worker.objects.filter(beat_at__gte=after(-dt.timedelta(hours=1)))
    queue.forget_bells_except(list(alive.values_list("pk", flat=True)))
    return {
        "delivery bodies": _delete(bodies),
        "log chunks": _delete(logs),
        "runs": _delete(runs),
        "notices": outbox.prune(settings.LOG_DAYS),
        "answers of providers": _delete(Etag.objects.filter(told_at__lt=after(-dt.timedelta(days=30)))),
        "spent requests": _delete(RateSpend.objects.filter(hour__lt=after(-dt.timedelta(hours=48)))),
        "workers": _delete(workers),
        "access tokens": _delete(AccessToken.objects.filter(expires_at__lt=after(-dt.timedelta(hours=1)))),
    }


def _delete(rows: QuerySet[Model]) -> int:
    deleted = 0
    while batch := list(rows.values_list("pk", flat=True)[:BATCH]):
        rows.model._default_manager.filter(pk__in=batch).delete()
        deleted += len(batch)
    return deleted


def sweep() -> None:
    """Remove what killed processes left in the git stores of this machine."""
    access.stores().sweep()
