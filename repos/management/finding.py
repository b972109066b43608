"""Rows by the names that people type."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from opssight.accounts.local import local_principal, local_team
from opssight.accounts.scope import Principal
from opssight.core.errors import InvalidInput, NotFound
from opssight.core.ids import as_uuid

Row = TypeVar("Row", bound=Model)

_RECENT = 2_000  # rows that a short id is looked for in


def principal_of(options: dict[str, Any]) -> Principal:
    """Who acts: the administrator of this machine, in the team named by `--team`."""
    return local_principal(local_team(options["team"]))


def find(rows: QuerySet[Row], wanted: str, field: str, what: str, command: str) -> Row:
    """The one row with this id or this `field`. NotFound says which command lists them."""
    named = Q(**{field: wanted})
    found = list(rows.filter(named | Q(pk=as_uuid(wanted)))[:2])
    if not found:
        raise NotFound(f"There is no {what} {wanted!r}. {command} shows what there is.")
    if len(found) > 1:
        raise InvalidInput(f"There are several called {wanted!r}. Give the id that {command} --json shows.")
    return found[0]


def with_id(rows: QuerySet[Row], wanted: str) -> Row | None:
    """The row with this id, or the newest whose id ends with these digits; `rows` are the newest first."""
    if whole := as_uuid(wanted):
        return rows.filter(pk=whole).first()
    digits = wanted.lower()
    if not re.fullmatch(r"[0-9a-f]{4,31}", digits):
        return None
    newest = rows.values_list("pk", flat=True)[:_RECENT]
    found = next((pk for pk in newest if pk.hex.endswith(digits)), None)
    return rows.filter(pk=found).first() if found else None


def pairs(texts: Sequence[str], option: str) -> list[tuple[str, str]]:
    """`NAME=VALUE` arguments. InvalidInput for one without `=`."""
    found = [text.partition("=") for text in texts]
    bad = [name for name, equals, _ in found if not equals or not name]
    if bad:
        raise InvalidInput(f"{option} takes NAME=VALUE, not {bad[0]!r}.")
    return [(name, value) for name, _, value in found]
