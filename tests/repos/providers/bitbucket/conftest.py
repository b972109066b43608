from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from repos.git.runner import Git
from repos.providers.http import Wire
from repos.providers.types import Context
from tests.forges.bitbucket import API_SCOPES, BitbucketStandIn
from tests.forges.bitbucket_base import error
from tests.forges.bitbucket_dc import BitbucketDataCenterStandIn
from tests.forges.standin import Reply
from tests.repos.providers.conftest import vet_loopback
from tests.repos.providers.forge_case import ForgeCase

TOKEN = "ATATT3x-canary-19c7"
DC_TOKEN = "BBDC-canary-8e21"
EMAIL = "ana@example.com"
NOBODY = "00000000-0000-4000-8000-000000000000"


@pytest.fixture
def context(git: Git) -> Context:
    wire = Wire(client=lambda base: httpx.Client(timeout=10, trust_env=False))
    return Context(git=git, vet=vet_loopback, wire=wire)


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[BitbucketStandIn]:
    with BitbucketStandIn(tmp_path / "bitbucket") as running:
        running.add_token(TOKEN, "ana", email=EMAIL, scopes=API_SCOPES)
        running.add_repository("acme/site", {b"index.html": b"hello"}, visibility="public")
        running.add_repository("acme/empty")
        yield running


@pytest.fixture
def case(forge: BitbucketStandIn, context: Context) -> ForgeCase:
    made = ForgeCase(
        kind="bitbucket",
        options={"url": forge.url, "email": EMAIL},
        secrets={"token": TOKEN},
        context=context,
        expected={"acme/site", "acme/empty"},
        gone=f"{NOBODY}/{NOBODY}",
        forge=forge,
        with_token=lambda value: replace(made, secrets={"token": value}),
        scheme="bitbucket",
        limited=lambda: error(429, "Rate limit for this resource has been exceeded"),
    )
    return made


@pytest.fixture
def dc_forge(tmp_path: Path) -> Iterator[BitbucketDataCenterStandIn]:
    with BitbucketDataCenterStandIn(tmp_path / "data-center") as running:
        running.add_token(DC_TOKEN, "ana")
        running.add_repository("acme/site", {b"index.html": b"hello"}, visibility="public")
        running.add_repository("acme/empty")
        yield running


@pytest.fixture
def dc_case(dc_forge: BitbucketDataCenterStandIn, context: Context) -> ForgeCase:
    made = ForgeCase(
        kind="bitbucket_dc",
        options={"url": dc_forge.url, "username": "ana"},
        secrets={"token": DC_TOKEN},
        context=context,
        expected={"acme/site", "acme/empty"},
        gone="4711",
        forge=dc_forge,
        with_token=lambda value: replace(made, secrets={"token": value}),
        scheme="bitbucket_dc",
        limited=lambda: Reply(429, raw=b"You have been rate limited.", headers={"Retry-After": "42"}),
    )
    return made
