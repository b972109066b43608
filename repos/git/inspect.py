"""Looks at a folder that somebody wants to use as a repository, by reading files only.

No git runs here: a repository of somebody else may have a configuration that starts programs.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from repos.git.runner import Git

_SMALL = 64_000  # bytes; HEAD and .git files are tiny
_SYMREF = re.compile(rb"ref: *(refs/[^\x00-\x20]+)\s*")
_DETACHED = re.compile(rb"([0-9a-f]{40})\s*")
_GIT_FILE = re.compile(rb"gitdir: *([^\x00\n]+)\s*")


@dataclass(frozen=True)
class FolderState:
    """What a folder is. Paths are None where there is no repository.

    `kind`: `bare`, `work tree`, `worktree file` (a linked worktree or a submodule, whose `.git` is a file)
    or `not a repository`. `common_dir`: where refs and objects are. `owner_ok`: it belongs to us or is among
    the folders that git was told to trust. `head`: full name of the branch, or the oid of a detached HEAD.
    """

    kind: str
    git_dir: Path | None = None
    common_dir: Path | None = None
    shallow: bool = False
    owner_ok: bool = True
    empty: bool = True
    head: bytes | None = None

    @property
    def problem(self) -> str:
        """Why it cannot be used, and what to do; empty when it can. An empty repository can be used."""
        if self.kind == "not a repository":
            return "This folder is not a git repository. Name a folder that has a .git folder or is bare."
        if self.kind == "worktree file":
            home = f" ({self.common_dir})" if self.common_dir else ""
            return (
                f"This folder is a worktree or submodule of another repository. Add that one{home} instead."
            )
        if not self.owner_ok:
            return "This folder belongs to another user of this machine. Add it to the allowed folders."
        if self.shallow:
            return "This repository has only a part of its history. Run git fetch --unshallow in it."
        return ""


def inspect_folder(path: Path, git: Git) -> FolderState:
    """What the folder at `path` is. Never raises for what is in it; unreadable counts as not a repository."""
    try:
        return _inspect(path.absolute(), git)
    except (OSError, RuntimeError):  # RuntimeError: links that lead in a circle
        return FolderState("not a repository")


def _inspect(path: Path, git: Git) -> FolderState:
    dot_git = path / ".git"
    if dot_git.is_file():
        return _linked(path, dot_git, git)
    kind, git_dir = ("work tree", dot_git) if _is_git_dir(dot_git) else ("bare", path)
    if not _is_git_dir(git_dir):
        return FolderState("not a repository")
    return _state(kind, git_dir, git_dir, [path, git_dir], git)


def _linked(path: Path, dot_git: Path, git: Git) -> FolderState:
    match = _GIT_FILE.fullmatch(_read(dot_git))
    git_dir = (path / os.fsdecode(match[1].strip())).resolve() if match else None
    if git_dir is None or not (git_dir / "HEAD").is_file():
        return FolderState("not a repository")
    pointer = git_dir / "commondir"
    common = (git_dir / os.fsdecode(_read(pointer).strip())).resolve() if pointer.is_file() else git_dir
    return _state("worktree file", git_dir, common, [path, dot_git, git_dir], git)


def _state(kind: str, git_dir: Path, common: Path, owned: list[Path], git: Git) -> FolderState:
    return FolderState(
        kind=kind,
        git_dir=git_dir,
        common_dir=common,
        shallow=(common / "shallow").is_file() and (common / "shallow").stat().st_size > 0,
        owner_ok=_trusted(owned, git),
        empty=not _has_refs(common),
        head=_head(_read(git_dir / "HEAD")),
    )


def _trusted(paths: list[Path], git: Git) -> bool:
    if all(path.stat().st_uid == os.geteuid() for path in paths):
        return True
    allowed = {folder.resolve() for folder in git.safe_directories}
    return any(path.resolve() in allowed for path in paths)


def _is_git_dir(path: Path) -> bool:
    return (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()


def _has_refs(common: Path) -> bool:
    packed = common / "packed-refs"
    if packed.is_file() and any(line[:1] not in b"#^" for line in packed.read_bytes().splitlines()):
        return True
    return any(files for _, _, files in os.walk(common / "refs"))


def _head(text: bytes) -> bytes | None:
    match = _SYMREF.fullmatch(text) or _DETACHED.fullmatch(text)
    return match[1] if match else None


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_SMALL)
