"""Executes one claimed run: calls its kind, and turns how that ended into the run's next state."""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from django.conf import settings

from opssight.core.errors import BlockedByOrganization, ErrorClass, Failure, TransientFailure
from opssight.core.logs import bind
from opssight.core.redact import redact
from repos.git.runner import Stopped
from repos.models import DEAD_STATES, Connection
from repos.spending import flush, spending_as
from syncs.engine import claim
from syncs.engine.context import Beat, Cancelled, RunContext
from syncs.engine.kinds import Outcome, kind_named
from syncs.engine.retry import Wait, wait_for
from syncs.models import ItemState, Run, RunState
from syncs.signals import run_finished

logger = logging.getLogger(__name__)


class TryAgain(Exception):
    """Raised by a kind when some items failed in a way that may pass; the rest is done."""

    def __init__(self, failure: Failure, summary: str) -> None:
        super().__init__(summary)
        self.failure = failure
        self.summary = summary


def execute(run: Run) -> None:
    """Run it to its end or back into the queue. Raises nothing; a lost lease leaves the row alone."""
    context = RunContext(run)
    beat = Beat(context)
    with bind(run_id=str(run.pk)):
        context.log(
            "run", f"claimed by {run.worker}, attempt {run.attempt}, lease {settings.LEASE_SECONDS} s"
        )
        beat.start()
        try:
            with spending_as(run.kind):
                _attempt(context, beat)
        except claim.LeaseLost:
            logger.warning("lost the lease of run %s; another worker has it", run.pk)
        finally:
            beat.stop()
            flush()


def _attempt(context: RunContext, beat: Beat) -> None:
    try:
        outcome = kind_named(context.run.kind).execute(context)
    except Cancelled:
        _end(context, beat, _cancelled(context))
    except Stopped:  # git was killed because of one of the two above
        if context.lost.is_set():
            raise claim.LeaseLost from None
        _end(context, beat, _cancelled(context))
    except TryAgain as again:
        _again_or(context, beat, again.failure, RunState.PARTIAL)
    except Failure as failure:
        _again_or(context, beat, failure, RunState.FAILED)
    except Exception as error:
        logger.exception("run %s failed in a way nobody foresaw", context.run.pk)
        context.log("run", f"{type(error).__name__}: {error}", "error")
        _again_or(context, beat, _unforeseen(error), RunState.FAILED)
    else:
        _end(context, beat, outcome)


def _unforeseen(error: Exception) -> Failure:
    return TransientFailure(
        f"Something went wrong that should not ({type(error).__name__}). The log has the details; "
        "it is tried again."
    )


def _again_or(context: RunContext, beat: Beat, failure: Failure, last: RunState) -> None:
    """Back into the queue when waiting can help, else the end in state `last`."""
    if reason := _pause_of(context.run, failure):
        return _pause(context, beat, reason)
    wait = wait_for(failure, context.run.attempt, claim.db_now())
    if wait is None:
        return _end(context, beat, _failed(context, failure, last), failure.error_class)
    context.log("run", wait.reason, "warning")
    beat.stop()
    context.log_lines.flush()
    claim.release(context.run, RunState.QUEUED, **_waiting(context, wait))
    return None


def _pause_of(run: Run, failure: Failure) -> str:
    """What the run waits for when it failed because its connection died; "" when it did not."""
    refused = failure.error_class is ErrorClass.AUTH or isinstance(failure, BlockedByOrganization)
    if not refused or run.connection_id is None or kind_named(run.kind).in_background:
        return ""
    connection = Connection.objects.filter(pk=run.connection_id, state__in=DEAD_STATES).first()
    return claim.waits_for(connection) if connection is not None else ""


def _pause(context: RunContext, beat: Beat, reason: str) -> None:
    """Back into the queue, where nobody claims it before the connection works; this was no attempt."""
    context.log("run", f"{reason[:1].upper()}{reason[1:]}.", "warning")
    beat.stop()
    context.log_lines.flush()
    attempt = context.run.attempt - 1
    claim.release(
        context.run, RunState.QUEUED, wait_reason=reason[:300], stats=context.stats, attempt=attempt
    )


def _waiting(context: RunContext, wait: Wait) -> dict[str, Any]:
    values: dict[str, Any] = {
        "run_after": claim.after(dt.timedelta(seconds=wait.seconds)),
        "wait_reason": wait.reason[:300],
        "stats": context.stats,
    }
    if not wait.counts:
        values["attempt"] = context.run.attempt - 1
    return values


def _failed(context: RunContext, failure: Failure, state: RunState) -> Outcome:
    return Outcome(state, redact(failure.sentence))


def _cancelled(context: RunContext) -> Outcome:
    items = context.run.items
    done = items.filter(state__in=[ItemState.DONE, ItemState.SKIPPED]).count()
    total = items.count()
    by = context.run.cancel_by or Run.objects.values_list("cancel_by", flat=True).get(pk=context.run.pk)
    who = f"Cancelled by {by}" if by else "Cancelled"
    return Outcome(RunState.CANCELLED, f"{who} after {done} of {total}." if total else f"{who}.")


def _end(context: RunContext, beat: Beat, outcome: Outcome, error_class: ErrorClass | None = None) -> None:
    beat.stop()
    context.log("run", outcome.sentence, "info" if outcome.state == RunState.SUCCEEDED else "warning")
    context.log_lines.flush()
    with claim.fenced(context.run):
        claim.release(
            context.run,
            outcome.state,
            sentence=outcome.sentence,
            error_class=error_class or "",
            stats=context.stats,
            progress_text="",
        )
        run_finished.send(sender=Run, run=Run.objects.get(pk=context.run.pk))
