"""The git stores of one machine: a local copy of each repository's history, written by fetches only.

    root/stores/<2>/<uuid>/current -> full-3f…     the generation that is read
                           full-3f…/               a bare repository
                           fetch  use              lock files
    root/views/…                                   throw-away repositories that borrow from stores

Nothing needs a warm store: whatever is deleted here is fetched again.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Self

from repos.git import generation, locks, room
from repos.git.errors import DiskFull, MissingObject, StoreCorrupt, TooLarge
from repos.git.fetching import Fetch, fetch_objects, look
from repos.git.reading import Reader
from repos.git.refspecs import checked_refspecs
from repos.git.remote import Remote
from repos.git.runner import Git, Watch
from repos.git.types import Fetched, RemoteRefs
from repos.git.view import View

_MIN_ROOM = 256 << 20  # bytes to make free after the disk was full
_PACKING = 64 << 10  # bytes of a pack and its index beside contents that cannot be made smaller


class Stores:
    """All stores below `root` (a local disk: the locks are flocks), together at most `quota_bytes`."""

    def __init__(self, root: Path, git: Git, *, quota_bytes: int) -> None:
        self.root = root.absolute()
        self.git = git
        self.quota_bytes = quota_bytes

    def watched(self, watch: Watch) -> Stores:
        """The same stores, with a git that tells `watch` how far it is and stops when that says so."""
        return Stores(self.root, self.git.watched(watch), quota_bytes=self.quota_bytes)

    def store(self, key: uuid.UUID) -> Store:
        return Store(self, self.root / "stores" / key.hex[-2:] / str(key))

    def view(
        self, stores: Sequence[Store], refs: Mapping[bytes, str] | None = None, *, head: bytes | None = None
    ) -> AbstractContextManager[View]:
        """A throw-away repository that sees what the stores have, with exactly these refs."""
        return View.made(self.root / "views", self.git, stores, refs or {}, head)

    def make_room(self, needed: int) -> int:
        """Evict the longest unused stores until `needed` bytes fit the quota and the disk.

        Never one in use. Returns the bytes that became free, which may be less than it takes.
        """
        return room.make_room(self.root / "stores", self.quota_bytes, needed)

    def used_bytes(self) -> int:
        return room.used_bytes(self.root / "stores")

    def sweep(self) -> room.Swept:
        """Remove what killed processes left: views, old generations; then keep to the quota."""
        swept = room.sweep(self.root)
        self.make_room(0)
        return swept

    def remove(self, key: uuid.UUID) -> bool:
        """Forget a store for good; False when it is in use (the next sweep or eviction takes it)."""
        return room.evict(self.store(key).folder) is not None


class Store(Reader):
    """The store of one repository. Reading takes the newest generation; `using` keeps it for a while."""

    def __init__(self, stores: Stores, folder: Path, pinned: Path | None = None) -> None:
        self.git = stores.git
        self.stores = stores
        self.folder = folder
        self._pinned = pinned

    @property
    def current(self) -> Path | None:
        """The generation that is read; None before the first fetch and after an eviction."""
        if self._pinned:
            return self._pinned
        try:
            current = self.folder / os.readlink(self.folder / "current")
        except FileNotFoundError:
            return None
        return current if current.is_dir() else None

    @property
    def partial(self) -> bool:
        current = self.current
        return current is not None and generation.is_partial(current)

    @contextmanager
    def using(self) -> Iterator[Self]:
        """Keep what is here until the end of the block: no eviction, no repacking, no other generation."""
        with locks.shared(self.folder / "use"):
            yield type(self)(self.stores, self.folder, self.current)

    @contextmanager
    def opened(self) -> Iterator[Path]:
        with self.using() as store:
            current = store.current
            if current is None:
                raise MissingObject(
                    "This repository has not been fetched to this machine yet. Fetch it first."
                )
            try:
                yield current
            except StoreCorrupt:
                generation.doubt(current)
                raise

    def doubt(self) -> None:
        """Have the next fetch check what is here, because it could not be read as it should."""
        if current := self.current:
            generation.doubt(current)

    def look(self, remote: Remote, *, head: bool = True) -> RemoteRefs:
        """What the remote has now; one request. See `repos.git.fetching.look`."""
        return look(self.git, remote, head=head)

    def fetch(
        self,
        remote: Remote,
        refspecs: Sequence[str],
        *,
        partial: bool = False,
        want: str | None = None,
        prune: bool = False,
        size_hint: int = 0,
    ) -> Fetched:
        """Bring refs and their history here; one at a time for each store. Raises a `Failure`.

        With `want` (an oid) nothing is asked of the remote when that is here already, in particular when
        somebody else fetched it while we waited; it does not promise that it is here afterwards. `partial`
        leaves file contents out where the server can do that and the store is not full already; without
        it a blobless store is replaced by a full one. `prune` removes what the remote no longer has.
        `size_hint`: bytes that the repository is said to have.
        """
        job = Fetch(self.folder, self.git, remote, checked_refspecs(refspecs), partial=partial, prune=prune)
        if want is not None and self._enough(want, partial):
            return Fetched(False, 0)
        with locks.in_turn(self.folder / "fetch", self._waiting):
            if want is not None and self._enough(want, partial):
                return Fetched(False, 0)
            if self.current is None:
                self.stores.make_room(2 * size_hint)
            try:
                return Fetched(True, job.run())
            except DiskFull:
                self.stores.make_room(max(2 * size_hint, _MIN_ROOM))
                return Fetched(True, job.run())

    def prefetch(self, remote: Remote, oids: Iterable[str], *, limit: int | None = None) -> int:
        """Bring the contents that a blobless store lacks, in one request; returns the bytes that came.

        More than `limit` bytes (some more for packing) are broken off and not kept: `TooLarge`.
        """
        wanted = self.missing(dict.fromkeys(oids))
        if not wanted:
            return 0
        git = self.git if limit is None else self.git.limited(limit + limit // 100 + _PACKING)
        with locks.in_turn(self.folder / "fetch", self._waiting), self.opened() as git_dir:
            try:
                return fetch_objects(git, git_dir, remote, wanted)
            except TooLarge:
                generation.clear_leftovers(git_dir)
                raise

    def _enough(self, want: str, partial: bool) -> bool:
        current = self.current
        if current is None or (generation.is_partial(current) and not partial):
            return False
        try:
            return not generation.doubted(current) and self.has(want)
        except StoreCorrupt:
            return False

    def _waiting(self) -> None:
        self.git.watch.progress("Waiting for another fetch", 0, None, 0)
        self.git.raise_if_stopped()
