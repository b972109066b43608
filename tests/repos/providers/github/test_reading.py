"""Answers of GitHub that are odd, and headers that are."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from opssight.core.errors import Failure, PermanentFailure
from repos.providers.forge import CheckState
from repos.providers.github import reading
from repos.providers.github.dialect import blocked, budget, refusal, said, waits
from repos.providers.types import Need, PipelineState, PullState, RemoteRepository
from repos.providers.values import is_full_name
from repos.providers.wire import Budget

ODD: list[Any] = [
    None,
    True,
    7,
    -1,
    1e300,
    "x\0y\ud800",
    [],
    [None],
    {},
    {"id": 1},
    "0001-01-01T00:00:00+23:59",
]
SITE = {"id": 1, "full_name": "acme/site"}


@pytest.mark.parametrize(
    "read",
    [
        reading.repository_of,
        reading.pull_of,
        reading.status_check_of,
        reading.run_check_of,
        reading.pipeline_of,
        reading.hook_of,
        reading.budgets_of,
    ],
)
def test_odd_values_raise_nothing_but_failures(read: Any) -> None:
    names = [
        "id", "full_name", "number", "name", "size", "topics", "visibility", "private", "pushed_at", "head",
        "base", "labels", "user", "state", "status", "conclusion", "context", "output", "config", "events",
        "resources", "created_at", "merged_at", "body", "html_url", "owner",
    ]  # fmt: skip
    well = {"id": 1, "number": 1, "full_name": "acme/site"}
    for value in ODD:
        for answer in [value, *({**well, name: value} for name in names)]:
            try:
                text = repr(read(answer))
            except Failure as failure:
                text = failure.sentence
            text.encode()  # no halves of surrogate pairs


def test_repository() -> None:
    told = {
        **SITE, "description": "The site", "default_branch": "main", "visibility": "internal",
        "private": True, "archived": True, "fork": True, "size": 3, "topics": ["web", 7],
        "pushed_at": "2026-11-20T08:00:00Z",
    }  # fmt: skip
    assert reading.repository_of(told) == RemoteRepository(
        "1", "acme/site", "The site", "main", "internal", archived=True, fork=True, size_bytes=3_072,
        topics=("web",), pushed_at=dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC),
    )  # fmt: skip


def test_visibility_of_servers_that_tell_less() -> None:
    shown = [
        reading.repository_of({**SITE, **more}).visibility
        for more in ({"private": True}, {"private": False}, {})
    ]
    assert shown == ["private", "public", "unknown"]


def test_a_disabled_repository_says_why_it_cannot_be_used() -> None:
    found = reading.repository_of({**SITE, "disabled": True})
    assert not found.usable
    assert "disabled" in found.reason


@pytest.mark.parametrize("name", ["", "site", "../site", "acme/..", "acme/.", "a/b/c", "ac me/x", 7])
def test_a_name_that_would_lead_elsewhere_is_no_repository(name: object) -> None:
    with pytest.raises(PermanentFailure):
        reading.repository_of({"id": 1, "full_name": name})
    assert is_full_name("acme/.github")
    assert is_full_name("a.b-c_d/..x")
    assert not is_full_name("acme/site\n")


def test_a_link_is_never_a_script() -> None:
    assert reading.pull_of({"number": 1, "html_url": "javascript:alert(1)"}).url == ""


def test_states_of_pull_requests() -> None:
    def state(**told: Any) -> PullState:
        return reading.pull_of({"number": 1, **told}).state

    assert state(state="open") == PullState.OPEN
    assert state(state="closed", merged_at=None) == PullState.CLOSED
    assert state(state="closed", merged_at="2026-11-20T08:00:00Z") == PullState.MERGED  # as in a list
    assert state(state="closed", merged=True) == PullState.MERGED


def test_a_trial_merge_is_not_the_merge() -> None:
    assert reading.pull_of({"number": 1, "state": "open", "merge_commit_sha": "5" * 40}).merge_oid == ""


@pytest.mark.parametrize(
    ("status", "conclusion", "check", "pipeline"),
    [
        ("queued", None, CheckState.PENDING, PipelineState.QUEUED),
        ("requested", None, CheckState.PENDING, PipelineState.QUEUED),
        ("in_progress", None, CheckState.PENDING, PipelineState.RUNNING),
        ("waiting", None, CheckState.PENDING, PipelineState.WAITING),
        ("completed", "success", CheckState.SUCCESS, PipelineState.SUCCEEDED),
        ("completed", "neutral", CheckState.SUCCESS, PipelineState.SUCCEEDED),
        ("completed", "skipped", CheckState.SUCCESS, PipelineState.SKIPPED),
        ("completed", "failure", CheckState.FAILURE, PipelineState.FAILED),
        ("completed", "timed_out", CheckState.ERROR, PipelineState.FAILED),
        ("completed", "cancelled", CheckState.ERROR, PipelineState.CANCELLED),
        ("completed", "action_required", CheckState.FAILURE, PipelineState.WAITING),
        ("completed", "never_heard_of", CheckState.ERROR, PipelineState.FAILED),
        ("completed", None, CheckState.ERROR, PipelineState.FAILED),
    ],
)
def test_states_of_runs(
    status: str, conclusion: str | None, check: CheckState, pipeline: PipelineState
) -> None:
    told = {"id": 1, "name": "ci", "status": status, "conclusion": conclusion}
    assert reading.run_check_of(told).state == check
    assert reading.pipeline_of(told).state == pipeline


@pytest.mark.parametrize(
    ("scopes", "may"),
    [
        (None, {}),
        (("repo",), dict.fromkeys(Need, True)),
        (("public_repo", "admin:repo_hook"), {Need.HOOKS: True}),
        (
            ("repo:status",),
            {Need.STATUSES: True}
            | dict.fromkeys((Need.WRITE, Need.PULL_REQUESTS, Need.HOOKS, Need.CREATE), False),
        ),
    ],
)
def test_what_scopes_allow(scopes: tuple[str, ...] | None, may: dict[Need, bool]) -> None:
    assert reading.allowed_by(scopes) == may


@pytest.mark.parametrize(
    ("told", "expires"),
    [
        ("2026-12-31 10:00:00 UTC", dt.datetime(2026, 12, 31, 10, tzinfo=dt.UTC)),
        ("2026-12-31 10:00:00 +0200", dt.datetime(2026, 12, 31, 8, tzinfo=dt.UTC)),
        ("tomorrow", None),
        ("0001-01-01 00:00:00 +2359", None),
        ("", None),
    ],
)
def test_when_a_token_ends(told: str, expires: dt.datetime | None) -> None:
    assert reading.expiry_of({"github-authentication-token-expiration": told}) == expires


def test_budget_from_headers() -> None:
    headers = {"x-ratelimit-limit": "5000", "x-ratelimit-remaining": "12", "x-ratelimit-reset": "1764000000"}
    reset = dt.datetime.fromtimestamp(1_764_000_000, dt.UTC)
    assert budget(headers) == Budget("core", 5_000, 12, reset)
    graph = budget({**headers, "x-ratelimit-resource": "graphql"})
    assert graph is not None
    assert graph.resource == "graphql"
    for name in headers:
        for odd in ("", "-1", "x", "9" * 30):
            assert budget({**headers, name: odd}) is None


def test_which_refusals_are_limits() -> None:
    assert waits(429, {}, "")
    assert waits(403, {"x-ratelimit-remaining": "0"}, "API rate limit exceeded")
    assert waits(403, {"retry-after": "60"}, "")
    assert waits(403, {}, "You have exceeded a secondary rate limit. Please wait.")
    assert not waits(403, {"x-ratelimit-remaining": "12"}, "Must have admin rights to Repository.")
    assert not waits(404, {"x-ratelimit-remaining": "0"}, "Not Found")


def test_what_an_error_says() -> None:
    errors = [
        {"resource": "PullRequest", "code": "custom", "message": "No commits between main and x"},
        {"resource": "PullRequest", "field": "head", "code": "invalid"},
        "in words",
        7,
        {"field": 7},
    ]
    words = said({"message": "Validation Failed", "errors": errors})
    assert words == "Validation Failed No commits between main and x head: invalid. in words"
    assert said({"message": 7, "errors": 7}) == said([]) == ""


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Resource protected by organization SAML enforcement. You must grant …", "single sign-on"),
        (
            "Although you appear to have … the `acme` organization has an IP allow list enabled",
            "acme allows some IP",
        ),
        ("… the `acme` organization has enabled OAuth App access restrictions", "acme has not approved"),
        ("`acme` forbids access via a personal access token (classic).", "acme refuses this kind"),
        ("Resource not accessible by personal access token", ""),
        ("Must have admin rights to Repository.", ""),
    ],
)
def test_rules_of_organizations_have_sentences_of_their_own(message: str, expected: str) -> None:
    sentence = blocked({}, message)
    assert expected in sentence
    assert bool(sentence) == bool(expected)
    assert bool(refusal({}, message)) == ("not accessible" in message)


def test_a_missing_permission_is_named() -> None:
    message = "Resource not accessible by personal access token"
    assert "(contents=write)" in refusal({"x-accepted-github-permissions": "contents=write"}, message)
    assert "classic token" in refusal({"x-accepted-github-permissions": "checks=read"}, message)


def test_organizations_that_hide_what_they_have() -> None:
    assert reading.hidden_organizations({"x-github-sso": "partial-results; organizations=1,2"}) == 2
    assert reading.hidden_organizations({"x-github-sso": "required; url=https://x"}) == 0
    assert reading.hidden_organizations({}) == 0


def test_repositories_in_recorded_deliveries_can_be_read() -> None:
    """The same object as in the API, as GitHub itself wrote it."""
    read = []
    for path in sorted((Path(__file__).parent / "fixtures").glob("*.json")):
        told = json.loads(path.read_bytes()).get("repository")
        if told:
            read.append(reading.repository_of(told).full_name)
    assert read
