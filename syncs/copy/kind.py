"""The copy job: when files change here, change them there."""

from __future__ import annotations

import uuid
from typing import ClassVar

from syncs.copy.models import CopyRule
from syncs.copy.run import run_copy
from syncs.engine.context import RunContext
from syncs.engine.kinds import JobKind, Outcome
from syncs.models import Job


class Copy(JobKind):
    name: ClassVar[str] = "copy"
    label: ClassVar[str] = "Copy"
    summary: ClassVar[str] = "When files change here, change them there: by rules, as a commit."
    page: ClassVar[str] = "copy_rule"
    new_page: ClassVar[str] = "copy_new"
    job_noun: ClassVar[str] = "rule"
    item_noun: ClassVar[str] = "target"

    def connection_of(self, job: Job) -> uuid.UUID | None:
        """Of the source: without it there is nothing to copy."""
        rows = CopyRule.objects.filter(job=job)
        return rows.values_list("source__connection_id", flat=True).first()

    def execute(self, run: RunContext) -> Outcome:
        return run_copy(run)


KIND = Copy()
