"""Deletions that are recorded instead of made: in the target's own commit, or in one elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from opssight.core.errors import InvalidInput
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
from syncs.copy.rules.paths import shown
from syncs.copy.transfer.making import Origin
from syncs.copy.transfer.merging import Bring
from syncs.copy.transfer.transfer import (
    Copier,
    End,
    Message,
    Source,
    Target,
    open_target,
    until_pushed,
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
        self._entries: dict[bytes, list[Entry]] = {}  # of each list that the plan writes

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

    def content(self, path: bytes) -> bytes:
        """What a list that the plan writes will hold; made again, for plans are kept and lists are large."""
        return self._added(path)[0]

    def _added(self, path: bytes) -> tuple[bytes, list[Entry]]:
        return added(_content(self._store, self._bring, self._files.get(path)), self._entries[path])

    def _write(
        self, plan: Plan, path: bytes, records: Sequence[PlannedRecord]
    ) -> tuple[PlannedWrite, set[str]]:
        if any(write.path == path for write in (*plan.writes, *plan.same)):
            raise InvalidInput("records deletions and is copied from the source as well; name another file")
        taken = {write.path: write for write in plan.writes}
        if sentence := Folders({**taken, path: PlannedWrite(b"", path, "", "", 0)}, self._files).clash(path):
            raise InvalidInput(f"cannot record deletions: {sentence.removesuffix('.')}")
        old = self._files.get(path)
        self._entries[path] = entries(records, self._flow, self._origin.store, self._origin.head)
        data, fresh = self._added(path)
        mode = _mode(old)
        oid = blob_oid(data, self._origin.head)
        there = (mode, old[1]) if old else None
        return PlannedWrite(b"", path, mode, oid, 0, old=there), {entry.filename for entry in fresh}


def _content(store: Store, bring: Bring, old: tuple[str, str] | None) -> bytes | None:
    """What the list holds; None where there is none. Raises `InvalidInput` for what can be no list."""
    if old is None:
        return None
    if not old[0].startswith("100"):
        raise InvalidInput("is no plain file, so no deletions are recorded in it; name another file")
    try:
        bring([old[1]], MAX_BYTES)
        fits = store.size(old[1]) <= MAX_BYTES  # what was packed well may still be large
    except TooLarge:
        fits = False
    if not fits:
        raise InvalidInput(f"is larger than {MAX_BYTES // 1_000_000} MB; name another file")
    return store.blob(old[1], MAX_BYTES)


def _mode(old: tuple[str, str] | None) -> str:
    return canonical(old[0]) if old else "100644"


def record_elsewhere(copier: Copier, end: End, wanted: DeletionList, message: Message) -> str:
    """Add the entries to the list at `end`, as a commit there. "" where it has all of them.

    Raises `Conflict` after losing three times against others, and what git says about that repository.
    """
    copier.require_signature(end, message.sign)
    return until_pushed(end, end.branch, copier.steps, lambda: _attempt(copier, end, wanted, message))


def _attempt(copier: Copier, end: End, wanted: DeletionList, message: Message) -> str | None:
    """None when the branch moved meanwhile."""
    path = wanted.file.encode("utf-8", "surrogateescape")
    target = open_target(end, copier.steps)
    try:
        data, fresh = added(_content(end.store, end.bring, target.files.get(path)), wanted.entries)
    except InvalidInput as error:
        raise InvalidInput(f"{shown(path)} in {end.name} {error.sentence}.") from None
    return _push(copier, target, path, data, wanted, message) if fresh else ""


def _push(
    copier: Copier, target: Target, path: bytes, data: bytes, wanted: DeletionList, message: Message
) -> str | None:
    end = target.end
    title = f"Record {count(len(wanted.entries), 'deleted file')} of {message.flow.target_repo}"
    text = f"{title}\n\n{message.trailers}"
    with copier.stores.view([end.store]) as view:
        write = Write(path, _mode(target.files.get(path)), view.write_blob(data))
        commit = copier.made(view, end, target.tip, [write], text=text, sign=message.sign)
        update = RefUpdate(end.ref.encode(), commit, target.tip, force=target.tip is None)
        result = copier.push(view, end, update)
    return commit if result.ok else None
