"""Reads plain data field by field and collects everything that is wrong with it, with its place."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Literal, TypeVar

from opssight.core.yamlsafe import Document, KeyPath

Problem = tuple[str, str]  # where and message

# What stands for a mapping that is not there: its error is told, and its fields are not asked for.
_MISSING: Final[Mapping[str, object]] = MappingProxyType({})

MAX_PROBLEMS: Final = 100  # nobody reads more; the rest shows when these are solved

_Option = TypeVar("_Option", bound=str)


class Reader:
    """`errors` and `warnings` are (where, message); where is a path like `rules[2].pattern`.

    With a document, messages name the line, and unquoted numbers are read as the text that stands there.
    `file` is put before where: it names the file when there are several.
    """

    def __init__(
        self,
        document: Document | None = None,
        *,
        unknown: Literal["error", "warning"] = "warning",
        file: str = "",
    ) -> None:
        self._document = document
        self._unknown_is_error = unknown == "error"
        self._file = file
        self.errors: list[Problem] = []
        self.warnings: list[Problem] = []

    def beside(self, document: Document | None, file: str) -> Reader:
        """A reader of another file that tells its problems here."""
        other = Reader(document, unknown="error" if self._unknown_is_error else "warning", file=file)
        other.errors, other.warnings = self.errors, self.warnings
        return other

    def apart(self) -> Reader:
        """A reader of the same file whose problems are told nowhere else."""
        return Reader(
            self._document, unknown="error" if self._unknown_is_error else "warning", file=self._file
        )

    def error(self, path: KeyPath, message: str) -> None:
        self._add(self.errors, path, message)

    def warning(self, path: KeyPath, message: str) -> None:
        self._add(self.warnings, path, message)

    def pass_on(self, warning: Problem) -> None:
        """Take over a warning that another reader made."""
        if len(self.warnings) < MAX_PROBLEMS and warning not in self.warnings:
            self.warnings.append(warning)

    def _add(self, problems: list[Problem], path: KeyPath, message: str) -> None:
        line = self._document.line(path) if self._document else None
        place = ": ".join(filter(None, (self._file, where(path))))
        problem = (place, f"Line {line}: {message}" if line else message)
        if len(problems) < MAX_PROBLEMS and problem not in problems:
            problems.append(problem)

    def mapping(self, value: object, path: KeyPath, keys: Collection[str]) -> Mapping[str, object]:
        """`value` when it is a mapping, else an error and an empty one; keys beside `keys` are named."""
        if not isinstance(value, Mapping):
            self.error(path, f"{_name(path)} is required." if value is None else f"{_name(path)} takes keys.")
            return _MISSING
        for key in value:
            if key not in keys:
                add = self.error if self._unknown_is_error else self.warning
                add((*path, str(key)), f"The key {key!r} is not known here.")
        return value

    def items(self, value: object, path: KeyPath, *, limit: int, needed: str = "") -> Sequence[object]:
        """`value` when it is a list of at most `limit`; `needed` is the error when it is empty."""
        if value is None or value == []:
            if needed:
                self.error(path, needed)
            return []
        if not isinstance(value, list | tuple):
            self.error(path, f"{_name(path)} takes a list.")
            return []
        if len(value) > limit:
            self.error(path, f"{_name(path)} has {len(value)} entries; {limit} are allowed.")
        return value[:limit]

    def text(
        self,
        holder: Mapping[str, object],
        key: str,
        path: KeyPath,
        *,
        limit: int,
        default: str | None = None,
        lines: bool = False,
    ) -> str:
        """The text at `key`; without a default it is required. `lines` allows several lines."""
        inner = (*path, key)
        value = self._as_text(holder.get(key), inner)
        if value:
            return self.checked(value, inner, limit=limit, lines=lines)
        if value == "" and default is None and holder is not _MISSING:
            self.error(inner, f"{key} is required.")
        return default or ""

    def checked(self, value: str, path: KeyPath, *, limit: int, lines: bool = False) -> str:
        """`value`, cut to its limit, with an error when it is too long or not plain text."""
        if len(value) > limit:
            self.error(path, f"{_name(path)} has {len(value):,} characters; {limit:,} are allowed.")
        elif not _is_plain(value, lines=lines):
            self.error(path, f"{_name(path)} holds a character that cannot be used here.")
        return value[:limit]

    def texts(self, value: object, path: KeyPath, *, count: int, limit: int) -> tuple[str, ...]:
        """A list of texts, none of them empty."""
        found: list[str] = []
        for index, item in enumerate(self.items(value, path, limit=count)):
            text = self._as_text(item, (*path, index))
            if text:
                found.append(self.checked(text, (*path, index), limit=limit))
            elif text == "":
                self.error((*path, index), f"{where((*path, index))} is empty.")
        return tuple(found)

    def choice(
        self,
        holder: Mapping[str, object],
        key: str,
        path: KeyPath,
        options: Sequence[_Option],
        *,
        default: _Option | None = None,
    ) -> _Option:
        """One of `options`; the default, or else the first one, after an error."""
        value = self._as_text(holder.get(key), (*path, key))
        for option in options:
            if value == option:
                return option
        if value:
            self.error((*path, key), f"{value[:50]!r} is not a {key}; use {' or '.join(options)}.")
        elif value == "" and default is None and holder is not _MISSING:
            self.error((*path, key), f"{key} is required: {' or '.join(options)}.")
        return default or options[0]

    def flag(self, holder: Mapping[str, object], key: str, path: KeyPath) -> bool:
        """True or false; false when it is missing."""
        value = holder.get(key)
        if not isinstance(value, bool | None):
            self.error((*path, key), f"{key} is true or false.")
        return value is True

    def _as_text(self, value: object, path: KeyPath) -> str | None:
        """Text as it is, nothing as empty, an unquoted number as written; None after an error."""
        if isinstance(value, str):
            return value
        if value is None:
            return ""
        written = self._document.texts.get(path) if self._document else None
        if written is None:
            self.error(path, f"{_name(path)} takes text.")
        return written


def where(path: KeyPath) -> str:
    """`("rules", 2, "pattern")` as `rules[2].pattern`."""
    parts = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path)
    return parts.removeprefix(".")


def _name(path: KeyPath) -> str:
    return where(path[-2:] if path and isinstance(path[-1], int) else path[-1:]) or "The configuration"


def _is_plain(text: str, *, lines: bool) -> bool:
    allowed = text.replace("\n", "").replace("\r", "").replace("\t", "") if lines else text
    return not any(ord(char) < 0x20 or ord(char) == 0x7F or 0xD800 <= ord(char) <= 0xDFFF for char in allowed)
