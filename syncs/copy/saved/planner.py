"""The planner of a saved target: the run and every page ask it the same question."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from syncs.copy.models import CopyTarget
from syncs.copy.rules.config import Flow
from syncs.copy.saved import ownership
from syncs.copy.saved.collisions import in_the_way
from syncs.copy.transfer.planning import FilePlanner, Place


def planner_of(
    target: CopyTarget, flows: Sequence[Flow], base: str | None, pr_number: str = ""
) -> FilePlanner:
    """Plans with what the rule remembers of the target, which is nothing where it is not saved yet.

    The flows name repositories as messages do; `base` is the source commit that the target holds. Raises
    `PermanentFailure` where the flows cannot be signed as one commit.
    """
    kind = target.repository.connection.provider
    place = Place.of(str(target.repository_id), target.branch, kind, flows)
    owned = ownership.manifest_of(target) if target.pk else {}
    return FilePlanner(flows, base, place, owned, pr_number, partial(in_the_way, target))
