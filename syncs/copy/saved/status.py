"""How far behind the copies of a repository are: stored when a run ends, read by every page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from django.db.models import OuterRef, Subquery

from opssight.core.clock import now
from opssight.core.words import count
from repos.models import Repository, RepositoryStatus
from syncs.copy.models import CopyRule, CopyTarget
from syncs.copy.transfer.transfer import Source
from syncs.models import BAD_ITEMS, Item, ItemState, Job, Run, RunState

LANE = "copy"


@dataclass(frozen=True)
class _Standing:
    """How far the targets are. `behind`: commits; None where that is not known."""

    state: Literal["fresh", "behind", "failed"]
    sentence: str
    behind: int | None = None


def saw(rule: CopyRule, source: Source) -> None:
    """Keep what a run found at the rule's branch, for all rules that read it. A tag says nothing of it."""
    if source.end.tag:
        return
    branch = source.end.branch
    CopyRule.objects.filter(source=rule.source_id, source_branch=branch).update(head_oid=source.head)
    seen = Repository.objects.filter(pk=rule.source_id, default_branch=branch)
    seen.update(head_oid=source.head, head_seen_at=now())


def update(rule: CopyRule, source: Source, run: Run) -> None:
    """Write the status of the source repository's copy lane, over all rules that read from it.

    A target whose pull request brings the head of its rule's branch has what we can give it. `behind` counts
    commits between a target and that head, at the one that lacks most; None where that is not known. A run
    for a tag tells how far its own targets are.
    """
    found = _at_tag(source, run) if source.end.tag else _at_heads(source, _targets_of(rule.source_id), run)
    seen = source.head if source.end.tag else Repository.objects.get(pk=rule.source_id).head_oid
    RepositoryStatus.objects.update_or_create(
        repository=rule.source,
        lane=LANE,
        defaults={
            "state": found.state,
            "sentence": found.sentence,
            "fresh_oid": seen if found.state == "fresh" else "",
            "behind": found.behind,
            "fresh_at": now(),
            "last_run": run.pk,
        },
    )


def _targets_of(source: UUID) -> list[CopyTarget]:
    rows = CopyTarget.objects.filter(rule__source=source, rule__job__enabled=True)
    return list(rows.select_related("rule__source", "state"))


def _at_heads(source: Source, targets: list[CopyTarget], run: Run) -> _Standing:
    at_head = sum(is_at_head(target) for target in targets)
    proposed = sum(_is_proposed(target) for target in targets)
    waits = f", {proposed} in pull requests" if proposed else ""
    sentence = f"{at_head} of {count(len(targets), 'target')} at HEAD{waits}"
    behind = _behind(targets, source)
    if Item.objects.filter(run=run, state__in=BAD_ITEMS).exists():
        return _Standing("failed", sentence, behind)
    return _Standing("fresh" if at_head + proposed == len(targets) else "behind", sentence, behind)


def _at_tag(source: Source, run: Run) -> _Standing:
    states = list(Item.objects.filter(run=run).values_list("state", flat=True))
    there = sum(state in (ItemState.DONE, ItemState.SKIPPED) for state in states)
    sentence = f"{there} of {count(len(states), 'target')} at {source.end.tag[:100]}"
    return _Standing("failed" if any(state in BAD_ITEMS for state in states) else "fresh", sentence)


def _behind(targets: list[CopyTarget], source: Source) -> int | None:
    """By what is merged or proposed, whichever is newer."""
    if not targets or any(not hasattr(target, "state") for target in targets):
        return None
    store = source.end.store
    known = {(target.state.proposed_oid or target.state.source_oid, target.rule.head) for target in targets}
    counts = [store.count_between(oid, head) if oid and head else None for oid, head in known]
    return None if None in counts else max(c for c in counts if c is not None)


def is_at_head(target: CopyTarget) -> bool:
    """Whether a target holds the newest commit that is known of its rule's branch."""
    head = target.rule.head
    return bool(head) and hasattr(target, "state") and target.state.source_oid == head


def _is_proposed(target: CopyTarget) -> bool:
    """Whether that commit waits in a pull request."""
    head = target.rule.head
    proposed = bool(head) and hasattr(target, "state") and target.state.proposed_oid == head
    return proposed and not is_at_head(target)


def standings_of(targets: Sequence[CopyTarget]) -> dict[int, str]:
    """How far each target is, by its id, as a key of STATES. Two queries."""
    jobs = {target.rule_id for target in targets}
    going_on = Run.objects.filter(job_id__in=jobs, state=RunState.RUNNING)
    running = set(going_on.values_list("job_id", flat=True))
    failed = _failed_targets(jobs)
    return {target.pk: _standing(target, running, failed) for target in targets}


def _failed_targets(jobs: set[UUID]) -> set[str]:
    """The targets that failed in the newest finished run of their rule."""
    ended = Run.objects.filter(job=OuterRef("pk")).exclude(state__in=[RunState.QUEUED, RunState.RUNNING])
    newest = Job.objects.filter(pk__in=jobs).annotate(last=Subquery(ended.order_by("-id").values("pk")[:1]))
    rows = Item.objects.filter(run__in=newest.values("last"), state__in=BAD_ITEMS)
    return set(rows.values_list("key", flat=True))


def _standing(target: CopyTarget, running: set[UUID | None], failed: set[str]) -> str:
    if target.rule_id in running:
        return "running"
    if str(target.pk) in failed:
        return "failed"
    if not target.rule.head or not hasattr(target, "state"):
        return "unknown"
    return "at_head" if is_at_head(target) else "behind"
