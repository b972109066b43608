from __future__ import annotations

import datetime as dt
import os

import pytest

from opssight.core.errors import InvalidInput
from repos.git.batch import contents
from repos.git.errors import MissingObject, StoreCorrupt, TooLarge
from repos.git.remote import Remote
from repos.git.store import Store
from repos.git.types import NO_OBJECT, Change, TreeEntry
from tests.repos.git.work import HEADS, Bare, git as plain_git

STRANGE = [
    b"plain.txt",
    b"with space",
    b'quote".txt',
    b"back\\slash",
    b"new\nline",
    b"tab\there",
    b"latin-\xe9.txt",
    "ünïcode/日本.txt".encode(),
    b"-dash",
    b":colon",
    b"$(id)/`id`",
    b"\x01control\x7f",
]


def fetched(store: Store, remote: Remote) -> Store:
    store.fetch(remote, HEADS)
    return store


def test_tree_with_every_kind_of_path_and_mode(store: Store, source: Bare, source_remote: Remote) -> None:
    modes = {b"run.sh": "100755", b"link": "120000", b"module": "160000"}
    files = dict.fromkeys([*STRANGE, b"run.sh"], b"x") | {b"link": b"plain.txt", b"module": b"1" * 40}
    tip = source.commit(files, modes=modes)
    entries = {entry.path: entry for entry in fetched(store, source_remote).tree(tip)}
    assert set(entries) == set(files)
    x = source.git("hash-object", "--stdin", stdin=b"x")
    assert entries[b"run.sh"] == TreeEntry(b"run.sh", "100755", x, "blob")
    assert entries[b"link"].mode == "120000"
    assert entries[b"module"] == TreeEntry(b"module", "160000", "1" * 40, "commit")
    assert store.blob(entries[b"link"].oid, 100) == b"plain.txt"


def test_changes(store: Store, source: Bare, source_remote: Remote) -> None:
    text = b"".join(b"line %d\n" % i for i in range(50))
    old = source.commit(
        {b"kept": b"k", b"gone": b"g", b"changed": b"1", b"moved": text, b"mode": b"m", b"type": b"t"}
    )
    new = source.commit(
        {
            b"gone": None,
            b"changed": b"2",
            b"moved": None,
            b"dir/mo\nved": text + b"one more\n",
            b"added\xff": b"a",
            b"mode": b"m",
            b"type": b"kept",
        },
        modes={b"mode": "100755", b"type": "120000"},
    )
    found = {change.path: change for change in fetched(store, source_remote).changes(old, new)}
    assert {path: change.status for path, change in found.items()} == {
        b"gone": "D",
        b"changed": "M",
        b"dir/mo\nved": "R",
        b"added\xff": "A",
        b"mode": "M",
        b"type": "T",
    }
    assert found[b"dir/mo\nved"].old_path == b"moved"
    assert (found[b"gone"].mode, found[b"gone"].oid) == ("000000", NO_OBJECT)
    assert (found[b"added\xff"].old_mode, found[b"added\xff"].old_oid) == ("000000", NO_OBJECT)
    assert (found[b"mode"].old_mode, found[b"mode"].mode) == ("100644", "100755")
    assert found[b"changed"].oid != found[b"changed"].old_oid
    assert store.changes(new, new) == []


def test_the_first_commit_adds_everything(store: Store, source: Bare, source_remote: Remote) -> None:
    one = source.commit({b"a": b"1", b"b/c": b"2"})
    changes = fetched(store, source_remote).changes(None, one)
    oid = source.git("hash-object", "--stdin", stdin=b"1")
    assert changes[0] == Change("A", b"a", None, "100644", oid, "000000", NO_OBJECT)
    assert [change.path for change in changes] == [b"a", b"b/c"]


def test_renames_without_contents_are_exact_ones(store: Store, target: Bare, target_remote: Remote) -> None:
    text = b"".join(b"line %d\n" % i for i in range(50))
    old = target.commit({b"same": text, b"similar": text[1:]})
    new = target.commit({b"same": None, b"same2": text, b"similar": None, b"similar2": text[1:] + b"x"})
    store.fetch(target_remote, HEADS, partial=True)
    statuses = {change.path: change.status for change in store.changes(old, new)}
    assert statuses == {b"same2": "R", b"similar": "D", b"similar2": "A"}


def test_contents_and_sizes(store: Store, source: Bare, source_remote: Remote) -> None:
    big = os.urandom(700_000)
    files = {b"empty": b"", b"newlines": b"\n\n\n", b"big": big, b"small": b"s"}
    tip = source.commit(files)
    oids = {entry.path: entry.oid for entry in fetched(store, source_remote).tree(tip)}
    assert dict(store.blobs(oids.values())) == {oids[path]: data for path, data in files.items()}
    limited = dict(store.blobs(oids.values(), limit=1_000))
    assert limited[oids[b"big"]] is None
    assert limited[oids[b"small"]] == b"s"
    assert store.sizes(oids.values())[oids[b"big"]] == 700_000
    assert store.size(oids[b"empty"]) == 0
    assert store.blob(oids[b"empty"], 0) == b""
    with pytest.raises(TooLarge):
        store.blob(oids[b"big"], 699_999)


def test_who_stops_reading_early_stops_git(store: Store, source: Bare, source_remote: Remote) -> None:
    tip = source.commit({str(i).encode(): os.urandom(50_000) for i in range(40)})
    oids = [entry.oid for entry in fetched(store, source_remote).tree(tip)]
    reading = store.blobs(oids)
    assert next(reading)[0] == oids[0]
    reading.close()
    assert store.stores.make_room(1 << 60) > 0  # nobody holds it any more


def test_names_that_are_not_ids_are_refused(store: Store, source: Bare, source_remote: Remote) -> None:
    one = source.commit({b"a": b"1"})
    fetched(store, source_remote)
    for bad in ("HEAD", "--all", one[:10], one.upper(), f"{one}^", f"{one}\n", ""):
        with pytest.raises(InvalidInput):
            store.tree(bad)
        with pytest.raises(InvalidInput):
            store.has(bad)
    for bad_ref in (b"--all", b"main", b"refs/heads/ma in", b"refs/heads/main^", b"@{-1}", b""):
        with pytest.raises(InvalidInput):
            store.resolve(bad_ref)


def test_resolve(store: Store, source: Bare, source_remote: Remote) -> None:
    one = source.commit({b"a": b"1"})
    source.git("tag", "-a", "-m", "x", "v1", one)
    store.fetch(source_remote, [*HEADS, "refs/tags/*:refs/tags/*"])
    for name in (b"refs/heads/main", "refs/heads/main", b"refs/tags/v1", one, one[:8], "HEAD"):
        assert store.resolve(name) == one
    assert store.resolve(b"refs/heads/none") is None
    assert store.refs("refs/tags/") == {b"refs/tags/v1": source.oid("refs/tags/v1")}


def test_history(store: Store, source: Bare, source_remote: Remote) -> None:
    commits = [source.commit({b"a": str(i).encode()}, message=f"Change {i}\n\nbody\n") for i in range(5)]
    side = source.commit({b"b": b"1"}, branch="side", orphan=True)
    fetched(store, source_remote)
    info = store.commit_info(commits[4])
    assert (info.oid, info.author_name, info.author_email) == (commits[4], "Ada", "ada@example.com")
    assert (info.subject, info.at) == ("Change 4", dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC))
    assert [entry.oid for entry in store.log(commits[4], limit=2)] == [commits[4], commits[3]]
    assert [entry.oid for entry in store.log(commits[4], stop=commits[2], limit=9)] == [
        commits[4],
        commits[3],
    ]
    assert store.count_between(commits[0], commits[4]) == 4
    assert store.count_between(commits[4], commits[0]) == 0
    assert store.count_between("1" * 40, commits[0]) is None
    assert store.is_ancestor(commits[0], commits[4])
    assert not store.is_ancestor(commits[4], commits[0])
    assert not store.is_ancestor(side, commits[4])
    for oids in (("1" * 40, commits[0]), (commits[0], "1" * 40)):
        with pytest.raises(MissingObject):
            store.is_ancestor(*oids)


def test_commits_between_with_a_trailer(store: Store, source: Bare, source_remote: Remote) -> None:
    base = source.commit({b"a": b"1"})
    ours = source.commit({b"a": b"2"}, message="x\n\nCopied-From: abc 1\nCopied-From: def\n")
    side = source.commit({b"b": b"1"}, branch="side", orphan=True)
    merge = source.git("commit-tree", f"{ours}^{{tree}}", "-p", ours, "-p", side, "-m", "merged")
    source.git("update-ref", "refs/heads/main", merge)
    fetched(store, source_remote)
    newest, *rest = store.commits_between(base, merge, trailer="Copied-From", limit=10)
    assert (newest.oid, newest.parents, newest.trailers) == (merge, (ours, side), ())
    assert (newest.author_name, newest.author_email, newest.committer_email) == (
        "Ada",
        "ada@example.com",
        "ada@example.com",
    )
    assert {one.oid: one.trailers for one in rest} == {ours: ("abc 1", "def"), side: ()}
    assert len(store.commits_between(None, merge, trailer="Copied-From", limit=3)) == 3
    assert store.merge_base(ours, merge) == ours
    assert store.merge_base(base, side) is None
    with pytest.raises(InvalidInput):
        store.commits_between(base, merge, trailer="x,valueonly=no)", limit=1)


def test_a_trailer_is_found_only_as_a_trailer(store: Store, source: Bare, source_remote: Remote) -> None:
    first = source.commit({b"a": b"1"}, message="x\n\nCopied-From: abc 1\nOther: y\n")
    source.commit({b"a": b"2"}, message="x\n\nCopied-From: abc 12\n")
    source.commit({b"a": b"3"}, message="Copied-From: abc 1\n\nCopied-From: abc 1 in the text\n\nmore text\n")
    tip = source.commit({b"a": b"4"}, message="x\n")
    fetched(store, source_remote)
    assert store.find_trailer(tip, "Copied-From", "abc 1") == first
    assert store.find_trailer(tip, "Copied-From", "abc 1", limit=3) is None
    assert store.find_trailer(tip, "Copied-From", "abc") is None
    assert store.find_trailer(tip, "Other", "y") == first
    with pytest.raises(InvalidInput):
        store.find_trailer(tip, "x,valueonly=no)", "y")


def test_the_newest_of_several_trailers(store: Store, source: Bare, source_remote: Remote) -> None:
    source.commit({b"a": b"1"}, message="x\n\nKey: v\n")
    tip = source.commit({b"a": b"2"}, message="x\n\nKey: w\nKey: v\n")
    assert fetched(store, source_remote).find_trailer(tip, "Key", "v") == tip


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_batches_in_pieces_of_any_size(size: int) -> None:
    oids = [str(i) * 40 for i in range(4)]
    data = (
        f"{oids[0]} blob 3\n".encode() + b"a\nb\n" + f"{oids[1]} missing\n".encode()
        + f"{oids[2]} blob 900\n".encode() + b"x" * 900 + b"\n" + f"{oids[3]} blob 0\n\n".encode()
    )  # fmt: skip
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    assert list(contents(pieces, 100)) == [
        (oids[0], b"a\nb", True),
        (oids[1], None, False),
        (oids[2], None, True),
        (oids[3], b"", True),
    ]
    for cut in (10, 55, len(data) - 1):
        with pytest.raises(StoreCorrupt):
            list(contents([data[:cut]], None))


def test_folders_that_hold_each_other_over_and_over(
    store: Store, source: Bare, source_remote: Remote
) -> None:
    """Eleven small trees, and a hundred thousand million files."""
    blob = plain_git("hash-object", "-w", "--stdin", cwd=source.path, stdin=b"x")
    inner = "".join(f"100644 blob {blob}\tfile{n}\n" for n in range(10))
    for _ in range(10):
        tree = plain_git("mktree", cwd=source.path, stdin=inner.encode())
        inner = "".join(f"040000 tree {tree}\tfolder{n}\n" for n in range(10))
    tree = plain_git("mktree", cwd=source.path, stdin=inner.encode())
    tip = plain_git("commit-tree", tree, "-m", "a bomb", cwd=source.path)
    plain_git("update-ref", "refs/heads/main", tip, cwd=source.path)
    store.fetch(source_remote, ["+refs/heads/*:refs/heads/*"])
    with pytest.raises(TooLarge, match="more files than can be worked with"):
        store.tree(tip)


@pytest.mark.parametrize("when", ["99999999999999 +0000", "-5 +0000", "never"])
def test_a_commit_of_an_impossible_time(store: Store, source: Bare, source_remote: Remote, when: str) -> None:
    tree = plain_git("mktree", cwd=source.path)
    text = f"tree {tree}\nauthor A <a@b> {when}\ncommitter A <a@b> {when}\n\nsubject\n"
    args = ("hash-object", "-w", "-t", "commit", "--literally", "--stdin")
    tip = plain_git(*args, cwd=source.path, stdin=text.encode())
    plain_git("update-ref", "refs/heads/main", tip, cwd=source.path)
    store.fetch(source_remote, ["+refs/heads/*:refs/heads/*"])
    found = store.commit_info(tip)
    assert (found.subject, found.at.year) == ("subject", 1970)
