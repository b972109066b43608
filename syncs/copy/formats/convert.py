"""Flows written as a file of one of the formats, and several files made one.

What is written loads to flows with the same effect, and to equal ones where the format has the same words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Final, Literal

import yaml

from opssight.core.errors import InvalidInput
from opssight.core.words import join_words
from syncs.copy.formats import Loaded, load
from syncs.copy.formats.shared import ADDED, ADDED_TO_STRATEGY
from syncs.copy.formats.translate import first_only, for_copy_rules, for_workflow
from syncs.copy.formats.workflows import TRANSFORMATIONS
from syncs.copy.rules.config import MAX_TARGETS, Flow, by_target
from syncs.copy.rules.messages import DEFAULT, WORKFLOW_DEFAULT
from syncs.copy.rules.options import RECORD_FILE, Deletions, Options, PullRequest, options_data
from syncs.copy.rules.rule import Rule

Written = Literal["sources", "workflows"]
WRITTEN: Final[tuple[Written, ...]] = ("sources", "workflows")
_Data = dict[str, object]


@dataclass(frozen=True)
class Named:
    """A loaded file and what it is called."""

    name: str
    loaded: Loaded


def converted(flows: Sequence[Flow], to: Written) -> str:
    """YAML that says what the flows do. InvalidInput when the format cannot say it."""
    data = sources_data(flows) if to == "sources" else workflows_data(flows)
    text = yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=100)
    again = load(text)
    if again.errors:
        raise InvalidInput(
            f"The rules are too many or too large for one file of {to}; convert fewer files at once.",
            list(again.errors),
        )
    return text


def workflows_data(flows: Sequence[Flow]) -> _Data:
    """One workflow for each flow, or for each rule where every rule that takes a file applies."""
    return {"workflows": [_workflow(part) for flow in flows for part in _alone(flow)]}


def _alone(flow: Flow) -> list[Flow]:
    if flow.match == "first" or len(flow.rules) == 1:
        return [flow]
    return [replace(flow, rules=(rule,)) for rule in flow.rules]


def _workflow(flow: Flow) -> _Data:
    rules = [for_workflow(rule, flow.flavour) for rule in flow.rules]
    common = {(rule.exclude, rule.exclude_syntax) for rule in rules}
    data: _Data = {
        "name": flow.name,
        "source": {"repo": flow.source_repo, "branch": flow.source_branch},
        "destination": {"repo": flow.target_repo, "branch": flow.target_branch},
        "transformations": [_transformation(rule, own=len(common) > 1) for rule in rules],
    }
    if len(common) == 1:
        data |= _excludes(rules[0])
    message = "" if flow.message == WORKFLOW_DEFAULT else flow.message or DEFAULT
    strategy = _strategy(flow.options, message)
    if strategy != {"type": "pull_request"}:
        data["commit_strategy"] = strategy
    return data | _beside(flow.options)


def _transformation(rule: Rule, *, own: bool) -> _Data:
    pattern, template = TRANSFORMATIONS[rule.type]
    data: _Data = {rule.type: {pattern: rule.pattern, template: rule.template}}
    return data | _excludes(rule) if own else data


def _excludes(rule: Rule) -> _Data:
    if not rule.exclude:
        return {}
    return {"exclude": list(rule.exclude), "exclude_syntax": rule.exclude_syntax}


def sources_data(flows: Sequence[Flow]) -> _Data:
    """One source for each repository and branch, with a copy rule for each rule and its targets."""
    sources: dict[tuple[str, str], list[_Data]] = {}
    for flow in flows:
        rules = sources.setdefault((flow.source_repo, flow.source_branch), [])
        for name, rule in _copy_rules(flow):
            _add(rules, name, rule, _target(flow, rule))
    return {
        "sources": [
            {"repo": repo, "branch": branch, "copy_rules": rules} for (repo, branch), rules in sources.items()
        ]
    }


def _copy_rules(flow: Flow) -> list[tuple[str, Rule]]:
    rules = list(flow.rules)
    if flow.match == "first" and len(rules) > 1:
        rules = first_only(rules)
    # all have the flow's name, which messages may tell
    return [(flow.name, one) for rule in rules for one in for_copy_rules(rule, flow.flavour)]


def _add(rules: list[_Data], name: str, rule: Rule, target: _Data) -> None:
    """The target goes to the rule before, where that is the same rule to another target."""
    pattern: _Data = {"type": rule.type, "pattern": rule.pattern}
    if rule.exclude:
        pattern["exclude_patterns"] = list(rule.exclude)
        if rule.exclude_syntax != "regex":
            pattern["exclude_syntax"] = rule.exclude_syntax
    last = rules[-1] if rules else {}
    targets = last.get("targets")
    same = last.get("name") == name and last.get("source_pattern") == pattern
    if same and isinstance(targets, list) and len(targets) < MAX_TARGETS:
        targets.append(target)
        return
    rules.append({"name": name, "source_pattern": pattern, "targets": [target]})


def _target(flow: Flow, rule: Rule) -> _Data:
    data: _Data = {
        "repo": flow.target_repo,
        "branch": flow.target_branch,
        "path_transform": rule.template,
        "commit_strategy": _strategy(flow.options, flow.message),
    }
    return data | _beside(flow.options)


def _strategy(options: Options, message: str) -> _Data:
    pull = options.pull_request
    words = {
        "type": options.strategy,
        "commit_message": message,
        "pr_title": pull.title,
        "pr_body": pull.body,
        "use_pr_template": pull.use_template,
        "auto_merge": pull.auto_merge,
    }
    default = PullRequest()
    more = {
        one.name: _plain(getattr(pull, one.name))
        for one in fields(pull)
        if one.name in ADDED_TO_STRATEGY and getattr(pull, one.name) != getattr(default, one.name)
    }
    return {key: value for key, value in words.items() if value} | more


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def _beside(options: Options) -> _Data:
    """What stands beside the strategy: deletions and OpsSight's own keys."""
    data = {key: value for key, value in options_data(options).items() if key in ADDED}
    deletions = options.deletions
    plain = deletions == Deletions(policy=deletions.policy, file=deletions.file)
    if plain and deletions.policy != "delete":
        data.pop("deletions", None)
        if deletions.policy == "record" or deletions.file != RECORD_FILE:
            check = {"enabled": deletions.policy == "record", "file": deletions.file}
            data = {"deprecation_check": check, **data}
    return data


def consolidated(files: Sequence[Named]) -> tuple[list[Flow], list[str]]:
    """The flows of several files, each once, and a sentence for whatever they are at odds about."""
    conflicts: list[str] = []
    flows: dict[Flow, str] = {}
    for file in files:
        for flow in file.loaded.parts:
            first = flows.setdefault(flow, file.name)
            if first != file.name:
                conflicts.append(f"{flow.name} is in {first} and in {file.name}; it is kept once.")
    conflicts += _same_name(flows)
    conflicts += _at_odds(flows)
    conflicts += _switched_off(files, flows)
    return list(flows), list(dict.fromkeys(conflicts))


def _same_name(flows: Mapping[Flow, str]) -> list[str]:
    """One name for different rules, in different files."""
    names: dict[str, set[str]] = {}
    for flow, file in flows.items():
        names.setdefault(flow.name, set()).add(file)
    return [
        f"{name} is the name of different rules in {join_words(sorted(files))}; give them different ones."
        for name, files in names.items()
        if len(files) > 1
    ]


def _at_odds(flows: Mapping[Flow, str]) -> list[str]:
    """Rules of different files that lead to one branch in different ways or with different words."""
    found: list[str] = []
    branches: dict[tuple[str, str], list[Flow]] = {}
    for flow in flows:
        branches.setdefault((flow.target_repo, flow.target_branch), []).append(flow)
    for (repo, branch), group in branches.items():
        kinds = {flow.options.strategy for flow in group}
        files = sorted({flows[flow] for flow in group})
        if len(kinds) > 1 and len(files) > 1:
            found.append(
                f"{repo} {branch} gets direct commits and pull requests, by {join_words(files)}; choose one."
            )
    for group_of in by_target(list(flows)):
        files = sorted({flows[flow] for flow in group_of})
        words = {(flow.message, flow.options.pull_request) for flow in group_of}
        if len(files) > 1 and len(words) > 1:
            last = group_of[-1]
            found.append(
                f"{last.target_repo} {last.target_branch} gets one commit from {last.source_repo} with "
                f"different messages or settings in {join_words(files)}; those of {last.name} count."
            )
    return found


def _switched_off(files: Sequence[Named], flows: Mapping[Flow, str]) -> list[str]:
    return [
        f"{repo} {branch} is switched off in {file.name}, and {other} copies from it."
        for file in files
        for repo, branch in file.loaded.disabled
        for other in sorted(
            {
                name
                for flow, name in flows.items()
                if (flow.source_repo, flow.source_branch) == (repo, branch) and name != file.name
            }
        )
    ]
