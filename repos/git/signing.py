"""Signs commits with a key of OpenSSH or OpenPGP, in the form that git and forges verify.

With ssh that is SSHSIG with the namespace `git`, with OpenPGP a detached signature.
"""

from __future__ import annotations

import base64
import hashlib
import textwrap
from pathlib import Path
from typing import Final

from opssight.core.errors import PermanentFailure
from opssight.core.openpgp import PgpKey
from repos.git.keys import Key, public_line
from repos.git.reading import checked_oid
from repos.git.runner import Git
from repos.git.ssh_format import public_blob, signature, string

SigningKey = Key | PgpKey

_MAGIC: Final = b"SSHSIG"
_VERSION: Final = (1).to_bytes(4, "big")
_NAMESPACE: Final = string(b"git")
_RESERVED: Final = string(b"")
_HASH: Final = string(b"sha512")
_HEADER: Final = b"gpgsig"
_WIDTH: Final = 70  # of a line of base64, as ssh-keygen writes it


def signed(git: Git, git_dir: Path, oid: str, key: SigningKey) -> str:
    """The same commit with a signature, as a new object; returns its oid. Raises a `Failure`.

    An ed25519 or RSA key of ssh gives the same oid each time; any other key gives another one.
    """
    raw = git.run(["cat-file", "commit", checked_oid(oid)], git_dir=git_dir).stdout
    stdin = [with_signature(raw, armored(raw, key))]
    args = ["hash-object", "-t", "commit", "-w", "--stdin"]
    return git.run(args, git_dir=git_dir, stdin=stdin).stdout.decode().strip()


def with_signature(raw: bytes, text: bytes) -> bytes:
    """A commit object with a signature as the last of its headers."""
    headers, gap, message = raw.partition(b"\n\n")
    if not gap or is_signed(raw):
        raise PermanentFailure("A commit that is signed already, or is none, cannot be signed.")
    lines = text.strip().split(b"\n")
    return headers + b"\n" + _HEADER + b" " + b"\n ".join(lines) + b"\n\n" + message


def is_signed(raw: bytes) -> bool:
    """Whether a commit object carries a signature of any kind; whether it is good is another question."""
    headers = raw.partition(b"\n\n")[0].split(b"\n")
    return any(line.startswith((_HEADER + b" ", _HEADER + b"-sha256 ")) for line in headers)


def armored(data: bytes, key: SigningKey) -> bytes:
    """The detached signature of `data` as text, as `gpg -ba` or `ssh-keygen -Y sign -n git` makes it."""
    return key.signature(data) if isinstance(key, PgpKey) else _armored_by_ssh(data, key)


def public_words(key: SigningKey) -> str:
    """The public part as people register it at a forge, or what it is exported by."""
    if isinstance(key, PgpKey):
        return f"OpenPGP key {key.fingerprint} of {', '.join(key.user_ids) or 'nobody'}"
    return public_line(key, "opssight")


def _armored_by_ssh(data: bytes, key: Key) -> bytes:
    digest = string(hashlib.sha512(data).digest())
    statement = _MAGIC + _NAMESPACE + _RESERVED + _HASH + digest
    blob = _MAGIC + _VERSION + string(public_blob(key)) + _NAMESPACE + _RESERVED + _HASH
    blob += string(signature(key, statement, "sha512"))
    body = "\n".join(textwrap.wrap(base64.b64encode(blob).decode(), _WIDTH))
    return f"-----BEGIN SSH SIGNATURE-----\n{body}\n-----END SSH SIGNATURE-----\n".encode()
