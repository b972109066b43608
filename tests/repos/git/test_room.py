from __future__ import annotations

import os
import threading
import time
import uuid
from pathlib import Path

import pytest

from repos.git import locks
from repos.git.remote import Remote
from repos.git.store import Store, Stores
from repos.git.types import Fetched
from tests.repos.git.work import HEADS, Bare


@pytest.fixture
def three(stores: Stores, source: Bare, source_remote: Remote) -> list[Store]:
    """Stores of some 100 KB each, the first one longest unused."""
    source.commit({b"a": os.urandom(100_000)})
    made = [stores.store(uuid.uuid4()) for _ in range(3)]
    for age, store in enumerate(made):
        store.fetch(source_remote, HEADS)
        past = time.time() - 1_000 + age
        with store.using():
            pass
        os.utime(store.folder / "use", (past, past))
    return made


def here(stores: list[Store]) -> list[bool]:
    return [store.current is not None for store in stores]


def test_the_longest_unused_goes_first(stores: Stores, three: list[Store]) -> None:
    used = stores.used_bytes()
    assert 300_000 < used < 500_000
    small = Stores(stores.root, stores.git, quota_bytes=used)
    assert small.make_room(0) == 0
    assert small.make_room(50_000) > 100_000
    assert here(three) == [False, True, True]
    assert small.make_room(200_000) > 0
    assert here(three) == [False, False, True]


def test_reading_makes_a_store_young(stores: Stores, three: list[Store], source: Bare) -> None:
    three[0].tree(source.oid("main"))
    Stores(stores.root, stores.git, quota_bytes=stores.used_bytes()).make_room(1)
    assert here(three) == [True, False, True]


def test_what_is_in_use_stays(stores: Stores, three: list[Store], source: Bare) -> None:
    with (
        three[0].using() as held,
        stores.view([three[1]]),
        locks.in_turn(three[2].folder / "fetch", lambda: None),
    ):
        assert stores.make_room(1 << 60) == 0
        assert not stores.remove(uuid.UUID(three[0].folder.name))
        assert held.tree(source.oid("main"))
    assert stores.make_room(1 << 60) > 0
    assert here(three) == [False, False, False]
    assert stores.used_bytes() < 10_000


def test_an_evicted_store_is_fetched_again(
    stores: Stores, three: list[Store], source: Bare, source_remote: Remote
) -> None:
    assert stores.remove(uuid.UUID(three[0].folder.name))
    tip = source.oid("main")
    assert three[0].fetch(source_remote, HEADS, want=tip) != Fetched(False, 0)
    assert three[0].has(tip)


def test_room_is_made_before_a_first_fetch(stores: Stores, three: list[Store], source_remote: Remote) -> None:
    used = stores.used_bytes()
    small = Stores(stores.root, stores.git, quota_bytes=used)
    small.store(uuid.uuid4()).fetch(source_remote, HEADS, size_hint=60_000)
    assert here(three) == [False, True, True]


def test_sweeping_keeps_to_the_quota(stores: Stores, three: list[Store]) -> None:
    swept = Stores(stores.root, stores.git, quota_bytes=stores.used_bytes() - 1).sweep()
    assert (swept.views, swept.generations) == (0, 0)
    assert here(three) == [False, True, True]


def test_sweeping_removes_half_made_generations(stores: Stores, three: list[Store]) -> None:
    for name in ("full-abandoned", "gone-123"):
        (three[0].folder / name / "objects").mkdir(parents=True)
    (three[0].folder / "link-1").symlink_to("nowhere")
    with locks.in_turn(three[0].folder / "fetch", lambda: None):
        assert stores.sweep().generations == 0
    assert stores.sweep().generations == 2
    names = {path.name for path in three[0].folder.iterdir()}
    assert len(names) == 4
    assert {"current", "fetch", "use"} < names


def test_an_empty_machine(stores: Stores) -> None:
    assert (stores.make_room(1 << 60), stores.used_bytes(), stores.sweep().views) == (0, 0, 0)
    assert stores.remove(uuid.uuid4())


def test_a_lock_on_a_removed_file_is_no_lock(tmp_path: Path) -> None:
    """Who waits for a lock whose file is removed meanwhile must take the new file's."""
    path = tmp_path / "lock"
    took: list[bool] = []

    def wait() -> None:
        with locks.shared(path), locks.alone(path) as free:
            took.append(free)

    with locks.in_turn(path, lambda: None):
        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.1)
        path.unlink()
    thread.join()
    assert took == [False]
    with locks.alone(path) as free:
        assert free
