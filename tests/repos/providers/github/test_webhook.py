from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from repos.providers.errors import Unreadable
from repos.providers.registry import scheme_named
from repos.providers.types import (
    InstallationNews,
    Parsed,
    PipelineNews,
    PipelineState,
    PullNews,
    PullState,
    RepositoryNews,
)

SCHEME = scheme_named("github")
EXAMPLES = Path(__file__).parent / "fixtures" / "octokit"


def example(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_bytes())
    return found


def parse(event: str, payload: dict[str, Any]) -> Parsed:
    return SCHEME.parse({"x-github-event": event}, json.dumps(payload).encode())


def parsed(name: str, **changes: Any) -> Parsed:
    return parse(name.partition(".")[0], {**example(name), **changes})


@pytest.mark.parametrize(
    ("action", "news"),
    [
        ("created", RepositoryNews("created", "public", False, "main", by="Codertocat")),
        ("deleted", RepositoryNews("deleted", "public", False, "main", by="Codertocat")),
        ("edited", RepositoryNews("changed", "public", False, "main", by="Codertocat")),
        ("renamed", RepositoryNews("renamed", "public", False, "main", by="Codertocat")),
        ("transferred", RepositoryNews("transferred", "public", False, "main", by="Codertocat")),
        ("publicized", RepositoryNews("visibility", "public", False, "main", by="Codertocat")),
        ("privatized", RepositoryNews("visibility", "private", False, "main", by="Codertocat")),
    ],
)
def test_a_repository(action: str, news: RepositoryNews) -> None:
    payload = example(f"repository.{action}")
    payload["repository"]["default_branch"] = "main"
    told = parse("repository", payload)
    assert told.news == (news,)
    assert (told.repository_id, told.repository_name) == (
        str(payload["repository"]["id"]),
        payload["repository"]["full_name"],
    )
    assert told.repository_url.endswith("/Hello-World")


@pytest.mark.parametrize("action", ["archived", "unarchived"])
def test_archived(action: str) -> None:
    payload = example("repository.edited") | {"action": action}
    payload["repository"]["archived"] = action == "archived"
    [news] = parse("repository", payload).news
    assert isinstance(news, RepositoryNews)
    assert (news.what, news.archived) == (action, action == "archived")


def test_privatized_within_an_enterprise() -> None:
    payload = example("repository.privatized")
    payload["repository"]["visibility"] = "internal"
    [news] = parse("repository", payload).news
    assert isinstance(news, RepositoryNews)
    assert news.visibility == "internal"


def test_made_public() -> None:
    [news] = parsed("public").news
    assert isinstance(news, RepositoryNews)
    assert (news.what, news.visibility) == ("visibility", "public")


def test_a_pull_request() -> None:
    [news] = parsed("pull_request.opened").news
    assert news == PullNews(
        number=2,
        state=PullState.OPEN,
        what="opened",
        title="Update the README with new information.",
        url="https://github.com/Codertocat/Hello-World/pull/2",
        head="changes",
        base="master",
        head_oid="ec26c3e57ca3a959ca5aad62de7213c562f8c821",
        by="Codertocat",
    )


@pytest.mark.parametrize(("merged", "state"), [(True, PullState.MERGED), (False, PullState.CLOSED)])
def test_the_end_of_a_pull_request(merged: bool, state: PullState) -> None:
    payload = example("pull_request.closed")
    payload["pull_request"] |= {"merged": merged, "merged_at": None, "merge_commit_sha": "a" * 40}
    [news] = parse("pull_request", payload).news
    assert isinstance(news, PullNews)
    assert (news.what, news.state, news.merge_oid) == ("closed", state, "a" * 40 if merged else "")


def test_runs_of_actions() -> None:
    [queued], [done] = parsed("workflow_run.requested").news, parsed("workflow_run.completed").news
    assert isinstance(queued, PipelineNews)
    assert isinstance(done, PipelineNews)
    assert (queued.state, done.state) == (PipelineState.QUEUED, PipelineState.SUCCEEDED)
    assert done.external_id == str(example("workflow_run.completed")["workflow_run"]["id"])
    assert done.url.startswith("https://github.com/")
    assert len(done.oid) == 40


def test_installations_of_the_app() -> None:
    added = parsed("installation.created")
    assert added.installation_id == str(example("installation.created")["installation"]["id"])
    [news] = added.news
    assert news == InstallationNews(
        "added",
        account="Codertocat",
        appeared=(("186853002", "Codertocat/Hello-World"),),
        by="Codertocat",
    )
    whats = [
        news.what
        for name in ("deleted", "suspend", "unsuspend")
        for news in parsed(f"installation.{name}").news
        if isinstance(news, InstallationNews) and not news.appeared
    ]
    assert whats == ["removed", "suspended", "unsuspended"]
    assert parsed("installation.new_permissions_accepted").news == ()


def test_what_an_installation_sees() -> None:
    [added] = parsed("installation_repositories.added").news
    [removed] = parsed("installation_repositories.removed").news
    assert isinstance(added, InstallationNews)
    assert isinstance(removed, InstallationNews)
    assert (added.what, removed.what, removed.appeared) == ("repositories", "repositories", ())
    assert added.appeared
    assert [number.isdigit() for number in removed.vanished] == [True]
    odd = parsed("installation_repositories.added", repositories_added=[7, {}, {"id": 1}, {"id": True}])
    assert isinstance(odd.news[0], InstallationNews)
    assert odd.news[0].appeared == ()


def test_a_delivery_of_an_app_names_its_installation() -> None:
    payload = example("push.0") | {"installation": {"id": 375706}}
    assert parse("push", payload).installation_id == "375706"
    assert parse("push", payload | {"installation": {"id": True}}).installation_id == ""


@pytest.mark.parametrize(
    "name",
    ["create", "delete", "ping", "meta", "issues", "workflow_job", "check_run", "star", "organization"],
)
def test_what_is_not_wanted(name: str) -> None:
    told = parsed(name)
    assert (told.event, told.pushes, told.news) == (name, (), ())


@pytest.mark.parametrize(
    ("event", "part"),
    [("repository", "repository"), ("pull_request", "pull_request"), ("workflow_run", "workflow_run")],
)
@pytest.mark.parametrize("value", [None, 7, [], {}, {"id": "7"}, {"number": True}])
def test_parts_that_make_no_sense(event: str, part: str, value: Any) -> None:
    with pytest.raises(Unreadable, match=part) as refused:
        parse(event, {"action": "renamed", part: value})
    assert refused.value.sentence.endswith(".")


def test_networks() -> None:
    assert SCHEME.networks_of({"hooks": ["192.30.252.0/22", 7, "2a0a:a440::/29"]}) == [
        "192.30.252.0/22",
        "",
        "2a0a:a440::/29",
    ]
    nothing: list[Any] = [None, [], {}, {"hooks": "all"}]
    for odd in nothing:
        assert SCHEME.networks_of(odd) == []
