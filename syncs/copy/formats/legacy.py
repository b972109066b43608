"""The format with one source and `copy_rules`, each with its own targets.

Every rule that takes a file applies, at each of its targets. Rules that lead to one branch in one
way become one flow, since they arrive there as one commit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from opssight.core.yamlsafe import KeyPath
from syncs.copy.config import (
    MAX_EXCLUDES,
    MAX_MESSAGE,
    MAX_NAME,
    MAX_PATTERN,
    MAX_RULES,
    MAX_TARGETS,
    Flow,
    Strategy,
    branch,
)
from syncs.copy.formats.shared import (
    check_ends,
    check_rule,
    commit_strategy,
    deprecation_check,
    repository_name,
)
from syncs.copy.reading import Reader
from syncs.copy.rule import Rule, RuleType

_STRATEGIES: Final[tuple[Strategy, ...]] = ("direct", "pull_request", "batch")
_TYPES: Final[tuple[RuleType, ...]] = ("prefix", "glob", "regex")
_KEYS: Final = ("source_repo", "source_branch", "batch_by_repo", "batch_pr_config", "copy_rules")
_BATCH_KEYS: Final = ("pr_title", "pr_body", "commit_message", "use_pr_template")
_RULE_KEYS: Final = ("name", "source_pattern", "targets")
_PATTERN_KEYS: Final = ("type", "pattern", "exclude_patterns")
_TARGET_KEYS: Final = ("repo", "branch", "path_transform", "commit_strategy", "deprecation_check")


@dataclass(frozen=True)
class _Pair:
    """One copy rule on its way to one of its targets."""

    name: str
    rule: Rule
    target: tuple[str, str]  # repository and branch
    strategy: Strategy
    message: str


def read(reader: Reader, data: object) -> tuple[list[Flow], int]:
    """The flows of a configuration and how many rules it has; problems go to the reader."""
    top = reader.mapping(data, (), _KEYS)
    source = (
        repository_name(reader, top, "source_repo", ()),
        branch(reader, top, "source_branch", (), default="main"),
    )
    message = _batch_message(reader, top.get("batch_pr_config"))
    if not reader.flag(top, "batch_by_repo", ()):
        message = ""
    needed = "Give at least one copy rule."
    rules = reader.items(top.get("copy_rules"), ("copy_rules",), limit=MAX_RULES, needed=needed)
    pairs = [
        pair
        for index, rule in enumerate(rules)
        for pair in _pairs(reader, rule, ("copy_rules", index), source)
    ]
    return _flows(reader, source, pairs, message), len(rules)


def _batch_message(reader: Reader, value: object) -> str:
    path = ("batch_pr_config",)
    data = reader.mapping(value if value is not None else {}, path, _BATCH_KEYS)
    return reader.text(data, "commit_message", path, limit=MAX_MESSAGE, default="", lines=True)


def _pairs(reader: Reader, value: object, path: KeyPath, source: tuple[str, str]) -> Iterator[_Pair]:
    data = reader.mapping(value, path, _RULE_KEYS)
    if not isinstance(value, Mapping):
        return
    name = reader.text(data, "name", path, limit=MAX_NAME)
    inner = (*path, "source_pattern")
    pattern = reader.mapping(data.get("source_pattern"), inner, _PATTERN_KEYS)
    rule = Rule(
        type=reader.choice(pattern, "type", inner, _TYPES),
        pattern=reader.text(pattern, "pattern", inner, limit=MAX_PATTERN),
        template="",
        exclude=reader.texts(
            pattern.get("exclude_patterns"),
            (*inner, "exclude_patterns"),
            count=MAX_EXCLUDES,
            limit=MAX_PATTERN,
        ),
        exclude_syntax="regex",
    )
    needed = "Give at least one target."
    targets = reader.items(data.get("targets"), (*path, "targets"), limit=MAX_TARGETS, needed=needed)
    for index, target in enumerate(targets):
        yield _pair(reader, target, path, index, _Pair(name, rule, source, "direct", ""))


def _pair(reader: Reader, value: object, rule_path: KeyPath, index: int, pair: _Pair) -> _Pair:
    """The pair for one target; `pair` brings the rule, and the source as its target so far."""
    path = (*rule_path, "targets", index)
    data = reader.mapping(value, path, _TARGET_KEYS)
    target = (
        repository_name(reader, data, "repo", path),
        branch(reader, data, "branch", path, default="main"),
    )
    check_ends(reader, path, pair.target, target)
    template = reader.text(data, "path_transform", path, limit=MAX_PATTERN)
    strategy, message = commit_strategy(
        reader, data.get("commit_strategy"), (*path, "commit_strategy"), _STRATEGIES, default="direct"
    )
    deprecation_check(reader, data.get("deprecation_check"), (*path, "deprecation_check"))
    rule = Rule(pair.rule.type, pair.rule.pattern, template, pair.rule.exclude, "regex")
    names: dict[str, KeyPath] = {
        "pattern": ("source_pattern", "pattern"),
        "exclude": ("source_pattern", "exclude_patterns"),
        "template": ("targets", index, "path_transform"),
    }
    check_rule(reader, rule, rule_path, names, "legacy")
    return _Pair(pair.name, rule, target, strategy, message)


def _flows(reader: Reader, source: tuple[str, str], pairs: list[_Pair], batch_message: str) -> list[Flow]:
    groups: dict[tuple[tuple[str, str], Strategy], list[_Pair]] = {}
    for pair in pairs:
        groups.setdefault((pair.target, pair.strategy), []).append(pair)
    return [
        _flow(reader, source, target, strategy, group, batch_message)
        for (target, strategy), group in groups.items()
    ]


def _flow(
    reader: Reader,
    source: tuple[str, str],
    target: tuple[str, str],
    strategy: Strategy,
    pairs: list[_Pair],
    batch_message: str,
) -> Flow:
    messages = list(dict.fromkeys(pair.message for pair in pairs))
    if len(messages) > 1 and not batch_message:
        names = ", ".join(dict.fromkeys(pair.name for pair in pairs))
        message = f"The rules {names} write to {target[0]} as one commit, with the message of the first."
        reader.warning(("copy_rules",), message)
    return Flow(
        name=", ".join(dict.fromkeys(pair.name for pair in pairs)),
        source_repo=source[0],
        source_branch=source[1],
        rules=tuple(pair.rule for pair in pairs),
        target_repo=target[0],
        target_branch=target[1],
        match="every",
        message=batch_message or messages[0],
        flavour="legacy",
        strategy=strategy,
    )
