"""Where further files of a configuration come from: a folder of this machine, or git repositories.

Both are a `syncs.copy.formats.Reads`. A link that leads out of the folder, and any link in a repository, is
refused: what a file names must be what is read.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from opssight.core.errors import InvalidInput, NotFound
from repos import access
from repos.git.remote import Remote
from repos.git.store import Store
from repos.git.types import TreeEntry

MAX_CONFIG: Final = 1_000_000  # bytes of one file
_LINK: Final = "120000"


class FolderReads:
    """Files below `root`; those of other repositories by `remotes`, their names as the file has them."""

    def __init__(self, root: Path | None, remotes: Mapping[str, Remote]) -> None:
        self._root = root.resolve() if root else None
        self._remotes = remotes

    def read(self, repository: str | None, branch: str | None, path: str) -> bytes:
        if repository is None:
            return self._beside(path)
        remote = self._remotes.get(repository)
        if remote is None:
            raise NotFound(f"Say where {repository} is with --repo {repository}=URL, to read {path} there.")
        return file_at(store_of(remote, self._remotes), remote, repository, branch or "main", path)

    def _beside(self, path: str) -> bytes:
        if self._root is None:
            raise NotFound(f"The file {path} is needed; say with --root in which folder it is.")
        wanted = self._root / path
        try:
            real = wanted.resolve(strict=True)
        except (OSError, RuntimeError):
            raise NotFound(f"There is no file {path}.") from None
        if not real.is_relative_to(self._root):
            raise InvalidInput(f"The file {path} is a link that leads out of the folder; it is not read.")
        if not real.is_file():
            raise InvalidInput(f"{path} is no plain file.")
        return read_file(real, path)


def read_file(path: Path, shown: str) -> bytes:
    """The bytes of a file. InvalidInput when it cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_CONFIG + 1)
    except OSError as error:
        raise InvalidInput(f"The file {shown} cannot be read: {error.strerror}.") from None
    if len(data) > MAX_CONFIG:
        raise InvalidInput(f"The file {shown} is larger than 1 MB. A copier configuration is smaller.")
    return data


def store_of(remote: Remote, trusted: Mapping[str, Remote]) -> Store:
    """The store of a remote of the command line, where the folders of `trusted` may be read."""
    folders = [one.path for one in trusted.values() if one.path is not None]
    stores = access.stores(access.stores().git.trusting(folders))
    return stores.store(uuid.uuid5(uuid.NAMESPACE_URL, f"command line {remote.url}"))


def file_at(store: Store, remote: Remote, name: str, branch: str, path: str) -> bytes:
    """A file at the tip of a branch; of the contents, only its own are fetched.

    Raises NotFound when there is no such branch or file, InvalidInput when it is no plain file or too large,
    and another Failure when the repository cannot be read now.
    """
    ref = f"refs/heads/{branch}"
    tip = store.look(remote).refs.get(ref.encode())
    if tip is None:
        raise NotFound(f"{name} has no branch {branch}, where {path} should be.")
    store.fetch(remote, [f"+{ref}:{ref}"], partial=True, want=tip)
    entry = _entry(store, tip, path)
    if entry is None:
        raise NotFound(f"{name} has no file {path} on branch {branch}.")
    if entry.type != "blob" or entry.mode == _LINK:
        raise InvalidInput(f"{path} in {name} is no plain file.")
    store.prefetch(remote, [entry.oid])
    if store.size(entry.oid) > MAX_CONFIG:
        raise InvalidInput(f"The file {path} in {name} is larger than 1 MB.")
    return store.blob(entry.oid, MAX_CONFIG)


def _entry(store: Store, commit: str, path: str) -> TreeEntry | None:
    """What stands at a path, found folder by folder; None where there is nothing."""
    here, found = commit, None
    parts = path.encode().split(b"/")
    for index, part in enumerate(parts):
        found = next((one for one in store.level(here) if one.path == part), None)
        if found is None or (index < len(parts) - 1 and found.type != "tree"):
            return None
        here = found.oid
    return found
