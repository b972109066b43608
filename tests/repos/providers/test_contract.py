"""Every provider through one suite: a new one needs a case, not tests of its own for all this."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from opssight.core.errors import InvalidInput
from repos.providers.forge import Forge
from repos.providers.registry import (
    HOOK_SCHEMES,
    PROVIDERS,
    all_providers,
    all_schemes,
    provider_named,
    scheme_named,
)
from repos.providers.types import Capability
from tests.repos.providers.contract import CONTRACT, Case
from tests.repos.providers.forge_contract import EXERCISED, FORGE_CONTRACT, NEEDED


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_folder(check: Callable[[Case], None], folder_case: Case) -> None:
    check(folder_case)


@pytest.mark.http_git
@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
def test_plain(check: Callable[[Case], None], plain_case: Case) -> None:
    check(plain_case)


def test_no_provider_escapes_the_contract() -> None:
    tested = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    for file in Path(__file__).parent.glob("*/test_contract.py"):
        tested |= set(re.findall(r"^def test_(\w+)\(", file.read_text(), re.MULTILINE))
    assert set(PROVIDERS) <= tested


def test_every_capability_that_is_claimed_is_shown() -> None:
    """Each has a check, and each provider with it is given that check."""
    names = {check.__name__ for check in FORGE_CONTRACT}
    assert set(EXERCISED) == set(Capability)
    assert set(EXERCISED.values()) <= names
    assert set(NEEDED) <= names
    for provider in all_providers():
        if issubclass(provider, Forge):
            shown = {EXERCISED[one] for one in provider.capabilities}
            left_out = {name for name in shown if not set(NEEDED.get(name, ())) <= provider.capabilities}
            assert left_out == set(), provider.kind


def test_registry() -> None:
    assert [provider.kind for provider in all_providers()] == list(PROVIDERS)
    assert len({provider.mark for provider in all_providers()}) == len(PROVIDERS)
    assert [scheme.scheme for scheme in all_schemes()] == list(HOOK_SCHEMES)


def test_registry_names_what_there_is() -> None:
    with pytest.raises(InvalidInput, match="plain") as refused:
        provider_named("sourcesafe")
    assert refused.value.problems[0][0] == "provider"
    with pytest.raises(InvalidInput, match="github, gitlab"):
        scheme_named("folder")
