"""Patterns on git paths: regular expressions and globs, both run by RE2, in linear time.

Git paths are bytes. A path that is UTF-8 is matched character by character; any other path is
matched byte by byte, with the pattern's bytes read as Latin-1, so that no path is out of reach.
A pattern of a user never reaches Python's own `re`, which can be made to run for ever.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

import re2

from opssight.core.errors import InvalidInput
from syncs.copy.rules.globs import glob_to_re2, quoted

MAX_PROGRAM: Final = 10_000  # RE2 instructions: a thousand of any character fit
_PATTERN_MEMORY: Final = 2 << 20
_SET_MEMORY: Final = 16 << 20
_SET_PROGRAM: Final = 20_000  # beyond this a set is slower than its patterns one by one


class Pattern:
    """A compiled pattern; `find` searches anywhere in a path.

    Raises `InvalidInput` for a pattern that RE2 does not take or that is too large.
    """

    __slots__ = ("_by_byte", "_by_character", "group_names", "program_size", "source")

    def __init__(self, source: str, by_byte: str | None = None) -> None:
        """`source` is in RE2's syntax; `by_byte` the same for paths that are not UTF-8."""
        self.source = source
        encoded = _encoded(source)
        self._by_character = _compiled(encoded, latin1=False)
        self.program_size: int = self._by_character.programsize
        if self.program_size > MAX_PROGRAM:
            raise InvalidInput("The pattern is too large; repeat less in it.")
        self._by_byte = _compiled_or_none(encoded if by_byte is None else by_byte.encode("latin-1"))
        self.group_names = tuple(name.decode() for name in self._by_character.groupindex)

    def span(self, path: bytes) -> tuple[int, int] | None:
        """Where in `path` the pattern is found first, in bytes; None when it is not."""
        found = self._search(path)
        return found.span() if found else None

    def find(self, path: bytes) -> dict[str, bytes] | None:
        """The named groups of the first match, empty where a group took no part; None: no match."""
        found = self._search(path)
        if not found:
            return None
        return {name: found.group(name.encode()) or b"" for name in self.group_names}

    def matches(self, path: bytes) -> bool:
        return self._search(path) is not None

    def _search(self, path: bytes) -> re2._Match | None:
        if is_text(path):
            return self._by_character.search(path)
        return self._by_byte.search(path) if self._by_byte else None


def regex(text: str) -> Pattern:
    """A regular expression in RE2's syntax, searched unanchored. Raises `InvalidInput`."""
    if "\\C" in text.replace("\\\\", ""):
        raise InvalidInput("The regular expression cannot be read: \\C is not supported.")
    pattern = Pattern(text)
    openings = Counter(
        {name: text.count(f"(?P<{name}>") + text.count(f"(?<{name}>") for name in pattern.group_names}
    )
    twice = [name for name, count in openings.items() if count > 1]
    if twice:
        raise InvalidInput(f"The group name {twice[0]} stands twice; give each group its own name.")
    return pattern


def glob(text: str) -> Pattern:
    """A glob with `*`, `**`, `?`, `[…]` and `{…,…}`, anchored at both ends. Raises `InvalidInput`."""
    by_character = glob_to_re2(text)
    return Pattern(by_character, None if text.isascii() else glob_to_re2(_encoded(text).decode("latin-1")))


def literal(text: str, *, end: str = "") -> Pattern:
    """What begins with exactly `text`, followed by `end` in RE2's syntax. Raises `InvalidInput`."""
    as_bytes = _encoded(text).decode("latin-1")
    return Pattern(rf"\A{quoted(text)}{end}", rf"\A{quoted(as_bytes)}{end}")


class PatternSet:
    """Many patterns asked at once: which of them are found in a path?"""

    __slots__ = ("_patterns", "_set")

    def __init__(self, patterns: list[Pattern]) -> None:
        self._patterns = patterns
        self._set = _compiled_set(patterns)

    def which(self, path: bytes) -> list[int]:
        """The indexes of the patterns that are found in `path`, ascending."""
        if self._set is not None and is_text(path):
            return sorted(self._set.Match(path) or ())
        return [index for index, pattern in enumerate(self._patterns) if pattern.matches(path)]


def is_text(path: bytes) -> bool:
    """Whether `path` is UTF-8."""
    if path.isascii():
        return True
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _encoded(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidInput("The pattern holds half of a character; type it again.") from None


def _options(memory: int, *, latin1: bool) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory
    if latin1:
        options.encoding = re2.Options.Encoding.LATIN1
    return options


def _compiled(source: bytes, *, latin1: bool) -> re2._Regexp:
    try:
        return re2.compile(source, _options(_PATTERN_MEMORY, latin1=latin1))
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args else "unknown reason"
        raise InvalidInput(f"The regular expression cannot be read: {reason}.") from None


def _compiled_or_none(source: bytes) -> re2._Regexp | None:
    """The pattern for paths that are not UTF-8; None when it has no meaning on single bytes."""
    try:
        return _compiled(source, latin1=True)
    except InvalidInput:
        return None


def _compiled_set(patterns: list[Pattern]) -> re2.Set | None:
    """None where asking one by one is faster, which is so for very large patterns."""
    if not patterns or sum(pattern.program_size for pattern in patterns) > _SET_PROGRAM:
        return None
    combined = re2.Set.SearchSet(_options(_SET_MEMORY, latin1=False))
    for pattern in patterns:
        combined.Add(pattern.source.encode())
    combined.Compile()
    return combined
