"""Telling people how the runs of a job end, with the sentence that is shown everywhere."""

from __future__ import annotations

import logging

from django.db import transaction

from opssight.core.words import seconds
from opssight.notices import outbox
from opssight.notices.models import Severity
from syncs.engine.kinds import background_kinds
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

    What nobody made is told by what it looks after.
    """
    severity = _SEVERITIES.get(RunState(run.state))
    if severity is None or run.kind in background_kinds():
        return
    try:
        with transaction.atomic():
            outbox.report(
                team_id=run.team_id,
                topic=f"run.{run.kind}",
                subject=f"job:{run.job_id}" if run.job_id else f"run:{run.pk}",
                state=run.state,
                severity=severity,
                title=f"{run.title}: {run.get_state_display()}",
                sentence=run.sentence,
                url=f"/runs/{run.pk}/",
                fields=list(_fields(run).items()),
            )
    except Exception:  # a notice must not keep a run from ending
        logger.exception("the end of run %s could not be told", run.pk)


def _fields(run: Run) -> dict[str, str]:
    fields = {"Job": run.title, "Because": run.because}
    if run.repository is not None:
        fields["Repository"] = run.repository.full_name
    if run.started_at and run.finished_at:
        fields["Took"] = seconds((run.finished_at - run.started_at).total_seconds())
    return {label: value for label, value in fields.items() if value}
