# ruff: noqa: E501 - a table reads best with one case on a line
"""What counts where a workflow, its file and the main file say different things."""

from __future__ import annotations

import json
from typing import Any

import pytest

from syncs.copy.formats import Place, load
from syncs.copy.rules.config import Flow
from tests.syncs.copy.formats.reads import Kept

WF = "Update from workflow: ${rule_name}"
FULL = {
    "type": "direct",
    "commit_message": "m",
    "pr_title": "t",
    "pr_body": "b",
    "use_pr_template": True,
    "auto_merge": True,
}


def flow_of(workflow: dict[str, Any], file: dict[str, Any], main: dict[str, Any]) -> Flow:
    one = {"name": "w", "source": {"repo": "a/b"}, "destination": {"repo": "c/d"}, "transformations": [{"move": {"from": "x", "to": "y"}}]}  # fmt: skip
    text = json.dumps({"defaults": file, "workflows": [{**one, **workflow}]})
    top = json.dumps({"defaults": main, "workflow_configs": [{"source": "local", "path": "w"}]})
    found = load(top, reads=Kept({"w": text}), place=Place("main"))
    assert (found.errors, found.left_out) == ((), ())
    [flow] = found.flows
    return flow


@pytest.mark.parametrize(
    ("workflow", "file", "main", "said"),
    [
        # type, message, title, body, template, auto merge
        (None, None, None, ("pull_request", WF, "", "", False, False)),
        (None, None, FULL, ("direct", "m", "t", "b", True, True)),
        (None, FULL, None, ("direct", "m", "t", "b", True, True)),
        # between the two defaults the whole object counts, nothing is filled up
        (None, {"pr_title": "f"}, FULL, ("pull_request", WF, "f", "", False, False)),
        (None, {}, FULL, ("pull_request", WF, "", "", False, False)),
        # a workflow's own is filled up field by field, but for auto_merge
        ({}, FULL, None, ("direct", "m", "t", "b", True, False)),
        ({"type": "pull_request"}, FULL, None, ("pull_request", "m", "t", "b", True, False)),
        ({"commit_message": "o"}, FULL, None, ("direct", "o", "t", "b", True, False)),
        ({"pr_title": "o", "pr_body": "p"}, FULL, None, ("direct", "m", "o", "p", True, False)),
        ({"auto_merge": True}, None, FULL, ("direct", "m", "t", "b", True, True)),
        # only true wins for the template
        ({"use_pr_template": False}, FULL, None, ("direct", "m", "t", "b", True, False)),
        ({"use_pr_template": True}, None, None, ("pull_request", WF, "", "", True, False)),
        # the file's defaults hide those of the main file for the workflow too
        ({"pr_body": "o"}, {"pr_title": "f"}, FULL, ("pull_request", WF, "f", "o", False, False)),
    ],
)
def test_commit_strategy(workflow: Any, file: Any, main: Any, said: tuple[object, ...]) -> None:
    levels = [{} if one is None else {"commit_strategy": one} for one in (workflow, file, main)]
    flow = flow_of(*levels)
    pull = flow.options.pull_request
    assert (
        flow.options.strategy,
        flow.message,
        pull.title,
        pull.body,
        pull.use_template,
        pull.auto_merge,
    ) == said


@pytest.mark.parametrize(
    ("workflow", "file", "main", "exclude"),
    [
        (None, None, None, ()),
        (None, None, ["m"], ("m",)),
        (None, ["f"], ["m"], ("f",)),
        (["w"], ["f"], ["m"], ("w",)),
        ([], ["f"], ["m"], ("f",)),
        ([], [], ["m"], ("m",)),
        (["w"], None, ["m"], ("w",)),
    ],
)
def test_the_first_list_of_excludes_counts_alone(
    workflow: Any, file: Any, main: Any, exclude: tuple[str, ...]
) -> None:
    levels = [{} if one is None else {"exclude": one} for one in (workflow, file, main)]
    assert flow_of(*levels).rules[0].exclude == exclude


@pytest.mark.parametrize(
    ("workflow", "file", "main", "said"),
    [
        (None, None, None, ("ignore", "deprecated_examples.json")),
        (None, None, {"enabled": True}, ("record", "deprecated_examples.json")),
        (None, {"enabled": True, "file": "f"}, {"enabled": False}, ("record", "f")),
        ({"enabled": False}, {"enabled": True}, {"enabled": True}, ("ignore", "deprecated_examples.json")),
        ({"enabled": True, "file": "w"}, {"enabled": True, "file": "f"}, None, ("record", "w")),
        ({}, {"enabled": True}, None, ("ignore", "deprecated_examples.json")),
    ],
)
def test_deprecation_check(workflow: Any, file: Any, main: Any, said: tuple[str, str]) -> None:
    levels = [{} if one is None else {"deprecation_check": one} for one in (workflow, file, main)]
    deletions = flow_of(*levels).options.deletions
    assert (deletions.policy, deletions.file) == said


def test_keys_of_our_own_come_from_the_nearest_level() -> None:
    footer = [{"type": "footer", "text": 5}]
    flow = flow_of(
        {"edits": "hold"},
        {"edits": "merge", "sign": "key"},
        {"sign": "api", "transforms": footer, "deletions": "delete"},
    )
    options = flow.options
    assert (options.edits, options.sign, options.transforms[0].text, options.deletions.policy) == (
        "hold",
        "key",
        "5",
        "delete",
    )
    nearer = flow_of({"deprecation_check": {"enabled": True}}, {}, {"deletions": "delete"})
    assert nearer.options.deletions.policy == "record"


@pytest.mark.parametrize(
    ("workflow", "file", "exclude_syntax"),
    [
        ({"exclude": ["a.b"], "exclude_syntax": "regex"}, {"exclude_syntax": "glob"}, "regex"),
        ({"exclude": ["a.b"]}, {"exclude_syntax": "regex"}, "regex"),
        ({"exclude_syntax": "regex"}, {"exclude": ["a.b"], "exclude_syntax": "glob"}, "regex"),
        ({}, {"exclude": ["a.b"], "exclude_syntax": "regex"}, "regex"),
        ({"exclude": [r"\.go$"]}, {}, "glob"),
        ({"exclude": [r"}\.go$"]}, {}, "regex"),
    ],
)
def test_exclude_syntax(workflow: Any, file: Any, exclude_syntax: str) -> None:
    assert flow_of(workflow, file, {}).rules[0].exclude_syntax == exclude_syntax


def test_an_unquoted_number_in_defaults_is_text() -> None:
    text = "defaults: {commit_strategy: {commit_message: 1.10}}\nworkflows:\n- {name: w, source: {repo: a/b}, destination: {repo: c/d}, transformations: [{move: {from: x, to: y}}]}"
    assert load(text).flows[0].message == "1.10"


@pytest.mark.parametrize(
    ("source", "ends"),
    [
        (None, ("acme/tools", "stable")),
        ({}, ("acme/tools", "stable")),
        ({"branch": "dev"}, ("acme/tools", "dev")),
        ({"repo": "a/b"}, ("a/b", "stable")),
        ({"repo": "a/b", "branch": "dev"}, ("a/b", "dev")),
    ],
)
def test_the_source_of_a_workflow_in_another_repository(source: Any, ends: tuple[str, str]) -> None:
    one: dict[str, Any] = {"name": "w", "destination": {"repo": "c/d"}, "transformations": [{"move": {"from": "x", "to": "y"}}]}  # fmt: skip
    if source is not None:
        one["source"] = source
    text = json.dumps({"workflows": [one]})
    entry = {"source": "repo", "repo": "acme/tools", "branch": "stable", "path": "w"}
    top = json.dumps({"workflow_configs": [entry]})
    found = load(top, reads=Kept({("acme/tools", "stable", "w"): text}), place=Place("main"))
    assert [(flow.source_repo, flow.source_branch) for flow in found.flows] == [ends]
    local = json.dumps({"workflow_configs": [{"source": "local", "path": "w"}]})
    alone = load(local, reads=Kept({"w": text}), place=Place("main"))
    assert bool(alone.errors) is not bool(source and source.get("repo"))
