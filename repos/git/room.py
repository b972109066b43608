"""Room on the disk: evicts stores that nobody used for long, and removes what killed processes left."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from repos.git import generation, locks


@dataclass(frozen=True)
class Swept:
    """What the janitor removed."""

    views: int
    generations: int


def make_room(stores: Path, quota_bytes: int, needed: int) -> int:
    """See `Stores.make_room`."""
    if not stores.is_dir():
        return 0
    folders = sorted(_folders(stores), key=_last_use)
    sizes = {folder: generation.size(folder) for folder in folders}
    short = max(sum(sizes.values()) + needed - quota_bytes, needed - shutil.disk_usage(stores).free)
    freed = 0
    for folder in folders:
        if freed >= short:
            break
        freed += evict(folder) or 0
    return freed


def used_bytes(stores: Path) -> int:
    return sum(generation.size(folder) for folder in _folders(stores))


def evict(folder: Path) -> int | None:
    """Remove what a store holds, unless somebody fetches into it or reads it: then None. Returns bytes."""
    if not folder.is_dir():
        return 0
    with locks.alone(folder / "fetch") as no_fetch, locks.alone(folder / "use") as no_use:
        if not (no_fetch and no_use):
            return None
        freed = generation.size(folder)
        (folder / "current").unlink(missing_ok=True)
        for path in folder.iterdir():
            if path.is_dir() or path.is_symlink():
                generation.remove(path)
    return freed


def sweep(root: Path) -> Swept:
    """Remove views whose process is gone, and generations that were replaced while somebody read them."""
    generations = 0
    for folder in _folders(root / "stores"):
        with locks.alone(folder / "fetch") as free:
            if free:
                generations += generation.remove_others(folder)
    return Swept(_sweep_views(root / "views"), generations)


def _sweep_views(views: Path) -> int:
    removed = 0
    for lock in views.glob("*.lock"):
        with locks.alone(lock) as free:
            if free:
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                lock.unlink(missing_ok=True)
                removed += 1
    return removed


def _folders(stores: Path) -> Iterator[Path]:
    return (path for path in stores.glob("??/*") if path.is_dir())


def _last_use(folder: Path) -> float:
    try:
        return (folder / "use").stat().st_mtime
    except FileNotFoundError:
        return 0.0
