"""From what a forge says about our pull requests to a look at them."""

from __future__ import annotations

from django.db.models.functions import Now

from repos.events import Event, PipelineChanged, PullRequestChanged, subscribe
from repos.providers.types import PullState
from syncs.copy.models import CopyState
from syncs.copy.runs.automerge import COALESCE, request_look
from syncs.models import Run, RunState


def connect() -> None:
    subscribe(answer, PullRequestChanged, PipelineChanged)


def answer(event: Event) -> None:
    """A pull request of ours that ended is looked at; checks that move bring forward a look that waits."""
    if isinstance(event, PullRequestChanged) and event.state != PullState.OPEN:
        _ended(event)
    elif isinstance(event, PipelineChanged) and event.oid:
        rows = CopyState.objects.filter(target__repository_id=event.repository_id, pushed_oid=event.oid)
        keys = [f"{job}/{COALESCE}" for job in rows.values_list("target__rule__job_id", flat=True)]
        waiting = Run.objects.filter(coalesce_key__in=keys, state=RunState.QUEUED)
        waiting.filter(run_after__gt=Now()).update(run_after=Now())


def _ended(event: PullRequestChanged) -> None:
    rows = CopyState.objects.filter(
        target__repository_id=event.repository_id,
        target__rule__job__enabled=True,
        pull_number=event.number,
    )
    heard = Run.Trigger(event.heard) if event.heard in Run.Trigger.values else Run.Trigger.WEBHOOK
    for row in rows.select_related("target__rule__job", "target__repository"):
        target = row.target
        request_look(
            target.rule.job,
            heard,
            f"pull request #{event.number} of {target.repository.full_name} is {event.state}",
            delivery_id=event.delivery_id,
        )
