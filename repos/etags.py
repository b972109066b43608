"""Answers of providers that may still be true, for each connection by itself.

An answer is private to the token it was given to, so the key is the connection and never the
address alone.
"""

from __future__ import annotations

import hashlib
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from django.db.models.functions import Length

from opssight.core.clock import now
from repos.models import Connection, Etag
from repos.providers.wire import Stored

LARGEST = 2_000_000  # bytes of an answer that is kept; a page of 100 repositories has less than one million
MOST_BYTES = 50_000_000  # that are kept for one connection, as they are stored
_BATCH = 200
_KEPT = 0.75  # of them, when there are too many: else each further answer would clean up again
_LONGEST_LINK = 4_000


class DatabaseEtags:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._stored_bytes: int | None = None  # as far as it is known here; never too low by much

    def get_many(self, urls: Sequence[str]) -> dict[str, Stored]:
        hashes = {_hash(url): url for url in urls}
        found: dict[str, Stored] = {}
        keys = list(hashes)
        for start in range(0, len(keys), _BATCH):
            rows = self._connection.etags.filter(url_hash__in=keys[start : start + _BATCH])
            for row in rows:
                found[hashes[row.url_hash]] = Stored(row.etag, zlib.decompress(bytes(row.body)), row.link)
        return found

    def put(self, url: str, stored: Stored) -> None:
        if len(stored.etag) > 200 or len(stored.body) > LARGEST or len(stored.link) > _LONGEST_LINK:
            return
        body = zlib.compress(stored.body)
        values = {"etag": stored.etag, "body": body, "link": stored.link, "told_at": now()}
        Etag.objects.update_or_create(connection=self._connection, url_hash=_hash(url), defaults=values)
        self._count(len(body))

    def _count(self, size: int) -> None:
        if self._stored_bytes is None:
            self._stored_bytes = sum(length for _, length in self._lengths())
        else:
            self._stored_bytes += size
        if self._stored_bytes > MOST_BYTES:
            self._stored_bytes = self._drop_oldest()

    def _lengths(self) -> list[tuple[int, int]]:
        """Keys and sizes of what is stored, the newest first."""
        rows = self._connection.etags.order_by("-told_at", "-pk")
        return list(rows.values_list("pk", Length("body")))

    def _drop_oldest(self) -> int:
        """Bytes that are stored afterwards."""
        sizes = self._lengths()
        if (total := sum(length for _, length in sizes)) <= MOST_BYTES:  # answers that took others' places
            return total
        sums = list(accumulate(length for _, length in sizes))
        kept = bisect_right(sums, _KEPT * MOST_BYTES)
        old = [pk for pk, _ in sizes[kept:]]
        for start in range(0, len(old), _BATCH):
            Etag.objects.filter(pk__in=old[start : start + _BATCH]).delete()
        return sums[kept - 1] if kept else 0


def _hash(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()
