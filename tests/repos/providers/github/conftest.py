from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from opssight.core.outbound import AllowedTarget, Policy
from opssight.core.outbound_http import client
from repos.git.runner import Git
from repos.providers.github.provider import GitHubProvider
from repos.providers.http import Wire
from repos.providers.types import Context
from tests.forges.github import GitHubStandIn, secondary_limit
from tests.repos.providers.conftest import vet_loopback
from tests.repos.providers.forge_case import ForgeCase
from tests.repos.providers.test_http import Memory

TOKEN = "ghp_canary0123456789abcdef"
LOOPBACK = Policy([AllowedTarget("127.0.0.1", "127.0.0.0/8")])


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[GitHubStandIn]:
    with GitHubStandIn(tmp_path / "github") as running:
        running.add_token(TOKEN, "ana", scopes=["repo", "delete_repo"])
        running.add_repository("acme/site", {b"index.html": b"hello"}, visibility="public")
        running.add_repository("acme/empty")
        yield running


@pytest.fixture
def case(forge: GitHubStandIn, git: Git) -> ForgeCase:
    wire = Wire(
        client=lambda base: client(LOOPBACK, timeout=10, max_bytes=10_000_000, max_redirects=0),
        etags=Memory(),
    )
    made = ForgeCase(
        kind="github",
        options={"url": forge.url},
        secrets={"token": TOKEN},
        context=Context(git=git, vet=vet_loopback, wire=wire),
        expected={"acme/site", "acme/empty"},
        gone="4711",
        forge=forge,
        with_token=lambda value: replace(made, secrets={"token": value}),
        scheme="github",
        limited=secondary_limit,
    )
    return made


@pytest.fixture
def github(case: ForgeCase) -> GitHubProvider:
    provider = case.client()
    assert isinstance(provider, GitHubProvider)
    return provider
