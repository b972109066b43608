from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.repos.providers.contract import CONTRACT, Case
from tests.repos.providers.forge_contract import ForgeCase, checks_of

pytestmark = pytest.mark.http_git


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_github(check: Callable[[Case], None], case: ForgeCase) -> None:
    check(case)


@pytest.mark.parametrize("check", checks_of("github"), ids=lambda check: check.__name__)
def test_github_as_a_forge(check: Callable[[ForgeCase], None], case: ForgeCase) -> None:
    check(case)
