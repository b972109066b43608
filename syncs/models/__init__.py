"""What happens to repositories: jobs, runs and what a run did."""

from __future__ import annotations

from syncs.models.job import Job, JobVersion, Trigger
from syncs.models.run import BAD_ITEMS, Item, ItemState, Run, RunCause, RunLog, RunState, Worker

__all__ = [
    "BAD_ITEMS",
    "Item",
    "ItemState",
    "Job",
    "JobVersion",
    "Run",
    "RunCause",
    "RunLog",
    "RunState",
    "Trigger",
    "Worker",
]
