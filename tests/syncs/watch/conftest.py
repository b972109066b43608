from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal
from tests.factories import make_user
from tests.repos.forges import Connected, connected


@pytest.fixture
def principal(db: None) -> Principal:
    return Principal.of_user(make_user("ada@example.org"))


@pytest.fixture
def team(principal: Principal) -> Team:
    team: Team = principal.user.personal_team
    return team


@pytest.fixture
def github(tmp_path: Path, settings: Settings, team: Team, principal: Principal) -> Iterator[Connected]:
    settings.PUBLIC_URL = "http://127.0.0.1:9"  # nobody listens there
    settings.DATA, settings.STORES = tmp_path / "data", tmp_path / "data" / "stores"
    with connected("github", tmp_path, team, principal) as made:
        yield made
