"""One JSON line in, one answer out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from syncs.copy.commands.batch import answer


def ask(**question: Any) -> dict[str, object]:
    return answer(json.dumps(question))


@pytest.mark.parametrize(
    ("type_", "pattern", "path", "exclude", "variables"),
    [
        (
            "prefix",
            "examples/go/",
            "examples/golang/x",
            [],
            {"matched_prefix": "examples/go", "relative_path": "lang/x"},
        ),
        ("prefix", "a", "b", [], None),
        ("prefix", "", "b/c", [], {"matched_prefix": "", "relative_path": "b/c"}),
        ("glob", "a/**", "a", [], {"matched_pattern": "a/**"}),
        ("glob", "a/*", "a/b/c", [], None),
        ("regex", "^(?P<x>é)(?P<y>z)?", "é/b", [], {"x": "é", "y": ""}),
        ("regex", "^(a+)+$", "a" * 100_000 + "b", [], None),
        ("glob", "**", "a/b_test.go", [r"_test\.go$"], None),
        ("glob", "**", "a/b.go", [r"_test\.go$"], {"matched_pattern": "**"}),
        ("glob", "**", "a/b.go", ["(", "[", "**/b.go"], {"matched_pattern": "**"}),  # unreadable: passed over
        ("glob", "**", "a/b.go", ["(", "b"], None),
        ("glob", "**", "a/b.go", [""], None),  # the empty expression is in everything
    ],
)
def test_pattern(
    type_: str, pattern: str, path: str, exclude: list[str], variables: dict[str, str] | None
) -> None:
    given_answer = ask(op="pattern", type=type_, pattern=pattern, path=path, exclude=exclude)
    assert given_answer == {"matched": variables is not None, "variables": variables or {}}


@pytest.mark.parametrize(
    ("type_", "pattern", "part"),
    [
        ("regex", "(", "missing )"),
        ("regex", "(?=a)", "invalid perl operator"),
        ("glob", "[", "not closed"),
        ("move", "a", "type is one of prefix, glob, regex"),
    ],
)
def test_pattern_errors(type_: str, pattern: str, part: str) -> None:
    error = ask(op="pattern", type=type_, pattern=pattern, path="a")["error"]
    assert part in str(error)


@pytest.mark.parametrize(
    ("template", "path", "variables", "target"),
    [
        ("docs/${relative_path}", "a/b", {"relative_path": "b"}, "docs/b"),
        ("${dir}/x.${ext}", "a/b/c.go", {}, "a/b/x.go"),
        ("${path}", "a/b", {"path": "mine"}, "a/b"),
        ("${n}/${empty}x", "a", {"n": 5, "empty": None}, "5/x"),
        ("é/${filename}", "ü/ö", {}, "é/ö"),
    ],
)
def test_transform(template: str, path: str, variables: dict[str, object], target: str) -> None:
    assert ask(op="transform", template=template, path=path, variables=variables) == {"path": target}


@pytest.mark.parametrize(
    ("template", "part"),
    [
        ("${name}", "Unreplaced variables in the path template: ${name}."),
        ("${dir}/a", "absolute"),
        ("../${path}", "goes up"),
        (".git/hooks/${path}", "spelling of .git"),
        ("${path}\n", "control character"),
    ],
)
def test_transform_errors(template: str, part: str) -> None:
    assert part in str(ask(op="transform", template=template, path="a", variables={})["error"])


MOVE = {"move": {"from": "src", "to": "dst"}}
COPY = {"copy": {"from": "src/a.md", "to": "README.md"}}
GLOB = {"glob": {"pattern": "docs/**/*.md", "transform": "d/${relative_path}"}}
REGEX = {"regex": {"pattern": r"^(?P<n>[a-z]+)\.txt$", "transform": "t/${n}"}}


@pytest.mark.parametrize(
    ("transformations", "exclude", "path", "target"),
    [
        ([MOVE], [], "src/a/b", "dst/a/b"),
        ([MOVE], [], "src", "dst"),
        ([MOVE], [], "srcs/a", ""),
        ([COPY, MOVE], [], "src/a.md", "README.md"),
        ([MOVE, COPY], [], "src/a.md", "dst/a.md"),  # the first one decides
        ([GLOB], [], "docs/x/y.md", "d/x/y.md"),
        ([REGEX], [], "abc.txt", "t/abc"),
        ([GLOB, REGEX], [], "other", ""),
        ([MOVE], ["**/*.go"], "src/a.go", ""),
        ([MOVE], ["!src/a.go"], "src/a.go", "dst/a.go"),  # no negation
        ([MOVE], [r"^(a|b\.go", "**/*.go"], "src/a.go", ""),
        ([MOVE], [r"^src/(a|b)}?\.go$", r"\.py$"], "src/a.go", ""),  # no glob, so regular expressions
        ([MOVE], [r"^src/(a|b)}?\.go$", r"\.py$"], "src/a.py", ""),
        ([MOVE], ["[", "("], "src/a.go", "dst/a.go"),  # neither one nor the other: passed over
        ([], [], "a", ""),
    ],
)
def test_workflow(transformations: list[Any], exclude: list[str], path: str, target: str) -> None:
    given_answer = ask(op="workflow", transformations=transformations, exclude=exclude, path=path)
    assert given_answer == {"matched": bool(target), "path": target}


@pytest.mark.parametrize(
    ("transformation", "part"),
    [
        ({}, "Give one of move, copy, glob or regex"),
        ({**MOVE, **COPY}, "Give only one of move, copy, glob or regex"),
        ({"move": {"from": "a"}}, "transformations[0].move.to: to is required"),
        ({"script": {}}, "Give one of"),
        ("move", "takes keys"),
        ({"glob": {"pattern": "[", "transform": "x"}}, "not closed"),
        ({"glob": {"pattern": "*.md", "transform": "${relative_path}"}}, "Unreplaced variables"),
        ({"move": {"from": "a.md", "to": "../x"}}, "goes up"),
    ],
)
def test_workflow_errors(transformation: object, part: str) -> None:
    given_answer = ask(op="workflow", transformations=[transformation], path="a.md")
    assert part in str(given_answer["error"])


def test_message() -> None:
    context = {"source_repo": "acme/docs", "file_count": 3, "pr_number": None, "lang": "go"}
    template = "${file_count} ${lang} files from ${source_repo} #${pr_number} ${unknown}"
    assert ask(op="message", template=template, context=context) == {
        "text": "3 go files from acme/docs # ${unknown}"
    }
    assert ask(op="message", template="", context=context) == {"text": "Update code examples from acme/docs"}


def test_config() -> None:
    config = {
        "workflows": [
            {
                "name": "w",
                "source": {"repo": "a/b"},
                "destination": {"repo": "c/d"},
                "transformations": [MOVE],
            }
        ]
    }
    assert ask(op="config", config=config) == {"valid": True, "errors": []}
    config["workflows"][0]["transformations"] = [{"script": {"run": "x"}}]
    assert ask(op="config", config=config) == {
        "valid": False,
        "errors": [
            {
                "where": "workflows[0].transformations[0]",
                "message": "Give one of move, copy, glob or regex.",
            }
        ],
    }
    assert ask(op="config", config="a: b: c")["errors"] == [
        {
            "where": "1:5",
            "message": "This is not readable YAML: mapping values are not allowed in this context.",
        }
    ]


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 200_000, "nested too deeply"),
        ("5", "not a JSON object"),
        ("[]", "not a JSON object"),
        ("{}", "op is one of pattern, transform, workflow, message, config"),
        ('{"op": "shell"}', "op is one of"),
        ('{"op": ["pattern"]}', "op is one of"),
        ('{"op": "pattern"}', "type takes text"),
        ('{"op": "pattern", "type": "glob", "pattern": "a", "path": 5}', "path takes text"),
        (
            '{"op": "pattern", "type": "glob", "pattern": "a", "path": "a", "exclude": "x"}',
            "takes a list of texts",
        ),
        (
            '{"op": "pattern", "type": "glob", "pattern": "a", "path": "a", "exclude": [5]}',
            "takes a list of texts",
        ),
        ('{"op": "transform", "template": "a", "path": "a", "variables": []}', '{"path": "a"}'),
        ('{"op": "transform", "template": "a", "path": "a", "variables": [1]}', "takes names and values"),
        ('{"op": "pattern", "type": "glob", "pattern": "a", "path": "\\ud800"}', "not JSON"),
        ('{"op": "message", "template": "' + "x" * 1_000_000 + '"}', "longer than 1,000,000"),
        ("9" * 5000, "not JSON"),
    ],
)
def test_malformed_lines_are_answered(line: str, part: str) -> None:
    assert part in json.dumps(answer(line))


_WORDS = st.sampled_from(["a/b.go", "**", "(", "[", "${x}", "../", "x/${path}", "\x00", "é", ""])
_VALUES = st.recursive(
    st.none() | st.integers() | _WORDS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_WORDS, inner, max_size=2),
)


@given(
    st.sampled_from(["pattern", "transform", "workflow", "message", "config"]),
    st.dictionaries(
        st.sampled_from(
            [
                "type",
                "pattern",
                "path",
                "exclude",
                "template",
                "variables",
                "transformations",
                "context",
                "config",
            ]
        ),
        _VALUES | st.sampled_from(["glob", "regex", "prefix"]),
    ),
)
def test_whatever_is_asked_has_one_answer(op: str, question: dict[str, Any]) -> None:
    given_answer = answer(json.dumps({"op": op, **question}))
    assert json.loads(json.dumps(given_answer, ensure_ascii=False).encode()) == given_answer
    assert set(given_answer) in (
        {"error"},
        {"matched", "variables"},
        {"path"},
        {"matched", "path"},
        {"text"},
        {"valid", "errors"},
    )


@given(st.text(max_size=50))
def test_any_text_is_answered(line: str) -> None:
    assert set(answer(line)) == {"error"}
