"""The metrics as one JSON document: for the whole and by source repository.

Everything is for the last day (`window_seconds`). What is not known is null and named in
`not_collected`, so that it is never taken for 0.
"""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from opssight import health
from opssight.core.clock import now
from opssight.core.ids import as_uuid
from opssight.health import source_names, uptime_seconds
from opssight.metrics import copies, numbers
from repos.models import Delivery, Repository
from syncs.models import Trigger

_Verdict = Delivery.Verdict
_FAILED = (_Verdict.UNAUTHENTIC, _Verdict.UNREADABLE, _Verdict.ERROR)


def document(crosses: bool | None = None) -> dict[str, Any]:
    """`{"global": {...}, "by_source": {full name: {"webhooks", "files"}}}`, real numbers only.

    `crosses`: only copies to other owners or hosts (True), or only those within one (False).
    """
    deliveries, answers, copied = numbers.deliveries(), numbers.answers(), numbers.copied()
    complete = len(copied) < numbers.MOST
    items = [row for row in copied if crosses is None or copies.crosses(row) is crosses]
    items = _with_source(items)
    queues, told = numbers.queue(), numbers.notices()
    github = numbers.github_api()
    return {
        "window_seconds": int(numbers.WINDOW.total_seconds()),
        "timestamp": now().isoformat(),
        "global": {
            "webhooks": _webhooks(deliveries, answers),
            "files": {**copies.files(items), "complete": complete},
            "queues": {
                "due": sum(row["due"] for row in queues),
                "later": sum(row["later"] for row in queues),
                "running": sum(row["n"] for row in numbers.running()),
                "audit_unsealed": numbers.unsealed(),
                "notices_waiting": told["waiting"],
            },
            "workers": numbers.workers(),
            "system": {"uptime_seconds": uptime_seconds()},
            "github_api": github,
            "not_collected": [] if github else ["github_api"],
        },
        "by_source": _by_source(deliveries, answers, items, complete=complete),
    }


def _by_source(
    deliveries: numbers.Rows, answers: numbers.Rows, items: numbers.Rows, *, complete: bool
) -> dict[str, Any]:
    ids = {row["source"] for row in [*deliveries, *items]} - {None}
    ids |= set(Trigger.objects.filter(job__kind="copy").values_list("repository_id", flat=True))
    rows = Repository.objects.filter(pk__in=ids).order_by("full_name", "id")
    names = source_names(rows.values_list("pk", "full_name", "connection__name"))
    last = {source.pk: source.last_webhook for source in health.sources()}
    return {
        name: {
            "webhooks": _webhooks(_of(pk, deliveries), _of(pk, answers)),
            "files": {**copies.files(_of(pk, items)), "complete": complete},
            "last_webhook": at.isoformat() if (at := last.get(pk)) else None,
        }
        for pk, name in names.items()
    }


def _of(source: uuid.UUID, rows: numbers.Rows) -> numbers.Rows:
    return [row for row in rows if row["source"] == source]


def _with_source(items: numbers.Rows) -> numbers.Rows:
    """By what the item says it came from; else by its run's repository, else by its job's."""
    jobs = {row["job_id"] for row in items if row["source"] is None} - {None}
    sources = dict(
        Trigger.objects.filter(job_id__in=jobs).order_by("-id").values_list("job_id", "repository_id")
    )

    def source_of(row: dict[str, Any]) -> uuid.UUID | None:
        return as_uuid(str(row["result"].get("from"))) or row["source"] or sources.get(row["job_id"])

    return [{**row, "source": source_of(row)} for row in items]


def _webhooks(deliveries: numbers.Rows, answers: numbers.Rows) -> dict[str, Any]:
    verdicts, events = Counter[str](), Counter[str]()
    for row in deliveries:
        verdicts[row["verdict"]] += row["n"]
        events[row["event"] or "unknown"] += row["n"]
    processed = verdicts[_Verdict.ACCEPTED]
    failed = sum(verdicts[verdict] for verdict in _FAILED)
    times = [row["took"] for row in answers]
    return {
        "received": sum(verdicts.values()),
        "processed": processed,
        "failed": failed,
        "ignored": verdicts[_Verdict.IGNORED],
        "duplicates": sum(row["again"] for row in deliveries),
        "event_types": dict(events),
        "success_rate": copies.rate(processed, failed),
        "processing_time": numbers.times(times),
    }
