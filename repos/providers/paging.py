"""Pages of a list: their addresses, and how much one list may be."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from opssight.core.env_kinds import show_size
from repos.providers.errors import TooMany

MOST_PAGES = 2_000
MOST_ITEMS = 100_000
MOST_BYTES = 500_000_000  # of all its pages; a repository takes some thousand


@dataclass
class Extent:
    """What one list has taken so far, over all the rounds that it is asked in."""

    label: str  # of the provider, for sentences
    pages: int = 0
    items: int = 0
    size: int = 0

    def page(self, path: str) -> None:
        """One more page is asked for. Raises `TooMany`, as the others do."""
        self.pages += 1
        if self.pages > MOST_PAGES:
            raise TooMany(f"{self.label} lists pages without end at {path}.")

    def to_come(self, pages: int) -> None:
        if self.pages + pages > MOST_PAGES:
            raise TooMany(f"{self.label} lists more than {MOST_PAGES:,} pages.")

    def read(self, size: int) -> None:
        """A page of so many bytes came."""
        self.size += size
        if self.size > MOST_BYTES:
            raise self._too_much(show_size(MOST_BYTES))

    def found(self, items: int) -> None:
        self.items += items
        if self.items > MOST_ITEMS:
            raise self._too_much(f"{MOST_ITEMS:,} entries")

    def _too_much(self, what: str) -> TooMany:
        return TooMany(
            f"{self.label} lists more than {what}, which is more than is read. Use a token that sees less."
        )


def by_number(url: str, page: int) -> str:
    """The address of another page of a list."""
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    if "page" not in dict(query):
        query.append(("page", ""))
    numbered = [(name, str(page) if name == "page" else value) for name, value in query]
    return urlunsplit(parts._replace(query=urlencode(numbered)))


def between(following: str, last: str) -> list[str]:
    """Addresses of the pages from the next to the last one, where they are told apart by number."""
    first, final = (_number(url) for url in (following, last))
    if not first or not final or by_number(following, final) != by_number(last, final):
        return []
    final = min(final, first + MOST_PAGES)  # whoever names more is refused
    return [by_number(following, page) for page in range(first, final + 1)]


def _number(url: str) -> int:
    with suppress(ValueError):
        page = dict(parse_qsl(urlsplit(url).query)).get("page", "")
        return int(page) if page.isascii() and page.isdecimal() and len(page) < 9 else 0
    return 0
