"""The planner of every copy: the run, the command line and the preview ask it the same question.

It reads what the pure plan needs: the source's whole tree, what was changed, the contents that transforms
and merges work on, and the file that records deletions.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from repos.git.store import Store
from repos.providers.base import Provider
from repos.providers.forge import Forge
from repos.providers.registry import provider_named
from syncs.copy.plan.contents import MAX_BYTES, api_refusal
from syncs.copy.plan.plan import Gone, merged, plan_gone, plan_wanted, refused
from syncs.copy.plan.planned import Manifest, Notice, Plan, PlannedWrite, SourceFile, Tree
from syncs.copy.plan.wanted import Wanted, canonical, wanted
from syncs.copy.rules.config import Flow
from syncs.copy.rules.paths import shown
from syncs.copy.transfer.making import Made, Maker, Origin, facts_of, former, placed
from syncs.copy.transfer.merging import Bring, Merger
from syncs.copy.transfer.recording import Recorder
from syncs.copy.transfer.signing import sign_of
from syncs.copy.transfer.transfer import Source, Target

GITHUB_BYTES: Final = 100 << 20  # what GitHub takes of one file


def largest_file(kind: str, *, by_api: bool = False) -> int | None:
    """The bytes of a file that this kind of server takes; None: no limit is known.

    `by_api`: in a commit that it makes itself.
    """
    provider = provider_named(kind) if kind and by_api else Provider
    if issubclass(provider, Forge) and provider.commit_bytes:
        return provider.commit_bytes
    return GITHUB_BYTES if kind == "github" else None


@dataclass(frozen=True)
class Place:
    """The target as the options of a rule name it, and how large a file it takes."""

    repository: str
    branch: str
    max_bytes: int | None = None

    @classmethod
    def of(cls, repository: str, branch: str, kind: str, flows: Sequence[Flow]) -> Place:
        """`kind`: of its server, empty where that is not known.

        Raises `PermanentFailure` where the flows cannot be signed as one commit.
        """
        by_api = sign_of(flow.options for flow in flows) == "api"
        return cls(repository, branch, largest_file(kind, by_api=by_api))


@dataclass
class FilePlanner:
    """Plans what flows do to one target. They name repositories as messages do.

    `base` is the source commit that the target holds; None plans the whole tree. `owned` is what the rule
    wrote. Without such a memory (None) the files that hold what the rule makes of `base` count as its own.
    `others` names the rule that wrote a path of the target, where that is another one.
    """

    flows: Sequence[Flow]
    base: str | None
    place: Place
    owned: Manifest | None = None
    pr_number: str = ""
    others: Callable[[Collection[bytes]], Mapping[bytes, str]] = field(default=lambda paths: {})
    _last: Look | None = field(default=None, init=False)

    def plan(self, source: Source, target: Target) -> Plan:
        end, origin = target.end, Origin.of(source.end.store, source.head)
        self._last = Look(self, origin, end.store, target.files, end.bring)
        return self._last.plan()

    def contents(self, plan: Plan) -> Iterator[bytes]:
        """The contents that the newest plan writes and that are in neither repository."""
        return self._last.contents(plan) if self._last else iter(())


class Look:
    """One question: this source commit, this target as it is now. Raises what `bring` raises."""

    def __init__(self, planner: FilePlanner, origin: Origin, store: Store, files: Tree, bring: Bring) -> None:
        self._planner = planner
        self._flows = planner.flows
        self._base = planner.base
        self._origin = origin
        self._store = store
        self._files = files
        self._bring = bring
        self._maker = Maker(planner.flows, origin, planner.pr_number)
        self._recorder = Recorder(planner.flows[-1], origin, store, files, bring)
        self._wants = Wanted({}, (), (), ())

    def plan(self) -> Plan:
        wants, gone = self._wanted()
        made = self._maker.made(wants)
        self._wants = made.wanted
        plan = plan_wanted(made.wanted, self._files, self._owned, before=self._before, gone=gone)
        if plan.merges:
            plan = merged(plan, self._merger.results(plan))
        plan = self._checked(self._without_others(plan), made)
        here = (self._planner.place.repository, self._planner.place.branch)
        return self._recorder.recorded(plan, here)

    def contents(self, plan: Plan) -> Iterator[bytes]:
        """The contents that the plan writes and that are in neither repository."""
        made = [write for write in plan.writes if write.source_path and write.origin != write.made]
        yield from self._maker.contents([write for write in made if not write.merged], self._wants)
        for write in plan.writes:
            if write.merged or not write.source_path:
                yield self.content(write)

    def content(self, write: PlannedWrite, limit: int = MAX_BYTES) -> bytes:
        """The contents of one write of the plan. Raises `TooLarge` above the limit at the source."""
        if not write.source_path:
            return self._recorder.content(write.path)
        if write.merged:
            return self._merger.content(write)
        data = self._origin.store.blob(write.origin, limit)
        return self._maker.content(write, data, self._wants) if write.origin != write.made else data

    @cached_property
    def _before(self) -> Manifest:
        """What the rules make of the changed files as they were, where anything depends on it."""
        asked = self._planner.owned is None or any(flow.options.edits != "overwrite" for flow in self._flows)
        if self._base is None or not asked:
            return {}
        return self._maker.before(self._base, self._origin.changes(self._base))

    @cached_property
    def _owned(self) -> Manifest:
        return self._before if self._planner.owned is None else self._planner.owned

    @cached_property
    def _merger(self) -> Merger:
        return Merger(self._maker, self._wants, self._owned, self._before, self._store, self._bring)

    def _concerned(self) -> set[bytes]:
        """The source's files that changed, and those of which the target does not hold the newest."""
        assert self._base is not None  # noqa: S101 - only asked for then
        head = self._origin.files()
        paths = {change.path for change in self._origin.changes(self._base) if change.status != "D"}
        for own in self._owned.values():
            file = head.get(own.source_path)
            if file and (canonical(file.mode), file.oid) != (own.mode, own.source_oid):
                paths.add(own.source_path)
        return paths

    def _wanted(self) -> tuple[Wanted, Gone]:
        """What is to be looked at, and what becomes of files that have no source any more."""
        head = self._origin.files()
        everything = placed(self._origin, self._flows)
        orphans = {
            path: own
            for path, own in self._owned.items()
            if (self._base is None or own.source_path not in head)
            and not everything.keeps(path, own.source_path)
        }
        sources = [SourceFile(own.source_path, own.mode, own.source_oid) for own in orphans.values()]
        deleted = wanted(self._flows, self._deleted())
        lost = wanted(self._flows, [*sources, *self._deleted()])
        recorded = lost.writes if self._base is None else deleted.writes
        left = {path for path, one in recorded.items() if not everything.keeps(path, one.source_path)}
        gone = plan_gone(self._flows, orphans, lost, self._files, left)
        if self._base is None:
            return everything, gone
        refused_paths = (one.path for one in deleted.refused)
        moved = (path for path, own in self._owned.items() if own.source_path not in head)
        return everything.only(self._concerned(), {*deleted.writes, *refused_paths, *moved}), gone

    def _deleted(self) -> list[SourceFile]:
        """The files that are not where they were at the base."""
        if self._base is None:
            return []
        head = self._origin.files()
        files = former(self._origin.changes(self._base))
        return [file for file in files if file.path not in head]

    def _without_others(self, plan: Plan) -> Plan:
        """Without writes over what another rule wrote, since the two would go on for ever, and without
        deletions of what another rule has a file for: it stays, and is that one's from then on.
        """
        foreign = [write.path for write in plan.writes if write.old and write.path not in self._owned]
        gone = [delete.path for delete in plan.deletes]
        names = self._planner.others([*foreign, *gone]) if foreign or gone else {}
        kept = [path for path in gone if path in names]
        if kept:
            deletes = tuple(delete for delete in plan.deletes if delete.path not in names)
            plan = replace(plan, deletes=deletes, dropped=(*plan.dropped, *kept))
        sentence = "was written by {}, with other content; change one of the two rules"
        return refused(
            plan,
            {path: f"{shown(path)} {sentence.format(names[path])}." for path in foreign if path in names},
        )

    def _not_by_api(self, write: PlannedWrite) -> str:
        options = self._flows[write.flow_index].options
        return api_refusal(options, write.path, canonical(write.old[0]) if write.old else "")

    def _checked(self, plan: Plan, made: Made) -> Plan:
        """Without what the target's server would not take, and with what is to be known of the rest."""
        facts = facts_of(self._origin.store, (write.origin for write in plan.writes))
        limit = self._planner.place.max_bytes
        left: dict[bytes, str] = {}
        notices = dict(made.notices)
        for write in plan.writes:
            fact, name = facts[write.origin], shown(write.source_path)
            if limit and write.oid == write.origin and fact.size > limit:
                left[write.path] = (
                    f"{name} has {fact.size:,} bytes, and the target takes files of at most {limit:,}. "
                    "Leave it out, or keep it in Git LFS."
                )
            elif sentence := self._not_by_api(write):
                left[write.path] = sentence
            elif fact.pointer:
                sentence = f"{name} only points to a file in Git LFS; the file itself is not copied."
                notices[write.path] = Notice(write.source_path, write.path, sentence)
        plan = refused(plan, left)
        return replace(plan, notices=tuple(notices[one.path] for one in plan.writes if one.path in notices))
