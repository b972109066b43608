from __future__ import annotations

import json
import tracemalloc
from typing import Any
from urllib.parse import urlencode

import pytest

from repos.providers.errors import Unreadable
from repos.providers.gitea.webhook import GiteaScheme
from repos.providers.types import (
    Parsed,
    PipelineNews,
    PipelineState,
    PullNews,
    PullState,
    Push,
    RepositoryNews,
)
from tests.repos.deliveries import SECRET, hex_hmac
from tests.repos.providers.deliveries import DELIVERIES

SCHEME = GiteaScheme()
OLD, NEW, NOTHING = "1" * 40, "2" * 40, "0" * 40
FORM = "application/x-www-form-urlencoded"


def body(**changes: Any) -> bytes:
    push = {
        "ref": "refs/heads/main",
        "before": OLD,
        "after": NEW,
        "commits": [{"id": NEW, "added": ["a.txt"], "removed": [], "modified": []}],
        "repository": {"id": 7, "full_name": "acme/site", "owner": {"login": "acme"}},
        "pusher": {"id": 3, "login": "ada", "username": "ada", "email": "ada@example.org"},
        "sender": {"login": "ada"},
    }
    return json.dumps({**push, **changes}).encode()


def headers(body: bytes, event: str = "push", secret: str = SECRET) -> dict[str, str]:
    """As Gitea sends them: with those of Gogs and of GitHub."""
    signed = hex_hmac(body, secret)
    sent = {"content-type": "application/json", "x-hub-signature-256": f"sha256={signed}"}
    for sender in ("gitea", "gogs", "github"):
        sent |= {f"x-{sender}-event": event, f"x-{sender}-delivery": "5f0c-1"}
    return sent | {"x-gitea-signature": signed, "x-gogs-signature": signed}


def parsed(event: str = "push", **changes: Any) -> Parsed:
    sent = body(**changes)
    return SCHEME.parse(headers(sent, event), sent)


@pytest.mark.parametrize("sender", ["gitea", "forgejo", "gogs"])
def test_each_of_the_senders(sender: str) -> None:
    sent = body()
    own = {
        f"x-{sender}-signature": hex_hmac(sent),
        f"x-{sender}-event": "push",
        f"x-{sender}-delivery": "9",
    }
    assert SCHEME.verify(own, sent, [SECRET])
    assert SCHEME.verify(own, sent, ["another", SECRET])
    assert not SCHEME.verify(own, sent, ["another", ""])
    assert not SCHEME.verify(own, sent + b" ", [SECRET])
    assert SCHEME.parse(own, sent).delivery_id == "9"


@pytest.mark.parametrize(
    "forged",
    [
        "",
        f"sha256={hex_hmac(body())}",
        hex_hmac(body()).upper(),
        hex_hmac(body())[:-1],
        hex_hmac(body(), "another"),
        "é\udcff",
    ],
)
def test_wrong_signatures(forged: str) -> None:
    sent = body()
    assert not SCHEME.verify({"x-gitea-signature": forged}, sent, [SECRET])


def test_a_signature_of_github_does_not_count() -> None:
    sent = body()
    only = {name: value for name, value in headers(sent).items() if name.startswith(("x-hub", "x-github"))}
    assert not SCHEME.verify(only, sent, [SECRET])
    with pytest.raises(Unreadable, match="X-Gitea-Event"):
        SCHEME.parse(only, sent)


def test_an_empty_secret_signs_nothing() -> None:
    sent = body()
    assert not SCHEME.verify(headers(sent, secret=""), sent, [""])


def test_push() -> None:
    assert parsed() == Parsed(
        event="push",
        delivery_id="5f0c-1",
        repository_id="7",
        repository_name="acme/site",
        pushes=(Push("refs/heads/main", OLD, NEW, "ada"),),
    )


def test_a_form_is_signed_by_what_is_in_it() -> None:
    sent = body()
    form = urlencode({"payload": sent.decode()}).encode()
    given = {**headers(sent), "content-type": FORM}
    assert SCHEME.verify(given, form, [SECRET])
    assert SCHEME.parse(given, form).repository_name == "acme/site"
    assert not SCHEME.verify({**headers(form), "content-type": FORM}, form, [SECRET])
    assert not SCHEME.verify(given, form.replace(b"main", b"evil"), [SECRET])


@pytest.mark.parametrize("form", [b"\xff", b"&".join(b"a=1" for _ in range(50))])
def test_a_form_that_makes_no_sense(form: bytes) -> None:
    given = {**headers(form), "content-type": FORM}
    assert not SCHEME.verify(given, form, [SECRET])
    with pytest.raises(Unreadable):
        SCHEME.parse(given, form)


def test_a_large_form_is_not_taken_apart() -> None:
    """Before the signature is known, and at eighty times its size in memory."""
    form = b"payload=" + b"%22" * 400_000
    given = {**headers(b'"' * 400_000), "content-type": FORM}
    tracemalloc.start()
    try:
        assert not SCHEME.verify(given, form, [SECRET])
        assert tracemalloc.get_traced_memory()[1] < len(form)
    finally:
        tracemalloc.stop()
    with pytest.raises(Unreadable, match="more than 1 MB"):
        SCHEME.parse(given, form)
    assert SCHEME.verify(headers(sent := body(after=NEW, text="x" * 2_000_000)), sent, [SECRET])


def test_the_test_button_asks_for_nothing() -> None:
    commit = {"id": NEW, "added": None, "removed": None, "modified": None}
    test = parsed(before=NEW, after=NEW, commits=[commit])
    assert (test.event, test.pushes) == ("push", ())


def test_a_deleted_branch_comes_without_a_push() -> None:
    deleted = parsed("delete", ref="feature/x", ref_type="branch")
    assert deleted.pushes == (Push("refs/heads/feature/x", "", NOTHING, "ada"),)


def test_a_deleted_tag_comes_with_a_push_of_its_own() -> None:
    assert parsed("delete", ref="v1", ref_type="tag").pushes == ()
    assert parsed(ref="refs/tags/v1", after=NOTHING).pushes[0].after == NOTHING


@pytest.mark.parametrize("event", ["create", "issues", "repository", "release", "never_heard_of"])
def test_other_events_ask_for_nothing(event: str) -> None:
    told = parsed(event)
    assert (told.event, told.pushes, told.news) == (event, (), ())


def told(name: str) -> Parsed:
    [sent] = [one for one in DELIVERIES if (one.scheme, one.name) == ("gitea", name)]
    return SCHEME.parse(sent.headers, json.dumps(sent.payload).encode())


def test_a_repository_that_was_made_or_deleted() -> None:
    assert told("made").news == (RepositoryNews("created", "private", False, "main", by="ada"),)
    assert told("deleted").news == (RepositoryNews("deleted", "private", False, "main", by="ada"),)
    assert told("made").repository_url == "https://git.example.org/acme/site"


def test_pull_requests() -> None:
    [opened], [moved] = told("pull request").news, told("commits in a pull request").news
    assert isinstance(opened, PullNews)
    assert isinstance(moved, PullNews)
    assert (opened.number, opened.state, opened.what, moved.what) == (
        4,
        PullState.OPEN,
        "opened",
        "synchronized",
    )
    assert (opened.head, opened.base, opened.head_oid, opened.by) == ("hello", "main", NEW, "ada")
    assert told("approval").news == ()


def test_runs_of_gitea_and_of_forgejo() -> None:
    [failed], [passed] = told("run").news, told("run of Forgejo").news
    assert isinstance(failed, PipelineNews)
    assert isinstance(passed, PipelineNews)
    assert (failed.external_id, failed.state, failed.ref) == ("31", PipelineState.FAILED, "main")
    assert (passed.external_id, passed.state, passed.oid) == ("33", PipelineState.SUCCEEDED, NEW)
    assert told("run of Forgejo").repository_name == "acme/site"


@pytest.mark.parametrize("event", ["repository", "pull_request", "workflow_run", "action_run_failure"])
def test_news_that_make_no_sense(event: str) -> None:
    sent = json.dumps({"action": "deleted"}).encode()
    with pytest.raises(Unreadable):
        SCHEME.parse(headers(sent, event), sent)


def test_who_pushed() -> None:
    assert parsed(pusher=None).pushes[0].by == "ada"
    assert parsed(pusher={"username": "bea"}).pushes[0].by == "bea"
    assert parsed(pusher=[], sender={}).pushes[0].by == ""


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        body(ref="main"),
        body(ref=None),
        body(after="cafe"),
        body(before=7),
        body(ref="refs/heads/\0"),
    ],
)
def test_bodies_that_make_no_sense(sent: bytes) -> None:
    with pytest.raises(Unreadable) as refused:
        SCHEME.parse(headers(sent), sent)
    assert refused.value.sentence.endswith(".")


def test_a_deletion_that_makes_no_sense() -> None:
    with pytest.raises(Unreadable):
        parsed("delete", ref=None, ref_type="branch")


def test_what_is_kept_of_the_headers_has_no_signature() -> None:
    assert not [name for name in SCHEME.headers if "signature" in name]
    sent, example = SCHEME.example(SECRET)
    assert SCHEME.verify(sent, example, [SECRET])
    assert SCHEME.parse(sent, example).pushes == ()
