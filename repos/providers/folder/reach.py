"""Where git would read if it opened a repository of this machine: links and pointers lead elsewhere.

Whoever can write into a folder below an allowed root can point from there to any repository that our
user may read. So everything git follows is followed here too, and must stay below the roots.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_DEEPEST = 20  # folders of refs below one another


def leads_out(path: Path, roots: list[Path]) -> bool:
    """Whether refs or objects of the repository at `path` are taken from outside of `roots` (real paths)."""
    return any(_git_dir_leads_out(git_dir, roots) for git_dir in _opened(path))


def _opened(path: Path) -> Iterator[Path]:
    """Every folder that git may open when it is given `path`: which one depends on what is in them."""
    for suffix in ("/.git", "", ".git/.git", ".git"):
        place = Path(f"{path}{suffix}")
        if place.is_file():
            yield place.parent / os.fsdecode(_read(place)[len(b"gitdir: ") :].rstrip(b"\r\n"))
        elif os.path.lexists(place / "HEAD"):
            yield place


def _git_dir_leads_out(git_dir: Path, roots: list[Path]) -> bool:
    pointer = git_dir / "commondir"
    common = git_dir / os.fsdecode(_read(pointer).rstrip(b"\r\n")) if pointer.exists() else git_dir
    read = [git_dir, common, *_linked(git_dir, 0), *_linked(common, 0), *_linked(common / "refs", _DEEPEST)]
    if not all(_below(path, roots) for path in read):
        return True
    return _borrows_outside(common / "objects", roots)


def _borrows_outside(objects: Path, roots: list[Path]) -> bool:
    """Whether a folder of objects, or one that it borrows from in turn, has objects from outside."""
    waiting, known = [objects], set[str]()
    while waiting:
        folder = waiting.pop()
        real = os.path.realpath(folder)
        if real in known:
            continue
        known.add(real)
        if not all(_below(path, roots) for path in [folder, *_linked(folder, 1)]):
            return True
        for line in _alternates(folder):
            if line.startswith(b'"'):
                return True  # quoted, which only a name that hides something needs
            waiting.append(folder / os.fsdecode(line))
    return False


def _linked(folder: Path, depth: int) -> Iterator[Path]:
    """Symbolic links in a folder and, `depth` levels down, in the folders below it."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_symlink():
                    yield Path(entry.path)
                elif depth and entry.is_dir(follow_symlinks=False):
                    yield from _linked(Path(entry.path), depth - 1)
    except OSError:
        return  # what cannot be listed by us cannot be read by git either


def _alternates(objects: Path) -> list[bytes]:
    """Folders from which a folder of objects borrows, as they are written."""
    lines = _read(objects / "info" / "alternates").split(b"\n")
    return [line for line in lines if line and not line.startswith(b"#")]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""  # neither can git


def _below(path: Path, roots: list[Path]) -> bool:
    real = Path(os.path.realpath(path))
    return any(real.is_relative_to(root) for root in roots)
