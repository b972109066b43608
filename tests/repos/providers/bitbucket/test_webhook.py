from __future__ import annotations

import json
from typing import Any

import pytest

from repos.providers.errors import Unreadable
from repos.providers.registry import scheme_named
from repos.providers.types import (
    Parsed,
    PipelineNews,
    PipelineState,
    PullNews,
    PullState,
    Push,
    RepositoryNews,
)
from tests.repos.deliveries import SECRET, github_headers, hex_hmac, plain_headers
from tests.repos.providers.deliveries import DELIVERIES

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
    told = cloud(event="pullrequest:approved", push=None)
    assert (told.pushes, told.news) == ((), ())
    assert cloud().pushes == ()


def told(scheme: str, name: str, **changes: Any) -> Parsed:
    [sent] = [one for one in DELIVERIES if (one.scheme, one.name) == (scheme, name)]
    return scheme_named(scheme).parse(sent.headers, json.dumps({**sent.payload, **changes}).encode())


def test_cloud_repositories() -> None:
    words = ("renamed", "changed", "deleted")
    assert [told("bitbucket", word).news for word in words] == [
        (RepositoryNews(word, "private", by="ada"),)  # type: ignore[arg-type]
        for word in words
    ]
    assert told("bitbucket", "renamed").repository_url == "https://bitbucket.org/acme/site"
    assert cloud(event="repo:created", push=None).news == (RepositoryNews("created", by="ana"),)


def test_cloud_transfer_names_the_id_before() -> None:
    """The workspace is a part of the id."""
    former = f"11111111-2222-3333-4444-555555555555/{REPOSITORY}"
    assert told("bitbucket", "transferred").news == (
        RepositoryNews("transferred", "private", former_id=former, by="ada"),
    )
    other = told("bitbucket", "transferred", previous={"uuid": "{11111111-2222-3333-4444-555555555555}"})
    assert isinstance(other.news[0], RepositoryNews)
    assert other.news[0].former_id == former
    unknown = told("bitbucket", "transferred", previous=None)
    assert isinstance(unknown.news[0], RepositoryNews)
    assert unknown.news[0].former_id == ""


def test_cloud_pull_requests() -> None:
    [opened], [merged] = told("bitbucket", "pull request").news, told("bitbucket", "merged").news
    assert isinstance(opened, PullNews)
    assert isinstance(merged, PullNews)
    assert (opened.number, opened.state, opened.what) == (4, PullState.OPEN, "created")
    assert opened.head_oid == ""  # only 12 digits are told
    assert (merged.state, merged.what, merged.merge_oid) == (PullState.MERGED, "fulfilled", "2" * 40)


def test_cloud_builds() -> None:
    assert told("bitbucket", "build").news == (
        PipelineNews(
            external_id="checks",
            state=PipelineState.FAILED,
            name="Checks",
            ref="main",
            oid="2" * 40,
            url="https://ci.example.org/7",
            by="ada",
        ),
    )
    direct = {"key": "c", "state": "STOPPED", "commit": {"hash": NEW}}
    [stopped] = told("bitbucket", "build", commit_status=direct).news
    assert isinstance(stopped, PipelineNews)
    assert (stopped.state, stopped.name, stopped.oid) == (PipelineState.CANCELLED, "c", NEW)


@pytest.mark.parametrize("status", [None, {}, {"key": "c"}, {"state": "FAILED"}, {"key": "c", "state": "?"}])
def test_cloud_builds_that_make_no_sense(status: Any) -> None:
    with pytest.raises(Unreadable, match="which build"):
        told("bitbucket", "build", commit_status=status)


def test_data_center_news() -> None:
    [renamed], [transferred] = (told("bitbucket_dc", name).news for name in ("renamed", "transferred"))
    assert renamed == RepositoryNews("renamed", by="ada")
    assert transferred == RepositoryNews("transferred", by="ada")
    assert told("bitbucket_dc", "renamed").repository_name == "ACME/site"
    [opened], [merged] = (told("bitbucket_dc", name).news for name in ("pull request", "merged"))
    assert isinstance(opened, PullNews)
    assert isinstance(merged, PullNews)
    assert (opened.what, opened.head, opened.base, opened.url) == ("opened", "hello", "main", "")
    assert (merged.state, merged.merge_oid) == (PullState.MERGED, "2" * 40)
    assert told("bitbucket_dc", "pull request").repository_id == "84"
    body = json.dumps({"pullRequest": {"id": 4, "state": "OPEN"}}).encode()
    [deleted] = DATA_CENTER.parse({"x-event-key": "pr:deleted"}, body).news
    assert isinstance(deleted, PullNews)
    assert (deleted.what, deleted.state) == ("deleted", PullState.CLOSED)
    assert told("bitbucket_dc", "comment").news == ()


@pytest.mark.parametrize(
    ("scheme", "name", "part"),
    [
        ("bitbucket", "pull request", "pullrequest"),
        ("bitbucket", "deleted", "repository"),
        ("bitbucket_dc", "pull request", "pullRequest"),
    ],
)
def test_news_that_make_no_sense(scheme: str, name: str, part: str) -> None:
    with pytest.raises(Unreadable, match=part):
        told(scheme, name, **{part: {"id": "x"}})


def test_networks_of_bitbucket() -> None:
    """Atlassian's list has those of all of its services, in both directions."""
    rows = [
        {"cidr": "104.192.136.0/21", "product": ["bitbucket", "jira"], "direction": ["egress", "ingress"]},
        {"cidr": "2401:1d80::/32", "product": ["bitbucket"], "direction": ["egress"]},
        {"cidr": "13.52.5.96/28", "product": ["jira"], "direction": ["egress"]},
        {"cidr": "3.26.128.128/26", "product": ["bitbucket"], "direction": ["ingress"]},
        {"cidr": "3.26.128.128/26", "product": "bitbucket", "direction": None},
        7,
    ]
    assert CLOUD.networks_of({"items": rows}) == ["104.192.136.0/21", "2401:1d80::/32"]
    nothing: list[Any] = [None, [], {}, {"items": 7}]
    for odd in nothing:
        assert CLOUD.networks_of(odd) == []
    assert DATA_CENTER.networks_of({"items": rows}) == []


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
    assert data_center(event="pr:comment:added", changes=None).pushes == ()
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
