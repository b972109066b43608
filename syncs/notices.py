"""Telling people how the runs of a job end, with the sentence that is shown everywhere."""

from __future__ import annotations

import logging

from django.db import transaction

from opssight.core.words import seconds
from opssight.notices import outbox
from opssight.notices.models import Severity
from syncs.engine.kinds import background_kinds, kind_named
from syncs.models import Run, RunState
from syncs.signals import run_finished

logger = logging.getLogger(__name__)

_SEVERITIES = {
    RunState.SUCCEEDED: Severity.INFO,
    RunState.PARTIAL: Severity.WARNING,
    RunState.NEEDS_APPROVAL: Severity.WARNING,
    RunState.FAILED: Severity.ERROR,
    RunState.DEAD: Severity.ERROR,
}


def connect() -> None:
    run_finished.connect(tell, dispatch_uid="notices")


def tell(sender: object, run: Run, **_: object) -> None:
    """Report the state that the job is in now; what somebody cancelled is no news. Never raises.

    What it did is announced whatever its end. What nobody made is told by what it looks after.
    """
    if run.kind in background_kinds():
        return
    for say in (_report, _announce):
        try:
            with transaction.atomic():
                say(run)
        except Exception:  # a notice must not keep a run from ending
            logger.exception("the end of run %s could not be told", run.pk)


def _announce(run: Run) -> None:
    kind_named(run.kind).announce(run)


def _report(run: Run) -> None:
    severity = _SEVERITIES.get(RunState(run.state))
    if severity is None:
        return
    outbox.report(
        team_id=run.team_id,
        topic=f"run.{run.kind}",
        subject=f"job:{run.job_id}" if run.job_id else f"run:{run.pk}",
        state=run.state,
        severity=severity,
        title=f"{run.title}: {run.get_state_display()}",
        sentence=run.sentence,
        url=f"/runs/{run.pk}/",
        fields=_fields(run),
    )


def _fields(run: Run) -> list[tuple[str, str]]:
    fields = [("Job", run.title), ("Because", run.because)]
    own = kind_named(run.kind).notice_fields(run)
    if not own and run.repository is not None:
        fields.append(("Repository", run.repository.full_name))
    if not own and run.started_at and run.finished_at:
        fields.append(("Took", seconds((run.finished_at - run.started_at).total_seconds())))
    return [*own, *((label, value) for label, value in fields if value)]
