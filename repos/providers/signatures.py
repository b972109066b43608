"""HMAC signatures of deliveries, and what deliveries of all schemes have."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from repos.providers.errors import Unreadable

_PREFIX = "sha256="
_MOST_FORM_BYTES = 1_000_000  # taking a form apart needs eighty times its size in memory
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


def is_form(headers: Mapping[str, str]) -> bool:
    return headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def json_in(headers: Mapping[str, str], body: bytes) -> bytes:
    """The JSON of a delivery that is the body or its form field `payload`. Raises `Unreadable`."""
    if not is_form(headers):
        return body
    if len(body) > _MOST_FORM_BYTES:
        raise Unreadable("A form of more than 1 MB is not read. Let the webhook send application/json.")
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=10)
    except ValueError:
        raise Unreadable("The body is not a form that can be read.") from None
    return fields.get("payload", [""])[0].encode("utf-8", "replace")


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises `Unreadable`."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise Unreadable("The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise Unreadable("The body is not a JSON object.")
    return value


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
