"""What several rules of a file mean together: which arrive as one commit, and where they are at odds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from opssight.core.words import join_words
from syncs.copy.rules.config import MAX_NAME, MAX_RULES, Flow, by_target
from syncs.copy.rules.options import PullRequest
from syncs.copy.rules.rule import Rule

_NAMED: Final = 5  # rules that one sentence names


def joined(flows: Sequence[Flow]) -> list[Flow]:
    """Flows whose every rule applies, joined where they lead to one branch in one way.

    They are then looked at in one pass. The title and messages of all are the last ones that are given,
    as they are in the commit.
    """
    texts = {id(flow): _last_texts(group) for group in by_target(flows) for flow in group}
    groups: dict[object, list[Flow]] = {}
    for index, flow in enumerate(flows):
        if flow.match == "first":
            groups[index] = [flow]
            continue
        message, pull = texts[id(flow)]
        same = replace(flow, message=message, options=replace(flow.options, pull_request=pull))
        groups.setdefault(replace(same, name="", rules=()), []).append(same)
    return [one for group in groups.values() for one in _split(group)]


def _last_texts(group: Sequence[Flow]) -> tuple[str, PullRequest]:
    pulls = [flow.options.pull_request for flow in group]
    title = next((pull.title for pull in reversed(pulls) if pull.title), "")
    body = next((pull.body for pull in reversed(pulls) if pull.body), "")
    message = next((flow.message for flow in reversed(group) if flow.message), "")
    return message, replace(pulls[-1], title=title, body=body)


def _split(group: Sequence[Flow]) -> list[Flow]:
    """The flows as one, or as few as the number of rules of one flow allows."""
    rules = tuple(rule for flow in group for rule in flow.rules)
    if len(group) == 1 or len(rules) > MAX_RULES:
        return list(group)
    return [replace(group[0], name=_joined_name(group), rules=rules)]


def _joined_name(group: Sequence[Flow]) -> str:
    name = ", ".join(_names(group))
    return name if len(name) <= MAX_NAME else _listed(group)


def warnings(flows: Sequence[Flow]) -> list[str]:
    """What is legal and probably not meant."""
    found = [text for group in by_target(flows) for text in _texts(group)]
    strategies: dict[tuple[str, ...], set[str]] = {}
    for flow in flows:
        ends = (flow.source_repo, flow.source_branch, flow.target_repo, flow.target_branch)
        strategies.setdefault(ends, set()).add(flow.options.strategy)
    for (_, _, repo, branch), kinds in strategies.items():
        if len(kinds) > 1:
            found.append(f"{repo} {branch} gets direct commits by some rules and pull requests by others.")
    return found


def _texts(group: Sequence[Flow]) -> list[str]:
    """Several rules whose commit is one, with words of their own each."""
    different = [
        word
        for word, values in (
            ("commit messages", {flow.message for flow in group}),
            ("titles", {flow.options.pull_request.title for flow in group}),
            ("texts of the pull request", {flow.options.pull_request.body for flow in group}),
            ("settings of the pull request", {_settings(flow) for flow in group}),
        )
        if len(values - {""}) > 1
    ]
    if not different:
        return []
    last = group[-1]
    return [
        f"{_listed(group)} write to {last.target_repo} {last.target_branch} as one commit and have different "
        f"{join_words(different)}; the last one of each counts."
    ]


def _settings(flow: Flow) -> PullRequest:
    return replace(flow.options.pull_request, title="", body="")


def clashes(flows: Sequence[Flow]) -> list[str]:
    """Two files that are copied to one path, as far as the rules alone show it."""
    found: list[str] = []
    for group in _by_branch(flows):
        taken: dict[str, tuple[str, Flow]] = {}
        for flow, rule in [(one, rule) for one in group for rule in one.rules]:
            if rule.type != "copy":
                continue
            before = taken.setdefault(rule.template, (rule.pattern, flow))
            if before[0] != rule.pattern and not _hidden(rule, flow):
                found.append(_collision(before, rule, flow))
    return list(dict.fromkeys(found))


def _by_branch(flows: Sequence[Flow]) -> Iterable[list[Flow]]:
    """The flows to one branch, from wherever they come and however they arrive."""
    groups: dict[tuple[str, str], list[Flow]] = {}
    for flow in flows:
        groups.setdefault((flow.target_repo, flow.target_branch), []).append(flow)
    return groups.values()


def _hidden(rule: Rule, flow: Flow) -> bool:
    """Whether an earlier rule of the flow takes the same file, so that this one never does."""
    earlier = flow.rules[: flow.rules.index(rule)]
    return flow.match == "first" and any(
        one.type == "copy" and one.pattern == rule.pattern for one in earlier
    )


def _collision(before: tuple[str, Flow], rule: Rule, flow: Flow) -> str:
    names = f"{before[1].name} and {flow.name}" if before[1].name != flow.name else flow.name
    return (
        f"{names}: {before[0]} and {rule.pattern} both go to {rule.template} in {flow.target_repo} "
        f"{flow.target_branch}; change one of the two."
    )


def constant_targets(flows: Sequence[Flow]) -> list[str]:
    """Rules that take many files and put all of them to one path."""
    return [
        f"{flow.name}: all files that {rule.pattern} takes go to {rule.template}; use ${{filename}} or "
        "another variable, unless there is only one such file."
        for flow in flows
        for rule in flow.rules
        if rule.type in ("glob", "prefix", "regex") and "${" not in rule.template
    ]


def _listed(group: Sequence[Flow]) -> str:
    names = _names(group)
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return join_words([*names[:_NAMED], *more])


def _names(group: Sequence[Flow]) -> list[str]:
    return list(dict.fromkeys(flow.name for flow in group))


def key_of(format_: str) -> str:
    """The key under which the rules of a format stand; empty where they are the whole file."""
    keys = {"legacy": "copy_rules", "main": "workflow_configs"}
    return keys.get(format_, format_ if format_ in ("sources", "workflows") else "")
