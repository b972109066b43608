"""Whatever stands in an authentic delivery, a scheme understands it or says that it does not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from repos.providers.base import HookScheme
from repos.providers.errors import Unreadable
from repos.providers.registry import all_schemes, scheme_named
from tests.repos.providers.deliveries import DELIVERIES, Sent

ODD: list[Any] = [
    None,
    True,
    -1,
    2**80,
    1.5,
    "",
    "\0\ud800",
    "x" * 5_000,
    [],
    [[]],
    [None, 7, {}],
    {},
    {"id": {}},
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*path, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*path, 0))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    changed = value.copy()
    changed[path[0]] = replaced(value[path[0]], path[1:], new)
    return changed


def read(scheme: HookScheme, sent: Sent, payload: Any) -> None:
    """What is understood has texts that any database takes."""
    with suppress(Unreadable):
        parsed = scheme.parse(sent.headers, json.dumps(payload).encode())
        texts = [parsed.event, parsed.repository_id, parsed.repository_name, parsed.installation_id]
        texts += [text for news in parsed.news for text in vars(news).values() if isinstance(text, str)]
        assert [text for text in texts if not text.isprintable()] == []


@pytest.mark.parametrize("sent", DELIVERIES, ids=lambda sent: f"{sent.scheme}-{sent.name}")
def test_each_part_may_be_anything(sent: Sent) -> None:
    """No exception but Unreadable, wherever in the JSON the odd thing stands."""
    scheme = scheme_named(sent.scheme)
    for path in places(sent.payload):
        for odd in ODD:
            read(scheme, sent, replaced(sent.payload, path, odd))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("scheme", all_schemes(), ids=lambda scheme: scheme.scheme)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(document=JSON, name=st.sampled_from(sorted({sent.event for sent in DELIVERIES})))
def test_any_json(scheme: HookScheme, document: Any, name: str) -> None:
    headers = {header: name for header in scheme.headers if "event" in header}
    with suppress(Unreadable):
        scheme.parse(headers, json.dumps(document).encode())


@pytest.mark.parametrize("scheme", all_schemes(), ids=lambda scheme: scheme.scheme)
@settings(max_examples=40, deadline=None)
@given(body=st.binary(max_size=200), text=st.text(max_size=60))
def test_any_bytes_and_headers(scheme: HookScheme, body: bytes, text: str) -> None:
    headers = dict.fromkeys([*scheme.headers, "x-hub-signature", "webhook-signature", "x-gitlab-token"], text)
    assert scheme.verify(headers, body, ["a secret that nobody guesses"]) is False
    with suppress(Unreadable):
        scheme.parse(headers, body)
