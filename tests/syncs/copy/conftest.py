from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from opssight.accounts.scope import Principal
from tests.factories import make_repository, make_user
from tests.repos.git.work import Bare
from tests.syncs.copy.desk import SOURCE, TARGET, Desk, make_git
from tests.syncs.copy.followed import workflow, workflows
from tests.syncs.copy.story import Story, World, pull_options


@pytest.fixture
def world(tmp_path: Path, settings: Settings, db: None) -> World:
    settings.DATA = tmp_path / "data"
    settings.STORES = tmp_path / "data" / "stores"
    user = make_user("ada@example.org", is_superuser=True)
    return World(tmp_path, user.personal_team, Principal.of_user(user))


@pytest.fixture
def told(world: World) -> Iterator[Story]:
    """With a change that was not copied yet."""
    with world.story("github") as made:
        made.source.commit({b"docs/a.md": b"a\n"})
        yield made


@pytest.fixture
def bucket(world: World) -> Iterator[Story]:
    """At a forge that does not merge by itself, with a rule that wants to be merged."""
    with world.story("bitbucket", pull_options(auto_merge=True)) as made:
        made.source.commit({b"docs/a.md": b"a\n"})
        yield made


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    make_git(tmp_path / "docs", SOURCE)
    make_git(tmp_path / "site", TARGET)
    return Desk(tmp_path)


@pytest.fixture
def kept(tmp_path: Path, desk: Desk) -> Bare:
    """The repository with the configuration, and its row."""
    bare = Bare(tmp_path / "config")
    bare.commit({b"copier/main.yaml": workflows(workflow()).encode()})
    make_repository(desk.connection, "config")
    return bare
