"""One generation of a store: a bare repository that only fetches write, complete or without file contents.

Its kind stands in its name (`full-…` or `blobless-…`) and never changes while it is in use.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from pathlib import Path

from opssight.core.errors import Failure
from repos.git import locks
from repos.git.runner import Git

MAX_PACKS = 40  # above, a store is packed again
_UNREACHABLE_DAYS = 14
_DOUBT = "doubtful"  # marks a generation that read badly; checked before the next fetch

# Also of a blobless one: a promisor that git knew would make it fetch what is missing behind our back.
_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
# What only the commands that need it are told: that what is missing was left out on purpose.
PROMISOR = ["-c", "remote.origin.promisor=true", "-c", "remote.origin.partialclonefilter=blob:none"]


def create(folder: Path, *, partial: bool) -> Path:
    """An empty generation in the store's folder, beside what is there."""
    path = folder / f"{'blobless' if partial else 'full'}-{secrets.token_hex(6)}"
    for part in ("objects/pack", "objects/info", "refs"):
        (path / part).mkdir(parents=True)
    (path / "HEAD").write_text("ref: refs/heads/main\n")
    (path / "config").write_text(_CONFIG)
    return path


def is_partial(path: Path) -> bool:
    return path.name.startswith("blobless-")


def made_full(path: Path) -> Path:
    """A new blobless generation whose server sent everything after all, as the full one that it is."""
    for promise in (path / "objects/pack").glob("*.promisor"):
        promise.unlink()
    return path.rename(path.with_name(path.name.replace("blobless-", "full-")))


def doubt(path: Path) -> None:
    """Say that this generation could not be read as it should."""
    if path.is_dir():
        (path / _DOUBT).touch()


def doubted(path: Path) -> bool:
    return (path / _DOUBT).exists()


def usable(path: Path, git: Git) -> bool:
    """Whether it is whole. Only what was doubted is read through."""
    if not all((path / part).exists() for part in ("HEAD", "config", "objects/pack", "refs")):
        return False
    if doubted(path):
        try:
            git.run(
                ["fsck", "--connectivity-only", "--no-dangling", "--no-progress"], git_dir=path, guarded=True
            )
        except Failure:
            return False
        (path / _DOUBT).unlink()
    return True


def has_refs(path: Path) -> bool:
    packed = path / "packed-refs"
    if packed.exists() and any(line[:1] not in b"#^" for line in packed.read_bytes().splitlines()):
        return True
    return any(entry.is_file() for entry in (path / "refs").rglob("*"))


def clear_leftovers(path: Path) -> None:
    """Remove what a killed fetch left. Only for the holder of the fetch lock."""
    for lock in [*path.glob("*.lock"), *(path / "refs").rglob("*.lock"), *path.glob("objects/info/*.lock")]:
        lock.unlink(missing_ok=True)
    for pattern in ("objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/??/tmp_obj_*"):
        for leftover in path.glob(pattern):
            leftover.unlink(missing_ok=True)


def packs(path: Path) -> int:
    return sum(1 for _ in (path / "objects/pack").glob("*.pack"))


def repack(path: Path, git: Git) -> None:
    """Few packs again; what no ref reaches goes two weeks after it came. Nobody may read meanwhile."""
    stamp = path / "repacked"
    if not stamp.exists():
        stamp.touch()
    if time.time() - stamp.stat().st_mtime > _UNREACHABLE_DAYS * 86_400:
        expiry = f"--unpack-unreachable={_UNREACHABLE_DAYS}.days.ago"
        git.run(["repack", "-A", "-d", "-q", expiry], git_dir=path, guarded=True)
        git.run(["prune", f"--expire={_UNREACHABLE_DAYS}.days.ago"], git_dir=path, guarded=True)
        stamp.touch()
    else:
        git.run(["repack", "-d", "-q", "--geometric=2", "--write-midx"], git_dir=path, guarded=True)


def size(path: Path) -> int:
    """Bytes on disk."""
    total = 0
    for entry in path.rglob("*"):
        try:
            total += entry.lstat().st_blocks * 512
        except FileNotFoundError:
            continue
    return total


def remove_others(folder: Path) -> int:
    """Remove the generations that are not current, if nobody reads the store; returns how many.

    Only for the holder of the fetch lock.
    """
    with locks.alone(folder / "use") as free:
        if not free:
            return 0
        link = folder / "current"
        current = os.readlink(link) if link.is_symlink() else ""
        others = [
            path
            for path in folder.iterdir()
            if path.is_dir() and not path.is_symlink() and path.name != current
        ]
        for path in [*others, *folder.glob("link-*")]:
            remove(path)
    return len(others)


def remove(path: Path) -> None:
    """Take it away. The name goes first, so that nobody finds half of it."""
    gone = path.with_name(f"gone-{secrets.token_hex(6)}")
    try:
        path.rename(gone)
    except FileNotFoundError:
        return
    if gone.is_symlink():
        gone.unlink()
    else:
        shutil.rmtree(gone, ignore_errors=True)
