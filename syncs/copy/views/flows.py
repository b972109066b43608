"""The flows of a rule that is made from a file, as rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from syncs.copy.models import CopyState, CopyTarget
from syncs.copy.rules.config import Flow, by_target
from syncs.copy.rules.file_config import flows_of, read_version
from syncs.copy.saved.status import standings_of
from syncs.models import Job


@dataclass(frozen=True)
class FlowRow:
    """What leads to one target in one way. `state` is a key of STATES; `pull`: a pull request is open."""

    target: CopyTarget
    flows: Sequence[Flow]
    state: str
    pull: CopyState | None

    @property
    def rules(self) -> int:
        return sum(len(flow.rules) for flow in self.flows)

    @property
    def deletions(self) -> str:
        words = {"record": "on a list", "delete": "deleted there"}
        return words.get(self.flows[-1].options.deletions.policy, "stay there")


def flow_rows(job: Job) -> list[FlowRow]:
    """One row for each target and strategy, in the order of the file. Five queries at most."""
    if job.version is None:
        return []
    rows = CopyTarget.objects.filter(rule=job.pk).select_related(
        "repository__connection", "state", "rule__source", "rule__job"
    )
    targets = {(str(row.repository_id), row.branch, row.strategy): row for row in rows}
    states = standings_of(list(targets.values()))
    found = []
    for group in by_target(flows_of(read_version(job.version.config))):
        flow = group[-1]
        target = targets.get((flow.target_repo, flow.target_branch, flow.options.strategy))
        if target is not None:
            state = getattr(target, "state", None)
            pull = state if state is not None and state.pull_branch else None
            found.append(FlowRow(target, group, states[target.pk], pull))
    return found
