"""Plans with a memory: what a rule wrote, what was edited since, what has no source any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, strategies as st

from syncs.copy.plan import manifest
from syncs.copy.plan.plan import Gone, merged, plan_gone, plan_wanted, refused, with_writes
from syncs.copy.plan.planned import (
    Manifest,
    Owned,
    Plan,
    PlannedDelete,
    PlannedRecord,
    PlannedWrite,
    Refusal,
    SourceFile,
    Tree,
)
from syncs.copy.plan.wanted import wanted
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

A, B, C = "a" * 40, "b" * 40, "c" * 40
MOVED = Rule("move", "src", "dst")


def flow(policy: DeletionPolicy = "delete", edits: Edits = "overwrite", rule: Rule = MOVED) -> Flow:
    options = Options(deletions=Deletions(policy, "gone.json"), edits=edits)
    return Flow("docs", "acme/docs", "main", (rule,), "acme/app", "main", options=options)


def own(path: str, oid: str = A, mode: str = "100644") -> Owned:
    return Owned(f"src/{path}".encode(), oid, oid, mode)


def gone_of(owned: Manifest, target: Tree, *flows: Flow, recorded: Sequence[bytes] = ()) -> Gone:
    lost = wanted(flows, [SourceFile(one.source_path, one.mode, one.source_oid) for one in owned.values()])
    return plan_gone(flows, owned, lost, target, recorded)


FILE = ("100644", A)


def test_what_is_ours_and_unchanged_is_deleted() -> None:
    gone = gone_of({b"dst/x": own("x")}, {b"dst/x": ("100664", A), b"dst/y": FILE}, flow())
    assert gone == Gone(deletes=(PlannedDelete(b"src/x", b"dst/x", FILE),))


@pytest.mark.parametrize("there", [("100644", B), ("100755", A), ("120000", A)])
def test_what_was_edited_stays_and_is_given_up(there: tuple[str, str]) -> None:
    gone = gone_of({b"dst/x": own("x")}, {b"dst/x": there}, flow())
    assert (gone.deletes, gone.dropped) == ((), (b"dst/x",))
    assert gone.refused[0].sentence.startswith("dst/x has no source any more, but was changed")


def test_what_is_not_there_any_more_is_forgotten() -> None:
    assert gone_of({b"dst/x": own("x")}, {}, flow()) == Gone(dropped=(b"dst/x",))


@pytest.mark.parametrize("policy", ["ignore", "record"])
def test_without_leave_to_delete_it_is_an_orphan(policy: DeletionPolicy) -> None:
    assert gone_of({b"dst/x": own("x")}, {b"dst/x": FILE}, flow(policy)) == Gone(orphans=(b"dst/x",))


def test_the_flow_that_placed_a_file_decides() -> None:
    first, last = flow("ignore"), flow("delete", rule=Rule("move", "other", "to"))
    owned = {b"dst/x": own("x"), b"old/y": own("y")}
    gone = gone_of(owned, dict.fromkeys(owned, FILE), first, last)
    assert (gone.orphans, gone.deletes) == ((b"dst/x", b"old/y"), ()), "they do not agree on old/y"


def test_what_no_flow_would_place_goes_where_all_of_them_delete() -> None:
    flows = flow("delete"), flow("delete", rule=Rule("move", "other", "to"))
    owned = {b"old/y": own("y")}
    gone = gone_of(owned, dict.fromkeys(owned, FILE), *flows)
    assert [one.path for one in gone.deletes] == [b"old/y"]


def test_only_what_stands_at_the_target_is_recorded() -> None:
    owned = {b"dst/x": own("x"), b"dst/y": own("y"), b"dst/z": own("z")}
    target = {b"dst/x": FILE, b"dst/z": FILE}
    gone = gone_of(owned, target, flow("record"), recorded=[b"dst/x", b"dst/y", b"elsewhere"])
    assert gone.records == (PlannedRecord(b"src/x", b"dst/x", "gone.json"),)
    assert gone_of(owned, target, flow("delete"), recorded=[b"dst/x"]).records == ()


def plan_of(
    files: Mapping[str, str], target: Tree, owned: Manifest, edits: Edits, before: Manifest | None = None
) -> Plan:
    sources = [SourceFile(f"src/{path}".encode(), "100644", oid) for path, oid in files.items()]
    return plan_wanted(wanted([flow(edits=edits)], sources), target, owned, before=before)


def test_a_place_that_is_freed_is_free() -> None:
    wants = wanted([flow()], [SourceFile(b"src/x/y", "100644", B)])
    gone = Gone(deletes=(PlannedDelete(b"src/x", b"dst/x", FILE),))
    plan = plan_wanted(wants, {b"dst/x": FILE}, {b"dst/x": own("x")}, gone=gone)
    assert ([write.path for write in plan.writes], plan.refused) == ([b"dst/x/y"], ())
    assert plan_wanted(wants, {b"dst/x": FILE}).writes == ()


@pytest.mark.parametrize("edits", EDITS)
def test_our_own_content_is_no_edit(edits: Edits) -> None:
    target = {b"dst/x": FILE, b"dst/y": FILE, b"dst/z": ("100644", B)}
    owned, before = {b"dst/x": own("x"), b"dst/z": own("z")}, {b"dst/y": own("y"), b"dst/z": own("z", B)}
    plan = plan_of({"x": C, "y": C, "z": C}, target, owned, edits, before)
    assert [write.edited for write in plan.writes] == [False] * 3
    assert (plan.edited, plan.merges, plan.refused, plan.overwritten) == ((b"dst/z",), (), (), 0)


def test_what_each_policy_does_to_edits() -> None:
    files = {"edited": C, "deleted": C, "foreign": C, "equal": C}
    target = {b"dst/edited": ("100644", B), b"dst/foreign": FILE, b"dst/equal": ("100644", C)}
    owned = {b"dst/edited": own("edited"), b"dst/deleted": own("deleted")}
    plan = plan_of(files, target, owned, "overwrite")
    assert [(write.path, write.edited) for write in plan.writes] == [
        (b"dst/deleted", True),
        (b"dst/edited", True),
        (b"dst/foreign", False),
    ]
    assert (plan.overwritten, [one.path for one in plan.adoptable]) == (2, [b"dst/equal"])
    plan = plan_of(files, target, owned, "merge")
    assert [write.path for write in plan.merges] == [b"dst/edited"]
    assert [one.path for one in plan.refused] == [b"dst/deleted", b"dst/foreign"]
    plan = plan_of(files, target, owned, "hold")
    assert [one.path for one in plan.refused] == [b"dst/deleted", b"dst/edited", b"dst/foreign"]
    assert (plan.writes, plan.merges) == ((), ())


def test_merges_are_settled() -> None:
    files = {"a": C, "b": C, "c": C, "d": C}
    target = {f"dst/{name}".encode(): ("100644", B) for name in "abc"}
    owned = {f"dst/{name}".encode(): own(name) for name in "abc"}
    plan = plan_of(files, target, owned, "merge")
    one, two, _ = plan.merges
    done = PlannedWrite(b"src/a", b"dst/a", "100644", A, 0, 0, one.old, C, C, edited=True)
    same = PlannedWrite(b"src/b", b"dst/b", "100644", B, 0, 0, two.old, C, C, edited=True)
    plan = merged(plan, {b"dst/a": done, b"dst/b": same, b"dst/c": "dst/c clashes."})
    assert [write.path for write in plan.writes] == [b"dst/a", b"dst/d"]
    assert plan.same == (same,)
    assert plan.refused == (Refusal(b"src/c", b"dst/c", "dst/c clashes.", 0),)
    assert (plan.merges, plan.merged, plan.overwritten) == ((), 1, 0)
    assert done.owned == Owned(b"src/a", C, C, "100644")


def test_writes_are_taken_out_and_put_in() -> None:
    plan = plan_of({"a": A, "b": B}, {}, {}, "overwrite")
    assert refused(plan, {}) is plan
    left = refused(plan, {b"dst/a": "Too large."})
    assert [write.path for write in left.writes] == [b"dst/b"]
    assert left.refused == (Refusal(b"src/a", b"dst/a", "Too large.", 0),)
    more = with_writes(left, [PlannedWrite(b"", b"dst/a", "100644", C, 0)], [Refusal(b"", b"z", "No.", 0)])
    assert [write.path for write in more.writes] == [b"dst/a", b"dst/b"]
    assert [one.path for one in more.refused] == [b"z", b"dst/a"]


def test_the_digest_covers_deletes_records_and_contents() -> None:
    plan = plan_of({"a": A}, {}, {}, "overwrite")
    [write] = plan.writes
    assert not plan.empty
    deletes = (PlannedDelete(b"src/x", b"dst/x", FILE),)
    record = PlannedRecord(b"src/x", b"dst/x", "gone.json")
    others = [
        Plan(plan.writes, (), (), (), (), deletes=deletes),
        Plan(plan.writes, (), (), (), (), records=(record,)),
        Plan((PlannedWrite(b"src/a", b"dst/a", "100644", B, 0, source_oid=A),), (), (), (), ()),
    ]
    assert len({plan.digest, *(one.digest for one in others)}) == 4
    assert Plan((write,), (), (), (), (), orphans=(b"x",), edited=(b"y",)).digest == plan.digest


def test_two_rules_with_different_changes_to_one_file_are_rivals() -> None:
    other = Options(transforms=(Transform("header", text="h"),))
    flows = [flow(), Flow("more", "", "", (MOVED,), "", "", options=other)]
    found = wanted(flows, [SourceFile(b"src/a", "100644", A), SourceFile(b"src/link", "120000", B)])
    assert list(found.writes) == [b"dst/link"]
    assert {one.sentence for one in found.refused} == {
        "Two rules put src/a to dst/a with different changes to its content; "
        "change one so that only one does."
    }


def test_what_a_match_gives_to_contents_that_ask_for_it() -> None:
    rule = Rule("regex", "src/(?P<name>.+)", "dst/${name}")
    asking = Options(transforms=(Transform("variables", files=("**/a",)),))
    found = wanted(
        [Flow("docs", "", "", (rule,), "", "", options=asking)],
        [SourceFile(b"src/a", "100644", A), SourceFile(b"src/b", "100644", A)],
    )
    assert found.variables == {b"dst/a": {"name": b"a"}}


def test_what_concerns_some_files_only() -> None:
    flat = flow(rule=Rule("glob", "src/**", "${filename}"))
    files = [
        SourceFile(b"src/a/same", "100644", A),
        SourceFile(b"src/b/same", "100644", A),
        SourceFile(b"src/a/differs", "100644", A),
        SourceFile(b"src/b/differs", "100644", B),
        SourceFile(b"src/a/module", "160000", C),
        SourceFile(b"src/a/one", "100644", C),
    ]
    found = wanted([flat], files)
    assert list(found.only({b"src/b/same"}, ()).writes) == [b"same"], "whichever of the two has changed"
    assert list(found.only((), {b"one"}).writes) == [b"one"]
    some = found.only({b"src/b/differs", b"src/a/module"}, ())
    assert ([one.source_path for one in some.refused], len(some.skipped)) == ([b"src/b/differs"], 1)
    assert some.matches == ((b"src/a/module", 0), (b"src/b/differs", 0))
    assert found.keeps(b"same", b"")
    assert found.keeps(b"differs", b"")
    assert found.keeps(b"elsewhere", b"src/a/module")
    assert found.keeps(b"elsewhere", b"src/b/differs")
    assert not found.keeps(b"elsewhere", b"src/a/one")


def test_what_is_remembered() -> None:
    known = {b"dst/a": own("a"), b"dst/x": own("x"), b"dst/y": own("y")}
    files = {"a": A, "b": B, "c": C}
    gone = Gone(deletes=(PlannedDelete(b"src/x", b"dst/x", FILE),), dropped=(b"dst/y", b"dst/z"))
    sources = [SourceFile(f"src/{path}".encode(), "100644", oid) for path, oid in files.items()]
    target = {b"dst/a": FILE, b"dst/b": ("100644", B), b"dst/x": FILE}
    plan = plan_wanted(wanted([flow()], sources), target, known, gone=gone)
    assert list(manifest.kept(known, plan)) == [b"dst/a"]
    assert list(manifest.kept(known, plan, adopt=True)) == [b"dst/a", b"dst/b"]
    assert list(manifest.written(plan)) == [b"dst/c"]
    assert manifest.forgotten(known, plan) == [b"dst/x", b"dst/y"]
    assert manifest.forgotten(known, plan, pending=True) == [b"dst/y"]
    recording = with_writes(plan, [PlannedWrite(b"", b"gone.json", "100644", C, 0)], [])
    assert b"gone.json" not in manifest.written(recording)


NAMES = st.sampled_from(["a", "b", "c", "a/x", "b/x"])
ENTRIES = st.tuples(st.sampled_from(["100644", "100755", "120000"]), st.sampled_from([A, B, C]))
TREES = st.dictionaries(NAMES.map(lambda name: f"dst/{name}".encode()), ENTRIES, max_size=5)
OWNED = st.dictionaries(
    NAMES.map(lambda name: f"dst/{name}".encode()),
    st.builds(
        lambda name, entry: Owned(f"src/{name}".encode(), entry[1], entry[1], entry[0]), NAMES, ENTRIES
    ),
    max_size=5,
)
FILES = st.dictionaries(NAMES, st.sampled_from([A, B, C]), max_size=4)


@given(FILES, TREES, OWNED, st.sampled_from(DELETION_POLICIES), st.sampled_from(EDITS))
def test_nothing_is_deleted_that_is_not_owned_and_as_we_wrote_it(
    files: dict[str, str], target: Tree, owned: Manifest, policy: DeletionPolicy, edits: Edits
) -> None:
    flows = [flow(policy, edits)]
    sources = [SourceFile(f"src/{path}".encode(), "100644", oid) for path, oid in files.items()]
    wants = wanted(flows, sources)
    orphans = {path: one for path, one in owned.items() if not wants.keeps(path, one.source_path)}
    lost = wanted(flows, [SourceFile(one.source_path, one.mode, one.source_oid) for one in orphans.values()])
    gone = plan_gone(flows, orphans, lost, target, [*lost.writes])
    plan = plan_wanted(wants, target, owned, gone=gone)
    assert plan == plan_wanted(wants, dict(reversed([*target.items()])), owned, gone=gone)
    for delete in plan.deletes:
        assert policy == "delete"
        assert target[delete.path] == (owned[delete.path].mode, owned[delete.path].target_oid)
        assert delete.path not in wants.writes
    written = {write.path for write in plan.writes}
    assert not written & {delete.path for delete in plan.deletes}
    if edits == "hold":
        for write in plan.writes:
            known = owned.get(write.path)
            assert write.old is None or (known and write.old == (known.mode, known.target_oid))
