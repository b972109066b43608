from __future__ import annotations

import datetime as dt
import gzip
import ipaddress
import os
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import certifi
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from opssight.core.errors import InvalidInput, NotFound, PermanentFailure
from opssight.core.outbound import AddressRefused, AllowedTarget, Policy
from opssight.core.outbound_http import AnswerTooLarge, client, tls_context, unpack

LOOPBACK = AllowedTarget("*", "127.0.0.1/32")
Answer = Callable[[BaseHTTPRequestHandler], None]


@dataclass
class Server:
    """A real server on loopback; `seen` are the (path, headers) of its requests."""

    port: int
    answers: dict[str, Answer]
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def url(self, path: str, host: str = "git.test", scheme: str = "http") -> str:
        return f"{scheme}://{host}:{self.port}{path}"


def serve(context: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            served.seen.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            try:
                served.answers[self.path](self)
            except (ConnectionError, ssl.SSLError):
                self.close_connection = True

        do_POST = do_HEAD = do_CONNECT = do_GET

        def log_message(self, format: str, *args: object) -> None:
            """Silent: the tests look at `seen`."""

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda request, client_address: None  # type: ignore[method-assign]
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    served = Server(server.server_address[1], {"/ok": text(b"fine")})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield served
    server.shutdown()
    server.server_close()
    thread.join()


def text(body: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(body)

    return answer


def redirect(location: str, status: int = 302) -> Answer:
    return text(b"", status, Location=location)


def chunks(*parts: bytes, pause: float = 0.0, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        for part in parts:
            request.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            request.wfile.flush()
            time.sleep(pause)
        request.wfile.write(b"0\r\n\r\n")

    return answer


@pytest.fixture
def server() -> Iterator[Server]:
    yield from serve()


@pytest.fixture
def other() -> Iterator[Server]:
    yield from serve()


def here(host: str, port: int) -> Sequence[str]:
    try:
        return [str(ipaddress.ip_address(host))]
    except ValueError:
        return ["127.0.0.1"]


def make_client(
    policy: Policy | None = None, timeout: float = 5.0, max_bytes: int = 1_000_000, **more: object
) -> httpx.Client:
    return client(
        policy or Policy([LOOPBACK], resolve=here),
        timeout=timeout,
        max_bytes=max_bytes,
        **more,  # type: ignore[arg-type]
    )


def test_a_request_reaches_the_allowed_host_under_its_own_name(server: Server) -> None:
    with make_client() as http:
        answer = http.get(server.url("/ok"))
    assert (answer.status_code, answer.text, answer.history) == (200, "fine", [])
    path, headers = server.seen[0]
    assert (path, headers["host"]) == ("/ok", f"git.test:{server.port}")
    assert (headers["accept-encoding"], headers["user-agent"]) == ("gzip", "OpsSight")


def test_without_a_listing_nothing_is_sent_to_this_machine(server: Server) -> None:
    with make_client(Policy(resolve=here)) as http, pytest.raises(AddressRefused, match="this machine"):
        http.get(server.url("/ok"))
    assert server.seen == []


def test_the_checked_address_is_the_one_connected_to(server: Server) -> None:
    """A name that changes between two look-ups (rebinding) is looked up once for each connection."""
    answers = iter([["127.0.0.1"], ["127.0.0.2"]])
    policy = Policy([LOOPBACK], resolve=lambda host, port: next(answers))
    with make_client(policy) as http:
        assert http.get(server.url("/ok", "rebind.test"), headers={"Connection": "close"}).text == "fine"
        with pytest.raises(AddressRefused, match=r"127\.0\.0\.2"):
            http.get(server.url("/ok", "rebind.test"))
    assert len(server.seen) == 1


def test_the_next_address_is_tried_when_one_does_not_answer(server: Server) -> None:
    policy = Policy(
        [AllowedTarget("*", "127.0.0.0/8")], resolve=lambda host, port: ["127.0.0.9", "127.0.0.1"]
    )
    with make_client(policy) as http:
        assert http.get(server.url("/ok")).text == "fine"
    with make_client(policy) as http, pytest.raises(httpx.ConnectError):
        http.get("http://git.test:1/")


def test_environment_proxies_are_not_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with make_client() as http:
        assert http.get(server.url("/ok")).text == "fine"


# --- redirects ----------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["http://169.254.169.254/latest/meta-data/", "http://[::ffff:a9fe:a9fe]/"])
def test_a_redirect_to_the_metadata_service_is_refused(server: Server, target: str) -> None:
    server.answers["/out"] = redirect(target)
    with make_client() as http, pytest.raises(AddressRefused):
        http.get(server.url("/out"))


def test_a_redirect_to_another_scheme_is_refused(server: Server) -> None:
    server.answers["/file"] = redirect("file:///etc/passwd")
    with make_client() as http, pytest.raises(httpx.UnsupportedProtocol):
        http.get(server.url("/file"))


def test_credentials_stay_with_their_origin(server: Server, other: Server) -> None:
    server.answers["/same"] = redirect("/other-port")
    server.answers["/other-port"] = redirect(other.url("/other-host"))
    other.answers["/other-host"] = redirect(server.url("/ok", host="evil.test"), 307)
    secret = {
        "Authorization": "Bearer s3cret",
        "PRIVATE-TOKEN": "s3cret",
        "Cookie": "a=s3cret",
        "Accept": "x/y",
    }
    with make_client() as http:
        answer = http.get(server.url("/same"), headers=secret)
    assert answer.text == "fine"
    assert [step.status_code for step in answer.history] == [302, 302, 307]
    assert server.seen[1][1]["authorization"] == "Bearer s3cret"
    for _, headers in [other.seen[0], server.seen[2]]:
        assert "s3cret" not in str(headers)
        assert headers["accept"] == "x/y"
    assert server.seen[2][1]["host"] == f"evil.test:{server.port}"


def test_the_clients_own_credentials_do_not_follow_either(server: Server, other: Server) -> None:
    server.answers["/out"] = redirect(other.url("/ok"))
    with make_client() as http:
        assert http.get(server.url("/out"), auth=("user", "s3cret")).text == "fine"
    assert server.seen[0][1]["authorization"].startswith("Basic ")
    assert "authorization" not in other.seen[0][1]


def test_at_most_three_redirects_are_followed(server: Server) -> None:
    server.answers.update({f"/{n}": redirect(f"/{n + 1}") for n in range(5)})
    with (
        make_client() as http,
        pytest.raises(PermanentFailure, match=r"git\.test redirects more than 3 times"),
    ):
        http.get(server.url("/0"))
    assert [path for path, _ in server.seen] == ["/0", "/1", "/2", "/3"]


def test_redirects_may_be_switched_off(server: Server) -> None:
    server.answers["/out"] = redirect("/ok")
    with make_client(max_redirects=0) as http:
        assert http.get(server.url("/out")).status_code == 302
    with make_client() as http:
        assert http.get(server.url("/out"), follow_redirects=False).status_code == 302
        assert http.get(server.url("/out")).status_code == 200


# --- size and time --------------------------------------------------------------------------------


def test_a_body_that_says_it_is_too_large_is_not_read(server: Server) -> None:
    def announce(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(100_000_000))
        request.end_headers()

    server.answers["/big"] = announce
    with make_client() as http, pytest.raises(AnswerTooLarge, match=r"git\.test answered with more than 1MB"):
        http.get(server.url("/big"))


def test_a_hundred_megabytes_are_cut_off_at_the_limit(server: Server) -> None:
    sent = []

    def endless(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Connection", "close")
        request.end_headers()
        for _ in range(1_600):
            request.wfile.write(b"x" * 65_536)
            sent.append(65_536)

    server.answers["/big"] = endless
    with make_client() as http, pytest.raises(AnswerTooLarge):
        http.get(server.url("/big"))
    assert sum(sent) < 50_000_000


def test_a_body_at_the_limit_is_read(server: Server) -> None:
    server.answers["/exact"] = text(b"x" * 1_000_000)
    server.answers["/over"] = chunks(b"x" * 1_000_000, b"x")
    with make_client() as http:
        assert len(http.get(server.url("/exact")).content) == 1_000_000
        with pytest.raises(AnswerTooLarge):
            http.get(server.url("/over"))
        assert http.head(server.url("/exact")).headers["content-length"] == "1000000"


def test_gzip_is_unpacked(server: Server) -> None:
    packed = gzip.compress(b"hello " * 1000)
    server.answers["/gz"] = text(packed, Content_Encoding="gzip")
    server.answers["/two"] = chunks(
        packed[:20], packed[20:] + gzip.compress(b"more"), Content_Encoding="x-gzip"
    )
    server.answers["/empty"] = text(b"", Content_Encoding="gzip")
    with make_client() as http:
        answer = http.get(server.url("/gz"))
        assert answer.content == b"hello " * 1000
        assert "content-encoding" not in answer.headers
        assert http.get(server.url("/two")).content == b"hello " * 1000 + b"more"
        assert http.get(server.url("/empty")).content == b""
        with http.stream("GET", server.url("/gz")) as streamed:
            assert b"".join(streamed.iter_bytes()) == b"hello " * 1000


def test_a_gzip_bomb_is_noticed_while_it_is_small(server: Server) -> None:
    bomb = gzip.compress(b"\0" * 200_000_000, compresslevel=1)
    assert len(bomb) < 1_000_000
    server.answers["/bomb"] = text(bomb, Content_Encoding="gzip")
    with make_client() as http, pytest.raises(AnswerTooLarge):
        http.get(server.url("/bomb"))


def test_gzip_is_unpacked_in_small_pieces() -> None:
    pieces = [len(piece) for piece in unpack(iter([gzip.compress(b"\0" * 10_000_000)]))]
    assert sum(pieces) == 10_000_000
    assert max(pieces) <= 65_536


def test_damaged_and_unexpected_encodings(server: Server) -> None:
    server.answers["/damaged"] = text(b"this is not gzip", Content_Encoding="gzip")
    server.answers["/short"] = text(gzip.compress(b"hello " * 1000)[:-9], Content_Encoding="gzip")
    server.answers["/br"] = text(b"x", Content_Encoding="br")
    with make_client() as http:
        for path in ("/damaged", "/short"):
            with pytest.raises(httpx.DecodingError):
                http.get(server.url(path))
        with pytest.raises(PermanentFailure, match="in the encoding br"):
            http.get(server.url("/br"))


def test_a_body_that_drips_ends_at_the_deadline(server: Server) -> None:
    """Every read succeeds in time; only the deadline of the whole request can end it."""
    server.answers["/drip"] = chunks(*[b"x"] * 200, pause=0.05)
    with make_client(timeout=0.4) as http, pytest.raises(httpx.ReadTimeout):
        http.get(server.url("/drip"))


def test_headers_that_drip_end_at_the_deadline(server: Server) -> None:
    def slow(request: BaseHTTPRequestHandler) -> None:
        for letter in b"HTTP/1.1 200 OK\r\nX-Long: " + b"y" * 200:
            request.wfile.write(bytes([letter]))
            request.wfile.flush()
            time.sleep(0.05)
        request.wfile.write(b"\r\nContent-Length: 0\r\n\r\n")

    server.answers["/slow"] = slow
    with make_client(timeout=0.4) as http, pytest.raises(httpx.ReadTimeout):
        http.get(server.url("/slow"))


def test_a_body_that_is_sent_slowly_ends_at_the_deadline(server: Server) -> None:
    def take(request: BaseHTTPRequestHandler) -> None:
        while request.rfile.readline() != b"0\r\n":
            pass
        text(b"taken")(request)

    def slowly() -> Iterator[bytes]:
        for _ in range(20):
            time.sleep(0.05)
            yield b"x"

    server.answers["/in"] = take
    with make_client(timeout=0.4) as http, pytest.raises(httpx.WriteTimeout):
        http.post(server.url("/in"), content=slowly())
    with make_client() as http:
        assert http.post(server.url("/in"), content=slowly()).text == "taken"


def test_nothing_is_begun_after_the_deadline(server: Server) -> None:
    def late(host: str, port: int) -> Sequence[str]:
        time.sleep(0.02)
        return ["127.0.0.1"]

    with (
        make_client(Policy([LOOPBACK], resolve=late), timeout=0.01) as http,
        pytest.raises(httpx.ConnectTimeout),
    ):
        http.get(server.url("/ok"))
    assert server.seen == []


# --- a proxy ----------------------------------------------------------------------------------------


def test_a_proxy_is_asked_only_for_what_is_allowed(server: Server, other: Server) -> None:
    proxy = f"http://127.0.0.1:{other.port}"
    other.answers["http://public.test/x"] = text(b"by proxy")

    def look_up(host: str, port: int) -> Sequence[str]:
        if host == "public.test":
            raise OSError("only the proxy knows this name")
        return here(host, port)

    policy = Policy(resolve=look_up)
    with pytest.raises(NotFound):
        policy.check("public.test")
    with make_client(policy, proxy=proxy) as http:
        assert http.get("http://public.test/x").text == "by proxy"
        with pytest.raises(AddressRefused):
            http.get(server.url("/ok"))
        with pytest.raises(AddressRefused):
            http.get("https://169.254.169.254/")
    assert [path for path, _ in other.seen] == ["http://public.test/x"]


# --- TLS ----------------------------------------------------------------------------------------------


@dataclass
class Authority:
    """A certificate authority of its own, and a server certificate for git.test."""

    ca: str
    context: ssl.SSLContext


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "git.test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("git.test")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "server.pem").write_bytes(pem + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem")
    return Authority(pem.decode(), context)


@pytest.fixture
def secure(authority: Authority) -> Iterator[Server]:
    yield from serve(authority.context)


def test_tls_is_verified_against_the_name_that_was_asked_for(
    secure: Server, authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "ca.pem").write_text(authority.ca)
    for ca in (authority.ca, tmp_path / "ca.pem"):
        with make_client(ca=ca) as http:
            assert http.get(secure.url("/ok", scheme="https")).text == "fine"
            with pytest.raises(httpx.ConnectError, match="verify failed"):
                http.get(secure.url("/ok", host="other.test", scheme="https"))
    with make_client() as http, pytest.raises(httpx.ConnectError, match="verify failed"):
        http.get(secure.url("/ok", scheme="https"))
    assert len(secure.seen) == 2


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(authority: Authority) -> None:
    authority.context.maximum_version = ssl.TLSVersion.TLSv1_1
    authority.context.set_ciphers("ALL:@SECLEVEL=0")
    for old in serve(authority.context):
        with make_client(ca=authority.ca) as http, pytest.raises(httpx.ConnectError, match=r"(?i)protocol"):
            http.get(old.url("/ok", scheme="https"))
    assert (
        tls_context().minimum_version == tls_context(authority.ca).minimum_version == ssl.TLSVersion.TLSv1_2
    )
    assert tls_context().verify_mode == ssl.CERT_REQUIRED
    assert tls_context().check_hostname


def test_a_redirect_from_https_to_http_is_refused(
    secure: Server, server: Server, authority: Authority
) -> None:
    secure.answers["/down"] = redirect(server.url("/ok"))
    with make_client(ca=authority.ca) as http, pytest.raises(PermanentFailure, match="from https to http"):
        http.get(secure.url("/down", scheme="https"))
    assert server.seen == []


def test_a_file_of_authorities_is_read_again_when_it_was_written_again(
    authority: Authority, tmp_path: Path
) -> None:
    file = tmp_path / "ca.pem"
    shutil.copy(certifi.where(), file)
    before = tls_context(file)
    assert tls_context(file) is before
    file.write_text(authority.ca)
    os.utime(file, ns=(1, 1))
    assert tls_context(file).cert_store_stats()["x509"] == 1 < before.cert_store_stats()["x509"]
    with pytest.raises(InvalidInput, match="PEM"):
        tls_context(file, extra="no certificate")


@pytest.mark.parametrize("ca", ["not a certificate", Path("/nowhere/ca.pem")])
def test_an_unreadable_authority_is_said_so(ca: str | Path) -> None:
    with pytest.raises(InvalidInput, match="PEM"):
        tls_context(ca)
