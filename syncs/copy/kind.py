"""The copy job: when files change here, change them there."""

from __future__ import annotations

import uuid
from typing import ClassVar

from syncs.copy.models import CopyRule
from syncs.copy.rules.listening import tag_fits
from syncs.copy.runs import announcing, automerge
from syncs.copy.runs.run import run_copy
from syncs.copy.saved import leaving
from syncs.engine.context import RunContext
from syncs.engine.kinds import JobKind, Outcome
from syncs.models import Job, Run, Trigger


class Copy(JobKind):
    name: ClassVar[str] = "copy"
    label: ClassVar[str] = "Copy"
    summary: ClassVar[str] = "When files change here, change them there, in commits or pull requests."
    page: ClassVar[str] = "copy_rule"
    new_page: ClassVar[str] = "copy_new"
    job_noun: ClassVar[str] = "rule"
    item_noun: ClassVar[str] = "target"
    beside: ClassVar[tuple[str, ...]] = (leaving.LEFT, automerge.LOOK)
    notice_topics: ClassVar[tuple[tuple[str, str], ...]] = announcing.TOPICS

    def connection_of(self, job: Job) -> uuid.UUID | None:
        """Of the source: without it there is nothing to copy."""
        rows = CopyRule.objects.filter(job=job)
        return rows.values_list("source__connection_id", flat=True).first()

    def last_run(self, job: Job) -> Run | None:
        """It closes the pull requests of the rule."""
        return leaving.last_run(job)

    def outlives_job(self, run: Run) -> bool:
        return leaving.LEFT in run.input

    def takes_tag(self, trigger: Trigger, name: str) -> bool:
        """By the glob that follows `refs/tags/`."""
        return tag_fits(trigger.ref.removeprefix("refs/tags/"), name)

    def notice_fields(self, run: Run) -> list[tuple[str, str]]:
        return announcing.fields_of(run)

    def announce(self, run: Run) -> int:
        return announcing.announce(run)

    def execute(self, run: RunContext) -> Outcome:
        return run_copy(run)


KIND = Copy()
