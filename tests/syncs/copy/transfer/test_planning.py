"""Plans between real repositories, without a database: what holds whatever the two sides do."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from opssight.core.errors import Conflict, InvalidInput
from repos.git.remote import Remote
from repos.git.runner import Git
from repos.git.store import Stores
from syncs.copy.commands.apply import Console
from syncs.copy.plan import manifest
from syncs.copy.plan.planned import Manifest, Owned, Plan
from syncs.copy.plan.record import Entry, added
from syncs.copy.rules.config import Flow
from syncs.copy.rules.options import (
    DELETION_POLICIES,
    EDITS,
    DeletionPolicy,
    Deletions,
    Edits,
    Options,
    Transform,
)
from syncs.copy.rules.rule import Rule
from syncs.copy.transfer.planning import FilePlanner, Place, largest_file
from syncs.copy.transfer.recording import DeletionList, record_elsewhere
from syncs.copy.transfer.transfer import Author, Copied, Copier, End, Message, open_source, open_target
from tests.repos.git.work import Bare

RULE = Rule("glob", "docs/**", "copied/${relative_path}")
AT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
STEPS = Console(lambda text: None)
Tree = dict[bytes, tuple[str, str]]


class Pair:
    """Two repositories, and a rule between them that remembers what it wrote."""

    def __init__(self, root: Path, options: Options | None = None, rule: Rule = RULE) -> None:
        self.code, self.site = Bare(root / "code.git"), Bare(root / "site.git")
        self.code.commit({b"README": b"code"})
        self.site.commit({b"README": b"site"})
        safe = (self.code.path, self.site.path)
        self.stores = Stores(root / "stores", Git(root / "home", safe_directories=safe), quota_bytes=10**10)
        self.flow = Flow(
            "docs",
            "acme/code",
            "main",
            (rule,),
            "acme/site",
            "main",
            message="m",
            options=options or Options(),
        )
        self.owned: Manifest = {}
        self.base: str | None = None

    def end(self, bare: Bare) -> End:
        store = self.stores.store(uuid.uuid5(uuid.NAMESPACE_URL, str(bare.path)))
        return End(bare.path.stem, "main", Remote.from_url(bare.path.as_uri()), store)

    def planner(self, base: str | None, owned: Manifest | None = None) -> FilePlanner:
        return FilePlanner((self.flow,), base, Place("site", "main"), owned)

    def plan(self) -> Plan:
        """What would be done now."""
        source = open_source(self.end(self.code), STEPS)
        planner = self.planner(self.base, self.owned)
        target = open_target(self.end(self.site), STEPS)
        plan = planner.plan(source, target)
        assert planner.plan(source, target) == plan
        assert self.planner(self.base, dict(reversed([*self.owned.items()]))).plan(source, target) == plan
        return plan

    def copy(self, *, whole: bool = False) -> Copied:
        source = open_source(self.end(self.code), STEPS)
        planner = self.planner(None if whole else self.base, self.owned)
        message = Message((self.flow,), source.head, uuid.uuid4().hex)
        copier = Copier(self.stores, STEPS, Author("O", "o@example.org", AT))
        copied = copier.copy(source, planner, self.end(self.site), message)
        plan = copied.plan
        gone = manifest.forgotten(self.owned, plan)
        known = {path: own for path, own in self.owned.items() if path not in gone}
        self.owned = known | manifest.kept(self.owned, plan) | manifest.written(plan)
        self.base = source.head
        return copied


def tree(bare: Bare) -> Tree:
    lines = bare.git("ls-tree", "-r", "-z", "main").split("\0")
    rows = [line.partition("\t") for line in lines if line]
    return {
        path.encode("utf-8", "surrogateescape"): (head[:6], head.rpartition(" ")[2]) for head, _, path in rows
    }


NAMES = st.sampled_from([b"a", b"b", b"c", b"d/e", b"d/\xff"])
TEXTS = st.sampled_from([b"1\n2\n3\n4\n5\n", b"1\n2\n3\n4\nfive\n", b"one\n2\n3\n4\n5\n", b"\0binary", b""])
CHANGES = st.dictionaries(NAMES, st.none() | TEXTS, min_size=1, max_size=3)
TURNS = st.tuples(CHANGES, st.dictionaries(NAMES, st.none() | TEXTS, max_size=2), st.booleans())
POLICIES = st.tuples(st.sampled_from(DELETION_POLICIES), st.sampled_from(EDITS))
HEADER = Transform("header", text="# head", files=("**/a", "**/b"))


def changed(bare: Bare, folder: bytes, files: Mapping[bytes, bytes | None]) -> None:
    """Commit the files below the folder; what is not there cannot be deleted."""
    there = tree(bare)
    found = {folder + name: data for name, data in files.items()}
    there_too = {path: data for path, data in found.items() if data is not None or path in there}
    if there_too:
        bare.commit(there_too)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(TURNS, min_size=1, max_size=4), POLICIES, st.sampled_from([(), (HEADER,)]))
def test_whatever_both_sides_do(
    turns: list[tuple[dict[bytes, bytes | None], dict[bytes, bytes | None], bool]],
    policies: tuple[DeletionPolicy, Edits],
    transforms: tuple[Transform, ...],
) -> None:
    policy, edits = policies
    with TemporaryDirectory() as folder:
        pair = Pair(Path(folder), Options(deletions=Deletions(policy), edits=edits, transforms=transforms))
        for at_source, at_target, whole in turns:
            changed(pair.code, b"docs/", at_source)
            changed(pair.site, b"copied/", at_target)
            before, owned = tree(pair.site), dict(pair.owned)
            planned = pair.plan()
            copied = pair.copy(whole=whole)
            if not whole:
                assert copied.plan == planned
            _holds(pair, before, tree(pair.site), owned, copied.plan, whole=whole)
            assert pair.plan().empty, "an unchanged source has nothing to copy"
            again = pair.copy(whole=whole)
            assert again.plan.empty, "applied twice is applied once"


def _holds(
    pair: Pair, before: Tree, after: Tree, owned: Mapping[bytes, Owned], plan: Plan, *, whole: bool
) -> None:
    touched = {path for path in {*before, *after} if before.get(path) != after.get(path)}
    assert touched == {write.path for write in plan.writes} | {gone.path for gone in plan.deletes}
    assert all(path.startswith(b"copied/") or path == b"deprecated_examples.json" for path in touched)
    for path in {*before} - {*after}:
        assert pair.flow.options.deletions.policy == "delete"
        assert before[path] == (owned[path].mode, owned[path].target_oid), "only what we wrote is deleted"
    if pair.flow.options.edits == "hold":
        for path in touched & {*before} - {b"deprecated_examples.json"}:
            known = owned.get(path)
            assert known is None or before[path] == (known.mode, known.target_oid)
    if whole and pair.flow.options.edits == "overwrite" and not plan.refused:
        for path in tree(pair.code):
            assert not path.startswith(b"docs/") or path.replace(b"docs/", b"copied/", 1) in after


def test_a_target_without_contents_is_asked_for_exactly_what_a_merge_needs(tmp_path: Path) -> None:
    pair = Pair(tmp_path, Options(edits="merge"))
    lines = b"".join(b"%d\n" % number for number in range(20))
    pair.code.commit({b"docs/a": lines, b"docs/b": b"b\n"})
    pair.copy()
    pair.site.commit({b"copied/a": lines.replace(b"19\n", b"mine\n"), b"copied/b": b"mine\n"})
    pair.code.commit({b"docs/a": lines.replace(b"0\n", b"zero\n", 1)})
    assert pair.copy().plan.merged == 1
    assert pair.site.git("show", "main:copied/a").startswith("zero\n1\n")
    store = pair.end(pair.site).store
    assert store.partial
    assert store.has(pair.site.oid("main~1:copied/a")), "what was merged was brought"
    assert not store.has(pair.site.oid("main:copied/b")), "what nobody changed at the source was not"


def test_rivals_are_found_though_only_one_of_them_changed(tmp_path: Path) -> None:
    pair = Pair(tmp_path, rule=Rule("glob", "docs/**", "flat/${filename}"))
    pair.code.commit({b"docs/a/x": b"1\n", b"docs/b/x": b"1\n"})
    pair.copy()
    pair.code.commit({b"docs/b/x": b"2\n"})
    plan = pair.copy().plan
    assert [one.source_path for one in plan.refused] == [b"docs/b/x"]
    assert plan.writes == ()
    pair.code.commit({b"docs/a/x": None})
    assert [write.source_path for write in pair.copy().plan.writes] == [b"docs/b/x"], "the way is free"


def test_without_a_memory_what_the_rule_made_of_the_base_is_its_own(tmp_path: Path) -> None:
    pair = Pair(tmp_path, Options(deletions=Deletions("delete"), transforms=(HEADER,)))
    pair.code.commit({b"docs/a": b"a\n", b"docs/b": b"b\n", b"docs/c": b"c\n", b"docs/d": b"d\n"})
    pair.copy()
    pair.site.commit({b"copied/b": b"edited\n", b"copied/mine": b"mine\n"})
    base = pair.code.oid("main")
    pair.code.commit({b"docs/a": None, b"docs/b": None, b"docs/c": None, b"docs/moved": b"c\n"})
    source = open_source(pair.end(pair.code), STEPS)
    plan = pair.planner(base).plan(source, open_target(pair.end(pair.site), STEPS))
    assert [gone.path for gone in plan.deletes] == [b"copied/a", b"copied/c"]
    assert [write.path for write in plan.writes] == [b"copied/moved"]
    assert [one.path for one in plan.refused] == [b"copied/b"]
    whole = pair.planner(None).plan(source, open_target(pair.end(pair.site), STEPS))
    assert whole.deletes == ()


def test_the_list_of_deletions_may_not_be_copied_as_well(tmp_path: Path) -> None:
    options = Options(deletions=Deletions("record", "copied/list.json"))
    pair = Pair(tmp_path, options)
    pair.code.commit({b"docs/a": b"a\n", b"docs/list.json": b"[]"})
    pair.copy()
    pair.code.commit({b"docs/a": None, b"docs/list.json": b"[ ]"})
    [refusal] = pair.copy().plan.refused
    assert "records deletions and is copied from the source as well" in refusal.sentence


@pytest.mark.parametrize(
    ("files", "modes", "reason"),
    [
        ({b"list": b"README"}, {b"list": "120000"}, "list is no plain file"),
        ({b"list/x": b"x"}, {}, "list is a folder in the target"),
        ({b"list": b"[" * 100_000}, {}, "list is not a list of deletions"),
        ({b"list": b'[{"filename": 1}]'}, {}, "list is not a list of deletions"),
        ({b"list": b"\xff"}, {}, "list is not a list of deletions"),
        ({b"list": b" " * 10_000_001}, {}, "list is larger than 10 MB"),
    ],
)
def test_a_place_where_nothing_can_be_recorded(
    tmp_path: Path, files: dict[bytes, bytes | None], modes: dict[bytes, str], reason: str
) -> None:
    pair = Pair(tmp_path, Options(deletions=Deletions("record", "list")))
    pair.code.commit({b"docs/a": b"a\n"})
    pair.copy()
    pair.site.commit(files, modes=modes)
    before = tree(pair.site)
    pair.code.commit({b"docs/a": None})
    plan = pair.copy().plan
    assert reason in plan.refused[0].sentence
    assert tree(pair.site) == before


def test_a_list_that_is_too_large_is_not_even_brought(tmp_path: Path) -> None:
    pair = Pair(tmp_path, Options(deletions=Deletions("record", "list")))
    pair.code.commit({b"docs/a": b"a\n"})
    pair.copy()
    pair.site.commit({b"list": Random(0).randbytes(12_000_000)})
    pair.code.commit({b"docs/a": None})
    [refusal] = pair.copy().plan.refused
    assert refusal.sentence == "list is larger than 10 MB; name another file."
    store = pair.end(pair.site).store
    assert store.partial
    assert not store.has(pair.site.oid("main:list"))


class Rivals(Console):
    """Before each of our pushes somebody else pushes to `bare`, as often as is said."""

    def __init__(self, bare: Bare, times: int) -> None:
        self.said: list[str] = []
        super().__init__(self.said.append)
        self._bare = bare
        self._left = times

    @property
    def again(self) -> list[str]:
        return [line for line in self.said if "built again" in line]

    def checkpoint(self, name: str) -> None:
        if name == "commit-made" and self._left:
            self._left -= 1
            self._bare.commit({b"theirs": b"%d" % self._left})


AGAIN = "push: site: somebody pushed meanwhile; built again ({})"


def test_a_list_elsewhere_is_written_again_on_what_others_pushed(tmp_path: Path) -> None:
    pair = Pair(tmp_path)
    wanted = DeletionList("acme/site", "main", "list.json", [Entry("x", "acme/site", "main", AT)])
    message = Message((pair.flow,), pair.code.oid("main"), "1/2/3")

    def record(steps: Rivals) -> str:
        copier = Copier(pair.stores, steps, Author("O", "o@example.org", AT))
        return record_elsewhere(copier, pair.end(pair.site), wanted, message)

    lost = Rivals(pair.site, 3)
    with pytest.raises(Conflict, match="site main changed each time just before our push"):
        record(lost)
    assert lost.again == [AGAIN.format(number) for number in (1, 2, 3)]

    once = Rivals(pair.site, 1)
    assert record(once) == pair.site.oid("main")
    assert once.again == [AGAIN.format(1)]
    assert b"list.json" in tree(pair.site)
    assert pair.site.git("log", "-1", "--format=%B", "main").strip() == (
        "Record 1 deleted file of acme/site\n\n"
        f"OpsSight-Source: acme/code@{message.head}\nOpsSight-Run-Key: 1/2/3"
    )
    assert record(Rivals(pair.site, 0)) == "", "it has all of them"


@pytest.mark.parametrize("data", [Random(0).randbytes(12_000_000), b" " * 12_000_000])
def test_a_list_elsewhere_that_is_too_large_stays_as_it_is(tmp_path: Path, data: bytes) -> None:
    pair = Pair(tmp_path)
    before = pair.site.commit({b"list.json": data})
    wanted = DeletionList("acme/site", "main", "list.json", [Entry("x", "acme/site", "main", AT)])
    message = Message((pair.flow,), pair.code.oid("main"), "1/2/3")
    copier = Copier(pair.stores, STEPS, Author("O", "o@example.org", AT))
    with pytest.raises(InvalidInput, match=r"^list.json in site is larger than 10 MB; name another file\.$"):
        record_elsewhere(copier, pair.end(pair.site), wanted, message)
    assert pair.site.oid("main") == before


ROW = '{"filename": "x", "repo": "r", "branch": "b", "deleted_on": "2025", "more": [1]}'


def test_what_stands_in_a_list_stays() -> None:
    entries = [Entry(name, "r", "b", AT) for name in ("x", "y", "y")]
    data, fresh = added(f"[{ROW}]".encode(), entries)
    assert [entry.filename for entry in fresh] == ["y"]
    assert data.decode().splitlines()[1:8] == [
        "  {",
        '    "filename": "x",',
        '    "repo": "r",',
        '    "branch": "b",',
        '    "deleted_on": "2025",',
        '    "more": [',
        "      1",
    ]
    assert b'"deleted_on": "2026-01-02T00:00:00Z"' in data
    assert added(data, entries) == (data, [])
    assert added(b" \n", [])[0] == b"[]\n"
    with pytest.raises(InvalidInput):
        added(f"[{ROW}, 1]".encode(), entries)


def test_which_servers_limit_a_file() -> None:
    assert largest_file("github") == 104_857_600
    assert largest_file("gitea") is None
