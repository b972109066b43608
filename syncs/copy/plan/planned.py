"""What a plan is made of: the files here, the files there, and what is to be done about them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

Tree = Mapping[bytes, tuple[str, str]]  # path -> (mode, oid)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file at the source commit, as `git ls-tree` gives it."""

    path: bytes
    mode: str
    oid: str


@dataclass(frozen=True, slots=True)
class Owned:
    """A file of the target that the rule wrote: what it was made from, and what the rule made of it.

    Where edits of the target were merged in, the target holds other content than `target_oid`.
    """

    source_path: bytes
    source_oid: str
    target_oid: str
    mode: str


Manifest = Mapping[bytes, Owned]  # by path in the target


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """A file to be written at `path`. `old` is what stands there now, None for a new file.

    `rule_index` counts the rules of the flow from 0; `flow_index` the flows that are planned together.
    `source_oid` is the content at the source and `made_oid` what the rule makes of it; each is empty where
    it is the same as the content that is written, `oid`. `edited`: what stands there is not what we wrote.
    A file that records deletions has no `source_path`.
    """

    source_path: bytes
    path: bytes
    mode: str
    oid: str
    rule_index: int
    flow_index: int = 0
    old: tuple[str, str] | None = None
    source_oid: str = ""
    made_oid: str = ""
    edited: bool = False

    @property
    def action(self) -> Literal["add", "change"]:
        return "add" if self.old is None else "change"

    @property
    def origin(self) -> str:
        """The content at the source."""
        return self.source_oid or self.made

    @property
    def made(self) -> str:
        """What the rule makes of the source's content."""
        return self.made_oid or self.oid

    @property
    def merged(self) -> bool:
        """Whether edits of the target are kept in what is written."""
        return self.made != self.oid

    @property
    def owned(self) -> Owned:
        """What is to be remembered of it once it is written."""
        return Owned(self.source_path, self.origin, self.made, self.mode)


@dataclass(frozen=True, slots=True)
class PlannedDelete:
    """A file to be deleted at `path`, since `source_path` is there no more. `old`: what stands there now."""

    source_path: bytes
    path: bytes
    old: tuple[str, str]


@dataclass(frozen=True, slots=True)
class PlannedRecord:
    """A file at `path` whose source is gone, to be written into a list; see `options.Deletions`.

    Empty `repository` and `branch` are the target's, whose own commit brings the list.
    """

    source_path: bytes
    path: bytes
    file: str
    repository: str = ""
    branch: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file that a rule takes but that is not written, and why. `path` is the source's without a target.

    Also one that would be deleted and stays.
    """

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


@dataclass(frozen=True, slots=True)
class Notice:
    """Something to know about a file that is written at `path`."""

    source_path: bytes
    path: bytes
    sentence: str


@dataclass(frozen=True)
class Plan:
    """Everything is in order of its path; equal input gives an equal plan and digest.

    `same` are the writes that the target does not need any more; `matches` each source path that a
    rule takes with the index of that rule; `matched` how many source files those are.

    `merges` are writes onto edited files that still have to be merged. `adoptable` are those of `same` that
    the rule did not write. `edited` and `orphans` are paths that the rule wrote: with other content now, and
    without a source any more. `dropped` are those that it has nothing to do with any more.
    """

    writes: tuple[PlannedWrite, ...]
    same: tuple[PlannedWrite, ...]
    refused: tuple[Refusal, ...]
    skipped: tuple[Skip, ...]
    matches: tuple[tuple[bytes, int], ...]
    deletes: tuple[PlannedDelete, ...] = ()
    merges: tuple[PlannedWrite, ...] = ()
    records: tuple[PlannedRecord, ...] = ()
    notices: tuple[Notice, ...] = ()
    adoptable: tuple[PlannedWrite, ...] = ()
    edited: tuple[bytes, ...] = ()
    orphans: tuple[bytes, ...] = ()
    dropped: tuple[bytes, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether the target stays as it is."""
        return not self.writes and not self.deletes

    @property
    def file_count(self) -> int:
        """How many files of the target change."""
        return len(self.writes) + len(self.deletes)

    @property
    def equal(self) -> int:
        """How many files are there already as they should be."""
        return len(self.same)

    @property
    def matched(self) -> int:
        return len({path for path, _ in self.matches})

    @property
    def merged(self) -> int:
        """How many writes keep what was edited at the target."""
        return sum(1 for write in self.writes if write.merged)

    @property
    def overwritten(self) -> int:
        """How many writes go over what somebody else has written at the target."""
        return sum(1 for write in self.writes if write.edited and not write.merged)

    @cached_property
    def digest(self) -> str:
        """SHA-256 over what would be written and deleted, over what, what is recorded and what is refused.

        No two plans share its text: it is Python's own spelling of their fields.
        """
        written = [(one.source_path, one.path, one.mode, one.oid, one.old) for one in self.writes]
        deleted = [(one.source_path, one.path, one.old) for one in self.deletes]
        recorded = [(one.path, one.file, one.repository, one.branch) for one in self.records]
        left = [(one.source_path, one.path, one.sentence) for one in self.refused]
        return hashlib.sha256(repr((written, deleted, recorded, left)).encode()).hexdigest()


EMPTY: Final = Plan((), (), (), (), ())


@dataclass(frozen=True)
class Delta:
    """How many files of a target a new version of a rule adds, changes and no longer places."""

    added: int
    changed: int
    removed: int
