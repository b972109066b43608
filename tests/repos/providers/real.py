"""A real server in place of a stand-in, for the checks that ask for nothing but what its API and git offer.

    with real_case("gitlab", "https://gitlab.example.org", token, "", git, Policy()) as case:
        check(case)

Whatever is needed is made with the API, by names that begin with `opssight-e2e-`, and removed at the end.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from opssight.core.errors import NotFound
from opssight.core.outbound import Policy
from opssight.core.outbound_http import client
from repos.access import vetted
from repos.git.remote import PasswordCredential
from repos.git.runner import Git
from repos.providers.forge import Forge, NewRepository
from repos.providers.http import Wire
from repos.providers.registry import all_providers
from repos.providers.types import Capability, Context
from tests.forges.standin import Reply, Repo, StandIn
from tests.repos.git.work import Bare
from tests.repos.providers import forge_contract as checks
from tests.repos.providers.contract import says_that_one_is_gone
from tests.repos.providers.forge_case import ForgeCase
from tests.repos.providers.hook_contract import hooks_are_made_mended_and_removed

GONE: Final = {"bitbucket": "/".join(["00000000-0000-4000-8000-000000000000"] * 2)}
CHECKS: list[Callable[[Any], None]] = [
    says_that_one_is_gone,
    checks.tells_who_and_what_it_may,
    checks.says_that_a_token_is_refused,
    checks.creates_changes_and_deletes,
    checks.sets_the_default_branch,
    checks.opens_one_pull_request_and_no_second,
    checks.changes_and_closes_a_pull_request,
    checks.merges_what_it_saw_and_nothing_else,
    checks.says_that_a_branch_is_missing,
    checks.drafts_become_ready,
    checks.labels_are_set,
    checks.checks_are_told_and_read,
    hooks_are_made_mended_and_removed,
    checks.tells_what_is_left,
    checks.what_is_not_offered_says_so,
]
"""What can be asked of a server that nobody but us may look into."""


def kinds() -> list[str]:
    """The forges whose repositories can be made and removed with their API."""
    needed = {Capability.CREATE, Capability.DELETE}
    return [one.kind for one in all_providers() if issubclass(one, Forge) and needed <= one.capabilities]


def named_in_environment(kind: str, name: str) -> str:
    """`OPSSIGHT_E2E_<KIND>_<NAME>`; "" when it is not there."""
    return os.environ.get(f"OPSSIGHT_E2E_{kind.upper()}_{name}", "")


class _Clone(Bare):
    """A repository of the server, mirrored here: what is committed to it is pushed."""

    def __init__(self, path: Path, address: str) -> None:
        super().__init__(path)
        self._address = address
        self.git("fetch", "-q", "--prune", address, "+refs/heads/*:refs/heads/*")

    def commit(self, files: Mapping[bytes, bytes | None], *, branch: str = "main", **more: Any) -> str:
        oid = super().commit(files, branch=branch, **more)
        self.git("push", "-q", self._address, f"refs/heads/{branch}")
        return oid


class RealForge(StandIn):
    """Nothing is served here: its repositories are looked up and pushed to where they are."""

    def __init__(self, root: Path, client: Forge) -> None:
        super().__init__(root)
        self._client = client

    def named(self, full_name: str) -> Repo | None:
        return Repo(0, full_name)

    def bare(self, repo: Repo) -> Bare:
        [found] = [one for one in self._client.repositories() if one.full_name == repo.full_name]
        remote = self._client.remote(found.external_id, found.full_name)
        assert isinstance(remote.credential, PasswordCredential)
        login = ":".join(
            quote(part, safe="") for part in (remote.credential.username, remote.credential.password)
        )
        path = self.root / f"{repo.full_name.replace('/', '-')}.git"
        return _Clone(path, remote.url.replace("://", f"://{login}@"))


@contextmanager
def real_case(kind: str, url: str, token: str, email: str, git: Git, policy: Policy) -> Iterator[ForgeCase]:
    """A case over a fresh repository with a README on `main`, in the account of the token."""
    wire = Wire(lambda base: client(policy, timeout=30, max_bytes=64_000_000, max_redirects=0))
    context = Context(git=git, vet=lambda remote: vetted(remote, policy), wire=wire)
    options = {"url": url, **({"email": email} if email else {})}
    case = ForgeCase(
        kind=kind,
        options=options,
        secrets={"token": token},
        context=context,
        expected=set(),
        gone=GONE.get(kind, "999999999"),
        forge=StandIn(git.home),
        with_token=lambda value: replace(case, secrets={"token": value}),
        scheme=kind,
        limited=lambda: Reply(429),
        prefix=f"opssight-e2e-{secrets.token_hex(4)}-",
    )
    forge = case.forge_client()
    owner = named_in_environment(kind, "OWNER") or forge.identity().account
    folder = git.home.parent / "clones"
    folder.mkdir(parents=True, exist_ok=True)
    case = replace(case, owner=owner, forge=RealForge(folder, forge))
    made = forge.create_repository(NewRepository(f"{case.prefix}site", owner, "Made by a test, and removed"))
    try:
        case.forge.bare(Repo(0, case.site)).commit({b"README.md": b"hello\n"})
        yield case
    finally:
        forge.delete_repository(made.external_id)
        for left in [one for one in forge.repositories() if f"/{case.prefix}" in one.full_name]:
            with suppress(NotFound):
                forge.delete_repository(left.external_id)
