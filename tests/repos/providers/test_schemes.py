from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from repos.providers.base import HookScheme
from repos.providers.errors import Unreadable
from repos.providers.registry import all_schemes, scheme_named
from repos.providers.types import Parsed, Push
from tests.repos.deliveries import SECRET, fixture, github_headers, hex_hmac, plain_body, plain_headers

Headers = Callable[..., dict[str, str]]
BODY = plain_body()
SCHEMES = [
    ("github", github_headers, "x-hub-signature-256"),
    ("plain", plain_headers, "x-opssight-signature-256"),
]
GITHUB, PLAIN = scheme_named("github"), scheme_named("plain")


@pytest.fixture(params=SCHEMES, ids=lambda scheme: scheme[0])
def sender(request: pytest.FixtureRequest) -> tuple[HookScheme, Headers, str]:
    name, headers, signature = request.param
    return scheme_named(name), headers, signature


def test_right_signature(sender: tuple[HookScheme, Headers, str]) -> None:
    scheme, headers, _ = sender
    assert scheme.verify(headers(BODY), BODY, [SECRET])
    assert scheme.verify(headers(b""), b"", [SECRET])
    assert scheme.verify(headers(b"\xff\x00"), b"\xff\x00", [SECRET])


def test_two_secrets_while_one_replaces_the_other(sender: tuple[HookScheme, Headers, str]) -> None:
    scheme, headers, _ = sender
    for signed_with in ("new", "old"):
        assert scheme.verify(headers(BODY, secret=signed_with), BODY, ["new", "old"])
    assert not scheme.verify(headers(BODY, secret="older"), BODY, ["new", "old"])


def test_no_secret_verifies_nothing(sender: tuple[HookScheme, Headers, str]) -> None:
    scheme, headers, _ = sender
    assert not scheme.verify(headers(BODY, secret=""), BODY, ["", ""])
    assert not scheme.verify(headers(BODY, secret=""), BODY, [])


@pytest.mark.parametrize(
    "forged",
    [
        "",
        "sha256=",
        hex_hmac(BODY),
        f"sha1={hex_hmac(BODY)}",
        f"sha256={hex_hmac(BODY).upper()}",
        f"sha256={hex_hmac(BODY)[:-1]}",
        f"sha256={hex_hmac(BODY)}0",
        f"sha256={hex_hmac(BODY, 'other')}",
        "sha256=é\udcff",
    ],
)
def test_wrong_signature(sender: tuple[HookScheme, Headers, str], forged: str) -> None:
    scheme, headers, signature = sender
    assert not scheme.verify({**headers(BODY), signature: forged}, BODY, [SECRET])


def test_missing_signature(sender: tuple[HookScheme, Headers, str]) -> None:
    scheme, headers, signature = sender
    without = {name: value for name, value in headers(BODY).items() if name != signature}
    assert not scheme.verify(without, BODY, [SECRET])


def test_signature_is_of_the_raw_body(sender: tuple[HookScheme, Headers, str]) -> None:
    scheme, headers, _ = sender
    written_again = json.dumps(json.loads(BODY), indent=1).encode()
    assert not scheme.verify(headers(BODY), written_again, [SECRET])
    assert not scheme.verify(headers(BODY), BODY[:-1], [SECRET])


def test_the_example_in_githubs_documentation() -> None:
    signed = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers = {"x-hub-signature-256": signed}
    assert GITHUB.verify(headers, b"Hello, World!", ["It's a Secret to Everybody"])
    assert not GITHUB.verify(headers, b"Hello, World", ["It's a Secret to Everybody"])


def test_one_scheme_does_not_take_the_others_header() -> None:
    assert not PLAIN.verify(github_headers(BODY), BODY, [SECRET])
    assert not GITHUB.verify(plain_headers(BODY), BODY, [SECRET])


@pytest.mark.parametrize("scheme", all_schemes(), ids=lambda scheme: scheme.scheme)
def test_example_is_authentic_and_asks_for_nothing(scheme: HookScheme) -> None:
    headers, body = scheme.example(SECRET)
    assert scheme.verify(headers, body, [SECRET])
    parsed = scheme.parse(headers, body)
    assert (parsed.event, parsed.pushes) == ("ping", ())
    assert parsed.delivery_id != scheme.parse(*scheme.example(SECRET)).delivery_id  # may be tried again
    assert scheme.label
    assert scheme.help
    assert not [name for name in scheme.headers if "signature" in name]


def test_github_push() -> None:
    body = fixture("push__one_commit")
    assert GITHUB.parse(github_headers(body, id="72d3162e-cc78-11e3-81ab-4c9367dc0958"), body) == Parsed(
        event="push",
        delivery_id="72d3162e-cc78-11e3-81ab-4c9367dc0958",
        repository_id="186853002",
        repository_name="acme-widgets/docs-site",
        repository_url="https://github.com/acme-widgets/docs-site",
        pushes=(
            Push(
                ref="refs/heads/main",
                before="6113728f27ae82c7b1a177c8d03f9e96e0adf246",
                after="59b20b8d5c6ff8d09518216e87e3d4a2b3f6c1de",
                by="ada",
            ),
        ),
    )


def github(changes: dict[str, Any] | None = None, event: str = "push") -> Parsed:
    body = json.dumps({**json.loads(fixture("push__one_commit")), **(changes or {})}).encode()
    return GITHUB.parse(github_headers(body, event=event), body)


def test_github_deleted_branch_and_tag() -> None:
    [deleted] = github({"after": "0" * 40, "deleted": True, "head_commit": None, "commits": []}).pushes
    assert deleted.after == "0" * 40
    assert github({"ref": "refs/tags/v1.0"}).pushes[0].ref == "refs/tags/v1.0"


def test_github_who_pushed() -> None:
    assert github({"pusher": None}).pushes[0].by == "ada"
    assert github({"pusher": {}, "sender": []}).pushes[0].by == ""
    assert github({"pusher": {"name": "a\0d\x1ba\ud800" + "x" * 500}}).pushes[0].by == "ada" + "x" * 97


@pytest.mark.parametrize("event", ["ping", "issues", "create", "delete", "workflow_job", "never_heard_of"])
def test_github_other_events_ask_for_nothing(event: str) -> None:
    parsed = github(event=event)
    assert (parsed.event, parsed.pushes, parsed.news) == (event, (), ())


def test_github_without_repository() -> None:
    parsed = github({"repository": "acme"})
    assert (parsed.repository_id, parsed.repository_name) == ("", "")


def test_github_form() -> None:
    body = urlencode({"payload": fixture("push__one_commit").decode()}).encode()
    headers = {**github_headers(body), "content-type": "application/x-www-form-urlencoded"}
    assert GITHUB.verify(headers, body, [SECRET])
    assert GITHUB.parse(headers, body).repository_name == "acme-widgets/docs-site"


@pytest.mark.parametrize("body", [b"\xff", b"payload=1", b"other=2", b"&".join(b"a=1" for _ in range(50))])
def test_github_form_that_makes_no_sense(body: bytes) -> None:
    headers = {**github_headers(body), "content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    with pytest.raises(Unreadable):
        GITHUB.parse(headers, body)


def test_github_without_event() -> None:
    headers = github_headers(BODY)
    del headers["x-github-event"]
    with pytest.raises(Unreadable, match="X-GitHub-Event"):
        GITHUB.parse(headers, BODY)


UNREADABLE = [
    b"",
    b"{",
    b"[]",
    b'"text"',
    b"\xff\xfe",
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"9" * 10_000,
    b'{"ref": 1}',
    b'{"ref": "main"}',
    b'{"ref": "refs/heads/"}',
    b'{"ref": "refs/heads/a b"}',
    b'{"ref": "refs/heads/a\\u0000b"}',
    b'{"ref": "refs/heads/\\ud800"}',
    b'{"ref": "refs/pull/1/head"}',
    b'{"ref": "refs/heads/' + b"x" * 500 + b'"}',
    b'{"ref": "refs/heads/main", "after": "cafe"}',
    b'{"ref": "refs/heads/main", "after": 12}',
    b'{"ref": "refs/heads/main", "before": "' + b"G" * 40 + b'"}',
]


@pytest.mark.parametrize("body", UNREADABLE, ids=lambda body: body[:40].decode("latin-1"))
def test_bodies_that_make_no_sense(sender: tuple[HookScheme, Headers, str], body: bytes) -> None:
    scheme, headers, _ = sender
    with pytest.raises(Unreadable) as refused:
        scheme.parse(headers(body), body)
    assert refused.value.sentence.endswith(".")


def test_plain_push() -> None:
    body = plain_body(before="b" * 40, by="ada")
    assert PLAIN.parse(plain_headers(body, id="7"), body) == Parsed(
        event="push",
        delivery_id="7",
        repository_name="team/site",
        pushes=(Push("refs/heads/main", "b" * 40, "a" * 40, "ada"),),
    )


def test_plain_push_may_be_a_mere_hint() -> None:
    parsed = PLAIN.parse({}, b'{"ref": "refs/heads/main"}')
    assert parsed.pushes == (Push("refs/heads/main", "", "", ""),)
    assert parsed.repository_name == ""


def test_plain_ping() -> None:
    assert PLAIN.parse({"x-opssight-event": "ping"}, b"{}") == Parsed(event="ping")
