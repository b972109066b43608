from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from opssight.core.outbound import AllowedTarget, Policy
from opssight.core.outbound_http import client
from repos.git.runner import Git
from repos.providers.http import Wire
from repos.providers.types import Context
from tests.forges.gitlab import GitLabStandIn
from tests.forges.standin import Reply
from tests.repos.providers.conftest import vet_loopback
from tests.repos.providers.forge_case import ForgeCase

TOKEN = "glpat-canary-4f0c1d"
LOOPBACK = Policy([AllowedTarget("127.0.0.1", "127.0.0.0/8")])


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[GitLabStandIn]:
    with GitLabStandIn(tmp_path / "gitlab") as running:
        running.add_token(TOKEN, "ana", scopes=["api"])
        running.add_user("bea")
        running.add_repository(
            "acme/site", {b"index.html": b"hello"}, visibility="public", description="The site"
        )
        running.add_repository("acme/empty")
        yield running


@pytest.fixture
def case(forge: GitLabStandIn, git: Git) -> ForgeCase:
    wire = Wire(lambda base_url: client(LOOPBACK, timeout=10, max_bytes=10_000_000, max_redirects=0))
    made = ForgeCase(
        kind="gitlab",
        options={"url": forge.url},
        secrets={"token": TOKEN},
        context=Context(git=git, vet=vet_loopback, wire=wire),
        expected={"acme/site", "acme/empty"},
        gone="4711",
        forge=forge,
        with_token=lambda value: replace(made, secrets={"token": value}),
        scheme="gitlab",
        limited=lambda: Reply(
            429, raw=b"Retry later\n", headers={"Content-Type": "text/plain", "Retry-After": "42"}
        ),
    )
    return made
