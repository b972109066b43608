"""What each kind of rule takes, which variables it gives, and where a file goes."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from opssight.core.errors import InvalidInput
from syncs.copy.rules.matching import (
    compile_rule,
    compile_rules,
    exclude_compiles,
    rule_problems,
    unknown_variables,
)
from syncs.copy.rules.rule import ExcludeSyntax, Flavour, Rule, RuleType


def variables(
    type_: RuleType, pattern: str, path: bytes, flavour: Flavour = "native"
) -> dict[str, bytes] | None:
    hits = list(compile_rules([Rule(type_, pattern, "x")], "first", flavour).hits(path))
    return hits[0].variables if hits else None


def target(rule: Rule, path: bytes, flavour: Flavour = "native") -> bytes | None:
    rules = compile_rules([rule], "first", flavour)
    for hit in rules.hits(path):
        return rules.rules[hit.rule_index].target(path, hit.variables)
    return None


@pytest.mark.parametrize(
    ("pattern", "path", "prefix", "rest"),
    [
        ("examples/go", b"examples/go/main.go", b"examples/go", b"main.go"),
        ("examples/go/", b"examples/go/main.go", b"examples/go", b"main.go"),  # one slash is dropped
        ("examples/go", b"examples/golang/x", b"examples/go", b"lang/x"),  # no regard for folders
        ("examples/go", b"examples/go", b"examples/go", b""),
        ("a//", b"a/b", b"a/", b"b"),
        ("a", b"a//b", b"a", b"/b"),  # one slash is dropped
        ("/", b"a/b", b"", b"a/b"),
        ("é", "é/x".encode(), "é".encode(), b"x"),
        ("é", "é/".encode() + b"\xff", "é".encode(), b"\xff"),
    ],
)
@pytest.mark.parametrize("flavour", ["native", "legacy", "workflow"])
def test_prefix(pattern: str, path: bytes, prefix: bytes, rest: bytes, flavour: Flavour) -> None:
    assert variables("prefix", pattern, path, flavour) == {"matched_prefix": prefix, "relative_path": rest}


@pytest.mark.parametrize("path", [b"x/examples/go/a", b"examples", b"Examples/go/a", b""])
def test_prefix_leaves(path: bytes) -> None:
    assert variables("prefix", "examples/go", path) is None


@pytest.mark.parametrize(
    ("pattern", "path", "given"),
    [
        ("examples/**/*.go", b"examples/a/b.go", {"matched_pattern": b"examples/**/*.go"}),
        ("é*", "é".encode(), {"matched_pattern": "é*".encode()}),
        ("*.md", b"a/b.md", None),
    ],
)
def test_legacy_glob_gives_its_pattern_only(
    pattern: str, path: bytes, given: dict[str, bytes] | None
) -> None:
    assert variables("glob", pattern, path, "legacy") == given


@pytest.mark.parametrize(
    ("pattern", "path", "given"),
    [
        ("mflix/server/**", b"mflix/server/java/src/A.java", {"relative_path": b"java/src/A.java"}),
        ("mflix/**/*.js", b"mflix/a/b.js", {"relative_path": b"a/b.js"}),
        ("**/*.js", b"a/b.js", {"relative_path": b"a/b.js"}),
        ("mflix**", b"mflix2", {"relative_path": b"2"}),
        ("*/x/**", b"a/x/b", {}),  # the text before ** is not how the path begins
        ("a/**", b"a", {}),  # nor here
        ("a/*.js", b"a/b.js", {}),  # no ** in it
        ("a/**", b"b", None),
    ],
)
def test_workflow_glob_gives_the_relative_path_only(
    pattern: str, path: bytes, given: dict[str, bytes] | None
) -> None:
    assert variables("glob", pattern, path, "workflow") == given


@pytest.mark.parametrize(
    ("pattern", "path", "relative"),
    [
        ("examples/python/**", b"examples/python/a/b.py", b"a/b.py"),
        ("docs/*.md", b"docs/a.md", b"a.md"),
        ("docs/guide-*/**", b"docs/guide-1/x", b"guide-1/x"),
        ("**/*.md", b"a/b.md", b"a/b.md"),
        ("a\\*b/**", b"a*b/c", b"c"),
    ],
)
def test_native_glob_gives_both(pattern: str, path: bytes, relative: bytes) -> None:
    given = {"matched_pattern": pattern.encode(), "relative_path": relative}
    assert variables("glob", pattern, path) == given


def test_native_glob_on_the_folder_itself_has_no_relative_path() -> None:
    assert variables("glob", "a/b/**", b"a/b") == {"matched_pattern": b"a/b/**"}


@pytest.mark.parametrize("flavour", ["native", "legacy", "workflow"])
def test_regex(flavour: Flavour) -> None:
    pattern = r"^shared/(?P<name>[a-z]+)(?P<tail>-x)?\.yaml$"
    assert variables("regex", pattern, b"shared/prod.yaml", flavour) == {"name": b"prod", "tail": b""}
    assert variables("regex", pattern, b"shared/Prod.yaml", flavour) is None
    assert variables("regex", "b", b"abc", flavour) == {}  # anywhere in it


@pytest.mark.parametrize(
    ("name", "value"), [("path", b"a/b/c.md"), ("filename", b"c.md"), ("dir", b"a/b"), ("ext", b"md")]
)
@pytest.mark.parametrize("flavour", ["native", "legacy", "workflow"])
def test_regex_groups_named_like_built_in_variables_are_overwritten(
    name: str, value: bytes, flavour: Flavour
) -> None:
    rule = Rule("regex", f"^(?P<{name}>a)/(?P<own>b)", f"${{{name}}}|${{own}}")
    assert target(rule, b"a/b/c.md", flavour) == value + b"|b"


@pytest.mark.parametrize(
    ("pattern", "template", "path", "goes_to"),
    [
        ("a/b", "x", b"a/b", b"x"),  # the file itself: as it stands
        ("a/b", "x/", b"a/b", b"x/"),
        ("a/b", "x/../y", b"a/b", b"x/../y"),
        ("a/b", "x", b"a/b/c/d", b"x/c/d"),  # below it: joined and cleaned
        ("a/b/", "x//y/", b"a/b/c", b"x/y/c"),  # one slash is dropped
        ("a/b/", "x", b"a/b", b"x"),
        ("a/b//", "x", b"a/b/c", None),
        ("a/b", ".", b"a/b/c", b"c"),
        ("a/b", "x/../y", b"a/b/c", b"y/c"),
        ("a/b", "../y", b"a/b/c", b"../y/c"),
        ("a/b", "${path}", b"a/b/c", b"${path}/c"),  # no variables
        ("a/b", "x", b"a/bc", None),
        ("a/b", "x", b"a", None),
        ("a/b", "x", b"z/a/b/c", None),
        ("a", "x", b"a/\xff", b"x/\xff"),
    ],
)
def test_move(pattern: str, template: str, path: bytes, goes_to: bytes | None) -> None:
    assert target(Rule("move", pattern, template), path) == goes_to


@pytest.mark.parametrize(
    ("path", "goes_to"), [(b"a/b", b"x/${path}"), (b"a/b/c", None), (b"a", None), (b"a/B", None)]
)
def test_copy_takes_one_file(path: bytes, goes_to: bytes | None) -> None:
    assert target(Rule("copy", "a/b", "x/${path}"), path) == goes_to


def test_copy_drops_no_slash() -> None:
    assert target(Rule("copy", "a/b/", "x"), b"a/b") is None


@pytest.mark.parametrize(
    ("syntax", "exclude", "path", "left_out"),
    [
        ("glob", "*.go", b"a.go", True),
        ("glob", "*.go", b"x/a.go", False),  # the whole path
        ("glob", "**/*.go", b"x/a.go", True),
        ("glob", "vendor/*", b"vendor/x/y", False),
        ("glob", "vendor/**", b"vendor/x/y", True),
        ("glob", "!*.go", b"a.go", False),  # a ! in front has no meaning
        ("glob", "!*.go", b"a.md", False),
        ("regex", r"\.go$", b"x/a.go", True),  # found anywhere in the path
        ("regex", "vendor", b"x/vendored/y", True),
        ("regex", "vendor/*", b"a/vendor", True),  # what reads as a glob is one no more
        ("regex", "^x/", b"a/x/b", False),
        ("regex", "X", b"x", False),
    ],
)
def test_what_excludes_leave_out(syntax: ExcludeSyntax, exclude: str, path: bytes, left_out: bool) -> None:
    rules = compile_rules([Rule("regex", "", "x/${path}", (exclude,), syntax)])
    assert (not list(rules.hits(path))) is left_out


RULES = [
    Rule("glob", "a/**", "1/${relative_path}", ("**/tests/**",)),
    Rule("prefix", "a/t", "2/${relative_path}"),
    Rule("regex", r"\.md$", "3/${filename}", (r"^a/", "DRAFT"), "regex"),
    Rule("copy", "a/x.md", "4"),
    Rule("move", "b", "5"),
]


@pytest.mark.parametrize(
    ("path", "every"),
    [
        (b"a/x.md", [0, 3]),
        (b"a/tests/y.md", [1]),  # left out by the first rule, taken by the next
        (b"a/t/tests/y", [1]),
        (b"b/x.md", [2, 4]),
        (b"b/DRAFT.md", [4]),
        (b"c/x.txt", []),
        (b"a/tests", [1]),
        (b"a/\xff.md", [0]),
        (b"b/\xff.md", [2, 4]),
    ],
)
def test_first_and_every(path: bytes, every: list[int]) -> None:
    assert [hit.rule_index for hit in compile_rules(RULES, "every").hits(path)] == every
    assert [hit.rule_index for hit in compile_rules(RULES, "first").hits(path)] == every[:1]


_PATHS = st.lists(st.sampled_from(["a", "b", "t", "tests", "x.md", "DRAFT.md", "é"]), min_size=1, max_size=4)


@given(_PATHS)
def test_together_rules_take_what_each_takes_alone(names: list[str]) -> None:
    path = "/".join(names).encode()
    alone = [index for index, rule in enumerate(RULES) if list(compile_rules([rule]).hits(path))]
    assert [hit.rule_index for hit in compile_rules(RULES, "every").hits(path)] == alone


def test_no_rules_take_nothing() -> None:
    assert list(compile_rules([]).hits(b"a")) == []


@pytest.mark.parametrize(
    ("rule", "problems"),
    [
        (Rule("glob", "a/**", "x/${relative_path}"), {}),
        (Rule("glob", "[", "x"), {"pattern": "[ that is not closed"}),
        (Rule("regex", "(", "x"), {"pattern": "missing )"}),
        (Rule("prefix", "\ud800", "x"), {"pattern": "half of a character"}),
        (Rule("glob", "a", "../x"), {"template": "goes up"}),
        (Rule("glob", "a", "/x"), {"template": "absolute"}),
        (Rule("regex", "a", ".git/${filename}"), {"template": "spelling of .git"}),
        (Rule("prefix", "a", "x//y"), {"template": "empty part"}),
        (Rule("prefix", "a", "${dir}/"), {"template": "ends with a slash"}),
        (Rule("prefix", "a", "${dir}/a"), {}),  # only unsafe for some files; they are refused one by one
        (Rule("move", "a", "../x"), {"template": "goes up"}),
        (Rule("move", "a", "x/"), {}),
        (Rule("copy", "a", "x/"), {"template": "ends with a slash"}),
        (Rule("glob", "a", "x", ("ok", "[")), {"exclude[1]": "[ that is not closed"}),
        (Rule("glob", "[", "x", ("(",), "regex"), {"pattern": "not closed", "exclude[0]": "missing )"}),
    ],
)
def test_rule_problems(rule: Rule, problems: dict[str, str]) -> None:
    found = dict(rule_problems(rule))
    assert found.keys() == problems.keys()
    assert all(part in found[field] for field, part in problems.items())


@pytest.mark.parametrize(
    ("rule", "flavour", "unknown"),
    [
        (Rule("glob", "a/**", "${relative_path} ${matched_pattern} ${ext}"), "native", []),
        (Rule("glob", "a/**", "${relative_path}"), "legacy", ["relative_path"]),
        (Rule("glob", "a/**", "${matched_pattern}"), "workflow", ["matched_pattern"]),
        (Rule("glob", "a/*", "${relative_path}"), "workflow", ["relative_path"]),
        (Rule("prefix", "a", "${matched_prefix}/${name}"), "legacy", ["name"]),
        (Rule("regex", "(?P<name>a)", "${name}/${stem}/${x}"), "native", ["stem", "x"]),
        (Rule("move", "a", "${path}"), "native", ["path"]),
        (Rule("copy", "a", "x"), "native", []),
    ],
)
def test_unknown_variables(rule: Rule, flavour: Flavour, unknown: list[str]) -> None:
    assert unknown_variables(rule, flavour) == unknown


def test_an_exclude_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(InvalidInput):
        compile_rule(Rule("glob", "a", "x", ("[",)))
    assert not exclude_compiles("[", "glob")
    assert exclude_compiles("**/*.go", "glob")
    assert not exclude_compiles("**/*.go", "regex")


def test_exponential_patterns_answer_at_once() -> None:
    rules = [
        Rule("regex", "^(a+)+$", "x/${path}", (r"(b|b|b)+\z",), "regex"),
        Rule("glob", "*a" * 20 + "*c", "x/${path}"),
    ]
    assert [hit.rule_index for hit in compile_rules(rules).hits(b"a" * 100_000)] == [0]
    assert list(compile_rules(rules).hits(b"a" * 100_000 + b"b")) == []
