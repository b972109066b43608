"""What only Bitbucket Data Center does."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import pytest

from opssight.core.errors import (
    AuthFailure,
    Conflict,
    Failure,
    InvalidInput,
    NotFound,
    PermanentFailure,
    RateLimited,
)
from repos.git.remote import PasswordCredential
from repos.providers.bitbucket import dc_reading as reading
from repos.providers.bitbucket.dc import BitbucketDataCenterProvider
from repos.providers.forge import HookSpec, NewPull, NotOffered, PullChange
from repos.providers.registry import scheme_named
from repos.providers.types import Context, PullState
from tests.forges.bitbucket_dc import BitbucketDataCenterStandIn
from tests.forges.standin import Reply, Repo
from tests.repos.git.work import git as plain_git
from tests.repos.providers.bitbucket.conftest import DC_TOKEN
from tests.repos.providers.bitbucket.test_reading import broken
from tests.repos.providers.forge_case import ForgeCase, push, with_branch

pytestmark = pytest.mark.http_git


@pytest.fixture
def client(dc_case: ForgeCase) -> BitbucketDataCenterProvider:
    return cast("BitbucketDataCenterProvider", dc_case.forge_client())


@pytest.fixture
def site(dc_forge: BitbucketDataCenterStandIn) -> Repo:
    found = dc_forge.named("acme/site")
    assert found is not None
    return found


def test_what_is_missing_or_odd(context: Context) -> None:
    for options, secrets, field in (
        ({"url": "https://x.example.org"}, {}, "token"),
        ({"url": "git@x.example.org:a"}, {"token": "t"}, "url"),
    ):
        with pytest.raises(InvalidInput) as refused:
            BitbucketDataCenterProvider(options, secrets, context)
        assert [where for where, _ in refused.value.problems] == [field]
    with pytest.raises(RuntimeError):
        BitbucketDataCenterProvider({"url": "https://x"}, {"token": "t"}, replace(context, wire=None))


def test_addresses_below_a_path(context: Context) -> None:
    client = BitbucketDataCenterProvider({"url": "https://x.example.org/git/"}, {"token": "t"}, context)
    assert client.origins == {"https://x.example.org"}
    assert client.remote("1", "~ana/site").url == "https://x.example.org/git/scm/~ana/site.git"


def test_identity(client: BitbucketDataCenterProvider, dc_forge: BitbucketDataCenterStandIn) -> None:
    identity = client.identity()
    assert (identity.account, identity.detail, identity.scopes) == ("ana", "Bitbucket 9.4.3", None)
    assert dc_forge.asked[-1].headers["authorization"] == f"Bearer {DC_TOKEN}"


def test_an_anonymous_answer_proves_nothing(
    client: BitbucketDataCenterProvider, dc_forge: BitbucketDataCenterStandIn
) -> None:
    dc_forge.next_replies = [Reply(200, {"version": "9.4.3"})]
    with pytest.raises(AuthFailure, match="token"):
        client.identity()


def test_tokens_of_a_project(dc_case: ForgeCase, dc_forge: BitbucketDataCenterStandIn) -> None:
    dc_forge.add_token("BBDC-project", "", project=True)
    client = replace(dc_case, options={"url": dc_forge.url}, secrets={"token": "BBDC-project"}).client()
    assert client.identity().account == "access-token-user/1/7"
    remote = client.remote("1", "acme/site")
    assert remote.credential == PasswordCredential("x-token-auth", "BBDC-project")
    push(dc_case, remote)
    assert dc_forge.pushes == 1


def test_limits(client: BitbucketDataCenterProvider, dc_forge: BitbucketDataCenterStandIn) -> None:
    dc_forge.budget_left = 0
    with pytest.raises(RateLimited) as limited:
        client.identity()
    assert limited.value.retry_at is not None
    assert limited.value.retry_at < dt.datetime.now(dt.UTC) + dt.timedelta(seconds=60)


def test_a_name_that_went_to_another_repository(
    client: BitbucketDataCenterProvider, dc_case: ForgeCase, dc_forge: BitbucketDataCenterStandIn, site: Repo
) -> None:
    external_id = dc_case.id_of("acme/site")
    assert client.repository(external_id).full_name == "acme/site"
    dc_forge.rename(site, "acme/website")
    dc_forge.add_repository("acme/site", {b"x": b"other"})
    assert client.repository(external_id).full_name == "acme/website"


def test_where_it_was_found_is_remembered(
    client: BitbucketDataCenterProvider, dc_forge: BitbucketDataCenterStandIn, site: Repo
) -> None:
    client.hooks(str(site.id))
    before = len(dc_forge.asked)
    client.hooks(str(site.id))
    assert [one.path.rpartition("/")[2] for one in dc_forge.asked[before:]] == ["site", "webhooks"]


def test_what_cannot_be_used(
    client: BitbucketDataCenterProvider, dc_forge: BitbucketDataCenterStandIn
) -> None:
    about = {
        "id": 1,
        "slug": "x",
        "project": {"key": "X"},
        "state": "OFFLINE",
        "archived": True,
        "origin": {},
    }
    found = reading.repository(about, "")
    assert (found.usable, found.archived, found.fork, found.visibility) == (False, True, True, "private")
    assert not reading.repository({**about, "state": "AVAILABLE", "scmId": "hg"}, "").usable


def test_a_change_keeps_what_it_does_not_name(
    client: BitbucketDataCenterProvider, dc_case: ForgeCase, site: Repo
) -> None:
    external_id = with_branch(dc_case, "change")
    opened = client.open_pull(
        external_id, NewPull("change", "main", "A change", "Two\nlines", reviewers=["bea"])
    )
    changed = client.change_pull(external_id, opened.number, PullChange(title="Better"))
    assert (changed.title, changed.body) == ("Better", "Two\nlines")
    assert site.pulls[1]["reviewers"] == ["bea"]
    client.change_pull(external_id, opened.number, PullChange(reviewers=[]))
    assert site.pulls[1]["reviewers"] == []


def test_somebody_who_is_not_there(
    client: BitbucketDataCenterProvider, dc_case: ForgeCase, site: Repo
) -> None:
    external_id = with_branch(dc_case, "change")
    with pytest.raises(InvalidInput, match="nobody called carl"):
        client.open_pull(external_id, NewPull("change", "main", "A change", reviewers=["carl", "bea"]))
    assert site.pulls[1]["reviewers"] == ["bea"]
    with pytest.raises(NotOffered):
        client.open_pull(external_id, NewPull("change", "main", "A change", labels=["x"]))


def test_a_push_between_looking_and_merging(
    client: BitbucketDataCenterProvider,
    dc_case: ForgeCase,
    dc_forge: BitbucketDataCenterStandIn,
    site: Repo,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    external_id = with_branch(dc_case, "change")
    opened = client.open_pull(external_id, NewPull("change", "main", "A change"))
    looked = dc_forge.pull

    def pushed_meanwhile(*args: Any) -> Reply:
        reply: Reply = looked(*args)
        dc_forge.bare(site).commit({b"late.txt": b"1"}, branch="change")
        return reply

    monkeypatch.setattr(dc_forge, "pull", pushed_meanwhile)
    with pytest.raises(Conflict):
        client.merge_pull(external_id, opened.number, "merge", head_oid=opened.head_oid)
    assert site.pulls[1]["state"] == "OPEN"


def test_merging(
    client: BitbucketDataCenterProvider, dc_case: ForgeCase, dc_forge: BitbucketDataCenterStandIn, site: Repo
) -> None:
    external_id = with_branch(dc_case, "change")
    number = client.open_pull(external_id, NewPull("change", "main", "A change")).number
    merged = client.merge_pull(external_id, number, "squash", message="Squashed")
    assert merged.merge_oid == dc_forge.bare(site).oid("refs/heads/main")
    assert plain_git("log", "-1", "--format=%s", "main", cwd=dc_forge.bare(site).path) == "Squashed"
    assert client.merge_pull(external_id, number, "merge") == merged
    with_conflict = with_branch(dc_case, "other")
    number = client.open_pull(with_conflict, NewPull("other", "main", "Another")).number
    dc_forge.bare(site).commit({b"other.txt": b"different\n"})
    with pytest.raises(Conflict):
        client.merge_pull(external_id, number, "merge")
    client.close_pull(external_id, number)
    assert [one.number for one in client.pulls(external_id, PullState.CLOSED)] == [number]


def test_one_delivery_for_all_refs_of_a_push(
    client: BitbucketDataCenterProvider, dc_case: ForgeCase, dc_forge: BitbucketDataCenterStandIn, site: Repo
) -> None:
    external_id = dc_case.id_of("acme/site")
    client.create_hook(external_id, HookSpec("http://127.0.0.1:9/", "s3cret"))
    bare = dc_forge.bare(site)
    before = bare.refs()
    bare.git("branch", "new", "main")
    bare.git("tag", "-a", "v1", "main", "-m", "one")
    dc_forge.pushed("scm/acme/site.git", before, bare.refs())
    dc_forge.wait_until_sent(1)
    headers = {name.lower(): value for name, value in dc_forge.sent[0].headers.items()}
    parsed = scheme_named("bitbucket_dc").parse(headers, dc_forge.sent[0].body)
    assert parsed.repository_id == external_id
    assert [(one.ref, one.after) for one in parsed.pushes] == [
        ("refs/heads/new", bare.oid("refs/heads/main")),
        ("refs/tags/v1", bare.oid("refs/tags/v1")),
    ]


REPOSITORY = {
    "id": 1,
    "slug": "site",
    "project": {"key": "ACME", "public": True},
    "description": "d",
    "archived": False,
}
PULL = {
    "id": 7,
    "version": 2,
    "state": "OPEN",
    "title": "A change",
    "description": "d",
    "draft": False,
    "updatedDate": 1_795_165_200_000,
    "fromRef": {"id": "refs/heads/x", "latestCommit": "a" * 40, "repository": {"id": 1}},
    "toRef": {"id": "refs/heads/main"},
    "author": {"user": {"name": "ana"}},
    "reviewers": [{"user": {"name": "bea"}}],
    "properties": {"mergeCommit": {"id": "b" * 40}},
}
READERS: list[tuple[Callable[[Any], object], dict[str, Any]]] = [
    (lambda data: reading.repository(data, "main"), REPOSITORY),
    (reading.repository_path, REPOSITORY),
    (lambda data: reading.pull(data, "https://x.example.org"), PULL),
    (reading.version, PULL),
    (reading.reviewers, PULL),
    (lambda data: reading.is_between(data, "1", "x", "main"), PULL),
    (
        reading.hook,
        {"id": 1, "url": "https://ops.example.org", "active": True, "events": ["repo:refs_changed"]},
    ),
    (reading.said, {"errors": [{"message": "No."}]}),
    (reading.next_start, {"isLastPage": False, "nextPageStart": 25}),
]


@pytest.mark.parametrize(("read", "good"), READERS)
def test_odd_fields(read: Callable[[Any], object], good: dict[str, Any]) -> None:
    read(good)
    for odd in broken(good):
        with suppress(PermanentFailure):
            told = repr(read(odd))
            assert "x00" not in told
            assert "ud800" not in told


ASKS: list[Callable[[BitbucketDataCenterProvider, str], object]] = [
    lambda client, id: client.identity(),
    lambda client, id: list(client.search("x")),
    lambda client, id: client.repository(id),
    lambda client, id: client.open_pull(id, NewPull("a", "b", "c", reviewers=["bea"])),
    lambda client, id: list(client.pulls(id)),
    lambda client, id: client.change_pull(id, 1, PullChange(title="x")),
    lambda client, id: client.merge_pull(id, 1, "merge"),
    lambda client, id: client.create_hook(id, HookSpec("https://x.example.org", "s")),
]


def test_odd_answers(
    client: BitbucketDataCenterProvider, dc_forge: BitbucketDataCenterStandIn, site: Repo
) -> None:
    list(client.repositories())
    about = {"id": site.id, "slug": "site", "project": {"key": "acme"}}
    odd: list[Any] = [None, [], {}, 7, {"values": [7]}, {"values": [{}]}, {"id": []}]
    for ask, data in itertools.product(ASKS, odd):
        dc_forge.next_replies = [Reply(200, about), *[Reply(200, data)] * 9]
        with suppress(Failure):
            ask(client, str(site.id))


def test_a_webhook_that_is_gone(client: BitbucketDataCenterProvider, site: Repo) -> None:
    with pytest.raises(NotFound):
        client.update_hook(str(site.id), "4711", HookSpec("https://x.example.org", "s"))
