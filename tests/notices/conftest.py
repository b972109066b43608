from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from opssight.core.outbound import AllowedTarget, Policy
from opssight.notices import http
from tests.notices.servers import HttpServer, MailServer, http_server, mail_server


@pytest.fixture
def receiver() -> Iterator[HttpServer]:
    """An HTTP server on loopback that the policy allows."""
    allowed = Policy([AllowedTarget("127.0.0.1", "127.0.0.1/32")])
    before = http._policy
    http.use_policy(lambda: allowed)
    with http_server() as server:
        yield server
    http.use_policy(before)


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def team() -> uuid.UUID:
    return uuid.uuid4()
