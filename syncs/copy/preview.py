"""What a rule would do, before it is saved: both trees, the plan for each target, and the difference
to the version that is live. Reads this machine's stores only; nothing here waits for the network.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from uuid import UUID

from opssight.accounts.scope import Principal, visible_to
from opssight.core.errors import Failure, InvalidInput
from repos import access, warm
from repos.git.errors import TooLarge
from repos.models import Repository
from syncs.copy.config import CopyConfig, Flow, flows
from syncs.copy.plan import Delta, Plan, SourceFile, Wanted, delta, plan_wanted, wanted
from syncs.copy.rule import Match, Rule

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

    @property
    def delta(self) -> Delta:
        """What saving changes here against the live version; for a new target, all that is written."""
        if self.plan is None:
            return Delta(0, 0, 0)
        return delta(self.live or _NOTHING, self.plan)


_NOTHING = Plan((), (), (), (), (), "")


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


def preview(principal: Principal, config: CopyConfig, live: CopyConfig | None = None) -> Preview:
    """The preview of a config whose repositories are ids. InvalidInput when one is not visible.

    There may be no targets and no rules yet; the rules must compile.
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
    wants = _wanted(source.pk, tip.oid, config.rules, config.match)
    before = _live_wants(live, config, source.pk, tip.oid)
    targets = [
        _target(known[flow.target_repo], flow, wants, before.get((flow.target_repo, flow.target_branch)))
        for flow in flows(config)
    ]
    files = source_files(source.pk, tip.oid)
    return Preview(source, config.source_branch, tip.oid, files, targets, matches=wants.wanted.matches)


def _live_wants(
    live: CopyConfig | None, config: CopyConfig, source: UUID, oid: str
) -> dict[tuple[str, str], _Wants]:
    """What the live version wants of the same commit, for each of its targets.

    A version that reads from somewhere else says nothing about this commit.
    """
    same = (config.source_repository, config.source_branch)
    if live is None or (live.source_repository, live.source_branch) != same:
        return {}
    wants = _wanted(source, oid, live.rules, live.match)
    return {(target.repository, target.branch): wants for target in live.targets}


def _target(repository: Repository, flow: Flow, wants: _Wants, live: _Wants | None) -> TargetPreview:
    tip = warm.tip(repository, flow.target_branch, partial=True)
    if not tip.oid and not tip.empty:
        return TargetPreview(repository, flow.target_branch, fetching=tip.fetching, sentence=tip.sentence)
    there = target_files(repository.pk, tip.oid) if tip.oid else {}
    return TargetPreview(
        repository,
        flow.target_branch,
        tip.oid,
        there,
        _planned(wants, repository.pk, tip.oid),
        _planned(live, repository.pk, tip.oid) if live else None,
        empty=tip.empty,
    )


@dataclass(frozen=True, eq=False)
class _Wants:
    """What rules want of a commit; compared by identity, so that plans of it can be kept."""

    wanted: Wanted


@lru_cache(maxsize=16)
def _planned(wants: _Wants, repository_id: UUID, oid: str) -> Plan:
    return plan_wanted(wants.wanted, target_files(repository_id, oid) if oid else {})


@lru_cache(maxsize=8)
def _wanted(repository_id: UUID, oid: str, rules: tuple[Rule, ...], match: Match) -> _Wants:
    """What rules want of a commit: the same for every target, and while one types elsewhere."""
    flow = Flow("", str(repository_id), "", rules, "", "", match=match)
    return _Wants(wanted((flow,), source_files(repository_id, oid)))


def matches_of(found: Preview, rules: tuple[Rule, ...], match: Match) -> tuple[tuple[bytes, int], ...]:
    """What other rules would take of the same commit, as (source path, rule from 0)."""
    return _wanted(found.source.pk, found.oid, rules, match).wanted.matches


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


def file_diff(source: Repository, new_oid: str, target: Repository, old_oid: str) -> FileDiff:
    """The difference of two contents; `old_oid` empty: the file is new."""
    if old_oid:
        there = warm.blobs(target, [old_oid])
        if not there.oid:
            return FileDiff([], there.sentence, there.fetching)
    try:
        return _file_diff(source.pk, new_oid, target.pk, old_oid)
    except TooLarge:
        return FileDiff([], "Too large to show line by line.")
    except Failure as failure:
        return FileDiff([], failure.sentence)


@lru_cache(maxsize=32)
def _file_diff(source_id: UUID, new_oid: str, target_id: UUID, old_oid: str) -> FileDiff:
    stores = access.stores()
    new = stores.store(source_id).blob(new_oid, MAX_DIFF_BYTES)
    old = stores.store(target_id).blob(old_oid, MAX_DIFF_BYTES) if old_oid else b""
    if b"\0" in new[:8_000] or b"\0" in old[:8_000]:
        return FileDiff([], f"Binary: {len(old):,} bytes there, {len(new):,} bytes here.")
    before, after = (data.decode("utf-8", "replace").splitlines() for data in (old, new))
    if max(len(before), len(after)) > MAX_DIFF_LINES * 10:
        return FileDiff([], "Too many lines to show.")
    return FileDiff(list(difflib.unified_diff(before, after, lineterm="", n=4))[:MAX_DIFF_LINES])
