"""Plans for pages: the ones that a run would make now, kept while what they depend on stays the same.

Reads this machine's stores only; contents that are missing are fetched beside the request.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

from opssight.core.errors import Conflict, PermanentFailure
from repos import access, warm
from repos.git.errors import TooLarge
from repos.kept import kept
from repos.models import Repository
from syncs.copy.models import CopyTarget
from syncs.copy.plan.planned import Plan
from syncs.copy.rules.config import Flow
from syncs.copy.saved.collisions import in_the_way
from syncs.copy.saved.planner import planner_of
from syncs.copy.transfer.making import Origin
from syncs.copy.transfer.planning import Look
from syncs.copy.transfer.transfer import target_files

Files = dict[bytes, tuple[str, str]]  # path -> (mode, oid)

_WAIT: Final = 2.0  # seconds


@dataclass(frozen=True)
class Asked:
    """What a plan depends on: equal ones have the same plan. The flows name repositories as messages do;
    `base` and `pr_number` are as in `FilePlanner`. `tip` is the target's commit, empty for an empty
    repository; `memory` is what `ownership.as_of` says of it. `place` is the target's id, None for one that
    is not saved, its repository and its branch. `team` is the one whose rules may be named.
    """

    origin: Origin
    base: str | None
    flows: tuple[Flow, ...]
    target: CopyTarget = field(compare=False)
    place: tuple[int | None, UUID, str]
    team: UUID | None
    tip: str
    memory: tuple[object, ...]
    pr_number: str

    @property
    def repository_id(self) -> UUID:
        return self.place[1]


def planned(asked: Asked) -> tuple[Plan, Look]:
    """The plan, and what makes its contents. Raises `Conflict` while something is fetched, and other
    `Failure`s.
    """
    plan, made, _ = _planned(asked)
    return plan, made


@kept(lambda found: len(found[0].matches) + len(found[2]))
def _planned(asked: Asked) -> tuple[Plan, Look, Files]:
    files = kept_files(asked.repository_id, asked.tip) if asked.tip else {}
    store = access.stores().store(asked.repository_id) if asked.tip else asked.origin.store
    planner = planner_of(asked.target, asked.flows, asked.base, asked.pr_number)
    if asked.team is None:
        planner.others = partial(_unnamed, asked.target)

    def brought(oids: Sequence[str], limit: int | None = None) -> None:
        bring(asked.repository_id, oids, limit)

    made = Look(planner, asked.origin, store, files, brought)
    return made.plan(), made, files


def _unnamed(target: CopyTarget, paths: Collection[bytes]) -> dict[bytes, str]:
    return dict.fromkeys(in_the_way(target, paths), "a rule of another team")


def bring(repository_id: UUID, oids: Sequence[str], limit: int | None = None) -> None:
    """Contents of a target for a page, which does not wait: raises `Conflict` while they are on their way.

    More than `limit` bytes stay where they are: `TooLarge`.
    """
    repository = Repository.objects.select_related("connection").get(pk=repository_id)
    contents = warm.blobs(repository, oids, limit=limit, wait=_WAIT)
    if contents.fetching:
        raise Conflict(f"{repository.full_name} is being fetched. Ask again in a moment.")
    if contents.too_large:
        raise TooLarge(
            f"A file in {repository.full_name} is larger than the limit of {limit:,} bytes. Leave it out."
        )
    if not contents.here:
        raise PermanentFailure(contents.sentence)


@kept(len)
def kept_files(repository_id: UUID, oid: str) -> Files:
    """Every file of a commit; kept, since a commit never changes."""
    return target_files(access.stores().store(repository_id), oid)
