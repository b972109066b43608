"""A server that means harm, before every provider with an API: bounded time and memory, a clear sentence, and
the token goes nowhere else.

The server is a bare socket, because no honest one sends these answers. Limits are small, so that passing them
shows at once; what the transport does at each of them in detail is in tests/core/test_outbound_http.py.
"""

from __future__ import annotations

import functools
import socket
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import pytest

from opssight.core.errors import Failure, PermanentFailure
from opssight.core.outbound import AddressRefused, AllowedTarget, Policy
from opssight.core.outbound_http import client
from repos.git.runner import Git
from repos.providers.forge import Forge
from repos.providers.http import Wire
from repos.providers.registry import all_providers, provider_named
from repos.providers.types import Context
from tests.repos.providers.conftest import vet_loopback

TOKEN = "canary-token-4c1f"
FORGES = [one.kind for one in all_providers() if issubclass(one, Forge)]
MOST_BYTES = 200_000
PEAK_BYTES = 20_000_000  # with all that a few threads read at once, still far below what is sent
HUGE = 100_000_000
Script = Callable[["Hostile", socket.socket], None]


class Hostile:
    """Answers each request with `script`. `heard`: the heads of all requests, as they came."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script
        self.heard: list[str] = []
        self.stopping = threading.Event()
        self.elsewhere = ""  # the address of another server

    def __enter__(self) -> Self:
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stopping.set()
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                taken, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(taken,), daemon=True).start()

    def _answer(self, taken: socket.socket) -> None:
        with taken, suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head and (data := taken.recv(65_536)):
                head += data
            self.heard.append(head.decode(errors="replace"))
            if self.script is not None:
                self.script(self, taken)


def answer(status: str, body: bytes = b"[]", **headers: str) -> bytes:
    given = {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in given.items() if value)]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(status: str, target: str) -> Script:
    def script(server: Hostile, taken: socket.socket) -> None:
        taken.sendall(answer(status, b"", Location=target or f"{server.elsewhere}/api"))

    return script


def next_page_elsewhere(server: Hostile, taken: socket.socket) -> None:
    other = f"{server.elsewhere}/api/v4/projects?page=2"
    body = f'{{"values": [], "next": "{other}", "size": 900}}' if "/2.0/" in server.heard[-1] else "[]"
    taken.sendall(answer("200 OK", body.encode(), Link=f'<{other}>; rel="next", <{other}0>; rel="last"'))


def pages_in_a_circle(server: Hostile, taken: socket.socket) -> None:
    path = server.heard[-1].split(" ")[1]
    body = f'{{"values": [], "next": "{server.url}{path}"}}' if "/2.0/" in path else "[]"
    taken.sendall(answer("200 OK", body.encode(), Link=f'<{server.url}{path}>; rel="next"'))


def a_hundred_megabytes(server: Hostile, taken: socket.socket) -> None:
    """Without a length that would tell."""
    taken.sendall(answer("200 OK", b"[", Content_Length=""))
    for _ in range(HUGE // 50_000):
        taken.sendall(b"0," * 25_000)


def a_hundred_megabytes_that_it_tells(server: Hostile, taken: socket.socket) -> None:
    taken.sendall(answer("200 OK", b"[", Content_Length=str(HUGE)))


@functools.cache
def bomb() -> bytes:
    """A list that is a hundred megabytes long once it is unpacked."""
    packer = zlib.compressobj(9, wbits=31)
    pieces = [packer.compress(b"["), *(packer.compress(b"0," * 25_000) for _ in range(HUGE // 50_000))]
    return b"".join([*pieces, packer.compress(b"0]"), packer.flush()])


def a_gzip_bomb(server: Hostile, taken: socket.socket) -> None:
    taken.sendall(answer("200 OK", bomb(), Content_Encoding="gzip"))


def half_a_json(server: Hostile, taken: socket.socket) -> None:
    taken.sendall(answer("200 OK", b'[{"id": 1, "name": "si'))


def half_of_what_it_promised(server: Hostile, taken: socket.socket) -> None:
    taken.sendall(answer("200 OK", b'[{"id": 1', Content_Length="900"))


def a_deep_hole(server: Hostile, taken: socket.socket) -> None:
    taken.sendall(answer("200 OK", b"[" * 90_000 + b"]" * 90_000))


def a_number_without_end(server: Hostile, taken: socket.socket) -> None:
    taken.sendall(answer("200 OK", b'[{"id": ' + b"9" * 100_000 + b"}]"))


def headers_of_megabytes(server: Hostile, taken: socket.socket) -> None:
    taken.sendall(b"HTTP/1.1 200 OK\r\nX-Padding: ")
    for _ in range(400):
        taken.sendall(b"x" * 50_000)


def headers_without_end(server: Hostile, taken: socket.socket) -> None:
    taken.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(2_000_000):
        taken.sendall(b"".join(b"X-%d-%d: y\r\n" % (number, more) for more in range(1_000)))


def no_http_at_all(server: Hostile, taken: socket.socket) -> None:
    taken.sendall(b"\x16\x03\x01\x00\xff" * 1_000)


def silence(server: Hostile, taken: socket.socket) -> None:
    """The line is closed without a word."""


def stalls(server: Hostile, taken: socket.socket) -> None:
    server.stopping.wait()


def drips(server: Hostile, taken: socket.socket) -> None:
    """Never silent for as long as a timeout, and never done."""
    taken.sendall(answer("200 OK", b"[", Content_Length="100000"))
    while not server.stopping.wait(0.05):
        taken.sendall(b" ")


SCRIPTS: dict[str, Script] = {
    "redirect elsewhere": redirect("302 Found", ""),
    "redirect elsewhere for good": redirect("308 Permanent Redirect", ""),
    "redirect to metadata": redirect("307 Temporary Redirect", "http://169.254.169.254/latest/meta-data/"),
    "redirect to a file": redirect("301 Moved Permanently", "file:///etc/passwd"),
    "next page elsewhere": next_page_elsewhere,
    "pages in a circle": pages_in_a_circle,
    "a hundred megabytes": a_hundred_megabytes,
    "a hundred megabytes, told": a_hundred_megabytes_that_it_tells,
    "gzip bomb": a_gzip_bomb,
    "half a JSON": half_a_json,
    "half of what it promised": half_of_what_it_promised,
    "deep JSON": a_deep_hole,
    "long number": a_number_without_end,
    "headers of megabytes": headers_of_megabytes,
    "headers without end": headers_without_end,
    "no HTTP": no_http_at_all,
    "silence": silence,
}
SLOW: dict[str, Script] = {"stalls": stalls, "drips": drips}  # each costs its timeouts: before one forge only


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repos.providers.http.random.uniform", lambda low, high: 0.0)


@pytest.fixture
def other() -> Iterator[Hostile]:
    with Hostile() as running:
        yield running


def forge_at(kind: str, url: str, git: Git, policy: Policy | None = None, timeout: float = 20) -> Forge:
    policy = policy or Policy([AllowedTarget("127.0.0.1", "127.0.0.0/8")])
    wire = Wire(lambda base: client(policy, timeout=timeout, max_bytes=MOST_BYTES, max_redirects=0))
    options: dict[str, Any] = {"url": url}
    if kind == "bitbucket":
        options |= {"email": "ana@example.org", "workspaces": ["acme"]}
    made = provider_named(kind)(options, {"token": TOKEN}, Context(git=git, vet=vet_loopback, wire=wire))
    assert isinstance(made, Forge)
    return made


def asked(forge: Forge) -> list[Failure]:
    """How it fails at what every connection is asked for."""
    found: list[Failure] = []
    for ask in (forge.identity, lambda: list(forge.repositories())):
        try:
            ask()
        except Failure as failure:
            found.append(failure)
    return found


@pytest.mark.parametrize("kind", FORGES)
@pytest.mark.parametrize("script", list(SCRIPTS.values()), ids=list(SCRIPTS))
def test_nothing_breaks_and_nothing_leaks(kind: str, script: Script, other: Hostile, git: Git) -> None:
    with Hostile(script) as server:
        server.elsewhere = other.url
        tracemalloc.start()
        try:
            failures = asked(forge_at(kind, server.url, git))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert failures
    assert peak < PEAK_BYTES
    assert other.heard == []
    assert [one.sentence for one in failures if not clear(one.sentence)] == []
    assert any(TOKEN in head or "Authorization: Basic" in head for head in server.heard), "it did ask"


@pytest.mark.parametrize("script", list(SLOW.values()), ids=list(SLOW))
def test_what_takes_too_long_ends_while_the_server_goes_on(script: Script, git: Git) -> None:
    with Hostile(script) as server:
        forge = forge_at("github", server.url, git, timeout=0.3)
        with pytest.raises(Failure, match="did not answer in time") as late:
            forge.identity()
        assert not server.stopping.is_set()
        assert late.value.error_class == "transient"
        assert 1 < len(server.heard) < 5, "tried again, and not for ever"


def clear(sentence: str) -> bool:
    return sentence.endswith(".") and sentence.isprintable() and len(sentence) < 500 and TOKEN not in sentence


# --- names ------------------------------------------------------------------------------------------


def rebinding(*answers: str) -> Callable[[str, int], Sequence[str]]:
    """A name that has another address each time it is asked for; the last one stays."""
    left = list(answers)
    return lambda host, port: [left.pop(0) if len(left) > 1 else left[0]]


@pytest.mark.parametrize("kind", FORGES)
def test_a_name_that_turns_to_this_machine_is_not_followed(kind: str, other: Hostile, git: Git) -> None:
    """What was checked when the address was entered counts for nothing when it is connected to."""
    port = other.url.rpartition(":")[2]
    policy = Policy(resolve=rebinding("93.184.215.14", "127.0.0.1"))
    assert policy.check(f"http://forge.example.org:{port}")
    forge = forge_at(kind, f"http://forge.example.org:{port}", git, policy)
    with pytest.raises(AddressRefused, match="this machine"):
        forge.identity()
    assert other.heard == []


def test_a_name_is_looked_up_once_for_each_connection(other: Hostile, git: Git) -> None:
    """The address that was allowed is the one that is used: there is no second look-up to turn in between."""
    looked: list[str] = []

    def resolve(host: str, port: int) -> Sequence[str]:
        looked.append(host)
        return ["127.0.0.1"] if len(looked) == 1 else ["169.254.169.254"]

    allowed = [AllowedTarget("forge.example.org", "127.0.0.0/8")]
    port = other.url.rpartition(":")[2]
    other.script = lambda server, taken: taken.sendall(answer("403 Forbidden", b'{"message": "no"}'))
    forge = forge_at("github", f"http://forge.example.org:{port}", git, Policy(allowed, resolve))
    with pytest.raises(PermanentFailure):
        forge.identity()
    assert looked == ["forge.example.org"]
    assert len(other.heard) == 1
