"""Is it alive, can it work, and how are its sources: for load balancers, monitors and people."""

from __future__ import annotations

import datetime as dt
import hmac
import ipaddress
import logging
import shutil
import time
import tomllib
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version as installed_version
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import Error as DatabaseProblem, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, F, Max, Min, Q
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from opssight.accounts.scope import Principal, visible_to
from opssight.audit.models import AuditSeal
from opssight.core.clock import now
from opssight.core.errors import Failure
from opssight.core.keys import keyring
from opssight.core.words import count, seconds, size
from repos.models import DEAD_STATES, Connection, Delivery, Repository, RepositoryStatus, Webhook
from syncs.models import Trigger, Worker

logger = logging.getLogger(__name__)

BEAT_SECONDS = 15.0  # a worker that was silent for longer does not count
LEAST_FREE = 500_000_000  # bytes
_LATE = 3  # looks that may be missing
_LOOK_BACK = dt.timedelta(days=7)  # for repositories that share the webhook of their connection
_started = time.monotonic()
_AAD = "opssight:health:check"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at, and what was found, as a sentence without secrets."""

    name: str
    ok: bool
    detail: str


def checks() -> list[Check]:
    """Everything that must be right for this installation to work, in order. Never raises."""
    database = check_database()
    if not database.ok:
        skipped = [Check(name, False, "Not known without the database.") for name in ("migrations", "worker")]
        return [database, *skipped, check_disk(), check_keys()]
    migrations = check_migrations()
    if not migrations.ok:
        return [database, migrations, Check("worker", False, "Not known yet."), check_disk(), check_keys()]
    return [database, migrations, check_worker(), check_disk(), check_keys(sealed=True)]


def check_database() -> Check:
    started = time.monotonic()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseProblem as error:
        logger.warning("the database does not answer: %s", error)
        return Check("database", False, "The database does not answer: check OPSSIGHT_DATABASE_URL.")
    took = (time.monotonic() - started) * 1_000
    return Check("database", True, f"{connection.display_name} answers in {took:.0f} ms.")


def check_migrations() -> Check:
    missing = missing_migrations()
    if not missing:
        return Check("migrations", True, "The tables are as this version needs them.")
    words = "1 migration is" if len(missing) == 1 else f"{len(missing)} migrations are"
    return Check("migrations", False, f"{words} not applied: run opssight migrate.")


_all_applied = False  # once true for this process: its code does not change


def missing_migrations() -> list[str]:
    """Migrations of this version that the database does not have, as `app.name`."""
    global _all_applied
    if _all_applied:
        return []
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    _all_applied = not plan
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def check_worker() -> Check:
    running = Worker.objects.filter(stopped_at=None)
    alive = running.filter(beat_at__gte=Now() - dt.timedelta(seconds=BEAT_SECONDS)).count()
    if alive:
        return Check("worker", True, f"{count(alive, 'worker')} running.")
    seen = running.aggregate(at=Max("beat_at"))["at"]
    silent = f" The last one was heard {seconds((now() - seen).total_seconds())} ago." if seen else ""
    return Check("worker", False, f"No worker runs, so nothing is done: start opssight worker.{silent}")


def check_disk() -> Check:
    found = {
        place: _free(Path(path)) for place, path in (("DATA", settings.DATA), ("STORES", settings.STORES))
    }
    place = min(found, key=lambda name: found[name])
    free = f"{size(found[place])} free on the disk of OPSSIGHT_{place}"
    if found[place] < LEAST_FREE:
        return Check("disk", False, f"{free}: make room, at least {size(LEAST_FREE)} are needed.")
    return Check("disk", True, f"{free}.")


def _free(folder: Path) -> int:
    """Free bytes where `folder` is or will be."""
    return shutil.disk_usage(next(one for one in (folder, *folder.parents) if one.exists())).free


def check_keys(*, sealed: bool = False) -> Check:
    """Whether secrets can be encrypted and read; `sealed`: by the newest seal, also those of earlier."""
    try:
        ring = keyring()
        ring.decrypt(ring.encrypt("check", _AAD), _AAD)
    except Failure as failure:
        return Check("keys", False, failure.sentence)
    last = AuditSeal.objects.order_by("-seq").first() if sealed else None
    if last is not None and last.key_id not in ring.kids:
        return Check(
            "keys",
            False,
            f"The key {last.key_id} that stored secrets need is not here: put the key file back, "
            "or set OPSSIGHT_KEYS.",
        )
    return Check("keys", True, f"{count(len(ring.kids), 'key')} usable.")


# --- sources ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Source:
    """A repository whose webhook reaches us, or that jobs follow.

    `status` is one of

    healthy    its webhook was heard, or it was looked at in time
    waiting    neither happened yet
    degraded   its connection has trouble, or what was done for it last failed
    unhealthy  it or its connection cannot be used
    paused     its webhook is
    disabled   all of the jobs that follow it are
    """

    pk: uuid.UUID
    name: str
    status: str
    last_webhook: dt.datetime | None
    installation_id: str


def sources(principal: Principal | None = None) -> list[Source]:
    """Repositories with webhooks or jobs, all of them or those the principal may see. Four queries."""
    seen = visible_to(Repository.objects.all(), principal).values("pk") if principal else None
    followed = {row["repository_id"]: row for row in _followed(seen)}
    latest: dict[Any, dict[str, Any]] = {}
    for row in [*_with_own_webhook(seen), *_with_shared_webhook(seen)]:
        known = latest.get(row["repository_id"])
        if known is None or (row["last"] and (not known["last"] or row["last"] > known["last"])):
            latest[row["repository_id"]] = row
    found = {pk: {**_UNHEARD, **followed.get(pk, {}), **latest.get(pk, {})} for pk in {*followed, *latest}}
    failing = _failing(seen)
    rows = sorted(found.values(), key=lambda row: (row["full_name"], row["repository_id"]))
    names = source_names((row["repository_id"], row["full_name"], row["connection_name"]) for row in rows)
    return [
        Source(
            pk=row["repository_id"],
            name=names[row["repository_id"]],
            status=_status(row, failing=row["repository_id"] in failing),
            last_webhook=row["last"],
            installation_id=row["installation_id"],
        )
        for row in rows
    ]


def source_names(repositories: Iterable[tuple[Any, str, str]]) -> dict[Any, str]:
    """A name for each (id, full name, connection's name): the full name, with more where two share it."""
    names: dict[Any, str] = {}
    for pk, full_name, connection_name in repositories:
        taken = set(names.values())
        candidates = (full_name, f"{full_name} ({connection_name})", f"{full_name} ({pk})")
        names[pk] = next(name for name in candidates if name not in taken)
    return names


_COLUMNS = {
    "full_name": F("repository__full_name"),
    "connection_name": F("repository__connection__name"),
    "repository_state": F("repository__state"),
    "connection_state": F("repository__connection__state"),
    "installation_id": F("repository__connection__installation_id"),
}
_UNHEARD: dict[str, Any] = {
    "hook_state": "",
    "last": None,
    "enabled": None,
    "poll_seconds": None,
    "looked": None,
}


def _with_own_webhook(seen: Any) -> Iterator[dict[str, Any]]:
    hooks = Webhook.objects.filter(repository__isnull=False)
    hooks = hooks if seen is None else hooks.filter(repository__in=seen)
    yield from hooks.values("repository_id", **_COLUMNS, hook_state=F("state"), last=F("last_delivery_at"))


def _with_shared_webhook(seen: Any) -> Iterator[dict[str, Any]]:
    heard = Delivery.objects.filter(
        webhook__repository=None, repository__isnull=False, received_at__gte=Now() - _LOOK_BACK
    )
    heard = heard if seen is None else heard.filter(repository__in=seen)
    rows = heard.order_by().values("repository_id", **_COLUMNS, hook_state=F("webhook__state"))
    yield from rows.annotate(last=Max("received_at"))


def _followed(seen: Any) -> Iterator[dict[str, Any]]:
    """Repositories that set jobs off, with whether one of these is enabled and how often it looks."""
    rows = Trigger.objects.all() if seen is None else Trigger.objects.filter(repository__in=seen)
    enabled = Q(job__enabled=True)
    counts = {
        "enabled": Count("pk", filter=enabled),
        "poll_seconds": Min("job__poll_seconds", filter=enabled),
    }
    found = rows.order_by().values("repository_id", **_COLUMNS, looked=F("repository__head_seen_at"))
    for row in found.annotate(**counts):
        yield dict(row)


def _failing(seen: Any) -> set[uuid.UUID]:
    """Those for which the last run of a job failed."""
    rows = RepositoryStatus.objects.filter(state="failed")
    rows = rows if seen is None else rows.filter(repository__in=seen)
    return set(rows.values_list("repository_id", flat=True))


def _status(row: dict[str, Any], *, failing: bool) -> str:
    if row["repository_state"] != Repository.State.ACTIVE or row["connection_state"] in DEAD_STATES:
        return "unhealthy"
    if row["enabled"] == 0:
        return "disabled"
    if row["hook_state"] == Webhook.State.PAUSED:
        return "paused"
    if failing or row["connection_state"] == Connection.State.DEGRADED:
        return "degraded"
    return "healthy" if row["last"] or _looked_in_time(row) else "waiting"


def _looked_in_time(row: dict[str, Any]) -> bool:
    if row["poll_seconds"] is None or row["looked"] is None:
        return False
    return bool((now() - row["looked"]).total_seconds() < _LATE * row["poll_seconds"])


# --- who may see everything -----------------------------------------------------------------------

_FORWARDED = ("opssight.forwarded", "HTTP_FORWARDED", "HTTP_VIA", "HTTP_X_REAL_IP")


def is_operator(request: HttpRequest) -> bool:
    """Whether the request comes from who runs this installation.

    A signed-in user is judged as that user; else the token counts when one is set, else that the
    request comes from this machine itself and not through a proxy on it.
    """
    if request.user.is_authenticated:
        return bool(request.user.is_superuser)
    if settings.METRICS_TOKEN:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        right = hmac.compare_digest(given.strip().encode(), settings.METRICS_TOKEN.encode())
        return scheme.lower() == "bearer" and right
    return from_this_machine(request)


def from_this_machine(request: HttpRequest) -> bool:
    if any(request.META.get(name) for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        return False


# --- answers ------------------------------------------------------------------------------------------


@cache
def version() -> str:
    """The version of OpsSight that runs."""
    try:
        return installed_version("opssight")
    except PackageNotFoundError:  # a checkout that is not installed
        project = Path(settings.BASE_DIR) / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


def uptime_seconds() -> float:
    """For how long this process runs."""
    return round(time.monotonic() - _started, 1)


@never_cache
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """The process is alive. Asks nothing and nobody."""
    return JsonResponse({"status": "alive"})


@never_cache
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """Able to work: 200, else 503 with what is missing."""
    found = checks()
    ready = all(check.ok for check in found)
    document = {"status": "ready" if ready else "not ready", "checks": _shown(found)}
    return JsonResponse(document, status=200 if ready else 503)


class ProbesMiddleware:
    """Answers those two before anything asks for the host or HTTPS: probes call us by a bare address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        probe = {"/healthz": healthz, "/readyz": readyz}.get(request.path_info)
        return probe(request) if probe else self._get_response(request)


@never_cache
@require_safe
def health(request: HttpRequest) -> HttpResponse:
    """Everything at a glance. Sources are shown to the operator, and to users those of their teams."""
    found = checks()
    working = {check.name: check.ok for check in found}
    listed = _sources_for(request) if working["database"] and working["migrations"] else []
    status = overall(found, listed)
    document = {
        "status": status,
        "service": "opssight",
        "version": version(),
        "uptime_seconds": uptime_seconds(),
        "timestamp": now().isoformat(),
        "checks": _shown(found),
        "sources": {
            source.name: {
                "status": source.status,
                "last_webhook": source.last_webhook and source.last_webhook.isoformat(),
                "installation_id": source.installation_id or None,
            }
            for source in listed
        },
    }
    return JsonResponse(document, status=503 if status == "unhealthy" else 200)


def overall(found: Iterable[Check], listed: Iterable[Source]) -> str:
    """`unhealthy` when it cannot serve, `degraded` when something is not as it should be, else `healthy`."""
    failing = {check.name for check in found if not check.ok}
    if failing & {"database", "migrations", "keys"}:
        return "unhealthy"
    bad = any(source.status in ("degraded", "unhealthy") for source in listed)
    return "degraded" if failing or bad else "healthy"


def _sources_for(request: HttpRequest) -> list[Source]:
    if is_operator(request):
        return sources()
    if request.user.is_authenticated:
        return sources(Principal.of_user(request.user))
    return []


def _shown(found: Iterable[Check]) -> dict[str, dict[str, object]]:
    return {check.name: {"ok": check.ok, "detail": check.detail} for check in found}


urlpatterns = [
    path("health", health, name="health"),
]
