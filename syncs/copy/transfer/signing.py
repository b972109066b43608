"""Commits that carry a signature: by the installation's own key, or by the provider that makes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from django.conf import settings

from opssight.core import openpgp
from opssight.core.errors import InvalidInput, PermanentFailure
from repos.git import keys
from repos.git.signing import SigningKey
from syncs.copy.rules.options import Options, Signing

NO_KEY: Final = (
    "Commits are to be signed with the key of this installation, and there is none. "
    "Set OPSSIGHT_SIGNING_KEY, or leave them unsigned."
)
EXPIRED: Final = (
    "The key in OPSSIGHT_SIGNING_KEY cannot sign any more: it has expired, or was revoked. "
    "Give the key another date or make a new one, and set it there."
)
NO_AUTHOR: Final = (
    "A commit that the provider makes and signs is by the account of the connection. "
    "Choose that commits are by OpsSight, or sign them with a key."
)


def installation_key() -> SigningKey | None:
    """The key in OPSSIGHT_SIGNING_KEY, which was checked at the start. Raises `PermanentFailure`."""
    text, passphrase = settings.SIGNING_KEY, settings.SIGNING_PASSPHRASE
    try:
        if text.startswith(openpgp.ARMOR):
            return openpgp.opened(text, passphrase)
        return keys.opened(text, passphrase) if text else None
    except (InvalidInput, ValueError):
        raise PermanentFailure(EXPIRED) from None


def required_key() -> SigningKey:
    """Raises `PermanentFailure` where there is none."""
    key = installation_key()
    if key is None:
        raise PermanentFailure(NO_KEY)
    return key


def problem(options: Options) -> str:
    """Why a rule with these options cannot be saved here, as a sentence; "" where it can."""
    if options.sign == "key" and not settings.SIGNING_KEY:
        return NO_KEY
    return NO_AUTHOR if options.sign == "api" and options.authors.policy != "bot" else ""


def sign_of(options: Iterable[Options]) -> Signing:
    """How one commit for several flows is signed. Raises `PermanentFailure` where that cannot be."""
    listed = list(options)
    ways = {one.sign for one in listed} - {"none"}
    if len(ways) > 1:
        raise PermanentFailure(
            "Two rules for this target want its commits signed in different ways. Let both say the same."
        )
    if "api" in ways and any(one.authors.policy != "bot" for one in listed):
        raise PermanentFailure(NO_AUTHOR)
    return ways.pop() if ways else "none"
