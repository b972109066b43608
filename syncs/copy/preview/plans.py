"""Plans for pages: the ones that a run would make now, kept while what they depend on stays the same.

Reads this machine's stores only; contents that are missing are fetched beside the request.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
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
from syncs.copy.transfer.planning import Look
from syncs.copy.transfer.transfer import target_files

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
    target: CopyTarget
    tip: str
    memory: tuple[object, ...]
    pr_number: str

    @property
    def repository_id(self) -> UUID:
        return self.target.repository.pk

    @property
    def key(self) -> Hashable:
        """The same for the same plan; of a target that is not saved, where it is."""
        place = (self.target.pk, self.repository_id, self.target.branch)
        return self.origin, self.base, self.flows, place, self.tip, self.memory, self.pr_number


class PlanCache:
    """The plans that were asked for last."""

    def __init__(self) -> None:
        self._plans: OrderedDict[Hashable, tuple[Planned, int]] = OrderedDict()
        self._files = 0
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Planned | None:
        with self._lock:
            if key not in self._plans:
                return None
            self._plans.move_to_end(key)
            return self._plans[key][0]

    def put(self, key: Hashable, planned: Planned, files: int) -> None:
        with self._lock:
            if key in self._plans:
                return  # somebody else asked at the same time
            self._plans[key] = planned, files
            self._files += files
            while self._files > MOST_FILES and len(self._plans) > 1:
                _, (_, gone) = self._plans.popitem(last=False)
                self._files -= gone


_cache = PlanCache()


def planned(asked: Asked) -> Planned:
    """The plan, and what makes its contents. Raises `Conflict` while something is fetched, and other
    `Failure`s.
    """
    key = asked.key
    if found := _cache.get(key):
        return found
    files = kept_files(asked.repository_id, asked.tip) if asked.tip else {}
    store = access.stores().store(asked.repository_id) if asked.tip else asked.origin.store
    planner = planner_of(asked.target, asked.flows, asked.base, asked.pr_number)

    def brought(oids: Sequence[str], limit: int | None = None) -> None:
        # without the limit: what is fetched beside a page cannot tell it why it failed
        bring(asked.repository_id, oids)

    made = Look(planner, asked.origin, store, files, brought)
    plan = made.plan()
    _cache.put(key, (plan, made), _ONE_PLAN + len(plan.matches) + len(files))
    return plan, made


def bring(repository_id: UUID, oids: Sequence[str]) -> None:
    """Contents of a target for a page, which does not wait: raises `Conflict` while they are on their way."""
    repository = Repository.objects.select_related("connection").get(pk=repository_id)
    there = warm.blobs(repository, oids)
    if there.fetching:
        raise Conflict(f"{repository.full_name} is being fetched. Ask again in a moment.")
    if there.sentence:
        raise PermanentFailure(there.sentence)


@lru_cache(maxsize=32)
def kept_files(repository_id: UUID, oid: str) -> Files:
    """Every file of a commit; kept, since a commit never changes."""
    return target_files(access.stores().store(repository_id), oid)
