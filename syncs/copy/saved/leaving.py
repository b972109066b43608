"""What is left behind when a target goes: a pull request, which a run of its own closes.

All that the run has to know stands in its input, so it outlives the target, the rule and the job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from syncs.copy.models import CopyRule, CopyState, CopyTarget
from syncs.engine.request import RunRequest, request_run
from syncs.models import Job, JobVersion, Run, RunState

LEFT: Final = "left"  # the key in the input of such a run
DELETED: Final = "its rule was deleted."


@dataclass(frozen=True)
class Left:
    """A pull request from `head` to `base` of a repository, and whose rights count: the rule's author's.

    `head` is "" where no run has stored the branch: then its name follows from the rule. `pushed` is our
    newest commit there, `number` that of the pull request, where they are known.
    """

    job: str
    repository: str
    base: str
    why: str
    head: str = ""
    pushed: str = ""
    number: int | None = None
    author: str = ""

    @classmethod
    def of(cls, target: CopyTarget, version: JobVersion | None, why: str) -> Left:
        state = CopyState.objects.filter(target=target).first() or CopyState()
        author = str(version.created_by_id or "") if version else ""
        known = (state.pull_branch, state.pushed_oid if state.pull_branch else "", state.pull_number)
        return cls(str(target.rule_id), str(target.repository_id), target.branch, why, *known, author)


def close_later(job: Job, left: Sequence[Left], because: str) -> Run | None:
    """Ask for the run that closes them; none where nothing is left, or the rule only looks."""
    if not left or CopyRule.objects.filter(job=job, shadow=True).exists():
        return None
    return _ask(job, [asdict(one) for one in left], because)


def last_run(job: Job) -> Run | None:
    """The run that closes what a job leaves that is about to be deleted, and what it had left before."""
    targets = CopyTarget.objects.filter(rule__job=job, rule__shadow=False, strategy="pull_request")
    left = [asdict(Left.of(target, job.version, DELETED)) for target in targets]
    for earlier in Run.objects.filter(job=job, state=RunState.QUEUED, input__has_key=LEFT):
        left += earlier.input[LEFT]
    return _ask(job, left, "the deletion of the rule") if left else None


def _ask(job: Job, left: list[dict[str, Any]], because: str) -> Run:
    return request_run(RunRequest(job=job, trigger=Run.Trigger.MANUAL, because=because, input={LEFT: left}))
