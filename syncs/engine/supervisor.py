"""The process that keeps everything going: rings, reaps, schedules, looks, seals, tells, tidies.

It never runs a job itself. It starts the django-q2 tree as a process of its own (exec, not fork: it
has threads and listens on a connection) and starts it again when any part of it dies. Any number
of supervisors may share one database; there is no leader.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

from django.conf import settings
from django.db import close_old_connections, connection, transaction
from django.db.models.functions import Now

from opssight.core.processes import name_process
from syncs.engine import claim, housekeeping, queue, schedule
from syncs.engine.poll import Poller
from syncs.engine.request import NOTIFY_CHANNEL
from syncs.models import Run, RunState, Worker

logger = logging.getLogger(__name__)

STOP_SECONDS = 20.0  # how long running runs may go on after a SIGTERM, before they are handed back
SLEPT_SECONDS = 30.0  # a tick this late means that the machine slept: leases get a full lease more
STUCK_SECONDS = 60.0  # due runs, idle slots, rung bells and no claim for this long: a deadlock


class Supervisor:
    """One per machine or container. `run()` returns when told to stop (SIGTERM, SIGINT)."""

    def __init__(self, lanes: Sequence[str], slots: int) -> None:
        self.worker = Worker.objects.create(
            host=socket.gethostname(), pid=os.getpid(), lanes=list(lanes), slots=slots
        )
        self._tree: subprocess.Popen[bytes] | None = None
        self._tree_started = 0.0
        self._failures = 0  # trees in a row that ended before they answered a bell
        self._answered = False
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._ticked = time.monotonic()
        self._reap_from = 0.0
        self._claimed_at = time.monotonic()
        self._poller = Poller()
        self._beside = housekeeping.Beside()

    def run(self) -> None:
        name_process("ops-supervisor")
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        signal.signal(signal.SIGCHLD, lambda *_: self._wake.set())  # the tree ended: look at once
        if connection.vendor == "postgresql":
            threading.Thread(target=self._listen, name="listen", daemon=True).start()
        logger.info(
            "worker %s starts: lanes %s, %d slots", self.worker.pk, self.worker.lanes, self.worker.slots
        )
        self._start_tree()
        self._beside.start()
        try:
            while not self._stop.is_set():
                self._tick()
                self._wake.wait(1.0)
                self._wake.clear()
        finally:
            self._shut_down()

    def _on_signal(self, *_: object) -> None:
        self._stop.set()
        self._wake.set()

    # --- one look around ----------------------------------------------------------------------

    def _tick(self) -> None:
        now = time.monotonic()
        if now - self._ticked > SLEPT_SECONDS:
            logger.warning(
                "no tick for %.0f s: leases get one more lease before they are reaped", now - self._ticked
            )
            self._reap_from = now + settings.LEASE_SECONDS
        self._ticked = now
        steps: list[Callable[[], object]] = [
            self._beat,
            self._mind_tree,
            schedule.fire_due,
            self._ring,
            self._poller.start_due,
        ]
        if now >= self._reap_from:
            steps.insert(2, self._reap)
        for step in steps:
            try:
                step()
            except Exception:
                logger.exception("%s failed; the next tick tries again", getattr(step, "__name__", step))
                close_old_connections()

    def _beat(self) -> None:
        Worker.objects.filter(pk=self.worker.pk).update(beat_at=Now())

    def _reap(self) -> None:
        for run in claim.reap():
            logger.warning("run %s: lease ran out (worker %s)", run.pk, run.worker_id)

    def _ring(self) -> None:
        """Ring for what is due, up to the idle slots, less the bells that were not answered yet."""
        busy = Run.objects.filter(worker=self.worker, state=RunState.RUNNING).count()
        idle = self.worker.slots - busy
        due = claim.due_count(self.worker.lanes)
        rung = queue.bells(self.worker.pk)
        self._answered = self._answered or not rung
        unanswered = max(rung - busy, 0)
        queue.ring(self.worker.pk, max(min(due, idle) - unanswered, 0))
        self._notice_deadlock(stuck=bool(due and idle > 0 and unanswered))

    def _notice_deadlock(self, *, stuck: bool) -> None:
        if not stuck:
            self._claimed_at = time.monotonic()
        elif time.monotonic() - self._claimed_at > STUCK_SECONDS and self._tree is not None:
            logger.error(
                "due runs and idle slots, but no claim for %.0f s: the tree is restarted", STUCK_SECONDS
            )
            self._claimed_at = time.monotonic()
            _kill_group(self._tree.pid)

    # --- the tree -----------------------------------------------------------------------------

    def _start_tree(self) -> None:
        self._answered = False
        queue.ring(self.worker.pk, 1)  # answering it shows that the tree got to work
        environ = {
            **os.environ,
            "Q_CLUSTER_NAME": self.worker.pk.hex,
            "OPSSIGHT_WORKERS": str(self.worker.slots),
            "PYTHONPATH": os.pathsep.join([str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")]),
        }
        self._tree = subprocess.Popen(
            [sys.executable, "-m", "opssight", "worker", "--tree", "--parent", str(os.getpid())],
            env=environ,
            start_new_session=True,
            stdin=subprocess.DEVNULL,
        )
        self._tree_started = time.monotonic()

    def _mind_tree(self) -> None:
        """Start the tree again when it ended; its runs go back to the queue at once."""
        if self._tree is None or self._tree.poll() is None:
            return
        lived = time.monotonic() - self._tree_started
        pause = min(0.2 * 2**self._failures, 10.0)
        if lived < pause:
            return
        logger.error(
            "the worker tree ended (status %s) after %.1f s; starting it again", self._tree.returncode, lived
        )
        _kill_group(self._tree.pid)
        with transaction.atomic():
            queue.forget_bells(self.worker.pk)
        worked = claim.give_back(self.worker, crashed=True) or self._answered
        # one that got to work was killed; one that did not will probably end again
        self._failures = 0 if worked else self._failures + 1
        self._start_tree()

    def _shut_down(self) -> None:
        """Stop claiming, let what runs finish for a while, hand the rest back."""
        Worker.objects.filter(pk=self.worker.pk).update(stopped_at=Now())
        self._poller.stop()
        self._beside.stop()
        if self._tree is not None:
            self._tree.terminate()
            try:
                self._tree.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                logger.warning("still running after %s s; handing the runs back", STOP_SECONDS)
            _kill_group(self._tree.pid)
            self._tree.wait()
        claim.give_back(self.worker, crashed=False)
        queue.forget_bells(self.worker.pk)
        logger.info("worker %s stopped", self.worker.pk)

    # --- PostgreSQL tells us ------------------------------------------------------------------

    def _listen(self) -> None:
        while not self._stop.is_set():
            try:
                with connection.cursor() as cursor:
                    cursor.execute(f"LISTEN {NOTIFY_CHANNEL}")
                raw = connection.connection
                while not self._stop.is_set():
                    for _ in raw.notifies(timeout=5.0, stop_after=1):
                        self._wake.set()
            except Exception:  # noqa: BLE001 - the loop looks each second anyway
                logger.warning("listening was interrupted; looking each second meanwhile")
                connection.close()
                self._stop.wait(5.0)


def _kill_group(pgid: int) -> None:
    """SIGKILL to every process of the tree's group that is left."""
    try:
        os.killpg(pgid, signal.SIGKILL)
    except ProcessLookupError:
        return
