"""What may stand between a client and a stand-in: TLS with a certificate of one's own, and a proxy."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self


class Wire(ABC):
    """Listens on loopback and gives each connection to `serve`, in a thread of its own."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._socket.accept()
                threading.Thread(target=self._safely, args=(one,), daemon=True).start()

    def _safely(self, one: socket.socket) -> None:
        with suppress(OSError), one:
            self.serve(one)

    @abstractmethod
    def serve(self, one: socket.socket) -> None:
        """Speak with one caller, and return when that is over."""


class TlsFront(Wire):
    """Speaks TLS and hands what is inside to a port of this machine."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        super().__init__()
        self._behind, self._context = port, context

    def serve(self, one: socket.socket) -> None:
        with (
            self._context.wrap_socket(one, server_side=True) as inside,
            socket.create_connection(("127.0.0.1", self._behind)) as behind,
        ):
            _join(inside, behind)


class Proxy(Wire):
    """A proxy for CONNECT that wants a login; `asked` are the hosts it connected, `refused` counts others."""

    def __init__(self, user: str, password: str) -> None:
        super().__init__()
        login = base64.b64encode(f"{user}:{password}".encode()).decode()
        self._wanted = f"proxy-authorization: basic {login}".lower()
        self.asked: list[str] = []
        self.refused = 0

    def serve(self, one: socket.socket) -> None:
        head = _head(one)
        method, _, rest = head.partition(" ")
        target = rest.partition(" ")[0]
        if self._wanted not in head.lower() or method != "CONNECT":
            self.refused += 1
            one.sendall(
                b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=p\r\n"
                b"Content-Length: 0\r\nConnection: close\r\n\r\n"
            )
            return
        self.asked.append(target)
        host, _, port = target.rpartition(":")
        with socket.create_connection((host, int(port))) as behind:
            one.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _join(one, behind)


def _head(one: socket.socket) -> str:
    data = b""
    while b"\r\n\r\n" not in data and (piece := one.recv(4096)):
        data += piece
    return data.decode("latin-1")


def _join(one: socket.socket, other: socket.socket) -> None:
    """Carry both directions until either side ends."""

    def carry(read: Callable[[int], bytes], write: Callable[[bytes], None], end: socket.socket) -> None:
        with suppress(OSError):
            while data := read(65_536):
                write(data)
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)

    back = threading.Thread(target=carry, args=(other.recv, one.sendall, one), daemon=True)
    back.start()
    carry(one.recv, other.sendall, other)
    back.join(10)
