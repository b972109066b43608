"""Encryption of stored secrets: AES-256-GCM under a ring of named keys.

A stored secret is `v1:<key id>:<base64 of nonce and ciphertext>`. The associated data names the
table, row and column it belongs to, so a secret copied to another place does not decrypt.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from opssight.core.errors import PermanentFailure

VERSION = "v1"
_NONCE = 12


class SecretUnreadable(PermanentFailure):
    """A stored secret cannot be decrypted."""


class Keyring:
    """Named 32-byte keys, in order: the first encrypts, all decrypt."""

    def __init__(self, keys: Sequence[tuple[str, bytes]]) -> None:
        """`keys`: (key id, 32 bytes) pairs, at least one, ids distinct and without a colon."""
        self._keys = dict(keys)
        self.primary = keys[0][0]

    @property
    def kids(self) -> tuple[str, ...]:
        return tuple(self._keys)

    def encrypt(self, plaintext: str, aad: str) -> str:
        """`plaintext` under the first key, bound to the place that `aad` names."""
        nonce = secrets.token_bytes(_NONCE)
        cipher = AESGCM(self._keys[self.primary])
        sealed = nonce + cipher.encrypt(nonce, plaintext.encode(), aad.encode())
        return f"{VERSION}:{self.primary}:{base64.b64encode(sealed).decode()}"

    def decrypt(self, stored: str, aad: str) -> str:
        """The plaintext. Raises `SecretUnreadable` when it is damaged, moved or its key is not here."""
        kid, sealed = _parse(stored)
        key = self._keys.get(kid)
        if key is None:
            raise SecretUnreadable(
                f"A stored secret needs the encryption key {kid}, which is not among the keys of this "
                "installation: add it to OPSSIGHT_KEYS again, or enter the secret anew."
            )
        try:
            return AESGCM(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], aad.encode()).decode()
        except InvalidTag:
            raise SecretUnreadable(
                f"A stored secret cannot be decrypted with the encryption key {kid}: it was damaged or moved "
                "from another place, or the key has changed. Enter the secret anew.",
                detail=f"at {aad}",
            ) from None

    def derive(self, purpose: str, kid: str = "") -> bytes:
        """A 32-byte key for one purpose only, from the key `kid` (the first one when empty).

        Store the key id beside what was made with it. Raises `SecretUnreadable` for a key that is
        not here.
        """
        key = self._keys.get(kid or self.primary)
        if key is None:
            raise SecretUnreadable(
                f"The encryption key {kid} is not among the keys of this installation: "
                "add it to OPSSIGHT_KEYS again."
            )
        info = b"opssight:" + purpose.encode()
        return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(key)


def _parse(stored: str) -> tuple[str, bytes]:
    """The key id and nonce with ciphertext of a stored secret."""
    version, _, rest = stored.partition(":")
    kid, colon, text = rest.partition(":")
    try:
        sealed = base64.b64decode(text, validate=True)
    except ValueError:
        sealed = b""
    if version != VERSION or not colon or len(sealed) < _NONCE + 16:
        raise SecretUnreadable("A stored secret is damaged and cannot be read: enter it anew.")
    return kid, sealed
