from __future__ import annotations

import pytest

from syncs.copy.rules.rule import ExcludeSyntax, Rule
from syncs.copy.rules.why import explain

WORKBENCH = [
    Rule("glob", "examples/python/**", "python/${relative_path}", ("**/tests/**",)),
    Rule("move", "snippets/python/auth", "python/auth"),
    Rule("regex", r"^shared/(?P<name>[a-z_]+)\.yaml$", "python/config/${name}.yaml"),
]


def test_the_three_rules_of_the_workbench() -> None:
    answers = explain(WORKBENCH, b"examples/python/tests/conftest.py")
    assert [(answer.rule_index, answer.verdict) for answer in answers] == [
        (0, "left out"),
        (1, "no match"),
        (2, "no match"),
    ]
    assert [answer.sentence for answer in answers] == [
        "Would take it, but leaves it out: “but not” **/tests/** matches tests/.",
        "Looks only in snippets/python/auth.",
        "Stops at the first letter: shared/ expected.",
    ]
    assert [answer.exclude for answer in answers] == ["**/tests/**", "", ""]


def test_taken_and_too_late() -> None:
    rules = [Rule("copy", "x", "y"), Rule("prefix", "a", "b/${path}"), Rule("glob", "**", "c/${path}")]
    answers = explain(rules, b"a/x")
    assert [(answer.verdict, answer.sentence) for answer in answers] == [
        ("no match", "Takes only the file x."),
        ("takes", "Takes it to b/a/x."),
        ("too late", "Is not asked: rule 2 takes it first."),
    ]
    assert [answer.verdict for answer in explain(rules, b"a/x", "every")] == ["no match", "takes", "takes"]


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        (Rule("glob", "*", "${dir}/a"), "“/a” may not be written: it is absolute."),
        (Rule("glob", "*", "${nothing}"), "Unreplaced variables in the path template: ${nothing}."),
    ],
)
def test_taken_and_refused(rule: Rule, part: str) -> None:
    [answer] = explain([rule], b"x")
    assert answer.verdict == "refused"
    assert answer.sentence.startswith("Takes it, but refuses to write it: ")
    assert part in answer.sentence


@pytest.mark.parametrize(
    ("exclude", "syntax", "path", "part"),
    [
        ("**/tests/**", "glob", b"a/tests/b/c", "tests/"),
        ("**/tests/**", "glob", b"a/tests", "tests"),
        ("**/*.go", "glob", b"go/x.go", "x.go"),
        ("docs/**", "glob", b"docs/a", "docs/"),
        ("**/a/b/**", "glob", b"x/a/b/c", "a/b/"),
        ("**/a?/**", "glob", b"x/a1/c", "a1/"),
        ("*/x.go", "glob", b"a/x.go", "it"),
        ("**/{a,b}/**", "glob", b"x/a/c", "it"),
        ("a/**/b/**", "glob", b"a/x/b/c", "it"),
        ("**/*/b/**", "glob", b"a/b/c", "a/b/"),
        (r"\.test\.", "regex", b"a/x.test.js", ".test."),
        (r"^.*$", "regex", b"a/x", "it"),
        ("**/\\a/**", "glob", b"x/a/c", "a/"),
        ("**/x[!/]y", "glob", b"a/x_y", "it"),  # the slash in the class is none between names
    ],
)
def test_left_out(exclude: str, syntax: ExcludeSyntax, path: bytes, part: str) -> None:
    [answer] = explain([Rule("glob", "**", "${path}", (exclude,), syntax)], path)
    assert answer.sentence == f"Would take it, but leaves it out: “but not” {exclude} matches {part}."


@pytest.mark.parametrize(
    ("rule", "path", "sentence"),
    [
        (Rule("move", "a/b/", "x"), b"c", "Looks only in a/b."),
        (Rule("copy", "a/b", "x"), b"c", "Takes only the file a/b."),
        (Rule("prefix", "docs/en", "x"), b"src/a", "Stops at the first letter: docs/en expected."),
        (Rule("prefix", "docs/en/", "x"), b"docs/de/a", "Stops after docs/: en expected."),
        (Rule("prefix", "docs/en", "x"), b"doc", "Does not begin with docs/en."),
        (Rule("glob", "docs/en/**", "x"), b"docs/de/a", "Stops after docs/: en/ expected."),
        (Rule("glob", "docs/en/**", "x"), b"dots/a", "Does not begin with docs/en/."),
        (Rule("glob", "docs/**/*.md", "x"), b"docs/a/b.txt", "Ends in b.txt: *.md expected."),
        (Rule("glob", "**/*.md", "x"), b"b.txt", "Ends in b.txt: *.md expected."),
        (Rule("glob", "*/*/c", "x"), b"a/b/d", "Fits */*/ and stops there: c expected."),
        (Rule("glob", "*/b/c", "x"), b"a/c/d", "Fits */ and stops there: b/c expected."),
        (Rule("glob", "a*/**/b/*.c", "x"), b"ab/c/d", "Fits a*/ and stops there: **/b/*.c expected."),
        (Rule("glob", "*.md", "x"), b"a.txt", "Does not fit *.md."),
        (Rule("glob", "*a/b", "x"), b"c/b", "Does not fit *a/b."),
        (Rule("glob", "{a,b}/*", "x"), b"c/d", "Does not fit {a,b}/*."),
        (Rule("regex", "^a/b", "x"), b"c", "Stops at the first letter: a/b expected."),
        (Rule("regex", "^abc/", "x"), b"abd", "Does not begin with abc/."),
        (
            Rule("regex", r"^s/(?P<n>[a-z]+)\.yaml$", "x"),
            b"s/prod.yml",
            "Stops after s/prod: .yaml expected.",
        ),
        (Rule("regex", "^s/[0-9]+$", "x"), b"s/x", "Stops after s/: [0-9]+$ expected."),
        (Rule("regex", "^a$", "x"), b"ab", "Stops after a: $ expected."),
        (Rule("regex", r"\.md$", "x"), b"a.txt", r"\.md$ is found nowhere in it."),
        (Rule("regex", "^(a|b)$", "x"), b"c", "^(a|b)$ is found nowhere in it."),
        (Rule("regex", "^" + "a" * 200, "x"), b"c", "^" + "a" * 200 + " is found nowhere in it."),
        (Rule("regex", r"^\b\B", "x"), b"c", r"Stops at the first letter: \B expected."),
        (Rule("glob", "d/*.md", "x"), b"d/\xff.txt", "Fits d/ and stops there: *.md expected."),
    ],
)
def test_no_match(rule: Rule, path: bytes, sentence: str) -> None:
    [answer] = explain([rule], path)
    assert (answer.verdict, answer.sentence) == ("no match", sentence)
