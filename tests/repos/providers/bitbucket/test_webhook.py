from __future__ import annotations

import json
from typing import Any

import pytest

from repos.providers.errors import Unreadable
from repos.providers.registry import scheme_named
from repos.providers.types import Parsed, Push
from tests.repos.deliveries import SECRET, github_headers, hex_hmac, plain_headers

CLOUD, DATA_CENTER = scheme_named("bitbucket"), scheme_named("bitbucket_dc")
SCHEMES = [CLOUD, DATA_CENTER]
WORKSPACE, REPOSITORY = "2f1e5b1c-52f1-4a51-8d1c-0a4bd0a5a8f3", "9b0d8e5a-1f3e-4d9f-9f15-6d1a0f0d2c11"
NOTHING, OLD, NEW = "0" * 40, "a" * 40, "b" * 40


def side(name: str, oid: str, kind: str = "branch") -> dict[str, Any]:
    return {"type": kind, "name": name, "target": {"type": "commit", "hash": oid, "message": "x\n"}}


def cloud(*changes: Any, event: str = "repo:push", **more: Any) -> Parsed:
    payload: dict[str, Any] = {
        "actor": {"type": "user", "nickname": "ana", "display_name": "Ana"},
        "repository": {
            "type": "repository",
            "uuid": f"{{{REPOSITORY}}}",
            "full_name": "acme/site",
            "workspace": {"uuid": f"{{{WORKSPACE}}}", "slug": "acme"},
        },
        "push": {"changes": list(changes)},
    }
    headers = {"x-event-key": event, "x-request-uuid": "7", "x-attempt-number": "2"}
    return CLOUD.parse(headers, json.dumps({**payload, **more}).encode())


def data_center(*changes: Any, event: str = "repo:refs_changed", **more: Any) -> Parsed:
    payload: dict[str, Any] = {
        "eventKey": event,
        "date": "2026-11-20T08:00:00+0000",
        "actor": {"name": "ana", "id": 2},
        "repository": {"slug": "site", "id": 84, "name": "Site", "project": {"key": "ACME", "id": 84}},
        "changes": list(changes),
    }
    headers = {"x-event-key": event, "x-request-id": "8"}
    return DATA_CENTER.parse(headers, json.dumps({**payload, **more}).encode())


def moved(ref: str, before: Any, after: Any) -> dict[str, Any]:
    return {"ref": {"id": ref, "displayId": "x", "type": "BRANCH"}, "fromHash": before, "toHash": after}


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.scheme)
def test_signatures(scheme: Any) -> None:
    body = b'{"a": 1}'
    good = f"sha256={hex_hmac(body)}"
    assert scheme.verify({"x-hub-signature": good}, body, [SECRET])
    assert scheme.verify({"x-hub-signature": good}, body, ["new", SECRET])
    assert not scheme.verify({"x-hub-signature": good}, body + b" ", [SECRET])
    assert not scheme.verify({"x-hub-signature": good}, body, ["other", ""])
    assert not scheme.verify({"x-hub-signature": f"sha256={hex_hmac(body, '')}"}, body, [""])
    for forged in ("", "sha256=", hex_hmac(body), good.upper(), f"sha1={'7' * 40}", "sha256=é\udcff"):
        assert not scheme.verify({"x-hub-signature": forged}, body, [SECRET])
    assert not scheme.verify({}, body, [SECRET])


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.scheme)
def test_other_senders_are_not_taken(scheme: Any) -> None:
    """GitHub sends the same header with a SHA-1."""
    for headers in (github_headers(b"{}"), plain_headers(b"{}")):
        assert not scheme.verify(headers, b"{}", [SECRET])


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.scheme)
def test_example_asks_for_nothing(scheme: Any) -> None:
    headers, body = scheme.example(SECRET)
    assert scheme.verify(headers, body, [SECRET])
    parsed = scheme.parse(headers, body)
    assert (parsed.event, parsed.pushes) == ("ping", ())
    assert set(headers) - {"x-hub-signature"} <= set(scheme.headers)


def test_cloud_push() -> None:
    assert cloud({"old": side("main", OLD), "new": side("main", NEW)}) == Parsed(
        event="repo:push",
        delivery_id="7",
        repository_id=f"{WORKSPACE}/{REPOSITORY}",
        repository_name="acme/site",
        pushes=(Push("refs/heads/main", OLD, NEW, "ana"),),
    )


def test_cloud_push_of_several() -> None:
    parsed = cloud(
        {"old": None, "new": side("feature/ü", NEW)},
        {"old": side("gone", OLD), "new": None},
        {"old": None, "new": side("v1", NEW, "tag")},
        {"old": side("v0", OLD, "tag"), "new": None},
    )
    assert [(one.ref, one.before, one.after) for one in parsed.pushes] == [
        ("refs/heads/feature/ü", NOTHING, NEW),
        ("refs/heads/gone", OLD, NOTHING),
        ("refs/tags/v1", NOTHING, ""),
        ("refs/tags/v0", "", NOTHING),
    ]


def test_cloud_other_events_ask_for_nothing() -> None:
    assert cloud(event="pullrequest:created", push=None).pushes == ()
    assert cloud().pushes == ()


def test_cloud_missing_parts() -> None:
    parsed = cloud({"new": side("main", NEW)}, actor=None, repository={"uuid": f"{{{REPOSITORY}}}"})
    assert (parsed.repository_id, parsed.repository_name, parsed.pushes[0].by) == ("", "", "")


@pytest.mark.parametrize(
    "change",
    [
        None,
        [],
        {},
        {"new": 7},
        {"new": {"type": "branch"}},
        {"new": {"type": "branch", "name": 7}},
        {"new": {"type": "bookmark", "name": "main"}},
        {"new": {"type": [], "name": "main"}},
        {"new": side("a b", NEW)},
        {"new": side("main", "cafe")},
        {"new": side("main", 7)},  # type: ignore[arg-type]
    ],
)
def test_cloud_changes_that_make_no_sense(change: Any) -> None:
    with pytest.raises(Unreadable) as unreadable:
        cloud(change)
    assert unreadable.value.sentence.endswith(".")


def test_data_center_push() -> None:
    parsed = data_center(
        moved("refs/heads/main", OLD, NEW),
        moved("refs/heads/new", NOTHING, NEW),
        moved("refs/tags/v1", OLD, NOTHING),
    )
    assert (parsed.delivery_id, parsed.repository_id, parsed.repository_name) == ("8", "84", "ACME/site")
    assert [(one.ref, one.before, one.after, one.by) for one in parsed.pushes] == [
        ("refs/heads/main", OLD, NEW, "ana"),
        ("refs/heads/new", NOTHING, NEW, "ana"),
        ("refs/tags/v1", OLD, NOTHING, "ana"),
    ]


def test_data_center_ping_and_other_events() -> None:
    assert DATA_CENTER.parse({"x-event-key": "diagnostics:ping"}, b'{"test": true}') == Parsed(event="ping")
    assert data_center(event="pr:opened", changes=None).pushes == ()
    assert data_center(repository=None, actor=[]).repository_id == ""
    assert data_center(repository={"id": True, "slug": [], "project": 7}).repository_name == ""


@pytest.mark.parametrize(
    "change",
    [
        None,
        7,
        {},
        moved("main", OLD, NEW),
        moved("refs/heads/x", OLD, "cafe"),
        moved("refs/heads/x", [], NEW),
    ],
)
def test_data_center_changes_that_make_no_sense(change: Any) -> None:
    with pytest.raises(Unreadable):
        data_center(change)


@pytest.mark.parametrize("scheme", SCHEMES, ids=lambda scheme: scheme.scheme)
@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"\xff", b"[" * 100_000, b'{"push": 7}', b'{"changes": 7}']
)
def test_bodies_that_make_no_sense(scheme: Any, body: bytes) -> None:
    event = "repo:push" if scheme is CLOUD else "repo:refs_changed"
    with pytest.raises(Unreadable):
        scheme.parse({"x-event-key": event}, body)
    with pytest.raises(Unreadable, match="X-Event-Key"):
        scheme.parse({}, b"{}")
