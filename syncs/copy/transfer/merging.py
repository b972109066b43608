"""Merges the edited files of one target, as `edits: merge` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from opssight.core.errors import Failure, InvalidInput
from repos.git.errors import TooLarge
from repos.git.store import Store
from syncs.copy.plan.contents import MAX_BYTES, blob_oid
from syncs.copy.plan.planned import Manifest, Owned, Plan, PlannedWrite
from syncs.copy.plan.threeway import Version, merge
from syncs.copy.plan.wanted import Wanted
from syncs.copy.rules.paths import shown
from syncs.copy.transfer.making import Maker

_TOO_LARGE = f"is larger than {MAX_BYTES // 1_000_000} MB, too large to merge"
_NO_BASE = "was changed in the target, and what was copied before is not to be found any more"


class Bring(Protocol):
    """Brings contents of the target to this machine, by their ids.

    Of more than `limit` bytes it may raise `TooLarge`, and leave them there.
    """

    def __call__(self, oids: Sequence[str], limit: int | None = None) -> None: ...


class Merger:
    """`owned` and `before` are those of `plan_wanted`: what we wrote is the base of a merge."""

    def __init__(
        self, maker: Maker, wants: Wanted, owned: Manifest, before: Manifest, target: Store, bring: Bring
    ) -> None:
        self._maker = maker
        self._wants = wants
        self._owned = owned
        self._before = before
        self._target = target
        self._bring = bring

    def results(self, plan: Plan) -> dict[bytes, PlannedWrite | str]:
        """What becomes of each of the plan's `merges`, as `plan.merged` takes it."""
        there = [write.old[1] for write in plan.merges if write.old and _regular(write)]
        if there:
            self._bring(there)
        return {write.path: self._result(write) for write in plan.merges}

    def content(self, write: PlannedWrite) -> bytes:
        """The content of a write that was merged; it is merged again."""
        mine = replace(write, oid=write.made, made_oid="")
        version = self._merged(mine)
        if isinstance(version, str):
            raise InvalidInput(f"{shown(write.path)} {version}.")
        return version.data

    def _result(self, write: PlannedWrite) -> PlannedWrite | str:
        version = self._merged(write)
        if isinstance(version, str):
            return f"{shown(write.path)} {version}, so it is left as it is. Change it there by hand."
        oid = blob_oid(version.data, write.oid)
        edited = oid != write.made
        made = write.made
        return replace(
            write, mode=version.mode, oid=oid, source_oid=write.origin, made_oid=made, edited=edited
        )

    def _merged(self, write: PlannedWrite) -> Version | str:
        own = self._owned.get(write.path) or self._before[write.path]
        if write.old is None or not _regular(write) or own.mode[:3] != "100":
            return "is a symbolic link on one side, which cannot be merged"
        try:
            base = self._base(own, write)
            if base is None:
                return _NO_BASE
            return merge(
                self._target.git,
                base=Version(own.mode, base),
                ours=Version(write.mode, self._ours(write)),
                theirs=Version(write.old[0], self._target.blob(write.old[1], MAX_BYTES)),
            )
        except TooLarge:
            return _TOO_LARGE

    def _ours(self, write: PlannedWrite) -> bytes:
        data = self._maker.origin.store.blob(write.origin, MAX_BYTES)
        return self._maker.content(write, data, self._wants) if write.origin != write.made else data

    def _base(self, own: Owned, write: PlannedWrite) -> bytes | None:
        """What the rule made of the source when it wrote the file."""
        source = self._maker.origin.store
        if source.has(own.target_oid):
            return source.blob(own.target_oid, MAX_BYTES)
        if (made := self._made_again(own, write)) is not None:
            return made
        if not self._target.has(own.target_oid):
            self._bring_if_there(own.target_oid)
        return self._target.blob(own.target_oid, MAX_BYTES) if self._target.has(own.target_oid) else None

    def _made_again(self, own: Owned, write: PlannedWrite) -> bytes | None:
        source = self._maker.origin.store
        if not source.has(own.source_oid):
            return None
        former = replace(write, source_path=own.source_path, mode=own.mode, oid=own.source_oid, source_oid="")
        try:
            data = self._maker.content(former, source.blob(own.source_oid, MAX_BYTES), self._wants)
        except InvalidInput:
            return None
        return data if blob_oid(data, own.target_oid) == own.target_oid else None

    def _bring_if_there(self, oid: str) -> None:
        """Content that was merged over may be in no history of the target: then it cannot be had."""
        try:
            self._bring([oid])
        except Failure as failure:
            if failure.retryable:
                raise


def _regular(write: PlannedWrite) -> bool:
    return write.mode.startswith("100") and write.old is not None and write.old[0].startswith("100")
