"""An HTTP client for addresses that come from users.

It connects only where the policy allows, to the very address that was checked, ends every request
by one deadline (headers, body and redirect hop included), reads no more than it was told, sends
credentials to the origin they were meant for only, and always verifies TLS.
"""

from __future__ import annotations

import ssl
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import certifi
import httpcore
import httpx

from opssight.core.deadline import seconds_left
from opssight.core.env_kinds import show_size
from opssight.core.errors import InvalidInput, NotFound, PermanentFailure, TransientFailure
from opssight.core.outbound import Policy

# What may follow a redirect to another origin; everything else could be a credential.
_HARMLESS = {
    "host",
    "accept",
    "accept-encoding",
    "user-agent",
    "content-type",
    "content-length",
    "transfer-encoding",
}
_CONNECT_SECONDS = 10.0
_PIECE = 64 * 1024


Client = httpx.Client


class AnswerTooLarge(PermanentFailure):
    """The other side sent more than is accepted."""


# When the request that is being made in this thread must be over, by the monotonic clock.
_deadline: ContextVar[float | None] = ContextVar("opssight_http_deadline", default=None)


def _left(timeout: float | None) -> float:
    """Seconds that one operation may take: its own limit, or what the whole request has left."""
    deadline = _deadline.get()
    limit = 30.0 if timeout is None else timeout
    return limit if deadline is None else min(limit, deadline - time.monotonic())


class _Stream(httpcore.NetworkStream):
    """A connection on which every operation ends by the deadline of the whole request."""

    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if (left := _left(timeout)) <= 0:
            raise httpcore.ReadTimeout("the whole answer took too long")
        return self._inner.read(max_bytes, left)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if (left := _left(timeout)) <= 0:
            raise httpcore.WriteTimeout("the whole request took too long")
        self._inner.write(buffer, left)

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, max(_left(timeout), 0.001)))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def close(self) -> None:
        self._inner.close()


class _Backend(httpcore.NetworkBackend):
    """Connects to checked addresses only; the name stays what TLS and the Host header use."""

    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        addresses = [str(address) for address in self._policy.check(host, port)] if self._policy else [host]
        for address in addresses[:-1]:
            try:
                return self._connect(address, port, timeout)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        return self._connect(addresses[-1], port, timeout)

    def _connect(self, address: str, port: int, timeout: float | None) -> httpcore.NetworkStream:
        if (left := _left(timeout)) <= 0:
            raise httpcore.ConnectTimeout("the whole request took too long")
        return _Stream(self._inner.connect_tcp(address, port, left))


class _Body(httpx.SyncByteStream):
    """A response body that ends by the deadline and at `limit` bytes, unpacked as it is read."""

    def __init__(
        self, inner: httpx.SyncByteStream, *, host: str, limit: int, deadline: float, packed: bool
    ) -> None:
        self._inner, self._host, self._limit, self._deadline = inner, host, limit, deadline
        self._packed = packed

    def __iter__(self) -> Iterator[bytes]:
        total = 0
        for piece in unpack(self._received()) if self._packed else self._received():
            total += len(piece)
            if total > self._limit:
                raise too_large(self._host, self._limit)
            yield piece

    def _received(self) -> Iterator[bytes]:
        chunks = iter(self._inner)
        while True:
            token = _deadline.set(self._deadline)
            try:
                chunk = next(chunks, None)
            finally:
                _deadline.reset(token)
            if chunk is None:
                return
            yield chunk

    def close(self) -> None:
        self._inner.close()


def unpack(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Gunzip in small pieces, so that a bomb is noticed while it is still small."""
    unzip = zlib.decompressobj(wbits=31)
    started = False
    for data in chunks:
        rest = data
        while rest:
            started = True
            if unzip.eof:  # several members one after the other are one body
                unzip = zlib.decompressobj(wbits=31)
            try:
                piece = unzip.decompress(rest, _PIECE)
            except zlib.error as error:
                raise httpx.DecodingError(f"the answer is not gzip as it says: {error}") from None
            rest = unzip.unused_data if unzip.eof else unzip.unconsumed_tail
            if piece:
                yield piece
    if started and not unzip.eof:
        raise httpx.DecodingError("the gzip answer ends too early")


def too_large(host: str, limit: int) -> AnswerTooLarge:
    return AnswerTooLarge(f"{host} answered with more than {show_size(limit)}, which is not read.")


class _Transport(httpx.HTTPTransport):
    def __init__(
        self,
        policy: Policy,
        *,
        timeout: float,
        max_bytes: int,
        tls: ssl.SSLContext,
        proxy: str | None,
        check_proxy: bool,
    ) -> None:
        super().__init__(verify=tls, trust_env=False, proxy=proxy)
        self._policy, self._timeout, self._max_bytes, self._proxied = policy, timeout, max_bytes, bool(proxy)
        # What is asked of a proxy is checked in handle_request; all connections go to the proxy itself.
        self._pool._network_backend = _Backend(None if proxy and not check_proxy else policy)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._proxied:
            self._check_for_proxy(request.url)
        left = seconds_left()  # of a question that is made of more requests than this one
        deadline = time.monotonic() + (self._timeout if left is None else min(self._timeout, left))
        token = _deadline.set(deadline)
        try:
            response = super().handle_request(request)
        finally:
            _deadline.reset(token)
        try:
            return self._limited(request, response, deadline)
        except BaseException:
            response.close()
            raise

    def _check_for_proxy(self, url: httpx.URL) -> None:
        try:
            self._policy.check(url.host, url.port or (443 if url.scheme == "https" else 80))
        except (NotFound, TransientFailure):
            return  # behind a proxy names are often known to the proxy only

    def _limited(self, request: httpx.Request, response: httpx.Response, deadline: float) -> httpx.Response:
        host = request.url.host
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in {"identity", "", "gzip", "x-gzip"}:
            raise PermanentFailure(
                f"{host} answered in the encoding {encoding[:20]}, which was not asked for."
            )
        length = response.headers.get("content-length", "")
        if request.method != "HEAD" and length.isdecimal() and int(length) > self._max_bytes:
            raise too_large(host, self._max_bytes)
        packed = encoding in {"gzip", "x-gzip"}
        dropped = {"content-encoding", "content-length"} if packed else set()
        stream = cast("httpx.SyncByteStream", response.stream)
        return httpx.Response(
            response.status_code,
            headers=[(name, value) for name, value in response.headers.multi_items() if name not in dropped],
            stream=_Body(stream, host=host, limit=self._max_bytes, deadline=deadline, packed=packed),
            extensions=response.extensions,
        )


class _Client(httpx.Client):
    """Follows redirects itself, because httpx forwards every header but Authorization."""

    def send(
        self,
        request: httpx.Request,
        *,
        stream: bool = False,
        auth: Any = httpx.USE_CLIENT_DEFAULT,
        follow_redirects: Any = httpx.USE_CLIENT_DEFAULT,
    ) -> httpx.Response:
        given = follow_redirects is not httpx.USE_CLIENT_DEFAULT
        follow = follow_redirects if given else self.follow_redirects
        history: list[httpx.Response] = []
        while True:
            response = super().send(request, stream=True, auth=auth, follow_redirects=False)
            if not follow or response.next_request is None:
                break
            response.close()
            if len(history) == self.max_redirects:
                raise PermanentFailure(f"{request.url.host} redirects more than {self.max_redirects} times.")
            history.append(response)
            request, auth = _redirected(request, response.next_request), None
        response.history = history
        if not stream:
            try:
                response.read()
            finally:
                response.close()
        return response


def _redirected(old: httpx.Request, new: httpx.Request) -> httpx.Request:
    if old.url.scheme == "https" and new.url.scheme != "https":
        raise PermanentFailure(
            f"{old.url.host} redirects from https to {new.url.scheme}, which is not followed."
        )
    if (old.url.scheme, old.url.host, old.url.port) != (new.url.scheme, new.url.host, new.url.port):
        for name in set(new.headers) - _HARMLESS:
            del new.headers[name]
    return new


def tls_context(ca: str | Path | None = None, *, extra: str = "") -> ssl.SSLContext:
    """Verifying TLS 1.2 or newer; not to be changed, others have it too. `ca`: a PEM file, or PEM text, to
    trust in place of the usual ones; `extra`: PEM text to trust beside them.
    """
    try:
        file = ca if isinstance(ca, Path) else ssl.get_default_verify_paths().cafile
        changed = Path(file).stat().st_mtime_ns if file else 0
        return _tls_context(ca, extra, changed)
    except (OSError, ValueError):
        raise InvalidInput(
            "The certificate authority cannot be read: give certificates in PEM form."
        ) from None


@lru_cache(maxsize=32)  # reading all that is trusted takes longer than most requests
def _tls_context(ca: str | Path | None, extra: str, changed: int) -> ssl.SSLContext:
    """`changed`: when the file of authorities was written, so that a new one is read."""
    if isinstance(ca, Path):
        context = ssl.create_default_context(cafile=str(ca))
    elif ca:
        context = ssl.create_default_context(cadata=ca)
    else:
        context = ssl.create_default_context()
        context.load_verify_locations(certifi.where())  # slim images have no system certificates
    if extra:
        context.load_verify_locations(cadata=extra)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def client(
    policy: Policy,
    *,
    timeout: float,
    max_bytes: int,
    max_redirects: int = 3,
    ca: str | Path | None = None,
    extra_ca: str = "",
    proxy: str | None = None,
    check_proxy: bool = False,
) -> httpx.Client:
    """A client that keeps to `policy`; close it, or use it in a `with`.

    `timeout`: seconds for one hop as a whole. `max_bytes`: of an unpacked body. `max_redirects` 0
    follows none. `ca` and `extra_ca` as in `tls_context`. A `proxy` is the operator's own choice, unless
    `check_proxy` says that the policy counts for it too. Raises `AddressRefused`, `AnswerTooLarge` and
    other failures, and httpx's own exceptions (`httpx.TimeoutException`, `httpx.TransportError`) for what
    the network does.
    """
    transport = _Transport(
        policy,
        timeout=timeout,
        max_bytes=max_bytes,
        tls=tls_context(ca, extra=extra_ca),
        proxy=proxy,
        check_proxy=check_proxy,
    )
    return _Client(
        transport=transport,
        timeout=httpx.Timeout(timeout, connect=min(timeout, _CONNECT_SECONDS)),
        follow_redirects=max_redirects > 0,
        max_redirects=max_redirects,
        trust_env=False,
        headers={"Accept-Encoding": "gzip", "User-Agent": "OpsSight"},
    )


def posted(sender: Client, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, bytes]:
    """Status and body of the answer to a POST. TransientFailure when there is none, with the host's name."""
    host = httpx.URL(url).host
    try:
        with sender:
            answer = sender.post(url, content=body, headers=dict(headers))
    except httpx.TimeoutException:
        raise TransientFailure(f"{host} did not answer in time.") from None
    except httpx.HTTPError as error:
        raise TransientFailure(f"{host} cannot be reached: {type(error).__name__}.") from None
    return answer.status_code, answer.content
