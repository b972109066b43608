"""Looking at remotes and fetching from them into stores."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
import uuid
from pathlib import Path

import pytest

from opssight.core.errors import InvalidInput, NotFound, PermanentFailure
from repos.git import generation, runner
from repos.git.errors import (
    ForeignOwner,
    IncompleteFetch,
    MissingObject,
    ShallowSource,
    Stopped,
)
from repos.git.locks import in_turn, shared
from repos.git.remote import Remote
from repos.git.runner import Git
from repos.git.store import Store, Stores
from repos.git.types import Fetched
from tests.forges.githttp import GitServer
from tests.repos.git.test_runner import Recorder
from tests.repos.git.work import FETCHER, HEADS, Bare, git as plain_git, many

ALL = [*HEADS, "+refs/tags/*:refs/tags/*"]


def test_look(store: Store, source: Bare, source_remote: Remote) -> None:
    one = source.commit({b"a": b"1"})
    source.git("tag", "-a", "-m", "x", "v1", one)
    source.git("update-ref", "refs/pull/1/head", one)
    seen = store.look(source_remote)
    assert seen.head == b"refs/heads/main"
    assert seen.refs == {b"refs/heads/main": one, b"refs/tags/v1": source.oid("refs/tags/v1")}
    assert seen.heads == {b"refs/heads/main": one}
    cheap = store.look(source_remote, head=False)
    assert (cheap.refs, cheap.head) == (seen.refs, None)


def test_a_server_that_lists_without_end_is_left(
    store: Store, source: Bare, source_remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.commit({b"a": b"1"})
    monkeypatch.setattr(runner, "_MOST_SAID", 10)
    with pytest.raises(PermanentFailure, match="more references than OpsSight reads"):
        store.look(source_remote)


def test_look_at_an_empty_repository_and_a_detached_head(
    store: Store, source: Bare, source_remote: Remote
) -> None:
    assert store.look(source_remote).refs == {}
    one = source.commit({b"a": b"1"})
    source.git("update-ref", "--no-deref", "HEAD", one)
    (source.path / "HEAD").write_text(f"{one}\n")
    assert store.look(source_remote).head is None


def test_fetch_takes_exactly_what_was_named(store: Store, source: Bare, source_remote: Remote) -> None:
    one = source.commit({b"a": b"1"})
    for ref in ("refs/tags/v1", "refs/pull/1/head", "refs/opssight/x", "refs/notes/n"):
        source.git("update-ref", ref, one)
    assert store.fetch(source_remote, HEADS).fetched
    assert store.refs() == {b"refs/heads/main": one}
    store.fetch(source_remote, [*ALL, "+refs/notes/*:refs/notes/*", "^refs/heads/main"])
    assert set(store.refs()) == {b"refs/heads/main", b"refs/tags/v1", b"refs/notes/n"}


def test_prune_only_when_asked(store: Store, source: Bare, source_remote: Remote) -> None:
    source.commit({b"a": b"1"})
    source.commit({b"a": b"2"}, branch="old")
    store.fetch(source_remote, HEADS)
    source.git("update-ref", "-d", "refs/heads/old")
    store.fetch(source_remote, HEADS)
    assert b"refs/heads/old" in store.refs()
    store.fetch(source_remote, HEADS, prune=True)
    assert set(store.refs()) == {b"refs/heads/main"}


def test_prune_does_not_touch_refs_of_other_jobs(store: Store, source: Bare, source_remote: Remote) -> None:
    one = source.commit({b"a": b"1"})
    store.fetch(source_remote, [*HEADS, "+refs/heads/main:refs/opssight/kept"])
    store.fetch(source_remote, HEADS, prune=True)
    assert store.refs()[b"refs/opssight/kept"] == one


def test_forced_and_moved_branches(store: Store, source: Bare, source_remote: Remote) -> None:
    source.commit({b"a": b"1"}, branch="x")
    store.fetch(source_remote, HEADS)
    rewritten = source.commit({b"a": b"2"}, branch="x", orphan=True)
    store.fetch(source_remote, HEADS)
    assert store.resolve(b"refs/heads/x") == rewritten


@pytest.mark.parametrize("refspecs", [HEADS, ["+refs/heads/x/y:refs/heads/x/y"]])
def test_a_branch_becomes_a_folder_of_branches(
    store: Store, source: Bare, source_remote: Remote, refspecs: list[str]
) -> None:
    source.commit({b"a": b"1"}, branch="x")
    store.fetch(source_remote, HEADS)
    source.git("update-ref", "-d", "refs/heads/x")
    tip = source.commit({b"a": b"2"}, branch="x/y")
    store.fetch(source_remote, refspecs)
    assert store.refs() == {b"refs/heads/x/y": tip}


@pytest.mark.parametrize(
    "refspec",
    [
        "refs/*:refs/*",
        "+refs/*:refs/mirror/*",
        "refs/heads/*:refs/heads/main",
        "main:main",
        "--upload-pack=evil",
        "+refs/opssight/*:refs/opssight/*",
        "refs/opssight/x:refs/heads/x",
        "refs/heads/a b:refs/heads/x",
        "refs/heads/../x:refs/heads/x",
        "refs/heads/x",
        "^refs/heads/*",
        "refs/heads/a\nrefs/heads/b:refs/heads/b",
        "",
    ],
)
def test_refspecs_are_checked(store: Store, source_remote: Remote, refspec: str) -> None:
    with pytest.raises(InvalidInput):
        store.fetch(source_remote, [refspec])


def test_strange_branch_names(store: Store, source: Bare, source_remote: Remote) -> None:
    names = [
        b"refs/heads/-dash",
        b"refs/heads/caf\xe9",
        "refs/heads/ü".encode(),
        b"refs/heads/$(id)'\"",
        b"refs/heads/@x",
    ]
    one = source.commit({b"a": b"1"})
    for name in names:
        source.git("update-ref", name, one)
    store.fetch(source_remote, HEADS)
    assert set(store.refs()) == {*names, b"refs/heads/main"}
    assert all(store.resolve(name) == one for name in names)
    with pytest.raises(NotFound):
        store.fetch(source_remote, ["refs/heads/none:refs/heads/none"])


def test_wanted_and_here_costs_nothing(
    store: Store, server: GitServer, target: Bare, target_remote: Remote
) -> None:
    one = target.commit({b"a": b"1"})
    assert store.fetch(target_remote, HEADS, want=one).fetched
    server.reset_counts()
    assert store.fetch(target_remote, HEADS, want=one) == Fetched(False, 0)
    assert (server.looks, server.fetches) == (0, 0)
    assert store.fetch(target_remote, HEADS, want="1" * 40).fetched


def test_no_change_costs_a_look(store: Store, server: GitServer, target: Bare, target_remote: Remote) -> None:
    target.commit({b"a": b"1"})
    store.fetch(target_remote, HEADS)
    server.reset_counts()
    assert store.fetch(target_remote, HEADS) == Fetched(True, 0)
    assert (server.looks, server.fetches) == (2, 0)  # 401, then the look


def test_one_pack_for_each_fetch_and_no_loose_files(
    store: Store, source: Bare, source_remote: Remote
) -> None:
    for i in range(3):
        source.commit({b"a": str(i).encode()})
        store.fetch(source_remote, HEADS)
    assert store.current
    assert generation.packs(store.current) == 3
    assert not [path for path in (store.current / "objects").glob("??") if path.is_dir()]


def test_two_processes_fetch_once(
    stores: Stores, server: GitServer, target: Bare, target_remote: Remote, tmp_path: Path
) -> None:
    from tests.repos.git.conftest import PASSWORD, USER

    one = target.commit(many(300))
    key = uuid.uuid4()
    args = [str(tmp_path / "home"), str(stores.root), str(key), target_remote.url, one, USER, PASSWORD]
    with in_turn(stores.store(key).folder / "fetch", lambda: None):  # both get to the lock before one gets on
        processes = [
            subprocess.Popen([sys.executable, "-c", FETCHER, *args], stdout=subprocess.PIPE) for _ in range(2)
        ]
        time.sleep(0.8)
    answers = sorted(process.communicate(timeout=30)[0] for process in processes)
    assert answers == [b"False\n", b"True\n"]
    assert server.fetches == 1
    assert stores.store(key).has(one)


def test_who_waits_for_a_fetch_can_be_stopped(stores: Stores, source_remote: Remote, git: Git) -> None:
    watch = Recorder(stop=lambda: len(watch.seen) > 1)
    store = stores.watched(watch).store(uuid.uuid4())
    with in_turn(store.folder / "fetch", lambda: None), pytest.raises(Stopped):
        store.fetch(source_remote, HEADS)
    assert watch.seen[0][0] == "Waiting for another fetch"


def test_reading_goes_on_during_a_fetch(
    store: Store, server: GitServer, target: Bare, target_remote: Remote
) -> None:
    one = target.commit({b"a": b"1"})
    store.fetch(target_remote, HEADS)
    server.stall = True
    watch = Recorder(stop=lambda: server.stalled.is_set() and bool(read))
    read: list[int] = []
    store.git = store.git.watched(watch)

    def fetch() -> None:
        with pytest.raises(Stopped):
            store.fetch(target_remote, HEADS)

    thread = threading.Thread(target=fetch)
    thread.start()
    assert server.stalled.wait(10)
    reader = store.stores.store(uuid.UUID(store.folder.name))
    read.append(len(reader.tree(one)))
    thread.join()
    assert read == [1]


def test_a_shallow_folder_is_refused(stores: Stores, source: Bare, tmp_path: Path) -> None:
    source.commit({b"a": b"1"})
    source.commit({b"a": b"2"})
    plain_git(
        "clone", "-q", "--bare", "--depth=1", source.path.as_uri(), str(tmp_path / "shallow"), cwd=tmp_path
    )
    store = stores.store(uuid.uuid4())
    with pytest.raises(ShallowSource):
        store.fetch(Remote.from_url(str(tmp_path / "shallow")), HEADS)
    assert store.current is None


def test_a_shallow_repository_over_http_is_refused(
    store: Store, source: Bare, server: GitServer, target_remote: Remote
) -> None:
    source.commit({b"a": b"1"})
    source.commit({b"a": b"2"})
    path = server.root / "team/target.git"
    shutil.rmtree(path, ignore_errors=True)
    path.parent.mkdir(exist_ok=True)
    plain_git("clone", "-q", "--bare", "--depth=1", source.path.as_uri(), str(path), cwd=server.root)
    with pytest.raises(ShallowSource):
        store.fetch(target_remote, HEADS)
    assert store.current is None


def test_nothing_arrived_although_there_is_something(
    store: Store, source: Bare, source_remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever made git leave everything out: an empty store must not pass for an empty repository."""
    source.commit({b"a": b"1"})
    monkeypatch.setattr(generation, "has_refs", lambda path: False)
    with pytest.raises(IncompleteFetch):
        store.fetch(source_remote, HEADS)
    assert store.current is None


def test_an_empty_repository_is_fetched_as_such(store: Store, source_remote: Remote) -> None:
    assert store.fetch(source_remote, HEADS) == Fetched(True, 0)
    assert store.refs() == {}


@pytest.mark.root
def test_a_folder_of_somebody_else_needs_to_be_listed(
    stores: Stores, source: Bare, source_remote: Remote
) -> None:
    one = source.commit({b"a": b"1"})
    for path in [source.path, *source.path.rglob("*")]:
        os.chown(path, 65534, 65534)
    store = stores.store(uuid.uuid4())
    with pytest.raises(ForeignOwner):
        store.fetch(source_remote, HEADS)
    trusting = Stores(stores.root, stores.git.trusting([source.path]), quota_bytes=1 << 40)
    trusting.store(uuid.UUID(store.folder.name)).fetch(source_remote, HEADS)
    assert store.resolve(b"refs/heads/main") == one


@pytest.mark.root
def test_a_work_tree_of_somebody_else(stores: Stores, source: Bare, tmp_path: Path) -> None:
    one = source.commit({b"a": b"1"})
    work = tmp_path / "work"
    plain_git("clone", "-q", str(source.path), str(work), cwd=tmp_path)
    for path in [work, *work.rglob("*")]:
        os.chown(path, 65534, 65534, follow_symlinks=False)
    trusting = Stores(stores.root, stores.git.trusting([work]), quota_bytes=1 << 40)
    store = trusting.store(uuid.uuid4())
    store.fetch(Remote.from_url(str(work)), HEADS)
    assert store.resolve(b"refs/heads/main") == one


def test_nothing_is_here_before_the_first_fetch(store: Store) -> None:
    oid = "1" * 40
    assert (store.has(oid), store.missing([oid]), store.resolve("HEAD"), store.refs()) == (
        False,
        [oid],
        None,
        {},
    )
    assert store.count_between(oid, oid) is None
    with pytest.raises(MissingObject):
        store.tree(oid)
    with shared(store.folder / "use"):
        assert store.current is None
