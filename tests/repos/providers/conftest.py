from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from opssight.core.outbound import AllowedTarget, Policy
from repos.access import vetted
from repos.git.remote import Remote
from repos.git.runner import Git
from repos.providers.types import Context
from tests.forges.githttp import GitServer
from tests.repos.git.work import Bare
from tests.repos.providers.contract import Case

USER, PASSWORD = "robot", "canary-password-5d1e"


def vet_loopback(remote: Remote) -> Remote:
    return vetted(remote, Policy([AllowedTarget("127.0.0.1", "127.0.0.0/8")]))


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path / "home", stall_seconds=20)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with a bare repository and, deeper, another one."""
    root = tmp_path / "repositories"
    (root / "team").mkdir(parents=True)
    Bare(root / "site.git").commit({b"index.html": b"hello"})
    Bare(root / "team" / "docs.git").commit({b"README": b"docs"})
    return root


@pytest.fixture
def folder_case(root: Path, git: Git) -> Case:
    return Case(
        kind="folder",
        options={"root": str(root)},
        secrets={},
        context=Context(git=git, vet=vet_loopback, roots=(root.parent,)),
        expected={"site", "team/docs"},
        gone="team/other.git",
    )


@pytest.fixture
def git_server(root: Path) -> Iterator[GitServer]:
    with GitServer(root, username=USER, password=PASSWORD) as running:
        yield running


@pytest.fixture
def plain_case(git_server: GitServer, git: Git) -> Case:
    return Case(
        kind="plain",
        options={
            "urls": [git_server.url_of("site.git"), git_server.url_of("team/docs.git")],
            "username": USER,
        },
        secrets={"password": PASSWORD},
        context=Context(git=git, vet=vet_loopback),
        expected={"site", "team/docs"},
        gone=git_server.url_of("team/other.git"),
    )
