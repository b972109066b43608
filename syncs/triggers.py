"""From what happened to a repository to the runs that answer it."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from typing import Any, Final

from django.db.models import QuerySet

from repos.events import Event, PullRequestChanged, Pushed, subscribe
from repos.models import Repository
from syncs.engine.kinds import kind_named
from syncs.engine.request import RunRequest, request_run
from syncs.models import Run, Trigger

HEADS: Final = "refs/heads/"
TAGS: Final = "refs/tags/"
PUSHED: Final = Pushed.__name__
PULL_REQUEST: Final = PullRequestChanged.__name__
_MERGES: Final = ("closed", "merge", "merged", "fulfilled")  # each forge has a word for it
_GONE: Final = "0"


def connect() -> None:
    subscribe(answer, Pushed, PullRequestChanged)


def answer(event: Event) -> None:
    """Ask for a run of each enabled job that waits for this event; runs already queued are shared."""
    if isinstance(event, PullRequestChanged):
        if is_merge(event.state, event.what):
            _merged(event)
    elif isinstance(event, Pushed):
        if event.ref.startswith(TAGS):
            _tagged(event)
        _pushed(event)


def is_merge(state: str, what: str) -> bool:
    """Whether a pull request was merged just now; one that was merged before may still be labelled."""
    return state == "merged" and what in _MERGES


def _pushed(event: Pushed) -> None:
    branch = event.ref.removeprefix(HEADS)
    for trigger, gather in _waiting(
        event.repository_id, branch, PUSHED, polled=event.heard == Run.Trigger.POLL
    ):
        _ask(event, trigger, f"a push to {_place(trigger.repository, branch)}", gather=gather)


def _merged(event: PullRequestChanged) -> None:
    for trigger, gather in _waiting(event.repository_id, event.base, PULL_REQUEST):
        place = _place(trigger.repository, event.base)
        because = f"pull request #{event.number} merged into {place}"
        _ask(event, trigger, because, gather=gather, input={"pull_request": event.number})


def _tagged(event: Pushed) -> None:
    if event.after and not event.after.strip(_GONE):
        return  # a tag that was deleted asks for nothing
    name = event.ref.removeprefix(TAGS)
    key = f"tag:{hashlib.sha256(name.encode(errors='replace')).hexdigest()[:32]}"
    for trigger in _triggers(event.repository_id).filter(event=PUSHED, ref__startswith=TAGS):
        if kind_named(trigger.job.kind).takes_tag(trigger, name):
            because = f"the tag {name} of {trigger.repository.full_name}"
            _ask(event, trigger, because, coalesce=key, input={"tag": name})


def _waiting(
    repository_id: uuid.UUID, branch: str, event: str, *, polled: bool = False
) -> Iterator[tuple[Trigger, bool]]:
    """Triggers of this event and branch, each with whether the other event of a merge will come as well.

    Looking finds that a branch moved, not what moved it: it counts as a merge for those who look.
    """
    refs = [""] if branch.startswith(TAGS) else ["", branch]  # with that beginning it is a glob of tags
    found = _triggers(repository_id).filter(event__in=[PUSHED, PULL_REQUEST], ref__in=refs)
    by_job: dict[uuid.UUID, dict[str, Trigger]] = {}
    for trigger in found:
        by_job.setdefault(trigger.job_id, {})[trigger.event] = trigger
    for triggers in by_job.values():
        if event in triggers:
            yield triggers[event], len(triggers) > 1 and not polled
        elif polled and triggers[PULL_REQUEST].job.poll_seconds is not None:
            yield triggers[PULL_REQUEST], False


def _triggers(repository_id: uuid.UUID) -> QuerySet[Trigger]:
    rows = Trigger.objects.filter(repository_id=repository_id, job__enabled=True).defer("seen_tags")
    return rows.select_related("job", "repository")


def _ask(
    event: Pushed | PullRequestChanged,
    trigger: Trigger,
    because: str,
    *,
    coalesce: str = "events",
    gather: bool = False,
    input: dict[str, Any] | None = None,
) -> None:
    by = f" by {event.by}" if event.by else ""
    request_run(
        RunRequest(
            job=trigger.job,
            trigger=_trigger_of(event),
            because=f"{because}{by}",
            input=input or {},
            coalesce=coalesce,
            gather=gather,
            delivery_id=event.delivery_id,
            repository=trigger.repository,
        )
    )


def _trigger_of(event: Event) -> Run.Trigger:
    return Run.Trigger(event.heard) if event.heard in Run.Trigger.values else Run.Trigger.WEBHOOK


def _place(repository: Repository, branch: str) -> str:
    return f"{repository.full_name} {branch}"
