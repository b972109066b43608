"""How this installation does: workers, queue, git stores, what must be right, and the versions of it all."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import django
from django.conf import settings
from django.db import connection
from django.db.models import Count, Min, Q
from django.db.models.functions import Now

from opssight.core.clock import now
from opssight.core.errors import Failure
from opssight.core.words import join_words, seconds
from opssight.health import Check, checks, overall, version
from opssight.web.formats import format_bytes
from opssight.web.parts import Crumb, Fact, Progress
from opssight.web.views import TeamPage
from repos import access
from repos.beside import Answer, ask
from syncs import selectors
from syncs.models import Run, RunState, Worker

STORES_FRESH: Final = 60.0  # seconds that a measured size counts
STORES_WAIT: Final = 0.5  # seconds that a request waits for it
_CHECK_TITLES: Final = {
    "database": "Database",
    "migrations": "Tables",
    "worker": "Workers",
    "disk": "Disk",
    "keys": "Keys",
}
_OVERALL: Final = {
    "healthy": ("ok", "Everything works"),
    "degraded": ("degraded", "Works, but not everything"),
    "unhealthy": ("failed", "Does not work"),
}


@dataclass(frozen=True)
class WorkerRow:
    """A worker that is alive; `busy` of its slots work now. `where` is empty for who does not run this."""

    worker: Worker
    where: str
    lanes: str
    busy: int


@dataclass(frozen=True)
class Queue:
    """Runs of all teams, as numbers: `due` wait for a slot, the first for `waits`; `later` for their time."""

    running: int
    due: int
    later: int
    waits: str


class StatusPage(TeamPage):
    """For everybody who is signed in: numbers and words of the whole, nothing of other teams by name."""

    template_name = "status/status.html"

    def crumbs(self) -> Sequence[Crumb]:
        return [Crumb("Status")]

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        found = checks()
        state, word = _OVERALL[overall(found, ())]
        return super().get_context_data(
            state=state,
            word=word,
            checks=[(_CHECK_TITLES.get(check.name, check.name), _state(check), check) for check in found],
            workers=workers(named=self.request.user.is_superuser),
            queue=queue(),
            stores=stores(),
            versions=versions(),
            **kwargs,
        )


def _state(check: Check) -> str:
    return "ok" if check.ok else "failed"


def workers(*, named: bool) -> list[WorkerRow]:
    """Those alive now, the oldest first; with the names of their machines only when `named`."""
    busy = Count("runs", filter=Q(runs__state=RunState.RUNNING))
    rows = selectors.workers().annotate(busy=busy).order_by("started_at")
    return [WorkerRow(row, str(row) if named else "", join_words(row.lanes), row.busy) for row in rows]


def queue() -> Queue:
    due = Q(state=RunState.QUEUED, run_after__lte=Now())
    found = Run.objects.filter(state__in=selectors.STATE_GROUPS["open"]).aggregate(
        running=Count("pk", filter=Q(state=RunState.RUNNING)),
        due=Count("pk", filter=due),
        later=Count("pk", filter=Q(state=RunState.QUEUED, run_after__gt=Now())),
        oldest=Min("run_after", filter=due),
    )
    oldest = found.pop("oldest")
    waits = seconds(max((now() - oldest).total_seconds(), 0.0)) if oldest else ""
    return Queue(**found, waits=waits)


@dataclass(frozen=True)
class Stores:
    """The git stores of the machine that answers: a cache. `used` is measured beside the request."""

    used: Progress | None
    sentence: str
    free: str


def stores() -> Stores:
    """How much of their quota they take. Measuring many takes a while, so it may still be on its way."""
    key = ("stores", "used")
    measured: Answer[int] = ask(key, STORES_FRESH, _used_bytes, owner=None, wait=STORES_WAIT)
    quota: int = settings.STORE_QUOTA
    folder = Path(settings.STORES)
    there = next(one for one in (folder, *folder.parents) if one.exists())
    free = f"{format_bytes(shutil.disk_usage(there).free)} free on their disk"
    if measured.value is None:
        return Stores(None, measured.sentence or "Being measured: look again in a moment.", free)
    text = f"{format_bytes(measured.value)} of {format_bytes(quota)}"
    return Stores(Progress(min(measured.value, quota), quota, text, "Git stores"), "", free)


def _used_bytes() -> int:
    return access.stores().used_bytes()


def versions() -> list[Fact]:
    return [
        Fact("OpsSight", version()),
        Fact("Database", _database()),
        Fact("git", git_version()),
        Fact("Python", platform.python_version()),
        Fact("Django", django.get_version()),
    ]


def _database() -> str:
    number = ".".join(map(str, connection.get_database_version()))
    return f"{connection.display_name} {number}"


def git_version() -> str:
    try:
        return _git_version()
    except Failure as failure:
        return failure.sentence


@cache
def _git_version() -> str:
    text = access.git().run(["version"]).stdout.decode("ascii", "replace")
    return text.removeprefix("git version").strip()
