"""To another site and back: what a session has to know until the browser returns from there."""

from __future__ import annotations

import hmac
import time
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

SECONDS: Final = 1_800  # how long an attempt may take
_OPEN: Final = 5  # attempts of one kind and session at a time

Attempt = dict[str, Any]


def keep(request: HttpRequest, kind: str, attempt: Attempt) -> None:
    """Remember an attempt by its `state`, which comes back with the browser."""
    known = [*request.session.get(kind, []), {**attempt, "at": int(time.time())}]
    request.session[kind] = known[-_OPEN:]


def take(request: HttpRequest, kind: str) -> Attempt | None:
    """The attempt of this session that the address's `state` belongs to.

    It counts once. None when it was not started here, or too long ago.
    """
    state = request.GET.get("state", "").encode()
    known: list[Attempt] = request.session.get(kind, [])
    found = [one for one in known if hmac.compare_digest(one["state"].encode(), state)]
    if not found:
        return None
    request.session[kind] = [one for one in known if one not in found]
    return found[0] if time.time() - found[0]["at"] <= SECONDS else None


def send_away(request: HttpRequest, template: str, address: str, **context: Any) -> HttpResponse:
    """Send the browser to another site.

    Not a redirect: our form may only be sent to ourselves, and the browser counts where that leads.
    """
    answer = render(request, template, {"address": address, **context})
    answer["Refresh"] = f"0; url={address}"
    answer["Cache-Control"] = "no-store"
    return answer
