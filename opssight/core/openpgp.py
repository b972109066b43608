"""OpenPGP private keys: opening them, and signing with them. They are held in memory only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from pysequoia import PySigner, SignatureMode, Tsk, sign

ARMOR: Final = "-----BEGIN PGP PRIVATE KEY BLOCK-----"


@dataclass(frozen=True)
class PgpKey:
    """A key that signs. `fingerprint` is that of its primary key, in upper case."""

    fingerprint: str
    user_ids: tuple[str, ...]
    _signer: PySigner = field(repr=False)

    def signature(self, data: bytes) -> bytes:
        """The detached signature of `data` as armored text. Another one each time."""
        return sign(self._signer, data, mode=SignatureMode.DETACHED)


def opened(text: str, passphrase: str = "") -> PgpKey:
    """The key in an armored text. ValueError where it is none, is not opened, or may not sign (any more)."""
    try:
        key = Tsk.from_bytes(text.encode())
        public = key.extract_certificate()
        signer = key.signer(passphrase or None)
    except RuntimeError:  # its words would show where in memory it happened
        raise ValueError from None
    return PgpKey(public.fingerprint.upper(), tuple(str(one) for one in public.user_ids), signer)
