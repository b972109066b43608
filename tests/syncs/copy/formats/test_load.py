"""Which format a file is in, and what is said about one that cannot be used."""

from __future__ import annotations

import json

import pytest

from syncs.copy.formats import detect, load, load_data
from syncs.copy.rules.config import Flow
from syncs.copy.rules.rule import Rule

NATIVE = """\
name: docs
source: {repository: acme/docs, branch: main}
rules:
  - {type: move, pattern: src, template: dst}
targets:
  - {repository: acme/app, branch: main}
  - {repository: acme/site, branch: dev}
"""


@pytest.mark.parametrize(
    ("data", "format_"),
    [
        ({"source_repo": "a/b", "copy_rules": []}, "legacy"),
        ({"copy_rules": []}, "legacy"),
        ({"source_repo": "a/b", "sources": []}, "legacy"),
        ({"workflows": []}, "workflows"),
        ({"workflows": None, "defaults": {}}, "workflows"),
        ({"workflow_configs": []}, "main"),
        ({"workflow_configs": [], "workflows": []}, "main"),
        ({"sources": []}, "sources"),
        ([{"source_directory": "a", "target_repo": "b"}], "v0"),
        ({"rules": [], "targets": []}, "native"),
        ({"defaults": {}}, None),
        ([], None),
        (["x"], None),
        ({}, None),
        (None, None),
        ("text", None),
        (5, None),
    ],
)
def test_detect(data: object, format_: str | None) -> None:
    assert detect(data) == format_


@pytest.mark.parametrize(
    ("text", "format_", "where", "part"),
    [
        ("", None, "", "The file is empty."),
        ("a: b: c", None, "1:5", "not readable YAML"),
        ("a: 1\na: 2", None, "2:1", "stands twice"),
        (b"\xff", None, "1:1", "not UTF-8"),
        ("x" * 10_000_000, None, "", "too large"),
        ("hello: world", None, "", "no copy configuration"),
        ("- source_directory: a", "v0", "[0].target_repo", "target_repo is required"),
        ("sources: []", "sources", "sources", "Give at least one source."),
        ("workflow_configs: []", "main", "workflow_configs", "Give at least one entry."),
        ("copy_rules: []\nworkflows: []\nsource_repo: a", "legacy", "workflows", "keep one of them"),
    ],
)
def test_what_cannot_be_used(text: str | bytes, format_: str | None, where: str, part: str) -> None:
    loaded = load(text)
    found, message = loaded.errors[0]
    assert (loaded.format, found, part in message, loaded.flows) == (format_, where, True, ()), message


def test_our_own_format() -> None:
    loaded = load(NATIVE)
    assert (loaded.format, loaded.errors, loaded.warnings, loaded.rules) == ("native", (), (), 1)
    rules = (Rule("move", "src", "dst"),)
    message = "Update files from ${source_repo}"
    assert loaded.flows == (
        Flow("docs", "acme/docs", "main", rules, "acme/app", "main", message=message),
        Flow("docs", "acme/docs", "main", rules, "acme/site", "dev", message=message),
    )


def test_our_own_format_names_lines() -> None:
    loaded = load(NATIVE.replace("template: dst", "template: ../x"))
    assert loaded.errors == (
        ("rules[0].template", "Line 4: “../x” makes paths that may not be written: it goes up by “..”."),
    )


def test_a_file_of_our_own_names_its_branches() -> None:
    loaded = load(NATIVE.replace(", branch: dev", ""))
    assert loaded.errors == (("", "Name the branch of the source and of each target."),)


def test_json_and_yaml_say_the_same() -> None:
    import yaml

    data = yaml.safe_load(NATIVE)
    assert load(json.dumps(data)) == load(NATIVE) == load_data(data)
    assert load(json.dumps(data, indent="\t")).flows == load(NATIVE).flows
