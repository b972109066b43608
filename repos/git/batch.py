"""Reads what `git cat-file --batch` writes, in pieces of any size, without holding more than one file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from repos.git.errors import StoreCorrupt

_CUT = "The local copy of the repository ended in the middle of a file. It is tried again."


def contents(pieces: Iterable[bytes], limit: int | None) -> Iterator[tuple[str, bytes | None, bool]]:
    """(oid, contents, found) of each object; contents are None when missing or above `limit` bytes."""
    stream = _Stream(pieces)
    while (header := stream.line()) is not None:
        oid, kind, *rest = header.decode().split(" ")
        if not rest:  # "<oid> missing"
            yield oid, None, kind != "missing"
            continue
        size = int(rest[0])
        if limit is not None and size > limit:
            stream.skip(size + 1)
            yield oid, None, True
        else:
            data = stream.take(size)
            stream.skip(1)
            yield oid, data, True


class _Stream:
    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._buffer = bytearray()
        self._at = 0  # what is before this in the buffer has been read

    def line(self) -> bytes | None:
        """The next line without its end; None at the end of the stream."""
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            if not self._more():
                if len(self._buffer) > self._at:
                    raise StoreCorrupt(_CUT)
                return None
        line = bytes(self._buffer[self._at : end])
        self._at = end + 1
        return line

    def take(self, size: int) -> bytes:
        self._need(size)
        data = bytes(memoryview(self._buffer)[self._at : self._at + size])
        self._at += size
        return data

    def skip(self, size: int) -> None:
        while len(self._buffer) - self._at < size:
            size -= len(self._buffer) - self._at
            self._at = len(self._buffer)
            self._need(1)
        self._at += size

    def _need(self, size: int) -> None:
        while len(self._buffer) - self._at < size:
            if not self._more():
                raise StoreCorrupt(_CUT)

    def _more(self) -> bool:
        del self._buffer[: self._at]
        self._at = 0
        piece = next(self._pieces, b"")
        self._buffer += piece
        return bool(piece)
