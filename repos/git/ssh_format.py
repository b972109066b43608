"""Keys and signatures as ssh writes them (RFC 4251, 4253, 5656, 8332, 8709)."""

from __future__ import annotations

import base64
import struct
from typing import Final, Literal

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from repos.git.keys import Key

RsaHash = Literal["sha256", "sha512"]

_ECDSA_HASHES: Final[dict[str, type[hashes.HashAlgorithm]]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}
_RSA: Final[dict[RsaHash, tuple[bytes, type[hashes.HashAlgorithm]]]] = {
    "sha256": (b"rsa-sha2-256", hashes.SHA256),
    "sha512": (b"rsa-sha2-512", hashes.SHA512),
}


def signature(key: Key, data: bytes, rsa: RsaHash) -> bytes:
    """The name of the algorithm and the signature.

    `rsa`: what an RSA key hashes with; other keys have no choice.
    """
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return string(b"ssh-ed25519") + string(key.sign(data))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        name = taken(public_blob(key))[0]
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(_ECDSA_HASHES[key.curve.name]())))
        return string(name) + string(_number(r) + _number(s))
    name, algorithm = _RSA[rsa]
    return string(name) + string(key.sign(data, padding.PKCS1v15(), algorithm()))


def public_blob(key: Key) -> bytes:
    """The public part, as bytes."""
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    line = key.public_key().public_bytes(encoding, form)
    return base64.b64decode(line.split()[1])


def string(data: bytes) -> bytes:
    """Bytes behind their length."""
    return struct.pack(">I", len(data)) + data


def taken(data: bytes) -> tuple[bytes, bytes]:
    """The string at the beginning, and what follows it. Raises OSError where it is cut off."""
    (length,) = struct.unpack(">I", data[:4])
    if len(data) < 4 + length:
        raise OSError
    return data[4 : 4 + length], data[4 + length :]


def _number(value: int) -> bytes:
    """A positive number: its first bit is never set."""
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big"))
