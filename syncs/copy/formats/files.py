"""Files beyond the one that is given: what a main file, a `config_file` or a `$ref` leads to.

Paths are those of a repository: with slashes, from its root. One that leads out of it is refused here,
before anybody is asked for it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from opssight.core.errors import InvalidInput, NotFound
from opssight.core.yamlsafe import Document, KeyPath, load_document
from syncs.copy.rules.config import MAX_REPOSITORY, is_branch_name
from syncs.copy.rules.paths import as_bytes, danger
from syncs.copy.rules.reading import Reader

MAX_FILES: Final = 200
MAX_TOTAL: Final = 5_000_000  # bytes of all of them
_REFERENCE: Final = "$ref"
_REPO: Final = "repo://"


class Reads(Protocol):
    """Where further files come from."""

    def read(self, repository: str | None, branch: str | None, path: str) -> bytes:
        """The contents of a file at the tip of a branch; a repository None is that of the first file.

        `path` is relative to the root, has no `..` and is not absolute; the reader still keeps to the
        folder or repository where links lead out. Raises NotFound with a sentence when there is no such
        file, and another Failure when it cannot be looked for now.
        """
        ...


@dataclass(frozen=True)
class Place:
    """Where a file is. A repository None is that of the first file, whatever that is."""

    path: str = ""
    repository: str | None = None
    branch: str | None = None

    def __str__(self) -> str:
        if self.repository is None:
            return self.path
        return f"{self.repository}/{self.path}@{self.branch}"

    def beside(self, path: str) -> Place:
        """The file that a path in this one means. InvalidInput when it leads out."""
        return self.at(posixpath.join(posixpath.dirname(self.path), path) if path else "")

    def at(self, path: str) -> Place:
        """The file of the same repository at a path from its root. InvalidInput when it leads out."""
        return Place(_checked(path), self.repository, self.branch)


@dataclass(frozen=True)
class Part:
    """A value of a file, with what knows its place: `path` are the keys that lead to it."""

    reader: Reader
    value: object
    path: KeyPath
    place: Place

    def at(self, key: str) -> Part:
        """The value at a key; None where there is none."""
        inner = self.value.get(key) if isinstance(self.value, Mapping) else None
        return Part(self.reader, inner, (*self.path, key), self.place)

    def quiet(self) -> Part:
        """The same, with problems that are told nowhere: they are told where the value stands."""
        return Part(self.reader.apart(), self.value, self.path, self.place)


class Files:
    """Further files, each read once. Without `reads` there are none."""

    def __init__(self, reads: Reads | None = None) -> None:
        self._reads = reads
        self._found: dict[Place, Document | InvalidInput | NotFound] = {}
        self._bytes = 0

    def part(self, reader: Reader, place: Place) -> Part:
        """All of a file. InvalidInput with the place of what is wrong, NotFound when it is not there."""
        if place not in self._found:
            self._found[place] = self._looked_for(place)
        document = self._found[place]
        if not isinstance(document, Document):
            raise document
        return Part(reader.beside(document, str(place)), document.data, (), place)

    def resolved(self, part: Part) -> Part | None:
        """What a `$ref` in the place of a value stands for, else the part itself; None after an error."""
        value = part.value
        if not (isinstance(value, Mapping) and _REFERENCE in value):
            return part
        path = (*part.path, _REFERENCE)
        if len(value) > 1:
            part.reader.error(path, "$ref stands alone; remove the other keys beside it.")
            return None
        try:
            found = self.part(part.reader, _place(value[_REFERENCE], part.place))
        except (InvalidInput, NotFound) as error:
            tell(part.reader, path, error)
            return None
        if isinstance(found.value, Mapping) and _REFERENCE in found.value:
            found.reader.error((), "A file that $ref names cannot refer to another one.")
            return None
        return found

    def _looked_for(self, place: Place) -> Document | InvalidInput | NotFound:
        try:
            return self._document(place)
        except (InvalidInput, NotFound) as error:
            return error

    def _document(self, place: Place) -> Document:
        if self._reads is None:
            raise NotFound(f"The file {place} is needed, and only one file was given.")
        if len(self._found) >= MAX_FILES:
            raise InvalidInput(f"More than {MAX_FILES} files are referred to; use fewer.")
        data = self._reads.read(place.repository, place.branch, place.path)
        self._bytes += len(data)
        if self._bytes > MAX_TOTAL:
            raise InvalidInput(f"The files together are larger than {MAX_TOTAL // 1_000_000} MB.")
        try:
            return load_document(data)
        except InvalidInput as error:
            found = [(": ".join(filter(None, (str(place), where))), text) for where, text in error.problems]
            raise InvalidInput(error.sentence, found) from None


def tell(reader: Reader, path: KeyPath, error: InvalidInput | NotFound) -> None:
    """Reports why the file that `path` names cannot be used."""
    if not isinstance(error, InvalidInput):
        reader.error(path, error.sentence)
        return
    for where, message in error.problems:
        reader.error(path, f"{where}: {message}" if where else message)


def _place(text: object, base: Place) -> Place:
    """The file that a `$ref` names. InvalidInput when it names none."""
    if not isinstance(text, str) or not text:
        raise InvalidInput("$ref takes the path of a file, or repo://owner/name/path@branch.")
    if not text.startswith(_REPO):
        if "://" in text:
            raise InvalidInput(f"{text[:100]!r} cannot be read; use a path or repo://owner/name/path@branch.")
        return base.beside(text)
    rest, _, branch = text.removeprefix(_REPO).partition("@")
    owner, _, rest = rest.partition("/")
    name, _, path = rest.partition("/")
    if not (owner and name and path):
        raise InvalidInput(f"{text[:100]!r} is not repo://owner/name/path@branch.")
    return in_repository(f"{owner}/{name}", branch or "main", path)


def in_repository(repository: str, branch: str, path: str) -> Place:
    """A file of a named repository. InvalidInput when a part of it cannot be."""
    if repository.startswith("-") or len(repository) > MAX_REPOSITORY:
        raise InvalidInput(f"{repository[:100]!r} is not the name of a repository.")
    if not is_branch_name(branch):
        raise InvalidInput(f"{branch[:100]!r} is not a name that a branch can have.")
    return Place(_checked(path), repository, branch)


def _checked(path: str) -> str:
    clean = posixpath.normpath(path) if path else ""
    reason = danger(as_bytes(clean))
    if reason:
        raise InvalidInput(f"“{path[:200]}” cannot be read as a file: {reason}.")
    return clean
