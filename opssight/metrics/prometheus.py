"""The metrics as Prometheus reads them, computed from the database when it asks.

Because nothing is counted in a process, the numbers are the same whichever process or machine is
asked. What was counted over time is given for the last day, as gauges.
"""

from __future__ import annotations

import shutil
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from django.conf import settings
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from opssight.core.clock import now
from opssight.health import uptime_seconds, version
from opssight.metrics import copies, numbers
from syncs.engine.kinds import all_kinds

METRICS: dict[str, str] = {
    "opssight_info": "Always 1; the label version says which OpsSight answers.",
    "opssight_uptime_seconds": "For how long the web process that answers runs.",
    "opssight_workers": "Workers with a sign of life in the last 15 seconds.",
    "opssight_worker_slots": "How many runs these workers can work on at once.",
    "opssight_queue_due": "Runs that could start now, by lane.",
    "opssight_queue_later": "Runs that wait for a time of their own (retry, rate limit, burst), by lane.",
    "opssight_queue_oldest_due_seconds": "How long the oldest due run waits, by lane; absent when none does.",
    "opssight_runs_running": "Runs that are being worked on, by lane.",
    "opssight_runs_last_day": "Runs asked for in the last 24 hours, by kind, lane and state.",
    "opssight_run_crashes_last_day": "How often runs of the last 24 hours lost their worker, by kind.",
    "opssight_run_seconds_last_day": "How long runs of the last 24 hours took, by kind and quantile.",
    "opssight_deliveries_last_day": "Webhook deliveries stored in the last 24 hours, by verdict.",
    "opssight_delivery_duplicates_last_day": "How often deliveries of the last 24 hours came again.",
    "opssight_delivery_answer_seconds_last_day": "From a delivery to the end of its run, by quantile.",
    "opssight_copy_targets_last_day": "Targets of copy runs of the last 24 hours, by state of the item.",
    "opssight_copy_cross_organization_targets_last_day": (
        "Those of them that belong to another owner or host than their source, by state of the item."
    ),
    "opssight_copy_files_last_day": (
        "Files in copy runs of the last 24 hours: written, equal, refused, deleted, or recorded as gone."
    ),
    "opssight_connections": "Connections, by provider and state.",
    "opssight_repositories": "Repositories in the inventory, by state.",
    "opssight_jobs": "Jobs, by kind and whether they are enabled.",
    "opssight_audit_unsealed": "Audit events that wait for their seal; normally below 2 seconds old.",
    "opssight_notices_waiting": "Notices that are not delivered yet.",
    "opssight_notices_given_up_last_day": "Notices given up in the last 24 hours.",
    "opssight_disk_free_bytes": "Free space on the disk of a folder: data or stores.",
}
"""Every metric with its help; the reference page has a heading for each."""

QUANTILES = (0.5, 0.95, 0.99)

Samples = Iterator[tuple[Sequence[str], float]]


def text() -> bytes:
    """All metrics in Prometheus' text format."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(FromDatabase())
    return generate_latest(registry)


class FromDatabase(Collector):
    """Computes every metric when it is collected."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield _gauge("opssight_info", ["version"], iter([([version()], 1.0)]))
        yield _gauge("opssight_uptime_seconds", [], iter([([], uptime_seconds())]))
        yield from _workers()
        yield from _queue()
        yield from _runs()
        yield from _deliveries()
        yield from _copies()
        yield from _inventory()
        yield from _upkeep()


def _gauge(name: str, labels: Sequence[str], samples: Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, METRICS[name], labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _counted(name: str, labels: Sequence[str], rows: numbers.Rows, column: str = "n") -> GaugeMetricFamily:
    return _gauge(name, labels, (([_label(row[key]) for key in labels], row[column]) for row in rows))


def _label(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _workers() -> Iterator[GaugeMetricFamily]:
    found = numbers.workers()
    yield _gauge("opssight_workers", [], iter([([], found["workers"])]))
    yield _gauge("opssight_worker_slots", [], iter([([], found["slots"])]))


def _queue() -> Iterator[GaugeMetricFamily]:
    lanes = [kind.lane for kind in all_kinds()]
    queued: numbers.Rows = [{"lane": lane, "due": 0, "later": 0, "oldest": None} for lane in lanes]
    queued = list({row["lane"]: row for row in [*queued, *numbers.queue()]}.values())
    yield _counted("opssight_queue_due", ["lane"], queued, "due")
    yield _counted("opssight_queue_later", ["lane"], queued, "later")
    at = now()
    ages = (([row["lane"]], (at - row["oldest"]).total_seconds()) for row in queued if row["oldest"])
    yield _gauge("opssight_queue_oldest_due_seconds", ["lane"], ages)
    running = dict.fromkeys(lanes, 0) | {row["lane"]: row["n"] for row in numbers.running()}
    yield _gauge("opssight_runs_running", ["lane"], (([lane], n) for lane, n in running.items()))


def _runs() -> Iterator[GaugeMetricFamily]:
    yield _counted("opssight_runs_last_day", ["kind", "lane", "state"], numbers.runs())
    yield _counted("opssight_run_crashes_last_day", ["kind"], numbers.crashes())
    times = defaultdict(list)
    for row in numbers.run_times():
        times[row["kind"]].append(row["took"])
    yield _quantiles(
        "opssight_run_seconds_last_day", ["kind"], {(kind,): took for kind, took in times.items()}
    )


def _deliveries() -> Iterator[GaugeMetricFamily]:
    rows = numbers.deliveries()
    verdicts: dict[str, int] = defaultdict(int)
    for row in rows:
        verdicts[row["verdict"]] += row["n"]
    by_verdict = (([verdict], number) for verdict, number in verdicts.items())
    yield _gauge("opssight_deliveries_last_day", ["verdict"], by_verdict)
    again = sum(row["again"] for row in rows)
    yield _gauge("opssight_delivery_duplicates_last_day", [], iter([([], again)]))
    took = [row["took"] for row in numbers.answers()]
    yield _quantiles("opssight_delivery_answer_seconds_last_day", [], {(): took} if took else {})


def _quantiles(name: str, labels: list[str], values: dict[tuple[str, ...], list[float]]) -> GaugeMetricFamily:
    samples = (
        ([*key, str(share)], numbers.percentile(sorted(found), share))
        for key, found in values.items()
        for share in QUANTILES
    )
    return _gauge(name, [*labels, "quantile"], samples)


def _copies() -> Iterator[GaugeMetricFamily]:
    rows = numbers.copied()
    files = copies.outcomes(rows)
    for name, counted in (
        ("opssight_copy_targets_last_day", rows),
        ("opssight_copy_cross_organization_targets_last_day", [row for row in rows if copies.crosses(row)]),
    ):
        states = Counter(row["state"] for row in counted)
        yield _gauge(name, ["state"], (([s], n) for s, n in states.items()))
    yield _gauge("opssight_copy_files_last_day", ["outcome"], (([o], n) for o, n in files.items()))


def _inventory() -> Iterator[GaugeMetricFamily]:
    yield _counted("opssight_connections", ["provider", "state"], numbers.connections())
    yield _counted("opssight_repositories", ["state"], numbers.repositories())
    yield _counted("opssight_jobs", ["kind", "enabled"], numbers.jobs())


def _upkeep() -> Iterator[GaugeMetricFamily]:
    yield _gauge("opssight_audit_unsealed", [], iter([([], numbers.unsealed())]))
    told = numbers.notices()
    yield _gauge("opssight_notices_waiting", [], iter([([], told["waiting"])]))
    yield _gauge("opssight_notices_given_up_last_day", [], iter([([], told["given_up"])]))
    places = {"data": Path(settings.DATA), "stores": Path(settings.STORES)}
    free = (([name], shutil.disk_usage(folder).free) for name, folder in places.items() if folder.exists())
    yield _gauge("opssight_disk_free_bytes", ["place"], free)
