"""Paths that cannot be there together: one is a file where another needs a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from syncs.copy.plan.planned import PlannedWrite, Tree
from syncs.copy.rules.paths import shown

SYMLINK: Final = "120000"
SUBMODULE: Final = "160000"


class Folders:
    """Finds what stands in the way of writes, among themselves and in the target."""

    def __init__(self, planned: Mapping[bytes, PlannedWrite], target: Tree) -> None:
        self._planned = planned
        self._target = target
        self._planned_folders = folders(planned)
        self._target_folders = folders(target)
        self._blocked = any(folder in planned or folder in target for folder in self._planned_folders)

    def clash(self, path: bytes) -> str:
        """Why `path` cannot be a file beside the other writes and what the target holds; empty: it can."""
        if self._blocked or path in self._target_folders or path in self._planned_folders:
            return self._found(path)
        return ""

    def _found(self, path: bytes) -> str:
        if path in self._target_folders:
            return f"{shown(path)} is a folder in the target, with {shown(self._target_folders[path])} in it."
        if path in self._planned_folders:
            other = self._planned[self._planned_folders[path]]
            return (
                f"{shown(path)} would be a file and a folder at once: "
                f"{shown(other.source_path)} goes to {shown(other.path)}."
            )
        for folder in parents(path):
            if folder in self._planned:
                return (
                    f"{shown(folder)} would be a file and a folder at once: "
                    f"{shown(self._planned[folder].source_path)} goes to {shown(folder)}."
                )
            if folder in self._target:
                mode = self._target[folder][0]
                kind = {SYMLINK: "a symbolic link", SUBMODULE: "a submodule"}.get(mode, "a file")
                return f"{shown(folder)} is {kind} in the target, so nothing can be put into it."
        return ""


def parents(path: bytes) -> list[bytes]:
    """`a` and `a/b` for `a/b/c`."""
    found: list[bytes] = []
    end = path.find(b"/")
    while end != -1:
        found.append(path[:end])
        end = path.find(b"/", end + 1)
    return found


def folders(paths: Iterable[bytes]) -> dict[bytes, bytes]:
    """Every folder above `paths`, each with the first path in it."""
    found: dict[bytes, bytes] = {}
    for path in paths:
        folder = path.rpartition(b"/")[0]
        while folder and path < found.get(folder, path + b"\0"):
            found[folder] = path
            folder = folder.rpartition(b"/")[0]
    return found
