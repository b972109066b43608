"""Identifiers that are known before the row is stored and sort by the time they were made."""

from __future__ import annotations

import datetime as dt
import secrets
import time
import uuid


def uuid7() -> uuid.UUID:
    """A new version 7 UUID (RFC 9562): milliseconds, a 12-bit fraction of one, 62 random bits."""
    milliseconds, rest = divmod(time.time_ns(), 1_000_000)
    fraction = (rest << 12) // 1_000_000
    head = (milliseconds << 16) | (7 << 12) | fraction
    return uuid.UUID(int=(head << 64) | (0b10 << 62) | secrets.randbits(62))


def as_uuid(text: str) -> uuid.UUID | None:
    """The id that `text` is; a look-up by None finds nothing."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def first_id(at: dt.datetime) -> uuid.UUID:
    """The smallest id that may have been made at `at`: what came since is a range of the primary key."""
    return uuid.UUID(int=int(at.timestamp() * 1_000) << 80)
