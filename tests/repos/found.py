"""What connections are said to have seen, for tests of lists and filters."""

from __future__ import annotations

import datetime as dt
from typing import Any

from opssight.core.clock import now
from repos import discovery
from repos.models import Connection, Discovery
from repos.providers.types import RemoteRepository


def remember(connection: Connection, *remotes: RemoteRepository, age: float = 0, failed: Any = ()) -> None:
    """As if the connection had been asked `age` minutes ago."""
    values = {
        "found": discovery.packed(sorted(remotes, key=lambda one: one.full_name)),
        "count": len(remotes),
        "found_at": now() - dt.timedelta(minutes=age),
        "failed": list(failed),
    }
    Discovery.objects.update_or_create(connection=connection, defaults=values)


def remote(full_name: str, **more: Any) -> RemoteRepository:
    return RemoteRepository(more.pop("external_id", full_name), full_name, **more)


def names(found: Any) -> list[str]:
    return [one.remote.full_name for one in found]


ALL = [
    remote("acme/api", visibility="private", language="Go", topics=("web", "Core")),
    remote("acme/labs/try", description="An old API", fork=True, visibility="public"),
    remote("acme-2/site", archived=True, language="go", pushed_at=dt.datetime(2026, 3, 1, tzinfo=dt.UTC)),
    remote("zeta/labs/deep/one", data={"active_at": "2026-05-01T00:00:00+00:00"}),
    remote("alone"),
]
