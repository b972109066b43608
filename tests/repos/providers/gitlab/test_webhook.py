from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import pytest

from repos.providers.errors import Unreadable
from repos.providers.gitlab.webhook import WINDOW, GitLabScheme, signing_token
from repos.providers.types import (
    Parsed,
    PipelineNews,
    PipelineState,
    PullNews,
    PullState,
    Push,
    RepositoryNews,
)
from tests.repos.providers.deliveries import DELIVERIES, NEW, OLD

SCHEME = GitLabScheme()
KEY = bytes(range(32))
SIGNING = "whsec_" + base64.b64encode(KEY).decode()
PUSH = {
    "object_kind": "push",
    "before": "95790bf891e76fee5e1747ab589903a6a1f80f22",
    "after": "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
    "ref": "refs/heads/main",
    "user_name": "Ada",
    "user_username": "ada",
    "project_id": 15,
    "project": {"id": 15, "path_with_namespace": "acme/web/site"},
    "total_commits_count": 4,
}
BODY = json.dumps(PUSH).encode()


def signed(
    body: bytes = BODY, *, key: bytes = KEY, at: float | None = None, id: str = "d-1"
) -> dict[str, str]:
    moment = str(int(time.time() if at is None else at))
    digest = hmac.new(key, f"{id}.{moment}.".encode() + body, hashlib.sha256).digest()
    return {
        "x-gitlab-event": "Push Hook",
        "webhook-id": id,
        "webhook-timestamp": moment,
        "webhook-signature": "v1," + base64.b64encode(digest).decode(),
    }


def test_the_example_of_standard_webhooks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repos.providers.gitlab.webhook.time.time", lambda: 1614265330.0)
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'
    assert SCHEME.verify(headers, body, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])
    assert not SCHEME.verify(headers, body + b" ", ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])


def test_a_signing_token_of_gitlab() -> None:
    assert SCHEME.verify(signed(), BODY, [SIGNING])
    assert SCHEME.verify(signed(), BODY, ["other", SIGNING])
    assert not SCHEME.verify(signed(), BODY, ["other"])
    assert not SCHEME.verify(signed(key=b"x" * 32), BODY, [SIGNING])
    assert not SCHEME.verify(signed(b"{}"), BODY, [SIGNING])


def test_any_secret_can_sign() -> None:
    assert signing_token(SIGNING) == SIGNING
    for secret in ("it is no secret", "whsec_not base64", "whsec_QUJD", "ünïcode"):
        token = signing_token(secret)
        key = base64.b64decode(token.removeprefix("whsec_"))
        assert len(key) == 32  # what GitLab wants
        assert SCHEME.verify(signed(key=key), BODY, [secret])
        assert not SCHEME.verify(signed(key=key), BODY, [secret + "x"])


def test_several_signatures_of_which_one_is_right() -> None:
    headers = signed()
    right = headers["webhook-signature"]
    headers["webhook-signature"] = f"v1,AAAA v1a,AAAA {right}"
    assert SCHEME.verify(headers, BODY, [SIGNING])
    headers["webhook-signature"] = "v1,AAAA " * 50 + right
    assert not SCHEME.verify(headers, BODY, [SIGNING])


@pytest.mark.parametrize("seconds", [-WINDOW - 5, WINDOW + 5])
def test_an_old_delivery_is_refused(seconds: int) -> None:
    assert not SCHEME.verify(signed(at=time.time() + seconds), BODY, [SIGNING])
    assert SCHEME.verify(signed(at=time.time() + seconds * 0.9), BODY, [SIGNING])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("webhook-timestamp", ""),
        ("webhook-timestamp", "now"),
        ("webhook-timestamp", "²"),
        ("webhook-timestamp", "9" * 5_000),
        ("webhook-id", ""),
        ("webhook-id", "d-2"),
        ("webhook-signature", ""),
        ("webhook-signature", "v1,"),
        ("webhook-signature", "v1,é\udcff"),
    ],
)
def test_signatures_that_are_not_whole(name: str, value: str) -> None:
    assert not SCHEME.verify({**signed(), name: value}, BODY, [SIGNING])


def test_the_plain_token_of_older_servers() -> None:
    headers = {"x-gitlab-event": "Push Hook", "x-gitlab-token": "it is no secret"}
    assert SCHEME.verify(headers, BODY, ["it is no secret"])
    assert SCHEME.verify(headers, BODY, ["new", "it is no secret"])
    assert not SCHEME.verify(headers, BODY, ["it is"])
    assert not SCHEME.verify({**headers, "x-gitlab-token": "\udcff"}, BODY, ["it is no secret"])


def test_nothing_is_accepted_without_a_secret() -> None:
    for headers in ({}, {"x-gitlab-token": ""}, signed(key=b""), signed(key=hashlib.sha256(b"").digest())):
        assert not SCHEME.verify(headers, BODY, [])
        assert not SCHEME.verify(headers, BODY, ["", ""])


def test_a_wrong_signature_is_not_saved_by_the_right_token() -> None:
    headers = {**signed(key=b"x" * 32), "x-gitlab-token": SIGNING}
    assert not SCHEME.verify(headers, BODY, [SIGNING])


def test_push() -> None:
    assert SCHEME.parse(signed(), BODY) == Parsed(
        event="push",
        delivery_id="d-1",
        repository_id="15",
        repository_name="acme/web/site",
        pushes=(Push("refs/heads/main", PUSH["before"], PUSH["after"], "ada"),),  # type: ignore[arg-type]
    )


def parsed(event: str = "Push Hook", **changes: Any) -> Parsed:
    return SCHEME.parse({"x-gitlab-event": event}, json.dumps({**PUSH, **changes}).encode())


def test_tags_and_deleted_branches() -> None:
    tag = parsed("Tag Push Hook", object_kind="tag_push", ref="refs/tags/v1")
    assert (tag.event, tag.pushes[0].ref) == ("tag_push", "refs/tags/v1")
    assert parsed(after="0" * 40, checkout_sha=None).pushes[0].after == "0" * 40


@pytest.mark.parametrize("event", ["Job Hook", "System Hook", "Emoji Hook", "Never Heard Of"])
def test_other_events_ask_for_nothing(event: str) -> None:
    told = parsed(event, ref=7, object_kind=None)
    assert (told.pushes, told.news) == ((), ())


def told(name: str) -> Parsed:
    [sent] = [one for one in DELIVERIES if (one.scheme, one.name) == ("gitlab", name)]
    return SCHEME.parse(sent.headers, json.dumps(sent.payload).encode())


def test_a_system_hook_sends_pushes_as_well() -> None:
    pushed = told("push of the server")
    assert (pushed.event, [push.ref for push in pushed.pushes]) == ("push", ["refs/heads/main"])
    assert told("user").event == "user_create"


def test_merge_requests() -> None:
    [news] = told("merge request").news
    assert news == PullNews(
        number=4,
        state=PullState.OPEN,
        what="open",
        title="Say hello",
        url="https://lab.example.org/acme/site/-/merge_requests/4",
        head="hello",
        base="main",
        head_oid=NEW,
        by="ada",
    )
    attributes = {"iid": 4, "state": "merged", "merge_commit_sha": OLD, "last_commit": {"id": NEW}}
    [merged] = parsed("Merge Request Hook", object_attributes=attributes).news
    assert isinstance(merged, PullNews)
    assert (merged.state, merged.what, merged.merge_oid) == (PullState.MERGED, "update", OLD)


def test_pipelines() -> None:
    [news] = told("pipeline").news
    assert news == PipelineNews(
        external_id="31",
        state=PipelineState.FAILED,
        name="Checks",
        ref="main",
        oid=NEW,
        url="https://lab.example.org/acme/site/-/pipelines/31",
        by="ada",
    )


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("made", "created"),
        ("renamed", "renamed"),
        ("transferred", "transferred"),
        ("changed", "changed"),
        ("deleted", "deleted"),
    ],
)
def test_projects(name: str, what: Any) -> None:
    project = told(name)
    assert project.news == (RepositoryNews(what, "private"),)
    assert (project.repository_id, project.repository_name) == ("15", "acme/site")


@pytest.mark.parametrize("event", ["Merge Request Hook", "Pipeline Hook"])
def test_news_that_make_no_sense(event: str) -> None:
    with pytest.raises(Unreadable, match="object_attributes"):
        parsed(event)


def test_what_may_be_missing() -> None:
    bare = SCHEME.parse({"x-gitlab-event": "Push Hook"}, b'{"ref": "refs/heads/main", "project": [7]}')
    assert bare == Parsed(event="push", pushes=(Push("refs/heads/main", "", "", ""),))
    assert parsed(project=None).repository_id == "15"
    assert parsed(user_username=None).pushes[0].by == "Ada"


def test_the_id_that_stays_the_same_is_taken() -> None:
    names = {"x-gitlab-event": "Push Hook", "x-gitlab-event-uuid": "event"}
    assert SCHEME.parse(names, BODY).delivery_id == "event"
    assert SCHEME.parse({**names, "idempotency-key": "key"}, BODY).delivery_id == "key"
    assert SCHEME.parse({**names, "idempotency-key": "key", "webhook-id": "id"}, BODY).delivery_id == "id"


def test_without_event() -> None:
    with pytest.raises(Unreadable, match="X-Gitlab-Event"):
        SCHEME.parse({}, BODY)


def test_example() -> None:
    headers, body = SCHEME.example("it is no secret")
    assert SCHEME.verify(headers, body, ["it is no secret"])
    assert SCHEME.parse(headers, body).event == "ping"
