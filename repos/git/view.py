"""A throw-away repository that borrows its objects from stores and has refs of its own.

Commits are made, pushed and bundled here, so nothing but a fetch ever writes into a store. It has no
promisor: what is not there fails instead of being fetched behind our back.
"""

from __future__ import annotations

import datetime as dt
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Self

from opssight.core.errors import PermanentFailure
from repos.git import locks
from repos.git.commits import commit
from repos.git.errors import MISSING, MissingObject, StoreCorrupt
from repos.git.push import check, push
from repos.git.reading import Reader, checked_oid
from repos.git.refspecs import checked_ref
from repos.git.remote import Remote
from repos.git.runner import Git
from repos.git.signing import SigningKey, signed
from repos.git.types import RefResult, RefUpdate, Write

if TYPE_CHECKING:
    from repos.git.store import Store

# It lives for minutes at most: waiting for the disk would be waste.
_CONFIG = "[core]\n\trepositoryformatversion = 0\n\tbare = true\n\tfsync = none\n"
_NO_THIN_BYTES = 4 << 20  # below, looking for deltas costs more than sending the files whole


class View(Reader):
    """See `Stores.view`. `git_dir` may be given to `git.run` for what has no method here (a bundle)."""

    def __init__(self, git: Git, git_dir: Path, stores: Sequence[Store]) -> None:
        self.git = git
        self.git_dir = git_dir
        self._stores = stores
        self._written: dict[str, set[str]] = {}  # contents of each commit that was made here

    @classmethod
    @contextmanager
    def made(
        cls, folder: Path, git: Git, stores: Sequence[Store], refs: Mapping[bytes, str], head: bytes | None
    ) -> Iterator[Self]:
        git_dir = folder / secrets.token_hex(8)
        with ExitStack() as stack:
            if not stack.enter_context(locks.alone(git_dir.with_name(f"{git_dir.name}.lock"))):
                raise PermanentFailure("Two views have the same name.")
            stack.callback(_remove, git_dir)
            pinned = [stack.enter_context(store.using()) for store in stores]
            objects = [store.current / "objects" for store in pinned if store.current]
            _write(git_dir, objects, refs, head)
            yield cls(git, git_dir, pinned)

    @contextmanager
    def opened(self) -> Iterator[Path]:
        try:
            yield self.git_dir
        except StoreCorrupt:
            for store in self._stores:
                store.doubt()
            raise

    @property
    def partial(self) -> bool:
        return any(store.partial for store in self._stores)

    def write_blob(self, data: bytes) -> str:
        """Store contents that no store has; returns the oid."""
        args = ["hash-object", "-w", "--stdin"]
        return self.git.run(args, git_dir=self.git_dir, stdin=[data]).stdout.decode().strip()

    def write_blobs(self, contents: Iterable[bytes]) -> None:
        """Store many contents that no store has, with one process; one is in memory at a time."""
        left = iter(contents)
        first = next(left, None)
        if first is None:
            return
        pieces = (b"blob\ndata %d\n%s\n" % (len(data), data) for data in chain([first], left))
        args = ["fast-import", "--quiet", "--done"]
        self.git.run(args, git_dir=self.git_dir, stdin=chain(pieces, [b"done\n"]))

    def commit(
        self,
        base: str | None,
        writes: Iterable[Write],
        deletes: Iterable[bytes] = (),
        *,
        message: str,
        author_name: str,
        author_email: str,
        at: dt.datetime,
        committer: tuple[str, str] | None = None,
        key: SigningKey | None = None,
    ) -> str:
        """A commit on `base` (None: the first of a history) that writes and deletes these paths.

        Contents are named by oid and may be in any of the stores. Deletions come first, so a folder can
        become a file. The same input gives the same oid. `at` needs a time zone. `committer` is a name and
        an address, the author's where they are not given. `key` signs it; one of OpenPGP or ecdsa gives
        another oid each time. Raises a `Failure`.
        """
        listed = list(writes)
        with self.opened() as git_dir:
            oid = commit(
                self.git,
                git_dir,
                base,
                listed,
                deletes,
                message=message,
                author_name=author_name,
                author_email=author_email,
                at=at,
                committer=committer,
            )
            if key is not None:
                oid = signed(self.git, git_dir, oid, key)
        inherited = self._written.get(base or "", set())
        self._written[oid] = inherited | {write.oid for write in listed if write.mode != "160000"}
        return oid

    def push(self, remote: Remote, updates: Sequence[RefUpdate]) -> list[RefResult]:
        """Push each update by itself: one that is refused does not keep the others back.

        Results come in the order of the updates. What concerns a single ref is a result, what concerns
        all (credential, network, disk) is raised as a `Failure`.
        """
        check(updates)
        if missing := self.missing({update.new for update in updates if update.new}):
            raise MissingObject(MISSING, detail=" ".join(missing[:10]))
        with self.opened() as git_dir:
            return push(self.git, git_dir, remote, updates, thin=self._thin(updates))

    def _thin(self, updates: Sequence[RefUpdate]) -> bool:
        """Whether to look for deltas against what the remote has; not for small commits made here."""
        oids: set[str] = set()
        for update in updates:
            if update.new is not None and update.new not in self._written:
                return True
            oids |= self._written.get(update.new or "", set())
        return sum(self.sizes(oids).values()) > _NO_THIN_BYTES


def _write(git_dir: Path, objects: Sequence[Path], refs: Mapping[bytes, str], head: bytes | None) -> None:
    for part in ("objects/info", "objects/pack", "refs"):
        (git_dir / part).mkdir(parents=True)
    (git_dir / "config").write_text(_CONFIG)
    (git_dir / "HEAD").write_bytes(b"ref: " + checked_ref(head or b"refs/heads/main") + b"\n")
    (git_dir / "objects/info/alternates").write_text("".join(f"{path}\n" for path in objects))
    lines = [b"%s %s\n" % (checked_oid(oid).encode(), checked_ref(ref)) for ref, oid in sorted(refs.items())]
    (git_dir / "packed-refs").write_bytes(b"# pack-refs with: sorted \n" + b"".join(lines))


def _remove(git_dir: Path) -> None:
    shutil.rmtree(git_dir, ignore_errors=True)
    git_dir.with_name(f"{git_dir.name}.lock").unlink(missing_ok=True)
