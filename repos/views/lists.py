"""What the lists of this room share."""

from __future__ import annotations

from typing import Any, Final

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest

from opssight.core.errors import ErrorClass
from opssight.core.ids import as_uuid
from opssight.core.words import count
from repos.models import Connection
from repos.reconnect import STATE_KEYS

ROWS: Final = 50


def page_of(request: HttpRequest, rows: QuerySet[Any]) -> Page[Any]:
    """The page of `?page=` of the rows; the nearest one for a number that is none."""
    return Paginator(rows, ROWS).get_page(request.GET.get("page"))


def address_with(request: HttpRequest, **changes: str | None) -> str:
    """This address with parts of its query changed, on the first page; None takes a part away."""
    query = request.GET.copy()
    for name, value in {"page": None, **changes}.items():
        query.pop(name, None)
        if value:
            query[name] = value
    return f"?{query.urlencode()}"


def id_in(text: str) -> str:
    """The id, or nothing where it is none."""
    return str(as_uuid(text) or "")


_WORDS: Final = {
    Connection.State.UNKNOWN: "not asked yet",
    Connection.State.BLOCKED: "blocked by organization",
}


def health_of(connection: Connection) -> tuple[str, str]:
    """The connection's health as a key of STATES, and a word where that needs another one."""
    state = Connection.State(connection.state)
    return STATE_KEYS[state], _WORDS.get(state, "")


_TROUBLES: Final = {
    ErrorClass.TRANSIENT: "did not answer",
    ErrorClass.RATE_LIMITED: "too many requests",
    ErrorClass.AUTH: "credential refused",
    ErrorClass.NOT_FOUND: "not found there",
    ErrorClass.CONFLICT: "changed by somebody else",
    ErrorClass.PERMANENT: "refused",
}


def trouble_of(connection: Connection) -> str:
    """What went wrong last, in two or three words; "" for nothing."""
    return _TROUBLES[ErrorClass(connection.error_class)] if connection.error_class else ""


def repositories(number: int) -> str:
    return count(number, "repository", "repositories")
