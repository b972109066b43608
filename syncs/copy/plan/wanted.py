"""What rules want of a source, whatever the target holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Final

from opssight.core.errors import InvalidInput
from syncs.copy.plan.contents import applying, modes_kept
from syncs.copy.plan.folders import SUBMODULE
from syncs.copy.plan.planned import PlannedWrite, Refusal, Skip, SourceFile
from syncs.copy.rules.config import Flow
from syncs.copy.rules.matching import Hit, RuleSet, Variables, compile_rules
from syncs.copy.rules.options import Edits, Transform
from syncs.copy.rules.paths import safe_target, shown
from syncs.copy.rules.rule import Flavour, Match, Rule

_MODES: Final = frozenset({"100644", "100755"})


@dataclass(frozen=True)
class Wanted:
    """What flows want of a source: reuse it for targets with equal rules.

    `writes` has one write for each target path; `also` names further sources that have the same for it.
    `edits`: what each flow does to edited files; `variables`: what the match of a target path gives to its
    content; `rivals`: the writes that want different content at one path. The others are those of `Plan`.
    """

    writes: Mapping[bytes, PlannedWrite]
    refused: tuple[Refusal, ...]
    skipped: tuple[Skip, ...]
    matches: tuple[tuple[bytes, int], ...]
    edits: tuple[Edits, ...] = ()
    variables: Mapping[bytes, Variables] = field(default_factory=dict)
    also: Mapping[bytes, frozenset[bytes]] = field(default_factory=dict)
    rivals: Mapping[bytes, tuple[PlannedWrite, ...]] = field(default_factory=dict)

    def only(self, sources: Collection[bytes], paths: Collection[bytes]) -> Wanted:
        """What has to do with these source paths, or is written to these paths."""

        def concerned(write: PlannedWrite) -> bool:
            if write.path in paths or write.source_path in sources:
                return True
            return any(source in sources for source in self.also.get(write.path, ()))

        return replace(
            self,
            writes={path: write for path, write in self.writes.items() if concerned(write)},
            refused=tuple(one for one in self.refused if one.source_path in sources or one.path in paths),
            skipped=tuple(one for one in self.skipped if one.source_path in sources),
            matches=tuple(one for one in self.matches if one[0] in sources),
        )

    def keeps(self, path: bytes, source_path: bytes) -> bool:
        """Whether a rule still has to do with the target's `path`, or could not place `source_path`."""
        return path in self.writes or path in self._refused_paths or source_path in self._left

    @cached_property
    def _refused_paths(self) -> frozenset[bytes]:
        return frozenset(one.path for one in self.refused)

    @cached_property
    def _left(self) -> frozenset[bytes]:
        refused = (one.source_path for one in self.refused)
        return frozenset((*refused, *(one.source_path for one in self.skipped)))


def wanted(flows: Sequence[Flow], files: Iterable[SourceFile]) -> Wanted:
    """Matches every file against the rules of every flow.

    Raises `InvalidInput` only for rules that cannot be compiled.
    """
    draft = _Draft(flows)
    rules = [_compiled(flow.rules, flow.match, flow.flavour) for flow in flows]
    for file in files:
        for flow_index, rule_set in enumerate(rules):
            draft.take(file, rule_set, flow_index)
    return draft.finished()


@lru_cache(maxsize=16)
def _compiled(rules: tuple[Rule, ...], match: Match, flavour: Flavour) -> RuleSet:
    return compile_rules(rules, match, flavour)


def canonical(mode: str) -> str:
    """The mode as git writes it today: old trees hold others for the same kinds of files."""
    if mode in _MODES or not mode.startswith("100"):
        return mode
    return "100755" if int(mode, 8) & 0o100 else "100644"


@dataclass(frozen=True, slots=True)
class _Wish:
    """One write that a rule wants, and what else decides about its content."""

    write: PlannedWrite
    transforms: tuple[Transform, ...]
    variables: Variables | None

    def differs(self, other: _Wish) -> bool:
        """Whether the other one leads to different content."""
        return (self.write.mode, self.write.oid, self.transforms, self.variables) != (
            other.write.mode,
            other.write.oid,
            other.transforms,
            other.variables,
        )


class _Draft:
    """Collects what wants to be written where."""

    def __init__(self, flows: Sequence[Flow]) -> None:
        self._flows = flows
        self._wishes: dict[bytes, list[_Wish]] = {}
        self._refused: list[Refusal] = []
        self._skipped: dict[bytes, Skip] = {}
        self._matches: set[tuple[bytes, int]] = set()

    def take(self, file: SourceFile, rules: RuleSet, flow_index: int) -> None:
        for hit in rules.hits(file.path):
            self._matches.add((file.path, hit.rule_index))
            mode = canonical(file.mode)
            if mode == SUBMODULE:
                sentence = f"{shown(file.path)} is a submodule; submodules are not copied."
                self._skipped[file.path] = Skip(file.path, sentence)
                continue
            path = file.path
            try:
                path = rules.rules[hit.rule_index].target(file.path, hit.variables)
                safe_target(path, mode)
                modes_kept(self._flows[flow_index].options, file.path, mode)
            except InvalidInput as error:
                self._refused.append(Refusal(file.path, path, error.sentence, hit.rule_index, flow_index))
                continue
            write = PlannedWrite(file.path, path, mode, file.oid, hit.rule_index, flow_index)
            self._wishes.setdefault(path, []).append(self._wish(write, hit))

    def _wish(self, write: PlannedWrite, hit: Hit) -> _Wish:
        transforms = applying(self._flows[write.flow_index].options.transforms, write.path, write.mode)
        asks = any(one.type == "variables" for one in transforms)
        return _Wish(write, transforms, hit.variables if asks else None)

    def finished(self) -> Wanted:
        clean: dict[bytes, PlannedWrite] = {}
        variables: dict[bytes, Variables] = {}
        also: dict[bytes, frozenset[bytes]] = {}
        rivals: dict[bytes, tuple[PlannedWrite, ...]] = {}
        for path, wishes in self._wishes.items():
            ordered = sorted(wishes, key=_order)
            first = ordered[0]
            if any(first.differs(one) for one in ordered):
                self._refused += _rivals(ordered)
                rivals[path] = tuple(one.write for one in ordered)
                continue
            clean[path] = first.write
            if len(ordered) > 1:
                also[path] = frozenset(one.write.source_path for one in ordered[1:])
            if first.variables is not None:
                variables[path] = first.variables
        return Wanted(
            writes=clean,
            refused=tuple(self._refused),
            skipped=tuple(self._skipped[path] for path in sorted(self._skipped)),
            matches=tuple(sorted(self._matches)),
            edits=tuple(flow.options.edits for flow in self._flows),
            variables=variables,
            also=also,
            rivals=rivals,
        )


def _rivals(wishes: Sequence[_Wish]) -> list[Refusal]:
    """Files with different content want one path: none of them is written, each names another one."""
    refused: list[Refusal] = []
    for wish in wishes:
        rival = next(one.write for one in wishes if one.differs(wish))
        write = wish.write
        if rival.source_path == write.source_path:
            sentence = (
                f"Two rules put {shown(write.source_path)} to {shown(write.path)} with different changes to "
                "its content; change one so that only one does."
            )
        else:
            sentence = (
                f"{shown(write.source_path)} and {shown(rival.source_path)} both go to {shown(write.path)} "
                "and differ; change a rule so that only one does."
            )
        refused.append(refusal(write, sentence))
    return refused


def refusal(write: PlannedWrite, sentence: str) -> Refusal:
    return Refusal(write.source_path, write.path, sentence, write.rule_index, write.flow_index)


def _order(wish: _Wish) -> tuple[bytes, int, int]:
    return wish.write.source_path, wish.write.flow_index, wish.write.rule_index
