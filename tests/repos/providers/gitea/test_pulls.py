"""Pull requests, checks and runs as only Gitea and Forgejo have them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from opssight.core.errors import Conflict, InvalidInput, NotFound, TransientFailure
from repos.git.remote import PasswordCredential
from repos.providers.forge import (
    Check,
    CheckState,
    NewPull,
    NotOffered,
    PullChange,
)
from repos.providers.gitea.provider import GiteaProvider
from repos.providers.types import PipelineState, PullState
from tests.forges.gitea import GiteaStandIn
from tests.forges.standin import Reply, Repo
from tests.repos.git.work import git
from tests.repos.providers.forge_case import ForgeCase, with_branch

pytestmark = pytest.mark.http_git
CHANGE = NewPull("change", "main", "A change")


@pytest.fixture
def repo(forge: GiteaStandIn) -> Repo:
    found = forge.named("acme/site")
    assert found is not None
    return found


@pytest.fixture
def site(case: ForgeCase) -> str:
    return with_branch(case, "change")


def posts(forge: GiteaStandIn, end: str) -> int:
    return len([one for one in forge.asked if one.method == "POST" and one.path.endswith(end)])


# --- opening --------------------------------------------------------------------------------------


def test_right_after_the_first_push(gitea: GiteaProvider, forge: GiteaStandIn, case: ForgeCase) -> None:
    """The server says for a moment that a repository is empty, to which everything was pushed."""
    empty = case.id_of("acme/empty")
    remote = gitea.remote(empty, "acme/empty")
    assert isinstance(remote.credential, PasswordCredential)
    url = remote.url.replace("://", f"://ana:{remote.credential.password}@")
    work = case.context.git.home.parent / "work"
    git("init", "-q", "-b", "main", str(work), cwd=work.parent)
    git("commit", "-q", "--allow-empty", "-m", "first", cwd=work)
    git("push", "-q", url, "main", "main:refs/heads/change", cwd=work)
    opened = gitea.open_pull(empty, CHANGE)
    assert (opened.number, posts(forge, "/pulls")) == (1, 3)


def test_a_branch_that_is_missing_is_not_waited_for(
    gitea: GiteaProvider, forge: GiteaStandIn, site: str
) -> None:
    with pytest.raises(NotFound):
        gitea.open_pull(site, NewPull("nowhere", "main", "A change"))
    assert posts(forge, "/pulls") == 1


def test_somebody_else_opened_it_meanwhile(
    gitea: GiteaProvider, forge: GiteaStandIn, repo: Repo, site: str
) -> None:
    number = gitea.open_pull(site, CHANGE).number
    forge.next_replies = [Reply(200, forge.show_repository(repo)), Reply(200, [])]  # not seen at first
    assert gitea.open_pull(site, CHANGE).number == number
    assert posts(forge, "/pulls") == 2


def test_an_answer_that_is_lost(gitea: GiteaProvider, forge: GiteaStandIn, repo: Repo, site: str) -> None:
    number = gitea.open_pull(site, CHANGE).number
    unseen = [Reply(200, forge.show_repository(repo)), Reply(200, [])]
    forge.next_replies = [*unseen, Reply(502)]
    assert gitea.open_pull(site, CHANGE).number == number
    gitea.close_pull(site, number)
    forge.next_replies = [*unseen, Reply(502)]
    with pytest.raises(TransientFailure):
        gitea.open_pull(site, CHANGE)


def test_one_from_a_fork_is_another(gitea: GiteaProvider, forge: GiteaStandIn, repo: Repo, site: str) -> None:
    gitea.open_pull(site, CHANGE)
    shown = forge.show_pull(repo, repo.pulls[1])
    shown["head"]["repo_id"] = 4711
    forge.next_replies = [Reply(200, forge.show_repository(repo)), Reply(200, [shown])]
    assert gitea.find_pull(site, "change", "main") is None


def test_people_who_are_not_there(gitea: GiteaProvider, forge: GiteaStandIn, repo: Repo, site: str) -> None:
    """The sentence names them; the pull request is there all the same."""
    with pytest.raises(InvalidInput, match="zoe cannot be asked for a review") as refused:
        gitea.open_pull(site, NewPull("change", "main", "A change", reviewers=["zoe"]))
    assert refused.value.problems[0][0] == "reviewers"
    assert repo.pulls[1]["state"] == "open"
    with pytest.raises(InvalidInput, match="zoe cannot be assigned") as refused:
        gitea.change_pull(site, 1, PullChange(assignees=["bea", "zoe"]))
    assert refused.value.problems[0][0] == "assignees"
    assert repo.pulls[1]["assignees"] == []


def test_people_are_exchanged(gitea: GiteaProvider, forge: GiteaStandIn, repo: Repo, site: str) -> None:
    forge.add_person("cleo")
    gitea.open_pull(site, NewPull("change", "main", "A change", reviewers=["bea"], assignees=["ana"]))
    gitea.change_pull(site, 1, PullChange(reviewers=["cleo"], assignees=[]))
    assert (repo.pulls[1]["reviewers"], repo.pulls[1]["assignees"]) == (["cleo"], [])
    gitea.change_pull(site, 1, PullChange(reviewers=[]))
    assert repo.pulls[1]["reviewers"] == []


def test_labels_are_looked_up_before_they_are_made(
    gitea: GiteaProvider, forge: GiteaStandIn, repo: Repo, site: str
) -> None:
    forge.most_items = 2
    repo.more["labels"] = [{"id": number, "name": f"label {number}"} for number in range(1, 6)]
    forge.organizations["acme"] = [{"id": 90, "name": "team"}]
    opened = gitea.open_pull(site, NewPull("change", "main", "A change", labels=["label 5", "team", "new"]))
    assert set(opened.labels) == {"label 5", "team", "new"}
    assert posts(forge, "/labels") == 1
    assert gitea.change_pull(site, 1, PullChange(labels=["team"])).labels == ("team",)
    assert gitea.change_pull(site, 1, PullChange(labels=[])).labels == ()
    assert posts(forge, "/labels") == 1


def test_drafts_keep_their_state_with_another_title(gitea: GiteaProvider, repo: Repo, site: str) -> None:
    gitea.open_pull(site, NewPull("change", "main", "A change", draft=True))
    assert repo.pulls[1]["title"] == "WIP: A change"
    changed = gitea.change_pull(site, 1, PullChange(title="Better"))
    assert (changed.draft, changed.title, repo.pulls[1]["title"]) == (True, "Better", "WIP: Better")


def test_only_those_in_a_state(gitea: GiteaProvider, case: ForgeCase, site: str) -> None:
    gitea.merge_pull(site, gitea.open_pull(site, CHANGE).number, "merge")
    with_branch(case, "other")
    gitea.close_pull(site, gitea.open_pull(site, NewPull("other", "main", "Another")).number)
    for state, numbers in ((PullState.OPEN, []), (PullState.MERGED, [1]), (PullState.CLOSED, [2])):
        assert [one.number for one in gitea.pulls(site, state)] == numbers


# --- merging --------------------------------------------------------------------------------------


def test_merging_waits_while_the_server_looks(gitea: GiteaProvider, forge: GiteaStandIn, site: str) -> None:
    forge.checking = 2
    number = gitea.open_pull(site, CHANGE).number
    assert gitea.merge_pull(site, number, "squash").state == PullState.MERGED
    assert posts(forge, "/merge") == 3


def test_the_message_of_a_merge(gitea: GiteaProvider, forge: GiteaStandIn, repo: Repo, site: str) -> None:
    number = gitea.open_pull(site, CHANGE).number
    merged = gitea.merge_pull(site, number, "squash", message="What it does\n\nWhy it does it.")
    assert merged.merge_oid == forge.oid(repo, "main")
    assert forge.bare(repo).git("log", "-1", "--format=%B", "main") == "What it does\n\nWhy it does it."
    assert len(forge.bare(repo).git("log", "-1", "--format=%P", "main").split()) == 1


def test_what_cannot_be_merged(
    gitea: GiteaProvider, forge: GiteaStandIn, repo: Repo, case: ForgeCase, site: str
) -> None:
    forge.checking = 0
    number = gitea.open_pull(site, NewPull("change", "main", "A change", draft=True)).number
    with pytest.raises(Conflict, match="Work in progress"):
        gitea.merge_pull(site, number, "merge")
    gitea.change_pull(site, number, PullChange(draft=False))
    forge.bare(repo).commit({b"change.txt": b"another\n"})
    with pytest.raises(Conflict, match="Pull request 1 cannot be merged now"):
        gitea.merge_pull(site, number, "merge")
    gitea.close_pull(site, number)
    with pytest.raises(Conflict, match="Pull request 1 is closed already"):
        gitea.merge_pull(site, number, "merge")
    with pytest.raises(NotFound):
        gitea.merge_pull(site, 4711, "merge")


def test_what_is_merged_already(gitea: GiteaProvider, forge: GiteaStandIn, site: str) -> None:
    number = gitea.open_pull(site, CHANGE).number
    head = gitea.merge_pull(site, number, "merge").head_oid
    assert gitea.merge_pull(site, number, "merge", head_oid=head).state == PullState.MERGED
    with pytest.raises(Conflict, match="is merged already"):
        gitea.merge_pull(site, number, "merge", head_oid="1" * 40)


def test_merging_later(gitea: GiteaProvider, repo: Repo, site: str) -> None:
    number = gitea.open_pull(site, CHANGE).number
    gitea.auto_merge(site, number, "squash")
    gitea.auto_merge(site, number, "squash")  # asked again, it is no error
    assert repo.pulls[number]["scheduled"]
    gitea.close_pull(site, number)
    with pytest.raises(Conflict, match="Pull request 1 is closed already"):
        gitea.auto_merge(site, number, "squash")
    with pytest.raises(NotFound):
        gitea.auto_merge(site, 4711, "squash")


def test_merging_later_what_cannot_be_merged(gitea: GiteaProvider, forge: GiteaStandIn, site: str) -> None:
    forge.checking = 0
    number = gitea.open_pull(site, NewPull("change", "main", "A change", draft=True)).number
    with pytest.raises(Conflict, match="Work in progress"):
        gitea.auto_merge(site, number, "merge")


# --- checks and runs ------------------------------------------------------------------------------


def test_checks_over_many_pages(gitea: GiteaProvider, forge: GiteaStandIn, repo: Repo, site: str) -> None:
    forge.most_items = 2
    oid = forge.oid(repo, "main")
    for number in range(5):
        gitea.set_check(site, oid, Check(f"check {number}", CheckState.ERROR))
    gitea.set_check(site, oid, Check("check 0", CheckState.SUCCESS))
    found = {check.name: check.state for check in gitea.checks(site, oid)}
    assert found == {
        "check 0": CheckState.SUCCESS,
        **{f"check {number}": CheckState.ERROR for number in range(1, 5)},
    }


def test_a_commit_without_checks(gitea: GiteaProvider, forge: GiteaStandIn, repo: Repo, site: str) -> None:
    shown = Reply(200, forge.show_repository(repo))
    forge.next_replies = [shown, Reply(200, {"state": "", "statuses": None})]
    assert gitea.checks(site, "0" * 40) == []
    with pytest.raises(NotFound):
        gitea.set_check(site, "0" * 40, Check("x", CheckState.SUCCESS))


GITEA_RUN = {
    "id": 12,
    "html_url": "https://git.example.org/acme/site/actions/runs/12",
    "path": "ci.yml@refs/heads/main",
    "head_sha": "a" * 40,
    "head_branch": "main",
    "status": "completed",
    "conclusion": "failure",
    "started_at": "2026-11-20T09:00:00Z",
    "completed_at": "2026-11-20T09:05:00Z",
}
FORGEJO_RUN = {
    "id": 12,
    "html_url": "https://git.example.org/acme/site/actions/runs/12",
    "workflow_id": "ci.yml",
    "commit_sha": "a" * 40,
    "prettyref": "main",
    "status": "failure",
    "created": "2026-11-20T08:59:00Z",
    "started": "2026-11-20T09:00:00Z",
    "stopped": "2026-11-20T09:05:00Z",
}
TASK = {
    "id": 12,
    "name": "build",
    "url": "https://git.example.org/acme/site/actions/runs/12",
    "workflow_id": "ci.yml",
    "head_sha": "a" * 40,
    "head_branch": "main",
    "status": "failure",
    "created_at": "2026-11-20T08:59:00Z",
    "run_started_at": "2026-11-20T09:00:00Z",
}


@pytest.mark.parametrize(
    ("version", "actions", "data", "name"),
    [
        ("1.25.1", "runs", GITEA_RUN, "ci.yml"),
        ("12.0.1+gitea-1.22.0", "runs", FORGEJO_RUN, "ci.yml"),
        ("1.22.6", "tasks", TASK, "ci.yml / build"),
    ],
)
def test_runs(
    gitea: GiteaProvider,
    forge: GiteaStandIn,
    repo: Repo,
    site: str,
    version: str,
    actions: Any,
    data: dict[str, Any],
    name: str,
) -> None:
    forge.version, forge.actions = version, actions
    repo.pipelines = [data]
    [run] = gitea.pipelines(site)
    assert (run.external_id, run.name, run.state) == ("12", name, PipelineState.FAILED)
    assert (run.ref, run.oid, run.url) == ("main", "a" * 40, GITEA_RUN["html_url"])
    assert run.started_at == dt.datetime(2026, 11, 20, 9, tzinfo=dt.UTC)


def test_runs_of_a_branch_and_since(gitea: GiteaProvider, forge: GiteaStandIn, repo: Repo, site: str) -> None:
    forge.most_items = 2
    repo.pipelines = [
        {
            **FORGEJO_RUN,
            "id": day,
            "prettyref": "main" if day % 2 else "next",
            "created": f"2026-11-{day:02}T09:00:00Z",
        }
        for day in range(20, 10, -1)
    ]
    assert len(list(gitea.pipelines(site))) == 10
    assert [run.external_id for run in gitea.pipelines(site, ref="main")] == ["19", "17", "15", "13", "11"]
    forge.asked.clear()
    since = dt.datetime(2026, 11, 19, tzinfo=dt.UTC)
    assert [run.external_id for run in gitea.pipelines(site, since=since)] == ["20", "19"]
    assert len([asked for asked in forge.asked if asked.path.endswith("/runs")]) == 2


def test_a_server_without_actions(gitea: GiteaProvider, forge: GiteaStandIn, site: str) -> None:
    forge.actions = ""
    with pytest.raises(NotOffered, match="Actions are switched off"):
        list(gitea.pipelines(site))
