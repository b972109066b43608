from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from opssight.core.outbound import AllowedTarget, Policy
from opssight.core.outbound_http import client
from repos.git.runner import Git
from repos.providers.gitea.provider import GiteaProvider
from repos.providers.http import Wire
from repos.providers.types import Context
from tests.forges.gitea import GiteaStandIn
from tests.forges.standin import Reply
from tests.repos.providers.conftest import vet_loopback
from tests.repos.providers.forge_case import ForgeCase

TOKEN = "canary-3f1c0de0a7b94b2d8c"
LOOPBACK = Policy([AllowedTarget("127.0.0.1", "127.0.0.0/8")])


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[GiteaStandIn]:
    with GiteaStandIn(tmp_path / "gitea") as running:
        running.add_token(TOKEN, "ana")
        running.add_person("bea")
        running.add_repository("acme/site", {b"index.html": b"hello"}, visibility="public")
        running.add_repository("acme/empty")
        yield running


@pytest.fixture
def case(forge: GiteaStandIn, git: Git) -> ForgeCase:
    wire = Wire(lambda base_url: client(LOOPBACK, timeout=10, max_bytes=10_000_000, max_redirects=0))
    made = ForgeCase(
        kind="gitea",
        options={"url": forge.url},
        secrets={"token": TOKEN},
        context=Context(git=git, vet=vet_loopback, wire=wire),
        expected={"acme/site", "acme/empty"},
        gone="4711",
        forge=forge,
        with_token=lambda value: replace(made, secrets={"token": value}),
        scheme="gitea",
        limited=lambda: Reply(429, raw=b"Too Many Requests", headers={"Retry-After": "30"}),
    )
    return made


@pytest.fixture
def gitea(case: ForgeCase) -> GiteaProvider:
    provider = case.client()
    assert isinstance(provider, GiteaProvider)
    return provider
