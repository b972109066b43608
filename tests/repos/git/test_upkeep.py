"""What keeps stores sound: packing, damage, kills, full disks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from repos.git import generation
from repos.git.errors import (
    DiskFull,
    MissingObject,
    StoreCorrupt,
)
from repos.git.remote import Remote
from repos.git.store import Store, Stores
from tests.forges.githttp import GitServer
from tests.repos.git.test_runner import until
from tests.repos.git.work import FETCHER, HEADS, Bare, many


def test_too_many_packs_of_a_full_store_are_packed(
    store: Store, source: Bare, source_remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "MAX_PACKS", 3)
    for i in range(5):
        source.commit({f"f{i}".encode(): os.urandom(50)})
        with store.using() as held:
            store.fetch(source_remote, HEADS)
        assert held.current == store.current or i == 0
    assert store.current
    assert generation.packs(store.current) == 5  # somebody was reading each time
    tip = source.commit({b"last": b"1"})
    store.fetch(source_remote, HEADS)
    assert generation.packs(store.current) < 4
    assert len(store.tree(tip)) == 6


def test_unreachable_objects_go_after_two_weeks(
    store: Store, source: Bare, source_remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "MAX_PACKS", 0)
    gone = source.commit({b"a": b"1"})
    store.fetch(source_remote, HEADS)
    source.commit({b"a": b"2"}, orphan=True)
    store.fetch(source_remote, HEADS)
    assert store.has(gone)
    assert store.current
    old = time.time() - 15 * 86_400
    for path in [store.current / "repacked", *store.current.glob("objects/pack/*")]:
        os.utime(path, (old, old))
    tip = source.commit({b"a": b"3"})
    store.fetch(source_remote, HEADS)
    assert not store.has(gone)
    assert store.tree(tip)


def test_too_many_packs_of_a_blobless_store_make_a_new_one(
    store: Store, target: Bare, target_remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generation, "MAX_PACKS", 2)
    for i in range(4):
        tip = target.commit({f"f{i}".encode(): os.urandom(50)})
        store.fetch(target_remote, HEADS, partial=True)
    assert store.current
    assert generation.packs(store.current) == 1
    assert store.partial
    assert len(store.tree(tip)) == 4


def break_pack(store: Store, suffix: str) -> None:
    assert store.current
    for path in store.current.glob(f"objects/pack/*.{suffix}"):
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    "damage", ["pack", "idx", "no packs", "no HEAD", "no current", "no folder", "dangling"]
)
def test_a_damaged_store_is_rebuilt_by_the_next_fetch(
    store: Store, source: Bare, source_remote: Remote, damage: str
) -> None:
    one = source.commit(many(30))
    store.fetch(source_remote, HEADS)
    assert store.current
    if damage in {"pack", "idx"}:
        break_pack(store, damage)
    elif damage == "no packs":
        shutil.rmtree(store.current / "objects/pack")
    elif damage == "no HEAD":
        (store.current / "HEAD").unlink()
    elif damage == "no current":
        (store.folder / "current").unlink()
    elif damage == "dangling":
        shutil.rmtree(store.current)
    else:
        shutil.rmtree(store.folder)
    with pytest.raises((StoreCorrupt, MissingObject)):
        list(store.blobs(entry.oid for entry in store.tree(one)))
    store.fetch(source_remote, HEADS, want=one)
    assert len(list(store.blobs(entry.oid for entry in store.tree(one)))) == 30


def test_a_wrong_question_does_not_cost_the_store(store: Store, source: Bare, source_remote: Remote) -> None:
    one = source.commit(many(3))
    store.fetch(source_remote, HEADS)
    before = store.current
    for _ in range(2):
        with pytest.raises(MissingObject):
            store.changes("1" * 40, one)
        with pytest.raises(StoreCorrupt):
            store.blob("2" * 40, 10)
        store.fetch(source_remote, HEADS)
    assert store.current == before


def test_leftovers_of_a_killed_fetch_do_not_stop_the_next(
    store: Store, source: Bare, source_remote: Remote
) -> None:
    source.commit({b"a": b"1"})
    store.fetch(source_remote, HEADS)
    assert store.current
    leftovers = [
        store.current / name
        for name in ("packed-refs.lock", "refs/heads/main.lock", "HEAD.lock", "objects/pack/tmp_pack_x")
    ]
    for path in leftovers:
        path.touch()
    two = source.commit({b"a": b"2"})
    store.fetch(source_remote, HEADS)
    assert store.resolve(b"refs/heads/main") == two
    assert not any(path.exists() for path in leftovers)


@pytest.mark.chaos
def test_a_fetch_that_was_killed_leaves_nothing_behind(
    stores: Stores, server: GitServer, target: Bare, target_remote: Remote, tmp_path: Path
) -> None:
    from tests.repos.git.conftest import PASSWORD, USER

    one = target.commit(many(10))
    key = uuid.uuid4()
    args = [str(tmp_path / "home"), str(stores.root), str(key), target_remote.url, one, USER, PASSWORD]
    server.stall = True
    process = subprocess.Popen([sys.executable, "-c", FETCHER, *args])
    assert server.stalled.wait(20)
    process.kill()
    process.wait()
    server.stall = False
    store = stores.store(key)
    assert until(lambda: stores.sweep().generations >= 0 and not list(store.folder.glob("full-*")))
    assert store.fetch(target_remote, HEADS, want=one).fetched
    assert len(store.tree(one)) == 10


def test_a_full_disk(stores: Stores, source: Bare, source_remote: Remote, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("needs the right to mount")
    try:
        small = Stores(disk, stores.git, quota_bytes=1 << 40)
        one = source.commit({b"a": os.urandom(300_000)})
        first, second = small.store(uuid.uuid4()), small.store(uuid.uuid4())
        first.fetch(source_remote, HEADS)
        source.commit({b"b": os.urandom(600_000)})
        second.fetch(source_remote, HEADS)
        assert first.current is None  # made room
        assert second.has(one)
        source.commit({b"c": os.urandom(300_000)})
        with second.using(), pytest.raises(DiskFull) as caught:
            second.fetch(source_remote, HEADS)
        assert caught.value.retryable
        assert second.has(one)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)
