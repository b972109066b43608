"""The contract through nothing but an address and a token: against a real server where one is named.

`OPSSIGHT_E2E_<PROVIDER>_URL` and `_TOKEN` name it; `_EMAIL` goes with a token of Bitbucket, `_OWNER` is an
organization, group or workspace to make repositories in. Without them a stand-in takes its place, so that
these checks keep working.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from opssight.core.outbound import AllowedTarget, Policy
from repos.git.runner import Git
from tests.forges.showcase import Showcase
from tests.repos.providers.forge_case import ForgeCase
from tests.repos.providers.forge_contract import checks_of
from tests.repos.providers.real import CHECKS, kinds, named_in_environment, real_case

pytestmark = pytest.mark.http_git


@dataclass(frozen=True)
class Place:
    kind: str
    url: str
    token: str
    email: str
    policy: Policy


@pytest.fixture(scope="module")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    kind = str(request.param)
    url, token, email = (named_in_environment(kind, name) for name in ("URL", "TOKEN", "EMAIL"))
    if url or token:
        assert url, "the address is needed beside the token"
        assert token, "the token is needed beside the address"
        yield Place(kind, url, token, email, Policy())
        return
    with Showcase(tmp_path_factory.mktemp("forges") / "all", [0] * 4, only=kind) as [one]:
        loopback = Policy([AllowedTarget("127.0.0.1", "127.0.0.0/8")])
        yield Place(kind, one.url, one.token, one.email, loopback)


@pytest.fixture
def case(place: Place, git: Git) -> Iterator[ForgeCase]:
    with real_case(place.kind, place.url, place.token, place.email, git, place.policy) as made:
        yield made


@pytest.mark.parametrize(
    ("place", "check"),
    [(kind, check) for kind in kinds() for check in checks_of(kind) if check in CHECKS],
    ids=lambda part: part if isinstance(part, str) else part.__name__,
    indirect=["place"],
)
def test_a_server(check: Callable[[ForgeCase], None], case: ForgeCase) -> None:
    check(case)
