"""Pages by cursor: a page starts behind the last row of the one before, however long the list is.

The order is one field and the id, so equal values neither repeat nor get lost. Null values come
first in rising order and last in falling order. The cursor is opaque to callers.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import FieldDoesNotExist, ValidationError as DjangoValidationError
from django.db import DataError
from django.db.models import F, Model, Q, QuerySet
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import remove_query_param, replace_query_param

if TYPE_CHECKING:  # DRF imports this module while its views load
    from rest_framework.views import APIView

PAGE_SIZE = 50
LARGEST = 200


@dataclass(frozen=True)
class Order:
    """By `field`, then by id, both in the same direction."""

    field: str
    falling: bool

    def reversed(self) -> Order:
        return Order(self.field, not self.falling)

    def apply(self, rows: QuerySet[Any]) -> QuerySet[Any]:
        field, pk = F(self.field), F("pk")
        if self.falling:
            return rows.order_by(field.desc(nulls_last=True), pk.desc())
        return rows.order_by(field.asc(nulls_first=True), pk.asc())

    def behind(self, value: Any, pk: Any) -> Q:
        """Rows behind the row with this value and id."""
        side = "lt" if self.falling else "gt"
        if value is None:
            same = Q(**{f"{self.field}__isnull": True, f"pk__{side}": pk})
            return same if self.falling else same | Q(**{f"{self.field}__isnull": False})
        found = Q(**{f"{self.field}__{side}": value}) | Q(**{self.field: value, f"pk__{side}": pk})
        return found | Q(**{f"{self.field}__isnull": True}) if self.falling else found


@dataclass(frozen=True)
class Position:
    """Where a page begins: behind a row, looking forward or back."""

    sort: str
    back: bool
    value: Any
    pk: Any

    def encode(self) -> str:
        text = json.dumps([self.sort, self.back, _plain(self.value), _plain(self.pk)], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> Position:
        """Raises ValueError for text that is no cursor."""
        try:
            sort, back, value, pk = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        except (binascii.Error, TypeError, UnicodeError) as error:
            raise ValueError from error
        if not isinstance(sort, str) or not isinstance(back, bool):
            raise ValueError
        return cls(sort, back, value, pk)


class Cursor(BasePagination):
    """`?cursor=…&page_size=50&sort=-name`. A view names what can be sorted by in `sort_fields`."""

    page_size = PAGE_SIZE
    _next = _previous = None

    def paginate_queryset(self, queryset: Any, request: Request, view: APIView | None = None) -> list[Any]:
        size = _page_size(request)
        sort, order = _order(request, view)
        position = _position(request, sort)
        back = position is not None and position.back
        order = order.reversed() if back else order
        rows = order.apply(queryset)
        if position is not None:
            try:
                value = _python(queryset.model, order.field, position.value)
                rows = rows.filter(order.behind(value, _python(queryset.model, "pk", position.pk)))
                page = list(rows[: size + 1])
            except (ValueError, TypeError, OverflowError, DataError, DjangoValidationError):
                raise _bad_cursor() from None  # somebody made it up
        else:
            page = list(rows[: size + 1])
        more = len(page) > size
        page = page[:size]
        if back:
            page.reverse()
        self._links(request, sort, order.field, page, back, more, begun=position is not None)
        return page

    def _links(
        self, request: Request, sort: str, field: str, page: list[Any], back: bool, more: bool, *, begun: bool
    ) -> None:
        url = remove_query_param(request.build_absolute_uri(), "cursor")

        def link(row: Any, to_back: bool) -> str:
            cursor = Position(sort, to_back, getattr(row, field), row.pk).encode()
            return replace_query_param(url, "cursor", cursor)

        if page and (more or back):
            self._next = link(page[-1], False)
        if page and (more if back else begun):
            self._previous = link(page[0], True)

    def get_paginated_response(self, data: Any) -> Response:
        return Response({"next": self._next, "previous": self._previous, "results": data})

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        link = {"type": "string", "nullable": True, "format": "uri"}
        return {
            "type": "object",
            "required": ["next", "previous", "results"],
            "properties": {"next": link, "previous": link, "results": schema},
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:
        sorts = [name for field in _sorts(view) for name in (field, f"-{field}")]
        size = {"type": "integer", "minimum": 1, "maximum": LARGEST, "default": PAGE_SIZE}
        found = [
            ("cursor", "Where the page begins: taken from `next` or `previous`.", {"type": "string"}),
            ("page_size", "How many results a page has.", size),
        ]
        if sorts:
            found.append(("sort", "The order; with a minus it falls.", {"type": "string", "enum": sorts}))
        return [
            {"name": name, "required": False, "in": "query", "description": text, "schema": schema}
            for name, text, schema in found
        ]


def _sorts(view: APIView | None) -> dict[str, str]:
    found: dict[str, str] = getattr(view, "sort_fields", {})
    return found


def _page_size(request: Request) -> int:
    text = request.query_params.get("page_size", str(PAGE_SIZE))
    size = int(text) if text.isascii() and text.isdigit() else 0
    if not 1 <= size <= LARGEST:
        raise ValidationError({"page_size": f"Give a number from 1 to {LARGEST}."})
    return size


def _order(request: Request, view: APIView | None) -> tuple[str, Order]:
    default: str = getattr(view, "default_sort", "-id")
    sort = request.query_params.get("sort", default)
    known = {"id": "id", default.removeprefix("-"): default.removeprefix("-"), **_sorts(view)}
    if sort.removeprefix("-") not in known:
        raise ValidationError({"sort": f"Sort by one of {', '.join(sorted(known))}; a minus turns it round."})
    return sort, Order(known[sort.removeprefix("-")], sort.startswith("-"))


def _position(request: Request, sort: str) -> Position | None:
    text = request.query_params.get("cursor", "")
    if not text:
        return None
    try:
        position = Position.decode(text)
    except ValueError:
        raise _bad_cursor() from None
    if position.sort != sort:
        raise ValidationError({"cursor": "This cursor belongs to another order. Start again without it."})
    return position


def _bad_cursor() -> ValidationError:
    return ValidationError({"cursor": "This is not a cursor. Start again without it."})


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.isoformat()
    return str(value) if isinstance(value, uuid.UUID) else value


def _python(model: type[Model], name: str, value: Any) -> Any:
    """What the cursor holds as the field's own type; what is no field (an annotation) stays."""
    if value is None:
        return None
    try:
        field = model._meta.pk if name == "pk" else model._meta.get_field(name)
    except FieldDoesNotExist:
        if not isinstance(value, (int, str)):
            raise ValueError from None
        return value
    return field.to_python(value)  # type: ignore[union-attr]
