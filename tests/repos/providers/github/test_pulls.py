"""Pull requests as only GitHub has them."""

from __future__ import annotations

from typing import Any

import pytest

from opssight.core.errors import Conflict, InvalidInput, NotFound, PermanentFailure, RateLimited
from repos.providers.forge import Check, CheckState, NewPull, PullChange
from repos.providers.github.provider import GitHubProvider
from repos.providers.types import PullState
from tests.forges.github import GitHubStandIn
from tests.forges.standin import Reply, Repo
from tests.repos.git.work import git as plain_git
from tests.repos.providers.forge_case import ForgeCase, with_branch


@pytest.fixture
def repo(forge: GitHubStandIn) -> Repo:
    found = forge.named("acme/site")
    assert found is not None
    return found


@pytest.fixture
def number(case: ForgeCase, github: GitHubProvider) -> int:
    """An open pull request of `acme/site`."""
    return github.open_pull(with_branch(case, "change"), NewPull("change", "main", "A change")).number


def key(repo: Repo) -> str:
    return str(repo.id)


# --- opening ---------------------------------------------------------------------------------------


def test_somebody_who_was_faster(
    forge: GitHubStandIn, github: GitHubProvider, repo: Repo, number: int
) -> None:
    """GitHub refuses a second one between the same branches: the first is the answer."""
    assert github.open_pull(key(repo), NewPull("change", "main", "Mine")).number == number
    assert len(repo.pulls) == 1


def test_one_request_opens_one_and_one_changes_its_words(
    forge: GitHubStandIn, github: GitHubProvider, repo: Repo
) -> None:
    forge.bare(repo).commit({b"x": b"1"}, branch="other")
    forge.asked.clear()
    opened = github.open_pull(key(repo), NewPull("other", "main", "Mine"))
    changed = github.change_pull(key(repo), opened.number, PullChange(title="Better", body="More"))
    assert (changed.title, changed.body) == ("Better", "More")
    assert [one.method for one in forge.asked] == ["POST", "PATCH"]


def test_branches_of_a_fork_are_not_ours(forge: GitHubStandIn, github: GitHubProvider, repo: Repo) -> None:
    ends = {"head": {"ref": "change", "repo": {"id": 7}}, "base": {"ref": "main"}}
    gone = {"head": {"ref": "change", "repo": None}, "base": {"ref": "main"}}
    shown = Reply(200, {"id": repo.id, "owner": {"login": "acme"}})
    forge.next_replies = [shown, Reply(200, [{"number": 1, **ends}, {"number": 2, **gone}])]
    assert github.find_pull(key(repo), "change", "main") is None


def test_nothing_to_merge_is_said(
    case: ForgeCase, forge: GitHubStandIn, github: GitHubProvider, repo: Repo
) -> None:
    plain_git("branch", "same", "main", cwd=forge.bare(repo).path)
    with pytest.raises(InvalidInput, match="No commits between main and same"):
        github.open_pull(key(repo), NewPull("same", "main", "Nothing"))


def test_people_who_are_not_there_are_named(case: ForgeCase, github: GitHubProvider, repo: Repo) -> None:
    site = with_branch(case, "change")
    new = NewPull("change", "main", "A change", reviewers=["bea", "zoe"])
    with pytest.raises(InvalidInput, match=r"Pull request #1 is there, .*zoe.*review"):
        github.open_pull(site, new)
    with pytest.raises(InvalidInput, match="cannot be assigned to zoe: nobody"):
        github.change_pull(site, 1, PullChange(assignees=["bea", "zoe"]))
    assert github.open_pull(site, new).number == 1
    assert repo.pulls[1]["assignees"] == ["bea"]


def test_people_and_labels_become_exactly_those(
    github: GitHubProvider, repo: Repo, forge: GitHubStandIn, number: int
) -> None:
    forge.people |= {"cy", "dee"}
    first = PullChange(labels=["a", "b"], reviewers=["bea", "cy"], assignees=["cy"])
    second = PullChange(labels=["b", "c"], reviewers=["CY", "dee"], assignees=[])
    github.change_pull(key(repo), number, first)
    assert github.change_pull(key(repo), number, second).labels == ("b", "c")
    pull = repo.pulls[number]
    assert (pull["reviewers"], pull["assignees"]) == (["cy", "dee"], [])
    github.change_pull(key(repo), number, PullChange())
    assert (pull["labels"], pull["reviewers"]) == (["b", "c"], ["cy", "dee"])


def test_back_to_a_draft(github: GitHubProvider, repo: Repo, number: int) -> None:
    assert github.change_pull(key(repo), number, PullChange(draft=True)).draft
    with pytest.raises(Conflict, match="not mergeable"):
        github.merge_pull(key(repo), number, "merge")
    assert not github.change_pull(key(repo), number, PullChange(draft=False)).draft


# --- merging ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "parents"), [("merge", 2), ("squash", 1)])
def test_methods_and_message(
    forge: GitHubStandIn, github: GitHubProvider, repo: Repo, number: int, method: Any, parents: int
) -> None:
    merged = github.merge_pull(key(repo), number, method, message="Copy 2 files\n\nFrom acme/docs.\n")
    shown = forge.bare(repo).git("log", "-1", "--format=%H%n%P%n%B", "main").splitlines()
    assert shown[0] == merged.merge_oid
    assert len(shown[1].split()) == parents
    assert shown[2:] == ["Copy 2 files", "", "From acme/docs."]


def test_a_merge_whose_answer_was_lost(
    forge: GitHubStandIn, github: GitHubProvider, repo: Repo, number: int
) -> None:
    head = github.pull(key(repo), number).head_oid
    first = github.merge_pull(key(repo), number, "merge", head_oid=head)
    again = github.merge_pull(key(repo), number, "merge", head_oid=head)
    assert (again.state, again.merge_oid) == (PullState.MERGED, first.merge_oid)


def test_what_conflicts_is_not_merged(
    forge: GitHubStandIn, github: GitHubProvider, repo: Repo, number: int
) -> None:
    forge.bare(repo).commit({b"change.txt": b"other\n"})
    with pytest.raises(Conflict, match="not mergeable"):
        github.merge_pull(key(repo), number, "merge")


def test_a_method_that_the_repository_forbids(github: GitHubProvider, repo: Repo, number: int) -> None:
    repo.more["refused_methods"] = ["rebase"]
    with pytest.raises(InvalidInput, match="not allowed on this repository"):
        github.merge_pull(key(repo), number, "rebase")


def test_closed_and_merged_are_told_apart(
    case: ForgeCase, github: GitHubProvider, repo: Repo, number: int
) -> None:
    github.close_pull(key(repo), number)
    later = github.open_pull(key(repo), NewPull("change", "main", "Again")).number
    github.merge_pull(key(repo), later, "squash")
    assert [one.number for one in github.pulls(key(repo), PullState.CLOSED)] == [number]
    assert [one.number for one in github.pulls(key(repo), PullState.MERGED)] == [later]
    assert list(github.pulls(key(repo))) == []


# --- auto-merge ------------------------------------------------------------------------------------


def test_it_merges_itself_once_the_checks_passed(github: GitHubProvider, repo: Repo, number: int) -> None:
    repo.more |= {"allow_auto_merge": True, "required_checks": ["build"]}
    github.auto_merge(key(repo), number, "squash")
    assert github.pull(key(repo), number).state == PullState.OPEN
    head = github.pull(key(repo), number).head_oid
    github.set_check(key(repo), head, Check("build", CheckState.SUCCESS))
    assert github.pull(key(repo), number).state == PullState.MERGED
    github.auto_merge(key(repo), number, "squash")  # it is done already


def test_what_has_nothing_to_wait_for_is_merged_now(github: GitHubProvider, repo: Repo, number: int) -> None:
    repo.more["allow_auto_merge"] = True
    github.auto_merge(key(repo), number, "merge")
    assert github.pull(key(repo), number).state == PullState.MERGED


def test_what_failed_without_being_required_is_not_merged(
    github: GitHubProvider, repo: Repo, number: int
) -> None:
    repo.more["allow_auto_merge"] = True
    head = github.pull(key(repo), number).head_oid
    github.set_check(key(repo), head, Check("build", CheckState.FAILURE))
    with pytest.raises(Conflict, match="waits for no required check"):
        github.auto_merge(key(repo), number, "merge")
    assert github.pull(key(repo), number).state == PullState.OPEN


def test_a_repository_without_auto_merge_says_where_to_allow_it(
    github: GitHubProvider, repo: Repo, number: int
) -> None:
    with pytest.raises(PermanentFailure, match="Allow it in its settings at GitHub"):
        github.auto_merge(key(repo), number, "merge")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"errors": [{"type": "NOT_FOUND", "message": "Could not resolve"}]}, NotFound),
        ({"errors": [{"type": "RATE_LIMITED", "message": "API rate limit exceeded"}]}, RateLimited),
        (
            {"errors": [{"type": "FORBIDDEN", "message": "Resource protected by organization SAML …"}]},
            PermanentFailure,
        ),
        ({"errors": [7]}, PermanentFailure),
        ({"errors": {"message": 7}}, PermanentFailure),
        ({"errors": "no"}, PermanentFailure),
        ([], PermanentFailure),
    ],
)
def test_errors_of_graphql_come_with_status_200(
    forge: GitHubStandIn,
    github: GitHubProvider,
    repo: Repo,
    number: int,
    answer: Any,
    expected: type[Exception],
) -> None:
    shown = {"number": number, "state": "open", "node_id": "PR_1", "draft": True}
    forge.next_replies = [Reply(200, shown), Reply(200, answer)]
    with pytest.raises(expected):
        github.change_pull(key(repo), number, PullChange(draft=False))


def test_a_branch_that_is_deleted_closes_its_pull_request(
    forge: GitHubStandIn, github: GitHubProvider, repo: Repo, number: int
) -> None:
    oid = forge.bare(repo).oid("refs/heads/change")
    forge.bare(repo).git("update-ref", "-d", "refs/heads/change")
    forge.ref_moved(repo, "refs/heads/change", oid, "0" * 40)
    assert github.pull(key(repo), number).state == PullState.CLOSED
