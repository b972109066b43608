"""How far behind the copies of a repository are: stored when a run ends, read by every page."""

from __future__ import annotations

from opssight.core.clock import now
from opssight.core.words import count
from repos.models import Repository, RepositoryStatus
from syncs.copy.models import CopyRule, CopyTarget
from syncs.copy.transfer import Source
from syncs.models import BAD_ITEMS, Item, ItemState, Run

LANE = "copy"


def update(rule: CopyRule, source: Source, run: Run) -> None:
    """Write the status of the source repository's copy lane, over all rules that read from it.

    A target whose pull request brings the head has what we can give it. `behind` counts commits between the
    oldest target and the head, None where that is not known. A run for a tag tells how far its own targets
    are.
    """
    if source.end.tag:
        _at_tag(rule, source, run)
        return
    targets = list(
        CopyTarget.objects.filter(rule__source=rule.source, rule__job__enabled=True).select_related("state")
    )
    known = [target.state for target in targets if hasattr(target, "state")]
    at_head = [state for state in known if state.source_oid == source.head]
    proposed = [state for state in known if source.head == state.proposed_oid != state.source_oid]
    waits = f", {len(proposed)} in pull requests" if proposed else ""
    failed = Item.objects.filter(run=run, state__in=BAD_ITEMS).count()
    behind = _behind(targets, source)
    have = len(at_head) + len(proposed)
    state = "failed" if failed else ("fresh" if have == len(targets) else "behind")
    RepositoryStatus.objects.update_or_create(
        repository=rule.source,
        lane=LANE,
        defaults={
            "state": state,
            "sentence": f"{len(at_head)} of {count(len(targets), 'target')} at HEAD{waits}",
            "fresh_oid": source.head if state == "fresh" else "",
            "behind": behind,
            "fresh_at": now(),
            "last_run": run.pk,
        },
    )
    Repository.objects.filter(pk=rule.source_id).update(head_oid=source.head, head_seen_at=now())


def _at_tag(rule: CopyRule, source: Source, run: Run) -> None:
    items = list(Item.objects.filter(run=run).values_list("state", flat=True))
    there = [state for state in items if state in (ItemState.DONE, ItemState.SKIPPED)]
    state = "failed" if any(state in BAD_ITEMS for state in items) else "fresh"
    RepositoryStatus.objects.update_or_create(
        repository=rule.source,
        lane=LANE,
        defaults={
            "state": state,
            "sentence": f"{len(there)} of {count(len(items), 'target')} at {source.end.tag[:100]}",
            "fresh_oid": source.head if state == "fresh" else "",
            "behind": None,
            "fresh_at": now(),
            "last_run": run.pk,
        },
    )


def _behind(targets: list[CopyTarget], source: Source) -> int | None:
    """By what is merged or proposed, whichever is newer."""
    if not targets or any(not hasattr(target, "state") for target in targets):
        return None
    known = {target.state.proposed_oid or target.state.source_oid for target in targets}
    counts = [source.end.store.count_between(oid, source.head) for oid in known]
    return None if None in counts else max(c for c in counts if c is not None)
