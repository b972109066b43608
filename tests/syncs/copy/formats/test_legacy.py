# ruff: noqa: E501 - a table reads best with one case on a line
from __future__ import annotations

from typing import Any

import pytest

from syncs.copy.formats import Loaded, load, load_data
from syncs.copy.rules.config import Flow, by_target
from syncs.copy.rules.options import Authors, Deletions, Options, PullRequest, Transform
from syncs.copy.rules.rule import Rule

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
PULL = PullRequest("T", "B", use_template=True, auto_merge=True)
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
            "acme/app", "dev", "every", "Sync ${file_count} files", "legacy", Options(),
        ),
        Flow(
            "go", "acme/docs", "1.10", (to(go, "code/${path}"),), "acme/site", "main", "every", "", "legacy",
            Options("pull_request", PULL, Deletions("record", "gone.json")),
        ),
        Flow(
            "all", "acme/docs", "1.10", (to(all_, "${path}"),), "acme/batch", "main", "every", "", "legacy",
            Options("pull_request"),
        ),
    )  # fmt: skip
    assert found.warnings == (
        (
            "copy_rules[1].targets[1].commit_strategy.type",
            "Line 25: batch is read as pull_request, as the original did; batch_size has no effect: all "
            "files of a target arrive in one pull request.",
        ),
    )


def test_the_flows_as_they_are_written() -> None:
    parts = load(FULL).parts
    assert [(flow.name, flow.target_repo, len(flow.rules)) for flow in parts] == [
        ("go", "acme/app", 1),
        ("go", "acme/site", 1),
        ("all", "acme/app", 1),
        ("all", "acme/batch", 1),
    ]


def test_defaults() -> None:
    [flow] = loaded(rule()).flows
    assert (flow.source_branch, flow.target_branch, flow.options.strategy, flow.match) == (
        "main",
        "main",
        "direct",
        "every",
    )


def test_batched_rules_have_the_messages_of_the_batch() -> None:
    batch = {"commit_message": "All ${file_count}", "pr_title": "t", "pr_body": "b", "use_pr_template": True}
    own = {"commit_strategy": {"commit_message": "own", "pr_title": "o"}}
    rules = [target(**own), rule(name="s")]
    found = loaded(*rules, batch_by_repo=True, batch_pr_config=batch)
    [flow] = found.flows
    assert (flow.message, flow.options.pull_request) == (
        "All ${file_count}",
        PullRequest("t", "b", use_template=True),
    )
    assert found.warnings == ()
    assert [flow.message for flow in loaded(*rules, batch_pr_config=batch).flows] == ["own"]


def test_the_last_message_counts_and_different_ones_are_named() -> None:
    def said(name: str, message: str, title: str) -> dict[str, Any]:
        strategy = {"type": "pull_request", "commit_message": message, "pr_title": title}
        return {**target(commit_strategy=strategy), "name": name}

    found = loaded(said("a", "one", "x"), said("b", "two", "y"), said("c", "", ""))
    [flow] = found.flows
    assert (flow.name, flow.message, flow.options.pull_request.title) == ("a, b, c", "two", "y")
    assert found.warnings == (
        (
            "copy_rules",
            "a, b and c write to c/d main as one commit and have different commit messages and titles; "
            "the last one of each counts.",
        ),
    )
    assert loaded(said("a", "one", "x"), said("b", "one", "x")).warnings == ()


def test_direct_commits_and_pull_requests_to_one_branch_are_named() -> None:
    pulled = {**target(commit_strategy={"type": "pull_request"}), "name": "p"}
    found = loaded(rule(), pulled)
    assert len(found.flows) == 2
    assert found.warnings == (
        ("copy_rules", "c/d main gets direct commits by some rules and pull requests by others."),
    )


def test_rules_that_treat_deletions_differently_stay_apart_and_arrive_together() -> None:
    recorded = {**target(deprecation_check={"enabled": True}), "name": "s"}
    found = loaded(rule(), recorded).flows
    assert [flow.options.deletions.policy for flow in found] == ["ignore", "record"]
    assert len(by_target(found)) == 1


def test_keys_of_our_own() -> None:
    strategy = {"type": "pull_request", "labels": ["sync"], "reviewers": ["ada"], "draft": True,
                "merge_method": "squash", "update": "append", "others_commits": "hold"}  # fmt: skip
    footer = {"type": "footer", "text": "x\n"}
    own = target(commit_strategy=strategy, deletions="delete", edits="merge", transforms=[footer],
                 authors="source", sign="key")  # fmt: skip
    [flow] = loaded(own).flows
    assert flow.options == Options(
        "pull_request",
        PullRequest(labels=("sync",), reviewers=("ada",), draft=True, merge_method="squash",
                    update="append", others_commits="hold"),
        Deletions("delete"), "merge", (Transform("footer", text="x\n"),), Authors("source"), "key",
    )  # fmt: skip


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
        (loaded(target(commit_strategy={"type": "batch"})), "copy_rules[0].targets[0].commit_strategy.type", "batch_size has no effect"),
        (loaded(target(commit_strategy={"batch_size": 5})), "copy_rules[0].targets[0].commit_strategy.batch_size", "in one commit"),
        (loaded(target(path_transform="one.txt")), "copy_rules", "all files that a takes go to one.txt"),
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
