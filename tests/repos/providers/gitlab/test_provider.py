from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from opssight.core.errors import Conflict, Failure, InvalidInput, NotFound, PermanentFailure, RateLimited
from repos.git.remote import PasswordCredential
from repos.providers import paging
from repos.providers.errors import TooMany
from repos.providers.forge import NewRepository, RepositoryChange
from repos.providers.gitlab import reading
from repos.providers.gitlab.api import DIALECT
from repos.providers.gitlab.provider import GitLabProvider
from repos.providers.types import Need
from repos.providers.values import time_of
from repos.providers.wire import Budget, Stored
from tests.forges.gitlab import GitLabStandIn
from tests.forges.standin import Asked, Reply
from tests.repos.providers.forge_case import ForgeCase
from tests.repos.providers.gitlab.conftest import TOKEN

EVERYTHING = dict.fromkeys(Need, True)
NOTHING = dict.fromkeys(Need, False)


class Remembered(dict[str, Stored]):
    """Answers that are kept, as the database does."""

    def get_many(self, urls: Any) -> dict[str, Stored]:
        return {url: self[url] for url in urls if url in self}

    def put(self, url: str, stored: Stored) -> None:
        self[url] = stored


class Renewing:
    """A token that somebody else keeps fresh."""

    def __init__(self, token: str) -> None:
        self.token = token

    def current(self) -> str:
        return self.token

    def renewed(self, refused: str) -> str:
        self.token = TOKEN
        return self.token


def wired(case: ForgeCase, **more: Any) -> GitLabProvider:
    assert case.context.wire is not None
    context = replace(case.context, wire=replace(case.context.wire, **more))
    return GitLabProvider(case.options, {} if "tokens" in more else case.secrets, context)


# --- what is entered -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "base"),
    [
        ("", "https://gitlab.com"),
        ("https://GitLab.example.org/", "https://gitlab.example.org"),
        ("https://git.example.org:8443/gitlab/api/v4/", "https://git.example.org:8443/gitlab"),
    ],
)
def test_addresses(case: ForgeCase, given: str, base: str) -> None:
    client = GitLabProvider({"url": given}, case.secrets, case.context)
    remote = client.remote("7", "acme/web/site")
    assert remote.url == f"{base}/acme/web/site.git"
    assert remote.credential == PasswordCredential("oauth2", TOKEN)
    assert client.origins == {base.removesuffix("/gitlab")}


@pytest.mark.parametrize(
    "given",
    ["gitlab.example.org", "ssh://git@example.org", "file:///srv", "https://ana:pw@example.org", "https://"],
)
def test_addresses_that_are_none(case: ForgeCase, given: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        GitLabProvider({"url": given}, case.secrets, case.context)
    assert [field for field, _ in refused.value.problems] == ["url"]
    assert "pw" not in refused.value.sentence.split()


def test_a_token_is_needed_unless_there_is_another_source_of_one(case: ForgeCase) -> None:
    with pytest.raises(InvalidInput) as refused:
        case.client(secrets={})
    assert [field for field, _ in refused.value.problems] == ["token"]
    assert wired(case, tokens=Renewing(TOKEN)).identity().account == "ana"
    with pytest.raises(RuntimeError, match="wire"):
        GitLabProvider(case.options, case.secrets, replace(case.context, wire=None))


def test_a_path_that_the_server_claims_stays_on_the_server(case: ForgeCase) -> None:
    client = case.forge_client()
    for name in ("../../x", "a b?c#d", "@evil.example/x"):
        assert client.remote("1", name).origin == case.forge.url


# --- who we are ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        (["api"], EVERYTHING),
        (["read_api", "read_repository"], {**NOTHING, Need.READ: True}),
        (["read_api", "write_repository"], {**NOTHING, Need.READ: True, Need.WRITE: True}),
        (["read_api"], NOTHING),
        (["read_user"], NOTHING),
        (["granular"], {}),
    ],
)
def test_scopes(case: ForgeCase, forge: GitLabStandIn, scopes: list[str], may: dict[Need, bool]) -> None:
    forge.tokens[TOKEN].scopes = scopes
    if scopes == ["granular"]:
        assert reading.may(tuple(scopes)) == may
        return
    identity = case.client().identity()
    assert (identity.scopes, identity.may) == (tuple(scopes), may)


def test_when_the_token_ends(case: ForgeCase, forge: GitLabStandIn) -> None:
    assert case.client().identity().expires_at is None
    forge.tokens[TOKEN].expires_at = dt.datetime(2100, 1, 2, tzinfo=dt.UTC)
    assert case.client().identity().expires_at == dt.datetime(2100, 1, 2, tzinfo=dt.UTC)


def test_an_oauth_token_is_renewed_and_described(case: ForgeCase, forge: GitLabStandIn) -> None:
    forge.oauth.add(TOKEN)
    client = wired(case, tokens=Renewing("an-old-one"))
    identity = client.identity()
    assert (identity.account, identity.scopes, identity.expires_at) == ("ana", ("api",), None)
    assert client.remote("1", "acme/site").credential == PasswordCredential("oauth2", TOKEN)


@pytest.mark.parametrize("status", [400, 403, 404, 500])
def test_servers_that_tell_nothing_about_the_token(
    case: ForgeCase, forge: GitLabStandIn, status: int
) -> None:
    user = forge.user("ana")
    forge.next_replies = [Reply(200, user)] + [Reply(status, {"message": "no"})] * 3
    if status == 500:
        with pytest.raises(Failure, match="trouble"):
            case.client().identity()
        return
    identity = case.client().identity()
    assert (identity.account, identity.scopes, identity.may) == ("ana", None, {})


def test_too_little_scope_is_said(case: ForgeCase, forge: GitLabStandIn) -> None:
    forge.tokens[TOKEN].scopes = ["read_repository"]
    with pytest.raises(PermanentFailure, match="requires higher privileges"):
        case.client().identity()


# --- repositories ----------------------------------------------------------------------------------


def test_what_is_told_of_a_project(case: ForgeCase, forge: GitLabStandIn) -> None:
    forge.add_repository("acme/old", archived=True, fork=True, visibility="internal", topics=["a", "b"])
    found = {one.full_name: one for one in case.client().repositories()}
    old, site = found["acme/old"], found["acme/site"]
    assert (old.archived, old.fork, old.visibility, old.topics) == (True, True, "internal", ("a", "b"))
    assert (site.description, site.visibility, site.default_branch) == ("The site", "public", "main")
    assert (site.size_bytes, site.usable) == (4096, True)


def test_a_project_without_git(case: ForgeCase, forge: GitLabStandIn) -> None:
    forge.add_repository("acme/issues", more={"access": "disabled"})
    [found] = [one for one in case.client().repositories() if one.full_name == "acme/issues"]
    assert not found.usable
    assert "Switch it on" in found.reason


def test_projects_that_were_deleted_are_gone_although_gitlab_keeps_them(case: ForgeCase) -> None:
    client, site = case.forge_client(), case.id_of("acme/site")
    client.delete_repository(site)
    assert {one.full_name for one in client.repositories()} == {"acme/empty"}
    with pytest.raises(NotFound, match="Restore it"):
        client.repository(site)
    assert client.create_repository(NewRepository("site", "acme")).full_name == "acme/site"


def test_what_gitlab_counts_no_further_is_listed_to_the_end(case: ForgeCase, forge: GitLabStandIn) -> None:
    forge.offset_limit = 200
    for number in range(450):
        forge.add_repository(f"acme/many-{number}", on_disk=False)
    names = [one.full_name for one in case.client().repositories()]
    assert len(names) == len(set(names)) == 452
    assert forge.asked[-1].query["pagination"] == "keyset"


@pytest.mark.parametrize("keyset", [True, False])
def test_a_server_that_counts_no_further_again_and_again_is_not_asked_again_and_again(
    case: ForgeCase, forge: GitLabStandIn, monkeypatch: pytest.MonkeyPatch, *, keyset: bool
) -> None:
    """It moves on by one project each time, as no GitLab does."""
    answered = forge.list_projects
    monkeypatch.setattr(paging, "MOST_PAGES", 30)

    def moving(asked: Asked) -> Reply:
        after = int(asked.query.get("id_after", 0))
        if "page" in asked.query or asked.query.get("cursor"):
            return Reply(405, {"error": "maximum allowed offset"})
        reply: Reply = answered(asked)
        reply.data = [{**reply.data[0], "id": after + 1}]
        link = f"{forge.url}{asked.path}?{'cursor=1' if keyset else f'id_after={after + 1}'}"
        reply.headers["Link"] = f'<{link}>; rel="next"'
        return reply

    monkeypatch.setattr(forge, "list_projects", moving)
    with pytest.raises(InvalidInput if keyset else TooMany):
        list(case.client().repositories())
    assert len(forge.asked) == (4 if keyset else 30)


def test_a_server_that_refuses_to_list_is_not_asked_forever(case: ForgeCase, forge: GitLabStandIn) -> None:
    forge.offset_limit = 0
    with pytest.raises(InvalidInput, match="maximum allowed offset"):
        list(case.client().repositories())


def test_what_did_not_change_is_not_sent_again(case: ForgeCase, forge: GitLabStandIn) -> None:
    client = wired(case, etags=Remembered())
    first = list(client.repositories())
    forge.asked.clear()
    assert list(client.repositories()) == first
    assert "if-none-match" in forge.asked[0].headers


def test_creating_for_oneself_and_for_nobody(case: ForgeCase) -> None:
    client = case.forge_client()
    assert client.create_repository(NewRepository("mine")).full_name == "ana/mine"
    with pytest.raises(NotFound, match="no group nowhere"):
        client.create_repository(NewRepository("x", "nowhere"))
    with pytest.raises(Conflict, match="already"):
        client.create_repository(NewRepository("mine"))


def test_archived_projects_are_changed_in_the_order_that_works(case: ForgeCase) -> None:
    client, site = case.forge_client(), case.id_of("acme/site")
    archived = client.change_repository(site, RepositoryChange(description="Old", archived=True))
    assert (archived.description, archived.archived) == ("Old", True)
    with pytest.raises(PermanentFailure, match="does not allow"):
        client.change_repository(site, RepositoryChange(description="Newer"))
    back = client.change_repository(site, RepositoryChange(visibility="private", archived=False))
    assert (back.visibility, back.archived) == ("private", False)
    assert client.change_repository(site, RepositoryChange()) == back


# --- limits and errors -----------------------------------------------------------------------------


def test_a_spent_limit(case: ForgeCase, forge: GitLabStandIn) -> None:
    forge.budget_left = 1
    with pytest.raises(RateLimited) as limited:
        case.client().identity()
    assert limited.value.retry_at is not None
    wait = limited.value.retry_at - dt.datetime.now(dt.UTC)
    assert dt.timedelta(seconds=20) < wait <= dt.timedelta(seconds=30)


def test_what_is_left_is_told_to_the_limiter(case: ForgeCase, forge: GitLabStandIn) -> None:
    told: list[Budget] = []

    class Listening:
        def ask(self, resource: str) -> None: ...
        def pause(self, resource: str, until: dt.datetime) -> None: ...
        def spent(self, resource: str, *, unchanged: bool) -> None: ...
        def told(self, budget: Budget) -> None:
            told.append(budget)

    forge.budget_left = 10
    wired(case, limiter=Listening()).repository(case.id_of("acme/site"))
    assert [(one.resource, one.limit) for one in told] == [("core", 2000)]
    assert told[0].remaining == forge.budget_left


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"ratelimit-limit": "60"},
        {"ratelimit-limit": "60", "ratelimit-remaining": "-1", "ratelimit-reset": "1"},
        {"ratelimit-limit": "60", "ratelimit-remaining": "5", "ratelimit-reset": "9" * 12},
        {"ratelimit-limit": "²", "ratelimit-remaining": "5", "ratelimit-reset": "1"},
    ],
)
def test_limits_that_make_no_sense(headers: dict[str, str]) -> None:
    assert DIALECT.budget(headers) is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"message": "404 Project Not Found"}, "404 Project Not Found."),
        ({"message": ["One.", "Two"]}, "One., Two."),
        ({"message": {"path": ["is too long"], "base": "x", "odd": {"a": 1}}}, "path is too long; base x."),
        ({"error": "insufficient_scope", "error_description": "More!"}, "More!"),
        ({"error": "404 Not Found"}, "404 Not Found."),
        ({"message": 7, "error": None}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_what_errors_say(data: Any, words: str) -> None:
    assert DIALECT.said(data) == words


@pytest.mark.parametrize(
    "field", ["description", "default_branch", "visibility", "topics", "statistics", "forked_from_project"]
)
@pytest.mark.parametrize("value", [None, 7, [], {}, "", [[]], {"repository_size": "x"}, True])
def test_odd_fields_of_a_project(field: str, value: Any) -> None:
    found = reading.repository({"id": 1, "path_with_namespace": "a/b", field: value})
    assert (found.external_id, found.full_name, found.usable) == ("1", "a/b", True)


@pytest.mark.parametrize(
    "data", [{"id": True, "path_with_namespace": "a/b"}, {"id": 1}, {"id": 1.5}, "x", None]
)
def test_what_is_no_project(data: Any) -> None:
    with pytest.raises(PermanentFailure, match="not a project"):
        reading.repository(data)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("2026-11-20T08:00:00.123Z", dt.datetime(2026, 11, 20, 8, 0, 0, 123000, dt.UTC)),
        ("2026-11-20", dt.datetime(2026, 11, 20, tzinfo=dt.UTC)),
        ("yesterday", None),
        (7, None),
    ],
)
def test_times(value: Any, found: dt.datetime | None) -> None:
    assert time_of(value) == found
