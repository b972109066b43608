"""Stores without contents: what a target of a copy needs, and how one becomes full."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

import pytest

from repos.git.errors import (
    MissingObject,
    TooLarge,
)
from repos.git.remote import Remote
from repos.git.store import Store, Stores
from repos.git.types import Fetched
from tests.forges.githttp import GitServer
from tests.repos.git.work import HEADS, Bare, many


def test_blobless(store: Store, server: GitServer, target: Bare, target_remote: Remote) -> None:
    one = target.commit(many(100))
    full_size = store.fetch(target_remote, HEADS, partial=True).nbytes
    assert store.partial
    entries = store.tree(one)
    assert len(entries) == 100
    assert len(store.missing(entry.oid for entry in entries)) == 100
    with pytest.raises(MissingObject):
        store.blob(entries[0].oid, 10_000)
    server.reset_counts()
    wanted = [entry.oid for entry in entries[:60]]
    assert store.prefetch(target_remote, wanted) > 0
    assert server.fetches == 1
    assert len(store.missing(entry.oid for entry in entries)) == 40
    assert len(dict(store.blobs(wanted))) == 60
    assert store.prefetch(target_remote, wanted) == 0
    assert server.fetches == 1
    assert full_size < 10_000
    two = target.commit({b"new": b"1"})
    assert store.fetch(target_remote, HEADS, partial=True).nbytes < 2_000
    assert [change.path for change in store.changes(one, two)] == [b"new"]
    assert "promisor" not in (store.current or Path()).joinpath("config").read_text()


def test_blobless_from_a_folder(store: Store, source: Bare, source_remote: Remote) -> None:
    one = source.commit(many(10))
    store.fetch(source_remote, HEADS, partial=True)
    oids = [entry.oid for entry in store.tree(one)]
    assert store.missing(oids) == oids
    store.prefetch(source_remote, oids)
    assert store.missing(oids) == []


def test_nothing_local_ever_fetches(
    store: Store, server: GitServer, target: Bare, target_remote: Remote
) -> None:
    one = target.commit(many(10))
    store.fetch(target_remote, HEADS, partial=True)
    server.reset_counts()
    entry = store.tree(one)[0]
    assert store.missing([entry.oid]) == [entry.oid]
    for read in (lambda: store.blob(entry.oid, 1_000), lambda: store.size(entry.oid)):
        with pytest.raises(MissingObject):
            read()
    assert server.headers == []


def test_a_server_without_filter_gives_a_full_store(tmp_path: Path, stores: Stores) -> None:
    root = tmp_path / "plain"
    root.mkdir()
    with GitServer(root, allow_filter=False) as server:
        bare = Bare(server.create("app.git"))
        one = bare.commit(many(20))
        store = stores.store(uuid.uuid4())
        remote = Remote.from_url(server.url_of("app.git"))
        store.fetch(remote, HEADS, partial=True)
        assert not store.partial
        assert store.missing(entry.oid for entry in store.tree(one)) == []
        assert not list((store.current or Path()).glob("objects/pack/*.promisor"))
        two = bare.commit({b"b": b"2"})
        store.fetch(remote, HEADS, partial=True)
        assert store.missing(entry.oid for entry in store.tree(two)) == []


def test_a_blobless_store_becomes_full_beside_its_readers(
    store: Store, target: Bare, target_remote: Remote
) -> None:
    one = target.commit(many(20))
    store.fetch(target_remote, HEADS, partial=True)
    before = store.current
    assert before
    with store.using() as reader:
        assert store.fetch(target_remote, HEADS, want=one).fetched  # here, but not with its contents
        assert store.current != before
        assert reader.current == before
        assert len(reader.tree(one)) == 20
    assert not store.partial
    assert store.missing(entry.oid for entry in store.tree(one)) == []
    assert before.exists()
    assert store.stores.sweep().generations == 1
    assert not before.exists()
    assert store.fetch(target_remote, HEADS, partial=True, want=one) == Fetched(False, 0)


def test_more_than_the_limit_is_broken_off_and_not_kept(
    store: Store, target: Bare, target_remote: Remote
) -> None:
    commit = target.commit({b"big": os.urandom(3_000_000), b"small": os.urandom(90_000)})
    store.fetch(target_remote, HEADS, partial=True)
    big, small = [entry.oid for entry in store.tree(commit)]
    with pytest.raises(TooLarge):
        store.prefetch(target_remote, [big], limit=100_000)
    packs = (store.current or Path()) / "objects/pack"
    assert sum(file.stat().st_size for file in packs.iterdir()) < 100_000
    assert store.missing([big, small]) == [big, small]
    assert store.prefetch(target_remote, [small], limit=90_000) > 90_000
    assert store.missing([big, small]) == [big]
    store.prefetch(target_remote, [big])
    assert store.missing([big]) == []
