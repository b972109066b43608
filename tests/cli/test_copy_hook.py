# ruff: noqa: E501 - a table reads best with one case on a line
"""`copy send-webhook`: what arrives is what GitHub would have sent, with its signature."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from repos.providers.registry import scheme_named
from repos.providers.types import PullNews
from tests.cli.command import Ran, ran

SECRET = "c4n4ry-of-the-webhook"


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what it gets and answers what it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answer = (202, b'{"status": "accepted"}')

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/webhook"


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.got.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        status, text = server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:
        """Tests read what arrived."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def send(receiver: Receiver, *argv: str, stdin: bytes = b"") -> Ran:
    return ran("copy", "send-webhook", "--url", receiver.url, *argv, stdin=stdin)


PULL = ("--pr", "7", "--owner", "acme", "--repo", "code", "--branch", "dev", "--commit", "a" * 40)


def test_a_merged_pull_request(receiver: Receiver, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(f"{SECRET}\n")
    answer = send(receiver, *PULL, "--secret", f"file:{secret}", "--json")
    assert (answer.status, answer.err) == (0, "")
    assert (answer.document["status"], answer.document["sent"]) == (202, True)
    [(path, headers, body)] = receiver.got
    assert (path, headers["x-github-event"]) == ("/webhook", "pull_request")
    scheme = scheme_named("github")
    assert scheme.verify(headers, body, [SECRET])
    parsed = scheme.parse(headers, body)
    assert (parsed.repository_name, parsed.delivery_id) == ("acme/code", answer.document["delivery"])
    [news] = parsed.news
    assert isinstance(news, PullNews)
    assert (news.number, news.state.value, news.what, news.base, news.merge_oid) == (7, "merged", "closed", "dev", "a" * 40)  # fmt: skip
    assert SECRET not in answer.out + answer.err


def test_a_delivery_from_a_file_arrives_byte_for_byte(receiver: Receiver, tmp_path: Path) -> None:
    payload = b'{ "action":"closed",\n "pull_request": {"number": 1, "title": "\xc3\xa9"} }'
    (tmp_path / "p.json").write_bytes(payload)
    assert (
        send(receiver, "--payload", str(tmp_path / "p.json"), "--secret", "-", stdin=SECRET.encode()).status
        == 0
    )
    [(_, headers, body)] = receiver.got
    assert body == payload
    assert scheme_named("github").verify(headers, body, [SECRET])


def test_an_answer_that_refuses_is_a_failure(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    receiver.answer = (401, b"no\x1b[31m")
    answer = send(receiver, *PULL, "--secret", "env:HOOK_SECRET")
    assert (answer.status, answer.out) == (1, "")
    assert "It answers 401: no [31m" in answer.err
    assert SECRET not in answer.err


def test_what_a_receiver_passes_over_is_said(receiver: Receiver) -> None:
    receiver.answer = (204, b"")
    answer = send(receiver, *PULL)
    assert answer.status == 0
    assert "It answers 204. It is passed over: no rule follows it" in answer.out


def test_without_a_secret_it_is_not_signed(receiver: Receiver) -> None:
    assert send(receiver, *PULL).status == 0
    assert "x-hub-signature-256" not in receiver.got[0][1]


def test_a_dry_run_sends_nothing(receiver: Receiver) -> None:
    answer = send(receiver, *PULL, "--dry-run", "--json")
    assert (answer.status, receiver.got) == (0, [])
    assert answer.document["payload"]["pull_request"]["merged"] is True
    assert json.loads(send(receiver, *PULL, "--dry-run").out)["repository"]["full_name"] == "acme/code"


@pytest.mark.parametrize(
    ("argv", "status", "part"),
    [
        (["--url", "ftp://x/y", *PULL], 2, "--url takes an http or https address"),
        (["--url", "http://127.0.0.1:9/x"], 2, "Give --pr, --owner and --repo"),
        (["--url", "http://127.0.0.1:9/x", "--pr", "0"], 2, "whole number"),
        (["--url", "http://127.0.0.1:9/x", "--payload", "-"], 2, "is not JSON"),
        (["--url", "http://127.0.0.1:9/x", *PULL], 1, "127.0.0.1 cannot be reached"),
        (
            ["--url", "http://127.0.0.1:9/x", *PULL, "--secret", "env:NOT_SET_AT_ALL"],
            2,
            "NOT_SET_AT_ALL is not set",
        ),
    ],
)
def test_what_cannot_be_sent(argv: list[str], status: int, part: str) -> None:
    answer = ran("copy", "send-webhook", *argv)
    assert (answer.status, answer.out, part in answer.err) == (status, "", True), answer.err
