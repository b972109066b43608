from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from opssight.core.errors import InvalidInput
from repos.git.commits import quoted
from repos.git.errors import MissingObject
from repos.git.remote import Remote
from repos.git.store import Store, Stores
from repos.git.types import RefUpdate, Write
from repos.git.view import View
from tests.forges.githttp import GitServer
from tests.repos.git.test_reading import STRANGE
from tests.repos.git.test_runner import Recorder
from tests.repos.git.work import HEADS, Bare, git as plain_git, many

AT = dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.UTC)


def commit(
    view: View,
    base: str | None,
    writes: list[Write],
    deletes: list[bytes] | None = None,
    message: str = "a copy",
) -> str:
    return view.commit(
        base,
        writes,
        deletes or [],
        message=message,
        author_name="OpsSight",
        author_email="bot@example.com",
        at=AT,
    )


@pytest.fixture
def fetched(store: Store, source: Bare, source_remote: Remote) -> Store:
    source.commit({b"a": b"1", b"d/b": b"2"})
    store.fetch(source_remote, HEADS)
    return store


def test_a_view_has_exactly_its_refs(fetched: Store, stores: Stores, source: Bare) -> None:
    tip = source.oid("main")
    refs = {b"refs/heads/x": tip, b"refs/tags/caf\xe9": tip, b"refs/notes/n": tip}
    with stores.view([fetched], refs, head=b"refs/heads/x") as view:
        assert view.refs() == refs
        assert view.resolve("HEAD") == tip
        assert [entry.path for entry in view.tree(tip)] == [b"a", b"d/b"]
        assert not view.partial
        path = view.git_dir
        assert path.parent == stores.root / "views"
    assert list((stores.root / "views").iterdir()) == []
    assert not path.exists()


def test_a_bundle_from_a_view_clones_with_stock_git(
    fetched: Store, stores: Stores, source: Bare, tmp_path: Path
) -> None:
    refs = {b"refs/heads/main": source.oid("main"), b"refs/pull/1/head": source.oid("main")}
    with stores.view([fetched], refs) as view:
        view.git.run(["bundle", "create", "-q", str(tmp_path / "b"), "--all"], git_dir=view.git_dir)
    plain_git("clone", "-q", "--mirror", str(tmp_path / "b"), str(tmp_path / "c"), cwd=tmp_path)
    assert Bare(tmp_path / "c").refs() == {name.decode(): oid for name, oid in refs.items()}


@pytest.mark.parametrize(
    "ref", [b"main", b"refs/x", b"refs/heads/a b", b"refs/heads/a\nb", b"refs/heads/../x"]
)
def test_ref_names_are_checked(stores: Stores, ref: bytes) -> None:
    with pytest.raises(InvalidInput), stores.view([], {ref: "1" * 40}):
        pass
    assert list((stores.root / "views").iterdir()) == []


def test_a_view_fails_where_contents_are_missing(
    stores: Stores, target: Bare, target_remote: Remote, server: GitServer
) -> None:
    one = target.commit({b"a": b"1"})
    store = stores.store(uuid.uuid4())
    store.fetch(target_remote, HEADS, partial=True)
    server.reset_counts()
    with stores.view([store], {b"refs/heads/main": one}) as view:
        assert view.partial
        with pytest.raises(MissingObject):
            view.blob(view.tree(one)[0].oid, 100)
        with pytest.raises(MissingObject):
            view.git.run(["bundle", "create", "-q", str(view.git_dir / "b"), "--all"], git_dir=view.git_dir)
    assert server.headers == []


@pytest.mark.chaos
def test_the_view_of_a_killed_process_is_swept(fetched: Store, stores: Stores, tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, uuid, time\n"
        "from repos.git.runner import Git; from repos.git.store import Stores\n"
        "s = Stores(pathlib.Path(sys.argv[1]), Git(pathlib.Path(sys.argv[2])), quota_bytes=1 << 40)\n"
        "with s.view([s.store(uuid.UUID(sys.argv[3]))]): print('ready', flush=True); time.sleep(60)"
    )
    args = [str(stores.root), str(tmp_path / "h"), fetched.folder.name]
    process = subprocess.Popen([sys.executable, "-c", program, *args], stdout=subprocess.PIPE)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    assert stores.sweep().views == 0
    assert stores.make_room(1 << 60) == 0, "a store that a view reads stays"
    process.kill()
    process.wait()
    process.stdout.close()
    with stores.view([fetched]) as living:
        assert stores.sweep().views == 1
        assert living.git_dir.exists()
    assert list((stores.root / "views").iterdir()) == []


def test_every_path_and_mode_is_written_as_it_is(fetched: Store, stores: Stores, source: Bare) -> None:
    blob = source.git("hash-object", "--stdin", stdin=b"1")
    writes = [Write(path, "100644", blob) for path in STRANGE]
    writes += [
        Write(b"run", "100755", blob),
        Write(b"link", "120000", blob),
        Write(b"mod", "160000", "1" * 40),
    ]
    writes.append(Write(bytes(range(1, 47)) + bytes(range(48, 256)), "100644", blob))
    with stores.view([fetched]) as view:
        made = commit(view, None, writes)
        assert {(e.path, e.mode, e.oid) for e in view.tree(made)} == {(w.path, w.mode, w.oid) for w in writes}


def test_writes_and_deletes_on_a_base(fetched: Store, stores: Stores, source: Bare) -> None:
    base, one = source.oid("main"), source.git("hash-object", "--stdin", stdin=b"1")
    with stores.view([fetched]) as view:
        new = view.write_blob(b"contents of ours")
        made = commit(view, base, [Write(b"d", "100644", one), Write(b"a/x", "100644", new)], [b"d/b", b"a"])
        assert {(entry.path, entry.oid) for entry in view.tree(made)} == {(b"d", one), (b"a/x", new)}
        info = view.commit_info(made)
        assert (info.author_name, info.author_email, info.at) == ("OpsSight", "bot@example.com", AT)
        assert view.is_ancestor(base, made)
        assert view.count_between(base, made) == 1
        assert view.blob(new, 100) == b"contents of ours"
    assert not fetched.has(made), "a store is written by fetches only"


def test_the_committer_may_be_another(fetched: Store, stores: Stores, source: Bare) -> None:
    blob = source.git("hash-object", "--stdin", stdin=b"1")
    with stores.view([fetched]) as view:
        made = view.commit(
            source.oid("main"),
            [Write(b"x", "100644", blob)],
            message="m",
            author_name="Bea <b>\n",
            author_email="bea@example.com",
            at=AT,
            committer=("OpsSight", "bot@example.com"),
        )
        [commit] = view.commits_between(source.oid("main"), made, trailer="X", limit=1)
    assert (commit.author_name, commit.author_email) == ("Bea b", "bea@example.com")
    assert commit.committer_email == "bot@example.com"


def test_the_same_input_gives_the_same_commit(fetched: Store, stores: Stores, source: Bare) -> None:
    base, blob = source.oid("main"), source.git("hash-object", "--stdin", stdin=b"1")
    writes = [Write(b"x", "100644", blob), Write(b"y", "100755", blob)]
    made = []
    for order in (writes, writes[::-1]):
        with stores.view([fetched]) as view:
            made += [commit(view, base, order), commit(view, base, order)]
    with stores.view([fetched]) as view:
        other = commit(view, None, writes)
        assert commit(view, None, writes) == other
    assert len(set(made)) == 1
    assert other != made[0]


def test_messages_and_names_of_any_kind(fetched: Store, stores: Stores, source: Bare) -> None:
    blob = source.git("hash-object", "--stdin", stdin=b"1")
    message = "Ünï\n\ndata 5\ncommit refs/heads/evil\n\nKey: välue\n"
    with stores.view([fetched]) as view:
        made = view.commit(
            None,
            [Write(b"x", "100644", blob)],
            message=message,
            author_name="A <evil@x>\ncommitter B",
            author_email="a>b <c\n",
            at=dt.datetime(2026, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        )
        info = view.commit_info(made)
        assert (info.author_name, info.author_email) == ("A evil@x committer B", "a b c")
        assert info.at == dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        assert view.find_trailer(made, "Key", "välue") == made
        raw = view.git.run(["cat-file", "commit", made], git_dir=view.git_dir).stdout.decode()
        assert raw.partition("\n\n")[2] == message
        with pytest.raises(InvalidInput):
            view.commit(None, [], message="x", author_name="a", author_email="b", at=dt.datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    "path",
    [b"", b"/abs", b"a//b", b"a/", b"../x", b"a/../b", b"./a", b".git/config", b"a/.GIT/x", b".git", b"a\0b"],
)
def test_paths_that_a_commit_cannot_have(stores: Stores, path: bytes) -> None:
    with stores.view([]) as view:
        blob = view.write_blob(b"x")
        with pytest.raises(InvalidInput):
            commit(view, None, [Write(path, "100644", blob)])
        with pytest.raises(InvalidInput):
            commit(view, None, [], [path])


def test_what_is_not_there_cannot_be_committed(fetched: Store, stores: Stores) -> None:
    with stores.view([fetched]) as view:
        with pytest.raises(MissingObject):
            commit(view, None, [Write(b"x", "100644", "1" * 40)])
        with pytest.raises(MissingObject):
            commit(view, "1" * 40, [])
        with pytest.raises(InvalidInput):
            commit(view, None, [Write(b"x", "040000", view.write_blob(b"x"))])


def test_quoting() -> None:
    assert quoted(b'a"b\\c\n\xff ~') == b'"a\\042b\\134c\\012\\377 ~"'


def test_a_thousand_files_into_a_blobless_target(
    store: Store,
    stores: Stores,
    source: Bare,
    source_remote: Remote,
    server: GitServer,
    target: Bare,
    target_remote: Remote,
) -> None:
    """One commit by object id, pushed over http; the target's own contents never travel."""
    base = target.commit(many(2_000, folder="theirs"))
    tip = source.commit(many(1_000, salt="ours"))
    store.fetch(source_remote, HEADS)
    mine = stores.store(uuid.uuid4())
    mine.fetch(target_remote, HEADS, partial=True)
    server.reset_counts()
    entries = store.tree(tip)
    with stores.view([store, mine]) as view:
        made = commit(
            view, base, [Write(b"copied/" + e.path, e.mode, e.oid) for e in entries], [b"theirs/0/file-0.txt"]
        )
        [result] = view.push(target_remote, [RefUpdate(b"refs/heads/main", made, base)])
    assert result.ok
    assert result.code == "ok"
    assert (server.fetches, server.pushes) == (0, 1)
    assert target.oid("main") == made
    target.git("fsck", "--strict")
    assert len(target.git("ls-tree", "-r", "--name-only", made).splitlines()) == 2_999
    theirs = [entry.oid for entry in mine.tree(base)]
    assert len(mine.missing(theirs)) == len(theirs)
    assert not mine.has(made)


@pytest.mark.parametrize(("size", "most"), [(6 << 20, 200_000), (1 << 20, 2 << 20)])
def test_large_commits_are_pushed_as_deltas(
    stores: Stores, target: Bare, target_remote: Remote, size: int, most: int
) -> None:
    """Looking for deltas against what the remote has costs time: not for a few megabytes."""
    data = os.urandom(size)
    base = target.commit({b"big": data})
    watch = Recorder()
    watched = stores.watched(watch)
    store = watched.store(uuid.uuid4())
    store.fetch(target_remote, HEADS)
    with watched.view([store]) as view:
        made = commit(view, base, [Write(b"big", "100644", view.write_blob(data + b"one more line\n"))])
        assert view.push(target_remote, [RefUpdate(b"refs/heads/main", made, base)])[0].ok
    sent = max(nbytes for phase, _, _, nbytes in watch.seen if phase == "Writing objects")
    assert sent < most
    assert (sent > 0.9 * size) == (size < 4 << 20)
    assert target.git("cat-file", "-s", "main:big") == str(size + 14)


def test_many_contents_are_stored_at_once(fetched: Store, stores: Stores) -> None:
    contents = [b"", b"line\n", bytes(range(256)) * 4_000, b"done\n", *(b"%d" % n for n in range(500))]
    with stores.view([fetched]) as view:
        view.write_blobs(iter(contents))
        oids = [view.write_blob(data) for data in contents]
        assert [data for _, data in view.blobs(oids)] == contents
        packs = len(list((view.git_dir / "objects/pack").glob("*.pack")))
        assert packs == 1, "together"
        assert not [path for path in (view.git_dir / "objects").glob("??/*") if path.is_file()]
        view.write_blobs([])
        assert len(list((view.git_dir / "objects/pack").glob("*.pack"))) == 1
