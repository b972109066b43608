"""Makes commits from the ids of contents that are there already, with one `git fast-import`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from pathlib import Path

from opssight.core.errors import InvalidInput
from repos.git.reading import checked_oid
from repos.git.runner import Git
from repos.git.types import Write

_MODES = {"100644", "100755", "120000", "160000"}
_PLAIN = frozenset(range(0x20, 0x7F)) - set(b'"\\')
_REF = b"refs/opssight/commit"


def commit(
    git: Git,
    git_dir: Path,
    base: str | None,
    writes: Iterable[Write],
    deletes: Iterable[bytes],
    *,
    message: str,
    author_name: str,
    author_email: str,
    at: dt.datetime,
    committer: tuple[str, str] | None = None,
) -> str:
    """See `View.commit`."""
    if at.tzinfo is None:
        raise InvalidInput("The time of a commit needs a time zone.")
    author = _person(author_name, author_email, at)
    head = _head(base, author, _person(*committer, at) if committer else author, message.encode())
    stream = _stream(head, sorted(deletes), sorted(writes, key=lambda write: write.path))
    args = ["fast-import", "--quiet", "--done", "--force"]
    return git.run(args, git_dir=git_dir, stdin=stream).stdout.decode().strip()


def quoted(path: bytes) -> bytes:
    """A path as fast-import reads it, whatever bytes it has."""
    return b'"%s"' % b"".join(bytes([c]) if c in _PLAIN else b"\\%03o" % c for c in path)


def checked_path(path: bytes) -> bytes:
    """A path that names a file below the root and cannot reach git's own folder."""
    parts = path.split(b"/")
    if b"\0" in path or any(part in {b"", b".", b".."} or part.lower() == b".git" for part in parts):
        raise InvalidInput(f"{path.decode(errors='replace')[:200]!r} is not a path that a commit can have.")
    return path


def _head(base: str | None, author: bytes, committer: bytes, message: bytes) -> bytes:
    who = [b"author " + author, b"committer " + committer]
    lines = [b"commit " + _REF, b"mark :1", *who, b"data %d" % len(message)]
    parent = b"from %s\n" % checked_oid(base).encode() if base else b""
    return b"\n".join([*lines, message]) + b"\n" + parent


def _stream(head: bytes, deletes: Iterable[bytes], writes: Iterable[Write]) -> Iterator[bytes]:
    # A ref of an earlier commit in this view would become the parent; `reset` forgets it.
    yield b"reset %s\n" % _REF + head
    for path in deletes:
        yield b"D %s\n" % quoted(checked_path(path))
    for write in writes:
        if write.mode not in _MODES:
            raise InvalidInput(f"{write.mode!r} is not the mode of a file.")
        line = b"M %s %s %s\n" % (
            write.mode.encode(),
            checked_oid(write.oid).encode(),
            quoted(checked_path(write.path)),
        )
        yield line
    yield b"get-mark :1\ndone\n"


def _person(name: str, email: str, at: dt.datetime) -> bytes:
    return b"%s <%s> %d +0000" % (_name(name), _name(email), int(at.timestamp()))


def _name(text: str) -> bytes:
    """Without what would end the field; git itself drops the same."""
    return " ".join("".join(" " if c in "<>\0\r\n" else c for c in text).split()).encode() or b"unknown"
