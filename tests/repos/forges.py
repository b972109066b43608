"""Connections to the stand-in forges, as an administrator and a team would have made them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opssight.accounts.models import AllowedHost, Team
from opssight.accounts.scope import Principal
from repos import connections, inventory
from repos.models import Connection, Repository
from tests.forges.bitbucket import API_SCOPES, BitbucketStandIn
from tests.forges.bitbucket_dc import BitbucketDataCenterStandIn
from tests.forges.gitea import GiteaStandIn
from tests.forges.github import GitHubStandIn
from tests.forges.gitlab import GitLabStandIn
from tests.forges.standin import Hook, Repo, StandIn

TOKEN = "canary-5f1c0de0a7b94b2d8c"
STANDINS: dict[str, tuple[type[StandIn], dict[str, Any], dict[str, str]]] = {
    # the stand-in, what its token needs, and the options of a connection beside the address
    "github": (GitHubStandIn, {"scopes": ["repo", "admin:repo_hook"]}, {}),
    "gitlab": (GitLabStandIn, {"scopes": ["api"]}, {}),
    "bitbucket": (
        BitbucketStandIn,
        {"email": "ana@example.com", "scopes": API_SCOPES},
        {"email": "ana@example.com"},
    ),
    "bitbucket_dc": (BitbucketDataCenterStandIn, {}, {"username": "ana"}),
    "gitea": (GiteaStandIn, {}, {}),
}


@dataclass
class Connected:
    """A stand-in with `acme/site` (files) and `acme/docs`, and a connection that has imported both."""

    forge: Any
    connection: Connection
    principal: Principal

    def repo(self, full_name: str = "acme/site") -> Repo:
        repo = self.forge.named(full_name)
        assert isinstance(repo, Repo)
        return repo

    def hooks_there(self, full_name: str = "acme/site") -> list[Hook]:
        return list(self.repo(full_name).hooks.values())

    def row(self, full_name: str = "acme/site") -> Repository:
        return self.connection.repositories.get(full_name=full_name)


@contextmanager
def connected(kind: str, folder: Path, team: Team, principal: Principal) -> Iterator[Connected]:
    make, token, options = STANDINS[kind]
    with make(folder / kind) as forge:
        forge.add_token(TOKEN, "ana", **token)
        forge.add_repository("acme/site", {b"index.html": b"hello"})
        forge.add_repository("acme/docs", {b"README": b"docs"})
        AllowedHost.objects.create(pattern="127.0.0.1", cidr="127.0.0.0/8", ports=str(forge.port))
        connection = connections.create_connection(
            principal, team, kind, f"{kind}: ana", {"url": forge.url, **options}, {"token": TOKEN}
        )
        inventory.import_repositories(principal, connection)
        yield Connected(forge, connection, principal)
