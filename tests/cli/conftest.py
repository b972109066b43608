from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from opssight.accounts.models import Team
from tests.cli.world import World
from tests.factories import make_user
from tests.forges.githttp import GitServer


@pytest.fixture
def world(tmp_path: Path, settings: Settings) -> World:
    """A source and a target as folders; stores of this test only. No database is needed."""
    settings.DATA = tmp_path / "data"
    settings.STORES = tmp_path / "data" / "stores"
    return World(tmp_path / "git")


@pytest.fixture
def team(db: None) -> Team:
    """The team of this machine's administrator."""
    return make_user("ada@example.org", is_superuser=True).personal_team


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    """A git server over HTTP that asks nobody for a password."""
    root = tmp_path / "server"
    root.mkdir()
    with GitServer(root) as running:
        yield running
