"""Runs with pull requests: limits, kills, shadows, everything at once, rules that meet, and who wrote it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from pytest_django import Settings

from opssight.core.clock import now
from repos.models import RepositoryStatus
from repos.providers.types import PullState
from syncs import jobs
from syncs.copy.models import CopyRule, CopyState
from syncs.copy.rules.config import CopyConfig, Target
from syncs.copy.rules.options import Authors, Options, PullRequest
from syncs.copy.rules.rule import Rule
from syncs.copy.saved.service import create_rule
from syncs.models import ItemState, Job, Run, RunState
from tests.factories import make_connection, make_repository
from tests.forges.standin import Reply
from tests.repos.git.work import Bare, git
from tests.syncs.copy.kills import kill_at, survive
from tests.syncs.copy.story import RULE, Story, World, execute, logged, pull_options, rule_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]


# --- limits ---------------------------------------------------------------------------------------------


def test_a_limit_in_the_middle_only_delays(told: Story) -> None:
    """The second of two targets meets the limit: the first one stays done, and both are there in the end."""
    told.at.forge.add_repository("acme/blog", {b"index.html": b"blog"})
    blog = make_repository(told.at.connection, "acme/blog", external_id=str(told.at.repo("acme/blog").id))
    config = rule_of(told.at, pull_options(), "two")
    config = replace(config, targets=(*config.targets, Target(str(blog.pk), "main")))
    job, _ = create_rule(told.at.principal, told.job.team, config, start="now")
    told.at.forge.budget_left["core"], told.at.forge.resets_at = 1, int(time.time()) + 6
    run = execute(job)
    assert (run.state, run.attempt) == (RunState.QUEUED, 0)
    assert [item.state for item in run.items.order_by("id")] == ["done", "failed"]
    assert len(told.at.repo("acme/site").pulls) == 1
    assert len(told.at.repo("acme/blog").pulls) == 0
    assert run.run_after is not None
    time.sleep(max(0, (run.run_after - now()).total_seconds()))
    first = told.at.repo("acme/site").pulls
    run = execute(job)
    assert run.state == RunState.SUCCEEDED, run.sentence
    assert (len(first), len(told.at.repo("acme/blog").pulls)) == (1, 1)
    assert told.tree(CopyState.objects.get(target__repository=blog).pull_branch, "acme/blog")["copied/a.md"]


# --- kills ----------------------------------------------------------------------------------------------

OPENING = [
    "started", "source-looked", "source-fetched", "items-made", "pull-asked", "target-looked",
    "target-fetched", "planned", "commit-made", "pushed", "pull-opened", "target-stored", "targets-done",
    "status-stored",
]  # fmt: skip


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", OPENING)
def test_a_kill_while_it_is_opened_leaves_one(
    told: Story, monkeypatch: pytest.MonkeyPatch, name: str, when: str
) -> None:
    survive(told, kill_at(monkeypatch, name, when))
    [pull] = told.pulls()
    assert told.text("copied/a.md", pull.head) == "a"
    assert told.target.git("rev-list", "--count", f"main..{pull.head}") == "1"
    assert (told.state.pull_number, told.state.proposed_oid) == (pull.number, told.source.oid("main"))


@pytest.mark.parametrize("name", ["branch-read", "commit-made", "pushed", "pull-changed", "target-stored"])
def test_a_kill_while_it_is_brought_up_to_date(
    told: Story, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    told.item()
    told.source.commit({b"docs/a.md": b"newer\n", b"docs/b.md": b"b\n"})
    survive(told, kill_at(monkeypatch, name, "after"))
    [pull] = told.pulls()
    assert pull.title == "Bring 2 files"
    assert told.text("copied/a.md", pull.head) == "newer"


@pytest.mark.parametrize("name", ["merged-branch-deleted", "merge-stored"])
def test_a_kill_when_a_merge_is_found(told: Story, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    told.item()
    branch = told.branch
    told.merge()
    survive(told, kill_at(monkeypatch, name, "after"))
    assert (told.state.source_oid, told.pulls()) == (told.source.oid("main"), [])
    assert not told.target.oid(branch)


@pytest.mark.parametrize("name", ["pull-closed", "pushed", "branch-deleted", "target-stored"])
def test_a_kill_while_it_is_closed(told: Story, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    told.item()
    told.source.commit({b"docs/a.md": None})
    survive(told, kill_at(monkeypatch, name, "after"))
    assert told.pulls() == []
    assert [ref for ref in told.target.refs() if "opssight" in ref] == []
    assert told.state.source_oid == told.source.oid("main")


def test_a_kill_after_the_close_is_not_a_person_who_closed_it(
    told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base got the same by another way, and the source did not change since it was proposed."""
    told.item()
    told.target.commit({b"copied/a.md": b"a\n"})
    survive(told, kill_at(monkeypatch, "pull-closed", "after"))
    assert [ref for ref in told.target.refs() if "opssight" in ref] == []
    assert told.state.source_oid == told.source.oid("main")


@pytest.mark.parametrize("name", ["pull-closed", "pushed", "commit-made", "pull-opened"])
def test_a_kill_while_it_is_made_anew(told: Story, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    told.change(update="recreate")
    told.item()
    told.source.commit({b"docs/a.md": b"newer\n"})
    survive(told, kill_at(monkeypatch, name, "after"))
    [pull] = told.pulls()
    assert told.text("copied/a.md", pull.head) == "newer"
    numbers = [one["number"] for one in told.at.repo().pulls.values() if one["state"] == "closed"]
    assert len(numbers) == 1


def test_a_lost_answer_opens_no_second_one(told: Story) -> None:
    """The forge opened it and its answer was lost: the branch and the pull request are found again."""
    told.at.forge.next_replies = [Reply(502, {"message": "Bad gateway"})] * 12
    run = told.run()
    assert run.state == RunState.QUEUED
    told.at.forge.next_replies = []
    run = execute()
    assert run.state == RunState.SUCCEEDED
    assert len(told.at.repo().pulls) == 1


# --- shadows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["direct", "pull_request"])
def test_a_shadow_looks_and_writes_nothing(world: World, strategy: Any) -> None:
    with world.story("github", Options(strategy=strategy)) as told:
        CopyRule.objects.filter(job=told.job).update(shadow=True)
        before, known = told.target.refs(), told.state.source_oid
        told.source.commit({b"docs/a.md": b"a\n"})
        run = told.run()
        [item] = run.items.all()
        assert (run.state, run.sentence) == (
            RunState.SUCCEEDED,
            "Only looked: 1 file to copy to 1 of 1 target.",
        )
        how = "to main" if strategy == "direct" else "in a pull request"
        assert item.sentence == f"Only looked: 1 file to write {how}."
        assert "acme/site: to write: copied/a.md" in logged(run)
        assert (item.planned["add"], item.result["files"]) == (1, 0)
        assert (told.target.refs(), told.pulls(), told.state.source_oid) == (before, [], known)
        CopyRule.objects.filter(job=told.job).update(shadow=False)
        assert told.item().result["files"] == 1


# --- everything at once ---------------------------------------------------------------------------------


def test_everything_stays_in_it_until_it_is_merged(told: Story) -> None:
    """What was there before the rule is proposed as a whole, and is not lost with the next change."""
    told.source.commit({b"docs/old.md": b"old\n"})
    told.run(baseline="")
    told.item(whole=True)
    told.source.commit({b"docs/new.md": b"new\n"})
    told.item()
    assert {"copied/a.md", "copied/old.md", "copied/new.md"} <= set(told.tree(told.branch))
    assert told.state.source_oid == ""
    told.merge()
    told.item()
    assert told.state.source_oid == told.source.oid("main")


def test_the_status_counts_what_is_proposed(told: Story) -> None:
    told.item()
    row = RepositoryStatus.objects.get(repository=told.at.row("acme/docs"), lane="copy")
    assert (row.state, row.behind) == ("fresh", 0)
    assert row.sentence == "0 of 1 target at HEAD, 1 in pull requests"


def test_the_sentence_of_a_run_counts_pull_requests(told: Story) -> None:
    assert told.run().sentence.startswith("Copied 1 file to 1 of 1 target (1 in pull requests) in ")


# --- rules that meet ------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["direct", "pull_request"])
def test_rules_in_both_directions_come_to_rest(told: Story, strategy: Any) -> None:
    docs, site = told.at.row("acme/docs"), told.at.row("acme/site")
    pair: list[Job] = []
    for name, ends in (("there", (docs, site)), ("back", (site, docs))):
        source, target = (str(row.pk) for row in ends)
        rules = (Rule("glob", "shared/**", "shared/${relative_path}"),)
        config = CopyConfig(name, source, "main", rules, (Target(target, "main"),))
        config = replace(config, options=Options(strategy=strategy))
        pair.append(create_rule(told.at.principal, told.job.team, config)[0])
        execute(pair[-1])
    told.source.commit({b"shared/x": b"1\n"})
    written = []
    for _ in range(4):
        for job in pair:
            run = Story(told.at, job).run()
            written.append(sum(item.result["files"] for item in run.items.filter(state="done")))
            for pull in told.pulls():
                told.client.merge_pull(told.site, pull.number, "merge")
    assert written[:2] == [1, 0]
    assert sum(written) == 1
    assert told.text("shared/x") == "1"


def test_own_commits_are_not_answered(told: Story, settings: Settings) -> None:
    """What this job's runs made and somebody brought to the source is no change of the source."""
    told.item()
    theirs = told.merge().merge_oid
    told.item()
    git("fetch", "-q", str(told.target.path), theirs, cwd=told.source.path)
    base = told.source.oid("main")
    tree = told.source.git("rev-parse", f"{theirs}^{{tree}}")
    message = told.target.git("log", "-1", "--format=%B", f"{theirs}^2")
    joined = told.source.git("commit-tree", tree, "-p", base, "-m", message)
    told.source.git("update-ref", "refs/heads/main", joined)
    assert "only commits of this rule" not in told.item().sentence, "a person may have joined more into it"
    at = "1767323045 +0000"
    ours = told.source.git(
        *("hash-object", "-t", "commit", "-w", "--stdin"),
        stdin=f"tree {tree}\nparent {joined}\nauthor Ada <ada@example.com> {at}\n"
        f"committer OpsSight <{settings.DEFAULT_FROM_EMAIL}> {at}\n\n{message}\n".encode(),
    )
    told.source.git("update-ref", "refs/heads/main", ours)
    item = told.item()
    assert item.sentence == "The source has only commits of this rule since: nothing to copy."
    assert told.state.source_oid == ours
    told.source.commit({b"docs/new.md": b"new\n"})
    assert told.item().state == ItemState.DONE


# --- words ----------------------------------------------------------------------------------------------


def test_the_template_of_the_target_comes_first(told: Story) -> None:
    told.target.commit(
        {b"PULL_REQUEST_TEMPLATE.md": b"later", b".github/pull_request_template.md": b"## Why\n"}
    )
    told.change(title="${source_repo} for ${target_branch}", body="PR ${pr_number}: ${x}", use_template=True)
    told.run(pull_request=7)
    [pull] = told.pulls()
    assert (pull.title, pull.body) == ("acme/docs for main", "## Why\n\n---\n\nPR 7: ${x}")


def test_a_template_that_is_no_file_is_left_out(told: Story) -> None:
    told.target.commit(
        {b".github/pull_request_template.md": b"../../etc/passwd"},
        modes={b".github/pull_request_template.md": "120000"},
    )
    told.change(body="Only this", use_template=True)
    told.item()
    assert [pull.body for pull in told.pulls()] == ["Only this"]


def test_long_words_are_cut(told: Story) -> None:
    told.change(title="t" * 5_000, body="b" * 9_000)
    told.item()
    [pull] = told.pulls()
    assert (pull.title, len(pull.body)) == ("t" * 250, 9_000)


# --- who wrote it ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["direct", "pull_request"])
@pytest.mark.parametrize(
    ("authors", "author"),
    [
        (Authors(), "OpsSight"),
        (Authors("source"), "Ada <ada@example.com>"),
        (
            Authors("map", (("ada@example.com", "A. Lovelace <al@example.org>"),)),
            "A. Lovelace <al@example.org>",
        ),
        (Authors("map", (("bea@example.com", "Bea <bea@example.org>"),)), "OpsSight"),
    ],
)
def test_authors(world: World, strategy: Any, authors: Authors, author: str) -> None:
    with world.story("github", Options(strategy=strategy, authors=authors)) as told:
        told.source.commit({b"docs/a.md": b"a\n"})
        told.source.commit({b"other.txt": b"other\n"})
        commit = told.item().result["commit"]
        found = told.target.git("log", "-1", "--format=%an <%ae>|%cn", commit)
        assert found.startswith(author)
        assert found.endswith("|OpsSight")


# --- servers without pull requests ----------------------------------------------------------------------


@pytest.fixture
def folders(world: World, settings: Settings) -> tuple[Job, Bare, Bare]:
    root = world.folder / "git"
    root.mkdir()
    settings.FOLDER_ROOTS = (root,)
    source, target = Bare(root / "docs"), Bare(root / "site")
    source.commit({b"docs/a.md": b"a\n"})
    target.commit({b"index.html": b"hello"})
    connection = make_connection(world.team, options={"root": str(root)}, local=True, name="served")
    rows = [make_repository(connection, name, external_id=name) for name in ("docs", "site")]
    ids = [str(row.pk) for row in rows]
    options = Options(strategy="pull_request", pull_request=PullRequest(labels=("x",), auto_merge=True))
    config = CopyConfig("docs", ids[0], "main", (RULE,), (Target(ids[1], "main"),), options=options)
    job, _ = create_rule(world.principal, world.team, config, start="now")
    return job, source, target


def test_a_folder_gets_the_branch(folders: tuple[Job, Bare, Bare]) -> None:
    job, source, target = folders
    run = execute()
    [item] = run.items.all()
    state = CopyState.objects.get(target__rule__job=job)
    assert run.state == RunState.SUCCEEDED
    assert (item.state, item.result["pull_request"]) == (ItemState.DONE, None)
    assert item.sentence.endswith(f"has no pull requests: the change is on branch {state.pull_branch}.")
    assert target.git("show", f"{state.pull_branch}:copied/a.md") == "a"

    target.git("update-ref", "refs/heads/main", target.oid(state.pull_branch))
    target.commit({b"copied/a.md": b"edited after the merge\n"})
    source.commit({b"docs/b.md": b"b\n"})
    execute_again(job)
    state.refresh_from_db()
    assert target.git("diff", "--name-only", "main", state.pull_branch) == "copied/b.md"
    assert state.source_oid == source.oid("main^")
    target.git("update-ref", "refs/heads/main", target.oid(state.pull_branch))
    execute_again(job)
    assert list(target.refs()) == ["refs/heads/main"]


def execute_again(job: Job) -> Run:
    jobs.start(job, Run.Trigger.MANUAL, "test")
    run = execute(job)
    assert run.state == RunState.SUCCEEDED, run.sentence
    return run


def test_an_empty_target_says_what_to_do(folders: tuple[Job, Bare, Bare]) -> None:
    _, _, target = folders
    target.git("update-ref", "-d", "refs/heads/main")
    run = execute()
    assert run.state == RunState.FAILED
    assert (
        "site is empty, so a pull request has no branch to go to. Push a first commit to it." in run.sentence
    )


def test_closed_state_is_what_the_forge_says(told: Story) -> None:
    told.item()
    [pull] = told.pulls()
    told.source.commit({b"docs/a.md": None})
    item = told.item()
    assert item.result["pull_request"] == {"number": pull.number, "url": pull.url, "state": PullState.CLOSED}
