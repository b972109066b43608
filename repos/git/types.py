"""The plain values that the git plane takes and gives."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

NO_OBJECT = "0" * 40  # git's name for "nothing", in changes


@dataclass(frozen=True)
class RemoteRefs:
    """What a look at a remote shows. `refs`: heads and tags by full name, tags as they are (not peeled).

    `head` is the full name of the default branch; None when the remote does not say.
    """

    refs: Mapping[bytes, str]
    head: bytes | None

    @property
    def heads(self) -> dict[bytes, str]:
        return {ref: oid for ref, oid in self.refs.items() if ref.startswith(b"refs/heads/")}


@dataclass(frozen=True)
class Fetched:
    """`fetched`: whether the remote was asked at all. `nbytes`: size of the pack that came."""

    fetched: bool
    nbytes: int


@dataclass(frozen=True)
class TreeEntry:
    """A file, link (120000), submodule (160000) or folder; `type` is `blob`, `commit` or `tree`."""

    path: bytes
    mode: str
    oid: str
    type: str


@dataclass(frozen=True)
class Change:
    """What differs between two trees. `status`: A(dded) D(eleted) M(odified) T(ype changed) R(enamed).

    `old_path` is the path before a rename, else None. Where a side is not there, its mode is
    `000000` and its oid is `NO_OBJECT`.
    """

    status: str
    path: bytes
    old_path: bytes | None
    mode: str
    oid: str
    old_mode: str
    old_oid: str


@dataclass(frozen=True)
class CommitInfo:
    """`at`: when it was committed, in UTC; `subject`: the first paragraph of the message as one line."""

    oid: str
    author_name: str
    author_email: str
    at: dt.datetime
    subject: str


@dataclass(frozen=True)
class Commit:
    """A commit of a history. `trailers`: the values of the one that was asked for, in order."""

    oid: str
    parents: tuple[str, ...]
    author_name: str
    author_email: str
    committer_email: str
    trailers: tuple[str, ...]


@dataclass(frozen=True)
class Write:
    """A path of a commit: `mode` 100644, 100755, 120000 (link) or 160000 (submodule)."""

    path: bytes
    mode: str
    oid: str


@dataclass(frozen=True)
class RefUpdate:
    """What shall become of a ref of a remote.

    `new`: object it shall point to, None deletes. `expect`: what it points to now as far as we know, None: it
    is not there. `force`: may go anywhere if it still is at `expect`; without, only forward. A deletion
    always needs `expect`.
    """

    ref: bytes
    new: str | None
    expect: str | None = None
    force: bool = False


@dataclass(frozen=True)
class RefResult:
    """What became of a `RefUpdate`.

    `code`: `ok`; `up_to_date` (was so before); `stale` (the remote is not where it was expected, or
    what was to be deleted is gone: look again);
    `protected` (a rule or hook of the server); `hidden` (the server keeps this ref for itself);
    `rejected` (anything else). `reason` is the server's or git's word for it, redacted.
    """

    ref: bytes
    ok: bool
    code: str
    reason: str = ""
