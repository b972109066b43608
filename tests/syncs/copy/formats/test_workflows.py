# ruff: noqa: E501 - a table reads best with one case on a line
from __future__ import annotations

from typing import Any

import pytest

from syncs.copy.formats import Loaded, load, load_data
from syncs.copy.rules.config import Flow, by_target
from syncs.copy.rules.options import Deletions, Options, PullRequest
from syncs.copy.rules.rule import Rule

FULL = """\
defaults:
  commit_strategy: {type: direct, commit_message: 'Sync ${file_count}', pr_title: t}
  deprecation_check: {enabled: false}
  exclude: ['**/.env', '**/node_modules/**']
workflows:
  - name: server
    source: {repo: acme/mono, branch: release}
    destination: {repo: acme/server}
    transformations:
      - move: {from: mflix/server, to: server}
      - copy: {from: README.md, to: docs/README.md}
      - glob: {pattern: 'mflix/**/*.md', transform: 'docs/${relative_path}'}
      - regex: {pattern: '^x/(?P<n>[a-z]+)$', transform: '${n}.txt'}
  - name: client
    source: {repo: acme/mono}
    destination: {repo: acme/client, branch: 2.0}
    transformations:
      - move: {from: mflix/client, to: .}
    exclude: ['**/*.snap']
    commit_strategy: {type: pull_request, auto_merge: true, use_pr_template: true, pr_body: b}
"""


def workflow(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "name": "w",
        "source": {"repo": "a/b"},
        "destination": {"repo": "c/d"},
        "transformations": [{"move": {"from": "src", "to": "dst"}}],
    }
    return {**base, **changes}


def loaded(*workflows: object, **top: Any) -> Loaded:
    return load_data({"workflows": list(workflows), **top})


def with_rule(rule: object) -> Loaded:
    return loaded(workflow(transformations=[rule]))


def test_a_whole_file() -> None:
    found = load(FULL)
    assert (found.format, found.errors, found.warnings, found.rules) == ("workflows", (), (), 5)
    exclude = ("**/.env", "**/node_modules/**")
    assert found.flows == (
        Flow(
            "server",
            "acme/mono",
            "release",
            (
                Rule("move", "mflix/server", "server", exclude),
                Rule("copy", "README.md", "docs/README.md", exclude),
                Rule("glob", "mflix/**/*.md", "docs/${relative_path}", exclude),
                Rule("regex", "^x/(?P<n>[a-z]+)$", "${n}.txt", exclude),
            ),
            "acme/server",
            "main",
            "first",
            "Sync ${file_count}",
            "workflow",
            Options(pull_request=PullRequest(title="t"), deletions=Deletions()),
        ),
        Flow(
            "client",
            "acme/mono",
            "main",
            (Rule("move", "mflix/client", ".", ("**/*.snap",)),),
            "acme/client",
            "2.0",
            "first",
            "Sync ${file_count}",
            "workflow",
            Options("pull_request", PullRequest("t", "b", use_template=True, auto_merge=True)),
        ),
    )


def test_defaults() -> None:
    [flow] = loaded(workflow()).flows
    assert (flow.source_branch, flow.target_branch, flow.options.strategy) == ("main", "main", "pull_request")
    assert flow.message == "Update from workflow: ${rule_name}"
    assert flow.rules == (Rule("move", "src", "dst"),)


@pytest.mark.parametrize(
    ("own", "defaults", "strategy", "message"),
    [
        (None, {"type": "direct", "commit_message": "d"}, "direct", "d"),
        ({}, {"type": "direct", "commit_message": "d"}, "direct", "d"),
        ({"commit_message": "o"}, {"type": "direct", "commit_message": "d"}, "direct", "o"),
        ({"type": "pull_request"}, {"type": "direct", "commit_message": "d"}, "pull_request", "d"),
        ({"type": "direct"}, {"commit_message": "d"}, "direct", "d"),
        (None, {}, "pull_request", "Update from workflow: ${rule_name}"),
        ({"commit_message": "o"}, None, "pull_request", "o"),
    ],
)
def test_a_strategy_is_filled_up_field_by_field(
    own: object, defaults: object, strategy: str, message: str
) -> None:
    [flow] = loaded(workflow(commit_strategy=own), defaults={"commit_strategy": defaults}).flows
    assert (flow.options.strategy, flow.message) == (strategy, message)


@pytest.mark.parametrize(
    ("own", "exclude", "syntax"),
    [
        ({}, ("**/d",), "glob"),
        ({"exclude": []}, ("**/d",), "glob"),
        ({"exclude": None}, ("**/d",), "glob"),
        ({"exclude": ["**/o"]}, ("**/o",), "glob"),  # replaces, adds nothing
        ({"exclude": [r"}\.go$", "x"]}, (r"}\.go$", "x"), "regex"),  # cannot be globs
        ({"exclude": ["vendor/.*"], "exclude_syntax": "regex"}, ("vendor/.*",), "regex"),
        ({"exclude": ["vendor/*"], "exclude_syntax": "glob"}, ("vendor/*",), "glob"),
    ],
)
def test_excludes(own: dict[str, Any], exclude: tuple[str, ...], syntax: str) -> None:
    found = loaded(workflow(**own), defaults={"exclude": ["**/d"]})
    [flow] = found.flows
    assert (flow.rules[0].exclude, flow.rules[0].exclude_syntax, found.warnings) == (exclude, syntax, ())


def test_the_syntax_of_the_defaults() -> None:
    [flow] = loaded(workflow(), defaults={"exclude": [r"\.go$"], "exclude_syntax": "regex"}).flows
    assert flow.rules[0].exclude_syntax == "regex"


@pytest.mark.parametrize(
    ("found", "where", "part"),
    [
        (loaded(), "workflows", "at least one workflow"),
        (load_data({"workflows": "x"}), "workflows", "takes a list"),
        (loaded("x"), "workflows[0]", "takes keys"),
        (loaded(workflow(name="")), "workflows[0].name", "name is required"),
        (loaded(workflow(source=None)), "workflows[0].source", "source is required"),
        (loaded(workflow(source={})), "workflows[0].source.repo", "repo is required"),
        (loaded(workflow(destination={"branch": "x"})), "workflows[0].destination.repo", "repo is required"),
        (loaded(workflow(destination={"repo": "a", "branch": "a b"})), "workflows[0].destination.branch", "not a name"),
        (loaded(workflow(transformations=[])), "workflows[0].transformations", "at least one transformation"),
        (loaded(workflow(transformations=None)), "workflows[0].transformations", "at least one transformation"),
        (with_rule({}), "workflows[0].transformations[0]", "Give one of move, copy, glob or regex"),
        (with_rule("move"), "workflows[0].transformations[0]", "takes keys"),
        (with_rule({"move": {"from": "a", "to": "b"}, "copy": {"from": "a", "to": "b"}}),
         "workflows[0].transformations[0]", "Give only one of"),
        (with_rule({"move": "x"}), "workflows[0].transformations[0].move", "takes keys"),
        (with_rule({"move": {"to": "b"}}), "workflows[0].transformations[0].move.from", "from is required"),
        (with_rule({"copy": {"from": "b"}}), "workflows[0].transformations[0].copy.to", "to is required"),
        (with_rule({"glob": {"pattern": "a"}}), "workflows[0].transformations[0].glob.transform", "transform is required"),
        (with_rule({"glob": {"pattern": "[", "transform": "a"}}), "workflows[0].transformations[0].glob.pattern", "not closed"),
        (with_rule({"regex": {"pattern": "(", "transform": "a"}}), "workflows[0].transformations[0].regex.pattern", "missing )"),
        (with_rule({"move": {"from": "a", "to": "../b"}}), "workflows[0].transformations[0].move.to", "goes up"),
        (with_rule({"copy": {"from": "a", "to": ".git/x"}}), "workflows[0].transformations[0].copy.to", "spelling of .git"),
        (loaded(workflow(exclude="x")), "workflows[0].exclude", "takes a list"),
        (loaded(workflow(exclude=["**/x", "["])), "workflows[0].exclude[1]", "not closed"),
        (loaded(workflow(exclude=["a"], exclude_syntax="perl")), "workflows[0].exclude_syntax", "use glob or regex"),
        (loaded(workflow(commit_strategy={"type": "batch"})), "workflows[0].commit_strategy.type", "use direct or pull_request"),
        (loaded(workflow(), defaults={"commit_strategy": {"type": "x"}}), "defaults.commit_strategy.type", "use direct or pull_request"),
        (loaded(workflow(transformations={"$ref": "t.yaml"})), "workflows[0].transformations.$ref", "is needed, and only one file was given"),
        (loaded(workflow(exclude={"$ref": "e.yaml"})), "workflows[0].exclude.$ref", "is needed, and only one file was given"),
        (loaded(workflow(commit_strategy={"$ref": "s.yaml"})), "workflows[0].commit_strategy.$ref", "is needed, and only one file was given"),
        (loaded(workflow(), defaults={"commit_strategy": {"$ref": "s.yaml"}}), "defaults.commit_strategy.$ref", "is needed, and only one file was given"),
    ],
)  # fmt: skip
def test_errors(found: Loaded, where: str, part: str) -> None:
    [(place, message)] = found.errors
    assert (place, part in message) == (where, True), message
    assert found.flows == ()


@pytest.mark.parametrize(
    ("found", "where", "part"),
    [
        (loaded(workflow(), extra=1), "extra", "The key 'extra' is not known here"),
        (loaded(workflow(), defaults={"reviewers": []}), "defaults.reviewers", "not known"),
        (with_rule({"move": {"from": "a", "to": "b", "mode": "x"}}), "workflows[0].transformations[0].move.mode", "not known"),
        (with_rule({"glob": {"pattern": "*.md", "transform": "${relative_path}"}}),
         "workflows[0].transformations[0].glob.transform", "No match gives ${relative_path}"),
        (loaded(workflow(exclude=[r".*_test\.go"])), "workflows[0].exclude[0]", "is read as a glob; set exclude_syntax: regex"),
        (loaded(workflow(), defaults={"exclude": ["^vendor/"]}), "defaults.exclude[0]", "is read as a glob"),
        (loaded(workflow(destination={"repo": "a/b"})), "workflows[0]", "copied onto itself"),
        (loaded(workflow(source={"repo": "a/b", "installation_id": "1"})), "workflows[0].source.installation_id", "is not used: OpsSight reaches"),
        (loaded(workflow(destination={"repo": "c/d", "installation_id": 1})), "workflows[0].destination.installation_id", "is not used"),
        (with_rule({"glob": {"pattern": "**/*.md", "transform": "all.md"}}), "workflows", "w: all files that **/*.md takes go to all.md"),
    ],
)  # fmt: skip
def test_warnings(found: Loaded, where: str, part: str) -> None:
    [(place, message)] = found.warnings
    assert (place, part in message, found.errors, len(found.flows)) == (where, True, (), 1), message


def test_workflows_to_one_target_arrive_together_and_the_last_words_count() -> None:
    def said(name: str, folder: str, title: str) -> dict[str, Any]:
        moves = [{"move": {"from": folder, "to": folder}}]
        return workflow(name=name, transformations=moves, commit_strategy={"pr_title": title})

    found = loaded(said("a", "one", "x"), said("b", "two", "y"))
    [group] = by_target(found.flows)
    assert [flow.rules[0].pattern for flow in group] == ["one", "two"]
    [(where, message)] = found.warnings
    assert (where, "a and b write to c/d main as one commit" in message) == ("workflows", True), message
    assert "the last one" in message


def test_two_workflows_of_one_name_are_told() -> None:
    found = loaded(workflow(), workflow(destination={"repo": "c/other"}))
    [(where, message)] = found.warnings
    assert where == "workflows[1].name"
    assert "'w' is the name of another workflow too" in message


def test_lines() -> None:
    found = load(FULL.replace("to: server}", "to: /server}"))
    assert found.errors == (
        (
            "workflows[0].transformations[0].move.to",
            "Line 10: “/server” makes paths that may not be written: it is absolute.",
        ),
    )
