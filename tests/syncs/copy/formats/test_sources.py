# ruff: noqa: E501 - a table reads best with one case on a line
"""`sources[]`: several repositories in one file, and v0, which names none."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncs.copy.formats import Loaded, Place, load, load_data
from syncs.copy.rules.options import Deletions
from syncs.copy.rules.rule import Rule
from tests.syncs.copy.formats.reads import Asked, Kept


def rule(name: str = "r", **target: Any) -> dict[str, Any]:
    target = {"repo": "c/d", "path_transform": "x/${path}", **target}
    return {"name": name, "source_pattern": {"type": "prefix", "pattern": "a"}, "targets": [target]}


def source(repo: str = "a/b", *rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"repo": repo, "copy_rules": list(rules or [rule()]), **more}


def loaded(*sources: object, **top: Any) -> Loaded:
    return load_data({"sources": list(sources), **top})


def test_several_sources() -> None:
    found = loaded(source("a/one", branch="dev"), source("b/two", rule("x"), rule("y", repo="e/f")))
    assert (found.format, found.errors, found.warnings, found.rules) == ("sources", (), (), 3)
    assert [(flow.source_repo, flow.source_branch, flow.name, flow.target_repo) for flow in found.flows] == [
        ("a/one", "dev", "r", "c/d"),
        ("b/two", "main", "x", "c/d"),
        ("b/two", "main", "y", "e/f"),
    ]


@pytest.mark.parametrize(
    ("own", "defaults", "said"),
    [
        (None, None, ("direct", "", "", False)),
        (
            None,
            {"type": "pull_request", "pr_title": "d", "auto_merge": True},
            ("pull_request", "", "d", True),
        ),
        ({}, {"type": "pull_request", "auto_merge": True}, ("pull_request", "", "", False)),
        (
            {"pr_title": "o"},
            {"type": "pull_request", "pr_title": "d", "commit_message": "m"},
            ("pull_request", "m", "o", False),
        ),
        ({"type": "direct"}, {"type": "pull_request", "commit_message": "m"}, ("direct", "m", "", False)),
        (None, {"type": "batch"}, ("pull_request", "", "", False)),
    ],
)
def test_defaults_fill_a_target_field_by_field(own: Any, defaults: Any, said: tuple[object, ...]) -> None:
    target = {} if own is None else {"commit_strategy": own}
    top = {} if defaults is None else {"defaults": {"commit_strategy": defaults}}
    [flow] = loaded(source("a/b", rule(**target)), **top).flows
    pull = flow.options.pull_request
    assert (flow.options.strategy, flow.message, pull.title, pull.auto_merge) == said


def test_other_defaults() -> None:
    top = {"defaults": {"deprecation_check": {"enabled": True, "file": "d"}, "edits": "hold"}}
    own = rule("s", repo="e/f", deprecation_check={"enabled": False}, edits="merge")
    first, second = loaded(source("a/b", rule(), own), **top).flows
    assert (first.options.deletions, first.options.edits) == (Deletions("record", "d"), "hold")
    assert (second.options.deletions.policy, second.options.edits) == ("ignore", "merge")


@pytest.mark.parametrize(
    ("own", "defaults", "on"),
    [
        (None, None, True),
        ({"enabled": False}, None, False),
        (None, {"enabled": False}, False),
        ({"enabled": True}, {"enabled": False}, True),
        ({"timeout_seconds": 5}, {"enabled": False}, False),
        ({"timeout_seconds": 5}, None, True),
    ],
)
def test_a_source_is_switched_off(own: Any, defaults: Any, on: bool) -> None:
    more = {} if own is None else {"settings": own}
    top = {} if defaults is None else {"defaults": {"settings": defaults}}
    found = loaded(source("x/y", **more), source("a/b", settings={"enabled": True}), **top)
    assert ("x/y" in {flow.source_repo for flow in found.flows}, found.errors) == (on, ())
    assert found.disabled == (() if on else (("x/y", "main"),))
    assert any("x/y is switched off" in message for _, message in found.warnings) is not on


def test_a_batch_belongs_to_its_source() -> None:
    batch = {"batch_by_repo": True, "batch_pr_config": {"pr_title": "all", "commit_message": "m"}}
    one, two = loaded(source("a/b", **batch), source("e/f")).flows
    assert (one.options.pull_request.title, one.message, two.options.pull_request.title) == ("all", "m", "")


DISTRIBUTED: dict[str | Asked, str] = {
    ("a/b", "dev", "copier.yaml"): json.dumps({"copy_rules": [rule("there")]}),
    ("a/b", "main", "flows.yaml"): json.dumps(
        {"workflows": [{"name": "w", "destination": {"repo": "g/h"}, "transformations": {"$ref": "t.yaml"}}]}
    ),
    ("a/b", "main", "t.yaml"): "- move: {from: x, to: y}",
    ("a/b", "main", "other.yaml"): json.dumps({"source_repo": "x/y", "copy_rules": [rule()]}),
    ("a/b", "main", "none.yaml"): "hello: world",
    ("a/b", "main", "bad.yaml"): "copy_rules:\n- name: x\n",
}  # fmt: skip


def distributed(**more: Any) -> tuple[Loaded, Kept]:
    reads = Kept(DISTRIBUTED)
    data = {"sources": [{"repo": "a/b", **more}], "defaults": {"commit_strategy": {"type": "pull_request"}}}
    return load(json.dumps(data), reads=reads, place=Place("main.yaml")), reads


def test_rules_in_the_source_repository() -> None:
    found, reads = distributed(branch="dev", config_file="copier.yaml", copy_rules=[rule("here")])
    assert (found.errors, reads.asked, found.rules) == ((), [("a/b", "dev", "copier.yaml")], 2)
    assert [(part.name, part.source_repo, part.source_branch) for part in found.parts] == [
        ("here", "a/b", "dev"),
        ("there", "a/b", "dev"),
    ]
    assert found.flows[0].options.strategy == "pull_request"


def test_workflows_in_the_source_repository() -> None:
    found, _ = distributed(config_file="flows.yaml")
    [flow] = found.flows
    assert (found.errors, flow.source_repo, flow.target_repo, flow.flavour) == ((), "a/b", "g/h", "workflow")


@pytest.mark.parametrize(
    ("more", "where", "part"),
    [
        ({"config_file": "gone.yaml"}, "sources[0].config_file", "There is no file gone.yaml"),
        ({"config_file": "../x"}, "sources[0].config_file", "it goes up"),
        ({"config_file": "other.yaml"}, "a/b/other.yaml@main: source_repo", "leave the source out here"),
        ({"config_file": "none.yaml"}, "a/b/none.yaml@main", "neither copy_rules nor workflows"),
        ({"config_file": "bad.yaml"}, "a/b/bad.yaml@main: copy_rules[0].source_pattern", "Line 2: source_pattern is required"),
        ({}, "sources[0].copy_rules", "at least one copy rule"),
    ],
)  # fmt: skip
def test_a_distributed_file_that_cannot_be_used(more: dict[str, Any], where: str, part: str) -> None:
    found, _ = distributed(**more)
    place, message = found.errors[0]
    assert (place, part in message, found.flows) == (where, True, ()), message


@pytest.mark.parametrize(
    ("found", "where", "part"),
    [
        (loaded("x"), "sources[0]", "takes keys"),
        (loaded({"copy_rules": [rule()]}), "sources[0].repo", "repo is required"),
        (loaded(source(branch="a b")), "sources[0].branch", "not a name"),
        (loaded(*[source(f"a/{n}") for n in range(51)]), "sources", "51 entries; 50 are allowed"),
        (loaded(source("a/b", *[rule()] * 101)), "sources[0].copy_rules", "101 entries; 100 are allowed"),
        (loaded(source("a/b", {**rule(), "targets": rule()["targets"] * 21})), "sources[0].copy_rules[0].targets", "21 entries; 20 are allowed"),
        (loaded(source(settings={"enabled": 1})), "sources[0].settings.enabled", "true or false"),
        (loaded(source(settings={"enabled": False})), "sources", "All sources are switched off"),
        (loaded(source(), defaults={"commit_strategy": {"type": "x"}}), "defaults.commit_strategy.type", "use direct or pull_request or batch"),
        (loaded(source("a/b", rule(commit_strategy={"type": "x"}))), "sources[0].copy_rules[0].targets[0].commit_strategy.type", "'x' is not a type"),
    ],
)  # fmt: skip
def test_errors(found: Loaded, where: str, part: str) -> None:
    [(place, message)] = found.errors
    assert (place, part in message, found.flows) == (where, True, ()), message


@pytest.mark.parametrize(
    ("found", "where", "part"),
    [
        (loaded(source(installation_id="12")), "sources[0].installation_id", "is not used: OpsSight reaches"),
        (loaded(source(settings={"timeout_seconds": 300})), "sources[0].settings.timeout_seconds", "OPSSIGHT_STALL_SECONDS"),
        (loaded(source(settings={"rate_limit": {"max_concurrent": 2}})), "sources[0].settings.rate_limit", "is not used"),
        (loaded(source(), defaults={"settings": {"timeout_seconds": 1}}), "defaults.settings.timeout_seconds", "is not used"),
        (loaded(source(), extra=1), "extra", "not known"),
        (loaded(source(settings={"rate_limit": {"x": 2}})), "sources[0].settings.rate_limit.x", "not known"),
    ],
)  # fmt: skip
def test_what_the_original_took_and_did_not_use_is_named(found: Loaded, where: str, part: str) -> None:
    assert found.errors == ()
    assert any((place, part in message) == (where, True) for place, message in found.warnings), found.warnings


def test_the_number_of_targets_of_all_files_is_bounded() -> None:
    many = json.dumps(
        {"copy_rules": [{**rule(f"r{n}"), "targets": rule()["targets"] * 20} for n in range(100)]}
    )
    files: dict[str | Asked, str] = {(f"a/{n}", "main", "c"): many for n in range(8)}
    whole = {"sources": [{"repo": f"a/{n}", "config_file": "c"} for n in range(8)]}
    found = load(json.dumps(whole), reads=Kept(files), place=Place("main.yaml"))
    assert [message for _, message in found.errors] == [
        "Line 1: The rules have more than 10,000 targets together; use fewer."
    ]


# --- v0 ---


def old(**changes: Any) -> dict[str, Any]:
    base = {"source_directory": "examples/go", "target_repo": "site", "target_directory": "code"}
    return {**base, **changes}


def v0(*entries: object, source: tuple[str, str] | None = ("acme/code", "master")) -> Loaded:
    return load_data(list(entries), source=source)


def test_a_folder_of_the_oldest_format() -> None:
    found = v0(old(commit_message="m", pr_title="t", copier_commit_strategy="pr", merge_without_review=True))
    [flow] = found.flows
    assert (found.format, found.rules, found.warnings) == ("v0", 1, ())
    assert (flow.source_repo, flow.source_branch, flow.target_repo, flow.target_branch) == (
        "acme/code",
        "master",
        "acme/site",
        "main",
    )
    assert flow.rules == (Rule("move", "examples/go", "code"),)
    pull = flow.options.pull_request
    assert (flow.options.strategy, flow.message, pull.title, pull.auto_merge) == (
        "pull_request",
        "m",
        "t",
        True,
    )


def test_what_the_oldest_format_does_by_itself() -> None:
    [flow] = v0(old(target_repo="other/site")).flows
    assert (flow.options.strategy, flow.message, flow.target_repo) == (
        "direct",
        "Automated PR with updated examples",
        "other/site",
    )


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({}, Rule("move", "examples/go", "code")),
        ({"source_directory": "/examples/go/", "target_directory": "/code/"}, Rule("move", "examples/go", "code")),
        ({"target_directory": ""}, Rule("move", "examples/go", ".")),
        ({"target_directory": "."}, Rule("move", "examples/go", ".")),
        ({"source_directory": "."}, Rule("glob", "**", "code/${relative_path}")),
        ({"recursive_copy": True}, Rule("move", "examples/go", "code")),
        ({"recursive_copy": False}, Rule("regex", r"\Aexamples/go/(?P<relative_path>[^/]+)\z", "code/${relative_path}")),
        ({"recursive_copy": False, "source_directory": "a.b"}, Rule("regex", r"\Aa\.b/(?P<relative_path>[^/]+)\z", "code/${relative_path}")),
        ({"recursive_copy": False, "source_directory": ""}, Rule("regex", r"\A(?P<relative_path>[^/]+)\z", "code/${relative_path}")),
    ],
)  # fmt: skip
def test_folders(changes: dict[str, Any], rule: Rule) -> None:
    # an entry without the key would not be known for one of this format
    found = v0(old(**changes))
    assert (found.errors, [flow.rules for flow in found.flows]) == ((), [(rule,)])


def test_the_source_is_asked_for() -> None:
    found = v0(old(), source=None)
    assert found.errors == ()
    assert "in a command with --source" in found.warnings[0][1]
    assert found.names_no_source
    assert not v0(old()).names_no_source


@pytest.mark.parametrize(
    ("entry", "where", "part"),
    [
        (old(target_repo=""), "[0].target_repo", "target_repo is required"),
        (old(target_repo="-x"), "[0].target_repo", "not the name of a repository"),
        (old(target_directory="../x"), "[0].target_directory", "goes up"),
        (old(copier_commit_strategy="batch"), "[0].copier_commit_strategy", "use direct or pr"),
        (old(recursive_copy="yes"), "[0].recursive_copy", "true or false"),
        (old(target_branch=".."), "[0].target_branch", "not a name"),
    ],
)
def test_errors_of_the_oldest_format(entry: dict[str, Any], where: str, part: str) -> None:
    [(place, message)] = v0(entry).errors
    assert (place, part in message) == (where, True), message
