from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection
from pytest_django import Settings

from opssight.accounts.models import Team, User
from opssight.accounts.scope import Principal
from tests.factories import make_user
from tests.repos.git.work import Bare
from tests.repos.pages import settle


@pytest.fixture
def owner(db: None) -> User:
    return make_user("ada@example.org", is_superuser=True)


@pytest.fixture
def team(owner: User) -> Team:
    return owner.personal_team


@pytest.fixture
def principal(owner: User) -> Principal:
    return Principal.of_user(owner)


@pytest.fixture
def folder(tmp_path: Path, settings: Settings) -> Path:
    """An allowed root with two repositories; data and stores of this test only."""
    folder = tmp_path / "allowed" / "git"
    (folder / "team").mkdir(parents=True)
    Bare(folder / "site.git").commit({b"index.html": b"hello"})
    Bare(folder / "team" / "docs.git").commit({b"README": b"docs"})
    settings.DATA = tmp_path / "data"
    settings.STORES = tmp_path / "data" / "stores"
    settings.FOLDER_ROOTS = (folder.parent,)
    return folder


@pytest.fixture
def beside(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pages may ask git servers in threads; nothing of that outlives the test."""
    monkeypatch.setitem(connection.settings_dict, "CONN_MAX_AGE", 0)
    settle()
    yield
    settle()
