"""What only Bitbucket Cloud does."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

import httpx
import pytest

from opssight.core.errors import (
    AuthFailure,
    Conflict,
    InvalidInput,
    NotFound,
    PermanentFailure,
    RateLimited,
    TransientFailure,
)
from repos.git.remote import PasswordCredential
from repos.providers.bitbucket import reading
from repos.providers.bitbucket.provider import BitbucketProvider
from repos.providers.forge import (
    Check,
    CheckState,
    HookSpec,
    NewPull,
    NewRepository,
    NotOffered,
    PullChange,
    RepositoryChange,
)
from repos.providers.http import Wire
from repos.providers.registry import scheme_named
from repos.providers.types import Context, Need, PipelineState, PullState
from repos.providers.wire import FixedToken
from tests.forges.bitbucket import BitbucketStandIn
from tests.forges.standin import Reply, Repo
from tests.repos.git.work import git as plain_git
from tests.repos.providers.bitbucket.conftest import EMAIL, NOBODY, TOKEN
from tests.repos.providers.forge_case import ForgeCase, push, with_branch

pytestmark = pytest.mark.http_git
ACCESS_TOKEN = "ATCTT3x-canary-55b1"


@pytest.fixture
def client(case: ForgeCase) -> BitbucketProvider:
    return cast("BitbucketProvider", case.forge_client())


@pytest.fixture
def site(forge: BitbucketStandIn) -> Repo:
    found = forge.named("acme/site")
    assert found is not None
    return found


@pytest.fixture
def access_token(case: ForgeCase, forge: BitbucketStandIn) -> ForgeCase:
    forge.add_token(ACCESS_TOKEN, "", workspace="acme", scopes=["repository:write", "repository", "webhook"])
    options = {"url": forge.url, "workspaces": ["acme"]}
    return replace(case, options=options, secrets={"token": ACCESS_TOKEN})


def refused(options: dict[str, Any], secrets: dict[str, str], context: Context) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as failure:
        BitbucketProvider(options, secrets, context)
    return failure.value.problems


# --- options and credentials ----------------------------------------------------------------------


def test_addresses_of_bitbucket_itself(context: Context) -> None:
    client = BitbucketProvider({}, {"token": TOKEN}, context)
    assert client.origins == {"https://bitbucket.org", "https://api.bitbucket.org"}
    assert client.remote(f"{NOBODY}/{NOBODY}", "acme/site").url == "https://bitbucket.org/acme/site.git"


def test_people_allow_us_in_at_bitbucket_itself() -> None:
    oauth = BitbucketProvider.oauth
    assert (
        f"{BitbucketProvider.site_of('')}{oauth.authorize}" == "https://bitbucket.org/site/oauth2/authorize"
    )
    assert all(reading.may(oauth.scopes).values())


def test_app_passwords_are_refused(context: Context) -> None:
    [(field, sentence)] = refused({"email": "ana"}, {"token": "ATBBx"}, context)
    assert field == "email"
    assert "Atlassian ended app passwords in 2026" in sentence


def test_what_is_missing_or_odd(context: Context) -> None:
    assert [field for field, _ in refused({}, {}, context)] == ["token"]
    for url in (
        "bitbucket.org",
        "ssh://bitbucket.org",
        "https://",
        "https://a:b@c",
        "https://x:y",
        "https://x?y",
    ):
        assert [field for field, _ in refused({"url": url}, {"token": TOKEN}, context)] == ["url"]
    with pytest.raises(RuntimeError):
        BitbucketProvider({}, {"token": TOKEN}, replace(context, wire=None))


def test_an_api_token_is_sent_with_its_email(client: BitbucketProvider, forge: BitbucketStandIn) -> None:
    assert client.identity().account == "ana"
    assert forge.asked[-1].headers["authorization"].startswith("Basic ")
    credential = client.remote(f"{NOBODY}/{NOBODY}", "acme/site").credential
    assert isinstance(credential, PasswordCredential)
    assert (credential.username, credential.password) == ("x-bitbucket-api-token-auth", TOKEN)


def test_an_access_token_belongs_to_a_workspace(access_token: ForgeCase, forge: BitbucketStandIn) -> None:
    client = access_token.client()
    identity = client.identity()
    assert (identity.account, identity.detail) == ("acme", "access token")
    assert identity.may[Need.WRITE]
    assert not identity.may[Need.PULL_REQUESTS]
    assert {one.full_name for one in client.repositories()} == {"acme/site", "acme/empty"}
    assert forge.asked[-1].headers["authorization"] == f"Bearer {ACCESS_TOKEN}"
    push(access_token, client.remote(access_token.id_of("acme/site"), "acme/site"))
    assert forge.pushes == 1


def test_an_access_token_without_workspace_is_explained(
    access_token: ForgeCase, forge: BitbucketStandIn
) -> None:
    client = replace(access_token, options={"url": forge.url}).client()
    for ask in (client.identity, lambda: list(client.repositories())):
        with pytest.raises(PermanentFailure, match="workspace named under Workspaces"):
            ask()


def test_an_access_token_that_is_refused(access_token: ForgeCase) -> None:
    with pytest.raises(AuthFailure):
        replace(access_token, secrets={"token": "other"}).client().identity()


def test_tokens_of_oauth_need_no_secret(case: ForgeCase, forge: BitbucketStandIn) -> None:
    forge.add_token("oauth-1", "bea", scopes=["account", "repository"])
    wire = Wire(client=lambda base: httpx.Client(timeout=10, trust_env=False), tokens=FixedToken("oauth-1"))
    client = BitbucketProvider({"url": forge.url}, {}, replace(case.context, wire=wire))
    assert client.identity().account == "bea"
    credential = client.remote(f"{NOBODY}/{NOBODY}", "acme/site").credential
    assert credential == PasswordCredential("x-token-auth", "oauth-1")


def test_scopes_say_what_may_be_done(client: BitbucketProvider, forge: BitbucketStandIn) -> None:
    assert all(client.identity().may[need] for need in Need)
    forge.tokens[TOKEN].scopes = ["read:user:bitbucket", "read:repository:bitbucket"]
    identity = client.identity()
    assert identity.scopes == ("read:user:bitbucket", "read:repository:bitbucket")
    assert [need for need in Need if identity.may[need]] == [Need.READ, Need.STATUSES]


def test_what_a_token_may_not_names_the_scope(
    client: BitbucketProvider, forge: BitbucketStandIn, site: Repo
) -> None:
    [found] = [one for one in client.repositories() if one.full_name == "acme/site"]
    forge.tokens[TOKEN].scopes = ["read:repository:bitbucket"]
    with pytest.raises(PermanentFailure, match="It needs: read:webhook:bitbucket"):
        client.hooks(found.external_id)


def test_scopes_that_are_not_told(client: BitbucketProvider, forge: BitbucketStandIn) -> None:
    forge.next_replies = [Reply(200, {"display_name": "Ana"})]
    identity = client.identity()
    assert (identity.account, identity.scopes, identity.may) == ("Ana", None, {})


def test_the_limit_of_an_hour(client: BitbucketProvider, forge: BitbucketStandIn) -> None:
    forge.budget_left = 1
    with pytest.raises(RateLimited) as limited:
        list(client.repositories())
    assert limited.value.retry_at is not None
    assert limited.value.retry_at > dt.datetime.now(dt.UTC) + dt.timedelta(seconds=30)


# --- repositories ---------------------------------------------------------------------------------


def test_only_what_is_needed_is_asked_for(client: BitbucketProvider, forge: BitbucketStandIn) -> None:
    list(client.repositories())
    listed = [asked for asked in forge.asked if asked.path.startswith("/2.0/repositories/")]
    assert len(listed) == 1
    assert listed[0].query["pagelen"] == "100"
    assert "links.clone" not in listed[0].query["fields"]


def test_ids_survive_a_new_name_of_the_workspace(
    client: BitbucketProvider, forge: BitbucketStandIn, site: Repo
) -> None:
    [before] = [one for one in client.repositories() if one.full_name == "acme/site"]
    forge.workspaces["umbrella"] = forge.workspaces.pop("acme")
    for repo in list(forge.repositories.values()):
        forge.rename(repo, f"umbrella/{repo.name}")
    assert client.repository(before.external_id).full_name == "umbrella/site"


@pytest.mark.parametrize("wrong", ["", "1", "acme/site", f"{NOBODY}/../x", f"{NOBODY}/{NOBODY}/x"])
def test_what_is_no_id_is_not_asked_for(
    client: BitbucketProvider, forge: BitbucketStandIn, wrong: str
) -> None:
    with pytest.raises(NotFound):
        client.repository(wrong)
    assert forge.asked == []


def test_workspaces_may_be_named(case: ForgeCase, forge: BitbucketStandIn) -> None:
    forge.add_repository("other/docs")
    assert len(list(case.client().repositories())) == 3
    named = case.client(options={**case.options, "workspaces": ["other"]})
    assert [one.full_name for one in named.repositories()] == ["other/docs"]


def test_a_next_page_elsewhere_is_not_followed(client: BitbucketProvider, forge: BitbucketStandIn) -> None:
    forge.next_replies = [Reply(200, {"values": [], "next": "http://169.254.169.254/2.0/user/workspaces"})]
    with pytest.raises(PermanentFailure, match="another server"):
        list(client.repositories())


def test_what_was_removed_is_not_asked_for(forge: BitbucketStandIn) -> None:
    pair = httpx.BasicAuth(EMAIL, TOKEN)
    for path in ("repositories", "workspaces", "user/permissions/repositories"):
        assert httpx.get(f"{forge.url}/2.0/{path}", auth=pair).status_code == 410


def test_search_takes_words_as_they_are(client: BitbucketProvider, forge: BitbucketStandIn) -> None:
    assert [one.full_name for one in client.search("SITE")] == ["acme/site"]
    assert list(client.search('" OR name ~ "')) == []
    assert json.loads(forge.asked[-1].query["q"].removeprefix("full_name ~ ")) == '" OR name ~ "'


def test_new_repositories_need_a_workspace(client: BitbucketProvider, forge: BitbucketStandIn) -> None:
    assert client.create_repository(NewRepository("My Site!")).full_name == "acme/my-site-"
    forge.add_repository("other/docs")
    with pytest.raises(InvalidInput, match="workspace"):
        client.create_repository(NewRepository("third"))
    with pytest.raises(InvalidInput, match="public and private"):
        client.create_repository(NewRepository("third", "acme", visibility="internal"))


def test_nothing_can_be_archived(client: BitbucketProvider, case: ForgeCase) -> None:
    with pytest.raises(NotOffered):
        client.change_repository(case.id_of("acme/site"), RepositoryChange(archived=True))


# --- pull requests --------------------------------------------------------------------------------


def test_commits_are_told_in_full(
    client: BitbucketProvider, case: ForgeCase, site: Repo, forge: BitbucketStandIn
) -> None:
    external_id = with_branch(case, "change")
    opened = client.open_pull(external_id, NewPull("change", "main", "A change"))
    assert opened.head_oid == forge.bare(site).oid("refs/heads/change")
    assert [one.head_oid for one in client.pulls(external_id)] == [""]
    merged = client.merge_pull(external_id, opened.number, "squash", message="Squashed")
    assert merged.merge_oid == forge.bare(site).oid("refs/heads/main")
    assert plain_git("log", "-1", "--format=%s %p", "main", cwd=forge.bare(site).path).startswith("Squashed ")
    assert client.merge_pull(external_id, opened.number, "merge") == merged


def test_a_change_keeps_what_it_does_not_name(client: BitbucketProvider, case: ForgeCase, site: Repo) -> None:
    external_id = with_branch(case, "change")
    new = NewPull("change", "main", "A change", "Two\nlines", draft=True, reviewers=["bea"])
    opened = client.open_pull(external_id, new)
    changed = client.change_pull(external_id, opened.number, PullChange(title="Better"))
    assert (changed.title, changed.body, changed.draft) == ("Better", "Two\nlines", True)
    assert site.pulls[opened.number]["reviewers"] == ["bea"]
    client.change_pull(external_id, opened.number, PullChange(reviewers=[]))
    assert site.pulls[opened.number]["reviewers"] == []


def test_somebody_who_is_not_there(client: BitbucketProvider, case: ForgeCase, site: Repo) -> None:
    external_id = with_branch(case, "change")
    with pytest.raises(InvalidInput, match="nobody called carl"):
        client.open_pull(external_id, NewPull("change", "main", "A change", reviewers=["carl", "bea"]))
    assert site.pulls[1]["reviewers"] == ["bea"]


def test_people_by_their_ids(
    client: BitbucketProvider, case: ForgeCase, site: Repo, forge: BitbucketStandIn
) -> None:
    external_id = with_branch(case, "change")
    names = [forge.people["bea"]["uuid"], forge.people["ana"]["account_id"]]
    client.open_pull(external_id, NewPull("change", "main", "A change", reviewers=names))
    assert sorted(site.pulls[1]["reviewers"]) == ["ana", "bea"]


def test_labels_and_assignees_are_not_offered(client: BitbucketProvider) -> None:
    with pytest.raises(NotOffered):
        client.open_pull(f"{NOBODY}/{NOBODY}", NewPull("a", "b", "c", labels=["x"]))
    with pytest.raises(NotOffered):
        client.change_pull(f"{NOBODY}/{NOBODY}", 1, PullChange(assignees=["bea"]))


def test_merging_what_does_not_fit(
    client: BitbucketProvider, case: ForgeCase, site: Repo, forge: BitbucketStandIn
) -> None:
    external_id = with_branch(case, "change")
    number = client.open_pull(external_id, NewPull("change", "main", "A change")).number
    forge.bare(site).commit({b"change.txt": b"other\n"})
    for method in ("merge", "squash", "rebase"):
        with pytest.raises(Conflict):
            client.merge_pull(external_id, number, method)
    client.close_pull(external_id, number)
    with pytest.raises(Conflict, match="closed"):
        client.merge_pull(external_id, number, "merge")


def test_rebase_takes_what_the_branch_allows(
    client: BitbucketProvider, case: ForgeCase, forge: BitbucketStandIn
) -> None:
    external_id = with_branch(case, "change")
    number = client.open_pull(external_id, NewPull("change", "main", "A change")).number
    merged = client.merge_pull(external_id, number, "rebase")
    assert merged.merge_oid == merged.head_oid
    [asked] = [one for one in forge.asked if one.path.endswith("/merge")]
    assert asked.json["merge_strategy"] == "fast_forward"


def test_a_merge_that_takes_longer(
    client: BitbucketProvider, case: ForgeCase, forge: BitbucketStandIn
) -> None:
    external_id = with_branch(case, "change")
    number = client.open_pull(external_id, NewPull("change", "main", "A change")).number
    forge.merge_later = True
    with pytest.raises(TransientFailure):
        client.merge_pull(external_id, number, "merge")


def test_a_fork_with_the_same_branch_is_not_ours(
    client: BitbucketProvider, case: ForgeCase, site: Repo
) -> None:
    external_id = with_branch(case, "change")
    client.open_pull(external_id, NewPull("change", "main", "A change"))
    site.more["uuid"], before = NOBODY, site.more["uuid"]
    elsewhere = external_id.replace(before, NOBODY)
    assert client.find_pull(elsewhere, "change", "main") is not None
    data = {"id": 1, "source": {"repository": {"uuid": f"{{{before}}}"}}}
    assert isinstance(case.forge, BitbucketStandIn)
    case.forge.next_replies = [Reply(200, {"values": [data]})]
    assert client.find_pull(elsewhere, "change", "main") is None


def test_closed_ones(client: BitbucketProvider, case: ForgeCase, forge: BitbucketStandIn) -> None:
    external_id = with_branch(case, "change")
    for _ in range(2):
        number = client.open_pull(external_id, NewPull("change", "main", "A change")).number
        client.close_pull(external_id, number)
    assert [one.number for one in client.pulls(external_id, PullState.CLOSED)] == [2, 1]
    assert forge.asked[-1].raw_query.startswith("state=DECLINED&state=SUPERSEDED&")


# --- builds and hooks -----------------------------------------------------------------------------


def test_names_of_checks_are_longer_than_keys(client: BitbucketProvider, case: ForgeCase, site: Repo) -> None:
    external_id = case.id_of("acme/site")
    assert isinstance(case.forge, BitbucketStandIn)
    oid = case.forge.bare(site).oid("refs/heads/main")
    names = [f"opssight/{'x' * 60}/{end}" for end in "ab"]
    for name in names:
        client.set_check(external_id, oid, Check(name, CheckState.ERROR))
    assert sorted(one.name for one in client.checks(external_id, oid)) == names
    assert {one.state for one in client.checks(external_id, oid)} == {CheckState.FAILURE}


def run(number: int, state: dict[str, Any], branch: str = "main") -> dict[str, Any]:
    return {
        "uuid": f"{{00000000-0000-4000-8000-{number:012}}}",
        "build_number": number,
        "state": state,
        "target": {"ref_name": branch, "commit": {"hash": "a" * 40}, "selector": {"type": "default"}},
        "repository": {"full_name": "acme/site"},
        "created_on": f"2026-11-{1 + number // 24:02}T{number % 24:02}:00:00.123456789Z",
        "completed_on": None,
    }


def test_pipelines_have_no_next_page(
    client: BitbucketProvider, case: ForgeCase, site: Repo, forge: BitbucketStandIn
) -> None:
    external_id = case.id_of("acme/site")
    done = {"name": "COMPLETED", "result": {"name": "SUCCESSFUL"}}
    site.pipelines = [run(number, done, "main" if number % 3 else "next") for number in range(1, 251)]
    found = list(client.pipelines(external_id))
    assert len(found) == 250
    assert (found[0].url, found[0].state) == (
        f"{forge.url}/acme/site/pipelines/results/250",
        PipelineState.SUCCEEDED,
    )
    assert {one.ref for one in client.pipelines(external_id, ref="next")} == {"next"}
    before = len(forge.asked)
    since = found[20].created_at
    assert len(list(client.pipelines(external_id, since=since))) == 21
    assert len(forge.asked) == before + 1


def test_one_delivery_for_all_refs_of_a_push(
    client: BitbucketProvider, case: ForgeCase, site: Repo, forge: BitbucketStandIn
) -> None:
    external_id = with_branch(case, "old")
    bare = forge.bare(site)
    client.create_hook(external_id, HookSpec("http://127.0.0.1:9/", "s3cret"))
    before = bare.refs()
    bare.git("tag", "-a", "v1", "main", "-m", "one")
    bare.git("branch", "new", "main")
    bare.git("branch", "-D", "old")
    forge.pushed("acme/site.git", before, bare.refs())
    forge.wait_until_sent(1)
    sent = forge.sent[0]
    headers = {name.lower(): value for name, value in sent.headers.items()}
    scheme = scheme_named("bitbucket")
    assert scheme.verify(headers, sent.body, ["s3cret"])
    parsed = scheme.parse(headers, sent.body)
    main, nothing = bare.oid("refs/heads/main"), "0" * 40
    assert (parsed.repository_id, parsed.repository_name) == (external_id, "acme/site")
    assert parsed.delivery_id == headers["x-request-uuid"]
    assert [(one.ref, one.before, one.after, one.by) for one in parsed.pushes] == [
        ("refs/heads/new", nothing, main, "ana"),
        ("refs/heads/old", before["refs/heads/old"], nothing, "ana"),
        ("refs/tags/v1", nothing, "", "ana"),
    ]


def test_a_hook_keeps_no_old_secret(client: BitbucketProvider, case: ForgeCase, site: Repo) -> None:
    external_id = case.id_of("acme/site")
    made = client.create_hook(external_id, HookSpec("https://ops.example.org/1/", "first"))
    site.hooks[made.external_id].active = False
    assert client.hooks(external_id)[0].disabled
    assert client.update_hook(
        external_id, made.external_id, HookSpec("https://ops.example.org/1/", "second")
    ).active
    assert site.hooks[made.external_id].secret == "second"
    with pytest.raises(NotFound):
        client.update_hook(external_id, "1", HookSpec("https://ops.example.org/1/", "x"))


Asks = Callable[[BitbucketProvider, str], object]
ASKS: list[Asks] = [
    lambda client, id: client.repository(id),
    lambda client, id: list(client.search("x")),
    lambda client, id: client.create_repository(NewRepository("x", "acme")),
    lambda client, id: client.pull(id, 1),
    lambda client, id: client.find_pull(id, "a", "b"),
    lambda client, id: list(client.pulls(id)),
    lambda client, id: client.open_pull(id, NewPull("a", "b", "c", reviewers=["bea"])),
    lambda client, id: client.change_pull(id, 1, PullChange(title="x")),
    lambda client, id: client.merge_pull(id, 1, "rebase"),
    lambda client, id: client.checks(id, "a" * 40),
    lambda client, id: list(client.pipelines(id)),
    lambda client, id: client.hooks(id),
    lambda client, id: client.create_hook(id, HookSpec("https://x.example.org", "s")),
]


def test_odd_answers(client: BitbucketProvider, forge: BitbucketStandIn) -> None:
    odd: list[Any] = [
        None,
        [],
        "x",
        7,
        {},
        {"values": [7]},
        {"values": [{}]},
        {"id": 1, "source": 7, "state": []},
    ]
    for ask, data in itertools.product(ASKS, odd):
        forge.next_replies = [Reply(200, data)] * 9
        with suppress(PermanentFailure, TransientFailure, Conflict):
            ask(client, f"{NOBODY}/{NOBODY}")
