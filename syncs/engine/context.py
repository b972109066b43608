"""What a job kind gets to work with: its run, a place to say what it does, and when to stop."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.db import close_old_connections, connection
from django.db.models.functions import Now

from opssight.core.errors import Failure
from repos.models import Repository
from syncs.engine import claim
from syncs.engine.progress import LogBuffer
from syncs.models import Item, ItemState, Run


class Cancelled(BaseException):
    """Somebody asked for the run to stop. Derives from BaseException: no handler may swallow it."""


class RunContext:
    """One attempt at a run. The job kind calls it from the worker's main thread only."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.log_lines = LogBuffer(run)
        self._lock = threading.Lock()
        self._progress: dict[str, Any] = {}
        self.moved_at = time.monotonic()  # when the run last showed that it gets on
        self.lost = threading.Event()
        self.cancelled = threading.Event()
        self.stats: dict[str, int] = dict(run.stats)

    # --- what the kind says -------------------------------------------------------------------

    def log(self, step: str, message: str, level: str = "info") -> None:
        self.log_lines.add(step, message, level)

    def progress(self, phase: str, done: int = 0, total: int | None = None, nbytes: int = 0) -> None:
        """How far it is; also what git calls while it transfers (the `Watch` of `repos.git`)."""
        self.moved_at = time.monotonic()
        with self._lock:
            self._progress = {
                "progress_text": phase[:200],
                "progress_done": done,
                "progress_total": total,
            }

    def count(self, what: str, n: int = 1) -> None:
        """Add to what the run cost: `fetches`, `pushes`, `bytes`, …"""
        self.stats[what] = self.stats.get(what, 0) + n

    def stopped(self) -> bool:
        """Asked by git while it runs: true kills it."""
        return self.lost.is_set() or self.cancelled.is_set()

    def raise_if_stopped(self) -> None:
        if self.lost.is_set():
            raise claim.LeaseLost
        if self.cancelled.is_set():
            raise Cancelled

    def checkpoint(self, name: str) -> None:
        """A named point between two steps: the run may be killed on either side of it at any time.

        Stores the name under the lease, so that nothing goes on after the lease was lost.
        """
        self.raise_if_stopped()
        self.moved_at = time.monotonic()
        claim.write(self.run, checkpoint=name, progress_at=Now(), stats=self.stats)
        self.raise_if_stopped()

    # --- items --------------------------------------------------------------------------------

    def item(self, key: str, label: str, repository: Repository | None = None) -> Item:
        """The item of this key, planned now or left over from an earlier attempt."""
        with claim.fenced(self.run):
            item, _ = Item.objects.get_or_create(
                run=self.run, key=key, defaults={"label": label, "repository": repository}
            )
        return item

    def start_item(self, item: Item) -> None:
        with claim.fenced(self.run):
            Item.objects.filter(pk=item.pk).update(started_at=Now(), state=ItemState.PLANNED)

    def plan_item(self, item: Item, planned: dict[str, int]) -> None:
        item.planned = planned
        with claim.fenced(self.run):
            Item.objects.filter(pk=item.pk).update(planned=planned)

    def note_item(self, item: Item, result: dict[str, Any]) -> None:
        """What is known of an item before it is worked on; it stays when the item fails."""
        item.result = result
        with claim.fenced(self.run):
            Item.objects.filter(pk=item.pk).update(result=result)

    @contextmanager
    def finish_item(
        self, item: Item, state: ItemState, sentence: str, *, code: str = "", result: dict[str, Any]
    ) -> Iterator[None]:
        """Record what was done, in one transaction with what the caller stores inside the block."""
        with claim.fenced(self.run):
            yield
            self._store_item(item, state, sentence, code=code, result=result)

    def fail_item(self, item: Item, failure: Failure, *, state: ItemState = ItemState.FAILED) -> None:
        with claim.fenced(self.run):
            self._store_item(
                item,
                state,
                failure.sentence,
                code=failure.code,
                error_class=failure.error_class.value,
                retryable=failure.retryable,
            )
        self.log(item.label, f"{failure.sentence} {failure.detail}".strip(), "error")

    def _store_item(self, item: Item, state: ItemState, sentence: str, **values: Any) -> None:
        fresh = {"error_class": "", "retryable": False, **values}
        for name, value in {"state": state, "sentence": sentence, **fresh}.items():
            setattr(item, name, value)
        Item.objects.filter(pk=item.pk).update(state=state, sentence=sentence, finished_at=Now(), **fresh)

    # --- for the beat -------------------------------------------------------------------------

    def take_progress(self) -> dict[str, Any]:
        with self._lock:
            values, self._progress = self._progress, {}
        return values


class Beat(threading.Thread):
    """Renews the lease from a thread with its own database connection, while the run gets on.

    The lease of a run that does not move (no bytes, no item, no checkpoint) is not renewed; one
    whose renewal changed no row, or could not be written for two thirds of the lease, is lost.
    Lost means: git is killed, and the process ends if the run does not stop by itself.
    """

    def __init__(self, context: RunContext) -> None:
        super().__init__(name=f"beat-{context.run.short_id}", daemon=True)
        self._context = context
        self._done = threading.Event()
        self._every = min(15.0, settings.LEASE_SECONDS / 4)

    def run(self) -> None:
        beaten = logged = time.monotonic()
        try:
            while not self._done.wait(min(1.0, self._every / 2)):
                now = time.monotonic()
                if now - self._context.moved_at > settings.STALL_SECONDS * 2:
                    self._context.log("run", "Nothing moved for too long; giving the run back.", "error")
                    return self._lose()
                if self._beat(renew=now - beaten >= self._every):
                    beaten = now
                elif now - beaten > settings.LEASE_SECONDS * 2 / 3:
                    return self._lose()
                if now - logged >= 2:
                    self._flush()
                    logged = now
        finally:
            connection.close()

    def _beat(self, *, renew: bool) -> bool:
        """Store progress, renew when due, look for a request to stop. True when renewed."""
        context = self._context
        progress = context.take_progress()
        try:
            if (renew or progress) and not claim.renew(context.run, **progress, **_moved(progress)):
                self._lose()
                return False
            if Run.objects.filter(pk=context.run.pk, cancel_requested_at__isnull=False).exists():
                context.cancelled.set()
        except Exception as error:  # noqa: BLE001 - any database trouble: try again until the lease is over
            context.log("run", f"Could not renew the lease: {error}", "warning")
            close_old_connections()
            return False
        return renew or bool(progress)

    def _flush(self) -> None:
        try:
            self._context.log_lines.flush()
        except Exception:  # noqa: BLE001 - the log must not cost the run its lease
            close_old_connections()

    def _lose(self) -> None:
        """Tell the run to stop; end the process when it does not: it must not come back to life later."""
        self._context.lost.set()
        if not self._done.wait(settings.LEASE_SECONDS / 3):
            os._exit(70)

    def stop(self) -> None:
        self._done.set()
        self.join()


def _moved(progress: dict[str, Any]) -> dict[str, Any]:
    return {"progress_at": Now()} if progress else {}
