"""Which hosts this installation may talk to. `outbound_http.client()` is an HTTP client that keeps to it.

Addresses come from users, so a request could be aimed at what only this machine can reach. By
default only public unicast addresses are allowed; an administrator lists the rest by host, network
and port. What is checked is the address that is then connected to, on every redirect again.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from opssight.core.errors import InvalidInput, NotFound, PermanentFailure, TransientFailure

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]

_PORTS = {"http": 80, "https": 443, "ssh": 22, "git+ssh": 22, "git": 9418}

# Own tables: what `is_global` means differs between the supported Python versions.
_SPECIAL = [
    (ipaddress.ip_network(network), words)
    for words, networks in {
        "this machine": "127.0.0.0/8 ::1/128",
        "no address of a host": "0.0.0.0/8 ::/128",
        "a private address": "10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 fc00::/7 fec0::/10",
        "a link-local address, where clouds keep their secrets": "169.254.0.0/16 fe80::/10",
        "an address behind a provider's NAT": "100.64.0.0/10",
        "a multicast address": "224.0.0.0/4 ff00::/8",
        "an IPv4 address in IPv6": "::ffff:0:0/96 ::/96 64:ff9b::/96 64:ff9b:1::/48 2002::/16 2001::/32",
        "a reserved address": "192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 198.18.0.0/15 198.51.100.0/24 "
        "203.0.113.0/24 240.0.0.0/4 2001::/23 2001:db8::/32 3fff::/20",
    }.items()
    for network in networks.split()
]
_PUBLIC_V6 = ipaddress.ip_network("2000::/3")


class AddressRefused(PermanentFailure):
    """The policy does not allow this host; an administrator may."""


@dataclass(frozen=True)
class AllowedTarget:
    """What an administrator allows: hosts by name, within a network, on some ports (empty: any).

    `host_pattern` is a name, `*.example.org` for all names below one, or `*`.
    """

    host_pattern: str
    cidr: str
    ports: tuple[int, ...] = ()

    def covers(self, host: str, address: Address, port: int) -> bool:
        pattern = self.host_pattern.lower().rstrip(".")
        named = pattern in {"*", host} or (pattern.startswith("*.") and host.endswith(pattern[1:]))
        return (
            named
            and (not self.ports or port in self.ports)
            and address in ipaddress.ip_network(self.cidr, strict=False)
        )


def resolve(host: str, port: int) -> Sequence[str]:
    """All addresses of a host, as the system knows them. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True)
class Policy:
    """Public addresses and what is listed in `allowed`, nothing else."""

    allowed: Sequence[AllowedTarget] = ()
    resolve: Resolver = resolve

    def check(self, url_or_host: str, port: int | None = None) -> list[Address]:
        """The addresses to connect to, all of them allowed.

        Raises `AddressRefused` when any is not, `NotFound` or `TransientFailure` when the name does
        not resolve, `InvalidInput` for something that is no host.
        """
        host, port = _split(url_or_host, port)
        addresses = [ipaddress.ip_address(text) for text in self._lookup(host, port)]
        for address in addresses:
            words = special(address)
            if words and not any(target.covers(host, address, port) for target in self.allowed):
                shown = f"{host} is" if _is_literal(host) else f"{host} has the address {address},"
                raise AddressRefused(
                    f"{shown} {words}, and is not connected to. If that is meant, an administrator allows "
                    f"the host {host} with the network {address}/{address.max_prefixlen} and port {port}."
                )
        return addresses

    def _lookup(self, host: str, port: int) -> Sequence[str]:
        try:
            found = self.resolve(host, port)
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise TransientFailure(f"The name {host} could not be looked up just now.") from None
            raise NotFound(f"There is no host {host}: check the address.") from None
        except (OSError, UnicodeError):
            raise NotFound(f"There is no host {host}: check the address.") from None
        if not found:
            raise NotFound(f"The host {host} has no address: check the name.")
        return found


def special(address: Address) -> str:
    """What is special about an address that is not public unicast; empty for one that is."""
    for network, words in _SPECIAL:
        if address in network:
            return words
    if address.version == 6 and address not in _PUBLIC_V6:
        return "a reserved address"
    return ""


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _split(url_or_host: str, port: int | None) -> tuple[str, int]:
    try:
        parts = urlsplit(url_or_host if "://" in url_or_host else f"//{_bracketed(url_or_host)}")
        host, own_port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        host, own_port = "", None
    port = port or own_port or _PORTS.get(parts.scheme if host else "", 443)
    if not host or any(char.isspace() or not char.isprintable() for char in host):
        raise InvalidInput("The address has no usable host name: give one such as https://git.example.org.")
    return host, port


def _bracketed(host: str) -> str:
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host
