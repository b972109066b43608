"""Target paths: how a template makes one from a source path, and which ones are never written.

Paths are bytes, as git keeps them. A `${name}` in a template takes the value of a variable of the
match or of one of the four built-in ones: `path`, `filename`, `dir` and `ext` (without its dot).
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping
from typing import Final

from opssight.core.errors import InvalidInput

BUILT_IN: Final = ("path", "filename", "dir", "ext")

MAX_COMPONENT: Final = 255  # bytes: what common file systems take for one name
MAX_PATH: Final = 4096  # bytes

# Templates are our own syntax, so the standard library's engine is safe here.
_VARIABLE: Final = re.compile(r"\$\{((?:[^}$]|\$(?!\{))+)\}")
_LEFT_OVER: Final = re.compile(rb"\$\{([^}]+)\}")

# A path without any of these needs no closer look.
_SUSPECT: Final = re.compile(rb"[\x00-\x1f\x7f-\xff\\:~]|(?:\A|/)(?:[./]|\Z)|[^/]{256}")
_CONTROL: Final = re.compile(rb"[\x00-\x1f\x7f]")
_SEPARATOR: Final = re.compile(rb"[/\\]")

# HFS+ leaves these characters out when it compares names.
_HFS_IGNORED: Final = dict.fromkeys(
    [*range(0x200C, 0x2010), *range(0x202A, 0x202F), *range(0x206A, 0x2070), 0xFEFF]
)
# NTFS ends a name at a colon and drops spaces and dots at its end; git~1 is the short name of .git.
_NTFS_GIT: Final = re.compile(r"(?:\.git|git~1)[ .]*(?::.*)?\Z", re.IGNORECASE | re.DOTALL)
_NTFS_GITMODULES: Final = re.compile(
    r"(?:\.gitmodules|gitmod~[1-4]|gi7eba~[1-9]|gi7eb~[1-9][0-9])[ .]*(?::.*)?\Z", re.IGNORECASE | re.DOTALL
)


def as_bytes(text: str) -> bytes:
    """Text as git keeps it; an escaped byte (a lone low surrogate) becomes that byte again.

    Raises `InvalidInput` when the text holds half of a character.
    """
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidInput("The text holds half of a character; type it again.") from None


class Template:
    """A path template, taken apart once.

    `names` are the variables that it asks for, built-in ones included.
    """

    __slots__ = ("_asks_built_in", "_may_leave", "_pieces", "names", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        parts = _VARIABLE.split(text)
        self._pieces = [
            (
                as_bytes(parts[index]),
                parts[index + 1] if index + 1 < len(parts) else "",
            )
            for index in range(0, len(parts), 2)
        ]
        self.names = frozenset(name for _, name in self._pieces if name)
        self._asks_built_in = not self.names.isdisjoint(BUILT_IN)
        self._may_leave = any(b"${" in literal for literal, _ in self._pieces)

    def filled(self, value: bytes) -> bytes:
        """The template with one value for every variable."""
        return b"".join(literal + (value if name else b"") for literal, name in self._pieces)

    def render(self, path: bytes, variables: Mapping[str, bytes]) -> bytes:
        """The target path for the source path `path`; it is not checked, see `safe_target`.

        Raises `InvalidInput` for a variable that has no value. Values are never read as templates.
        """
        built_in = built_in_variables(path) if self._asks_built_in else {}
        result = bytearray()
        missing: list[str] = []
        for literal, name in self._pieces:
            result += literal
            if not name:
                continue
            value = built_in.get(name, variables.get(name))
            if value is None:
                missing.append(name)
            else:
                result += value
        if self._may_leave and not missing:
            missing = [name.decode("utf-8", "replace") for name in _LEFT_OVER.findall(bytes(result))]
        if missing:
            raise InvalidInput(_unreplaced(missing))
        return bytes(result)


def _unreplaced(names: list[str]) -> str:
    listed = ", ".join(f"${{{name}}}" for name in dict.fromkeys(names))
    return f"Unreplaced variables in the path template: {listed}. This match gives them no value."


def built_in_variables(path: bytes) -> dict[str, bytes]:
    """The four variables that every path has: `path`, `filename`, `dir` and `ext`."""
    folder, _, filename = path.rpartition(b"/")
    _, dot, extension = filename.rpartition(b".")
    return {"path": path, "filename": filename, "dir": folder, "ext": extension if dot else b""}


def transform(template: str, path: bytes, variables: Mapping[str, bytes]) -> bytes:
    """The target path that `template` makes of `path`. Raises `InvalidInput`: no value, or not safe."""
    return safe_target(Template(template).render(path, variables))


def join_clean(folder: str, rest: bytes) -> bytes:
    """`rest` below `folder`, with `.`, `..` and doubled slashes worked out by text alone."""
    base = as_bytes(folder)
    joined = posixpath.normpath(base + b"/" + rest if base else rest)
    return joined[1:] if joined.startswith(b"//") else joined


def safe_target(path: bytes, mode: str = "100644") -> bytes:
    """`path` as it is when it may be written; raises `InvalidInput` with the reason otherwise.

    `mode` is git's file mode: a symbolic link has one name more that git refuses.
    """
    reason = danger(path, mode)
    if reason:
        raise InvalidInput(f"“{shown(path)}” may not be written: {reason}. Change the target of the rule.")
    return path


def shown(path: bytes) -> str:
    """A path as text for a sentence: what is not UTF-8, and control characters, are escaped."""
    text = path.decode("utf-8", "backslashreplace")
    text = "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
    return text if len(text) <= 200 else f"{text[:99]}…{text[-100:]}"


def danger(path: bytes, mode: str = "100644") -> str:
    """Why `path` may not be written; empty when it may."""
    if not path:
        return "it is empty"
    if not _SUSPECT.search(path) and len(path) <= MAX_PATH:
        return ""
    return _closer_look(path, mode)


def _closer_look(path: bytes, mode: str) -> str:
    if len(path) > MAX_PATH:
        return f"it is longer than {MAX_PATH:,} bytes"
    if _CONTROL.search(path):
        return "it holds a control character"
    if path.startswith((b"/", b"\\")) or re.match(rb"[A-Za-z]:[/\\]", path):
        return "it is absolute"
    if path.endswith(b"/"):
        return "it ends with a slash"
    # Windows takes a backslash as a slash, so each piece between either is looked at.
    for component in _SEPARATOR.split(path):
        reason = _dangerous_component(component)
        if reason:
            return reason
    if mode == "120000" and any(_is_gitmodules(component) for component in _SEPARATOR.split(path)):
        return "git does not allow .gitmodules as a symbolic link"
    return ""


def _dangerous_component(component: bytes) -> str:
    if component == b"..":
        return "it goes up by “..”"
    if component == b".":
        return "it has a part that is only a dot"
    if not component:
        return "it has an empty part between two slashes"
    if len(component) > MAX_COMPONENT:
        return f"a part of it is longer than {MAX_COMPONENT} bytes"
    name = component.decode("utf-8", "replace")
    if name.translate(_HFS_IGNORED).casefold() == ".git" or _NTFS_GIT.match(name):
        return "a part of it is a spelling of .git, where git keeps its own files"
    return ""


def _is_gitmodules(component: bytes) -> bool:
    name = component.decode("utf-8", "replace")
    return name.translate(_HFS_IGNORED).casefold() == ".gitmodules" or bool(_NTFS_GITMODULES.match(name))
