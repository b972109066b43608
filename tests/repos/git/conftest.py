from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from repos.git.remote import PasswordCredential, Remote
from repos.git.runner import Git
from repos.git.store import Store, Stores
from tests.forges.githttp import GitServer
from tests.repos.git.work import Bare

USER, PASSWORD = "robot", "pa ss'wo\"rd$\\é-canary-7f3a"


@pytest.fixture
def git(tmp_path: Path) -> Git:
    return Git(tmp_path / "home", stall_seconds=30)


@pytest.fixture
def stores(tmp_path: Path, git: Git) -> Stores:
    return Stores(tmp_path / "data", git, quota_bytes=1 << 40)


@pytest.fixture
def store(stores: Stores) -> Store:
    return stores.store(uuid.uuid4())


@pytest.fixture
def source(tmp_path: Path) -> Bare:
    return Bare(tmp_path / "source.git")


@pytest.fixture
def source_remote(source: Bare) -> Remote:
    return Remote.from_url(str(source.path))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    root = tmp_path / "server"
    root.mkdir()
    with GitServer(root, username=USER, password=PASSWORD) as running:
        yield running


@pytest.fixture
def target(server: GitServer) -> Bare:
    return Bare(server.create("team/target.git"))


@pytest.fixture
def target_remote(server: GitServer, target: Bare) -> Remote:
    return Remote.from_url(server.url_of("team/target.git"), PasswordCredential(USER, PASSWORD))
