"""How GitLab's API is spoken to: addresses, credentials, what its errors and headers say."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from opssight.core.errors import InvalidInput, PermanentFailure
from repos.git.remote import Remote
from repos.providers.wire import Budget, Dialect

PUBLIC = "https://gitlab.com"
_API = "/api/v4"


def base_of(text: str) -> str:
    """The address that a person entered, without what does not belong there. Raises `InvalidInput`."""
    base = (text or PUBLIC).rstrip("/").removesuffix(_API)
    try:
        remote = Remote.from_url(f"{base}/x")
    except InvalidInput as error:
        raise _bad_url(error.sentence) from None
    if remote.scheme not in ("https", "http"):
        raise _bad_url("The address of GitLab begins with https://, such as https://gitlab.example.org.")
    return remote.url.removesuffix("/x")


def api_of(base: str) -> str:
    return f"{base}{_API}"


def project_path(external_id: str) -> str:
    return f"projects/{quote(external_id, safe='')}"


def object_of(data: object, what: str) -> dict[str, Any]:
    """`data`, if it is a JSON object. `what` says in a sentence what was asked for."""
    if isinstance(data, dict):
        return data
    raise odd(what)


def odd(what: str) -> PermanentFailure:
    return PermanentFailure(f"GitLab answered with something that is not {what}. Check the address.")


def budget(headers: Mapping[str, str]) -> Budget | None:
    """What is left of the limit per minute. Self-hosted servers tell it only when a limit is set."""
    limit, left, reset = (
        _number(headers.get(f"ratelimit-{name}")) for name in ("limit", "remaining", "reset")
    )
    if limit is None or left is None or reset is None:
        return None
    return Budget("core", limit, min(left, limit), dt.datetime.fromtimestamp(reset, dt.UTC))


def said(data: Any) -> str:
    """The message of an error: text, a list, or lists by field."""
    if not isinstance(data, dict):
        return ""
    words = _words(data.get("message")) or _words(data.get("error_description")) or _words(data.get("error"))
    return words if not words or words.endswith((".", "!", "?")) else f"{words}."


def authorize(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}  # access tokens and OAuth tokens alike


DIALECT = Dialect(label="GitLab", authorize=authorize, budget=budget, said=said)


def _words(value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, list):
        return ", ".join(one for one in value if isinstance(one, str))
    if isinstance(value, dict):
        return "; ".join(f"{name} {words}" for name, inner in value.items() if (words := _flat(inner)))
    return ""


def _flat(value: object) -> str:
    return "" if isinstance(value, dict) else _words(value)


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 11 else None


def _bad_url(sentence: str) -> InvalidInput:
    return InvalidInput(sentence, [("url", sentence)])
