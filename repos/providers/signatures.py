"""HMAC signatures of deliveries, and reading their JSON with suspicion."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from repos.providers.errors import Unreadable

_PREFIX = "sha256="
# no control characters, no halves of surrogate pairs: no database takes them
_REF = re.compile(r"refs/(?:heads|tags)/[^\x00-\x20\x7f\ud800-\udfff]{1,400}")
_OID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def signature(secret: str, body: bytes) -> str:
    """`sha256=` and the HMAC-SHA256 of the raw body in lower-case hex."""
    return _PREFIX + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_signed(given: str, body: bytes, secrets: Sequence[str]) -> bool:
    """Whether `given` is the signature of exactly this body by one of the secrets.

    An empty secret signs nothing: everybody knows it. All secrets are tried in constant time.
    """
    right = [
        hmac.compare_digest(signature(s, body).encode(), given.encode(errors="replace")) for s in secrets if s
    ]
    return any(right)


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises `Unreadable`."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Unreadable("The body is not a JSON object.")
    return value


def verified(items: Iterable[object], word: str = "verified", main: str = "primary") -> tuple[str, ...]:
    """The e-mail addresses in a provider's list that it says are verified, the main one first."""
    good = [item for item in items if isinstance(item, dict) and item.get(word) is True]
    good.sort(key=lambda item: item.get(main) is not True)
    found = (text_of(item.get("email"), 254) for item in good)
    return tuple(email for email in found if "@" in email)


def text_of(value: object, limit: int = 400) -> str:
    """`value` as one printable line, or "" for anything that is not text."""
    if not isinstance(value, str):
        return ""
    return "".join(char for char in value if char.isprintable())[:limit]


def flags_of(item: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Those of the named values that are true or false."""
    return {name: item[name] for name in names if isinstance(item.get(name), bool)}


def flags_within(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object of an object's flags as `{name: {…}}`; nothing where it has none."""
    flags = {key[:40]: value for key, value in part_of(item, name).items() if isinstance(value, bool)}
    return {name: dict(sorted(flags.items())[:20])} if flags else {}


def part_of(payload: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object called `name` in an object; empty when there is none."""
    value = payload.get(name)
    return value if isinstance(value, dict) else {}


def ref_of(value: object) -> str:
    """The full name of a branch or tag. Raises `Unreadable`."""
    if isinstance(value, str) and _REF.fullmatch(value):
        return value
    raise Unreadable("The delivery does not name a branch or tag as refs/heads/… or refs/tags/….")


def oid_of(value: object) -> str:
    """A commit's name in hex, or "" where none was told. Raises `Unreadable`."""
    if value is None or value == "":
        return ""
    if isinstance(value, str) and _OID.fullmatch(value):
        return value
    raise Unreadable("The delivery names a commit that is not 40 hexadecimal digits.")
