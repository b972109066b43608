"""What is left behind when a target goes: a pull request, which a run of its own closes.

All that the run has to know stands in its input, so it outlives the target, the rule and the job.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final
from uuid import UUID

from django.db.models import Q
from django.db.models.functions import Now

from opssight.core.errors import InvalidInput
from syncs.copy.models import CopyRule, CopyState, CopyTarget
from syncs.copy.rules.file_config import flows_of, read_version
from syncs.engine.request import RunRequest, notify, request_run
from syncs.models import ItemState, Job, JobVersion, Run, RunState

LEFT: Final = "left"  # the key in the input of such a run
DELETED: Final = "its rule was deleted."

Place = tuple[str, str]  # id and branch of a target that gets pull requests
_UNFINISHED: Final = (RunState.QUEUED, RunState.PARTIAL, RunState.FAILED, RunState.DEAD)


@dataclass(frozen=True)
class Left:
    """A pull request from `head` to `base` of a repository, and whose rights count: the rule's author's.

    `head` is "" where no run has stored the branch: then it is looked for. `pushed` is our newest commit
    there, `number` that of the pull request, where they are known. `merges`: the rule wanted it merged by
    itself.
    """

    job: str
    repository: str
    base: str
    why: str
    head: str = ""
    pushed: str = ""
    number: int | None = None
    author: str = ""
    merges: bool = False

    @classmethod
    def of(
        cls, target: CopyTarget, version: JobVersion | None, why: str, merging: Collection[Place] = ()
    ) -> Left:
        state = CopyState.objects.filter(target=target).first() or CopyState()
        author = str(version.created_by_id or "") if version else ""
        place = (str(target.repository_id), target.branch)
        return cls(
            str(target.rule_id),
            *place,
            why,
            head=state.pull_branch,
            pushed=state.pushed_oid if state.pull_branch else "",
            number=state.pull_number,
            author=author,
            merges=place in merging,
        )


def merging_places(version: JobVersion | None) -> set[Place]:
    """Targets whose pull requests a version wants merged by themselves."""
    try:
        flows = flows_of(read_version(version.config)) if version else []
    except InvalidInput:  # one that an older release saved keeps no rule from being changed or deleted
        return set()
    proposing = {
        (flow.target_repo, flow.target_branch): flow.options.pull_request.auto_merge
        for flow in flows
        if flow.options.strategy == "pull_request"
    }
    return {place for place, merges in proposing.items() if merges}


def close_later(job: Job, left: Sequence[Left], because: str) -> Run | None:
    """Ask for the run that closes them; None where nothing is left.

    While the rule only looks, the run waits; what no run has stored is none of such a rule's then.
    """
    if is_shadow(job.pk):
        left = [one for one in left if one.head]
    return _ask(job, [asdict(one) for one in left], because) if left else None


def is_shadow(job: UUID | None) -> bool:
    """Whether the rule of the job with this id only looks; False where there is none any more."""
    return CopyRule.objects.filter(job=job, shadow=True).exists()


def wake(job: Job) -> None:
    """Let what waited for the rule to write again start now."""
    waiting = Run.objects.filter(job=job, state=RunState.QUEUED, input__has_key=LEFT)
    if waiting.update(run_after=Now(), wait_reason=""):
        notify()


def last_run(job: Job) -> Run | None:
    """The run that closes what a job leaves that is about to be deleted, and what it had left before."""
    targets = CopyTarget.objects.filter(rule__job=job, strategy="pull_request")
    targets = targets.filter(Q(rule__shadow=False) | Q(state__pull_branch__gt=""))
    merging = merging_places(job.version)
    left = [asdict(Left.of(target, job.version, DELETED, merging)) for target in targets]
    for earlier in Run.objects.filter(job=job, state__in=_UNFINISHED, children=None, input__has_key=LEFT):
        left += _unsettled(earlier)
    return _ask(job, left, "the deletion of the rule") if left else None


def _unsettled(run: Run) -> list[dict[str, Any]]:
    """What a run has not seen to, or could not; what was retried since is for the newer run to say."""
    settled = set(
        run.items.filter(state__in=[ItemState.DONE, ItemState.SKIPPED]).values_list("key", flat=True)
    )
    wanted = run.input.get("only")
    return [
        values
        for number, values in enumerate(run.input[LEFT])
        if str(number) not in settled and (wanted is None or str(number) in wanted)
    ]


def _ask(job: Job, left: list[dict[str, Any]], because: str) -> Run:
    return request_run(RunRequest(job=job, trigger=Run.Trigger.MANUAL, because=because, input={LEFT: left}))
