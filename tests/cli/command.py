"""Commands as from a shell, in this process, and everything that an installation holds."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.apps import apps
from django.core.management import get_commands, load_command_class


@dataclass(frozen=True)
class Ran:
    """How a command ended: exit status, standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)


def ran(name: str, *argv: str, stdin: bytes = b"") -> Ran:
    """`opssight <name> <argv…>` with its parser, its streams and its exit status."""
    out, err = io.StringIO(), io.StringIO()
    status = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _stdin(stdin):
        command = load_command_class(str(get_commands()[name]), name)
        command._called_from_command_line = True  # type: ignore[attr-defined]
        try:
            options = vars(command.create_parser("opssight", name).parse_args(argv))
            command.execute(*options.pop("args", ()), **options)
        except SystemExit as end:
            status = int(end.code or 0)
    return Ran(status, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _stdin(data: bytes) -> Iterator[None]:
    before, sys.stdin = sys.stdin, io.TextIOWrapper(io.BytesIO(data), encoding="utf-8")
    try:
        yield
    finally:
        sys.stdin = before


def rows() -> dict[str, list[dict[str, Any]]]:
    """Every row of every table."""
    found = {}
    for model in apps.get_models():
        if list_of := list(model._default_manager.order_by("pk").values()):
            found[model._meta.label] = list_of
    return found


def files(folder: Path) -> dict[str, bytes]:
    """Every file below the folder with its contents; empty where there is no folder."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
