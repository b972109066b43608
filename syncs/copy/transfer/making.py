"""What the rules make of a source's contents: read in one go, one file in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from opssight.core.errors import InvalidInput
from repos.git.store import Store
from repos.git.types import NO_OBJECT, Change
from repos.kept import kept
from syncs.copy.plan.contents import (
    LFS_BYTES,
    MAX_BYTES,
    applying,
    blob_oid,
    is_binary,
    is_lfs_pointer,
    is_utf8,
    transformed,
)
from syncs.copy.plan.planned import Notice, Owned, PlannedWrite, Refusal, SourceFile
from syncs.copy.plan.wanted import Wanted, refusal, wanted
from syncs.copy.rules.config import Flow
from syncs.copy.rules.options import Options, Transform
from syncs.copy.rules.paths import as_bytes, built_in_variables, shown

_KEPT: Final = 100_000  # blobs whose size is remembered


@dataclass(frozen=True)
class Origin:
    """The source at one commit. What is read of it is kept for the next target: a commit never changes."""

    folder: Path
    head: str
    store: Store = field(compare=False)

    @classmethod
    def of(cls, store: Store, head: str) -> Origin:
        return cls(store.folder, head, store)

    def files(self) -> Mapping[bytes, SourceFile]:
        """The whole tree by path."""
        return _files(self)

    def changes(self, base: str) -> Sequence[Change]:
        return _changes(self, base)


@kept(len)
def _files(origin: Origin) -> Mapping[bytes, SourceFile]:
    return {one.path: SourceFile(one.path, one.mode, one.oid) for one in origin.store.tree(origin.head)}


@kept(len)
def _changes(origin: Origin, base: str) -> Sequence[Change]:
    return tuple(origin.store.changes(base, origin.head))


def placed(origin: Origin, flows: Sequence[Flow]) -> Wanted:
    """What the flows want of the whole tree, with the contents of the source."""
    return _placed(origin, tuple(_deciding(flow) for flow in flows))


@kept(lambda found: len(found.matches))
def _placed(origin: Origin, flows: tuple[Flow, ...]) -> Wanted:
    return wanted(flows, origin.files().values())


def _deciding(flow: Flow) -> Flow:
    """What decides about files, without the names: it is the same for many targets."""
    kept = Options(edits=flow.options.edits, transforms=flow.options.transforms, sign=flow.options.sign)
    return Flow("", "", "", flow.rules, "", "", flow.match, flavour=flow.flavour, options=kept)


def former(changes: Iterable[Change]) -> list[SourceFile]:
    """The old side of changes: the files as they were."""
    return [
        SourceFile(change.old_path or change.path, change.old_mode, change.old_oid)
        for change in changes
        if change.old_oid != NO_OBJECT
    ]


@dataclass
class Made:
    """Writes with the contents that the rules make, and what came up on the way."""

    wanted: Wanted
    notices: dict[bytes, Notice] = field(default_factory=dict)


class Maker:
    """Makes the contents that flows want of a commit. `pr_number` is for `${pr_number}` in them."""

    def __init__(self, flows: Sequence[Flow], origin: Origin, pr_number: str = "") -> None:
        self.flows = flows
        self.origin = origin
        self._pr_number = pr_number

    def made(self, wants: Wanted, commit: str = "") -> Made:
        """The wanted writes with the ids of their contents. A file that cannot be changed is refused.

        `commit`: for `${commit_sha}`, empty for the head.
        """
        asked = [write for write in wants.writes.values() if self._applying(write)]
        if not asked:
            return Made(wants)
        writes = dict(wants.writes)
        refused: list[Refusal] = []
        found = Made(wants)
        for write, data in self._read(asked):
            sentence = _unchanged(data)
            if sentence:
                name = shown(write.source_path)
                found.notices[write.path] = Notice(write.source_path, write.path, f"{name} {sentence}.")
            try:
                oid = write.oid if data is None else self._oid(write, data, wants, commit)
            except InvalidInput as error:
                refused.append(refusal(write, f"{shown(write.source_path)} {error.sentence}."))
                del writes[write.path]
                continue
            if oid != write.oid:
                writes[write.path] = replace(write, oid=oid, source_oid=write.oid)
        found.wanted = replace(wants, writes=writes, refused=(*wants.refused, *refused))
        return found

    def before(self, base: str, changes: Sequence[Change]) -> dict[bytes, Owned]:
        """What the rules make of the changed files as they were at `base`, by path in the target."""
        made = self.made(wanted(self.flows, former(changes)), base)
        return {path: write.owned for path, write in made.wanted.writes.items()}

    def contents(self, writes: Sequence[PlannedWrite], wants: Wanted) -> Iterator[bytes]:
        """The contents of writes that differ from the source's."""
        for write, data in self._read(writes):
            if data is not None:
                yield self.content(write, data, wants)

    def content(self, write: PlannedWrite, data: bytes, wants: Wanted, commit: str = "") -> bytes:
        """What the rules make of the source's `data` for this write. Raises `InvalidInput`."""
        if is_binary(data) or not is_utf8(data) or is_lfs_pointer(data):
            return data
        values = self._values(write, wants, commit)
        return transformed(self._applying(write), data, values)

    def _oid(self, write: PlannedWrite, data: bytes, wants: Wanted, commit: str) -> str:
        made = self.content(write, data, wants, commit)
        return write.oid if made == data else blob_oid(made, write.oid)

    def _applying(self, write: PlannedWrite) -> Sequence[Transform]:
        return applying(self.flows[write.flow_index].options.transforms, write.path, write.mode)

    def _read(self, writes: Iterable[PlannedWrite]) -> Iterator[tuple[PlannedWrite, bytes | None]]:
        """Each write with the source's content; None where that is too large."""
        by_oid: dict[str, list[PlannedWrite]] = {}
        for write in writes:
            by_oid.setdefault(write.origin, []).append(write)
        for oid, data in self.origin.store.blobs(by_oid, limit=MAX_BYTES):
            for write in by_oid[oid]:
                yield write, data

    def _values(self, write: PlannedWrite, wants: Wanted, commit: str) -> dict[str, bytes]:
        flow = self.flows[write.flow_index]
        known = {
            "rule_name": flow.name,
            "source_repo": flow.source_repo,
            "target_repo": flow.target_repo,
            "source_branch": flow.source_branch,
            "target_branch": flow.target_branch,
            "commit_sha": commit or self.origin.head,
            **({"pr_number": self._pr_number} if self._pr_number else {}),
        }
        texts = {name: as_bytes(text) for name, text in known.items()}
        return texts | dict(wants.variables.get(write.path, {})) | built_in_variables(write.source_path)


def _unchanged(data: bytes | None) -> str:
    """Why the transforms of the rule leave a file as it is; empty where that goes without saying."""
    if data is None:
        return f"is larger than {MAX_BYTES // 1_000_000} MB, so its content is copied unchanged"
    if not is_binary(data) and not is_utf8(data):
        return "is text in another encoding than UTF-8, so its content is copied unchanged"
    return ""


@dataclass(frozen=True)
class Fact:
    """What is known of a blob, in whatever repository: its bytes, and whether it only points to LFS."""

    size: int
    pointer: bool


_facts: dict[str, Fact] = {}


def facts_of(store: Store, oids: Iterable[str]) -> Mapping[str, Fact]:
    """What is known of contents that are in the store."""
    wanted_oids = list(dict.fromkeys(oids))
    found = {oid: fact for oid in wanted_oids if (fact := _facts.get(oid))}
    sizes = store.sizes(oid for oid in wanted_oids if oid not in found)
    small = [oid for oid, size in sizes.items() if size in LFS_BYTES]
    pointers = {oid for oid, data in store.blobs(small) if data and is_lfs_pointer(data)} if small else set()
    fresh = {oid: Fact(size, oid in pointers) for oid, size in sizes.items()}
    if len(_facts) + len(fresh) > _KEPT:
        _facts.clear()
    _facts.update(fresh)
    return found | fresh
