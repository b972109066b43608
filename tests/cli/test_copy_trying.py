# ruff: noqa: E501 - a table reads best with one case on a line
"""`copy test` for people: exit 0 when something matches, 1 when nothing does, 2 for what cannot be read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.command import ran
from tests.cli.world import SOURCE, TARGET, World, legacy, rule


@pytest.mark.parametrize(
    ("argv", "status", "document"),
    [
        (["--type", "prefix", "--pattern", "docs/", "--path", "docs/a.md"], 0,
         {"matched": True, "variables": {"matched_prefix": "docs", "relative_path": "a.md"}}),
        (["--type", "prefix", "--pattern", "docs/", "--path", "src/a.md"], 1, {"matched": False, "variables": {}}),
        (["--pattern", "docs/**/*.md", "--path", "docs/x/a.md"], 0,
         {"matched": True, "variables": {"matched_pattern": "docs/**/*.md", "relative_path": "x/a.md"}}),
        (["--pattern", "docs/**/*.md", "--path", "docs/x/a.md", "--meaning", "legacy"], 0,
         {"matched": True, "variables": {"matched_pattern": "docs/**/*.md"}}),
        (["--pattern", "docs/**/*.md", "--path", "docs/x/a.md", "--meaning", "workflow"], 0,
         {"matched": True, "variables": {"relative_path": "x/a.md"}}),
        (["--type", "regex", "--pattern", "^(?P<lang>[a-z]+)/", "--path", "go/x.go"], 0, {"matched": True, "variables": {"lang": "go"}}),
        (["--type", "move", "--pattern", "a", "--path", "a/b", "--template", "c"], 0, {"matched": True, "variables": {}, "path": "c/b"}),
        (["--pattern", "**", "--path", "a/x.go", "--exclude", "**/*.go"], 1, {"matched": False, "variables": {}}),
        (["--pattern", "**", "--path", "a/x.go", "--exclude", r"}\.go$"], 0, {"matched": True, "variables": {"matched_pattern": "**", "relative_path": "a/x.go"}}),
        (["--pattern", "**", "--path", "a/x.go", "--exclude", r"\.go$", "--exclude-syntax", "regex"], 1, {"matched": False, "variables": {}}),
        (["--pattern", "**", "--path", "a/x.go", "--template", "b/${filename}"], 0,
         {"matched": True, "variables": {"matched_pattern": "**", "relative_path": "a/x.go"}, "path": "b/x.go"}),
        (["--template", "b/${lang}/${filename}", "--path", "a/x.go", "--var", "lang=go"], 0, {"path": "b/go/x.go"}),
        (["--template", "${a}${b}${c}", "--path", "x", "--var", "a=1,b=2", "--var", "c=3"], 0, {"path": "123"}),
    ],
)  # fmt: skip
def test_one_pattern_or_template(argv: list[str], status: int, document: dict[str, Any]) -> None:
    answer = ran("copy", "test", *argv, "--json")
    assert (answer.status, answer.document) == (status, document), answer.err
    text = ran("copy", "test", *argv)
    assert (text.status, bool(text.out), bool(text.err)) == (status, status == 0, status == 1)


@pytest.mark.parametrize(
    ("argv", "part"),
    [
        ([], "Give --path"),
        (["--path", "a"], "Give --pattern, --template or --file"),
        (["--path", "a", "--pattern", "["], "--pattern: "),
        (["--path", "a", "--type", "regex", "--pattern", "("], "--pattern: "),
        (["--path", "a", "--pattern", "*", "--exclude", "[", "--exclude-syntax", "glob"], "--exclude '['"),
        (["--path", "a", "--pattern", "*", "--template", "../${path}"], "--template: "),
        (["--path", "a", "--pattern", "*", "--template", "${nothing}"], "Unreplaced variables"),
        (["--path", "a", "--template", "${nothing}"], "Unreplaced variables"),
        (["--path", "a", "--template", "../x"], "goes up"),
        (["--path", "a", "--template", "x", "--var", "novalue"], "--var takes NAME=VALUE"),
        (["--path", "a", "--pattern", "*", "--type", "perl"], "invalid choice"),
    ],
)
def test_what_cannot_be_tried(argv: list[str], part: str) -> None:
    answer = ran("copy", "test", *argv)
    assert (answer.status, answer.out, part in answer.err) == (2, "", True), answer.err


def test_which_rules_of_a_file_take_a_path(world: World) -> None:
    path = world.file(legacy(rule("prefix", "docs/", "x/${relative_path}", name="one"), rule("glob", "**/*.md", "${lang}", name="two", target="x/y")))  # fmt: skip
    answer = ran("copy", "test", "--file", path, "--path", "docs/a.md", "--json")
    assert answer.status == 0
    first, second = answer.document["targets"]
    assert first == {"rule": "one", "source": SOURCE, "target": TARGET, "branch": "main", "path": "x/a.md", "error": None}  # fmt: skip
    assert (second["rule"], second["path"], "Unreplaced" in second["error"]) == ("two", None, True)
    nothing = ran("copy", "test", "--file", path, "--path", "src/x.go")
    assert (nothing.status, "No rule of" in nothing.err) == (1, True)
    other = ran("copy", "test", "--file", path, "--path", "docs/a.md", "--source", "b/c")
    assert other.status == 1
