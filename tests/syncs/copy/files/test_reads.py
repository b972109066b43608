"""Files of repositories: what is too large is not even brought here."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from opssight.core.errors import InvalidInput
from repos.git.remote import Remote
from repos.git.runner import Git
from repos.git.store import Store, Stores
from syncs.copy.files.reads import contents_at
from tests.repos.git.work import HEADS, Bare


@pytest.fixture
def bare(tmp_path: Path) -> Bare:
    return Bare(tmp_path / "config.git")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Stores(tmp_path / "stores", Git(tmp_path / "home"), quota_bytes=1 << 40).store(uuid.uuid4())


def read(store: Store, bare: Bare, path: str) -> bytes:
    remote = Remote.from_url(str(bare.path))
    store.fetch(remote, HEADS, partial=True)
    return contents_at(store, remote, "acme/config", "main", bare.oid("main"), path)


@pytest.mark.parametrize("data", [os.urandom(3_000_000), bytes(30_000_000)], ids=["large", "packed well"])
def test_what_is_too_large_is_refused(bare: Bare, store: Store, data: bytes) -> None:
    bare.commit({b"copier/main.yaml": data})
    with pytest.raises(InvalidInput, match=r"copier/main.yaml in acme/config is larger than 1 MB"):
        read(store, bare, "copier/main.yaml")
    packs = (store.current or Path()) / "objects/pack"
    assert sum(file.stat().st_size for file in packs.iterdir()) < 1_200_000


def test_the_largest_that_is_read(bare: Bare, store: Store) -> None:
    data = os.urandom(1_000_000)
    bare.commit({b"a/b/c": data, b"a/other": os.urandom(3_000_000)})
    assert read(store, bare, "a/b/c") == data
