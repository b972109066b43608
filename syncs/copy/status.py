"""How far behind the copies of a repository are: stored when a run ends, read by every page."""

from __future__ import annotations

from opssight.core.clock import now
from opssight.core.words import count
from repos.models import Repository, RepositoryStatus
from syncs.copy.models import CopyRule, CopyTarget
from syncs.copy.transfer import Source
from syncs.models import BAD_ITEMS, Item, Run

LANE = "copy"


def update(rule: CopyRule, source: Source, run: Run) -> None:
    """Write the status of the source repository's copy lane, over all rules that read from it.

    `behind` counts commits between the oldest target and the head, None where that is not known.
    """
    targets = list(
        CopyTarget.objects.filter(rule__source=rule.source, rule__job__enabled=True).select_related("state")
    )
    at_head = [t for t in targets if hasattr(t, "state") and t.state.source_oid == source.head]
    failed = Item.objects.filter(run=run, state__in=BAD_ITEMS).count()
    behind = _behind(targets, source)
    state = "failed" if failed else ("fresh" if len(at_head) == len(targets) else "behind")
    RepositoryStatus.objects.update_or_create(
        repository=rule.source,
        lane=LANE,
        defaults={
            "state": state,
            "sentence": f"{len(at_head)} of {count(len(targets), 'target')} at HEAD",
            "fresh_oid": source.head if state == "fresh" else "",
            "behind": behind,
            "fresh_at": now(),
            "last_run": run.pk,
        },
    )
    Repository.objects.filter(pk=rule.source_id).update(head_oid=source.head, head_seen_at=now())


def _behind(targets: list[CopyTarget], source: Source) -> int | None:
    known = {t.state.source_oid for t in targets if hasattr(t, "state")}
    if len(known) < 1 or any(not hasattr(t, "state") for t in targets):
        return None
    counts = [source.end.store.count_between(oid, source.head) for oid in known]
    return None if None in counts else max(c for c in counts if c is not None)
