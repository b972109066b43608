"""How the text of an environment variable becomes a value: one `Kind` for each sort of value.

A parser gets stripped, non-empty text and raises `ValueError` when it cannot be used; the sentence
that a person sees is built from the kind's `accepts`, so it never repeats the text of a secret.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import ssl
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from opssight.core import openpgp

T = TypeVar("T")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Kind(Generic[T]):
    """A sort of value: its parser, what it accepts (for sentences) and how a value is written."""

    accepts: str
    parse: Callable[[str], T]
    show: Callable[[T], str] = str


def _require(condition: bool) -> None:
    if not condition:
        raise ValueError


def _bool(text: str) -> bool:
    word = text.lower()
    _require(word in {"1", "true", "yes", "on", "0", "false", "no", "off"})
    return word in {"1", "true", "yes", "on"}


BOOL: Kind[bool] = Kind("1 or 0 (also true/false, yes/no, on/off)", _bool, lambda v: "1" if v else "0")
TEXT: Kind[str] = Kind("any text", str)


def secret_text(length: int) -> Kind[str]:
    """Text of at least `length` characters."""

    def parse(text: str) -> str:
        _require(len(text) >= length)
        return text

    return Kind(f"at least {length} characters, best made by a random generator", parse)


def _address(text: str) -> str:
    return text if text == "localhost" else str(ipaddress.ip_address(text.strip("[]")))


ADDRESS: Kind[str] = Kind("an IP address such as 127.0.0.1, 0.0.0.0 or ::1", _address)


def whole_number(low: int, high: int | None = None) -> Kind[int]:
    """A whole number of at least `low` and, where given, at most `high`."""

    def parse(text: str) -> int:
        value = int(text)
        _require(low <= value and (high is None or value <= high))
        return value

    limits = f"from {low} to {high}" if high is not None else f"of {low} or more"
    return Kind(f"a whole number {limits}", parse)


def choice(*words: str) -> Kind[str]:
    def parse(text: str) -> str:
        word = text.lower()
        _require(word in words)
        return word

    return Kind("one of " + ", ".join(words), parse)


OPTIONAL_ID: Kind[uuid.UUID | None] = Kind("an id such as 1b4e28ba-2fa1-41d2-883f-0016d3cca427", uuid.UUID)

_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_UNITS |= {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.lower())
    if found is None or found[2] not in _UNITS:
        raise ValueError
    return int(float(found[1]) * _UNITS[found[2]])


def show_size(value: int) -> str:
    """Bytes in the largest decimal unit that keeps them whole: 10000000000 -> 10GB."""
    for unit in ("tb", "gb", "mb", "kb"):
        if value and value % _UNITS[unit] == 0:
            return f"{value // _UNITS[unit]}{unit.upper()}"
    return str(value)


SIZE: Kind[int] = Kind("a size such as 500MB, 10GB or 2GiB (a plain number is bytes)", _size, show_size)

_SPANS = {"ms": 0.001, "": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _show_duration(value: float) -> str:
    for unit in ("d", "h", "m"):
        if value and value % _SPANS[unit] == 0:
            return f"{value / _SPANS[unit]:g}{unit}"
    return f"{value:g}s"


def duration(low: float, high: float) -> Kind[float]:
    """A span of time from `low` to `high`, always held in seconds."""

    def parse(text: str) -> float:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.lower())
        if found is None or found[2] not in _SPANS:
            raise ValueError
        value = float(found[1]) * _SPANS[found[2]]
        _require(low <= value <= high)
        return value

    limits = f"from {_show_duration(low)} to {_show_duration(high)}"
    return Kind(
        f"a duration {limits}, such as 90s, 5m, 12h or 30d (a plain number is seconds)", parse, _show_duration
    )


@dataclass(frozen=True)
class Rate:
    """At most `count` in a window of `seconds`."""

    count: int
    seconds: int

    def __str__(self) -> str:
        return f"{self.count}/" + {1: "s", 60: "m", 3600: "h"}[self.seconds]


def _rate(text: str) -> Rate:
    found = re.fullmatch(r"(\d+)\s*/\s*([smh])", text.lower())
    if found is None:
        raise ValueError
    return Rate(int(found[1]), {"s": 1, "m": 60, "h": 3600}[found[2]])


RATE: Kind[Rate] = Kind("a rate such as 10/s, 600/m or 1000/h", _rate)


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _show_list(values: Sequence[object]) -> str:
    return ",".join(str(value) for value in values)


LIST: Kind[tuple[str, ...]] = Kind("names separated by commas", _list, _show_list)


def _path(text: str) -> Path:
    _require("\0" not in text)
    # Relative paths mean the folder the process was started in, fixed before anything changes it.
    return Path(text).expanduser().absolute()


PATH: Kind[Path] = Kind("a path", _path)
OPTIONAL_PATH: Kind[Path | None] = Kind("a path", _path)
PATHS: Kind[tuple[Path, ...]] = Kind(
    "paths separated by commas", lambda text: tuple(_path(part) for part in _list(text)), _show_list
)


def url(*schemes: str) -> Kind[str]:
    """A URL with one of the schemes and a host; a trailing slash is dropped."""

    def parse(text: str) -> str:
        parts = urlsplit(text)
        _require(parts.scheme in schemes and bool(parts.hostname) and not re.search(r"\s", text))
        _require(parts.port is None or parts.port > 0)  # reading it refuses a port that is no number
        return text.rstrip("/")

    return Kind("a URL that starts with " + " or ".join(f"{scheme}://" for scheme in schemes), parse)


def _keys(text: str) -> tuple[tuple[str, bytes], ...]:
    pairs = [part.partition(":") for part in _list(text)]
    keys = tuple((kid.strip(), base64.b64decode(key.strip(), validate=True)) for kid, _, key in pairs)
    _require(
        bool(keys) and all(re.fullmatch(r"[A-Za-z0-9_-]{1,32}", kid) and len(key) == 32 for kid, key in keys)
    )
    _require(len({kid for kid, _ in keys}) == len(keys))
    return keys


# Pairs of key id and 32 bytes; the first encrypts, all decrypt.
KEYS: Kind[tuple[tuple[str, bytes], ...]] = Kind(
    "keys as k2:<base64>,k1:<base64>, each a different name and 32 bytes in base64",
    _keys,
    lambda pairs: ",".join(kid for kid, _ in pairs),
)


_FEWEST_RSA_BITS = 2_048
_SSH_ARMOR = "-----BEGIN OPENSSH PRIVATE KEY-----"


def _signing_key(text: str) -> str:
    # a file of variables has one line for each: \n stands for the end of a line there
    lines = text.replace("\\n", "\n").replace("\r\n", "\n").strip() + "\n"
    _require(lines.startswith((_SSH_ARMOR, openpgp.ARMOR)))
    return lines


SIGNING_KEY: Kind[str] = Kind("a private key of OpenSSH or OpenPGP, with all of its lines", _signing_key)


def opens(text: str, passphrase: str) -> bool:
    """Whether a key that `SIGNING_KEY` took can sign with this passphrase."""
    try:
        if text.startswith(openpgp.ARMOR):
            openpgp.opened(text, passphrase)
            return True
        key = serialization.load_ssh_private_key(text.encode(), passphrase.encode() or None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return False
    if isinstance(key, rsa.RSAPrivateKey):
        return key.key_size >= _FEWEST_RSA_BITS
    return isinstance(key, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey)


@dataclass(frozen=True)
class TrustedProxies:
    """Which reverse proxies may say who the client is: the last `count`, or those in `networks`."""

    count: int = 0
    networks: tuple[Network, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.count or self.networks)

    def __str__(self) -> str:
        return _show_list(self.networks) if self.networks else str(self.count)


def _proxies(text: str) -> TrustedProxies:
    if text.isdecimal():
        return TrustedProxies(count=int(text))
    return TrustedProxies(networks=tuple(ipaddress.ip_network(part) for part in _list(text)))


PROXIES: Kind[TrustedProxies] = Kind(
    "how many proxies stand in front (1), or their networks (10.0.0.0/8,192.168.1.4/32)", _proxies
)


@dataclass(frozen=True, repr=False)
class MailServer:
    """Where mail goes: a server, or with an empty `host` the console."""

    host: str
    port: int
    user: str
    password: str
    starttls: bool
    tls: bool


def _mail(text: str) -> MailServer:
    parts = urlsplit(text)
    if text in {"console:", "console://"}:
        return MailServer("", 0, "", "", starttls=False, tls=False)
    _require(parts.scheme in {"smtp", "smtps", "smtp+starttls"} and bool(parts.hostname))
    return MailServer(
        host=parts.hostname or "",
        port=parts.port or {"smtp": 25, "smtps": 465, "smtp+starttls": 587}[parts.scheme],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        starttls=parts.scheme == "smtp+starttls",
        tls=parts.scheme == "smtps",
    )


MAIL: Kind[MailServer] = Kind(
    "smtps://user:password@host:465, smtp+starttls://user:password@host:587, smtp://host:25 or console:",
    _mail,
    lambda v: v.host or "console:",
)


@dataclass(frozen=True, repr=False)
class Database:
    """A parsed database URL. For SQLite `name` is a path and everything else is empty."""

    engine: str  # "sqlite" or "postgresql"
    name: str
    user: str = ""
    password: str = ""
    host: str = ""
    port: int | None = None
    options: tuple[tuple[str, str], ...] = ()

    @property
    def local(self) -> bool:
        """True when the connection cannot leave this machine: a file, a socket or loopback."""
        if not self.host or self.host.startswith("/") or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def django(self, *, verify: bool, ca: Path | None) -> dict[str, Any]:
        """The entry of Django's DATABASES. `verify` asks for TLS with a checked name where remote."""
        if self.engine == "sqlite":
            return {"ENGINE": "django.db.backends.sqlite3", "NAME": self.name, "OPTIONS": dict(_SQLITE)}
        options = dict(self.options)
        if verify and not self.local:
            options.setdefault("sslmode", "verify-full")
        # With any root certificate libpq turns "require" into "verify-ca": add one only where asked.
        if ca is not None:
            options.setdefault("sslrootcert", str(ca))
        elif options.get("sslmode") == "verify-full":
            options.setdefault("sslrootcert", _system_roots())
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": self.name,
            "USER": self.user,
            "PASSWORD": self.password,
            "HOST": self.host,
            "PORT": "" if self.port is None else str(self.port),
            "OPTIONS": options,
        }


# Several processes write: writers queue at BEGIN (a deferred upgrade would fail at once), readers
# go on during a write, and a commit survives a crash of the process.
_SQLITE = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}


def _system_roots() -> str:
    """The system's certificate file; a bundled libpq does not look where the distribution keeps it."""
    found = ssl.get_default_verify_paths().cafile or "/etc/ssl/certs/ca-certificates.crt"
    return found if Path(found).is_file() else "system"


def _database(text: str) -> Database:
    parts = urlsplit(text)
    if parts.scheme == "sqlite":
        _require(not parts.netloc and len(parts.path) > 1)
        return Database("sqlite", str(_path(unquote(parts.path)[1:])))
    _require(parts.scheme in {"postgres", "postgresql"} and len(parts.path) > 1)
    options = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    host = options.pop("host", "") or unquote(parts.hostname or "")
    return Database(
        "postgresql",
        unquote(parts.path[1:]),
        unquote(parts.username or ""),
        unquote(parts.password or ""),
        host,
        parts.port,
        tuple(options.items()),
    )


DATABASE: Kind[Database] = Kind(
    "postgresql://user:password@host:5432/name or sqlite:////path/to/file",
    _database,
    lambda v: f"{v.engine}: {v.name}" + (f" at {v.host}" if v.host else ""),
)
