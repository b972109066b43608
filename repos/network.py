"""How a connection gets to its server: certificates of an own authority, and a proxy."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import certifi
from django.conf import settings

from opssight.core.env import Env
from opssight.core.errors import InvalidInput
from opssight.core.outbound import Policy
from opssight.core.outbound_http import Client, client, tls_context
from repos.git.remote import Route
from repos.models import Connection, ProviderInstance

_MOST: Final = 200_000  # characters of certificates


@dataclass(frozen=True)
class Network:
    """`ca`: certificates in PEM form, trusted beside the usual ones. `proxy`: a URL, may hold a login.

    "" leaves it to this installation (OPSSIGHT_CA, OPSSIGHT_PROXY).
    """

    ca: str = ""
    proxy: str = field(default="", repr=False)

    def client(self, allowed: Policy, *, timeout: float, max_bytes: int) -> Client:
        """An HTTP client that follows no redirects. Its own proxy must be an address that is allowed."""
        env: Env = settings.ENV
        return client(
            allowed,
            timeout=timeout,
            max_bytes=max_bytes,
            max_redirects=0,
            ca=env.ca,
            extra_ca=self.ca,
            proxy=self.proxy or env.proxy or None,
            check_proxy=bool(self.proxy),
        )

    def route(self, allowed: Policy) -> Route:
        """The same for git. Raises when its own proxy is not an address that is allowed."""
        env: Env = settings.ENV
        addresses: tuple[str, ...] = ()
        if self.proxy:
            host, port = _server(self.proxy)
            addresses = tuple(str(address) for address in allowed.check(host, port))
        return Route(self._bundle(env), self.proxy or env.proxy, addresses)

    def _bundle(self, env: Env) -> str:
        """All that git is to trust; "" for what it trusts by itself."""
        if not self.ca and env.ca is None:
            return ""
        usual = [env.ca] if env.ca else [Path(certifi.where()), *_of_system()]
        return "\n".join([*(path.read_text() for path in usual), self.ca])


def _of_system() -> list[Path]:
    found = ssl.get_default_verify_paths().cafile
    return [Path(found)] if found and Path(found).is_file() else []


def network_of(connection: Connection) -> Network:
    """Its own, else that of our application at its instance."""
    own = Network(connection.ca, connection.proxy)
    if own.ca and own.proxy:
        return own
    row = connection.instance
    of_instance = (
        Network(row.ca, row.proxy)
        if row is not None
        else network_at(connection.provider, connection.options.get("url", ""))
    )
    return Network(own.ca or of_instance.ca, own.proxy or of_instance.proxy)


def network_at(provider: str, url: str) -> Network:
    """What an administrator entered for the instance of a provider at an address; "" is the public one."""
    row = ProviderInstance.objects.filter(provider=provider, url=url).only("ca", "proxy").first()
    return Network(row.ca, row.proxy) if row is not None else Network()


def checked(ca: str, proxy: str) -> Network:
    """What a person entered. InvalidInput names `ca` and `proxy` where they cannot be used."""
    problems = []
    ca, proxy = ca.replace("\r\n", "\n").strip(), proxy.strip()
    if ca and not _is_pem(ca):
        problems.append(
            ("ca", "This is not a certificate in PEM form: paste it with its BEGIN and END lines.")
        )
    if proxy and not _is_proxy(proxy):
        problems.append(
            (
                "proxy",
                "The proxy is given as http://host:port or https://host:port, with a login if it needs one.",
            )
        )
    if problems:
        raise InvalidInput(" ".join(sentence for _, sentence in problems), problems)
    return Network(f"{ca}\n" if ca else "", proxy)


def _is_pem(text: str) -> bool:
    if not text.isascii() or len(text) > _MOST or "BEGIN CERTIFICATE" not in text or "PRIVATE" in text:
        return False
    try:
        tls_context(extra=text)
    except InvalidInput:
        return False
    return True


def _is_proxy(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = _server(url)
    except ValueError:
        return False
    plain = url.isascii() and url.isprintable() and " " not in url
    rest = parts.path.strip("/") or parts.query or parts.fragment
    return plain and parts.scheme in ("http", "https") and bool(host) and not rest


def _server(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def shown(proxy: str) -> str:
    """A proxy without its login."""
    parts = urlsplit(proxy)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if proxy else ""
