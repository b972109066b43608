# ruff: noqa: E501 - a table reads best with one case on a line
"""What is written loads again: to equal flows where the format has the words, else to the same effect."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from opssight.core.errors import InvalidInput
from syncs.copy.formats import Loaded, load, load_data
from syncs.copy.formats.convert import WRITTEN, Named, Written, consolidated, converted
from syncs.copy.rules.config import Flow, by_target
from syncs.copy.rules.matching import compile_rules
from syncs.copy.rules.messages import DEFAULT, render_message
from syncs.copy.rules.options import Authors, Deletions, Options, PullRequest, Transform
from syncs.copy.rules.paths import danger
from syncs.copy.rules.rule import ExcludeSyntax, Flavour, Match, Rule


def flow(*rules: Rule, match: Match = "every", flavour: Flavour = "legacy", **more: Any) -> Flow:
    known: dict[str, Any] = {"name": "r", "source_repo": "a/b", "source_branch": "main", "target_repo": "c/d", "target_branch": "main", "message": "m"}  # fmt: skip
    return Flow(rules=rules, match=match, flavour=flavour, **{**known, **more})


def effect(flows: Sequence[Flow], path: bytes) -> list[tuple[object, ...]]:
    """Where the flows put a file: target, way and words, in any order; without what is refused anyhow."""
    found = set()
    for one in flows:
        rules = compile_rules(one.rules, one.match, one.flavour)
        for hit in rules.hits(path):
            try:
                target = rules.rules[hit.rule_index].target(path, hit.variables)
            except InvalidInput:
                continue
            if not danger(target):
                found.add(
                    (
                        one.source_repo,
                        one.source_branch,
                        one.target_repo,
                        one.target_branch,
                        target,
                        one.options,
                        one.name,
                        one.message or DEFAULT,
                    )
                )
    return sorted(found, key=repr)


# --- the same words ---

OPTIONS = st.builds(
    Options,
    strategy=st.sampled_from(["direct", "pull_request"]),
    pull_request=st.builds(
        PullRequest, title=st.sampled_from(["", "t", "1.10", "on: off"]), body=st.sampled_from(["", "b\n\n# x"]),
        use_template=st.booleans(), auto_merge=st.booleans(), draft=st.booleans(),
        labels=st.sampled_from([(), ("a", "no")]), reviewers=st.sampled_from([(), ("ada",)]),
        merge_method=st.sampled_from(["merge", "squash"]), update=st.sampled_from(["update", "append"]),
        others_commits=st.sampled_from(["append", "hold"]),
    ),
    deletions=st.sampled_from([Deletions(), Deletions("record"), Deletions("record", "x.json"), Deletions("delete"), Deletions("ignore", "y.json"), Deletions("record", "z", "a/b", "main")]),
    edits=st.sampled_from(["overwrite", "merge", "hold"]),
    transforms=st.sampled_from([(), (Transform("replace", "a", "b", ("*.md",)), Transform("line_endings", text="lf"))]),
    authors=st.sampled_from([Authors(), Authors("map", (("a@b.c", "Ada <a@b.c>"),))]),
    sign=st.sampled_from(["none", "key"]),
)  # fmt: skip
NAMES = st.sampled_from(["docs", "1.10", "null", "a: b", "é", "- x", "yes"])
TEXTS = st.sampled_from(["src", "src/", "a b", "a.b+c", "é/ü", "x/y", "[x]", "{a,b}", "a*"])
EXCLUDES: st.SearchStrategy[tuple[tuple[str, ...], ExcludeSyntax]] = st.sampled_from(
    [((), "glob"), (("**/x", "*.md"), "glob"), ((r"\.go$", "^a/"), "regex")]
)


@st.composite
def workflow_flows(draw: st.DrawFn) -> Flow:
    exclude, syntax = draw(EXCLUDES)
    kinds = st.sampled_from([
        Rule("move", "src", "dst"), Rule("move", "a/", "."), Rule("copy", "é", "x y"), Rule("glob", "**/*.md", "d/${relative_path}"),
        Rule("regex", "^(?P<n>a+)$", "${n}"), Rule("glob", "docs/*", "x/${filename}"),
    ])  # fmt: skip
    rules = draw(st.lists(kinds, min_size=1, max_size=4, unique=True))
    return flow(
        *(Rule(one.type, one.pattern, one.template, exclude, syntax if exclude else "glob") for one in rules),
        match="first", flavour="workflow", name=draw(NAMES), options=draw(OPTIONS),
        message=draw(st.sampled_from(["m", "Update from workflow: ${rule_name}", "a\nb"])), target_branch=draw(st.sampled_from(["main", "1.10"])),
    )  # fmt: skip


@st.composite
def copy_rule_flows(draw: st.DrawFn) -> Flow:
    exclude = draw(st.sampled_from([(), (r"_test\.go$",), ("a", "b")]))
    rule = draw(st.sampled_from([
        Rule("prefix", "examples/go/", "go/${relative_path}"), Rule("prefix", "a", "${matched_prefix}/${path}"),
        Rule("glob", "**/*.md", "docs/${filename}"), Rule("regex", "^x/(?P<n>.+)$", "${n}"),
    ]))  # fmt: skip
    return flow(
        Rule(rule.type, rule.pattern, rule.template, exclude, "regex"), name=draw(NAMES), options=draw(OPTIONS),
        message=draw(st.sampled_from(["", "m"])), source_repo=draw(st.sampled_from(["a/b", "e/f"])), target_repo=draw(st.sampled_from(["c/d", "g/h"])),
    )  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.lists(workflow_flows(), min_size=1, max_size=4))
def test_workflows_load_to_equal_flows(flows: list[Flow]) -> None:
    again = load(converted(flows, "workflows"))
    assert again.errors == ()
    assert list(again.parts) == flows


@settings(max_examples=150, deadline=None)
@given(st.lists(copy_rule_flows(), min_size=1, max_size=6))
def test_copy_rules_load_to_equal_flows(flows: list[Flow]) -> None:
    # rules of one source stand together
    flows = sorted(
        flows, key=lambda one: flows.index(next(f for f in flows if f.source_repo == one.source_repo))
    )
    again = load(converted(flows, "sources"))
    assert again.errors == ()
    assert list(again.parts) == flows


# --- other words, the same effect ---

RULES = st.builds(
    lambda rule, exclude: Rule(rule.type, rule.pattern, rule.template, exclude[0], exclude[1] if exclude[0] else "glob"),
    st.one_of(
        st.builds(Rule, st.just("prefix"), TEXTS, st.sampled_from(["t/${relative_path}", "t/${matched_prefix}/${filename}", "t/${path}"])),
        st.builds(Rule, st.just("move"), TEXTS, st.sampled_from(["t", ".", "t/u", "t/../v"])),
        st.builds(Rule, st.just("copy"), TEXTS, st.sampled_from(["t.txt", "u"])),
        st.builds(Rule, st.just("regex"), st.sampled_from(["^src/(?P<n>[^/]+)", "(?P<n>b+)", "y$(?P<n>)"]), st.just("t/${n}/${filename}")),
        st.builds(Rule, st.just("glob"), st.sampled_from(["**/*.md", "src/**", "x/*", "{a,b}/**/c", "src/**/*.{md,go}"]), st.just("t/${path}")),
    ),
    EXCLUDES,
)  # fmt: skip
NATIVE_GLOBS = st.builds(
    Rule, st.just("glob"), st.sampled_from(["**/*.md", "src/**", "src/**/*.{md,go}", "x/*", "x/y", "src/a{b,c}/*"]),
    st.sampled_from(["t/${relative_path}", "t/${relative_path}/${ext}"]),
)  # fmt: skip
WORKFLOW_GLOBS = st.builds(
    Rule, st.just("glob"), st.sampled_from(["**/*.md", "src/**", "src/**/*.{md,go}", "x/y/**/c"]), st.just("t/${relative_path}")
)  # fmt: skip
PART = st.sampled_from(
    ["src", "a", "b", "x", "y", "c", "é", "a.md", "b.go", "a b", "a.b+c", "[x]", "ab", "ü", "_test.go"]
)
PATHS = st.lists(PART, min_size=1, max_size=4).map("/".join).filter(lambda path: path != "src")


@st.composite
def any_flow(draw: st.DrawFn) -> Flow:
    flavour: Flavour = draw(st.sampled_from(["native", "legacy", "workflow"]))
    globs = {"native": NATIVE_GLOBS, "legacy": RULES, "workflow": WORKFLOW_GLOBS}[flavour]
    exclude, syntax = draw(EXCLUDES)
    rules = draw(st.lists(st.one_of(RULES, globs), min_size=1, max_size=4))
    if draw(st.booleans()):  # the same excludes for all of them, which more formats can say
        rules = [
            Rule(one.type, one.pattern, one.template, exclude, syntax if exclude else "glob") for one in rules
        ]
    match: Match = draw(st.sampled_from(["first", "every"]))
    return flow(
        *rules,
        match=match,
        flavour=flavour,
        message=draw(st.sampled_from(["m", "n"])),
        options=Options("pull_request"),
    )


@settings(max_examples=600, deadline=None)
@given(any_flow(), st.lists(PATHS, min_size=1, max_size=12), st.sampled_from(WRITTEN))
def test_the_effect_stays_the_same(one: Flow, paths: list[str], to: Written) -> None:
    try:
        text = converted([one], to)
    except InvalidInput as error:
        # only what cannot be said is refused: by copy rules, or a file that two copies collide in
        different = len({(rule.exclude, rule.exclude_syntax) for rule in one.rules}) > 1
        collides = any("both go to" in text for _, text in error.problems)
        assert collides or (different and to == "sources")
        return
    again = load(text)
    assert again.errors == ()
    for path in paths:
        assert effect(again.flows, path.encode()) == effect([one], path.encode()), (path, text)


@pytest.mark.parametrize(
    ("rule", "flavour", "to", "written"),
    [
        (Rule("prefix", "examples/go/", "go/${relative_path}"), "legacy", "workflows",
         {"regex": {"pattern": r"(?s)\Aexamples/go/?(?P<relative_path>.*)\z", "transform": "go/${relative_path}"}}),
        (Rule("prefix", "a.b", "${matched_prefix}/${filename}"), "legacy", "workflows",
         {"regex": {"pattern": r"(?s)\Aa\.b", "transform": "a.b/${filename}"}}),
        (Rule("glob", "pages/**/*.md", "p/${relative_path}"), "native", "workflows",
         {"glob": {"pattern": "pages/**/*.md", "transform": "p/${relative_path}"}}),
        (Rule("glob", "pages/*.md", "${matched_pattern}/${filename}"), "legacy", "workflows",
         {"glob": {"pattern": "pages/*.md", "transform": "pages/*.md/${filename}"}}),
        (Rule("copy", "READ[ME]", "a"), "workflow", "sources", {"type": "glob", "pattern": r"READ\[ME\]"}),
    ],
)  # fmt: skip
def test_what_is_written(rule: Rule, flavour: Flavour, to: Written, written: dict[str, Any]) -> None:
    data = yaml.safe_load(converted([flow(rule, flavour=flavour)], to))
    found = (
        data["workflows"][0]["transformations"][0]
        if to == "workflows"
        else data["sources"][0]["copy_rules"][0]["source_pattern"]
    )
    assert found == written


@pytest.mark.parametrize(
    ("one", "to", "part"),
    [
        (flow(Rule("glob", "{a,b}/**", "x/${relative_path}"), flavour="workflow"), "sources", "cannot be said"),
        (flow(Rule("glob", r"a\*/**", "x/${relative_path}"), flavour="native"), "sources", "cannot be said"),
        (flow(Rule("glob", "*.md", "${lang}/x")), "workflows", "no match gives ${lang} a value"),
        (flow(Rule("move", "a", "${path}"), flavour="workflow"), "sources", "is plain text here"),
        (flow(Rule("prefix", "${x}", "${matched_prefix}")), "workflows", "would read as a variable again"),
        (flow(Rule("prefix", "a" * 990, "x/${relative_path}")), "workflows", "more than 1,000 characters"),
        (flow(Rule("move", "a", "b", ("x",)), Rule("move", "a/c", "d"), match="first", flavour="native"), "sources", "Convert to workflows"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_refused(one: Flow, to: Written, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        converted([one], to)
    assert part in caught.value.sentence


def test_more_than_a_file_may_hold_is_refused() -> None:
    flows = [
        flow(Rule("move", f"a{n}", "b"), flavour="workflow", match="first", name=f"w{n}") for n in range(101)
    ]
    with pytest.raises(InvalidInput, match="convert fewer files at once") as caught:
        converted(flows, "workflows")
    assert "101 entries; 100 are allowed" in caught.value.problems[0][1]


# --- several files ---


def rules_file(source: str, *rules: tuple[str, str, str], kind: str = "direct", message: str = "m") -> Loaded:
    return load_data({
        "source_repo": source,
        "copy_rules": [
            {"name": name, "source_pattern": {"type": "prefix", "pattern": pattern},
             "targets": [{"repo": target, "path_transform": "${path}", "commit_strategy": {"type": kind, "commit_message": message}}]}
            for name, pattern, target in rules
        ],
    })  # fmt: skip


def test_several_deployments_become_one_file() -> None:
    files = [
        Named("a.yaml", rules_file("x/one", ("go", "go", "x/site"))),
        Named("b.yaml", rules_file("y/two", ("py", "py", "y/site"))),
    ]
    flows, conflicts = consolidated(files)
    assert conflicts == []
    again = load(converted(flows, "sources"))
    assert [one.source_repo for one in again.flows] == ["x/one", "y/two"]
    assert again.flows == tuple(one for file in files for one in file.loaded.flows)


@pytest.mark.parametrize(
    ("first", "second", "kept", "sentences"),
    [
        (rules_file("x/one", ("go", "go", "x/site")), rules_file("x/one", ("go", "go", "x/site")), 1,
         ["go is in a and in b; it is kept once."]),
        (rules_file("x/one", ("go", "go", "x/site")), rules_file("x/two", ("go", "golang", "x/other")), 2,
         ["go is the name of different rules in a and b; give them different ones."]),
        (rules_file("x/one", ("go", "go", "x/site")), rules_file("x/two", ("py", "py", "x/site"), kind="pull_request"), 2,
         ["x/site main gets direct commits and pull requests, by a and b; choose one."]),
        (rules_file("x/one", ("go", "go", "x/site")), rules_file("x/one", ("py", "py", "x/site"), message="n"), 2,
         ["x/site main gets one commit from x/one with different messages or settings in a and b; those of py count."]),
    ],
)  # fmt: skip
def test_what_files_are_at_odds_about_is_named(
    first: Loaded, second: Loaded, kept: int, sentences: list[str]
) -> None:
    flows, conflicts = consolidated([Named("a", first), Named("b", second)])
    assert (len(flows), conflicts) == (kept, sentences)


def test_a_source_that_one_file_switches_off_is_named() -> None:
    rule = {
        "name": "r",
        "source_pattern": {"type": "prefix", "pattern": "a"},
        "targets": [{"repo": "c/d", "path_transform": "${path}"}],
    }
    off = load_data(
        {
            "sources": [
                {"repo": "x/one", "settings": {"enabled": False}, "copy_rules": [rule]},
                {"repo": "z/z", "copy_rules": [rule]},
            ]
        }
    )
    _, conflicts = consolidated([Named("a", off), Named("b", rules_file("x/one", ("go", "go", "x/site")))])
    assert conflicts == ["x/one main is switched off in a, and b copies from it."]


def test_two_files_that_would_write_one_path_are_refused() -> None:
    def copies(name: str, path: str) -> Loaded:
        one = {
            "name": name,
            "source": {"repo": "a/b"},
            "destination": {"repo": "c/d"},
            "transformations": [{"copy": {"from": path, "to": "README"}}],
        }
        return load(json.dumps({"workflows": [one]}))

    flows, _ = consolidated([Named("a", copies("v", "x")), Named("b", copies("w", "y"))])
    with pytest.raises(InvalidInput) as caught:
        converted(flows, "workflows")
    assert caught.value.problems == [
        ("workflows", "Line 1: v and w: x and y both go to README in c/d main; change one of the two.")
    ]


def test_a_message_that_was_left_out_stays_what_it_was() -> None:
    [again] = load(converted([flow(Rule("move", "a", "b"), message="")], "workflows")).flows
    assert render_message(again.message, {"source_repo": "a/b"}) == render_message("", {"source_repo": "a/b"})
    assert len(by_target([again])) == 1
