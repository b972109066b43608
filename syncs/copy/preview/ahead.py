"""What a saved rule would do at each target: of the newest commit, of another one, or of a pull request.

The plan is the one that a run makes, with the same memory. Reads this machine's stores only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from opssight.accounts.scope import Principal, visible_to
from opssight.core.errors import Conflict, Failure, PermanentFailure
from repos import access, warm
from repos.git.errors import TooLarge
from repos.models import Repository
from syncs.copy.models import CopyRule, CopyState, CopyTarget
from syncs.copy.plan.linediff import unified
from syncs.copy.plan.plan import Plan, PlannedWrite
from syncs.copy.preview.moment import Moment, moment, origin_at
from syncs.copy.preview.preview import MAX_DIFF_BYTES, FileDiff
from syncs.copy.rules.config import CopyConfig, Flow, by_target
from syncs.copy.rules.file_config import FileConfig, flows_of, read_version
from syncs.copy.saved import ownership
from syncs.copy.saved.collisions import in_the_way
from syncs.copy.transfer.planning import FilePlanner, Place, largest_file, look
from syncs.models import Job

NOT_SEEN: Final = "This repository is not visible to you."


@dataclass(frozen=True)
class TargetAhead:
    """One target. `plan` is None while it is fetched, or where `sentence` says why there is none.

    `base`: the commit that the target holds; the plan is about what changed since. None: about all of it.
    """

    target: CopyTarget
    flows: tuple[Flow, ...]
    plan: Plan | None = None
    base: str | None = None
    state: CopyState | None = None
    fetching: bool = False
    empty: bool = False
    sentence: str = ""
    made: Any = field(default=None, compare=False)  # what makes the contents of the plan

    @property
    def rules(self) -> int:
        return sum(len(flow.rules) for flow in self.flows)

    @property
    def added(self) -> int:
        return sum(1 for write in self.plan.writes if write.action == "add") if self.plan else 0

    @property
    def changed(self) -> int:
        return len(self.plan.writes) - self.added if self.plan else 0

    @property
    def removed(self) -> int:
        return len(self.plan.deletes) if self.plan else 0


@dataclass(frozen=True)
class Ahead:
    rule: CopyRule
    moment: Moment
    targets: Sequence[TargetAhead] = ()

    @property
    def fetching(self) -> bool:
        return self.moment.fetching or any(target.fetching for target in self.targets)


def ahead(
    principal: Principal, job: Job, at: str = "", pull: str = "", *, whole: bool = False, only: str = ""
) -> Ahead:
    """The plan of the live version for each target, or for the one whose id is `only`.

    `whole` compares all files, not only those that changed since the last copy.
    """
    rule = CopyRule.objects.select_related("source__connection").get(job=job)
    seen = visible_to(Repository.objects.all(), principal)
    if not seen.filter(pk=rule.source_id).exists():
        return Ahead(rule, Moment(sentence=NOT_SEEN))
    found = moment(rule.source, rule.source_branch, at, pull)
    if not found.oid or job.version is None:
        return Ahead(rule, found)
    rows = rule.targets.select_related("repository__connection", "state").order_by("pk")
    by_place = {(str(row.repository_id), row.branch, row.strategy): row for row in rows}
    visible = set(seen.filter(pk__in=[row.repository_id for row in rows]).values_list("pk", flat=True))
    targets = []
    for group in by_target(flows_of(read_version(job.version.config))):
        flow = group[-1]
        target = by_place.get((flow.target_repo, flow.target_branch, flow.options.strategy))
        if target is None or (only and str(target.pk) != only):
            continue
        if target.repository_id in visible:
            targets.append(_target(rule, target, group, found, whole=whole))
        else:
            targets.append(TargetAhead(target, group, sentence=NOT_SEEN))
    return Ahead(rule, found, targets)


def _target(
    rule: CopyRule, target: CopyTarget, group: tuple[Flow, ...], at: Moment, *, whole: bool
) -> TargetAhead:
    state = getattr(target, "state", None) if target.pk else None
    one = TargetAhead(target, group, state=state)
    tip = warm.tip(target.repository, target.branch, partial=True)
    if not tip.oid and not tip.empty:
        return replace(one, fetching=tip.fetching, sentence=tip.sentence)
    source, store = access.store_of(rule.source), access.store_of(target.repository)
    base = state.source_oid if state and not whole else ""
    known = base if base and source.has(base) else None
    names = {"source_repo": rule.source.full_name, "target_repo": target.repository.full_name}
    flows = [replace(flow, **names) for flow in group]  # type: ignore[arg-type]  # all of them are text
    kind = target.repository.connection.provider
    limit = largest_file(kind, by_api=any(flow.options.sign == "api" for flow in group))
    place = Place(str(target.repository_id), target.branch, limit)
    owned = ownership.manifest_of(target) if target.pk else {}
    planner = FilePlanner(flows, known, place, owned, others=partial(in_the_way, target))
    files = {entry.path: (entry.mode, entry.oid) for entry in store.tree(tip.oid)} if tip.oid else {}
    try:
        plan, made = look(
            planner, origin_at(source, at), store if tip.oid else None, files, _bring(target.repository)
        )
    except Conflict:
        return replace(one, fetching=True)
    except Failure as failure:
        return replace(one, sentence=failure.sentence)
    return replace(one, plan=plan, base=known, empty=tip.empty, made=made)


def _bring(repository: Repository) -> Any:
    def bring(oids: Sequence[str]) -> None:
        there = warm.blobs(repository, oids)
        if there.fetching:
            raise Conflict(f"{repository.full_name} is being fetched. Ask again in a moment.")
        if there.sentence:
            raise PermanentFailure(there.sentence)

    return bring


def diff_of(found: Ahead, one: TargetAhead, path: bytes) -> FileDiff:
    """The difference that the plan makes at a path of the target."""
    plan = one.plan
    write = next((write for write in plan.writes if write.path == path), None) if plan else None
    delete = next((delete for delete in plan.deletes if delete.path == path), None) if plan else None
    old = write.old if write else delete.old if delete else None
    if not (write or delete):
        return FileDiff([], "The plan does nothing to this file any more. Load the page again.")
    try:
        if old:
            _bring(one.target.repository)([old[1]])
        there = access.store_of(one.target.repository)
        before = there.blob(old[1], MAX_DIFF_BYTES) if old else b""
        after = _content(found, one, write) if write else b""
    except Conflict:
        return FileDiff([], fetching=True)
    except Failure as failure:
        return FileDiff([], failure.sentence)
    return lines_between(before, after)


def _content(found: Ahead, one: TargetAhead, write: PlannedWrite) -> bytes:
    source = access.store_of(found.rule.source)
    if source.has(write.oid):
        return source.blob(write.oid, MAX_DIFF_BYTES)
    data: bytes = one.made.content(write, MAX_DIFF_BYTES)
    if len(data) > MAX_DIFF_BYTES:
        raise TooLarge("Too large to show line by line.")
    return data


def lines_between(before: bytes, after: bytes) -> FileDiff:
    """Two contents line by line, within limits."""
    if b"\0" in before[:8_000] or b"\0" in after[:8_000]:
        return FileDiff([], f"Binary: {len(before):,} bytes there, {len(after):,} bytes then.")
    old, new = (data.decode("utf-8", "replace").splitlines() for data in (before, after))
    found = unified(old, new)
    if found is None:
        return FileDiff([], "Too many lines differ to show them.")
    return FileDiff(found, "" if found else "The contents are the same; the mode changes.")


def ahead_of(principal: Principal, config: CopyConfig | FileConfig, at: str = "", pull: str = "") -> Ahead:
    """What a configuration would do at each target, before it is saved. Repositories are ids."""
    flows = flows_of(config)
    ids = {config.source_repository, *(flow.target_repo for flow in flows)}
    rows = visible_to(Repository.objects.select_related("connection"), principal).filter(pk__in=ids)
    known = {str(row.pk): row for row in rows}
    source = known.get(config.source_repository)
    if source is None:
        return Ahead(CopyRule(), Moment(sentence=NOT_SEEN))
    rule = CopyRule(source=source, source_branch=config.source_branch)
    when = moment(source, config.source_branch, at, pull)
    found = []
    for group in by_target(flows):
        repository = known.get(group[-1].target_repo)
        if repository is None:
            continue
        branch, strategy = group[-1].target_branch, group[-1].options.strategy
        target = CopyTarget(repository=repository, branch=branch, strategy=strategy)
        if when.oid:
            found.append(_target(rule, target, group, when, whole=True))
        else:
            found.append(TargetAhead(target, group, fetching=when.fetching, sentence=when.sentence))
    return Ahead(rule, when, found)
