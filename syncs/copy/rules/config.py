"""What a copy job is told to do: the one frozen schema that files, forms and the API share.

`parse_config` and `to_data` turn plain data into it and back without loss. A `Flow` is the unit
that is planned: the rules that lead from one source branch to one target branch. Configurations
of other formats become flows as well, see `syncs.copy.formats`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from opssight.core.errors import InvalidInput
from opssight.core.yamlsafe import Document, KeyPath
from syncs.copy.rules.listening import LISTEN_KEYS, Listening, listening_data, read_listening
from syncs.copy.rules.matching import compile_rule, rule_problems, unknown_variables
from syncs.copy.rules.options import OPTION_KEYS, Options, options_data, read_options
from syncs.copy.rules.paths import BUILT_IN
from syncs.copy.rules.reading import Reader
from syncs.copy.rules.rule import EXCLUDE_SYNTAXES, MATCHES, RULE_TYPES, Flavour, Match, Rule

MAX_RULES: Final = 100
MAX_TARGETS: Final = 20
MAX_EXCLUDES: Final = 100  # for one rule
MAX_PATTERN: Final = 1_000  # characters; templates and excludes too
MAX_NAME: Final = 200
MAX_REPOSITORY: Final = 300
MAX_BRANCH: Final = 255
MAX_MESSAGE: Final = 10_000

DEFAULT_MESSAGE: Final = "Update files from ${source_repo}"


@dataclass(frozen=True)
class Target:
    """A branch that is written to. `repository` is a UUID in the database, owner/name in a file.

    An empty branch is the repository's default branch; who saves the rule fills it in.
    """

    repository: str
    branch: str = ""


@dataclass(frozen=True)
class CopyConfig:
    """A whole copy job. `match`: the first rule that takes a file decides, or every one that does."""

    name: str
    source_repository: str
    source_branch: str  # empty: the repository's default branch
    rules: tuple[Rule, ...]
    targets: tuple[Target, ...]
    message: str = ""  # template of the commit message; empty: the default
    match: Match = "first"
    options: Options = field(default_factory=Options)
    listening: Listening = field(default_factory=Listening)


@dataclass(frozen=True)
class Flow:
    """Rules from one source branch to one target branch, and how the changes arrive there.

    `flavour` decides which variables a glob gives.
    """

    name: str
    source_repo: str
    source_branch: str
    rules: tuple[Rule, ...]
    target_repo: str
    target_branch: str
    match: Match = "first"
    message: str = ""
    flavour: Flavour = "native"
    options: Options = field(default_factory=Options)


def flows(config: CopyConfig) -> list[Flow]:
    """One flow for each target, in the order of the targets."""
    return [
        Flow(
            name=config.name,
            source_repo=config.source_repository,
            source_branch=config.source_branch,
            rules=config.rules,
            target_repo=target.repository,
            target_branch=target.branch,
            match=config.match,
            message=config.message or DEFAULT_MESSAGE,
            options=config.options,
        )
        for target in config.targets
    ]


def by_target(flows: Sequence[Flow]) -> list[tuple[Flow, ...]]:
    """The flows from one branch to one branch in one way: they are planned and committed as one."""
    groups: dict[tuple[str, ...], list[Flow]] = {}
    for flow in flows:
        ends = (flow.source_repo, flow.source_branch, flow.target_repo, flow.target_branch)
        groups.setdefault((*ends, flow.options.strategy), []).append(flow)
    return [tuple(group) for group in groups.values()]


def parse_config(data: object, document: Document | None = None) -> CopyConfig:
    """The configuration in plain data; `to_data` gives its shape.

    `document` is what the data was read from, so that problems name their line. Raises `InvalidInput`
    with every problem found; where is a path like `rules[2].pattern`.
    """
    reader = Reader(document, unknown="error")
    top = reader.mapping(data, (), _KEYS)
    if not isinstance(data, Mapping):
        raise InvalidInput(summary(reader.errors), reader.errors)
    source = reader.mapping(top.get("source"), ("source",), ("repository", "branch"))
    config = CopyConfig(
        name=reader.text(top, "name", (), limit=MAX_NAME),
        source_repository=reader.text(source, "repository", ("source",), limit=MAX_REPOSITORY),
        source_branch=branch(reader, source, "branch", ("source",), default=""),
        rules=read_rules(reader, top.get("rules"), ("rules",)),
        targets=_targets(reader, top.get("targets")),
        message=reader.text(top, "message", (), limit=MAX_MESSAGE, default="", lines=True),
        match=reader.choice(top, "match", (), MATCHES, default="first"),
        options=read_options(reader, top),
        listening=read_listening(reader, top),
    )
    _check_targets(reader, config)
    if reader.errors:
        raise InvalidInput(summary(reader.errors), reader.errors)
    return config


def to_data(config: CopyConfig) -> dict[str, object]:
    """Plain data that `parse_config` takes back: dicts, lists and text. Defaults are left out."""
    data: dict[str, object] = {
        "name": config.name,
        "source": {"repository": config.source_repository, "branch": config.source_branch},
        "rules": [rule_data(rule) for rule in config.rules],
        "targets": [{"repository": target.repository, "branch": target.branch} for target in config.targets],
    }
    if config.message:
        data["message"] = config.message
    if config.match != "first":
        data["match"] = config.match
    return data | options_data(config.options) | listening_data(config.listening)


def branch(reader: Reader, holder: Mapping[str, object], key: str, path: KeyPath, *, default: str) -> str:
    """The name of a branch, checked by git's rules."""
    name = reader.text(holder, key, path, limit=MAX_BRANCH, default=default)
    if name and not is_branch_name(name):
        reader.error((*path, key), f"{name!r} is not a name that a branch can have.")
    return name


def is_branch_name(name: str) -> bool:
    """Whether git takes `name` as the name of a branch."""
    parts = name.split("/")
    return (
        not _NOT_IN_BRANCH.search(name)
        and not name.startswith("-")
        and not name.endswith(".")
        and name not in ("@", "HEAD")
        and all(part and not part.startswith(".") and not part.endswith(".lock") for part in parts)
    )


def add_rule_problems(reader: Reader, rule: Rule, path: KeyPath, names: Mapping[str, KeyPath]) -> bool:
    """Reports what is wrong with a rule; `names` tells where each of its fields stands below `path`.

    Whether the rule can be compiled and its target is safe.
    """
    problems = rule_problems(rule)
    for place_name, message in problems:
        name, _, index = place_name.removesuffix("]").partition("[")
        place = (*path, *names[name])
        reader.error((*place, int(index)) if index else place, message)
    return not problems


_NOT_IN_BRANCH: Final = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{")
_KEYS: Final = ("name", "source", "rules", "targets", "message", "match", *OPTION_KEYS, *LISTEN_KEYS)
_RULE_KEYS: Final = ("type", "pattern", "template", "exclude", "exclude_syntax")


def read_rules(reader: Reader, value: object, path: KeyPath, *, strict: bool = True) -> tuple[Rule, ...]:
    """The list of rules at `path`. `strict`: a template may only name variables that a match gives."""
    items = reader.items(value, path, limit=MAX_RULES, needed="Give at least one rule.")
    return tuple(_rule(reader, item, (*path, index), strict=strict) for index, item in enumerate(items))


def _rule(reader: Reader, value: object, path: KeyPath, *, strict: bool) -> Rule:
    before = len(reader.errors)
    data = reader.mapping(value, path, _RULE_KEYS)
    rule = Rule(
        type=reader.choice(data, "type", path, RULE_TYPES),
        pattern=reader.text(data, "pattern", path, limit=MAX_PATTERN),
        template=reader.text(data, "template", path, limit=MAX_PATTERN),
        exclude=reader.texts(data.get("exclude"), (*path, "exclude"), count=MAX_EXCLUDES, limit=MAX_PATTERN),
        exclude_syntax=reader.choice(data, "exclude_syntax", path, EXCLUDE_SYNTAXES, default="glob"),
    )
    if len(reader.errors) > before:
        return rule
    names: dict[str, KeyPath] = {key: (key,) for key in _RULE_KEYS}
    if add_rule_problems(reader, rule, path, names) and strict:
        for name in unknown_variables(rule):
            reader.error((*path, "template"), f"${{{name}}} has no value here; {_offered(rule)}")
    return rule


def _offered(rule: Rule) -> str:
    if rule.type in ("move", "copy"):
        return f"the target of a {rule.type} rule is taken as it stands."
    names = sorted(compile_rule(rule).given() | set(BUILT_IN))
    return f"use {', '.join(f'${{{name}}}' for name in names)}."


def _targets(reader: Reader, value: object) -> tuple[Target, ...]:
    items = reader.items(value, ("targets",), limit=MAX_TARGETS, needed="Give at least one target.")
    return tuple(read_target(reader, item, ("targets", index)) for index, item in enumerate(items))


def read_target(reader: Reader, value: object, path: KeyPath) -> Target:
    data = reader.mapping(value, path, ("repository", "branch"))
    return Target(
        repository=reader.text(data, "repository", path, limit=MAX_REPOSITORY),
        branch=branch(reader, data, "branch", path, default=""),
    )


def _check_targets(reader: Reader, config: CopyConfig) -> None:
    seen: set[Target] = set()
    for index, target in enumerate(config.targets):
        # A blank form has no repository at either end; that is not the same branch twice.
        if target.repository and target == Target(config.source_repository, config.source_branch):
            reader.error(("targets", index), "This is the branch that the files come from; use another one.")
        if target in seen:
            reader.error(("targets", index), "This target stands twice; keep one.")
        seen.add(target)


def rule_data(rule: Rule) -> dict[str, object]:
    data: dict[str, object] = {"type": rule.type, "pattern": rule.pattern, "template": rule.template}
    if rule.exclude:
        data["exclude"] = list(rule.exclude)
    if rule.exclude_syntax != "glob":
        data["exclude_syntax"] = rule.exclude_syntax
    return data


def summary(errors: list[tuple[str, str]]) -> str:
    where, message = errors[0]
    more = f" There are {len(errors) - 1} more problems." if len(errors) > 1 else ""
    return f"{where}: {message}{more}" if where else f"{message}{more}"
