"""Where deliveries may come from: networks that people entered, or that a provider publishes."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from django.conf import settings

from opssight.core.env import Env
from opssight.core.errors import InvalidInput, PermanentFailure
from opssight.core.outbound_http import Client, client
from repos import access
from repos.beside import Answer, ask
from repos.models import Webhook
from repos.providers.http import Api, Wire
from repos.providers.registry import scheme_named
from repos.providers.wire import Dialect, FixedToken

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_MOST = 1_000  # networks of one webhook
_BYTES = 16 * 10**6  # of a list that a provider publishes
_SECONDS = 20.0
_FRESH = 600.0
_WAIT = 4.0


def is_allowed(allowed: Sequence[str], source: str) -> bool:
    """Whether an address is in one of the networks; any is when there are none."""
    if not allowed:
        return True
    try:
        address = ipaddress.ip_address(source)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return any((mapped or address) in network for network in _networks(tuple(allowed)))


def refusal(source: str) -> str:
    return (
        f"This came from {source[:60] or 'an unknown address'}, and the webhook takes deliveries from its "
        "allowed networks only. If that is a proxy of yours, name it in OPSSIGHT_TRUSTED_PROXIES."
    )


def clean(texts: Iterable[str]) -> list[str]:
    """Networks in their usual form, each once. InvalidInput names those that are none."""
    given = [text.strip() for text in texts if text.strip()]
    if len(given) > _MOST:
        raise _invalid(f"A webhook may have {_MOST} allowed networks.")
    found = {text: _network(text) for text in given}
    bad = [text[:60] for text, network in found.items() if network is None]
    if bad:
        raise _invalid(f"{bad[0]!r} is not a network. Write it as 192.0.2.0/24, 192.0.2.7 or 2001:db8::/32.")
    return list(dict.fromkeys(str(network) for network in found.values()))


def is_published(hook: Webhook) -> bool:
    """Whether the sender tells from which networks it delivers; servers of your own do not."""
    own = bool(hook.connection and hook.connection.options.get("url"))
    return bool(scheme_named(hook.scheme).published) and not own


def published(scheme: str) -> list[str]:
    """The networks from which a provider says it delivers. Asks it; raises a `Failure`."""
    sender = scheme_named(scheme)
    if not sender.published:
        raise InvalidInput(f"{sender.label} does not publish from where it delivers. Enter its networks.")
    parts = urlsplit(sender.published)
    dialect = Dialect(sender.label, lambda token: {})
    api = Api(f"{parts.scheme}://{parts.netloc}", Wire(_client), FixedToken(""), dialect)
    found = clean(sender.networks_of(api.get(parts.path)))
    if not found:
        raise PermanentFailure(f"{sender.label} published no networks. Those that are entered stay.")
    return found


def published_soon(scheme: str) -> Answer[list[str]]:
    """The same, for a page: asked beside the request, and waited for no longer than a moment."""
    return ask(("published", scheme), _FRESH, lambda: published(scheme), owner=None, wait=_WAIT)


def _client(base_url: str) -> Client:
    env: Env = settings.ENV
    return client(
        access.policy(),
        timeout=_SECONDS,
        max_bytes=_BYTES,
        max_redirects=0,
        ca=env.ca,
        proxy=env.proxy or None,
    )


@lru_cache(maxsize=256)
def _networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(network for text in texts if (network := _network(text)) is not None)


def _network(text: str) -> Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _invalid(sentence: str) -> InvalidInput:
    return InvalidInput(sentence, [("allowed_sources", sentence)])
