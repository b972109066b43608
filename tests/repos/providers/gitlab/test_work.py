"""Merge requests, statuses, pipelines and webhooks: what only GitLab does."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from opssight.core.errors import Conflict, Failure, InvalidInput, NotFound, PermanentFailure, TransientFailure
from repos.providers.forge import (
    Check,
    CheckState,
    Forge,
    HookSpec,
    NewPull,
    Pull,
    PullChange,
)
from repos.providers.gitlab import pulls, reading
from repos.providers.types import PipelineState, PullState
from tests.forges.gitlab import GitLabStandIn
from tests.forges.standin import Reply, Repo
from tests.repos.providers.forge_case import ForgeCase, with_branch

NEW = NewPull("change", "main", "A change")
HOOK = HookSpec("http://127.0.0.1:9/hooks/1/", "canary-hook-secret")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulls, "PAUSES", (0.0, 0.0))


@pytest.fixture
def repo(forge: GitLabStandIn) -> Repo:
    found = forge.named("acme/site")
    assert found is not None
    return found


@pytest.fixture
def opened(case: ForgeCase) -> tuple[Forge, str, Pull]:
    client, site = case.forge_client(), with_branch(case, "change")
    return client, site, client.open_pull(site, NEW)


def moved(forge: GitLabStandIn, repo: Repo) -> bool:
    return "change.txt" in forge.bare(repo).git("ls-tree", "--name-only", "main")


# --- opening ---------------------------------------------------------------------------------------


def test_older_servers_open_nothing_between_branches_that_are_not_there(
    case: ForgeCase, forge: GitLabStandIn, repo: Repo
) -> None:
    forge.ghosts = True
    with pytest.raises(NotFound, match="no branch change"):
        case.forge_client().open_pull(str(repo.id), NEW)
    assert repo.pulls == {}


def test_a_branch_that_was_just_pushed_is_tried_again(case: ForgeCase, forge: GitLabStandIn) -> None:
    site = with_branch(case, "change")
    forge.lagging = {"change"}
    with pytest.raises(TransientFailure, match="just pushed"):
        case.forge_client().open_pull(site, NEW)
    forge.lagging = set()
    assert case.forge_client().open_pull(site, NEW).state == PullState.OPEN


def test_somebody_was_quicker(case: ForgeCase, opened: tuple[Forge, str, Pull], forge: GitLabStandIn) -> None:
    client, site, first = opened
    branch = {"name": "x"}
    forge.next_replies = [Reply(200, []), Reply(200, branch), Reply(200, branch)]  # not found at first
    assert client.open_pull(site, NEW).number == first.number


def test_those_of_forks_are_not_ours(opened: tuple[Forge, str, Pull], repo: Repo) -> None:
    client, site, pull = opened
    repo.pulls[pull.number]["source_project_id"] = 4711
    assert client.find_pull(site, "change", "main") is None


def test_people_who_are_not_there_are_named_when_it_is_open(case: ForgeCase, repo: Repo) -> None:
    site = with_branch(case, "change")
    asked = NewPull("change", "main", "A change", reviewers=["bea", "nobody"], assignees=["BEA"])
    with pytest.raises(InvalidInput, match="called nobody"):
        case.forge_client().open_pull(site, asked)
    [request] = repo.pulls.values()
    assert [one["username"] for one in request["reviewers"]] == ["bea"]
    assert [one["username"] for one in request["assignees"]] == ["bea"]


def test_changing_labels_people_and_drafts(opened: tuple[Forge, str, Pull], repo: Repo) -> None:
    client, site, pull = opened
    changed = client.change_pull(
        site, pull.number, PullChange(labels=["a", "b"], reviewers=["bea"], draft=True)
    )
    assert (changed.labels, changed.draft, changed.title) == (("a", "b"), True, "A change")
    assert repo.pulls[pull.number]["title"] == "Draft: A change"
    again = client.change_pull(
        site, pull.number, PullChange(title="[Draft] draft: Better", labels=[], reviewers=[])
    )
    assert (again.title, again.draft, again.labels) == ("Better", True, ())
    assert repo.pulls[pull.number]["title"] == "Draft: Better"
    assert repo.pulls[pull.number]["reviewers"] == []
    assert client.change_pull(site, pull.number, PullChange()) == again


# --- merging ---------------------------------------------------------------------------------------


def test_merging_waits_until_gitlab_has_found_out(
    opened: tuple[Forge, str, Pull], forge: GitLabStandIn, repo: Repo
) -> None:
    client, site, pull = opened
    forge.finding_out = 2
    assert client.merge_pull(site, pull.number, "merge").state == PullState.MERGED
    assert moved(forge, repo)


def test_merging_does_not_wait_forever(opened: tuple[Forge, str, Pull], forge: GitLabStandIn) -> None:
    client, site, pull = opened
    forge.finding_out = 100
    with pytest.raises(TransientFailure, match="still finds out"):
        client.merge_pull(site, pull.number, "merge")


def test_squash_has_its_message_and_one_parent(
    opened: tuple[Forge, str, Pull], forge: GitLabStandIn, repo: Repo
) -> None:
    client, site, pull = opened
    merged = client.merge_pull(site, pull.number, "squash", message="All at once")
    assert forge.bare(repo).git("log", "-1", "--format=%s %p", "main").startswith("All at once ")
    assert merged.merge_oid == forge.bare(repo).oid("refs/heads/main")
    assert len(forge.bare(repo).git("log", "-1", "--format=%p", "main").split()) == 1


def test_merging_twice_is_merging_once(opened: tuple[Forge, str, Pull]) -> None:
    client, site, pull = opened
    first = client.merge_pull(site, pull.number, "merge", head_oid=pull.head_oid)
    assert client.merge_pull(site, pull.number, "merge", head_oid=pull.head_oid) == first
    with pytest.raises(Conflict):
        client.merge_pull(site, pull.number, "merge", head_oid="1" * 40)


def test_rebase_is_for_projects_that_fast_forward(
    opened: tuple[Forge, str, Pull], forge: GitLabStandIn, repo: Repo
) -> None:
    client, site, pull = opened
    with pytest.raises(InvalidInput, match="fast-forward"):
        client.merge_pull(site, pull.number, "rebase")
    repo.more["merge_method"] = "ff"
    merged = client.merge_pull(site, pull.number, "rebase")
    assert merged.merge_oid == pull.head_oid == forge.bare(repo).oid("refs/heads/main")


def test_what_cannot_be_merged_says_why(
    opened: tuple[Forge, str, Pull], forge: GitLabStandIn, repo: Repo
) -> None:
    client, site, pull = opened
    client.change_pull(site, pull.number, PullChange(draft=True))
    with pytest.raises(Conflict, match="draft"):
        client.merge_pull(site, pull.number, "merge")
    client.change_pull(site, pull.number, PullChange(draft=False))
    forge.bare(repo).commit({b"change.txt": b"another\n"})
    with pytest.raises(Conflict, match=r"/-/merge_requests/1 .* Branch cannot be merged\."):
        client.merge_pull(site, pull.number, "merge")
    client.close_pull(site, pull.number)
    with pytest.raises(Conflict, match="closed"):
        client.merge_pull(site, pull.number, "merge")


def test_a_protected_branch_is_not_a_refused_token(opened: tuple[Forge, str, Pull], repo: Repo) -> None:
    client, site, pull = opened
    repo.more["protected"] = True
    with pytest.raises(PermanentFailure, match="merge into main") as refused:
        client.merge_pull(site, pull.number, "merge")
    assert refused.value.error_class == "permanent"


def test_auto_merge_waits_for_the_pipeline(
    opened: tuple[Forge, str, Pull], forge: GitLabStandIn, repo: Repo
) -> None:
    client, site, pull = opened
    pipeline = forge.add_pipeline(repo, "change", "running")
    client.auto_merge(site, pull.number, "squash")
    assert client.pull(site, pull.number).state == PullState.OPEN
    assert not moved(forge, repo)
    forge.finish_pipeline(repo, pipeline, "success")
    assert client.pull(site, pull.number).state == PullState.MERGED
    assert moved(forge, repo)


def test_auto_merge_without_a_pipeline_merges_after_a_while(
    opened: tuple[Forge, str, Pull], forge: GitLabStandIn, repo: Repo
) -> None:
    client, site, pull = opened
    forge.asked.clear()
    client.auto_merge(site, pull.number, "merge")
    assert [one.method for one in forge.asked] == ["GET"] * (len(pulls.PAUSES) + 1) + ["PUT"]
    assert moved(forge, repo)


# --- statuses and pipelines ------------------------------------------------------------------------


def test_the_same_state_twice_is_no_error(case: ForgeCase, forge: GitLabStandIn, repo: Repo) -> None:
    client, oid = case.forge_client(), forge.bare(repo).oid("refs/heads/main")
    for state in (CheckState.PENDING, CheckState.PENDING, CheckState.ERROR, CheckState.PENDING):
        client.set_check(str(repo.id), oid, Check("ops", state, "x" * 300))
    assert [check.state for check in client.checks(str(repo.id), oid)] == [CheckState.PENDING]
    with pytest.raises(NotFound, match="Commit Not Found"):
        client.set_check(str(repo.id), "1" * 40, Check("ops", CheckState.PENDING))


@pytest.mark.parametrize(
    ("status", "may_fail", "state"),
    [
        ("success", False, CheckState.SUCCESS),
        ("skipped", False, CheckState.SUCCESS),
        ("failed", False, CheckState.FAILURE),
        ("failed", True, CheckState.SUCCESS),
        ("manual", True, CheckState.SUCCESS),
        ("manual", False, CheckState.PENDING),
        ("canceled", False, CheckState.ERROR),
        ("never heard of", False, CheckState.PENDING),
        (None, None, CheckState.PENDING),
    ],
)
def test_states_of_checks(status: Any, may_fail: Any, state: CheckState) -> None:
    [check] = reading.checks([{"id": 1, "name": "lint", "status": status, "allow_failure": may_fail}])
    assert check.state == state


def test_the_newest_of_several_pipelines_counts() -> None:
    statuses = [{"id": 9, "name": "lint", "status": "success"}, {"id": 2, "name": "lint", "status": "failed"}]
    assert [check.state for check in reading.checks(statuses)] == [CheckState.SUCCESS]
    assert [check.state for check in reading.checks(reversed(statuses))] == [CheckState.SUCCESS]


def test_pipelines(case: ForgeCase, forge: GitLabStandIn, repo: Repo) -> None:
    with_branch(case, "change")
    first = forge.add_pipeline(repo, "main", "success", name="Nightly", updated_at="2026-11-19T08:00:00.000Z")
    second = forge.add_pipeline(repo, "change", "manual")
    client, site = case.forge_client(), str(repo.id)
    found = list(client.pipelines(site))
    assert [(one.external_id, one.state, one.name) for one in found] == [
        (str(second["id"]), PipelineState.WAITING, "push"),
        (str(first["id"]), PipelineState.SUCCEEDED, "Nightly"),
    ]
    assert found[0].oid == second["sha"]
    assert found[0].created_at == dt.datetime(2026, 11, 20, 8, tzinfo=dt.UTC)
    assert [one.ref for one in client.pipelines(site, ref="main")] == ["main"]
    since = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    assert [one.ref for one in client.pipelines(site, since=since)] == ["change"]
    repo.more["builds"] = "disabled"
    with pytest.raises(PermanentFailure, match="does not allow"):
        list(client.pipelines(site))


# --- webhooks --------------------------------------------------------------------------------------


def test_a_signed_webhook_does_not_send_its_secret(case: ForgeCase, forge: GitLabStandIn, repo: Repo) -> None:
    client, site = case.forge_client(), str(repo.id)
    made = client.create_hook(site, HOOK)
    hook = repo.hooks[made.external_id]
    assert (hook.secret, made.external_id in forge.signing, made.active) == ("", True, True)
    client.update_hook(site, made.external_id, HookSpec("http://127.0.0.1:9/hooks/2/", "another"))
    assert hook.secret == ""
    assert forge.signed(hook, "Push Hook", b"{}")["webhook-signature"]


def test_older_servers_send_the_secret_as_it_is(case: ForgeCase, forge: GitLabStandIn, repo: Repo) -> None:
    forge.signs = False
    client, site = case.forge_client(), str(repo.id)
    made = client.create_hook(site, HOOK)
    assert repo.hooks[made.external_id].secret == HOOK.secret
    client.update_hook(site, made.external_id, HookSpec("http://127.0.0.1:9/hooks/2/", "another"))
    assert repo.hooks[made.external_id].secret == "another"


def test_a_disabled_webhook_is_told_and_made_active_again(
    case: ForgeCase, forge: GitLabStandIn, repo: Repo
) -> None:
    client, site = case.forge_client(), str(repo.id)
    made = client.create_hook(site, HOOK)
    repo.hooks[made.external_id].active = False
    [found] = client.hooks(site)
    assert not found.active
    assert "deliveries failed" in found.disabled
    assert client.update_hook(site, made.external_id, HOOK).active


def test_a_disabled_webhook_that_cannot_be_tried_stays_disabled(
    case: ForgeCase, forge: GitLabStandIn
) -> None:
    empty = forge.named("acme/empty")
    assert empty is not None
    made = case.forge_client().create_hook(str(empty.id), HOOK)
    empty.hooks[made.external_id].active = False
    assert not case.forge_client().update_hook(str(empty.id), made.external_id, HOOK).active


@pytest.mark.parametrize(
    ("state", "active", "words"),
    [
        ("executable", True, ""),
        (None, True, ""),
        ("temporarily_disabled", False, "tries again"),
        ("disabled", False, "too many"),
        ("asleep", False, "at the moment"),
    ],
)
def test_states_of_webhooks(state: Any, active: bool, words: str) -> None:
    hook = reading.hook({"id": 1, "url": "https://ops.example.org", "alert_status": state, "push_events": 1})
    assert (hook.active, hook.events) == (active, ())
    assert words in hook.disabled


# --- odd answers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "field", ["title", "state", "web_url", "labels", "author", "sha", "updated_at", "draft"]
)
@pytest.mark.parametrize("value", [None, 7, [], {}, [[7]], {"username": 7}, "javascript:alert(1)"])
def test_odd_fields_of_a_merge_request(field: str, value: Any) -> None:
    pull = reading.pull({"iid": 3, field: value})
    assert (pull.number, pull.url) == (3, "")


@pytest.mark.parametrize("data", [None, [], {}, {"iid": "3"}, {"iid": True}])
def test_what_is_no_merge_request(data: Any) -> None:
    with pytest.raises(PermanentFailure, match="not a merge request"):
        reading.pull(data)


@pytest.mark.parametrize("odd", [None, 7, [], {}, [{}]])
def test_odd_answers_to_everything(case: ForgeCase, forge: GitLabStandIn, odd: Any) -> None:
    client = case.forge_client()
    asks: list[Callable[[], object]] = [
        lambda: client.open_pull("1", NEW),
        lambda: client.pull("1", 1),
        lambda: list(client.pulls("1")),
        lambda: client.change_pull("1", 1, PullChange(title="x", reviewers=["bea"])),
        lambda: client.merge_pull("1", 1, "rebase"),
        lambda: client.auto_merge("1", 1, "merge"),
        lambda: client.checks("1", "1" * 40),
        lambda: list(client.pipelines("1")),
        lambda: client.hooks("1"),
        lambda: client.create_hook("1", HOOK),
        lambda: client.update_hook("1", "1", HOOK),
    ]
    for ask in asks:
        forge.next_replies = [Reply(200, odd)] * 12
        with suppress(Failure):
            ask()
