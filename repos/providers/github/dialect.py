"""How GitHub speaks beside the data itself: headers, limits, and what it says about errors."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from repos.providers.values import text_of
from repos.providers.wire import Budget, Dialect

# What GitHub has limits for: each name makes a row, so no server may make up others.
_RESOURCES: Final = frozenset(
    {
        "actions_runner_registration",
        "audit_log",
        "audit_log_streaming",
        "code_scanning_autofix",
        "code_scanning_upload",
        "code_search",
        "copilot_usage_records",
        "core",
        "dependency_sbom",
        "dependency_snapshots",
        "graphql",
        "integration_manifest",
        "scim",
        "search",
        "source_import",
    }
)
_ORGANIZATION = re.compile(r"`([\w.-]{1,100})`")


def dialect(label: str) -> Dialect:
    return Dialect(
        label=label,
        authorize=lambda token: {"Authorization": f"Bearer {token}"},
        headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
        keeps=("x-github-sso",),
        budget=budget,
        resource=lambda url: "graphql" if url.endswith("/graphql") else "core",
        waits=waits,
        said=said,
        refusal=refusal,
        blocked=blocked,
    )


def budget(headers: Mapping[str, str]) -> Budget | None:
    """What the `X-RateLimit-*` headers say; None when they are missing, as where limits are off."""
    limit, remaining, reset = (
        _number(headers.get(f"x-ratelimit-{name}", "")) for name in ("limit", "remaining", "reset")
    )
    if limit is None or remaining is None or reset is None:
        return None
    named = headers.get("x-ratelimit-resource", "")
    return budget_of(named if named in _RESOURCES else "core", limit, remaining, reset)


def budget_of(resource: str, limit: int, remaining: int, reset: int) -> Budget | None:
    """`reset` is in seconds since 1970."""
    with suppress(ValueError, OverflowError, OSError):
        return Budget(resource, limit, min(remaining, limit), dt.datetime.fromtimestamp(reset, dt.UTC))
    return None


def waits(status: int, headers: Mapping[str, str], message: str) -> bool:
    """Both limits answer with 429 or 403; the secondary one only by its message or `Retry-After`."""
    if status == 429:
        return True
    spent = headers.get("x-ratelimit-remaining") == "0" or "retry-after" in headers
    words = message.lower()
    return status == 403 and (spent or "secondary rate limit" in words or "abuse detection" in words)


def said(data: Any) -> str:
    """The message of an error with what it says about each field."""
    if not isinstance(data, dict):
        return ""
    errors = data.get("errors")
    details = [_detail(error) for error in errors[:5]] if isinstance(errors, list) else []
    return " ".join(dict.fromkeys(text for text in [text_of(data.get("message")), *details] if text))


def _detail(error: Any) -> str:
    if not isinstance(error, dict):
        return text_of(error)
    field, code = text_of(error.get("field"), 60), text_of(error.get("code"), 60)
    return text_of(error.get("message")) or (f"{field}: {code.replace('_', ' ')}." if field and code else "")


def blocked(headers: Mapping[str, str], message: str) -> str:
    """A sentence for each way in which the rules of an organization keep us out."""
    words = message.lower()
    found = _ORGANIZATION.search(message)
    who = f"The organization {found[1]}" if found else "The organization"
    if "saml" in words or headers.get("x-github-sso", "").startswith("required"):
        return (
            "The organization wants single sign-on (SAML) for each token. Authorize this token for it in "
            "your GitHub settings under tokens, at Configure SSO, or connect again while signed in there."
        )
    if "ip allow list" in words:
        return f"{who} allows some IP addresses only. Ask its owner to add the address of this server."
    if "oauth app access restrictions" in words:
        return f"{who} has not approved this application. Ask its owner to approve it, or enter a token."
    if "forbids access via" in words:
        return f"{who} refuses this kind of token. Enter a token of a kind that it allows."
    return ""


def refusal(headers: Mapping[str, str], message: str) -> str:
    """A sentence for a permission that the token lacks."""
    if "not accessible by" not in message.lower():
        return ""
    needed = text_of(headers.get("x-accepted-github-permissions"), 100)
    if "checks=" in needed:
        return "Fine-grained tokens cannot read check runs of GitHub. Enter a classic token for that."
    more = f" ({needed})" if needed else ""
    return f"The token lacks a permission that this needs{more}. Add it to the token at GitHub."


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else None
