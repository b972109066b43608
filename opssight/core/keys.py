"""Where this installation's keys are: in a setting, or in a file made on first run.

The files hold secrets, so nobody else may read them, and two processes that start at once end up
with the same one.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from opssight.core import env_kinds, redact
from opssight.core.crypto import Keyring
from opssight.core.env import Env
from opssight.core.errors import InvalidInput

KEY_FILE = "keys"


class KeyFileError(InvalidInput):
    """A file of secrets cannot be used as it is."""


def file_secret(path: Path, make: Callable[[], str] = lambda: secrets.token_urlsafe(48)) -> str:
    """The text of a private file, made by `make` when there is none.

    Raises `KeyFileError` when it cannot be read or written, is empty, or others may read it.
    """
    try:
        if not path.exists():
            _create(path, make())
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"The file {path} can be read by other users: run chmod 600 {path}.")
        text = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise KeyFileError(
            f"The file {path} cannot be used: {error.strerror}. Make it readable for the user that runs "
            "OpsSight, or set OPSSIGHT_DATA to a folder that user may write to."
        ) from None
    if not text:
        raise KeyFileError(f"The file {path} is empty: put its content back from your copy.")
    redact.register(text)
    return text


def _create(path: Path, text: str) -> None:
    """Write the file whole or not at all; when another process was first, its file stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = _write_draft(path, text)
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()


def _write_draft(path: Path, text: str) -> Path:
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    return draft


def new_key() -> str:
    """A new key as it stands in OPSSIGHT_KEYS: `<key id>:<base64>`.

    The id is made from the key, so that another key never has the same one.
    """
    key = secrets.token_bytes(32)
    return f"k{hashlib.sha256(key).hexdigest()[:8]}:{base64.b64encode(key).decode()}"


def keyring() -> Keyring:
    """The keys of this installation. A changed key file counts at once, without a restart.

    Raises `KeyFileError` when the key file cannot be used.
    """
    env: Env = settings.ENV
    if env.keys:
        return _from_setting(env.keys)
    path = env.data / KEY_FILE
    try:
        seen = path.stat()
    except OSError:
        file_secret(path, new_key)  # makes it, or says why it cannot be used
        seen = path.stat()
    return _from_file(path, seen.st_ino, seen.st_mtime_ns)


@lru_cache(maxsize=4)
def _from_setting(keys: tuple[tuple[str, bytes], ...]) -> Keyring:
    return _ring(keys)


@lru_cache(maxsize=4)
def _from_file(path: Path, inode: int, changed: int) -> Keyring:
    return _ring(_read(path))


def _read(path: Path) -> tuple[tuple[str, bytes], ...]:
    try:
        return env_kinds.KEYS.parse(file_secret(path, new_key))
    except ValueError:
        raise KeyFileError(
            f"The file {path} does not hold {env_kinds.KEYS.accepts}: put its content back from your copy."
        ) from None


def _ring(keys: tuple[tuple[str, bytes], ...]) -> Keyring:
    for _, key in keys:
        redact.register(base64.b64encode(key).decode())
    return Keyring(keys)


def add_key() -> str:
    """Put a new key in front of the key file, so that it encrypts from now on; its id.

    Raises `InvalidInput` when the keys come from OPSSIGHT_KEYS, which only a person can change.
    """
    path = _own_file()
    with _locked(path.parent):
        line = new_key()
        _replace(path, f"{line},{file_secret(path, new_key)}")
    return line.partition(":")[0]


def drop_key(kid: str) -> None:
    """Take a key out of the key file. Ask `rotation.status()` first whether anything needs it.

    Raises `InvalidInput` for an unknown key and for the one that encrypts.
    """
    path = _own_file()
    with _locked(path.parent):
        lines = file_secret(path, new_key).split(",")
        kids = [line.partition(":")[0].strip() for line in lines]
        if kid not in kids:
            raise InvalidInput(f"There is no encryption key {kid}: there are {', '.join(kids)}.")
        if kid == kids[0]:
            raise InvalidInput(f"The key {kid} encrypts new secrets: add another key first.")
        _replace(path, ",".join(line for line, name in zip(lines, kids, strict=True) if name != kid))


def _own_file() -> Path:
    env: Env = settings.ENV
    if env.keys:
        raise InvalidInput("The keys are set by OPSSIGHT_KEYS: change them there.")
    return env.data / KEY_FILE


def _replace(path: Path, text: str) -> None:
    _write_draft(path, text).replace(path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time; the kernel lets go when a process dies."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
