"""An ssh agent inside this process: it signs with the key of one remote, and never gives the key out.

ssh asks over a socket that only this user can reach and that is gone with the git command. What is
asked beyond listing the one key and signing with it is refused. If this process dies the agent is
gone with it, and what stays is the name of a socket that nobody answers.
"""

from __future__ import annotations

import base64
import contextlib
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from repos.git.keys import Key

_FAILURE, _LIST, _LISTED, _SIGN, _SIGNED = 5, 11, 12, 13, 14
_SHA256, _SHA512 = 2, 4  # flags: which hash an RSA key is to sign with
_LONGEST = 262_144  # bytes of a message, as in OpenSSH's own agent
_LONGEST_PATH = 100  # of a socket's name, everywhere
_ECDSA_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "secp256r1": hashes.SHA256,
    "secp384r1": hashes.SHA384,
    "secp521r1": hashes.SHA512,
}


@contextmanager
def serving(key: Key) -> Iterator[str]:
    """The path of a socket on which an agent with this key answers, until the context ends."""
    with _private_folder() as folder, socket.socket(socket.AF_UNIX) as listener:
        path = os.path.join(folder, "agent")
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(4)
        agent = _Agent(key, listener)
        agent.start()
        try:
            yield path
        finally:
            agent.stop(path)


@contextmanager
def _private_folder() -> Iterator[str]:
    long = len(tempfile.gettempdir()) > _LONGEST_PATH - 30
    # a socket's name must be short, whatever the folder for temporary files is called
    with tempfile.TemporaryDirectory(prefix="opssight-", dir="/tmp" if long else None) as folder:  # noqa: S108
        yield folder


class _Agent(threading.Thread):
    """Answers one connection after the other: a git command starts one ssh."""

    def __init__(self, key: Key, listener: socket.socket) -> None:
        super().__init__(name="ssh-agent", daemon=True)
        self._key, self._listener = key, listener
        self._blob = _blob_of(key)
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._peer: socket.socket | None = None

    def run(self) -> None:
        while not self._stopped.is_set():
            peer, _ = self._listener.accept()
            with peer, contextlib.suppress(OSError, struct.error):
                with self._lock:
                    self._peer = peer
                while not self._stopped.is_set() and (message := _received(peer)):
                    answer = self._answer(message)
                    peer.sendall(struct.pack(">I", len(answer)) + answer)

    def stop(self, path: str) -> None:
        """Wake the thread wherever it waits, and wait for its end."""
        self._stopped.set()
        with self._lock, contextlib.suppress(OSError):
            if self._peer is not None:
                self._peer.shutdown(socket.SHUT_RDWR)
        with socket.socket(socket.AF_UNIX) as waker, contextlib.suppress(OSError):
            waker.connect(path)
        self.join()

    def _answer(self, message: bytes) -> bytes:
        if message[0] == _LIST:
            return bytes([_LISTED]) + struct.pack(">I", 1) + _string(self._blob) + _string(b"opssight")
        if message[0] == _SIGN:
            blob, rest = _taken(message[1:])
            data, rest = _taken(rest)
            (flags,) = struct.unpack(">I", rest[:4])
            signature = _signature(self._key, data, flags) if blob == self._blob else b""
            if signature:
                return bytes([_SIGNED]) + _string(signature)
        return bytes([_FAILURE])


def _signature(key: Key, data: bytes, flags: int) -> bytes:
    """As ssh writes it: the name of the algorithm and the signature; b"" for a hash that is too weak."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return _string(b"ssh-ed25519") + _string(key.sign(data))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        name = _taken(_blob_of(key))[0]
        r, s = decode_dss_signature(key.sign(data, ec.ECDSA(_ECDSA_HASHES[key.curve.name]())))
        return _string(name) + _string(_number(r) + _number(s))
    if flags & _SHA512:
        return _string(b"rsa-sha2-512") + _string(key.sign(data, padding.PKCS1v15(), hashes.SHA512()))
    if flags & _SHA256:
        return _string(b"rsa-sha2-256") + _string(key.sign(data, padding.PKCS1v15(), hashes.SHA256()))
    return b""  # SHA-1


def _blob_of(key: Key) -> bytes:
    encoding, form = serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    line = key.public_key().public_bytes(encoding, form)
    return base64.b64decode(line.split()[1])


def _received(peer: socket.socket) -> bytes:
    """One message; b"" at the end or when it is none."""
    (length,) = struct.unpack(">I", _exactly(peer, 4))
    return _exactly(peer, length) if 0 < length <= _LONGEST else b""


def _exactly(peer: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = peer.recv(count - len(data))
        if not piece:
            raise OSError
        data += piece
    return bytes(data)


def _taken(data: bytes) -> tuple[bytes, bytes]:
    """The string at the beginning, and what follows it."""
    (length,) = struct.unpack(">I", data[:4])
    if len(data) < 4 + length:
        raise OSError
    return data[4 : 4 + length], data[4 + length :]


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _number(value: int) -> bytes:
    """A positive number: its first bit is never set."""
    return _string(value.to_bytes(value.bit_length() // 8 + 1, "big"))
