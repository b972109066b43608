"""Real servers on loopback for the tests: HTTP that answers as told, and a small mail server."""

from __future__ import annotations

import http.server
import json
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Received:
    """One request as it came in."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class HttpServer:
    """Answers with `answers` in turn as (status, headers); the last one again and again."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(200, {})])
    received: list[Received] = field(default_factory=list)
    on_request: Callable[[Received], None] = lambda request: None

    def next_answer(self) -> tuple[int, dict[str, str]]:
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@contextmanager
def http_server() -> Iterator[HttpServer]:
    told = HttpServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Received(self.path, headers, self.rfile.read(length))
            told.received.append(request)
            told.on_request(request)
            status, more = told.next_answer()
            self.send_response(status)
            for name, value in {"Content-Length": "2", **more}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            return

    with _serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        told.url = f"http://127.0.0.1:{port}"
        yield told


@dataclass
class MailServer:
    """Takes mail; `refuse` maps a word of the protocol (MAIL, RCPT, DATA) to the answer it gets instead."""

    port: int = 0
    refuse: dict[str, str] = field(default_factory=dict)
    mails: list[tuple[list[str], str]] = field(default_factory=list)  # recipients, text


@contextmanager
def mail_server() -> Iterator[MailServer]:
    told = MailServer()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 test")
            recipients: list[str] = []
            while line := self.rfile.readline().decode().strip():
                verb = line.split(" ")[0].upper()
                if verb in told.refuse:
                    self.say(told.refuse[verb])
                elif verb == "DATA":
                    self.say("354 go on")
                    told.mails.append((recipients, self.text()))
                    recipients = []
                    self.say("250 taken")
                elif verb == "QUIT":
                    return self.say("221 bye")
                else:
                    if verb == "RCPT":
                        recipients.append(line.partition(":")[2].strip("<>"))
                    self.say("250 ok")
            return None

        def text(self) -> str:
            lines: list[str] = []
            while (line := self.rfile.readline().decode().rstrip("\r\n")) != ".":
                lines.append(line)
            return "\n".join(lines)

        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

    with _serving(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)) as port:
        told.port = port
        yield told


@contextmanager
def _serving(server: socketserver.TCPServer) -> Iterator[int]:
    """Serve in a thread for the time of the block; yields the port."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
