"""Private keys for ssh: opening them, and making new ones. They are held in memory only."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from opssight.core.errors import InvalidInput

Key = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

_FEWEST_BITS = 2_048


def opened(text: str, passphrase: str = "") -> Key:
    """The key in an OpenSSH or PEM text. InvalidInput names the field that does not fit."""
    data = text.replace("\r\n", "\n").strip().encode() + b"\n"
    openssh = b"BEGIN OPENSSH PRIVATE KEY" in data
    load = serialization.load_ssh_private_key if openssh else serialization.load_pem_private_key
    try:
        key = load(data, passphrase.encode() or None)
    except TypeError:  # one of the two has a passphrase and the other has not
        raise _not_open(passphrase) from None
    except (ValueError, UnsupportedAlgorithm):
        if passphrase or b"ENCRYPTED" in data:
            raise _not_open(passphrase) from None
        raise _wrong("private_key", "This is not a private key that can be used. Enter all of its lines, "
                     "from BEGIN to END.") from None  # fmt: skip
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size < _FEWEST_BITS:
        raise _wrong(
            "private_key", f"This RSA key has {key.key_size} bits, which is too few. Make a new one."
        )
    if not isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise _wrong("private_key", "A key must be of the kind ed25519, ecdsa or rsa. Make a new one.")
    return key


def public_line(key: Key, comment: str = "") -> str:
    """The public part as it is entered at a server."""
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    return f"{key.public_key().public_bytes(encoding, form).decode()} {comment}".strip()


def make() -> str:
    """A new ed25519 key as OpenSSH text, without a passphrase: it is stored encrypted."""
    key = ed25519.Ed25519PrivateKey.generate()
    form, plain = serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, form, plain).decode()


def _not_open(passphrase: str) -> InvalidInput:
    if not passphrase:
        return _wrong("passphrase", "The private key is encrypted. Enter its passphrase.")
    return _wrong("passphrase", "The passphrase does not open the private key. Enter the right one, or none.")


def _wrong(field: str, sentence: str) -> InvalidInput:
    return InvalidInput(sentence, [(field, sentence)])
