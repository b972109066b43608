"""The watch job: a connection is kept known, its health, its repositories and its webhooks."""

from __future__ import annotations

import uuid
from typing import ClassVar

from syncs.engine.context import RunContext
from syncs.engine.kinds import JobKind, Outcome
from syncs.models import Job
from syncs.watch.models import WatchJob
from syncs.watch.run import run_watch


class Watch(JobKind):
    name: ClassVar[str] = "watch"
    label: ClassVar[str] = "Watch"
    summary: ClassVar[str] = "Each night: health, repositories and webhooks of a connection."
    page: ClassVar[str] = "watch_job"
    job_noun: ClassVar[str] = "connection"
    item_noun: ClassVar[str] = "step"
    in_background: ClassVar[bool] = True

    def connection_of(self, job: Job) -> uuid.UUID | None:
        watch = WatchJob.objects.filter(job=job).first()
        return watch.connection_id if watch else None

    def execute(self, run: RunContext) -> Outcome:
        return run_watch(run)


KIND = Watch()
