"""What a rule would do, before it is saved: both trees, the plan for each target, and the difference
to the version that is live. Reads this machine's stores only; nothing here waits for the network.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, partial
from uuid import UUID

from opssight.accounts.scope import Principal, visible_to
from opssight.core.errors import Conflict, Failure, InvalidInput, PermanentFailure
from repos import access, warm
from repos.git.errors import TooLarge
from repos.models import Repository
from syncs.copy.models import CopyTarget
from syncs.copy.plan.linediff import unified
from syncs.copy.plan.plan import Delta, Plan, PlannedWrite, SourceFile, Wanted, delta
from syncs.copy.rules.config import CopyConfig, Flow, flows
from syncs.copy.rules.rule import Match, Rule
from syncs.copy.saved import ownership
from syncs.copy.saved.collisions import in_the_way
from syncs.copy.transfer.making import Origin, placed
from syncs.copy.transfer.planning import FilePlanner, Look, Place, largest_file, look
from syncs.models import Job

MAX_DIFF_BYTES = 400_000
MAX_DIFF_LINES = 3_000

Files = dict[bytes, tuple[str, str]]  # path -> (mode, oid)


@dataclass(frozen=True)
class TargetPreview:
    """One target as it is and as it would become. `empty`: it has no commit yet."""

    repository: Repository
    branch: str
    oid: str = ""
    files: Files = field(default_factory=dict)
    plan: Plan | None = None
    live: Plan | None = None  # what the saved version would do there now
    fetching: bool = False
    empty: bool = False
    sentence: str = ""
    made: Look | None = field(default=None, compare=False)  # knows the contents of the plan

    @property
    def delta(self) -> Delta:
        """What saving changes here against the live version; for a new target, all that is written."""
        if self.plan is None:
            return Delta(0, 0, 0)
        return delta(self.live or _NOTHING, self.plan)


_NOTHING = Plan((), (), (), (), ())


@dataclass(frozen=True)
class Preview:
    """The source at one commit and what would happen at each target."""

    source: Repository
    branch: str
    oid: str
    files: list[SourceFile]
    targets: list[TargetPreview]
    fetching: bool = False
    sentence: str = ""
    matches: tuple[tuple[bytes, int], ...] = ()

    @cached_property
    def matched(self) -> dict[bytes, int]:
        """The first rule (from 0) that takes each source path."""
        return dict(reversed(self.matches))


def preview(
    principal: Principal, config: CopyConfig, live: CopyConfig | None = None, job: Job | None = None
) -> Preview:
    """The preview of a config whose repositories are ids. InvalidInput when one is not visible.

    There may be no targets and no rules yet; the rules must compile. `job` is the rule that would get this
    version: what it wrote so far counts as its own.
    """
    ids = {config.source_repository, *(target.repository for target in config.targets)}
    rows = visible_to(Repository.objects.select_related("connection"), principal).filter(pk__in=ids)
    known = {str(row.pk): row for row in rows}
    if missing := ids - set(known):
        raise InvalidInput("A repository of this rule is not visible to you.", [("", ", ".join(missing))])
    source = known[config.source_repository]
    tip = warm.tip(source, config.source_branch)
    if not tip.oid:
        return Preview(source, config.source_branch, "", [], [], tip.fetching, tip.sentence)
    before = _live_flows(live, config)
    side = _Side(source, tip.oid, job)
    targets = [
        side.target(known[flow.target_repo], flow, before.get((flow.target_repo, flow.target_branch)))
        for flow in flows(config)
    ]
    files = source_files(source.pk, tip.oid)
    wanted = _wanted(source.pk, tip.oid, config.rules, config.match)
    return Preview(source, config.source_branch, tip.oid, files, targets, matches=wanted.matches)


def _live_flows(live: CopyConfig | None, config: CopyConfig) -> dict[tuple[str, str], Flow]:
    """The flows of the live version by target.

    A version that reads from somewhere else says nothing about this commit.
    """
    same = (config.source_repository, config.source_branch)
    if live is None or (live.source_repository, live.source_branch) != same:
        return {}
    return {(flow.target_repo, flow.target_branch): flow for flow in flows(live)}


@dataclass(frozen=True)
class _Side:
    """The source at one commit, and the rule whose preview it is."""

    source: Repository
    oid: str
    job: Job | None

    def target(self, repository: Repository, flow: Flow, live: Flow | None) -> TargetPreview:
        tip = warm.tip(repository, flow.target_branch, partial=True)
        one = TargetPreview(repository, flow.target_branch)
        if not tip.oid and not tip.empty:
            return replace(one, fetching=tip.fetching, sentence=tip.sentence)
        try:
            plan, made = self._plan(repository, flow, tip.oid)
            before = self._plan(repository, live, tip.oid)[0] if live else None
        except Conflict:
            return replace(one, fetching=True)
        except Failure as failure:
            return replace(one, sentence=failure.sentence)
        there = target_files(repository.pk, tip.oid) if tip.oid else {}
        return replace(one, oid=tip.oid, files=there, plan=plan, live=before, empty=tip.empty, made=made)

    def _plan(self, repository: Repository, flow: Flow, tip: str) -> tuple[Plan, Look]:
        named = replace(flow, source_repo=self.source.full_name, target_repo=repository.full_name)
        if not any(one.type == "variables" for one in flow.options.transforms):
            named = replace(named, name="")  # it is typed letter by letter, and nothing depends on it
        rows = CopyTarget.objects.filter(rule__job=self.job, repository=repository, branch=flow.target_branch)
        row = rows.select_related("state").filter(strategy=flow.options.strategy).first()
        stamp = row.state.updated_at if row is not None and hasattr(row, "state") else None
        asked = _Asked(self.source.pk, self.oid, replace(named, message=""), repository.pk, tip, row, stamp)
        by_api = flow.options.sign == "api"
        return _planned(asked, largest_file(repository.connection.provider, by_api=by_api))


@dataclass(frozen=True)
class _Asked:
    """What a plan depends on. `row` has the memory of the rule, as it was at `stamp`."""

    source: UUID
    oid: str
    flow: Flow
    target: UUID
    tip: str
    row: CopyTarget | None
    stamp: dt.datetime | None


@lru_cache(maxsize=16)
def _planned(asked: _Asked, max_bytes: int | None) -> tuple[Plan, Look]:
    stores = access.stores()
    origin = Origin.of(stores.store(asked.source), asked.oid)
    place = Place(str(asked.target), asked.flow.target_branch, max_bytes)
    owned = ownership.manifest_of(asked.row) if asked.row is not None else {}
    planner = FilePlanner((asked.flow,), None, place, owned)
    if asked.row is not None:
        planner.others = partial(in_the_way, asked.row)
    files = target_files(asked.target, asked.tip) if asked.tip else {}
    store = stores.store(asked.target) if asked.tip else None
    return look(planner, origin, store, files, partial(_bring, asked.target))


def _bring(repository_id: UUID, oids: Sequence[str]) -> None:
    """Contents of a target for a page, which does not wait: raises `Conflict` while they are on their way."""
    repository = Repository.objects.select_related("connection").get(pk=repository_id)
    there = warm.blobs(repository, oids)
    if there.fetching:
        raise Conflict(f"{repository.full_name} is being fetched. Ask again in a moment.")
    if there.sentence:
        raise PermanentFailure(there.sentence)


def _wanted(repository_id: UUID, oid: str, rules: tuple[Rule, ...], match: Match) -> Wanted:
    """What rules want of a commit: the same for every target, and while one types elsewhere."""
    flow = Flow("", "", "", rules, "", "", match=match)
    return placed(Origin.of(access.stores().store(repository_id), oid), (flow,))


def matches_of(found: Preview, rules: tuple[Rule, ...], match: Match) -> tuple[tuple[bytes, int], ...]:
    """What other rules would take of the same commit, as (source path, rule from 0)."""
    return _wanted(found.source.pk, found.oid, rules, match).matches


@lru_cache(maxsize=8)
def source_files(repository_id: UUID, oid: str) -> list[SourceFile]:
    """Every file of a commit; kept, since a commit never changes."""
    store = access.stores().store(repository_id)
    return [SourceFile(entry.path, entry.mode, entry.oid) for entry in store.tree(oid)]


@lru_cache(maxsize=32)
def target_files(repository_id: UUID, oid: str) -> Files:
    store = access.stores().store(repository_id)
    return {entry.path: (entry.mode, entry.oid) for entry in store.tree(oid)}


@dataclass(frozen=True)
class FileDiff:
    """A file there (old) and as it would be written (new): unified diff lines, or why there are none."""

    lines: list[str]
    sentence: str = ""
    fetching: bool = False


def file_diff(target: TargetPreview, write: PlannedWrite) -> FileDiff:
    """The difference between what stands at the target and what would be written."""
    if write.old:
        there = warm.blobs(target.repository, [write.old[1]])
        if not there.oid:
            return FileDiff([], there.sentence, there.fetching)
    try:
        assert target.made is not None  # noqa: S101 - the write is of its plan
        return _file_diff(target.repository.pk, target.made, write)
    except TooLarge:
        return FileDiff([], "Too large to show line by line.")
    except Failure as failure:
        return FileDiff([], failure.sentence)


@lru_cache(maxsize=32)
def _file_diff(target_id: UUID, made: Look, write: PlannedWrite) -> FileDiff:
    store = access.stores().store(target_id)
    new = made.content(write, MAX_DIFF_BYTES)
    old = store.blob(write.old[1], MAX_DIFF_BYTES) if write.old else b""
    if b"\0" in new[:8_000] or b"\0" in old[:8_000]:
        return FileDiff([], f"Binary: {len(old):,} bytes there, {len(new):,} bytes here.")
    before, after = (data.decode("utf-8", "replace").splitlines() for data in (old, new))
    found = unified(before, after)
    return FileDiff([], "Too many lines differ to show them.") if found is None else FileDiff(found)
