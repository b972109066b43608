"""Which files of a target a rule wrote: the memory that deletions, edits and merges go by.

A row says what a file was made from and what was made of it. Only paths with a row are ever deleted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import islice
from typing import Final

from django.db import transaction

from repos.git.store import Store
from repos.git.types import Change
from syncs.copy.models import CopyState, CopyTarget, OwnedFile
from syncs.copy.plan import manifest
from syncs.copy.plan.planned import Owned, Plan, PlannedDelete, PlannedWrite
from syncs.copy.transfer.trailers import RUN_KEY
from syncs.models import Job

_BATCH: Final = 200  # rows in one transaction: others may want to write as well
_FIELDS: Final = ("path", "source_path", "source_oid", "target_oid", "mode")

Fence = Callable[[], AbstractContextManager[object]]  # a transaction; of a run that still has its lease


def manifest_of(target: CopyTarget) -> dict[bytes, Owned]:
    """What the rule wrote to the target's branch, by path; without what waits in a pull request."""
    rows = OwnedFile.objects.filter(target=target, pending=False).values_list(*_FIELDS)
    return {
        bytes(path): Owned(bytes(source_path), source_oid, target_oid, mode)
        for path, source_path, source_oid, target_oid, mode in rows.iterator()
    }


def as_of(target: CopyTarget) -> tuple[object, ...]:
    """Another one whenever this rule or others may remember something else of the target's branch."""
    rows = CopyTarget.objects.filter(repository=target.repository_id, branch=target.branch).order_by("pk")
    job = ("rule__job__name", "rule__job__enabled", "rule__job__version")
    state = ("updated_at", "source_oid", "proposed_oid", "pushed_oid", "pull_number")
    return tuple(rows.values_list("pk", *job, *(f"state__{name}" for name in state)))


def others_of(target: CopyTarget, paths: Collection[bytes]) -> dict[Job, list[bytes]]:
    """Those of `paths` in the target's branch that other rules wrote, by the rule, if it is switched on."""
    place = {"target__repository": target.repository_id, "target__branch": target.branch}
    rows = OwnedFile.objects.filter(**place, pending=False, target__rule__job__enabled=True)
    rows = rows.exclude(target_id=target.pk).select_related("target__rule__job__version").order_by("pk")
    found: dict[Job, list[bytes]] = {}
    if not rows.exists():
        return found
    for batch in _batches(sorted(paths)):
        for row in rows.filter(path_hash__in=[path_hash(path) for path in batch]):
            found.setdefault(row.target.rule.job, []).append(bytes(row.path))
    return found


def remember(
    target: CopyTarget,
    plan: Plan,
    *,
    fence: Fence = transaction.atomic,
    pending: bool = False,
    adopt: bool = False,
) -> None:
    """Store what became of a plan whose commit was pushed (or that needed none).

    `pending`: the commit is in a pull request. `adopt`: files that were there already become the rule's.
    Calling it again changes nothing.
    """
    known = manifest_of(target)
    now = manifest.kept(known, plan, adopt=adopt)
    written = manifest.written(plan)
    if pending:
        _replace_pending(target, written, fence)
    else:
        now |= written
    _forget(target, manifest.forgotten(known, plan, pending=pending), fence)
    _keep(target, {path: own for path, own in now.items() if known.get(path) != own}, fence, pending=False)


def settle(target: CopyTarget, fence: Fence = transaction.atomic) -> None:
    """The pull request was merged: what it wrote is in the target's branch."""
    waiting = OwnedFile.objects.filter(target=target, pending=True).values_list(*_FIELDS)
    rows = {bytes(row[0]): Owned(bytes(row[1]), *row[2:]) for row in waiting.iterator()}
    _keep(target, rows, fence, pending=False)
    with fence():
        OwnedFile.objects.filter(target=target, pending=True).delete()


def hand_over(old: CopyTarget, new: CopyTarget) -> None:
    """What the rule wrote through one target is known at another one of the same branch."""
    known = OwnedFile.objects.filter(target=new, pending=False).values("path_hash")
    rows = OwnedFile.objects.filter(target=old, pending=False).exclude(path_hash__in=known)
    rows.update(target=new)
    _hand_on(old, new)


def _hand_on(old: CopyTarget, new: CopyTarget) -> None:
    """How far the branch is. What was proposed and not merged is compared again, and arrives the new way."""
    if state := CopyState.objects.filter(target=old).first():
        CopyState.objects.get_or_create(target=new, defaults={"source_oid": state.source_oid})


def written_by(store: Store, commit: str) -> tuple[str | None, list[Change]]:
    """The parent of a commit of ours (None: it is the first one), and what it changed."""
    [found] = store.commits_between(None, commit, trailer=RUN_KEY, limit=1)
    parent = found.parents[0] if found.parents else None
    return parent, store.changes(parent, commit)


def carried_out(plan: Plan, changes: Iterable[Change]) -> Plan:
    """What a pushed commit did, by its `changes`; `plan` was made afterwards, so it lacks that."""
    known = {write.path: write for write in (*plan.same, *plan.writes)}
    writes: list[PlannedWrite] = []
    deletes: list[PlannedDelete] = []
    for change in changes:
        old = None if change.status in "AR" else (change.old_mode, change.old_oid)
        if change.status in "DR":
            gone = change.old_path or change.path
            deletes.append(PlannedDelete(b"", gone, (change.old_mode, change.old_oid)))
        if change.status != "D":
            # a list of deletions is in no plan once it is written
            write = known.get(change.path, PlannedWrite(b"", change.path, change.mode, change.oid, 0))
            writes.append(replace(write, old=old, edited=False))
    done = {write.path for write in writes}
    return replace(
        plan,
        writes=tuple(sorted(writes, key=lambda write: write.path)),
        deletes=tuple(sorted(deletes, key=lambda delete: delete.path)),
        same=tuple(write for write in plan.same if write.path not in done),
        adoptable=tuple(write for write in plan.adoptable if write.path not in done),
        edited=tuple(path for path in plan.edited if path not in done),
    )


def _replace_pending(target: CopyTarget, written: Mapping[bytes, Owned], fence: Fence) -> None:
    with fence():
        OwnedFile.objects.filter(target=target, pending=True).delete()
    _keep(target, written, fence, pending=True)


def _keep(target: CopyTarget, rows: Mapping[bytes, Owned], fence: Fence, *, pending: bool) -> None:
    for batch in _batches([*rows]):
        with fence():
            OwnedFile.objects.bulk_create(
                [_row(target, path, rows[path], pending) for path in batch],
                update_conflicts=True,
                unique_fields=["target", "path_hash", "pending"],
                update_fields=["source_path", "source_oid", "target_oid", "mode"],
            )


def _row(target: CopyTarget, path: bytes, own: Owned, pending: bool) -> OwnedFile:
    return OwnedFile(
        target=target,
        path_hash=path_hash(path),
        path=path,
        source_path=own.source_path,
        source_oid=own.source_oid,
        target_oid=own.target_oid,
        mode=own.mode,
        pending=pending,
    )


def _forget(target: CopyTarget, paths: Sequence[bytes], fence: Fence) -> None:
    for batch in _batches(paths):
        hashes = [path_hash(path) for path in batch]
        with fence():
            OwnedFile.objects.filter(target=target, pending=False, path_hash__in=hashes).delete()


def path_hash(path: bytes) -> bytes:
    """What a path is found by: names may be longer than an index takes."""
    return hashlib.blake2b(path, digest_size=16).digest()


def _batches(paths: Sequence[bytes]) -> Iterator[list[bytes]]:
    left = iter(paths)
    while batch := list(islice(left, _BATCH)):
        yield batch
