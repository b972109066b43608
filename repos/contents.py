"""What is in a repository, answered from this machine's copy of its history: of bounded size, nothing waits.

Refs and paths are bytes, and every one that is asked for is a stranger's. The copy is fetched beside the
request; while it is not here yet, `Conflict` says so and when to ask again.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NoReturn

from opssight.core.clock import now
from opssight.core.errors import Conflict, InvalidInput, NotFound, PermanentFailure
from opssight.core.words import size as in_words
from repos import access, warm
from repos.git.refspecs import checked_ref
from repos.git.store import Store
from repos.git.types import Change, CommitInfo, TreeEntry
from repos.models import Repository

MOST_BYTES: Final = 1_000_000  # of a file that is given out
MOST_COMMITS: Final = 10_000  # how far back a history can be walked
DEEPEST: Final = 100  # folders inside each other
_WAIT: Final = 3.0  # seconds for a fetch that has little to do
_AGAIN: Final = dt.timedelta(seconds=3)
_OID: Final = re.compile(rb"[0-9a-f]{7,40}")


@dataclass(frozen=True)
class Named:
    """A branch or tag by its short name, and the object it points to (an annotated tag's own)."""

    name: bytes
    oid: str
    default: bool = False


@dataclass(frozen=True)
class File:
    """A file at a commit; `target` is True for a link, whose contents are where it leads."""

    commit: str
    oid: str
    mode: str
    data: bytes

    @property
    def is_link(self) -> bool:
        return self.mode == "120000"


def branches(repository: Repository) -> list[Named]:
    """The default branch first, the others by name."""
    default = repository.default_branch.encode()
    found = [Named(name, oid, name == default) for name, oid in _refs(repository, b"refs/heads/")]
    return sorted(found, key=lambda one: not one.default)


def tags(repository: Repository) -> list[Named]:
    return [Named(name, oid) for name, oid in _refs(repository, b"refs/tags/")]


def resolve(repository: Repository, ref: bytes) -> str:
    """The commit that a branch, a tag or an id stands for; "" is the default branch. NotFound: none."""
    store, pending = _store(repository)
    wanted = ref or repository.default_branch.encode() or b"main"
    names = [wanted] if wanted.startswith(b"refs/") else [b"refs/heads/" + wanted, b"refs/tags/" + wanted]
    for name in names:
        if not name.startswith((b"refs/heads/", b"refs/tags/")):
            raise InvalidInput("Name a branch, a tag or the id of a commit.")
        if oid := store.resolve(checked_ref(name)):
            return oid
    if _OID.fullmatch(wanted) and (oid := store.resolve(wanted)):
        return oid
    if pending:
        _being_fetched(repository)
    raise NotFound(f"{repository.full_name} has no branch, tag or commit {_shown(wanted)}.")


def commits(repository: Repository, oid: str, *, skip: int, limit: int) -> list[CommitInfo]:
    """At most `limit` commits from `oid` back, the newest first, after the first `skip` of them."""
    if skip + limit > MOST_COMMITS:
        raise InvalidInput(f"The newest {MOST_COMMITS:,} commits are listed here. Clone it for older ones.")
    return _store(repository)[0].log(oid, limit=limit, skip=skip)


def tree(repository: Repository, oid: str, path: bytes) -> list[TreeEntry]:
    """What stands directly in a folder of a commit, folders first; paths are whole. NotFound: no folder."""
    store, _ = _store(repository)
    parts = _parts(path)
    folder = oid
    for end, part in enumerate(parts, 1):
        entry = _inside(store, folder, part)
        if entry is None or entry.type != "tree":
            _not_there(repository, b"/".join(parts[:end]), "folder")
        folder = entry.oid
    below = b"".join(part + b"/" for part in parts)
    found = [TreeEntry(below + one.path, one.mode, one.oid, one.type) for one in store.level(folder)]
    return sorted(found, key=lambda one: one.type != "tree")


def sizes(repository: Repository, entries: Sequence[TreeEntry]) -> dict[str, int]:
    """Bytes of each file by oid, where contents are on this machine."""
    store, _ = _store(repository)
    oids = [entry.oid for entry in entries if entry.type == "blob"]
    absent = set(store.missing(oids)) if store.partial else set()
    return store.sizes(dict.fromkeys(oid for oid in oids if oid not in absent))


def content(repository: Repository, oid: str, path: bytes) -> File:
    """A file of at most `MOST_BYTES`."""
    store, _ = _store(repository)
    *folders, name = _parts(path) or [b""]
    folder = oid
    for part in folders:
        entry = _inside(store, folder, part)
        if entry is None or entry.type != "tree":
            _not_there(repository, path, "file")
        folder = entry.oid
    entry = _inside(store, folder, name)
    if entry is None:
        _not_there(repository, path, "file")
    if entry.type == "tree":
        raise InvalidInput(f"{_shown(path)} is a folder. Ask for its tree.")
    if entry.type == "commit":
        raise PermanentFailure(
            f"{_shown(path)} is a submodule, at commit {entry.oid[:7]} of another repository."
        )
    if store.partial:
        _have(repository, entry.oid, path)
    size = store.size(entry.oid)
    if size > MOST_BYTES:
        raise _too_large(path, f"has {in_words(size)}")
    return File(oid, entry.oid, entry.mode, store.blob(entry.oid, MOST_BYTES))


def changes(repository: Repository, old: str, new: str) -> list[Change]:
    """What differs between two commits, by path. Where contents are not here only moved files are renames."""
    return _store(repository)[0].changes(old, new)


def _store(repository: Repository) -> tuple[Store, bool]:
    """The store, and whether newer history is on its way to it."""
    fetched = warm.history(repository, wait=_WAIT)
    store = access.store_of(repository)
    if store.current is None:
        if fetched.pending:
            _being_fetched(repository)
        if fetched.value is False:
            raise NotFound(f"{repository.full_name} is empty: it has no branch yet.")
        raise PermanentFailure(
            fetched.sentence or "Its history is not on this machine. Ask again in a moment."
        )
    return store, fetched.pending


def _refs(repository: Repository, prefix: bytes) -> list[tuple[bytes, str]]:
    """Short names and oids. A part of the history that is here says nothing about all refs."""
    fetched = warm.history(repository, wait=_WAIT)
    if fetched.pending:
        _being_fetched(repository)
    if fetched.value is None:
        raise PermanentFailure(fetched.sentence)
    found = access.store_of(repository).refs(prefix.decode()) if fetched.value else {}
    return sorted((name.removeprefix(prefix), oid) for name, oid in found.items())


def _have(repository: Repository, oid: str, path: bytes) -> None:
    contents = warm.blobs(repository, [oid], limit=MOST_BYTES, wait=_WAIT)
    if contents.fetching:
        _being_fetched(repository)
    if contents.too_large:
        raise _too_large(path, "is larger than that")
    if not contents.here:
        raise PermanentFailure(
            contents.sentence or "Its contents are not on this machine. Ask again in a moment."
        )


def _too_large(path: bytes, how: str) -> PermanentFailure:
    return PermanentFailure(
        f"Up to {in_words(MOST_BYTES)} of a file are given out here; {_shown(path)} {how}. "
        "Clone the repository for it."
    )


def _inside(store: Store, folder: str, name: bytes) -> TreeEntry | None:
    return next((entry for entry in store.level(folder) if entry.path == name), None)


def _parts(path: bytes) -> list[bytes]:
    parts = [part for part in path.split(b"/") if part]
    if len(parts) > DEEPEST or len(path) > 4_096:
        raise InvalidInput("The path is longer than any that is looked for.")
    return parts


def _being_fetched(repository: Repository) -> NoReturn:
    raise Conflict(
        f"The history of {repository.full_name} is being fetched to this machine. Ask again in a moment.",
        retry_at=now() + _AGAIN,
    )


def _not_there(repository: Repository, path: bytes, what: str) -> NoReturn:
    raise NotFound(f"{repository.full_name} has no {what} {_shown(path) or '/'} at this commit.")


def _shown(name: bytes) -> str:
    return "".join(c for c in name.decode("utf-8", "backslashreplace") if c.isprintable())[:200]
