from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.repos.providers.contract import CONTRACT, Case
from tests.repos.providers.forge_contract import ForgeCase, checks_of

pytestmark = pytest.mark.http_git


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_bitbucket(check: Callable[[Case], None], case: ForgeCase) -> None:
    check(case)


@pytest.mark.parametrize("check", checks_of("bitbucket"), ids=lambda check: check.__name__)
def test_bitbucket_as_a_forge(check: Callable[[ForgeCase], None], case: ForgeCase) -> None:
    check(case)


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_bitbucket_dc(check: Callable[[Case], None], dc_case: ForgeCase) -> None:
    check(dc_case)


@pytest.mark.parametrize("check", checks_of("bitbucket_dc"), ids=lambda check: check.__name__)
def test_bitbucket_dc_as_a_forge(check: Callable[[ForgeCase], None], dc_case: ForgeCase) -> None:
    check(dc_case)
