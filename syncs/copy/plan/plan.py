"""What a copy will do to a target: a pure function of the files here, the files there and the rules.

The preview page, the dry run, the API and the run itself all show this same plan; what reads the
repositories for it is `syncs.copy.transfer.planning`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from opssight.core.errors import InvalidInput
from syncs.copy.plan.folders import Folders
from syncs.copy.plan.planned import (
    Delta,
    Manifest,
    Owned,
    Plan,
    PlannedDelete,
    PlannedRecord,
    PlannedWrite,
    Refusal,
    Tree,
)
from syncs.copy.plan.wanted import Wanted, canonical, refusal
from syncs.copy.rules.config import Flow
from syncs.copy.rules.options import Deletions
from syncs.copy.rules.paths import safe_target, shown
from syncs.copy.rules.rule import Rule

_SPECIAL: Final = frozenset("*?[]{}\\")  # characters that a glob reads in its own way


@dataclass(frozen=True)
class Gone:
    """What becomes of files of the target whose source is gone. The fields are those of `Plan`."""

    deletes: tuple[PlannedDelete, ...] = ()
    refused: tuple[Refusal, ...] = ()
    records: tuple[PlannedRecord, ...] = ()
    orphans: tuple[bytes, ...] = ()
    dropped: tuple[bytes, ...] = ()


_NOTHING: Final = Gone()


def plan_wanted(
    wanted: Wanted,
    target: Tree,
    owned: Manifest | None = None,
    *,
    before: Manifest | None = None,
    gone: Gone = _NOTHING,
) -> Plan:
    """Compares what is wanted with what stands in the target.

    `owned` is what the rule wrote; `before` what the rule makes of the files as they were at the last
    commit that was copied: a file with that content is not edited either. The plan's `merges` still have
    to be merged, see `merged`.
    """
    owned = owned or {}
    deleted = {delete.path for delete in gone.deletes}
    there = {path: target[path] for path in target if path not in deleted} if deleted else target
    comparing = _Comparing(wanted, there, owned, before or {})
    for path in sorted(wanted.writes):
        comparing.take(wanted.writes[path])
    return Plan(
        writes=tuple(comparing.writes),
        same=tuple(comparing.same),
        refused=_ordered((*wanted.refused, *gone.refused, *comparing.refused)),
        skipped=wanted.skipped,
        matches=wanted.matches,
        deletes=gone.deletes,
        merges=tuple(comparing.merges),
        records=gone.records,
        adoptable=tuple(write for write in comparing.same if write.path not in owned),
        edited=tuple(sorted(path for path, own in owned.items() if _edited(target.get(path), own))),
        orphans=gone.orphans,
        dropped=gone.dropped,
    )


class _Comparing:
    """Sorts wanted writes by what stands at their paths."""

    def __init__(self, wanted: Wanted, target: Tree, owned: Manifest, before: Manifest) -> None:
        self._wanted = wanted
        self._target = target
        self._owned = owned
        self._before = before
        self._folders = Folders(wanted.writes, target)
        self.writes: list[PlannedWrite] = []
        self.same: list[PlannedWrite] = []
        self.merges: list[PlannedWrite] = []
        self.refused: list[Refusal] = []

    def take(self, write: PlannedWrite) -> None:
        if sentence := self._folders.clash(write.path):
            self.refused.append(refusal(write, sentence))
            return
        there = self._target.get(write.path)
        old = (canonical(there[0]), there[1]) if there else None
        if old == (write.mode, write.oid):
            self.same.append(write)
            return
        # what we wrote, or would have written from the last commit that was copied
        known = [one[write.path] for one in (self._owned, self._before) if write.path in one]
        edited = all((own.mode, own.target_oid) != old for own in known)
        if old is None:
            edited = write.path in self._owned
        write = replace(write, old=old, edited=edited and bool(known))
        self._place(write, known=bool(known), kept=edited)

    def _place(self, write: PlannedWrite, *, known: bool, kept: bool) -> None:
        """`kept`: what stands there is not ours, so the policy for edits decides."""
        policy = self._wanted.edits[write.flow_index] if self._wanted.edits else "overwrite"
        if not kept or policy == "overwrite":
            self.writes.append(write)
        elif policy == "merge" and write.old is not None and known:
            self.merges.append(write)
        else:
            self.refused.append(refusal(write, _held(write, known=known)))


def _held(write: PlannedWrite, *, known: bool) -> str:
    name = shown(write.path)
    if write.old is None:
        return f"{name} was deleted in the target since it was copied, so it is not written again."
    if known:
        return f"{name} was changed in the target since it was copied, so it is left as it is."
    return f"{name} is in the target already with other content, so it is left as it is."


def _edited(there: tuple[str, str] | None, own: Owned) -> bool:
    return there is not None and (canonical(there[0]), there[1]) != (own.mode, own.target_oid)


def merged(plan: Plan, results: Mapping[bytes, PlannedWrite | str]) -> Plan:
    """The plan with its `merges` settled: by path the write with the merged content, or why there is none.

    A write whose content stands there already joins `same`.
    """
    writes, same, refused = list(plan.writes), list(plan.same), list(plan.refused)
    for write in plan.merges:
        result = results[write.path]
        if isinstance(result, str):
            refused.append(refusal(write, result))
        elif (result.mode, result.oid) == result.old:
            same.append(result)
        else:
            writes.append(result)
    return replace(
        plan,
        writes=tuple(sorted(writes, key=_by_path)),
        same=tuple(sorted(same, key=_by_path)),
        refused=_ordered(refused),
        merges=(),
    )


def refused(plan: Plan, sentences: Mapping[bytes, str]) -> Plan:
    """The plan without the writes at these paths; each is refused with its sentence."""
    left = [write for write in plan.writes if write.path in sentences]
    if not left:
        return plan
    return replace(
        plan,
        writes=tuple(write for write in plan.writes if write.path not in sentences),
        refused=_ordered((*plan.refused, *(refusal(write, sentences[write.path]) for write in left))),
    )


def with_writes(plan: Plan, writes: Sequence[PlannedWrite], refused: Sequence[Refusal]) -> Plan:
    """The plan with more writes and refusals."""
    return replace(
        plan,
        writes=tuple(sorted((*plan.writes, *writes), key=_by_path)),
        refused=_ordered((*plan.refused, *refused)),
    )


def plan_gone(
    flows: Sequence[Flow], orphans: Manifest, lost: Wanted, target: Tree, recorded: Collection[bytes]
) -> Gone:
    """What becomes of what the rule wrote and places no more (`orphans`), as the options of its flow say.

    `lost` is what the rules would make of the sources that are gone: it tells the flow of each path. Those
    among its paths that are in `recorded` are recorded. Nothing outside of `orphans` is ever deleted.
    """
    found = _Going(flows, lost, target)
    for path in sorted(orphans):
        found.take(path, orphans[path])
    for path in sorted(path for path in recorded if path in lost.writes):
        found.record(path, lost.writes[path].source_path)
    return found.finished()


class _Going:
    def __init__(self, flows: Sequence[Flow], lost: Wanted, target: Tree) -> None:
        self._flows = flows
        self._lost = lost
        self._target = target
        self._deletes: list[PlannedDelete] = []
        self._refused: list[Refusal] = []
        self._records: dict[bytes, PlannedRecord] = {}
        self._orphans: list[bytes] = []
        self._dropped: list[bytes] = []

    def take(self, path: bytes, own: Owned) -> None:
        there = self._target.get(path)
        if there is None:
            self._dropped.append(path)
            return
        if self._deletions(path).policy != "delete":
            self._orphans.append(path)
        elif _edited(there, own):
            sentence = (
                f"{shown(path)} has no source any more, but was changed in the target since it was copied: "
                "it stays, and is no longer ours."
            )
            self._refused.append(Refusal(own.source_path, path, sentence, 0))
            self._dropped.append(path)
        else:
            self._deletes.append(PlannedDelete(own.source_path, path, (canonical(there[0]), there[1])))

    def record(self, path: bytes, source_path: bytes) -> None:
        deletions = self._deletions(path)
        if deletions.policy == "record" and path in self._target:
            self._records[path] = PlannedRecord(
                source_path, path, deletions.file, deletions.repository, deletions.branch
            )

    def _deletions(self, path: bytes) -> Deletions:
        """What the flow that placed the file says; where none of today would, what all of them agree on."""
        write = self._lost.writes.get(path)
        if write is not None:
            return self._flows[write.flow_index].options.deletions
        said = {flow.options.deletions for flow in self._flows}
        return said.pop() if len(said) == 1 else Deletions()

    def finished(self) -> Gone:
        return Gone(
            tuple(self._deletes),
            tuple(self._refused),
            tuple(self._records.values()),
            tuple(self._orphans),
            tuple(self._dropped),
        )


def _ordered(refused: Iterable[Refusal]) -> tuple[Refusal, ...]:
    return tuple(sorted(refused, key=lambda one: (one.source_path, one.path, one.flow_index, one.rule_index)))


def _by_path(write: PlannedWrite) -> bytes:
    return write.path


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
