"""What a job kind is to the engine, and how it is found by its name."""

from __future__ import annotations

import uuid
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings

from syncs.models import Job, Run, RunState, Trigger

if TYPE_CHECKING:
    from syncs.engine.context import RunContext


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its terminal state and the one sentence that is shown everywhere."""

    state: RunState
    sentence: str


class JobKind(ABC):
    """One kind of job. Its code is one folder; this class is what the engine calls."""

    name: ClassVar[str]
    label: ClassVar[str]
    summary: ClassVar[str]  # one line for pages and `job list`
    lane: ClassVar[str] = "std"
    page: ClassVar[str] = ""  # the name of the address of one job of this kind
    new_page: ClassVar[str] = ""  # the name of the address where one is made
    job_noun: ClassVar[str] = "job"  # what people call one
    item_noun: ClassVar[str] = "item"  # what a run works through one after the other
    # made by itself and about no repository in particular: what fails is told by what it looks after
    in_background: ClassVar[bool] = False

    # what happens each time and is told to who names it: topic, and what it is in words
    notice_topics: ClassVar[tuple[tuple[str, str], ...]] = ()

    # keys in the input of runs that do something else than the job's own work
    beside: ClassVar[tuple[str, ...]] = ()

    def connection_of(self, job: Job) -> uuid.UUID | None:
        """The connection that a run of this job needs before all others."""
        return None

    def last_run(self, job: Job) -> Run | None:
        """Ask for a run that tidies up after a job that is about to be deleted; it outlives the job.

        In the transaction of the deletion. None where there is nothing to do.
        """
        return None

    def outlives_job(self, run: Run) -> bool:
        """Whether a run has all that it needs in its input, so that it can be done without its job."""
        return False

    def takes_tag(self, trigger: Trigger, name: str) -> bool:
        """Whether a trigger with a pattern of tags is for the tag of this name."""
        return trigger.ref == f"refs/tags/{name}"

    def notice_fields(self, run: Run) -> list[tuple[str, str]]:
        """What a notice about the end of a run says beside its sentence: label and value, in order.

        Where there is nothing, it says which repository and how long it took.
        """
        return []

    def announce(self, run: Run) -> int:
        """Tell who asked for it (`notice_topics`) what the run did, in the transaction of its end.

        How many messages will be sent.
        """
        return 0

    @abstractmethod
    def execute(self, run: RunContext) -> Outcome:
        """Do the work of one run.

        Must be safe to start again from the beginning after a kill at any point: it finds by looking
        what was already done. Raises a `Failure` when nothing more can be done.
        """


@cache
def kind_named(name: str) -> JobKind:
    """The kind called `name`. KeyError when there is none."""
    module = import_module(f"{settings.JOB_KINDS[name]}.kind")
    kind: JobKind = module.KIND
    return kind


def installed_kind(name: str) -> JobKind | None:
    """The kind called `name`; None where it is not installed any more, as rows of it may stay."""
    return kind_named(name) if name in settings.JOB_KINDS else None


def all_kinds() -> list[JobKind]:
    return [kind_named(name) for name in settings.JOB_KINDS]


def background_kinds() -> list[str]:
    """Names of the kinds whose jobs nobody made."""
    return [kind.name for kind in all_kinds() if kind.in_background]
