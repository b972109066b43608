"""Secrets that a command is given, without any process list or history having to show them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from opssight.core.errors import InvalidInput

_ON_THE_COMMAND_LINE = (
    "A secret on the command line can be read in the list of processes and stays in the shell's history. "
    "Give it as -, env:VARIABLE or file:PATH."
)


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
