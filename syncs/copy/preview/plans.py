"""Plans for pages: the ones that a run would make now, kept while what they depend on stays the same.

Reads this machine's stores only; contents that are missing are fetched beside the request.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Final
from uuid import UUID

from opssight.core.errors import Conflict, PermanentFailure
from repos import access, warm
from repos.models import Repository
from syncs.copy.models import CopyTarget
from syncs.copy.plan.planned import Plan
from syncs.copy.rules.config import Flow
from syncs.copy.saved.planner import planner_of
from syncs.copy.transfer.making import Origin
from syncs.copy.transfer.planning import Look, look

MOST_FILES: Final = 500_000  # of all plans that are kept, here and there: some 250 bytes each
_ONE_PLAN: Final = 1_000  # files that a plan without any counts as

Files = dict[bytes, tuple[str, str]]  # path -> (mode, oid)
Planned = tuple[Plan, Look]


@dataclass(frozen=True)
class Asked:
    """What a plan depends on. The flows name repositories as messages do; `base` and `pr_number` are as in
    `FilePlanner`. `tip` is the target's commit, empty for an empty repository; `memory` is what
    `ownership.as_of` says of it.
    """

    origin: Origin
    base: str | None
    flows: tuple[Flow, ...]
    target_id: int | None
    repository_id: UUID
    branch: str
    tip: str
    memory: tuple[object, ...]
    pr_number: str
    target: CopyTarget = field(compare=False)


class _Kept:
    """The plans that were asked for last."""

    def __init__(self) -> None:
        self._plans: OrderedDict[Asked, tuple[Planned, int]] = OrderedDict()
        self._files = 0
        self._lock = threading.Lock()

    def get(self, asked: Asked) -> Planned | None:
        with self._lock:
            if asked not in self._plans:
                return None
            self._plans.move_to_end(asked)
            return self._plans[asked][0]

    def put(self, asked: Asked, planned: Planned, files: int) -> None:
        with self._lock:
            if asked in self._plans:
                return  # somebody else asked at the same time
            self._plans[asked] = planned, files
            self._files += files
            while self._files > MOST_FILES and len(self._plans) > 1:
                _, (_, gone) = self._plans.popitem(last=False)
                self._files -= gone


_kept = _Kept()


def planned(asked: Asked) -> Planned:
    """The plan, and what makes its contents. Raises `Conflict` while something is fetched, and other
    `Failure`s.
    """
    if found := _kept.get(asked):
        return found
    files = target_files(asked.repository_id, asked.tip) if asked.tip else {}
    store = access.stores().store(asked.repository_id) if asked.tip else None
    planner = planner_of(asked.target, asked.flows, asked.base, asked.pr_number)
    made = look(planner, asked.origin, store, files, partial(bring, asked.repository_id))
    _kept.put(asked, made, _ONE_PLAN + len(made[0].matches) + len(files))
    return made


def bring(repository_id: UUID, oids: Sequence[str]) -> None:
    """Contents of a target for a page, which does not wait: raises `Conflict` while they are on their way."""
    repository = Repository.objects.select_related("connection").get(pk=repository_id)
    there = warm.blobs(repository, oids)
    if there.fetching:
        raise Conflict(f"{repository.full_name} is being fetched. Ask again in a moment.")
    if there.sentence:
        raise PermanentFailure(there.sentence)


@lru_cache(maxsize=32)
def target_files(repository_id: UUID, oid: str) -> Files:
    """Every file of a commit; kept, since a commit never changes."""
    store = access.stores().store(repository_id)
    return {entry.path: (entry.mode, entry.oid) for entry in store.tree(oid)}
