"""What the checks of a provider with an API work on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

from repos.git.remote import PasswordCredential, Remote
from repos.providers.forge import Forge
from tests.forges.standin import Reply, Repo, StandIn
from tests.repos.git.work import git as plain_git
from tests.repos.providers.contract import Case


@dataclass(frozen=True)
class ForgeCase(Case):
    """`with_token(value)` gives the same case with another token; `scheme` verifies its webhooks.

    `limited` makes the next answer one that says that the limit is over; `odd` is a path of the API that
    `identity()` or `repositories()` asks for.
    """

    forge: StandIn
    with_token: Callable[[str], Case]
    scheme: str
    limited: Callable[[], Reply]
    owner: str = "acme"
    prefix: str = ""  # of the names of repositories, where others are beside them

    def forge_client(self) -> Forge:
        client = self.client()
        assert isinstance(client, Forge)
        return client

    @property
    def site(self) -> str:
        """The full name of the repository that checks work with."""
        return f"{self.owner}/{self.prefix}site"

    def id_of(self, full_name: str) -> str:
        [found] = [one for one in self.client().repositories() if one.full_name == full_name]
        return found.external_id


def site_of(case: ForgeCase) -> Repo:
    """The repository `case.site` at the forge."""
    repo = case.forge.named(case.site)
    assert repo is not None
    return repo


def with_branch(case: ForgeCase, branch: str) -> str:
    """A branch of `acme/site` with one file more than main; the repository's id."""
    repo = site_of(case)
    bare = case.forge.bare(repo)
    plain_git("branch", branch, "main", cwd=bare.path)
    bare.commit({f"{branch}.txt".encode(): b"new\n"}, branch=branch)
    return case.id_of(case.site)


def push(case: ForgeCase, remote: Remote) -> str:
    """A commit on main, pushed over HTTP with the connection's own credential; its id."""
    repo = site_of(case)
    assert isinstance(remote.credential, PasswordCredential)
    clone = case.context.git.home.parent / "clone"
    plain_git("clone", "-q", str(case.forge.bare(repo).path), str(clone), cwd=clone.parent)
    (clone / "pushed.txt").write_text("pushed\n")
    plain_git("add", ".", cwd=clone)
    plain_git("commit", "-q", "-m", "a push", cwd=clone)
    login = f"{quote(remote.credential.username, safe='')}:{quote(remote.credential.password, safe='')}"
    plain_git("push", "-q", remote.url.replace("://", f"://{login}@"), "HEAD:main", cwd=clone)
    return plain_git("rev-parse", "HEAD", cwd=clone)
