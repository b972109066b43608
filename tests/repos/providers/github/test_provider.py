"""What only GitHub does: addresses, tokens, limits, refusals, checks, runs and webhooks."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from opssight.core.errors import InvalidInput, NotFound, PermanentFailure, RateLimited
from repos.git.fetching import look
from repos.git.remote import PasswordCredential
from repos.providers.forge import Check, CheckState, HookSpec, NewRepository, RepositoryChange
from repos.providers.github import dialect
from repos.providers.github.provider import GitHubProvider
from repos.providers.types import Context, Need, PipelineState
from repos.providers.wire import FixedToken
from tests.forges.github import GitHubStandIn
from tests.forges.standin import Reply, Repo
from tests.repos.providers.forge_case import ForgeCase
from tests.repos.providers.github.conftest import TOKEN

FINE = "github_pat_canary0123456789abcdef"


def site(forge: GitHubStandIn) -> Repo:
    repo = forge.named("acme/site")
    assert repo is not None
    return repo


def with_token(case: ForgeCase, value: str) -> GitHubProvider:
    provider = case.with_token(value).client()
    assert isinstance(provider, GitHubProvider)
    return provider


# --- limits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("named", "resource"),
    [("graphql", "graphql"), ("code_search", "code_search"), ("", "core"), ("made-up-7", "core")],
)
def test_a_limit_has_a_name_that_github_gives(named: str, resource: str) -> None:
    """Each name makes a row."""
    headers = {"limit": "60", "remaining": "7", "reset": "1900000000", "resource": named}
    told = dialect.budget({f"x-ratelimit-{name}": value for name, value in headers.items()})
    assert told is not None
    assert (told.resource, told.remaining) == (resource, 7)


# --- addresses -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "git", "api"),
    [
        ("", "https://github.com", "https://api.github.com"),
        ("https://github.com/", "https://github.com", "https://api.github.com"),
        ("https://api.github.com", "https://github.com", "https://api.github.com"),
        ("http://www.github.com", "https://github.com", "https://api.github.com"),
        ("https://acme.ghe.com", "https://acme.ghe.com", "https://api.acme.ghe.com"),
        ("https://GitHub.example.org", "https://github.example.org", "https://github.example.org"),
        (
            "https://github.example.org:8443/",
            "https://github.example.org:8443",
            "https://github.example.org:8443",
        ),
    ],
)
def test_where_git_and_the_api_are(case: ForgeCase, url: str, git: str, api: str) -> None:
    provider = GitHubProvider({"url": url}, {"token": TOKEN}, case.context)
    assert provider.origins == {git, api}
    remote = provider.remote("1", "acme/site")
    assert remote.url == f"{git}/acme/site.git"
    assert remote.credential == PasswordCredential("x-access-token", TOKEN)


@pytest.mark.parametrize(
    "url",
    [
        "github.example.org", "https://github.example.org/api/v3", "https://ana:secret@github.example.org",
        "ssh://git@github.example.org", "https://github.example.org?x=1", "https://", "/srv/git",
        "git@host:x",
    ],
)  # fmt: skip
def test_what_is_not_the_address_of_a_server(case: ForgeCase, url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        GitHubProvider({"url": url}, {}, case.context)
    [(field, sentence)] = refused.value.problems
    assert field == "url"
    assert "https://github.example.org" in sentence


def test_a_context_without_a_wire_is_a_mistake_of_ours(case: ForgeCase) -> None:
    with pytest.raises(RuntimeError):
        GitHubProvider({}, {}, replace(case.context, wire=None))


def test_a_name_cannot_lead_git_elsewhere(github: GitHubProvider) -> None:
    for name in ("../../elsewhere", "acme/..", "acme/site/x", "acme", "-x/y z"):
        with pytest.raises(InvalidInput):
            github.remote("1", name)


# --- tokens ----------------------------------------------------------------------------------------


def test_classic_token_tells_scopes_and_its_end(forge: GitHubStandIn, github: GitHubProvider) -> None:
    ends = dt.datetime(2031, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    forge.tokens[TOKEN].expires_at = ends
    identity = github.identity()
    assert (identity.account, identity.scopes, identity.expires_at) == ("ana", ("repo", "delete_repo"), ends)
    assert identity.may == dict.fromkeys(Need, True)
    assert identity.detail == f"Ana at {forge.url.removeprefix('http://')}"


def test_fine_grained_token_tells_no_scopes(forge: GitHubStandIn, case: ForgeCase) -> None:
    forge.add_token(FINE, "ana")
    github = with_token(case, FINE)
    identity = github.identity()
    assert (identity.scopes, identity.may, identity.expires_at) == (None, {}, None)
    assert {one.full_name for one in github.repositories()} == case.expected


def test_organizations_behind_single_sign_on_are_told(forge: GitHubStandIn, github: GitHubProvider) -> None:
    forge.hidden = [21955855, 20582480]
    detail = github.identity().detail
    assert "2 organizations hide their repositories until the token is authorized" in detail


@pytest.mark.http_git
def test_a_renewed_token_is_used_for_the_api_and_for_git(forge: GitHubStandIn, case: ForgeCase) -> None:
    """OAuth gives the tokens: what stands in the secrets is the past."""
    forge.tokens[TOKEN].revoked = True
    forge.add_token("gho_canary0123456789fresh", "ana", scopes=["repo"])
    assert case.context.wire is not None
    wire = replace(case.context.wire, tokens=FixedToken("gho_canary0123456789fresh"))
    context: Context = replace(case.context, wire=wire)
    github = GitHubProvider(case.options, case.secrets, context)
    assert github.identity().account == "ana"
    remote = github.remote(str(site(forge).id), "acme/site")
    assert look(context.git, context.vet(remote)).head == b"refs/heads/main"


def test_without_a_token_git_is_anonymous(forge: GitHubStandIn, case: ForgeCase) -> None:
    github = GitHubProvider(case.options, {}, case.context)
    assert github.remote("1", "acme/site").credential is None


# --- listing and limits ----------------------------------------------------------------------------


def test_a_second_listing_costs_nothing(forge: GitHubStandIn, case: ForgeCase) -> None:
    for number in range(350):
        forge.add_repository(f"acme/many-{number}", on_disk=False)
    first = list(case.client().repositories())
    left, forge.asked = forge.budget_left["core"], []
    assert list(case.client().repositories()) == first
    assert len(forge.asked) == 4  # pages of a hundred
    assert forge.budget_left["core"] == left
    forge.add_repository("acme/a-new-one", on_disk=False)
    assert len(list(case.client().repositories())) == len(first) + 1
    assert forge.budget_left["core"] == left - 1  # only the last page has changed


def test_what_is_made_while_listing_is_not_listed_twice(forge: GitHubStandIn, github: GitHubProvider) -> None:
    for number in range(150):
        forge.add_repository(f"acme/many-{number}", on_disk=False)
    whole = list(github.repositories())
    doubled = [{"id": one.id, "full_name": one.full_name} for one in forge.repositories.values()] * 2
    forge.next_replies = [Reply(200, doubled)]
    assert len(list(github.repositories())) == len(whole)


def test_a_spent_limit_says_when_it_ends(forge: GitHubStandIn, github: GitHubProvider) -> None:
    forge.budget_left["core"] = 0
    with pytest.raises(RateLimited) as limited:
        github.repository(str(site(forge).id))
    assert limited.value.retry_at is not None
    minutes = (limited.value.retry_at - dt.datetime.now(dt.UTC)).total_seconds() / 60
    assert 55 < minutes <= 60
    assert [(one.resource, one.remaining) for one in github.budgets()] == [("core", 0), ("graphql", 5_000)]


def test_the_secondary_limit_says_when_it_ends(forge: GitHubStandIn, github: GitHubProvider) -> None:
    forge.too_fast = True
    with pytest.raises(RateLimited) as limited:
        github.repository(str(site(forge).id))
    assert limited.value.retry_at is not None
    seconds = (limited.value.retry_at - dt.datetime.now(dt.UTC)).total_seconds()
    assert 50 < seconds <= 60


def test_a_limit_while_pages_are_asked_at_once(forge: GitHubStandIn, github: GitHubProvider) -> None:
    for number in range(500):
        forge.add_repository(f"acme/many-{number}", on_disk=False)
    forge.budget_left["core"] = 3
    with pytest.raises(RateLimited):
        list(github.repositories())


def test_a_server_without_limits(forge: GitHubStandIn, github: GitHubProvider) -> None:
    forge.limits_off = True
    assert github.budgets() == []
    assert github.identity().account == "ana"


def test_asking_for_the_limits_costs_nothing(forge: GitHubStandIn, github: GitHubProvider) -> None:
    github.budgets()
    assert forge.budget_left["core"] == 5_000


# --- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "Resource protected by organization SAML enforcement. You must grant your Personal Access token "
            "access to this organization.",
            "Configure SSO",
        ),
        (
            "Although you appear to have the correct authorization credentials, the `acme` organization has "
            "enabled OAuth App access restrictions, meaning that data access to third-parties is limited.",
            "The organization acme has not approved this application.",
        ),
    ],
)
def test_a_blocking_organization_has_a_sentence(
    forge: GitHubStandIn, github: GitHubProvider, message: str, words: str
) -> None:
    site(forge).more["refuses"] = message
    with pytest.raises(PermanentFailure, match=words):
        github.repository(str(site(forge).id))


def test_a_token_that_may_not_delete_is_told_so(forge: GitHubStandIn, github: GitHubProvider) -> None:
    forge.tokens[TOKEN].scopes = ["repo"]
    with pytest.raises(PermanentFailure, match="Must have admin rights"):
        github.delete_repository(str(site(forge).id))


@pytest.mark.parametrize("external_id", ["", "acme/site", "../user", "1/hooks", "１"])
def test_only_numbers_are_ids(forge: GitHubStandIn, github: GitHubProvider, external_id: str) -> None:
    with pytest.raises(NotFound):
        github.repository(external_id)
    with pytest.raises(NotFound):
        github.pull(external_id, 1)
    assert forge.asked == []


# --- repositories ----------------------------------------------------------------------------------


def test_repositories_of_the_account_itself(forge: GitHubStandIn, github: GitHubProvider) -> None:
    assert github.create_repository(NewRepository("mine")).full_name == "ana/mine"
    made = github.create_repository(NewRepository("too", "Ana", visibility="public"))
    assert (made.full_name, made.visibility) == ("ana/too", "public")
    assert (
        github.create_repository(NewRepository("inner", "acme", visibility="internal")).visibility
        == "internal"
    )
    with pytest.raises(InvalidInput, match="enterprise"):
        github.create_repository(NewRepository("inner", visibility="internal"))
    with pytest.raises(NotFound):
        github.create_repository(NewRepository("x", "no-such-organization"))


def test_an_archived_repository_is_changed_in_the_right_order(
    forge: GitHubStandIn, github: GitHubProvider
) -> None:
    number = str(site(forge).id)
    shut = github.change_repository(number, RepositoryChange(description="old", archived=True))
    assert (shut.description, shut.archived) == ("old", True)
    back = github.change_repository(number, RepositoryChange(description="new", archived=False))
    assert (back.description, back.archived) == ("new", False)
    github.change_repository(number, RepositoryChange(archived=True))
    with pytest.raises(PermanentFailure, match="read-only"):
        github.change_repository(number, RepositoryChange(description="x"))


# --- checks, runs, webhooks ------------------------------------------------------------------------


def run(name: str, status: str, conclusion: str | None) -> dict[str, Any]:
    return {"id": 1, "name": name, "status": status, "conclusion": conclusion, "output": {"title": "said"}}


def test_the_worst_of_several_checks_of_one_name_counts(forge: GitHubStandIn, github: GitHubProvider) -> None:
    repo = site(forge)
    oid = forge.bare(repo).oid("refs/heads/main")
    for name in ("build", "lint"):
        github.set_check(str(repo.id), oid, Check(name, CheckState.SUCCESS, "x" * 300))
    repo.checks[oid] += [{"context": f"more-{number}", "state": "success"} for number in range(120)]
    repo.more["check_runs"] = {
        oid: [
            run("build", "completed", "failure"),
            run("lint", "completed", "success"),
            run("test", "queued", None),
        ]
    }
    checks = {one.name: one.state for one in github.checks(str(repo.id), oid)}
    assert len(checks) == 123
    assert [checks[name] for name in ("build", "lint", "test")] == ["failure", "success", "pending"]


def test_a_check_of_a_commit_that_is_not_there(forge: GitHubStandIn, github: GitHubProvider) -> None:
    with pytest.raises(InvalidInput, match="No commit found"):
        github.set_check(str(site(forge).id), "1" * 40, Check("x", CheckState.SUCCESS))


def test_check_runs_need_a_classic_token(forge: GitHubStandIn, case: ForgeCase) -> None:
    """Leaving them out would show a commit as well whose tests have failed."""
    forge.add_token(FINE, "ana")
    oid = forge.bare(site(forge)).oid("refs/heads/main")
    with pytest.raises(PermanentFailure, match="Enter a classic token"):
        with_token(case, FINE).checks(str(site(forge).id), oid)


def test_runs_of_actions(forge: GitHubStandIn, github: GitHubProvider) -> None:
    for count, (branch, status) in enumerate(
        [("main", "completed"), ("next", "queued"), ("main", "waiting")]
    ):
        site(forge).pipelines.append(
            {
                "id": count, "name": "CI", "head_branch": branch, "head_sha": "a" * 40, "status": status,
                "conclusion": "success" if status == "completed" else None,
                "html_url": "https://github.example.org/acme/site/actions/runs/1",
                "created_at": f"2026-11-{10 + count}T08:00:00Z", "updated_at": "2026-11-20T08:05:00Z",
                "run_started_at": "2026-11-20T08:01:00Z",
            }
        )  # fmt: skip
    number = str(site(forge).id)
    assert [one.external_id for one in github.pipelines(number)] == ["2", "1", "0"]
    done, waiting = sorted(github.pipelines(number, ref="main"), key=lambda one: one.external_id)
    assert (done.state, waiting.state) == (PipelineState.SUCCEEDED, PipelineState.WAITING)
    assert done.finished_at == dt.datetime(2026, 11, 20, 8, 5, tzinfo=dt.UTC)
    assert waiting.finished_at is None
    since = dt.datetime(2026, 11, 11, 1, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    assert [one.external_id for one in github.pipelines(number, since=since)] == ["2", "1"]


def test_a_paused_webhook_says_so_and_is_mended(forge: GitHubStandIn, github: GitHubProvider) -> None:
    number, spec = str(site(forge).id), HookSpec("http://127.0.0.1:9/hooks/1/", "canary-hook-secret")
    made = github.create_hook(number, spec)
    assert set(made.events) == github.hook_events
    hook = site(forge).hooks[made.external_id]
    hook.active, hook.events = False, ["issues"]
    [found] = github.hooks(number)
    assert (found.active, found.disabled) == (
        False,
        "It is switched off in the repository's settings at GitHub.",
    )
    mended = github.update_hook(number, made.external_id, spec)
    assert (mended.active, mended.events, mended.disabled) == (True, made.events, "")
    assert hook.secret == "canary-hook-secret"
    assert [sent.event for sent in forge.sent] == ["ping"]
