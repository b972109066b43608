"""Where git fetches from or pushes to: a checked URL, its credential and the addresses it may reach."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote, unquote_to_bytes, urlsplit

from opssight.core.errors import InvalidInput

_DEFAULT_PORTS = {"https": 443, "http": 80, "ssh": 22}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCP = re.compile(r"(?:([^@:/\s]+)@)?(\[[0-9A-Fa-f:.]+\]|[^@:/\s\[\]]+):(.+)", re.DOTALL)
_URL_PATH = "/%~!$&'()*+,;=:@?#-._"  # what is not escaped (again) in the path of a URL
_HOST = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?\.?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class PasswordCredential:
    """For http(s): what git answers when the server asks. A token is a password."""

    username: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        if any(c in self.username + self.password for c in "\0\r\n"):
            raise InvalidInput("The username or the password has a line break in it. Enter it without one.")

    @property
    def secrets(self) -> tuple[str, ...]:
        return (self.password, quote(self.password, safe=""))


@dataclass(frozen=True)
class SshCredential:
    """For ssh: the private key (OpenSSH or PEM text) and the only host keys that are accepted.

    `passphrase` opens an encrypted key; "" for one that is not.
    """

    private_key: str = field(repr=False)
    known_hosts: str = field(repr=False)
    passphrase: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        lines = tuple(line for line in self.private_key.splitlines() if len(line) > 20 and "---" not in line)
        return (*lines, self.passphrase) if self.passphrase else lines


Credential = PasswordCredential | SshCredential


@dataclass(frozen=True)
class Route:
    """How https gets to a server, where that is special.

    `ca`: certificates to trust in place of the usual ones, in PEM form. `proxy`: a URL that may hold a
    login; `proxy_addresses` are the IP addresses that were looked up for it and allowed.
    """

    ca: str = field(default="", repr=False)
    proxy: str = field(default="", repr=False)
    proxy_addresses: tuple[str, ...] = ()

    @property
    def proxy_login(self) -> tuple[str, str]:
        """User name and password for the proxy, "" where it has none."""
        parts = urlsplit(self.proxy)
        return unquote(parts.username or ""), unquote(parts.password or "")

    @property
    def proxy_server(self) -> str:
        """The proxy without its login: `http://host:port`."""
        parts = urlsplit(self.proxy)
        port = parts.port or {"https": 443}.get(parts.scheme, 80)
        host = parts.hostname or ""
        return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{port}"


@dataclass(frozen=True)
class Remote:
    """A repository somewhere else. Any instance has passed the checks of its URL.

    `addresses` are the IP addresses that were looked up and allowed; git is pinned to them.
    `label` is how sentences call it; default is the URL.
    """

    url: str
    credential: Credential | None = None
    addresses: tuple[str, ...] = ()
    label: str = ""
    route: Route = Route()

    def __post_init__(self) -> None:
        _check(self.url)
        for address in self.addresses:
            ipaddress.ip_address(address)
        fits = {PasswordCredential: ("https", "http"), SshCredential: ("ssh",)}
        if self.credential is not None and self.scheme not in fits[type(self.credential)]:
            raise InvalidInput(
                f"This credential cannot be used with a {self.scheme} address. "
                "A key needs an ssh address, a password needs an https address."
            )

    @classmethod
    def from_url(
        cls,
        url: str,
        credential: Credential | None = None,
        addresses: tuple[str, ...] = (),
        label: str = "",
    ) -> Self:
        """From what a person may write: a URL, `git@host:path`, or the absolute path of a folder."""
        return cls(_normal(url), credential, addresses, label)

    @property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int | None:
        """The port that is connected to; None for a folder."""
        return urlsplit(self.url).port or _DEFAULT_PORTS.get(self.scheme)

    @property
    def origin(self) -> str:
        """Scheme, host and port exactly as in the URL: how git names the server when it asks."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

    @property
    def path(self) -> Path | None:
        """The folder of a `file` remote."""
        return Path(os.fsdecode(unquote_to_bytes(urlsplit(self.url).path))) if self.scheme == "file" else None

    @property
    def name(self) -> str:
        return self.label or self.url

    @property
    def secrets(self) -> tuple[str, ...]:
        password = self.route.proxy_login[1] if self.route.proxy else ""
        own = self.credential.secrets if self.credential else ()
        return (*own, password, quote(password, safe="")) if password else own


def _normal(text: str) -> str:
    if any(ord(c) < 32 or ord(c) == 127 for c in text):
        raise InvalidInput("The address has a control character in it. Enter it again without line breaks.")
    text = text.strip()
    if text.startswith("-"):
        raise InvalidInput("The address begins with a dash. Enter a URL or the full path of a folder.")
    if text.startswith("/"):
        return "file://" + quote(os.fsencode(text))
    if match := _SCHEME.match(text):
        scheme, rest = match[1].lower(), text[match.end() :]
        netloc, slash, path = rest.partition("/")
        user, at, host = netloc.rpartition("@")
        return f"{scheme}://{user}{at}{host.lower()}{slash}{quote(path, safe=_URL_PATH)}"
    if "::" not in text.partition("[")[0] and (match := _SCP.fullmatch(text)):
        user, host, path = match.groups()
        at = f"{user}@" if user else ""
        return f"ssh://{at}{host.lower()}/{quote(path.lstrip('/'), safe='/~')}"
    raise InvalidInput(
        "This is not an address that git can use. Enter an https or ssh URL, git@host:path, "
        "or the full path of a folder."
    )


def _check(url: str) -> None:
    """Refuse everything that is not plainly `scheme://host[:port]/path` without a secret."""
    match = _SCHEME.match(url)
    scheme = match[1] if match else ""
    if scheme not in {"https", "http", "ssh", "file"}:
        raise InvalidInput("Only https, http, ssh and file addresses can be used.")
    if not url.isascii() or any(c <= " " or c in '\x7f"\\<>' for c in url):
        raise InvalidInput("The address has a character in it that a URL cannot have. Write it as %XX.")
    if "?" in url or "#" in url:
        raise InvalidInput("The address has a ? or # in it. Enter the address of the repository only.")
    server, slash, path = url[len(scheme) + 3 :].partition("/")
    _check_path(slash + path)
    if scheme != "file":
        _check_server(scheme, server)
    elif server:
        raise InvalidInput("A file address has no host. Write file:///full/path.")


def _check_path(path: str) -> None:
    if path.strip("/") == "":
        raise InvalidInput("The address names no repository. Add its path.")
    decoded = unquote(path, errors="surrogateescape")
    if any(ord(c) < 32 or ord(c) == 127 for c in decoded) or decoded.startswith("/-"):
        raise InvalidInput("The path of the address cannot be used: it hides a control character or a dash.")


def _check_server(scheme: str, netloc: str) -> None:
    user, at, server = netloc.rpartition("@")
    if at and (scheme != "ssh" or not _USER.fullmatch(user)):
        raise InvalidInput(
            "The address has a user name or password in it. Take it out and store it as a credential."
        )
    host, port = _split_port(server)
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1] if host.endswith("]") else "")
        except ValueError:
            raise InvalidInput("The host of the address is not a valid IPv6 address.") from None
    elif not _HOST.fullmatch(host):
        raise InvalidInput("The host of the address is not valid.")
    if port is not None and not (port.isdigit() and 0 < int(port) < 65536):
        raise InvalidInput("The port of the address is not valid.")


def _split_port(server: str) -> tuple[str, str | None]:
    if server.startswith("["):
        host, bracket, rest = server.partition("]")
        return host + bracket, rest[1:] if rest.startswith(":") else (rest or None)
    host, colon, port = server.partition(":")
    return host, port if colon else None
