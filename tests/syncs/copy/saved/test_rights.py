from __future__ import annotations

from pathlib import Path

import pytest

from opssight.accounts.models import Membership, Role, User
from opssight.accounts.scope import Principal
from repos.models import RepositoryGrant
from syncs.copy.rules.config import CopyConfig, Target
from syncs.copy.rules.rule import Rule
from syncs.copy.saved.service import create_rule
from syncs.engine import claim, runner
from syncs.models import Job, Run, RunState
from tests.chaos.world import World
from tests.factories import make_connection, make_repository, make_team, make_user, make_worker

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def author(world: World) -> User:
    """Somebody who is operator in the team that owns the repositories."""
    theirs = make_team(make_user())
    connection = make_connection(theirs, options={"root": str(world.served)}, local=True)
    for name in ("source", "target"):
        make_repository(connection, name, external_id=name)
    user = make_user("author@example.org")
    Membership.objects.create(team=theirs, user=user, role=Role.OPERATOR)
    return user


def make_rule(author: User) -> Job:
    """A rule of the author's own team between the repositories of the other one."""
    config = CopyConfig(
        name="docs",
        source_repository="source",
        source_branch="main",
        rules=(Rule("copy", "README.md", "COPIED.md"),),
        targets=(Target("target", "main"),),
    )
    job, _ = create_rule(Principal.of_user(author), make_team(author), config, start="now")
    return job


def run_now() -> Run:
    claimed = claim.claim(make_worker(), ["std"])
    assert claimed is not None
    runner.execute(claimed)
    claimed.refresh_from_db()
    return claimed


def test_a_rule_across_teams_runs_while_its_author_may(world: World, author: User) -> None:
    make_rule(author)
    assert run_now().state == RunState.SUCCEEDED
    assert len(world.run_keys()) == 1


def test_whoever_was_taken_out_of_a_team_does_not_read_it_by_a_rule_elsewhere(
    world: World, author: User
) -> None:
    make_rule(author)
    Membership.objects.filter(user=author, role=Role.OPERATOR).delete()
    run = run_now()
    assert run.state == RunState.FAILED
    assert "whoever saved this rule (author@example.org) may not read it any more" in run.sentence
    assert world.run_keys() == []


@pytest.mark.parametrize("change", ["fewer rights", "switched off", "deleted"])
def test_nor_does_it_write(world: World, author: User, change: str) -> None:
    job = make_rule(author)
    source = job.triggers.get().repository
    RepositoryGrant.objects.create(repository=source, team=job.team)  # what was shared may be read
    if change == "fewer rights":
        Membership.objects.filter(user=author, role=Role.OPERATOR).update(role=Role.VIEWER)
    elif change == "switched off":
        User.objects.filter(pk=author.pk).update(is_active=False)
    else:
        job.team.memberships.create(user=make_user(), role=Role.OWNER)
        author.delete()
    run = run_now()
    assert run.state == RunState.FAILED
    assert "may not write to it any more" in run.sentence
    assert world.run_keys() == []
