"""What only Gitea and Forgejo do, beside the contract."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import pytest

from opssight.core.errors import AuthFailure, InvalidInput, NotFound, PermanentFailure
from repos.git.remote import PasswordCredential
from repos.providers.forge import HookSpec, NewRepository, RepositoryChange
from repos.providers.gitea.provider import GiteaProvider
from repos.providers.gitea.webhook import GiteaScheme
from repos.providers.types import Push
from tests.forges.gitea import GiteaStandIn
from tests.forges.gitea_base import no_route
from tests.forges.standin import Hook, Reply
from tests.repos.git.work import git
from tests.repos.providers.forge_case import ForgeCase
from tests.repos.providers.gitea.conftest import TOKEN

pytestmark = pytest.mark.http_git
NOTHING = "0" * 40


def made(case: ForgeCase, url: str) -> GiteaProvider:
    provider = case.client(options={"url": url})
    assert isinstance(provider, GiteaProvider)
    return provider


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "repository"),
    [
        ("https://codeberg.org", "https://codeberg.org/acme/site.git"),
        ("https://codeberg.org/", "https://codeberg.org/acme/site.git"),
        ("https://example.org:8443/gitea/", "https://example.org:8443/gitea/acme/site.git"),
        ("https://example.org/api/v1", "https://example.org/acme/site.git"),
    ],
)
def test_addresses(case: ForgeCase, url: str, repository: str) -> None:
    anonymous = replace(case, secrets={}).client(options={"url": url})
    remote = anonymous.remote("1", "acme/site")
    assert (remote.url, remote.credential) == (repository, None)
    assert anonymous.origins == {remote.origin}


@pytest.mark.parametrize("url", ["codeberg", "ssh://git@codeberg.org", "/srv/git", "https://", "ftp://a.org"])
def test_addresses_that_are_none(case: ForgeCase, url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        made(case, url)
    assert [where for where, _ in refused.value.problems] == ["url"]


def test_the_context_needs_a_wire(case: ForgeCase) -> None:
    with pytest.raises(RuntimeError):
        GiteaProvider(case.options, case.secrets, replace(case.context, wire=None))


def test_git_goes_where_the_api_is(gitea: GiteaProvider, forge: GiteaStandIn, case: ForgeCase) -> None:
    """Not to the address that the server believes to have."""
    remote = gitea.remote(case.id_of("acme/site"), "acme/site")
    assert remote.url == f"{forge.url}/acme/site.git"
    assert remote.credential == PasswordCredential("ana", TOKEN)


@pytest.mark.parametrize("name", ["site", "acme/site/x", "../etc", "acme/..", "acme/a b", "acme/x?y", ""])
def test_names_that_are_none(gitea: GiteaProvider, name: str) -> None:
    with pytest.raises(InvalidInput):
        gitea.remote("1", name)


@pytest.mark.parametrize("number", ["", "1/../2", "acme/site", "-1", "²"])
def test_numbers_that_are_none(gitea: GiteaProvider, forge: GiteaStandIn, number: str) -> None:
    with pytest.raises(NotFound):
        gitea.repository(number)
    assert forge.asked == []


def test_a_token_that_is_renewed_is_used_for_git_too(case: ForgeCase) -> None:
    assert case.context.wire is not None
    wire = replace(case.context.wire, tokens=Renewing())
    provider = GiteaProvider(case.options, {}, replace(case.context, wire=wire))
    remote = provider.remote("1", "acme/site")
    assert remote.credential == PasswordCredential("ana", TOKEN)


@dataclass
class Renewing:
    token: str = "expired"

    def current(self) -> str:
        return self.token

    def renewed(self, refused: str) -> str:
        self.token = TOKEN
        return TOKEN


# --- who we are -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "words"),
    [
        ("1.24.6", "Gitea 1.24.6"),
        ("1.25.0+dev-12-gabcdef", "Gitea 1.25.0"),
        ("12.0.1+gitea-1.22.0", "Forgejo 12.0.1"),
    ],
)
def test_which_server_it_is(gitea: GiteaProvider, forge: GiteaStandIn, version: str, words: str) -> None:
    forge.version = version
    identity = gitea.identity()
    assert identity.account == "ana"
    assert identity.detail == f"{words} at 127.0.0.1:{forge.port}"
    assert (identity.scopes, dict(identity.may)) == (None, {})  # a token cannot ask what it may


@pytest.mark.parametrize("reply", [no_route(), Reply(403, {"message": "no"}), Reply(200, {"version": 7})])
def test_a_version_that_is_not_told(gitea: GiteaProvider, forge: GiteaStandIn, reply: Reply) -> None:
    forge.next_replies = [Reply(200, {"id": 1, "login": "ana"}), reply]
    assert gitea.identity().detail == f"Gitea at 127.0.0.1:{forge.port}"


def test_a_scope_that_is_missing_is_named(case: ForgeCase, forge: GiteaStandIn) -> None:
    forge.add_token("reader", "ana", scopes=["read:user", "read:repository"])
    reader = case.with_token("reader").client()
    assert isinstance(reader, GiteaProvider)
    site = next(one for one in reader.repositories() if one.full_name == "acme/site")
    with pytest.raises(PermanentFailure, match="needs the scope write:repository"):
        reader.change_repository(site.external_id, RepositoryChange(description="x"))
    with pytest.raises(PermanentFailure, match="needs the scope write:user"):
        reader.create_repository(NewRepository("fresh"))


def test_without_a_token(case: ForgeCase) -> None:
    with pytest.raises(AuthFailure):
        replace(case, secrets={}).client().identity()


# --- lists ----------------------------------------------------------------------------------------


def test_a_server_that_gives_less_than_asked_for(gitea: GiteaProvider, forge: GiteaStandIn) -> None:
    forge.most_items = 7
    for number in range(40):
        forge.add_repository(f"acme/r{number}", on_disk=False)
    assert len(list(gitea.repositories())) == 42
    pages = [asked.query["page"] for asked in forge.asked if asked.path == "/api/v1/user/repos"]
    assert sorted(map(int, pages)) == [1, 2, 3, 4, 5, 6]


def test_lists_without_links(gitea: GiteaProvider, forge: GiteaStandIn, case: ForgeCase) -> None:
    forge.most_items = 2
    site = case.id_of("acme/site")
    for number in range(5):
        gitea.create_hook(site, HookSpec(f"https://ops.example.org/{number}/", "s"))
    forge.asked.clear()
    assert len(gitea.hooks(site)) == 5
    assert len([asked for asked in forge.asked if asked.path.endswith("/hooks")]) == 3  # by X-Total-Count


def test_a_list_that_is_none(gitea: GiteaProvider, forge: GiteaStandIn, case: ForgeCase) -> None:
    site = case.id_of("acme/site")
    forge.next_replies = [forge.answer(last(forge)), Reply(200, {"hooks": []})]
    with pytest.raises(PermanentFailure, match="not a list"):
        gitea.hooks(site)


def last(forge: GiteaStandIn, path: str = "") -> Any:
    """The last request, for another path."""
    repo = forge.named("acme/site")
    assert repo is not None
    return replace(forge.asked[-1], method="GET", path=path or f"/api/v1/repositories/{repo.id}", query={})


def test_search_asks_for_those_of_the_account(gitea: GiteaProvider, forge: GiteaStandIn) -> None:
    assert [one.full_name for one in gitea.search("SIT")] == ["acme/site"]
    assert forge.asked[-1].query["uid"] == str(forge.people["ana"].id)


# --- repositories ---------------------------------------------------------------------------------


def test_own_and_organizations_repositories(gitea: GiteaProvider) -> None:
    assert gitea.create_repository(NewRepository("one")).full_name == "ana/one"
    assert gitea.create_repository(NewRepository("two", "ANA")).full_name == "ana/two"
    assert gitea.create_repository(NewRepository("three", "acme", visibility="public")).visibility == "public"
    with pytest.raises(NotFound):
        gitea.create_repository(NewRepository("four", "nobody"))
    with pytest.raises(InvalidInput, match="AlphaDashDot"):
        gitea.create_repository(NewRepository("five six"))


def test_nothing_is_internal(gitea: GiteaProvider, forge: GiteaStandIn) -> None:
    with pytest.raises(InvalidInput) as refused:
        gitea.create_repository(NewRepository("one", visibility="internal"))
    assert refused.value.problems[0][0] == "visibility"
    assert forge.asked == []


def test_a_default_branch_that_is_passed_over(gitea: GiteaProvider, case: ForgeCase) -> None:
    with pytest.raises(NotFound, match="acme/site has no branch nowhere"):
        gitea.change_repository(case.id_of("acme/site"), RepositoryChange(default_branch="nowhere"))


# --- webhooks -------------------------------------------------------------------------------------


def test_a_changed_webhook_keeps_its_events(
    gitea: GiteaProvider, forge: GiteaStandIn, case: ForgeCase
) -> None:
    site = case.id_of("acme/site")
    hook = gitea.create_hook(site, HookSpec("https://ops.example.org/1/", "old"))
    repo = forge.named("acme/site")
    assert repo is not None
    repo.hooks[hook.external_id].active = False
    changed = gitea.update_hook(site, hook.external_id, HookSpec("https://ops.example.org/1/", "new"))
    assert (changed.active, changed.events) == (True, hook.events)
    assert repo.hooks[hook.external_id].secret == "new"


def test_webhooks_of_chats_are_not_shown(gitea: GiteaProvider, forge: GiteaStandIn, case: ForgeCase) -> None:
    repo = forge.named("acme/site")
    assert repo is not None
    chat = {"id": 5, "type": "slack", "config": {"url": "https://hooks.slack.com/canary"}, "active": True}
    repo.more["chat_hooks"] = [chat]
    assert gitea.hooks(case.id_of("acme/site")) == []


def test_what_a_server_sends(gitea: GiteaProvider, forge: GiteaStandIn, case: ForgeCase) -> None:
    """A branch that is made, changed by many commits, and deleted; an organization's hook says all twice."""
    site = case.id_of("acme/site")
    gitea.create_hook(site, HookSpec("http://127.0.0.1:9/", "secret"))
    forge.organization_hooks = [Hook("9", "http://127.0.0.1:9/", "secret", ["push", "delete"])]
    remote = gitea.remote(site, "acme/site")
    assert isinstance(remote.credential, PasswordCredential)
    url = remote.url.replace("://", f"://ana:{remote.credential.password}@")
    clone = case.context.git.home.parent / "clone"
    git("clone", "-q", url, str(clone), cwd=clone.parent)
    git("checkout", "-q", "-b", "next", cwd=clone)
    git("push", "-q", url, "next", cwd=clone)
    for number in range(7):
        git("commit", "-q", "--allow-empty", "-m", f"change {number}", cwd=clone)
    git("push", "-q", url, "next", cwd=clone)
    git("push", "-q", url, ":next", cwd=clone)
    forge.wait_until_sent(6)
    scheme = GiteaScheme()
    pushes: list[Push] = []
    for sent in forge.sent:
        headers = {name.lower(): value for name, value in sent.headers.items()}
        assert scheme.verify(headers, sent.body, ["secret"])
        pushes += scheme.parse(headers, sent.body).pushes
    assert {push.ref for push in pushes} == {"refs/heads/next"}
    start, head = git("rev-parse", "main", cwd=clone), git("rev-parse", "next", cwd=clone)
    expected = [(NOTHING, start), (start, head), ("", NOTHING)]
    assert [(push.before, push.after) for push in pushes] == [pair for pair in expected for _ in range(2)]
    assert len({sent.headers["X-Gitea-Delivery"] for sent in forge.sent}) == 6


# --- odd answers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [None, [], 7, {"login": 7}, {"login": ""}])
def test_a_user_that_is_none(gitea: GiteaProvider, forge: GiteaStandIn, data: object) -> None:
    forge.next_replies = [Reply(200, data, raw=b"null" if data is None else None)]
    with pytest.raises(PermanentFailure, match="not a user"):
        gitea.identity()


def test_a_link_is_followed_by_its_number_only(gitea: GiteaProvider, forge: GiteaStandIn) -> None:
    repo = forge.named("acme/site")
    assert repo is not None
    shown = forge.show_repository(repo)
    link = '<http://169.254.169.254/x?token=1&page=2&limit=50>; rel="next",<x?page=2>; rel="last"'
    forge.next_replies = [Reply(200, [shown], {"Link": link}), Reply(200, [shown, {**shown, "id": 99}])]
    assert len(list(gitea.repositories())) == 2  # the first one moved to the second page meanwhile
    assert [(asked.path, asked.query) for asked in forge.asked] == [
        ("/api/v1/user/repos", {"page": str(page), "limit": "50"}) for page in (1, 2)
    ]
