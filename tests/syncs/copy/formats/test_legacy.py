# ruff: noqa: E501 - a table reads best with one case on a line
from __future__ import annotations

from typing import Any

import pytest

from syncs.copy.config import Flow
from syncs.copy.formats import Loaded, load, load_data
from syncs.copy.rule import Rule

FULL = """\
source_repo: acme/docs
source_branch: 1.10
batch_by_repo: false
copy_rules:
  - name: go
    source_pattern:
      type: prefix
      pattern: examples/go/
      exclude_patterns: ['_test\\.go$', '/internal/']
    targets:
      - repo: acme/app
        branch: dev
        path_transform: go/${relative_path}
        commit_strategy:
          type: direct
          commit_message: Sync ${file_count} files
      - repo: acme/site
        path_transform: code/${path}
        commit_strategy: {type: pull_request, pr_title: T, pr_body: B, use_pr_template: true, auto_merge: true}
        deprecation_check: {enabled: true, file: gone.json}
  - name: all
    source_pattern: {type: glob, pattern: '**/*.md'}
    targets:
      - {repo: acme/app, branch: dev, path_transform: 'docs/${filename}'}
      - {repo: acme/batch, path_transform: '${path}', commit_strategy: {type: batch, batch_size: 50}}
"""
GO = (r"_test\.go$", "/internal/")


def rule(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "name": "r",
        "source_pattern": {"type": "prefix", "pattern": "a"},
        "targets": [{"repo": "c/d", "path_transform": "x/${relative_path}"}],
    }
    return {**base, **changes}


def loaded(*rules: object, **top: Any) -> Loaded:
    return load_data({"source_repo": "a/b", "copy_rules": list(rules), **top})


def pattern(**changes: Any) -> dict[str, Any]:
    return rule(source_pattern={"type": "prefix", "pattern": "a", **changes})


def target(**changes: Any) -> dict[str, Any]:
    return rule(targets=[{"repo": "c/d", "path_transform": "x/${path}", **changes}])


def test_a_whole_file() -> None:
    found = load(FULL)
    assert (found.format, found.errors, found.rules) == ("legacy", (), 2)
    go, all_ = Rule("prefix", "examples/go/", "", GO, "regex"), Rule("glob", "**/*.md", "", (), "regex")

    def to(base: Rule, template: str) -> Rule:
        return Rule(base.type, base.pattern, template, base.exclude, "regex")

    assert found.flows == (
        Flow(
            "go, all", "acme/docs", "1.10", (to(go, "go/${relative_path}"), to(all_, "docs/${filename}")),
            "acme/app", "dev", "every", "Sync ${file_count} files", "legacy", "direct",
        ),
        Flow(
            "go", "acme/docs", "1.10", (to(go, "code/${path}"),), "acme/site", "main", "every", "", "legacy",
            "pull_request",
        ),
        Flow(
            "all", "acme/docs", "1.10", (to(all_, "${path}"),), "acme/batch", "main", "every", "", "legacy",
            "batch",
        ),
    )  # fmt: skip
    assert found.warnings == (
        (
            "copy_rules[0].targets[1].deprecation_check",
            "Line 20: Deleted files are not recorded yet; this key has no effect so far.",
        ),
        (
            "copy_rules",
            "Line 4: The rules go, all write to acme/app as one commit, with the message of the first.",
        ),
    )


def test_defaults() -> None:
    [flow] = loaded(rule()).flows
    assert (flow.source_branch, flow.target_branch, flow.strategy, flow.match) == (
        "main",
        "main",
        "direct",
        "every",
    )


def test_batched_rules_have_the_message_of_the_batch() -> None:
    batch = {"commit_message": "All ${file_count}", "pr_title": "t", "pr_body": "b", "use_pr_template": True}
    message = {"commit_strategy": {"commit_message": "own"}}
    rules = [target(**message), rule(name="s")]
    found = loaded(*rules, batch_by_repo=True, batch_pr_config=batch)
    assert [flow.message for flow in found.flows] == ["All ${file_count}"]
    assert found.warnings == ()
    assert [flow.message for flow in loaded(*rules, batch_pr_config=batch).flows] == ["own"]


@pytest.mark.parametrize(
    ("found", "where", "part"),
    [
        (load_data({"copy_rules": [rule()]}), "source_repo", "source_repo is required"),
        (load_data({"source_repo": "a/b"}), "copy_rules", "at least one copy rule"),
        (loaded(), "copy_rules", "at least one copy rule"),
        (loaded(copy_rules="x"), "copy_rules", "takes a list"),
        (loaded(*[rule()] * 101), "copy_rules", "101 entries; 100 are allowed"),
        (loaded(rule(), source_branch="a b"), "source_branch", "not a name that a branch"),
        (loaded(rule(), batch_by_repo="yes"), "batch_by_repo", "true or false"),
        (loaded(rule(), batch_pr_config="x"), "batch_pr_config", "takes keys"),
        (loaded("x"), "copy_rules[0]", "takes keys"),
        (loaded(rule(name="")), "copy_rules[0].name", "name is required"),
        (loaded(rule(), rule(name=None)), "copy_rules[1].name", "name is required"),
        (loaded(rule(source_pattern=None)), "copy_rules[0].source_pattern", "source_pattern is required"),
        (loaded(pattern(type="suffix")), "copy_rules[0].source_pattern.type", "'suffix' is not a type; use prefix or glob"),
        (loaded(pattern(type="move")), "copy_rules[0].source_pattern.type", "'move' is not a type"),
        (loaded(pattern(type="")), "copy_rules[0].source_pattern.type", "type is required"),
        (loaded(pattern(pattern="")), "copy_rules[0].source_pattern.pattern", "pattern is required"),
        (loaded(pattern(type="regex", pattern="(")), "copy_rules[0].source_pattern.pattern", "missing )"),
        (loaded(pattern(type="glob", pattern="[")), "copy_rules[0].source_pattern.pattern", "not closed"),
        (loaded(pattern(exclude_patterns=[""])), "copy_rules[0].source_pattern.exclude_patterns[0]", "is empty"),
        (loaded(pattern(exclude_patterns=["ok", "**/x"])), "copy_rules[0].source_pattern.exclude_patterns[1]", "repetition"),
        (loaded(rule(targets=[])), "copy_rules[0].targets", "at least one target"),
        (loaded(rule(targets=["x"])), "copy_rules[0].targets[0]", "takes keys"),
        (loaded(target(repo="")), "copy_rules[0].targets[0].repo", "repo is required"),
        (loaded(target(repo="--upload-pack=x")), "copy_rules[0].targets[0].repo", "not the name of a repository"),
        (loaded(target(branch="..")), "copy_rules[0].targets[0].branch", "not a name that a branch"),
        (loaded(target(path_transform="")), "copy_rules[0].targets[0].path_transform", "path_transform is required"),
        (loaded(target(path_transform="../${path}")), "copy_rules[0].targets[0].path_transform", "goes up"),
        (loaded(target(path_transform=".git/hooks/x")), "copy_rules[0].targets[0].path_transform", "spelling of .git"),
        (loaded(target(commit_strategy={"type": "merge"})), "copy_rules[0].targets[0].commit_strategy.type", "use direct or pull_request or batch"),
        (loaded(target(commit_strategy="direct")), "copy_rules[0].targets[0].commit_strategy", "takes keys"),
        (loaded(target(commit_strategy={"auto_merge": 1})), "copy_rules[0].targets[0].commit_strategy.auto_merge", "true or false"),
    ],
)  # fmt: skip
def test_errors(found: Loaded, where: str, part: str) -> None:
    [(place, message)] = found.errors
    assert (place, part in message) == (where, True), message
    assert found.flows == ()


@pytest.mark.parametrize(
    ("found", "where", "part"),
    [
        (loaded(rule(), extra=1), "extra", "The key 'extra' is not known here"),
        (loaded(pattern(negate=True)), "copy_rules[0].source_pattern.negate", "not known"),
        (loaded(target(path_transform="${name}/x")), "copy_rules[0].targets[0].path_transform", "No match gives ${name}"),
        (loaded(target(repo="a/b")), "copy_rules[0].targets[0]", "copied onto itself"),
        (loaded(target(deprecation_check={"enabled": True})), "copy_rules[0].targets[0].deprecation_check", "no effect"),
    ],
)  # fmt: skip
def test_warnings(found: Loaded, where: str, part: str) -> None:
    [(place, message)] = found.warnings
    assert (place, part in message, found.errors, len(found.flows)) == (where, True, (), 1), message


def test_what_is_right_is_not_warned_of() -> None:
    quiet = target(deprecation_check={"enabled": False, "file": "x.json"}, branch="dev")
    assert loaded(quiet).warnings == ()


def test_a_pattern_is_reported_once_for_all_targets() -> None:
    bad = rule(source_pattern={"type": "regex", "pattern": "("}, targets=rule()["targets"] * 3)
    assert len(loaded(bad).errors) == 1


def test_lines() -> None:
    text = FULL.replace("type: glob, pattern: '**/*.md'", "type: suffix, pattern: '*.md'")
    assert load(text).errors == (
        (
            "copy_rules[1].source_pattern.type",
            "Line 22: 'suffix' is not a type; use prefix or glob or regex.",
        ),
    )
