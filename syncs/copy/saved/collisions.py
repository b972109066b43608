"""Rules that write different content to the same path: found while a rule is saved.

Within one configuration, and against the other rules that write to the same branch. Only what this machine
holds of the sources is looked at; nothing here waits for the network.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from opssight.accounts.scope import Principal, visible_to
from opssight.core.errors import Failure, InvalidInput
from repos import access
from syncs.copy.models import CopyTarget
from syncs.copy.plan.contents import applying
from syncs.copy.plan.planned import PlannedWrite
from syncs.copy.plan.wanted import Wanted
from syncs.copy.rules.config import CopyConfig, Flow
from syncs.copy.rules.file_config import Config, flows_of, read_version
from syncs.copy.rules.paths import shown
from syncs.copy.saved import ownership
from syncs.copy.transfer.making import Origin, placed
from syncs.models import Job

_NAMED = 10  # collisions; a hundred more would not help

Branch = tuple[str, str]  # id of a repository, and the name of the branch


@dataclass(frozen=True)
class _Wishes:
    """What some flows want of their source now, and who they are in words."""

    flows: Sequence[Flow]
    wanted: Wanted
    name: str

    def key(self, write: PlannedWrite) -> object:
        """Equal for equal content."""
        transforms = applying(self.flows[write.flow_index].options.transforms, write.path, write.mode)
        names = self.wanted.variables.get(write.path)
        source = write.source_path if names is not None else None
        return write.mode, write.oid, transforms, names, source


def collisions(principal: Principal, config: Config, job: Job | None = None) -> list[tuple[str, str]]:
    """Where in the configuration, and what collides. Repositories are ids; `job` is the rule that changes."""
    found: list[tuple[str, str]] = []
    for place, flows in _by_place(config).items():
        ours = _wishes(flows, "this rule")
        if ours is None:
            continue
        found += _within(config, ours)
        for theirs in _others(principal, place, job):
            found += _between(config, place, ours, theirs)
        if len(found) >= _NAMED:
            break
    return found[:_NAMED]


def in_the_way(target: CopyTarget, paths: Collection[bytes]) -> dict[bytes, str]:
    """Those of `paths` that another rule wrote to the same branch and still has a file for, with that rule in
    words. The names of other teams' rules are their own.
    """
    place = (str(target.repository_id), target.branch)
    # one that is not saved yet is of the team that it is looked at for
    team_id = target.rule.job.team_id if target.rule_id else target.repository.team_id
    found: dict[bytes, str] = {}
    for job, written in ownership.others_of(target, paths).items():
        wishes = _wishes_of(job, place, job.name)
        words = f"the rule “{job.name}”" if job.team_id == team_id else "a rule of another team"
        found |= {path: words for path in written if wishes and path in wishes.wanted.writes}
    return found


def _wishes_of(job: Job, place: Branch, name: str) -> _Wishes | None:
    """What a saved rule wants of the branch; None where it says nothing of it that can be read."""
    if job.version is None:
        return None
    try:
        flows = _by_place(read_version(job.version.config)).get(place)
    except InvalidInput:
        return None
    return _wishes(flows, name) if flows else None


def _by_place(config: Config) -> dict[Branch, list[Flow]]:
    """The flows that write to each branch, whichever way they arrive there."""
    places: dict[Branch, list[Flow]] = defaultdict(list)
    for flow in flows_of(config):
        places[flow.target_repo, flow.target_branch].append(flow)
    return places


def _wishes(flows: Sequence[Flow], name: str) -> _Wishes | None:
    """None where the source is not on this machine."""
    store = access.stores().store(uuid.UUID(flows[0].source_repo))
    try:
        head = store.resolve(f"refs/heads/{flows[0].source_branch}")
        return _Wishes(flows, placed(Origin.of(store, head), flows), name) if head else None
    except Failure:
        return None  # it is looked at again when the rule runs


def _within(config: Config, ours: _Wishes) -> Iterator[tuple[str, str]]:
    for path, (one, *more) in sorted(ours.wanted.rivals.items()):
        rival = next((write for write in more if _rule(write) != _rule(one)), None)
        if rival is not None:
            yield (
                _where(config, ours.flows, rival),
                f"Two rules write different content to {shown(path)}: it comes from {shown(one.source_path)} "
                f"and from {shown(rival.source_path)}. Change one of them so that only one does.",
            )


def _rule(write: PlannedWrite) -> tuple[int, int]:
    return write.flow_index, write.rule_index


def _between(config: Config, place: Branch, ours: _Wishes, theirs: _Wishes) -> Iterator[tuple[str, str]]:
    for path in sorted(ours.wanted.writes.keys() & theirs.wanted.writes.keys()):
        mine, other = ours.wanted.writes[path], theirs.wanted.writes[path]
        if ours.key(mine) != theirs.key(other):
            yield (
                _where(config, ours.flows, mine),
                f"{theirs.name} writes other content to {shown(path)} on {place[1]} as well. "
                "Change one of the two so that only one does.",
            )


def _where(config: Config, flows: Sequence[Flow], write: PlannedWrite) -> str:
    rule = f"rules[{write.rule_index}]"
    if isinstance(config, CopyConfig):
        return rule
    return f"flows[{config.flows.index(flows[write.flow_index])}].{rule}"


def _others(principal: Principal, place: Branch, job: Job | None) -> Iterator[_Wishes]:
    """What other rules that are switched on want of this branch."""
    rows = CopyTarget.objects.filter(repository_id=place[0], branch=place[1])
    rows = rows.filter(rule__job__enabled=True, rule__shadow=False).exclude(rule__job=job)
    jobs = {row.rule.job for row in rows.select_related("rule__job__version").order_by("pk")}
    seen = set(visible_to(Job.objects.filter(pk__in=[one.pk for one in jobs]), principal))
    for one in sorted(jobs, key=lambda one: str(one.pk)):
        name = f"The rule “{one.name}”" if one in seen else "A rule of another team"
        if wishes := _wishes_of(one, place, name):
            yield wishes
