"""Rows by the names that people type."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from django.db.models import Model, Q, QuerySet

from opssight.accounts.local import local_principal, local_team
from opssight.accounts.scope import Principal
from opssight.core.errors import InvalidInput, NotFound
from opssight.core.ids import as_uuid

Row = TypeVar("Row", bound=Model)

_ON_THE_COMMAND_LINE = (
    "A secret on the command line can be read in the list of processes and stays in the shell's history. "
    "Give it as -, env:VARIABLE or file:PATH."
)


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


def pairs(texts: Sequence[str], option: str) -> list[tuple[str, str]]:
    """`NAME=VALUE` arguments. InvalidInput for one without `=`."""
    found = [text.partition("=") for text in texts]
    bad = [name for name, equals, _ in found if not equals or not name]
    if bad:
        raise InvalidInput(f"{option} takes NAME=VALUE, not {bad[0]!r}.")
    return [(name, value) for name, _, value in found]


def secret_from(source: str, warn: Callable[[str], None]) -> str:
    """A secret from `env:NAME`, `file:PATH` or `-` (standard input), so that no process list shows it.

    InvalidInput when it is not there; anything else is the secret itself, and a warning.
    """
    kind, _, place = source.partition(":")
    if source == "-":
        value = sys.stdin.read()
    elif kind == "env":
        if place not in os.environ:
            raise InvalidInput(f"The environment variable {place} is not set.")
        value = os.environ[place]
    elif kind == "file":
        try:
            value = Path(place).read_text()
        except (OSError, UnicodeDecodeError):
            raise InvalidInput(f"The file {place} cannot be read as text.") from None
    else:
        value = source
        if source:
            warn(_ON_THE_COMMAND_LINE)
    value = value.rstrip("\r\n")
    if source and not value:
        raise InvalidInput("The secret is empty.")
    return value
