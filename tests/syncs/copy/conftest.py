from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from opssight.accounts.scope import Principal
from tests.factories import make_user
from tests.syncs.copy.story import World


@pytest.fixture
def world(tmp_path: Path, settings: Settings, db: None) -> World:
    settings.DATA = tmp_path / "data"
    settings.STORES = tmp_path / "data" / "stores"
    user = make_user("ada@example.org", is_superuser=True)
    return World(tmp_path, user.personal_team, Principal.of_user(user))
