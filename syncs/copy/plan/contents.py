"""Changes to the contents of text files on their way: pure functions of bytes.

Binary files, symbolic links and pointers of Git LFS are never touched.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from opssight.core.errors import InvalidInput
from syncs.copy.rules.options import Options, Transform, TransformType
from syncs.copy.rules.paths import as_bytes, shown
from syncs.copy.rules.patterns import PatternSet, glob

MAX_BYTES: Final = 10_000_000  # of a file whose contents are changed or merged, before and after
LFS_BYTES: Final = range(100, 1_025)  # sizes that a pointer of Git LFS has
_LFS: Final = b"version https://git-lfs.github.com/spec/v1\n"
_LOOKED_AT: Final = 8_000  # bytes in which a NUL makes a file binary
_BOM: Final = b"\xef\xbb\xbf"
_LINE_END: Final = re.compile(rb"\r+\n")  # more than one is what a wrong conversion leaves
_VARIABLE: Final = re.compile(rb"\$\{([^{}$\s]{1,200})\}")
_LINK_MODES: Final = frozenset({"120000", "160000"})

Values = Mapping[str, bytes]


def applying(transforms: Sequence[Transform], path: bytes, mode: str) -> tuple[Transform, ...]:
    """Those of `transforms` that change the file at the target's `path`."""
    if not transforms or mode in _LINK_MODES:
        return ()
    return tuple(one for one in transforms if not one.files or _globs(one.files).which(path))


@lru_cache(maxsize=64)
def _globs(files: tuple[str, ...]) -> PatternSet:
    return PatternSet([glob(text) for text in files])


def modes_kept(options: Options, path: bytes, mode: str) -> None:
    """Raises `InvalidInput` for a mode that this way of committing cannot carry."""
    if options.sign != "api" or mode == "100644":
        return
    kind = "a symbolic link" if mode == "120000" else "an executable file"
    raise InvalidInput(
        f"{shown(path)} is {kind}, and commits that the provider signs by its API carry plain files only. "
        "Leave it out, or sign with a key."
    )


def api_refusal(options: Options, path: bytes, old_mode: str) -> str:
    """Why a plain file cannot be written to the target's `path` in this way of committing; "" where it can.

    `old_mode`: of what stands there now, "" for a new file.
    """
    if options.sign != "api":
        return ""
    if not is_utf8(path):
        reason = "has a name that is not UTF-8"
    elif old_mode not in ("", "100644"):
        reason = f"is {'executable' if old_mode == '100755' else 'no plain file'} at the target"
    else:
        return ""
    return f"{shown(path)} {reason}, and the provider's API cannot change that. Sign with a key."


def is_binary(data: bytes) -> bool:
    return b"\0" in data[:_LOOKED_AT]


def is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def is_lfs_pointer(data: bytes) -> bool:
    return len(data) in LFS_BYTES and data.startswith(_LFS)


def blob_oid(data: bytes, like: str) -> str:
    """The id that git gives to these contents, of the same kind as `like`: SHA-1 or SHA-256."""
    kind = hashlib.sha256 if len(like) == 64 else hashlib.sha1  # git's own names of contents, not a secret
    return kind(b"blob %d\0" % len(data) + data).hexdigest()


def transformed(transforms: Sequence[Transform], data: bytes, values: Values) -> bytes:
    """The contents after each transform in its order. `values`: what `variables` knows.

    Raises `InvalidInput` for contents that cannot be changed safely; its sentence follows a file's name.
    """
    for transform in transforms:
        data = _CHANGES[transform.type](transform, data, values)
        if len(data) > MAX_BYTES:
            raise _too_large()
    return data


def _too_large() -> InvalidInput:
    return InvalidInput(f"would be larger than {MAX_BYTES // 1_000_000} MB after the changes to its content")


def _replace(transform: Transform, data: bytes, values: Values) -> bytes:
    find, text = _like(transform.find, data), _like(transform.text, data)
    if len(data) + data.count(find) * (len(text) - len(find)) > MAX_BYTES:
        raise _too_large()
    return data.replace(find, text)


def _header(transform: Transform, data: bytes, values: Values) -> bytes:
    """Behind a byte order mark and a line that names the interpreter, which have to come first."""
    text = _whole_lines(transform.text, data)
    at = len(_BOM) if data.startswith(_BOM) else 0
    if data.startswith(b"#!", at):
        end = data.find(b"\n", at)
        if end < 0:
            data += _line_end(data)
            end = len(data) - 1
        at = end + 1
    if data.startswith(text, at):
        return data
    return data[:at] + text + data[at:]


def _footer(transform: Transform, data: bytes, values: Values) -> bytes:
    text = _whole_lines(transform.text, data)
    if data and not data.endswith(b"\n"):
        data += _line_end(data)
    return data if data.endswith(text) else data + text


def _line_endings(transform: Transform, data: bytes, values: Values) -> bytes:
    plain = _LINE_END.sub(b"\n", data)
    return plain.replace(b"\n", b"\r\n") if transform.text == "crlf" else plain


def _variables(transform: Transform, data: bytes, values: Values) -> bytes:
    """A value is never read as a template; a name without a value stays as it is written."""

    def value(found: re.Match[bytes]) -> bytes:
        return values.get(found[1].decode("utf-8", "replace"), found[0])

    size = len(data) + sum(len(value(found)) - len(found[0]) for found in _VARIABLE.finditer(data))
    if size > MAX_BYTES:
        raise _too_large()
    return _VARIABLE.sub(value, data)


def _remove_blocks(transform: Transform, data: bytes, values: Values) -> bytes:
    begin, end = as_bytes(transform.find), as_bytes(transform.text)
    kept: list[bytes] = []
    opened = 0  # the line, from 1, that began the block
    for number, line in enumerate(_lines(data), 1):
        if opened:
            if end in line:
                opened = 0
            elif begin in line:
                raise InvalidInput(
                    f"has a block that begins in line {number} inside the one of line {opened}"
                )
        elif begin in line:
            opened = 0 if end in line and begin != end else number
        elif end in line:
            raise InvalidInput(f"has the end of a block in line {number} that no beginning belongs to")
        else:
            kept.append(line)
    if opened:
        raise InvalidInput(f"has a block that begins in line {opened} and does not end")
    return b"".join(kept)


def _lines(data: bytes) -> list[bytes]:
    """The lines with their ends; only a line feed ends one."""
    lines = [line + b"\n" for line in data.split(b"\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def _line_end(data: bytes) -> bytes:
    """How lines of this file end."""
    return b"\r\n" if b"\r\n" in data and data.count(b"\n") == data.count(b"\r\n") else b"\n"


def _like(text: str, data: bytes) -> bytes:
    """The text with line ends as the file has them."""
    return as_bytes(text).replace(b"\r\n", b"\n").replace(b"\n", _line_end(data))


def _whole_lines(text: str, data: bytes) -> bytes:
    found = _like(text, data)
    return found if found.endswith(b"\n") else found + _line_end(data)


_CHANGES: Final[Mapping[TransformType, Callable[[Transform, bytes, Values], bytes]]] = {
    "replace": _replace,
    "header": _header,
    "footer": _footer,
    "line_endings": _line_endings,
    "variables": _variables,
    "remove_blocks": _remove_blocks,
}
