"""The metrics as one JSON document: for the whole and by source repository.

Everything is for the last day (`window_seconds`). What is not known is null and named in
`not_collected`, so that it is never taken for 0.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from opssight.core.clock import now
from opssight.health import source_names, uptime_seconds
from opssight.metrics import numbers
from repos.models import Delivery, Repository
from syncs.models import BAD_ITEMS, ItemState, Trigger

_Verdict = Delivery.Verdict
_FAILED = (_Verdict.UNAUTHENTIC, _Verdict.UNREADABLE, _Verdict.ERROR)


def document() -> dict[str, Any]:
    """`{"global": {...}, "by_source": {full name: {"webhooks", "files"}}}`, real numbers only."""
    deliveries, answers, items = numbers.deliveries(), numbers.answers(), _with_source(numbers.copied())
    queues, told = numbers.queue(), numbers.notices()
    return {
        "window_seconds": int(numbers.WINDOW.total_seconds()),
        "timestamp": now().isoformat(),
        "global": {
            "webhooks": _webhooks(deliveries, answers),
            "files": _files(items),
            "queues": {
                "due": sum(row["due"] for row in queues),
                "later": sum(row["later"] for row in queues),
                "running": sum(row["n"] for row in numbers.running()),
                "audit_unsealed": numbers.unsealed(),
                "notices_waiting": told["waiting"],
            },
            "workers": numbers.workers(),
            "system": {"uptime_seconds": uptime_seconds()},
            "github_api": None,
            "not_collected": ["github_api"],
        },
        "by_source": _by_source(deliveries, answers, items),
    }


def _by_source(deliveries: numbers.Rows, answers: numbers.Rows, items: numbers.Rows) -> dict[str, Any]:
    ids = {row["source"] for row in [*deliveries, *items]} - {None}
    rows = Repository.objects.filter(pk__in=ids).order_by("full_name", "id")
    names = source_names(rows.values_list("pk", "full_name", "connection__name"))
    return {
        name: {
            "webhooks": _webhooks(_of(pk, deliveries), _of(pk, answers)),
            "files": _files(_of(pk, items)),
        }
        for pk, name in names.items()
    }


def _of(source: uuid.UUID, rows: numbers.Rows) -> numbers.Rows:
    return [row for row in rows if row["source"] == source]


def _with_source(items: numbers.Rows) -> numbers.Rows:
    """A run that nobody's push caused has no repository: then its job's own source counts."""
    jobs = {row["job_id"] for row in items if row["source"] is None} - {None}
    sources = dict(
        Trigger.objects.filter(job_id__in=jobs).order_by("-id").values_list("job_id", "repository_id")
    )
    return [{**row, "source": row["source"] or sources.get(row["job_id"])} for row in items]


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
        "success_rate": _rate(processed, failed),
        "processing_time": _times(times),
    }


def _files(items: numbers.Rows) -> dict[str, Any]:
    done = [row["result"] for row in items if row["state"] in (ItemState.DONE, ItemState.SKIPPED)]
    failed = [row for row in items if row["state"] in BAD_ITEMS]
    uploaded = _sum(result.get("files") for result in done)
    equal = _sum(result.get("equal") for result in done)
    # how many files a target that failed before its plan would have got is not known
    upload_failed = _sum(sum(row["planned"].values()) if row["planned"] else None for row in failed)
    known = {
        "matched": None if None in (uploaded, equal, upload_failed) else uploaded + equal + upload_failed,  # type: ignore[operator]
        "uploaded": uploaded,
        "equal": equal,
        "refused": _sum(result.get("refused_count") for result in done),
        "upload_failed": upload_failed,
        "targets": len(items),
        "targets_failed": len(failed),
        "deprecated": None,
        "upload_success_rate": _rate(len(items) - len(failed), len(failed)) if done or failed else None,
        "upload_time": _times(_spans(items)),
    }
    unknown = [
        name for name in ("matched", "uploaded", "equal", "refused", "upload_failed") if known[name] is None
    ]
    return {**known, "not_collected": [*unknown, "deprecated"]}


def _spans(items: numbers.Rows) -> list[float]:
    pairs: list[tuple[dt.datetime | None, dt.datetime | None]] = [
        (row["started_at"], row["finished_at"]) for row in items
    ]
    return [max((end - start).total_seconds(), 0.0) for start, end in pairs if start and end]


def _sum(values: Iterable[int | None]) -> int | None:
    """The sum, or None when one of them is not known."""
    found = list(values)
    return None if None in found else sum(value or 0 for value in found)


def _rate(good: int, bad: int) -> float | None:
    """Per cent, or None when there was nothing."""
    return round(100 * good / (good + bad), 2) if good + bad else None


def _times(took: Sequence[float]) -> dict[str, Any]:
    """Milliseconds; null where nothing was measured. `samples` says from how many."""
    ordered = sorted(second * 1_000 for second in took)
    names = {"p50_ms": 0.5, "p95_ms": 0.95, "p99_ms": 0.99}
    if not ordered:
        return {"samples": 0, **dict.fromkeys(["avg_ms", "min_ms", "max_ms", *names])}
    return {
        "samples": len(ordered),
        "avg_ms": round(sum(ordered) / len(ordered), 1),
        "min_ms": round(ordered[0], 1),
        "max_ms": round(ordered[-1], 1),
        **{name: round(numbers.percentile(ordered, share), 1) for name, share in names.items()},
    }
