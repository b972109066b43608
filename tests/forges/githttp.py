"""A git server over smart HTTP on loopback: the real `git http-backend` behind a small web server.

    with GitServer(folder, username="u", password="p") as server:
        remote = Remote.from_url(server.url_of("team/app.git"), PasswordCredential("u", "p"))

Serves every bare repository below `folder`; `server.create("team/app.git")` makes one. Bodies are
streamed, so large repositories cost no memory. Hooks of the repositories run as on a real server.
"""

from __future__ import annotations

import base64
import gzip
import itertools
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Self
from urllib.parse import unquote

_CONFIG = """\
[http]
\treceivepack = true
[uploadpack]
\tallowFilter = {filter}
\tallowAnySHA1InWant = true
[safe]
\tdirectory = *
[gc]
\tauto = 0
[receive]
\tautogc = false
"""
_CHUNK = 1 << 16


class GitServer:
    """Counters and switches may be used at any time, also while requests run.

    `looks`: advertisements for a fetch or ls-remote; `fetches`: packs that were asked for; `pushes`: packs
    that were sent. `headers`: those of each request, as they came. `answer_with`: HTTP status to answer
    everything with. `redirect_to`: URL of another server to send everybody to. `stall`: take requests for
    packs and never answer.
    """

    def __init__(
        self,
        root: Path,
        *,
        username: str | None = None,
        password: str | None = None,
        allow_filter: bool = True,
    ) -> None:
        self.root = root
        self.looks = self.fetches = self.pushes = 0
        self.headers: list[dict[str, str]] = []
        self.answer_with: int | None = None
        self.redirect_to: str | None = None
        self.stall = False
        self.wanted_port = 0  # any free one
        self.stalled = threading.Event()  # set when a request began to wait
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._credential = None
        if username is not None and password is not None:
            self._credential = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
        self._home = TemporaryDirectory(prefix="githttp-")
        config = Path(self._home.name) / "gitconfig"
        config.write_text(_CONFIG.format(filter=str(allow_filter).lower()))
        self.environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": self._home.name,
            "GIT_CONFIG_GLOBAL": str(config),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_PROJECT_ROOT": str(root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "SERVER_PROTOCOL": "HTTP/1.1",
        }

    def __enter__(self) -> Self:
        server = self
        handler = type("Handler", (_Handler,), {"server_state": server})
        self._http = ThreadingHTTPServer(("127.0.0.1", self.wanted_port), handler)
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self._home.cleanup()

    @property
    def port(self) -> int:
        return int(self._http.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def url_of(self, path: str) -> str:
        return f"{self.url}/{path}"

    def create(self, path: str) -> Path:
        """An empty bare repository at this path of the server."""
        folder = self.root / path
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(folder)], check=True)
        return folder

    def reset_counts(self) -> None:
        with self._lock:
            self.looks = self.fetches = self.pushes = 0
            self.headers = []

    def allows(self, authorization: str | None) -> bool:
        return self._credential is None or authorization == self._credential

    def handle(self, handler: BaseHTTPRequestHandler, body: Iterator[bytes]) -> bool:
        """Answer what is not git; False for git. A forge has more to say than a git server."""
        return False

    def pushed(self, path: str, before: dict[str, str], after: dict[str, str]) -> None:
        """A push to the repository at this path was answered; its refs before and after."""

    def refs(self, path: str) -> dict[str, str]:
        form = "--format=%(objectname) %(refname)"
        command = ["git", "--git-dir", str(self.root / path), "for-each-ref", form]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
        return {name: oid for oid, name in lines}

    def count(self, method: str, target: str, start: bytes, headers: dict[str, str]) -> None:
        """`start`: the first bytes of the body, not compressed."""
        with self._lock:
            self.headers.append(headers)
            if method == "GET" and "service=git-upload-pack" in target:
                self.looks += 1
            elif target.endswith("/git-upload-pack") and b"command=ls-refs" not in start:
                self.fetches += 1
            elif target.endswith("/git-receive-pack") and start != b"0000":
                self.pushes += 1  # "0000" alone is how git asks whether it may


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are two writes: the second would wait for 40 ms
    server_state: GitServer

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _serve(self) -> None:
        state = self.server_state
        body = self._body()
        start = next(body, b"")
        state.count(self.command, self.path, self._plain(start), dict(self.headers))
        if state.redirect_to is not None:
            self._refuse(302, body, ("Location", state.redirect_to + self.path))
        elif state.answer_with is not None:
            self._refuse(state.answer_with, body)
        elif state.handle(self, itertools.chain([start], body)):
            return
        elif not state.allows(self.headers.get("Authorization")):
            self._refuse(401, body, ("WWW-Authenticate", 'Basic realm="git"'))
        elif state.stall and self.command == "POST":
            state.stalled.set()
            state.stopping.wait()
            self.close_connection = True
        elif self.path.endswith("/git-receive-pack"):
            path = unquote(self.path.removesuffix("/git-receive-pack").lstrip("/"))
            before = state.refs(path)
            self._run(start, body)
            state.pushed(path, before, state.refs(path))
        else:
            self._run(start, body)

    def _refuse(self, status: int, body: Iterator[bytes], *headers: tuple[str, str]) -> None:
        for _ in body:
            pass
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _run(self, start: bytes, body: Iterator[bytes]) -> None:
        process = subprocess.Popen(
            ["git", "http-backend"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=self._environment(),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        # git-receive-pack reports while it reads: both ways at the same time.
        feeder = threading.Thread(target=_feed, args=(process.stdin, start, body), daemon=True)
        feeder.start()
        try:
            self._answer(process.stdout)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            process.stdout.close()
            process.kill() if self.close_connection else None
            process.wait()
            feeder.join()

    def _environment(self) -> dict[str, str]:
        path, _, query = self.path.partition("?")
        values = {
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": self.headers.get("Content-Length", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": "tester" if self.headers.get("Authorization") else "",
            "REMOTE_ADDR": self.client_address[0],
        }
        return self.server_state.environment | {name: value for name, value in values.items() if value}

    def _answer(self, stdout: IO[bytes]) -> None:
        status, headers = 200, []
        while line := stdout.readline().strip():
            name, _, value = line.decode().partition(": ")
            if name == "Status":
                status = int(value.split(" ")[0])
            else:
                headers.append((name, value))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while data := stdout.read1(_CHUNK):  # type: ignore[attr-defined]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")

    def _body(self) -> Iterator[bytes]:
        """The body as it comes, chunked or with a length; at least its first bytes as one piece."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length") or 0)
        while left:
            data = self.rfile.read(min(left, _CHUNK))
            if not data:
                return
            left -= len(data)
            yield data

    def _plain(self, start: bytes) -> bytes:
        if self.headers.get("Content-Encoding") != "gzip":
            return start[:1_000]
        try:
            return gzip.decompress(start)[:1_000]
        except EOFError:  # longer than one piece: surely not a small question
            return b""


def _feed(stdin: IO[bytes], start: bytes, body: Iterator[bytes]) -> None:
    try:
        with stdin:
            if start:
                stdin.write(start)
            for data in body:
                stdin.write(data)
    except (BrokenPipeError, ConnectionResetError, ValueError):
        for _ in body:  # the backend is through; the rest is read so that the answer can be sent
            pass
