"""An ssh agent inside this process: it signs with the key of one remote, and never gives the key out.

ssh asks over a socket that only this user can reach and that is gone with the git command. What is
asked beyond listing the one key and signing with it is refused. If this process dies the agent is
gone with it, and what stays is the name of a socket that nobody answers.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric import rsa

from repos.git import ssh_format
from repos.git.keys import Key
from repos.git.ssh_format import public_blob, string, taken

_FAILURE, _LIST, _LISTED, _SIGN, _SIGNED = 5, 11, 12, 13, 14
_SHA256, _SHA512 = 2, 4  # flags: which hash an RSA key is to sign with
_LONGEST = 262_144  # bytes of a message, as in OpenSSH's own agent
_LONGEST_PATH = 100  # of a socket's name, everywhere


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
        self._blob = public_blob(key)
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
            return bytes([_LISTED]) + struct.pack(">I", 1) + string(self._blob) + string(b"opssight")
        if message[0] == _SIGN:
            blob, rest = taken(message[1:])
            data, rest = taken(rest)
            (flags,) = struct.unpack(">I", rest[:4])
            signature = _signature(self._key, data, flags) if blob == self._blob else b""
            if signature:
                return bytes([_SIGNED]) + string(signature)
        return bytes([_FAILURE])


def _signature(key: Key, data: bytes, flags: int) -> bytes:
    """As ssh writes it; b"" for a hash that is too weak."""
    if isinstance(key, rsa.RSAPrivateKey) and not flags & (_SHA256 | _SHA512):
        return b""  # SHA-1
    return ssh_format.signature(key, data, "sha512" if flags & _SHA512 else "sha256")


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
