"""The doorbell: the only place that knows django-q2.

Each supervisor has a queue of its own (named by its worker id) and rings only its own tree, so a
bell carries nothing: it says "look", and looking is claiming. A lost or doubled bell changes
nothing. What must happen is in the run rows.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from multiprocessing import Process
from typing import Any

from django.db import connections
from django_q import cluster
from django_q.brokers import get_broker
from django_q.models import OrmQ
from django_q.tasks import async_task

from opssight.core.processes import die_with_parent, name_process
from syncs.engine import claim, runner
from syncs.models import Worker

DRAIN_SECONDS = 25.0
PATCHED = ("worker", "pusher", "monitor")  # names in django_q.cluster that `run_tree` replaces


def ring(worker_id: uuid.UUID, times: int) -> None:
    """Wake up to `times` idle slots of this worker's tree."""
    for _ in range(times):
        async_task("syncs.engine.queue.drain", str(worker_id), cluster=worker_id.hex)


def bells(worker_id: uuid.UUID) -> int:
    """Bells of this worker that were rung and not yet answered to the end."""
    return int(OrmQ.objects.filter(key=worker_id.hex).count())


def forget_bells(worker_id: uuid.UUID) -> None:
    """Drop the bells of a tree that is gone."""
    get_broker(worker_id.hex).purge_queue()


def forget_bells_except(worker_ids: Sequence[uuid.UUID]) -> None:
    """Drop the bells of all other workers: of those that were killed and never came back."""
    OrmQ.objects.exclude(key__in=[worker_id.hex for worker_id in worker_ids]).delete()


def drain(worker_id: str) -> int:
    """Claim and execute runs until nothing is due or 25 s are over. Called by a bell; never raises."""
    worker = Worker.objects.get(pk=uuid.UUID(worker_id))
    started = time.monotonic()
    done = 0
    while time.monotonic() - started < DRAIN_SECONDS and not _told_to_stop(worker):
        run = claim.claim(worker, worker.lanes)
        if run is None:
            break
        runner.execute(run)
        done += 1
    return done


def _told_to_stop(worker: Worker) -> bool:
    return Worker.objects.filter(pk=worker.pk, stopped_at__isnull=False).exists()


def run_tree() -> None:
    """Be the django-q2 process tree of the worker named by Q_CLUSTER_NAME, until told to stop (SIGTERM).

    A plain cluster hangs or leaves orphans when one of its processes is killed, so here it fails as
    one: each process dies with its parent, and the sudden death of any child ends the whole group.
    The supervisor then starts a new tree.
    """
    name_process("ops-tree")
    for name in PATCHED:
        setattr(cluster, name, _dying_with_parent(name, getattr(cluster, name)))
    sentinel = cluster.Sentinel
    cluster.Sentinel = _dying_with_parent("sentinel", sentinel)
    sentinel.reincarnate = _reincarnate_or_fail(sentinel.reincarnate)
    connections.close_all()
    tree = cluster.Cluster()
    tree.start()
    tree.sentinel.join()
    sys.exit(0 if tree.sentinel.exitcode == 0 else 1)


def _dying_with_parent(role: str, target: Callable[..., Any]) -> Callable[..., Any]:
    def child(*args: Any, **kwargs: Any) -> Any:
        die_with_parent()
        name_process(f"ops-{role}")
        return target(*args, **kwargs)

    return child


def _reincarnate_or_fail(original: Callable[[Any, Process], None]) -> Callable[[Any, Process], None]:
    def reincarnate(self: Any, process: Process) -> None:
        if process.exitcode is not None and process.exitcode < 0:
            # killed: it may have died holding a lock of the shared queue, which nobody frees
            os.killpg(0, signal.SIGKILL)
        original(self, process)

    return reincarnate
