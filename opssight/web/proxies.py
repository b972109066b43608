"""Who the client is behind reverse proxies that the operator named; everybody else's word is dropped."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse


class TrustedProxyMiddleware:
    """Sets REMOTE_ADDR and the scheme from X-Forwarded-For/-Proto, if a trusted proxy says so.

    Must stand first: whatever reads the address or `is_secure()` later gets the checked answer.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        meta = request.META
        forwarded = meta.pop("HTTP_X_FORWARDED_FOR", "")
        scheme = meta.pop("HTTP_X_FORWARDED_PROTO", "")
        meta.pop("HTTP_X_FORWARDED_HOST", None)
        meta["opssight.forwarded"] = bool(forwarded)  # through a proxy, trusted or not: not from this machine
        hops = [hop.strip() for hop in forwarded.split(",") if hop.strip()]
        client = client_of(meta.get("REMOTE_ADDR", ""), hops)
        if client is not None:
            meta["REMOTE_ADDR"] = client
            if scheme.split(",")[-1].strip() == "https":
                meta["wsgi.url_scheme"] = "https"
                request.__dict__.pop("scheme", None)
        return self.get_response(request)


def client_of(peer: str, hops: list[str]) -> str | None:
    """The client when `peer` is a trusted proxy, else None. `hops` is X-Forwarded-For, oldest first."""
    trusted = settings.TRUSTED_PROXIES
    if trusted.count:
        return hops[-trusted.count] if len(hops) >= trusted.count else (hops[0] if hops else peer)
    if not _within(peer, trusted.networks):
        return None
    for hop in reversed(hops):
        if not _within(hop, trusted.networks):
            return hop
    return hops[0] if hops else peer


def _within(address: str, networks: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(ip in network for network in networks)
