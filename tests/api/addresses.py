"""Every address of the product, read from its URL table."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.urls import URLPattern, URLResolver, converters, get_resolver
from django.utils.regex_helper import normalize

Parameters = tuple[tuple[str, type], ...]


@dataclass(frozen=True)
class Address:
    """A route such as `/api/v1/jobs/%(pk)s/` with the kinds of its parameters."""

    route: str
    name: str
    parameters: Parameters

    def filled(self, keys: Sequence[Any]) -> Iterator[str]:
        """The route with every fitting key in every place."""
        fitting = [[key for key in keys if fits(kind, key)] for _, kind in self.parameters]
        for values in itertools.product(*fitting):
            yield self.route % {name: value for (name, _), value in zip(self.parameters, values, strict=True)}


def fits(kind: type, key: Any) -> bool:
    if kind is uuid.UUID:
        return isinstance(key, uuid.UUID)
    return isinstance(key, int) if kind is int else True


def addresses() -> list[Address]:
    return list(_walk(get_resolver().url_patterns, "/", ()))


def _walk(patterns: Sequence[Any], before: str, parameters: Parameters) -> Iterator[Address]:
    for entry in patterns:
        (text, names), *_ = normalize(entry.pattern.regex.pattern)
        kinds = {name: _kind(converter) for name, converter in entry.pattern.converters.items()}
        mine = (*parameters, *((name, kinds.get(name, str)) for name in names))
        if isinstance(entry, URLResolver):
            yield from _walk(entry.url_patterns, before + text, mine)
        elif isinstance(entry, URLPattern):
            yield Address(before + text, entry.name or "", mine)


def _kind(converter: object) -> type:
    if isinstance(converter, converters.UUIDConverter):
        return uuid.UUID
    return int if isinstance(converter, converters.IntConverter) else str
