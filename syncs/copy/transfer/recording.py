"""Deletions that are recorded instead of made: in the target's own commit, or in one elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from opssight.core.errors import Conflict, InvalidInput
from opssight.core.words import count
from repos.git.errors import TooLarge
from repos.git.store import Store
from repos.git.types import RefUpdate, Write
from syncs.copy.plan.contents import MAX_BYTES, blob_oid
from syncs.copy.plan.folders import Folders
from syncs.copy.plan.plan import with_writes
from syncs.copy.plan.planned import Plan, PlannedRecord, PlannedWrite, Refusal, Tree
from syncs.copy.plan.record import Entry, added
from syncs.copy.plan.wanted import canonical
from syncs.copy.rules.config import Flow
from syncs.copy.rules.options import Signing
from syncs.copy.rules.paths import shown
from syncs.copy.transfer.making import Origin
from syncs.copy.transfer.merging import Bring
from syncs.copy.transfer.transfer import (
    REBUILDS,
    RUN_KEY,
    SOURCE,
    Copier,
    End,
    Message,
    Source,
    Target,
    open_target,
)


@dataclass(frozen=True)
class DeletionList:
    """A list in another repository or branch than the target, and what is to be written down in it."""

    repository: str
    branch: str
    file: str
    entries: Sequence[Entry]


def lists_of(plan: Plan, source: Source, message: Message) -> Iterator[DeletionList]:
    """The lists elsewhere that the plan writes to; each becomes one commit there."""

    def place(record: PlannedRecord) -> tuple[str, str, str]:
        return record.repository, record.branch, record.file

    records = sorted((one for one in plan.records if one.repository), key=place)
    for (repository, branch, file), group in groupby(records, key=place):
        lines = entries(group, message.flow, source.end.store, source.head)
        yield DeletionList(repository, branch, file, lines)


def entries(records: Iterable[PlannedRecord], flow: Flow, store: Store, head: str) -> list[Entry]:
    """What is written down of files of the flow's target. `head`: the source commit without their sources."""
    at = store.commit_info(head).at
    return [Entry(_name(one.path), flow.target_repo, flow.target_branch, at) for one in records]


def _name(path: bytes) -> str:
    return path.decode("utf-8", "backslashreplace")


class Recorder:
    """Writes the list where it stands in the target's own branch."""

    def __init__(self, flow: Flow, origin: Origin, store: Store, files: Tree, bring: Bring) -> None:
        self._flow = flow
        self._origin = origin
        self._store = store
        self._files = files
        self._bring = bring
        self.contents: dict[bytes, bytes] = {}  # of each list that the plan writes

    def recorded(self, plan: Plan, here: tuple[str, str]) -> Plan:
        """The plan with the lists of the branch `here` among its writes.

        Its `records` are those that are new there, and all of elsewhere, each with its repository and branch.
        """
        groups: dict[bytes, list[PlannedRecord]] = {}
        kept: list[PlannedRecord] = []
        for record in plan.records:
            place = (record.repository or here[0], record.branch or here[1])
            if place == here:
                groups.setdefault(record.file.encode("utf-8", "surrogateescape"), []).append(record)
            else:
                kept.append(replace(record, repository=place[0], branch=place[1]))
        writes: list[PlannedWrite] = []
        refused: list[Refusal] = []
        for path, records in sorted(groups.items()):
            try:
                write, fresh = self._write(plan, path, records)
                writes += [write] if fresh else []
                kept += [one for one in records if _name(one.path) in fresh]
            except InvalidInput as error:
                refused.append(Refusal(b"", path, f"{shown(path)} {error.sentence}.", 0))
        return with_writes(
            replace(plan, records=tuple(sorted(kept, key=lambda one: one.path))), writes, refused
        )

    def _write(
        self, plan: Plan, path: bytes, records: Sequence[PlannedRecord]
    ) -> tuple[PlannedWrite, set[str]]:
        if any(write.path == path for write in (*plan.writes, *plan.same)):
            raise InvalidInput("records deletions and is copied from the source as well; name another file")
        taken = {write.path: write for write in plan.writes}
        if sentence := Folders({**taken, path: PlannedWrite(b"", path, "", "", 0)}, self._files).clash(path):
            raise InvalidInput(f"cannot record deletions: {sentence.removesuffix('.')}")
        old = self._files.get(path)
        lines = entries(records, self._flow, self._origin.store, self._origin.head)
        data, fresh = added(self._existing(old), lines)
        self.contents[path] = data
        mode = canonical(old[0]) if old else "100644"
        oid = blob_oid(data, self._origin.head)
        there = (mode, old[1]) if old else None
        return PlannedWrite(b"", path, mode, oid, 0, old=there), {entry.filename for entry in fresh}

    def _existing(self, old: tuple[str, str] | None) -> bytes | None:
        if old is None:
            return None
        if not old[0].startswith("100"):
            raise InvalidInput("is no plain file, so no deletions are recorded in it; name another file")
        self._bring([old[1]])
        return _read(self._store, old[1])


def _read(store: Store, oid: str) -> bytes:
    try:
        return store.blob(oid, MAX_BYTES)
    except TooLarge:
        raise InvalidInput(f"is larger than {MAX_BYTES // 1_000_000} MB; name another file") from None


def record_elsewhere(copier: Copier, end: End, wanted: DeletionList, message: Message) -> str:
    """Add the entries to the list at `end`, as a commit there. "" where it has all of them.

    Raises `Conflict` after losing three times against others, and what git says about that repository.
    """
    path = wanted.file.encode("utf-8", "surrogateescape")
    copier.require_signature(end, message.sign)
    for _ in range(REBUILDS):
        target = open_target(end, copier.steps)
        old = target.files.get(path)
        try:
            data, fresh = added(_content(end, old), wanted.entries)
        except InvalidInput as error:
            raise InvalidInput(f"{shown(path)} in {end.name} {error.sentence}.") from None
        if not fresh:
            return ""
        text = _message(message, len(wanted.entries))
        if commit := _push(copier, target, path, data, text, message.sign):
            return commit
    raise Conflict(f"{end.name} {end.branch} changed each time just before our push; it is tried again.")


def _message(message: Message, number: int) -> str:
    flow = message.flow
    return (
        f"Record {count(number, 'deleted file')} of {flow.target_repo}\n\n"
        f"{SOURCE}: {flow.source_repo}@{message.head}\n{RUN_KEY}: {message.run_key}\n"
    )


def _content(end: End, old: tuple[str, str] | None) -> bytes | None:
    if old is None:
        return None
    if not old[0].startswith("100"):
        raise InvalidInput("is no plain file, so no deletions are recorded in it; name another file")
    if end.store.partial:
        end.store.prefetch(end.remote, [old[1]])
    return _read(end.store, old[1])


def _push(copier: Copier, target: Target, path: bytes, data: bytes, message: str, sign: Signing) -> str:
    end = target.end
    with copier.stores.view([end.store]) as view:
        oid = view.write_blob(data)
        mode = canonical(target.files[path][0]) if path in target.files else "100644"
        commit = copier.made(view, end, target.tip, [Write(path, mode, oid)], text=message, sign=sign)
        update = RefUpdate(end.ref.encode(), commit, target.tip, force=target.tip is None)
        result = copier.push(view, end, update)
    return commit if result.ok else ""
