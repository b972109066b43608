"""The file that lists which copied files have no source any more."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from opssight.core.errors import InvalidInput

_TEXTS: Final = ("filename", "repo", "branch")


@dataclass(frozen=True)
class Entry:
    """One line of the list; `deleted_on` is when the commit was made in which its source is gone."""

    filename: str
    repo: str
    branch: str
    deleted_on: dt.datetime

    @property
    def key(self) -> tuple[str, ...]:
        return self.filename, self.repo, self.branch

    def data(self) -> dict[str, str]:
        moment = self.deleted_on.astimezone(dt.UTC).replace(microsecond=0)
        return {
            "filename": self.filename,
            "repo": self.repo,
            "branch": self.branch,
            "deleted_on": moment.isoformat().replace("+00:00", "Z"),
        }


def added(existing: bytes | None, entries: Iterable[Entry]) -> tuple[bytes, list[Entry]]:
    """The file with the entries at its end that it does not have yet, and which those are.

    `existing` None: there is no file. What stands in it stays, in its order. Raises `InvalidInput`, a
    sentence that follows the file's name, when it is not such a list.
    """
    rows = [] if existing is None else _rows(existing)
    known = {tuple(row[name] for name in _TEXTS) for row in rows}
    fresh = {entry.key: entry for entry in entries if entry.key not in known}
    data = [*rows, *(entry.data() for entry in fresh.values())]
    text = json.dumps(data, indent=2, ensure_ascii=False) + "\n"
    return text.encode("utf-8", "surrogateescape"), list(fresh.values())


def _rows(existing: bytes) -> Sequence[Mapping[str, Any]]:
    if not existing.strip():
        return []
    try:
        rows = json.loads(existing.decode("utf-8"))
    except (ValueError, RecursionError):
        raise _no_list() from None
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        raise _no_list()
    return rows


def _is_row(row: object) -> bool:
    return isinstance(row, Mapping) and all(isinstance(row.get(name), str) for name in _TEXTS)


def _no_list() -> InvalidInput:
    return InvalidInput(
        "is not a list of deletions (JSON objects with filename, repo and branch), so it is not touched; "
        "name another file in the rule, or mend this one"
    )
