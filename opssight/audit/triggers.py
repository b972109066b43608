"""The triggers that refuse to change or delete what the audit log holds, for both databases.

A later migration that alters one of the tables makes it anew on SQLite, without its triggers: end
such a migration with `install`.
"""

from __future__ import annotations

from collections.abc import Iterator

from django.db.backends.base.base import BaseDatabaseWrapper

TABLES = ("audit_auditevent", "audit_auditseal", "audit_auditanchor")
REFUSAL = "the audit log can only be added to"

_FUNCTION = "audit_refuse"


def install(connection: BaseDatabaseWrapper) -> None:
    """Refuse UPDATE and DELETE on every table of the log."""
    _execute(connection, _create(connection.vendor))


def remove(connection: BaseDatabaseWrapper) -> None:
    """Take the triggers away again: for undoing the migration, and for emptying a test database."""
    _execute(connection, _drop(connection.vendor))


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """The names of triggers that should be there and are not."""
    names = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    if connection.vendor == "postgresql":
        names = "SELECT tgname FROM pg_trigger WHERE tgenabled <> 'D'"
    with connection.cursor() as cursor:
        cursor.execute(names)
        there = {row[0] for row in cursor.fetchall()}
    return [name for name in _names(connection.vendor) if name not in there]


def _execute(connection: BaseDatabaseWrapper, statements: Iterator[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def _names(vendor: str) -> list[str]:
    kept = [f"{table}_keep" for table in TABLES]
    if vendor == "postgresql":
        return kept
    return [f"{name}_{verb}" for name in kept for verb in ("update", "delete")]


def _create(vendor: str) -> Iterator[str]:
    if vendor == "postgresql":
        yield (
            f"CREATE OR REPLACE FUNCTION {_FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$"
        )
        for table in TABLES:
            yield (
                f"CREATE TRIGGER {table}_keep BEFORE UPDATE OR DELETE ON {table} "
                f"FOR EACH ROW EXECUTE FUNCTION {_FUNCTION}()"
            )
        return
    for table in TABLES:
        for verb in ("UPDATE", "DELETE"):
            yield (
                f"CREATE TRIGGER {table}_keep_{verb.lower()} BEFORE {verb} ON {table} "
                f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
            )


def _drop(vendor: str) -> Iterator[str]:
    if vendor == "postgresql":
        yield f"DROP FUNCTION IF EXISTS {_FUNCTION}() CASCADE"
        return
    for name in _names(vendor):
        yield f"DROP TRIGGER IF EXISTS {name}"
