"""Finding repositories below a folder, without following links and without end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from repos.providers.errors import TooMany

MAX_DEPTH = 8  # folders below the root
MAX_FOLDERS = 100_000
MAX_REPOSITORIES = 10_000


def find_repositories(root: Path) -> Iterator[Path]:
    """Folders that look like a repository, in the order of their names; nothing inside of them.

    Hidden folders and links are left out, and so is what cannot be read. Raises `TooMany`.
    """
    waiting = [(root, 0)]
    folders = found = 0
    while waiting:
        path, depth = waiting.pop()
        folders += 1
        entries = _entries(path)
        if _looks_like_repository(entries):
            found += 1
            yield path
        elif depth < MAX_DEPTH:
            waiting += [(path / name, depth + 1) for name in _subfolders(entries)]
        if folders + len(waiting) > MAX_FOLDERS or found > MAX_REPOSITORIES:
            raise TooMany(
                f"{root} holds too much to look through ({MAX_FOLDERS:,} folders or {MAX_REPOSITORIES:,} "
                "repositories). Choose a folder below it."
            )


def _entries(path: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            return list(entries)
    except OSError:
        return []


def _looks_like_repository(entries: list[os.DirEntry[str]]) -> bool:
    names = {entry.name for entry in entries}
    return ".git" in names or {"HEAD", "objects", "refs"} <= names


def _subfolders(entries: list[os.DirEntry[str]]) -> list[str]:
    """Names to look into, the last one first."""
    folders = (e.name for e in entries if e.is_dir(follow_symlinks=False) and not e.name.startswith("."))
    return sorted(folders, reverse=True)
