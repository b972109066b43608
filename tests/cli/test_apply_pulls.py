"""`copy apply` and `copy sync` with pull requests, between folders: the branch is what a target gets."""

from __future__ import annotations

import pytest

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal
from repos.providers.github.provider import GitHubProvider
from syncs.copy.transfer import planning
from tests.cli.world import MOVE_DOCS, TARGET, World, one, tree, workflow, workflows
from tests.repos.forges import connected

PULLS = workflows(workflow(MOVE_DOCS, strategy={"type": "pull_request", "commit_message": "Bring docs"}))


def branch_of(world: World) -> str:
    [branch] = [ref for ref in world.site.refs() if ref.startswith("refs/heads/opssight/")]
    return branch.removeprefix("refs/heads/")


def test_a_folder_gets_the_branch_and_the_output_says_so(world: World) -> None:
    answer = world.sync(PULLS)
    target = one(answer)
    branch = branch_of(world)
    assert (target["strategy"], target["status"], target["writes"]) == ("pull_request", "done", 1)
    assert (target["pull_request"], target["error"]) == (None, None)
    assert target["commit"] == world.site.oid(branch)
    assert f"has no pull requests: the change is on branch {branch}." in answer.err
    assert tree(world.site, branch) == {"README": "100644 site", "handbook/old.md": "100644 old"}
    assert world.site.oid("main") == world.tip


def test_the_same_again_pushes_nothing_and_more_brings_it_up_to_date(world: World) -> None:
    world.sync(PULLS)
    branch = branch_of(world)
    before = world.site.oid(branch)
    assert one(world.sync(PULLS))["status"] == "skipped"
    assert world.site.oid(branch) == before
    world.code.commit({b"docs/new.md": b"new"})
    assert one(world.sync(PULLS))["status"] == "done"
    assert branch_of(world) == branch
    assert set(tree(world.site, branch)) == {"README", "handbook/old.md", "handbook/new.md"}
    assert world.site.oid(f"{branch}^") == world.tip


def test_it_goes_when_nothing_is_left_of_it(world: World) -> None:
    world.sync(PULLS)
    world.site.commit({b"handbook/old.md": b"old"})
    assert one(world.sync(PULLS))["status"] == "done"
    assert list(world.site.refs()) == ["refs/heads/main"]


def test_a_dry_run_makes_no_branch(world: World) -> None:
    assert one(world.sync(PULLS, "--dry-run"))["status"] == "planned"
    assert list(world.site.refs()) == ["refs/heads/main"]


def test_a_branch_of_somebody_else_is_left_alone(world: World) -> None:
    world.sync(PULLS)
    branch = branch_of(world)
    world.site.git("update-ref", f"refs/heads/{branch}", world.tip)
    theirs = world.site.commit({b"mine": b"mine"}, branch=branch)
    answer = world.sync(PULLS)
    assert answer.status == 1
    assert "that OpsSight did not make, so it is left alone" in one(answer)["error"]
    assert world.site.oid(branch) == theirs


@pytest.mark.django_db(transaction=True)
@pytest.mark.http_git
def test_a_repository_of_the_inventory_gets_a_pull_request(world: World, team: Team) -> None:
    principal = Principal.of_user(team.memberships.get().user)
    with connected("github", world.root, team, principal) as at:
        target = f"{at.connection.name}:acme/site"
        answer = world.sync(PULLS, urls={TARGET: target})
        assert answer.status == 0, (answer.out, answer.err)
        [number] = at.repo().pulls
        row = one(answer)
        assert (row["status"], row["pull_request"]) == ("done", f"{at.forge.url}/acme/site/pull/{number}")
        again = one(world.sync(PULLS, urls={TARGET: target}))
        assert (again["status"], again["pull_request"]) == ("skipped", row["pull_request"])
        world.code.commit({b"docs/new.md": b"new"})
        more = one(world.sync(PULLS, urls={TARGET: target}))
        assert (more["status"], more["pull_request"]) == ("done", row["pull_request"])
        assert list(at.repo().pulls) == [number]


@pytest.mark.django_db(transaction=True)
@pytest.mark.http_git
@pytest.mark.parametrize("sign", ["none", "api"])
def test_a_file_that_the_forge_does_not_take_is_left_out_before_anything_is_written(
    world: World, team: Team, sign: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "GITHUB_BYTES", 20)
    monkeypatch.setattr(GitHubProvider, "commit_bytes", 10)
    most = {"none": 20, "api": 10}[sign]
    world.code.commit({b"docs/large": b"x" * (most + 1), b"docs/small": b"x" * most})
    principal = Principal.of_user(team.memberships.get().user)
    with connected("github", world.root, team, principal) as at:
        urls = {TARGET: f"{at.connection.name}:acme/site"}
        answer = world.apply(workflows(workflow(MOVE_DOCS, sign=sign)), "--dry-run", urls=urls)
        row = one(answer)
        assert (row["status"], row["writes"]) == ("planned", 1), row
        assert f"the target takes files of at most {most}." in row["error"]
