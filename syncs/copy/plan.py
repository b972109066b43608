"""What a copy will do to a target: a pure function of the files here, the files there and the rules.

The preview page, the dry run, the API and the run itself all show this same plan. Give it the whole
source tree to have every clash between two files found; with the changed files of a push it finds
those among them and with the target.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final, Literal

from opssight.core.errors import InvalidInput
from syncs.copy.config import Flow
from syncs.copy.matching import RuleSet, compile_rules
from syncs.copy.paths import safe_target, shown
from syncs.copy.rule import Flavour, Match, Rule

Tree = Mapping[bytes, tuple[str, str]]  # path -> (mode, oid)

_SUBMODULE: Final = "160000"
_MODES: Final = frozenset({"100644", "100755"})
_SYMLINK: Final = "120000"
_SPECIAL: Final = frozenset("*?[]{}\\")  # characters that a glob reads in its own way


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file at the source commit, as `git ls-tree` gives it."""

    path: bytes
    mode: str
    oid: str


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """A file to be written at `path`. `old` is what stands there now, None for a new file.

    `rule_index` counts the rules of the flow from 0; `flow_index` the flows that are planned together.
    """

    source_path: bytes
    path: bytes
    mode: str
    oid: str
    rule_index: int
    flow_index: int = 0
    old: tuple[str, str] | None = None

    @property
    def action(self) -> Literal["add", "change"]:
        return "add" if self.old is None else "change"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that a rule takes but that is not written, and why. `path` is the source's without a target."""

    source_path: bytes
    path: bytes
    sentence: str
    rule_index: int
    flow_index: int = 0


@dataclass(frozen=True, slots=True)
class Skip:
    """Something that a rule takes but that is not a file, and why it is left."""

    source_path: bytes
    sentence: str


@dataclass(frozen=True)
class Plan:
    """Everything is in order of its path; equal input gives an equal plan and digest.

    `same` are the writes that the target does not need any more; `matches` each source path that a
    rule takes with the index of that rule; `matched` how many source files those are. The digest
    covers what would be written, over what, and what is refused.
    """

    writes: tuple[PlannedWrite, ...]
    same: tuple[PlannedWrite, ...]
    refused: tuple[Refusal, ...]
    skipped: tuple[Skip, ...]
    matches: tuple[tuple[bytes, int], ...]
    digest: str

    @property
    def equal(self) -> int:
        """How many files are there already as they should be."""
        return len(self.same)

    @property
    def matched(self) -> int:
        return len({path for path, _ in self.matches})


@dataclass(frozen=True)
class Delta:
    """How many files of a target a new version of a rule adds, changes and no longer places."""

    added: int
    changed: int
    removed: int


@dataclass(frozen=True)
class Wanted:
    """What flows want of a source, whatever the target holds: reuse it for targets with equal rules.

    `writes` has one write for each target path; the other fields are those of `Plan`.
    """

    writes: Mapping[bytes, PlannedWrite]
    refused: tuple[Refusal, ...]
    skipped: tuple[Skip, ...]
    matches: tuple[tuple[bytes, int], ...]


def plan_flows(flows: Sequence[Flow], files: Iterable[SourceFile], target: Tree) -> Plan:
    """The plan of the flows to one target branch, written as one commit; see `config.by_target`.

    Raises `InvalidInput` only for rules that cannot be compiled.
    """
    return plan_wanted(wanted(flows, files), target)


def wanted(flows: Sequence[Flow], files: Iterable[SourceFile]) -> Wanted:
    """Matches every file against the rules of every flow."""
    draft = _Draft()
    rules = [_compiled(flow.rules, flow.match, flow.flavour) for flow in flows]
    for file in files:
        for flow_index, rule_set in enumerate(rules):
            draft.take(file, rule_set, flow_index)
    return draft.finished()


def plan_wanted(wanted: Wanted, target: Tree) -> Plan:
    """Compares what is wanted with what stands in the target."""
    planned_folders, target_folders = _folders(wanted.writes), _folders(target)
    blocked = {folder for folder in planned_folders if folder in wanted.writes or folder in target}
    writes: list[PlannedWrite] = []
    same: list[PlannedWrite] = []
    refused = list(wanted.refused)
    for path in sorted(wanted.writes):
        write = wanted.writes[path]
        sentence = ""
        if blocked or path in target_folders or path in planned_folders:
            sentence = _folder_clash(path, wanted.writes, planned_folders, target, target_folders)
        if sentence:
            refused.append(_refusal(write, sentence))
            continue
        there = target.get(path)
        old = (_canonical(there[0]), there[1]) if there else None
        if old == (write.mode, write.oid):
            same.append(write)
        else:
            writes.append(replace(write, old=old) if old else write)
    refused.sort(key=_refusal_order)
    return Plan(
        writes=tuple(writes),
        same=tuple(same),
        refused=tuple(refused),
        skipped=wanted.skipped,
        matches=wanted.matches,
        digest=_digest(writes, refused),
    )


@lru_cache(maxsize=16)
def _compiled(rules: tuple[Rule, ...], match: Match, flavour: Flavour) -> RuleSet:
    return compile_rules(rules, match, flavour)


class _Draft:
    """Collects what wants to be written where."""

    def __init__(self) -> None:
        self._wanted: dict[bytes, list[PlannedWrite]] = {}
        self._refused: list[Refusal] = []
        self._skipped: dict[bytes, Skip] = {}
        self._matches: set[tuple[bytes, int]] = set()

    def take(self, file: SourceFile, rules: RuleSet, flow_index: int) -> None:
        for hit in rules.hits(file.path):
            self._matches.add((file.path, hit.rule_index))
            mode = _canonical(file.mode)
            if mode == _SUBMODULE:
                sentence = f"{shown(file.path)} is a submodule; submodules are not copied."
                self._skipped[file.path] = Skip(file.path, sentence)
                continue
            path = file.path
            try:
                path = rules.rules[hit.rule_index].target(file.path, hit.variables)
                safe_target(path, mode)
            except InvalidInput as error:
                self._refused.append(Refusal(file.path, path, error.sentence, hit.rule_index, flow_index))
                continue
            write = PlannedWrite(file.path, path, mode, file.oid, hit.rule_index, flow_index)
            self._wanted.setdefault(path, []).append(write)

    def finished(self) -> Wanted:
        clean: dict[bytes, PlannedWrite] = {}
        for path, writes in self._wanted.items():
            if len({(write.mode, write.oid) for write in writes}) == 1:
                clean[path] = min(writes, key=_write_order)
            else:
                self._refused += _rivals(sorted(writes, key=_write_order))
        return Wanted(
            writes=clean,
            refused=tuple(self._refused),
            skipped=tuple(self._skipped[path] for path in sorted(self._skipped)),
            matches=tuple(sorted(self._matches)),
        )


def _refusal(write: PlannedWrite, sentence: str) -> Refusal:
    return Refusal(write.source_path, write.path, sentence, write.rule_index, write.flow_index)


def _rivals(writes: Sequence[PlannedWrite]) -> list[Refusal]:
    """Files with different content want one path: none of them is written, each names another one."""
    refused: list[Refusal] = []
    for write in writes:
        rival = next(one for one in writes if (one.mode, one.oid) != (write.mode, write.oid))
        sentence = (
            f"{shown(write.source_path)} and {shown(rival.source_path)} both go to {shown(write.path)} "
            "and differ; change a rule so that only one does."
        )
        refused.append(_refusal(write, sentence))
    return refused


def _folder_clash(
    path: bytes,
    planned: Mapping[bytes, PlannedWrite],
    planned_folders: Mapping[bytes, bytes],
    target: Tree,
    target_folders: Mapping[bytes, bytes],
) -> str:
    """Why `path` cannot be a file beside the other writes and what stands in the target; empty: it can."""
    if path in target_folders:
        return f"{shown(path)} is a folder in the target, with {shown(target_folders[path])} in it."
    if path in planned_folders:
        other = planned[planned_folders[path]]
        return (
            f"{shown(path)} would be a file and a folder at once: "
            f"{shown(other.source_path)} goes to {shown(other.path)}."
        )
    for folder in _parents(path):
        if folder in planned:
            return (
                f"{shown(folder)} would be a file and a folder at once: "
                f"{shown(planned[folder].source_path)} goes to {shown(folder)}."
            )
        if folder in target:
            kind = {_SYMLINK: "a symbolic link", _SUBMODULE: "a submodule"}.get(target[folder][0], "a file")
            return f"{shown(folder)} is {kind} in the target, so nothing can be put into it."
    return ""


def _parents(path: bytes) -> list[bytes]:
    """`a` and `a/b` for `a/b/c`."""
    parents: list[bytes] = []
    end = path.find(b"/")
    while end != -1:
        parents.append(path[:end])
        end = path.find(b"/", end + 1)
    return parents


def _folders(paths: Iterable[bytes]) -> dict[bytes, bytes]:
    """Every folder above `paths`, each with the first path in it."""
    folders: dict[bytes, bytes] = {}
    for path in paths:
        folder = path.rpartition(b"/")[0]
        while folder and path < folders.get(folder, path + b"\0"):
            folders[folder] = path
            folder = folder.rpartition(b"/")[0]
    return folders


def _canonical(mode: str) -> str:
    """The mode as git writes it today: old trees hold others for the same kinds of files."""
    if mode in _MODES or not mode.startswith("100"):
        return mode
    return "100755" if int(mode, 8) & 0o100 else "100644"


def _write_order(write: PlannedWrite) -> tuple[bytes, int, int]:
    return write.source_path, write.flow_index, write.rule_index


def _refusal_order(refusal: Refusal) -> tuple[bytes, bytes, int, int]:
    return refusal.source_path, refusal.path, refusal.flow_index, refusal.rule_index


def _digest(writes: Iterable[PlannedWrite], refused: Iterable[Refusal]) -> str:
    """SHA-256 of a text that no two plans share: Python's own spelling of their fields."""
    written = [(write.source_path, write.path, write.mode, write.oid, write.old) for write in writes]
    left = [(refusal.source_path, refusal.path, refusal.sentence) for refusal in refused]
    return hashlib.sha256(repr((written, left)).encode()).hexdigest()


def delta(old: Plan, new: Plan) -> Delta:
    """What changes at one target when the rules of `old` give way to those of `new`.

    Both plans are of the same files and the same target. A file that already stands there as it
    should is no change.
    """
    before = {write.path: (write.mode, write.oid) for write in (*old.writes, *old.same)}
    after = {write.path for write in (*new.writes, *new.same)}
    changes = [write for write in new.writes if before.get(write.path) != (write.mode, write.oid)]
    added = sum(1 for write in changes if write.action == "add" and write.path not in before)
    removed = sum(1 for path in before if path not in after)
    return Delta(added, len(changes) - added, removed)


def propose(source_path: bytes, target_path: bytes) -> Rule:
    """A rule from one example: this file here goes there.

    The whole folder goes along when the file keeps its name and lies in a folder; else it is a rule
    for this one file. Raises `InvalidInput` for a target that may not be written, or a name that is
    not UTF-8.
    """
    safe_target(target_path)
    try:
        source, target = source_path.decode("utf-8"), target_path.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidInput("The file's name is not UTF-8; write the rule by hand.") from None
    source_folder, _, source_name = source.rpartition("/")
    target_folder, _, target_name = target.rpartition("/")
    if source_name != target_name or not source_folder:
        return Rule("copy", source, target)
    if _SPECIAL.intersection(source_folder) or "${" in target_folder:
        return Rule("move", source_folder, target_folder or ".")
    prefix = f"{target_folder}/" if target_folder else ""
    return Rule("glob", f"{source_folder}/**", f"{prefix}${{relative_path}}")
