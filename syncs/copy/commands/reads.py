"""Where further files of a configuration come from: a folder of this machine, or git repositories.

Both are a `syncs.copy.formats.Reads`. A link that leads out of the folder, and any link in a repository, is
refused: what a file names must be what is read.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from pathlib import Path

from opssight.core.errors import InvalidInput, NotFound
from opssight.core.yamlsafe import MAX_BYTES
from repos import access
from repos.git.remote import Remote
from repos.git.store import Store
from syncs.copy.files.reads import contents_at


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
        return _file_at(_store_of(remote, self._remotes), remote, repository, branch or "main", path)

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
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InvalidInput(f"The file {shown} cannot be read: {error.strerror}.") from None
    if len(data) > MAX_BYTES:
        raise InvalidInput(f"The file {shown} is larger than 1 MB. A copier configuration is smaller.")
    return data


def _store_of(remote: Remote, trusted: Mapping[str, Remote]) -> Store:
    """The store of a remote of the command line, where the folders of `trusted` may be read."""
    folders = [one.path for one in trusted.values() if one.path is not None]
    stores = access.stores(access.stores().git.trusting(folders))
    return stores.store(uuid.uuid5(uuid.NAMESPACE_URL, f"command line {remote.url}"))


def _file_at(store: Store, remote: Remote, name: str, branch: str, path: str) -> bytes:
    """A file at the tip of a branch, as `contents_at` reads it; NotFound when there is no such branch."""
    ref = f"refs/heads/{branch}"
    tip = store.look(remote).refs.get(ref.encode())
    if tip is None:
        raise NotFound(f"{name} has no branch {branch}, where {path} should be.")
    store.fetch(remote, [f"+{ref}:{ref}"], partial=True, want=tip)
    return contents_at(store, remote, name, branch, tip, path)
