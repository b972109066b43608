from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given, strategies as st

from opssight.core.errors import InvalidInput
from syncs.copy.plan.plan import delta, plan_wanted, propose
from syncs.copy.plan.planned import Delta, Plan, PlannedWrite, Refusal, Skip, SourceFile, Tree
from syncs.copy.plan.wanted import wanted
from syncs.copy.rules.config import Flow
from syncs.copy.rules.paths import safe_target
from syncs.copy.rules.rule import Match, Rule

A, B, C = "a" * 40, "b" * 40, "c" * 40


def flow(*rules: Rule, match: Match = "first", name: str = "docs") -> Flow:
    return Flow(name, "acme/docs", "main", rules, "acme/app", "main", match)


def file(path: str, oid: str = A, mode: str = "100644") -> SourceFile:
    return SourceFile(path.encode(), mode, oid)


EVERYTHING = flow(Rule("glob", "**", "${path}"))
MOVED = flow(Rule("move", "src", "dst"))


def plan_flow(flow: Flow, files: Iterable[SourceFile], target: Tree) -> Plan:
    return plan_wanted(wanted((flow,), files), target)


def applied(plan: Plan, target: Tree) -> dict[bytes, tuple[str, str]]:
    return {**target, **{write.path: (write.mode, write.oid) for write in plan.writes}}


def test_add_change_and_equal() -> None:
    files = [file("src/new", A), file("src/changed", B), file("src/equal", C), file("other", A)]
    target = {
        b"dst/changed": ("100644", A),
        b"dst/equal": ("100644", C),
        b"dst/not-ours": ("100644", A),
    }
    plan = plan_flow(MOVED, files, target)
    assert plan.writes == (
        PlannedWrite(b"src/changed", b"dst/changed", "100644", B, 0, 0, ("100644", A)),
        PlannedWrite(b"src/new", b"dst/new", "100644", A, 0),
    )
    assert [write.action for write in plan.writes] == ["change", "add"]
    assert [write.path for write in plan.same] == [b"dst/equal"]
    assert plan.matches == ((b"src/changed", 0), (b"src/equal", 0), (b"src/new", 0))
    assert (plan.equal, plan.matched, plan.refused, plan.skipped) == (1, 3, (), ())


def test_modes_are_kept_and_a_changed_mode_is_a_change() -> None:
    files = [file("src/run", A, "100755"), file("src/link", B, "120000"), file("src/plain", C)]
    target = {b"dst/run": ("100644", A), b"dst/link": ("120000", B)}
    plan = plan_flow(MOVED, files, target)
    assert [(write.path, write.mode, write.old) for write in plan.writes] == [
        (b"dst/plain", "100644", None),
        (b"dst/run", "100755", ("100644", A)),
    ]
    assert plan.equal == 1


def test_modes_of_old_trees_are_what_git_makes_of_them_today() -> None:
    files = [file("src/a", A, "100664"), file("src/b", B, "100775")]
    assert [write.mode for write in plan_flow(MOVED, files, {}).writes] == ["100644", "100755"]
    target = {b"dst/a": ("100664", A), b"dst/b": ("100777", B)}
    assert plan_flow(MOVED, files, target).writes == ()


def test_submodules_are_skipped_with_a_sentence() -> None:
    plan = plan_flow(MOVED, [file("src/lib", A, "160000"), file("src/x")], {})
    assert plan.skipped == (Skip(b"src/lib", "src/lib is a submodule; submodules are not copied."),)
    assert [write.path for write in plan.writes] == [b"dst/x"]
    assert plan.matched == 2


@pytest.mark.parametrize(
    ("rule", "path", "refused_path", "part"),
    [
        (Rule("glob", "*", "${dir}/x"), "a", b"/x", "absolute"),
        (Rule("glob", "**", "${nothing}"), "a", b"a", "Unreplaced variables"),
        (Rule("move", "src", "../x"), "src/a", b"../x/a", "goes up"),
        (
            Rule("regex", "(?P<d>.+)-(?P<f>.+)", ".${d}/${f}"),
            "git-config",
            b".git/config",
            "spelling of .git",
        ),
        (Rule("copy", "a", "b/"), "a", b"b/", "ends with a slash"),
    ],
)
def test_refused(rule: Rule, path: str, refused_path: bytes, part: str) -> None:
    plan = plan_flow(flow(rule), [file(path)], {})
    [refusal] = plan.refused
    assert (refusal.source_path, refusal.path, refusal.rule_index) == (path.encode(), refused_path, 0)
    assert part in refusal.sentence
    assert plan.writes == ()
    assert plan.matched == 1


def test_gitmodules_as_a_symbolic_link_is_refused() -> None:
    rule = flow(Rule("copy", "x", ".gitmodules"))
    assert plan_flow(rule, [file("x")], {}).writes[0].path == b".gitmodules"
    assert "symbolic link" in plan_flow(rule, [file("x", A, "120000")], {}).refused[0].sentence


FLAT = flow(Rule("glob", "**", "${filename}"))


def test_two_contents_for_one_path_are_both_refused_and_both_named() -> None:
    plan = plan_flow(FLAT, [file("b/x", B), file("a/x", A), file("y")], {b"x": ("100644", A)})
    assert plan.refused == (
        Refusal(b"a/x", b"x", "a/x and b/x both go to x and differ; change a rule so that only one does.", 0),
        Refusal(b"b/x", b"x", "b/x and a/x both go to x and differ; change a rule so that only one does.", 0),
    )
    assert [write.path for write in plan.writes] == [b"y"]


def test_a_third_equal_content_does_not_help() -> None:
    plan = plan_flow(FLAT, [file("a/x", A), file("b/x", B), file("c/x", A)], {})
    assert [(refusal.source_path, refusal.sentence[:11]) for refusal in plan.refused] == [
        (b"a/x", "a/x and b/x"),
        (b"b/x", "b/x and a/x"),
        (b"c/x", "c/x and b/x"),
    ]


def test_the_same_content_twice_is_one_write() -> None:
    plan = plan_flow(FLAT, [file("b/x", A), file("a/x", A)], {})
    assert [(write.source_path, write.path) for write in plan.writes] == [(b"a/x", b"x")]
    assert (plan.refused, plan.matched) == ((), 2)


def test_another_mode_is_another_content() -> None:
    assert len(plan_flow(FLAT, [file("b/x", A), file("a/x", A, "100755")], {}).refused) == 2


@pytest.mark.parametrize(
    ("there", "sentence"),
    [
        ({b"dst": ("100644", A)}, "dst is a file in the target, so nothing can be put into it."),
        ({b"dst": ("120000", A)}, "dst is a symbolic link in the target, so nothing can be put into it."),
        ({b"dst/a": ("160000", A)}, "dst/a is a submodule in the target, so nothing can be put into it."),
        (
            {b"dst/a/b/y": ("100644", A), b"dst/a/b/x/z": ("100644", A)},
            "dst/a/b is a folder in the target, with dst/a/b/x/z in it.",
        ),
    ],
)
def test_clashes_with_the_target(there: Tree, sentence: str) -> None:
    plan = plan_flow(MOVED, [file("src/a/b")], there)
    assert [refusal.sentence for refusal in plan.refused] == [sentence]
    assert plan.writes == ()


def test_file_and_folder_at_once_among_the_writes() -> None:
    rules = flow(Rule("copy", "one", "x"), Rule("copy", "two", "x/y/z"), Rule("copy", "three", "xy"))
    plan = plan_flow(rules, [file("one"), file("two", B), file("three", C)], {})
    assert [(refusal.path, refusal.rule_index, refusal.sentence) for refusal in plan.refused] == [
        (b"x", 0, "x would be a file and a folder at once: two goes to x/y/z."),
        (b"x/y/z", 1, "x would be a file and a folder at once: one goes to x."),
    ]
    assert [write.path for write in plan.writes] == [b"xy"]


def test_first_and_every() -> None:
    rules = (Rule("copy", "a", "1"), Rule("copy", "a", "2"))
    assert [write.path for write in plan_flow(flow(*rules), [file("a")], {}).writes] == [b"1"]
    every = plan_flow(flow(*rules, match="every"), [file("a")], {})
    assert [(write.path, write.rule_index) for write in every.writes] == [(b"1", 0), (b"2", 1)]
    assert (every.matches, every.matched) == (((b"a", 0), (b"a", 1)), 1)


def test_several_flows_are_one_plan() -> None:
    first = flow(Rule("copy", "a", "x"), Rule("copy", "b", "same"))
    second = flow(Rule("copy", "a", "y"), Rule("copy", "c", "same"), name="other")
    plan = plan_wanted(wanted((first, second), [file("a"), file("b", B), file("c", C)]), {})
    assert [(write.path, write.flow_index) for write in plan.writes] == [(b"x", 0), (b"y", 1)]
    assert [(refusal.source_path, refusal.flow_index, refusal.rule_index) for refusal in plan.refused] == [
        (b"b", 0, 1),
        (b"c", 1, 1),
    ]


def test_one_match_serves_many_targets() -> None:
    files = [file("src/a"), file("src/b", B)]
    matched = wanted([MOVED], files)
    for target in ({}, {b"dst/a": ("100644", A)}, {b"dst": ("100644", A)}):
        assert plan_wanted(matched, target) == plan_flow(MOVED, files, target)


def test_paths_that_are_not_utf8() -> None:
    plan = plan_flow(MOVED, [SourceFile(b"src/\xff\xfe", "100644", A)], {b"dst/\xff\xff": ("100644", A)})
    assert [write.path for write in plan.writes] == [b"dst/\xff\xfe"]


def test_empty() -> None:
    plan = plan_flow(EVERYTHING, [], {b"a": ("100644", A)})
    assert (plan.writes, plan.same, plan.refused, plan.matched) == ((), (), (), 0)


@pytest.mark.parametrize(
    ("files", "target"),
    [
        ([file("src/a", B)], {}),  # other content
        ([file("src/a", A, "100755")], {}),  # other mode
        ([file("src/b")], {}),  # other path
        ([file("src/a")], {b"dst/a": ("100644", B)}),  # something else stands there
        ([file("src/a")], {b"dst": ("100644", B)}),  # refused
        ([], {}),
    ],
)
def test_the_digest_tells_plans_apart(files: list[SourceFile], target: Tree) -> None:
    base = plan_flow(MOVED, [file("src/a")], {})
    assert plan_flow(MOVED, files, target).digest != base.digest
    assert plan_flow(MOVED, [file("src/a"), file("other")], {b"x": ("100644", A)}).digest == base.digest


def test_delta() -> None:
    files = [file("src/a"), file("src/b", B), file("c", C), file("src/d")]
    target = {b"dst/a": ("100644", A), b"dst/b": ("100644", C), b"there": ("100644", B), b"d": ("100644", A)}
    old = plan_flow(MOVED, files, target)  # dst/a equal, dst/b and dst/d new content
    new = plan_flow(
        flow(Rule("copy", "src/a", "dst/a"), Rule("copy", "src/b", "there"), Rule("copy", "src/d", "d"),
             Rule("copy", "c", "dst/b")),
        files,
        target,
    )  # fmt: skip
    # `there` and `d` stand already as they should, so only dst/b differs from what the old rules say
    assert delta(old, new) == Delta(added=0, changed=0, removed=1)
    assert delta(old, old) == Delta(0, 0, 0)
    rules = (Rule("copy", "src/a", "dst/a"), Rule("copy", "c", "dst/d"), Rule("copy", "c", "x"))
    newer = plan_flow(flow(*rules, match="every"), files, target)
    assert delta(old, newer) == Delta(added=1, changed=1, removed=1)


@pytest.mark.parametrize(
    ("source", "target", "rule"),
    [
        (b"a/b/x.py", b"c/x.py", Rule("glob", "a/b/**", "c/${relative_path}")),
        (b"a/b/x.py", b"x.py", Rule("glob", "a/b/**", "${relative_path}")),
        (b"a/x.py", b"a/x.py", Rule("glob", "a/**", "a/${relative_path}")),
        (b"a/x.py", b"a/y.py", Rule("copy", "a/x.py", "a/y.py")),  # another name: only this file
        (b"README.md", b"docs/README.md", Rule("copy", "README.md", "docs/README.md")),  # not the whole tree
        (b"a*[b]/x", b"c/x", Rule("move", "a*[b]", "c")),
        (b"a{b}/x", b"x", Rule("move", "a{b}", ".")),
        (b"a/x", b"${c}/x", Rule("move", "a", "${c}")),
        ("é/x".encode(), "ü/x".encode(), Rule("glob", "é/**", "ü/${relative_path}")),
    ],
)
def test_propose(source: bytes, target: bytes, rule: Rule) -> None:
    assert propose(source, target) == rule
    plan = plan_flow(flow(rule), [SourceFile(source, "100644", A)], {})
    assert [write.path for write in plan.writes] == [target]


def test_propose_refuses_what_no_rule_can_do() -> None:
    with pytest.raises(InvalidInput, match="goes up"):
        propose(b"a", b"../a")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        propose(b"a/\xff", b"b/\xff")


NAMES = st.sampled_from(["a", "b", "src", "x.py", "y.md", ".git", "..", "git~1", "é", "t"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
OIDS = st.sampled_from([A, B, C])
MODES = st.sampled_from(["100644", "100755", "120000", "160000", "100664"])
FILES = st.dictionaries(PATHS, st.tuples(MODES, OIDS), max_size=12).map(
    lambda tree: [SourceFile(path.encode(), mode, oid) for path, (mode, oid) in tree.items()]
)
TREES = st.dictionaries(PATHS.map(str.encode), st.tuples(MODES, OIDS), max_size=10)
RULES = st.sampled_from(
    [
        Rule("glob", "**", "${path}"),
        Rule("glob", "src/**", "${relative_path}"),
        Rule("glob", "**/*.py", "${filename}", ("**/a/**",)),
        Rule("prefix", "a", "b${relative_path}"),
        Rule("regex", "(?P<d>[^/]+)/(?P<f>[^/]+)$", "${f}/${d}"),
        Rule("regex", "^(?P<d>.)(?P<e>.*)", ".${d}/${e}/${missing}"),
        Rule("move", "b", "a"),
        Rule("move", "src", "../out"),
        Rule("copy", "t", "a"),
    ]
)
FLOWS = st.builds(
    lambda rules, match: flow(*rules, match=match),
    st.lists(RULES, min_size=1, max_size=4),
    st.sampled_from(["first", "every"]),
)


@given(FLOWS, FILES, TREES, st.randoms(use_true_random=False))
def test_a_plan_depends_on_nothing_but_its_input(
    given_flow: Flow, files: list[SourceFile], target: Tree, random: Random
) -> None:
    shuffled = list(files)
    random.shuffle(shuffled)
    turned = dict(reversed(list(target.items())))
    assert plan_flow(given_flow, files, target) == plan_flow(given_flow, shuffled, turned)


@given(FLOWS, FILES, TREES)
def test_a_plan_that_is_applied_leaves_nothing_to_do(
    given_flow: Flow, files: list[SourceFile], target: Tree
) -> None:
    plan = plan_flow(given_flow, files, target)
    again = plan_flow(given_flow, files, applied(plan, target))
    assert again.writes == ()
    assert again.refused == plan.refused
    assert again.equal == plan.equal + len(plan.writes)


@given(FLOWS, FILES, TREES)
def test_no_plan_leaves_the_safe_paths_or_makes_an_impossible_tree(
    given_flow: Flow, files: list[SourceFile], target: Tree
) -> None:
    plan = plan_flow(given_flow, files, target)
    sources = {source.path: source for source in files}
    for write in plan.writes:
        assert safe_target(write.path, write.mode) == write.path
        assert write.oid == sources[write.source_path].oid
        assert write.mode in ("100644", "100755", "120000")
    written = {write.path for write in plan.writes}
    everything = {*target, *written}
    folders = {path[:end] for path in everything for end in range(len(path)) if path[end : end + 1] == b"/"}
    already = {path[:end] for path in target for end in range(len(path)) if path[end : end + 1] == b"/"}
    assert not written & folders
    assert not (folders - already) & set(target)
