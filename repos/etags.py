"""Answers of providers that may still be true, for each connection by itself.

An answer is private to the token it was given to, so the key is the connection and never the
address alone.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Sequence

from opssight.core.clock import now
from repos.models import Connection, Etag
from repos.providers.wire import Stored

LARGEST = 4_000_000  # bytes of an answer that is kept
_BATCH = 200


class DatabaseEtags:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

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
        if len(stored.etag) > 200 or len(stored.body) > LARGEST:
            return
        values = {
            "etag": stored.etag,
            "body": zlib.compress(stored.body),
            "link": stored.link,
            "told_at": now(),
        }
        Etag.objects.update_or_create(connection=self._connection, url_hash=_hash(url), defaults=values)


def _hash(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()
