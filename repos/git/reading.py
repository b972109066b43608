"""Reading objects by their ids: trees, changes, contents, history. Nothing here contacts a remote."""

from __future__ import annotations

import datetime as dt
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from opssight.core.errors import InvalidInput
from repos.git.batch import contents
from repos.git.errors import DAMAGED, MISSING, MissingObject, StoreCorrupt, TooLarge
from repos.git.runner import Git
from repos.git.types import NO_OBJECT, Change, Commit, CommitInfo, TreeEntry

_OID = re.compile(r"[0-9a-f]{40}")
_NAME = re.compile(r"(?:refs/[^\x00-\x20\x7f~^:?*\[\\]+|HEAD|[0-9a-f]{7,40})")
_TRAILER_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_RENAME_LIMIT = 2_000  # above so many added and deleted files only equal contents count as renames
MAX_LISTING = 100_000_000  # bytes: about a million files
_LOG = "--format=%H%n%an%n%ae%n%ct%n%s"


def checked_oid(oid: str) -> str:
    """The oid, if it is one: 40 hex digits."""
    if not _OID.fullmatch(oid):
        raise InvalidInput(f"{oid[:60]!r} is not the id of a git object.")
    return oid


class Reader(ABC):
    """The reading half of a store or a view. Failures: `MissingObject`, `StoreCorrupt`."""

    git: Git

    @abstractmethod
    def opened(self) -> AbstractContextManager[Path]:
        """The git folder to read from, kept while the context lasts. MissingObject if there is none."""

    @property
    @abstractmethod
    def partial(self) -> bool:
        """Whether file contents may be missing (a blobless store)."""

    @contextmanager
    def _with_all_of(self, *commits: str) -> Iterator[Path]:
        """`opened` for a command that needs all that belongs to these commits.

        A commit that is here without something that belongs to it is damage, not a wrong question.
        """
        with self.opened() as git_dir:
            try:
                yield git_dir
            except MissingObject as error:
                if not self.partial and not self.missing(commits):
                    raise StoreCorrupt(DAMAGED, detail=error.detail) from None
                raise

    def has(self, oid: str) -> bool:
        return not self.missing([oid])

    def missing(self, oids: Iterable[str]) -> list[str]:
        """Those of `oids` that are not here, in their order."""
        return [oid for oid, kind, _ in self._checked(oids, sized=False) if kind == "missing"]

    def size(self, oid: str) -> int:
        """Bytes of an object's contents."""
        return self.sizes([oid])[oid]

    def sizes(self, oids: Iterable[str]) -> dict[str, int]:
        """Bytes of each object's contents."""
        found = {}
        for oid, kind, size in self._checked(oids, sized=True):
            if kind == "missing":
                raise _missing(oid)
            found[oid] = size
        return found

    def resolve(self, ref: bytes | str) -> str | None:
        """The commit that a full ref name, HEAD or a (shortened) oid stands for; None if there is none."""
        name = os.fsdecode(ref)
        if not _NAME.fullmatch(name):
            raise InvalidInput(f"{name[:60]!r} is not the full name of a branch or tag.")
        args = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
        try:
            with self.opened() as git_dir:
                return self.git.run(args, git_dir=git_dir, ok=(0, 1, 128)).stdout.decode().strip() or None
        except MissingObject:
            return None

    def refs(self, prefix: str = "refs/") -> dict[bytes, str]:
        """Refs under `prefix` by full name, with the object each points to (tags not peeled)."""
        args = ["for-each-ref", "--format=%(objectname) %(refname)", "--", prefix]
        try:
            with self.opened() as git_dir:
                lines = self.git.run(args, git_dir=git_dir).stdout.splitlines()
        except MissingObject:
            return {}
        return {line[41:]: line[:40].decode() for line in lines}

    def tree(self, commit: str) -> list[TreeEntry]:
        """All files, links and submodules of a commit (or tree), by path. Raises `TooLarge`."""
        with self._with_all_of(commit) as git_dir:
            args = ["ls-tree", "-r", "-z", "--full-tree", checked_oid(commit)]
            records = self._listing(args, git_dir)
        return [_entry(record) for record in records]

    def level(self, tree: str) -> list[TreeEntry]:
        """What stands directly in a commit's root (or a tree): folders too, with the type `tree`."""
        with self._with_all_of(tree) as git_dir:
            records = self._listing(["ls-tree", "-z", checked_oid(tree)], git_dir)
        return [_entry(record) for record in records]

    def changes(self, old: str | None, new: str) -> list[Change]:
        """What differs from commit `old` to `new`; without `old` the whole tree is added.

        Where file contents may be missing, only renames without any change are seen as renames.
        """
        if old is None:
            return [
                Change("A", entry.path, None, entry.mode, entry.oid, "000000", NO_OBJECT)
                for entry in self.tree(new)
            ]
        renames = "-M100%" if self.partial else "-M"
        args = [
            "diff-tree",
            "-r",
            renames,
            f"-l{_RENAME_LIMIT}",
            "-z",
            "--no-ext-diff",
            "--ignore-submodules=none",
        ]
        with self._with_all_of(old, new) as git_dir:
            args += [checked_oid(old), checked_oid(new)]
            fields = self._listing(args, git_dir)
        return list(_changes(iter(fields)))

    def patch(self, old: str | None, new: str, limit: int) -> bytes:
        """What `git apply` makes `new` of `old` with (None: of nothing), as git prints it; contents have to
        be there. Above `limit` bytes `TooLarge`.
        """
        args = ["diff-tree", "-p", "-r", "-M", "--no-commit-id", "--no-ext-diff", "--no-textconv", "--root"]
        found = bytearray()
        with self._with_all_of(*([old] if old else []), new) as git_dir:
            args += [checked_oid(one) for one in (old, new) if one]
            with closing(self.git.stream(args, git_dir=git_dir)) as pieces:
                for piece in pieces:
                    found += piece
                    if len(found) > limit:
                        raise TooLarge(f"The patch is larger than {limit:,} bytes.")
        return bytes(found)

    def blob(self, oid: str, limit: int) -> bytes:
        """The contents of a file of at most `limit` bytes; above that `TooLarge`."""
        for _, data in self.blobs([oid], limit=limit):
            if data is not None:
                return data
        raise TooLarge(
            f"A file is larger than the limit of {limit:,} bytes. Raise the limit or leave it out."
        )

    def blobs(
        self, oids: Iterable[str], *, limit: int | None = None
    ) -> Generator[tuple[str, bytes | None], None, None]:
        """(oid, contents) of each, in order, from one process; None for what is larger than `limit`."""
        with self.opened() as git_dir:
            stdin = (f"{checked_oid(oid)}\n".encode() for oid in oids)
            pieces = self.git.stream(["cat-file", "--batch", "--buffer"], git_dir=git_dir, stdin=stdin)
            for oid, data, found in contents(pieces, limit):
                if not found:
                    raise _missing(oid) if self.partial else StoreCorrupt(DAMAGED, detail=f"no {oid}")
                yield oid, data

    def raw_commit(self, oid: str) -> bytes:
        """The object of a commit: its headers, an empty line, its message."""
        with self._with_all_of(oid) as git_dir:
            return self.git.run(["cat-file", "commit", checked_oid(oid)], git_dir=git_dir).stdout

    def commit_info(self, oid: str) -> CommitInfo:
        return self.log(oid, limit=1)[0]

    def log(self, tip: str, *, stop: str | None = None, limit: int, skip: int = 0) -> list[CommitInfo]:
        """At most `limit` commits from `tip` back, newest first, without those that `stop` has.

        `skip`: leave out so many of the newest.
        """
        counts = [f"--max-count={limit}", f"--skip={skip}"]
        args = ["log", "-z", _LOG, *counts, "--no-show-signature", checked_oid(tip)]
        if stop is not None:
            args.append(f"^{checked_oid(stop)}")
        with self._with_all_of(tip, *([stop] if stop else [])) as git_dir:
            records = self.git.run([*args, "--"], git_dir=git_dir).stdout.split(b"\0")
        return [_commit(record) for record in records if record]

    def count_between(self, old: str, new: str) -> int | None:
        """How many commits `new` has that `old` does not have; None when one of them is not here."""
        if self.missing([old, new]):
            return None
        args = ["rev-list", "--count", f"{old}..{new}", "--"]
        with self.opened() as git_dir:
            return int(self.git.run(args, git_dir=git_dir).stdout)

    def commits_between(self, old: str | None, new: str, *, trailer: str, limit: int) -> list[Commit]:
        """At most `limit` commits that `new` has and `old` does not have, newest first, with a trailer."""
        layout = f"--format=%H%n%P%n%ae%n%ce%n{_trailer_format(trailer)}%n%an"
        args = ["log", "-z", layout, f"--max-count={limit}", "--no-show-signature", checked_oid(new)]
        args += [f"^{checked_oid(old)}"] if old else []
        with self._with_all_of(new, *([old] if old else [])) as git_dir:
            records = self.git.run([*args, "--"], git_dir=git_dir).stdout.split(b"\0")
        return [_between(record) for record in records if record]

    def merge_base(self, one: str, other: str) -> str | None:
        """The newest commit that both have; None for histories that have nothing in common."""
        args = ["merge-base", checked_oid(one), checked_oid(other)]
        with self._with_all_of(one, other) as git_dir:
            return self.git.run(args, git_dir=git_dir, ok=(0, 1)).stdout.decode().strip() or None

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether going from `old` to `new` only adds commits. Raises MissingObject if one is not here."""
        args = ["merge-base", "--is-ancestor", checked_oid(old), checked_oid(new)]
        with self._with_all_of(old, new) as git_dir:
            return self.git.run(args, git_dir=git_dir, ok=(0, 1)).code == 0

    def find_trailer(self, tip: str, key: str, value: str, *, limit: int = 1_000) -> str | None:
        """The newest of the last `limit` commits whose message has exactly the trailer `key: value`."""
        layout = f"--format=%H%n{_trailer_format(key)}"
        args = ["log", "-z", layout, f"--max-count={limit}", "--no-show-signature", checked_oid(tip), "--"]
        with self._with_all_of(tip) as git_dir:
            records = self.git.run(args, git_dir=git_dir).stdout.split(b"\0")
        for record in records:
            oid, _, values = record.partition(b"\n")
            if value.encode() in values.split(b"\x1f"):
                return oid.decode()
        return None

    def _listing(self, args: Sequence[str], git_dir: Path) -> list[bytes]:
        """The parts that a command lists, of bounded size: a few folders that hold each other many times
        over are a small repository with more files than any machine has room for. Raises `TooLarge`.
        """
        listed = bytearray()
        with closing(self.git.stream(args, git_dir=git_dir)) as pieces:
            for piece in pieces:
                listed += piece
                if len(listed) > MAX_LISTING:
                    raise TooLarge(
                        f"A commit has more files than can be worked with: their list is longer than "
                        f"{MAX_LISTING // 1_000_000} MB. Choose another branch."
                    )
        return bytes(listed).split(b"\0")[:-1]

    def _checked(self, oids: Iterable[str], *, sized: bool) -> list[tuple[str, str, int]]:
        """(oid, type or `missing`, size) of each. The size costs more to find; 0 unless `sized`."""
        wanted = [checked_oid(oid) for oid in oids]
        if not wanted:
            return []
        layout = "%(objectname) %(objecttype)" + (" %(objectsize)" if sized else "")
        try:
            with self.opened() as git_dir:
                args = ["cat-file", f"--batch-check={layout}", "--buffer"]
                stdin = ["".join(f"{oid}\n" for oid in wanted).encode()]
                lines = self.git.run(args, git_dir=git_dir, stdin=stdin).stdout.decode().splitlines()
        except MissingObject:
            return [(oid, "missing", 0) for oid in wanted]
        rows = (line.split(" ") for line in lines)
        return [(row[0], row[1], int(row[2]) if len(row) > 2 else 0) for row in rows]


def _trailer_format(key: str) -> str:
    """How `git log` is asked for the values of a trailer, on one line."""
    if not _TRAILER_KEY.fullmatch(key):
        raise InvalidInput(f"{key[:60]!r} is not the name of a trailer.")
    return f"%(trailers:key={key},valueonly,unfold,separator=%x1f)"


def _missing(oid: str) -> MissingObject:
    return MissingObject(MISSING, detail=oid)


def _entry(record: bytes) -> TreeEntry:
    head, _, path = record.partition(b"\t")
    mode, kind, oid = head.decode().split(" ")
    return TreeEntry(path, mode, oid, kind)


def _changes(fields: Iterator[bytes]) -> Iterator[Change]:
    for head in fields:
        old_mode, mode, old_oid, oid, status = head.decode().lstrip(":").split(" ")
        path, old_path = next(fields), None
        if status[0] in "RC":
            path, old_path = next(fields), path
        yield Change(status[0], path, old_path, mode, oid, old_mode, old_oid)


def _commit(record: bytes) -> CommitInfo:
    oid, name, email, at, subject = record.decode(errors="replace").split("\n", 4)
    return CommitInfo(oid, name, email, _moment(at), subject)


def _between(record: bytes) -> Commit:
    oid, parents, email, committer, values, name = record.decode(errors="replace").split("\n", 5)
    trailers = tuple(value for value in values.split("\x1f") if value)
    return Commit(oid, tuple(parents.split()), name, email, committer, trailers)


def _moment(seconds: str) -> dt.datetime:
    """A time as git tells it. Anybody can write any time into a commit; what is none counts as 1970."""
    try:
        return dt.datetime.fromtimestamp(int(seconds), dt.UTC)
    except (ValueError, OverflowError, OSError):
        return dt.datetime.fromtimestamp(0, dt.UTC)
