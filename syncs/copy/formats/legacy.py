"""`copy_rules`, each with its own targets: the whole of the older format, and a part of `sources`.

Every rule that takes a file applies, at each of its targets.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from opssight.core.yamlsafe import KeyPath
from syncs.copy.formats.files import Part
from syncs.copy.formats.shared import (
    ADDED,
    CommitStrategy,
    added_options,
    check_ends,
    check_rule,
    commit_strategy,
    deletions_of,
    repository_name,
)
from syncs.copy.rules.config import MAX_EXCLUDES, MAX_NAME, MAX_PATTERN, MAX_RULES, MAX_TARGETS, Flow, branch
from syncs.copy.rules.options import PullRequest
from syncs.copy.rules.reading import Reader
from syncs.copy.rules.rule import EXCLUDE_SYNTAXES, Rule, RuleType

TYPES: Final[tuple[RuleType, ...]] = ("prefix", "glob", "regex")
BATCH: Final = ("batch_by_repo", "batch_pr_config")
_KEYS: Final = ("source_repo", "source_branch", *BATCH, "copy_rules")
_BATCH_KEYS: Final = ("pr_title", "pr_body", "commit_message", "use_pr_template")
_RULE_KEYS: Final = ("name", "source_pattern", "targets")
_PATTERN_KEYS: Final = ("type", "pattern", "exclude_patterns", "exclude_syntax")
_TARGET_KEYS: Final = ("repo", "branch", "path_transform", "commit_strategy", "deprecation_check", *ADDED)


@dataclass(frozen=True)
class Rules:
    """What the rules of one source have in common. `batch`: what all its targets' requests say."""

    source: tuple[str, str]
    defaults: tuple[Part, ...] = ()
    batch: CommitStrategy | None = None


def read(
    part: Part, source: tuple[str, str] | None = None, defaults: tuple[Part, ...] = ()
) -> tuple[list[Flow], int]:
    """One flow for each rule and target, and how many rules there are; problems go to the reader.

    `source` is what a file may leave out, repository and branch; `defaults` fill up the targets.
    """
    reader = part.reader
    top = reader.mapping(part.value, part.path, _KEYS)
    repo, default = source or (None, "main")
    ends = (
        repository_name(reader, top, "source_repo", part.path, default=repo),
        branch(reader, top, "source_branch", part.path, default=default),
    )
    return read_copy_rules(part.at("copy_rules"), Rules(ends, defaults, read_batch(part)))


def read_batch(part: Part) -> CommitStrategy | None:
    """What `batch_pr_config` says, where `batch_by_repo` lets it count."""
    found = commit_strategy_of_batch(part.at("batch_pr_config"))
    holder = part.value if isinstance(part.value, Mapping) else {}
    return found if part.reader.flag(holder, "batch_by_repo", part.path) else None


def commit_strategy_of_batch(part: Part) -> CommitStrategy:
    data = part.reader.mapping({} if part.value is None else part.value, part.path, _BATCH_KEYS)
    known = {key: data[key] for key in _BATCH_KEYS if key in data}
    return commit_strategy(Part(part.reader, known, part.path, part.place), default="direct")


def read_copy_rules(part: Part, rules: Rules) -> tuple[list[Flow], int]:
    """The flows of a list of copy rules, and how many rules there are."""
    needed = "Give at least one copy rule."
    items = part.reader.items(part.value, part.path, limit=MAX_RULES, needed=needed)
    flows = [
        flow
        for index, value in enumerate(items)
        for flow in _rule(Part(part.reader, value, (*part.path, index), part.place), rules)
    ]
    return flows, len(items)


def _rule(part: Part, rules: Rules) -> Iterator[Flow]:
    reader, path = part.reader, part.path
    data = reader.mapping(part.value, path, _RULE_KEYS)
    if not isinstance(part.value, Mapping):
        return
    name = reader.text(data, "name", path, limit=MAX_NAME)
    rule = _pattern(reader, data.get("source_pattern"), (*path, "source_pattern"))
    needed = "Give at least one target."
    targets = reader.items(data.get("targets"), (*path, "targets"), limit=MAX_TARGETS, needed=needed)
    for index, value in enumerate(targets):
        target = Part(reader, value, (*path, "targets", index), part.place)
        yield replace(_target(target, path, rule, rules), name=name)


def _pattern(reader: Reader, value: object, path: KeyPath) -> Rule:
    data = reader.mapping(value, path, _PATTERN_KEYS)
    where = (*path, "exclude_patterns")
    return Rule(
        type=reader.choice(data, "type", path, TYPES),
        pattern=reader.text(data, "pattern", path, limit=MAX_PATTERN),
        template="",
        exclude=reader.texts(data.get("exclude_patterns"), where, count=MAX_EXCLUDES, limit=MAX_PATTERN),
        exclude_syntax=reader.choice(data, "exclude_syntax", path, EXCLUDE_SYNTAXES, default="regex"),
    )


def _target(part: Part, rule_path: KeyPath, rule: Rule, rules: Rules) -> Flow:
    reader, path = part.reader, part.path
    data = reader.mapping(part.value, path, _TARGET_KEYS)
    target = (
        repository_name(reader, data, "repo", path),
        branch(reader, data, "branch", path, default="main"),
    )
    check_ends(reader, path, rules.source, target)
    rule = replace(rule, template=reader.text(data, "path_transform", path, limit=MAX_PATTERN))
    names: dict[str, KeyPath] = {
        "pattern": ("source_pattern", "pattern"),
        "exclude": ("source_pattern", "exclude_patterns"),
        "template": (*path[len(rule_path) :], "path_transform"),
    }
    # the excludes are the same at every target; they are checked at the first one
    checked = rule if path[-1] == 0 else replace(rule, exclude=())
    check_rule(reader, checked, rule_path, names, "legacy")
    levels = (part, *rules.defaults)
    strategy = _strategy(levels, rules)
    return Flow(
        name="",
        source_repo=rules.source[0],
        source_branch=rules.source[1],
        rules=(rule,),
        target_repo=target[0],
        target_branch=target[1],
        match="every",
        message=strategy.message,
        flavour="legacy",
        options=strategy.options(deletions_of(levels), added_options(levels)),
    )


def _strategy(levels: tuple[Part, ...], rules: Rules) -> CommitStrategy:
    """The target's own strategy, filled up from the defaults; what a batch says takes its place."""
    own, *defaults = (level.at("commit_strategy") for level in levels)
    given = CommitStrategy("direct")
    for part in defaults:
        if part.value is not None:
            given = commit_strategy(part.quiet(), default="direct", batch=True)
            break
    found = given
    if own.value is not None:
        found = commit_strategy(own, default="direct", batch=True).filled(given)
    return _batched(found, rules.batch) if rules.batch else found


def _batched(found: CommitStrategy, batch: CommitStrategy) -> CommitStrategy:
    pull: PullRequest = replace(
        found.pull_request,
        title=batch.pull_request.title or found.pull_request.title,
        body=batch.pull_request.body or found.pull_request.body,
        use_template=batch.pull_request.use_template or found.pull_request.use_template,
    )
    return replace(found, message=batch.message or found.message, pull_request=pull)
