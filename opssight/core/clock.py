"""Which clock: the process's for people, the monotonic one for spans, the database's for agreement.

Several machines agree on leases and due times only by the database's clock; whatever is compared
between processes is written and read with `db_now()`.
"""

from __future__ import annotations

import datetime as dt
import time

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.functions import Now

_SELECT = {
    "sqlite": "SELECT STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')",
    "postgresql": "SELECT STATEMENT_TIMESTAMP()",
}


def now() -> dt.datetime:
    """This machine's time, in UTC."""
    return dt.datetime.now(dt.UTC)


def midnight(day: dt.date) -> dt.datetime:
    """When the day begins, in UTC."""
    return dt.datetime.combine(day, dt.time(), dt.UTC)


def monotonic() -> float:
    """Seconds that never jump, for spans within one process."""
    return time.monotonic()


def db_now() -> Now:
    """The database's time of the statement it stands in, for queries and updates.

    A `timedelta` may be added. Milliseconds on SQLite, microseconds on PostgreSQL; within a
    transaction it moves on from statement to statement on both.
    """
    return Now()


def db_now_value(connection: BaseDatabaseWrapper) -> dt.datetime:
    """The database's time as a value in UTC, with the precision of `db_now()`."""
    with connection.cursor() as cursor:
        cursor.execute(_SELECT[connection.vendor])
        value = cursor.fetchone()[0]
    if isinstance(value, str):
        return dt.datetime.fromisoformat(value).replace(tzinfo=dt.UTC)
    return value.astimezone(dt.UTC)  # type: ignore[no-any-return]
