"""A tree of many paths shown in few rows: folders are opened where something matches, within a budget.

A tree of 20,000 files is never sent as 20,000 rows; what is closed is loaded when it is opened.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from urllib.parse import quote_from_bytes, unquote_to_bytes

from opssight.core.words import count
from opssight.web.parts import TreeNode
from syncs.copy.rules.paths import shown

ROWS = 160  # about how many rows are open before anybody opened a folder
LISTED = 150  # files of one folder in a list; the rest is found by typing
DEEPEST = 30  # folders inside each other that are open at once

Look = Callable[[bytes], TreeNode]


class Folders:
    """Paths by folder; `b""` is the top."""

    def __init__(self, paths: Iterable[bytes]) -> None:
        self.files: dict[bytes, list[bytes]] = {b"": []}
        self.inside: dict[bytes, list[bytes]] = {b"": []}
        for path in paths:
            folder = path.rpartition(b"/")[0]
            if folder not in self.files:
                self._add(folder)
            self.files[folder].append(path)
        self.totals = {folder: len(files) for folder, files in self.files.items()}
        for folder in sorted(self.files, key=lambda name: -name.count(b"/") if name else 1):
            if folder:
                self.totals[parent(folder)] += self.totals[folder]
        for folders in self.inside.values():
            folders.sort()

    def _add(self, folder: bytes) -> None:
        """The folder and those above it that are not known yet."""
        inner = b""
        while folder not in self.files:
            self.files[folder], self.inside[folder] = [], [inner] if inner else []
            inner, folder = folder, parent(folder)
        if inner:
            self.inside[folder].append(inner)

    def rows(self, folder: bytes) -> int:
        """How many rows opening it takes."""
        return len(self.inside[folder]) + min(len(self.files[folder]), LISTED)


def parent(path: bytes) -> bytes:
    return path.rpartition(b"/")[0]


def counts_of(paths: Iterable[bytes]) -> dict[bytes, int]:
    """For each folder, the top included, how many of the paths are below it."""
    direct: dict[bytes, int] = {}
    for path in paths:
        folder = parent(path)
        direct[folder] = direct.get(folder, 0) + 1
    found = dict(direct)
    for folder, number in direct.items():
        while folder:
            folder = parent(folder)
            found[folder] = found.get(folder, 0) + number
    return found


@dataclass(frozen=True)
class Shape:
    """How a tree is drawn: which folders are open, what a file and a folder look like.

    `weight` is how many interesting files each folder holds; `prefix` makes keys unique on a page;
    `load_url` answers with the inside of the folder in `?folder=`.
    """

    folders: Folders
    prefix: str
    file: Look
    folder: Look
    weight: dict[bytes, int]
    load_url: str
    opened: Collection[str] = ()
    shut: Collection[str] = ()
    everything: bool = False  # open all within the budget: the paths were chosen already

    def key(self, path: bytes) -> str:
        return f"{self.prefix}:{quote_from_bytes(path)}"


def tree(shape: Shape) -> list[TreeNode]:
    """The tree from its top."""
    return _inside(shape, b"", _open_folders(shape))


def branch(shape: Shape, folder: bytes) -> list[TreeNode]:
    """What is directly in one folder, the folders in it closed unless somebody opened them."""
    if folder not in shape.folders.files:
        return []
    wanted = {f for f in shape.folders.inside[folder] if shape.key(f) in shape.opened}
    return _inside(shape, folder, wanted)


def _open_folders(shape: Shape) -> set[bytes]:
    """What somebody opened, and from the top down what holds something, while there is room."""
    chosen: set[bytes] = set()
    room = ROWS - shape.folders.rows(b"")
    queue = deque(shape.folders.inside[b""])
    while queue:
        folder = queue.popleft()
        key, rows = shape.key(folder), shape.folders.rows(folder)
        by_hand = key in shape.opened
        fits = rows <= room and (shape.everything or shape.weight.get(folder, 0) > 0)
        if key in shape.shut or folder.count(b"/") >= DEEPEST or not (by_hand or fits):
            continue
        chosen.add(folder)
        room -= 0 if by_hand else rows
        queue.extend(shape.folders.inside[folder])
    return chosen


def _inside(shape: Shape, folder: bytes, opened: set[bytes]) -> list[TreeNode]:
    nodes = [_folder(shape, inner, opened) for inner in shape.folders.inside[folder]]
    files = shape.folders.files[folder]
    listed = _listed(shape, files)
    nodes += [shape.file(path) for path in listed]
    if len(listed) < len(files):
        rest = count(len(files) - len(listed), "more file")
        nodes.append(TreeNode(rest, dim=True, title="Type a part of its name above to find one of them."))
    return nodes


def _listed(shape: Shape, files: list[bytes]) -> list[bytes]:
    """The files of a folder, at most so many; those that matter come before the others."""
    if len(files) <= LISTED:
        return files
    marked = [path for path in files if not shape.file(path).dim][:LISTED]
    chosen = set(marked)
    rest = (path for path in files if path not in chosen)
    return sorted([*marked, *(path for path, _ in zip(rest, range(LISTED - len(marked)), strict=False))])


def _folder(shape: Shape, folder: bytes, opened: set[bytes]) -> TreeNode:
    node, key = shape.folder(folder), shape.key(folder)
    if folder in opened:
        return replace(node, open=True, key=key, children=_inside(shape, folder, opened))
    show = TreeNode(f"Show {count(shape.folders.totals[folder], 'file')}", dim=True, press=("open", key))
    url = f"{shape.load_url}?folder={quote_from_bytes(key.encode(), safe='')}"
    return replace(node, key=key, load_url=url, children=[show])


def name_of(path: bytes) -> str:
    """The last part of a path, as text."""
    return shown(path.rpartition(b"/")[2])


def path_in(key: str) -> bytes:
    """The path in a key such as `s:docs/a%20b.md`."""
    return unquote_to_bytes(key.partition(":")[2])
