"""From what happened to a repository to the runs that answer it."""

from __future__ import annotations

from repos.events import Event, Pushed, subscribe
from repos.models import Repository
from syncs.engine.request import RunRequest, request_run
from syncs.models import Run, Trigger

_HEADS = "refs/heads/"


def connect() -> None:
    subscribe(answer, Pushed)


def answer(event: Event) -> None:
    """Ask for a run of each enabled job that waits for this event; runs already queued are shared."""
    if not isinstance(event, Pushed):
        return
    branch = event.ref.removeprefix(_HEADS)
    waiting = Trigger.objects.filter(
        repository_id=event.repository_id, event=event.name, ref__in=["", branch], job__enabled=True
    ).select_related("job", "repository")
    for trigger in waiting:
        request_run(
            RunRequest(
                job=trigger.job,
                trigger=_trigger_of(event),
                because=_because(event, trigger.repository, branch),
                coalesce="events",
                delivery_id=event.delivery_id,
                repository=trigger.repository,
            )
        )


def _trigger_of(event: Event) -> Run.Trigger:
    return Run.Trigger(event.heard) if event.heard in Run.Trigger.values else Run.Trigger.WEBHOOK


def _because(event: Pushed, repository: Repository, branch: str) -> str:
    who = f" by {event.by}" if event.by else ""
    return f"a push to {repository.full_name} {branch}{who}"
