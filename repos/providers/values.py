"""Reading what servers say: each value as what it should be, or as nothing. Nothing here raises."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

_NAME = r"(?!\.\.?(?:/|\Z))[A-Za-z0-9_.-]{1,100}"
_FULL_NAME = re.compile(f"{_NAME}/{_NAME}")
_MOST_WORDS = 50  # more than a repository has topics
_LONGEST = 100_000  # characters of a text of several lines


def is_full_name(text: str) -> bool:
    """Whether it is `owner/name` in characters that need no escape in an address."""
    return _FULL_NAME.fullmatch(text) is not None


def text_of(value: object, limit: int = 400) -> str:
    """`value` as one printable line, or "" for anything that is not text."""
    if not isinstance(value, str):
        return ""
    return "".join(char for char in value if char.isprintable())[:limit]


def line_of(value: object, limit: int = 400) -> str:
    """Text as one line: line breaks and runs of spaces become one space."""
    return text_of(" ".join(value.split()), limit) if isinstance(value, str) else ""


def lines_of(value: object) -> str:
    """Text of several lines, without characters that no database takes."""
    if not isinstance(value, str):
        return ""
    return "".join(char for char in value[:_LONGEST] if char.isprintable() or char in "\n\t")


def words_of(value: object, limit: int = 60) -> tuple[str, ...]:
    """The short texts of a list, of which there are not many."""
    texts = (text_of(one, limit) for one in value[:_MOST_WORDS]) if isinstance(value, list) else ()
    return tuple(filter(None, texts))


def url_of(value: object) -> str:
    """An address that may be a link on a page, or ""."""
    url = text_of(value, 2_000)
    return url if url.startswith(("https://", "http://")) else ""


def number_of(value: object) -> int | None:
    """A number that is not negative and that a database takes."""
    fits = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63
    return value if fits and isinstance(value, int) else None


def time_of(value: object) -> dt.datetime | None:
    """A time, or the midnight that a date begins with. None for the year 1 and 1970, which mean "never"."""
    with suppress(ValueError, OverflowError):
        found = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
        if found is not None and found.year > 1970:
            return (found if found.tzinfo else found.replace(tzinfo=dt.UTC)).astimezone(dt.UTC)
    return None


def part_of(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object called `name` in an object; empty when there is none."""
    value = payload.get(name)
    return value if isinstance(value, dict) else {}


def flags_of(item: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Those of the named values that are true or false."""
    return {name: item[name] for name in names if isinstance(item.get(name), bool)}


def flags_within(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object of an object's flags as `{name: {…}}`; nothing where it has none."""
    flags = {key[:40]: value for key, value in part_of(item, name).items() if isinstance(value, bool)}
    return {name: dict(sorted(flags.items())[:20])} if flags else {}


def verified(items: Iterable[object], word: str = "verified", main: str = "primary") -> tuple[str, ...]:
    """The e-mail addresses in a provider's list that it says are verified, the main one first."""
    good = [item for item in items if isinstance(item, dict) and item.get(word) is True]
    good.sort(key=lambda item: item.get(main) is not True)
    found = (text_of(item.get("email"), 254) for item in good)
    return tuple(email for email in found if "@" in email)
