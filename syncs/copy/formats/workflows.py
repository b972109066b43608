"""The format with `workflows`, each from one source to one destination.

The first transformation of a workflow that takes a file decides where it goes. `defaults` fill what
a workflow leaves out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from opssight.core.errors import InvalidInput
from opssight.core.yamlsafe import KeyPath
from syncs.copy.config import MAX_EXCLUDES, MAX_NAME, MAX_PATTERN, MAX_RULES, Flow, Strategy, branch
from syncs.copy.formats.shared import (
    check_ends,
    check_rule,
    commit_strategy,
    deprecation_check,
    repository_name,
)
from syncs.copy.matching import compile_exclude, exclude_compiles
from syncs.copy.messages import WORKFLOW_DEFAULT
from syncs.copy.reading import Reader
from syncs.copy.rule import EXCLUDE_SYNTAXES, ExcludeSyntax, Rule, RuleType

MAX_WORKFLOWS: Final = 100

# The keys of each transformation: which files, and where they go.
TRANSFORMATIONS: Final[dict[RuleType, tuple[str, str]]] = {
    "move": ("from", "to"),
    "copy": ("from", "to"),
    "glob": ("pattern", "transform"),
    "regex": ("pattern", "transform"),
}

_LOOKS_LIKE_REGEX: Final = re.compile(r"[\^$()|+]|\\[.dw]|\.\*")
_STRATEGIES: Final[tuple[Strategy, ...]] = ("direct", "pull_request")
_KEYS: Final = ("defaults", "workflows")
_DEFAULT_KEYS: Final = ("commit_strategy", "deprecation_check", "exclude", "exclude_syntax")
_END_KEYS: Final = ("repo", "branch", "installation_id")
_WORKFLOW_KEYS: Final = ("name", "source", "destination", "transformations", *_DEFAULT_KEYS)


def read(reader: Reader, data: object) -> tuple[list[Flow], int]:
    """The flows of a configuration and how many transformations it has; problems go to the reader."""
    top = reader.mapping(data, (), _KEYS)
    defaults = reader.mapping(top.get("defaults") or {}, ("defaults",), _DEFAULT_KEYS)
    _check_defaults(reader, defaults)
    needed = "Give at least one workflow."
    workflows = reader.items(top.get("workflows"), ("workflows",), limit=MAX_WORKFLOWS, needed=needed)
    flows: list[Flow] = []
    for index, value in enumerate(workflows):
        path = ("workflows", index)
        workflow = reader.mapping(value, path, _WORKFLOW_KEYS)
        if isinstance(value, Mapping):
            flows.append(_workflow(reader, workflow, path, defaults))
    return flows, sum(len(flow.rules) for flow in flows)


def _check_defaults(reader: Reader, defaults: Mapping[str, object]) -> None:
    strategy = defaults.get("commit_strategy")
    if not _is_reference(reader, strategy, ("defaults", "commit_strategy")):
        commit_strategy(
            reader, strategy, ("defaults", "commit_strategy"), _STRATEGIES, default="pull_request"
        )
    deprecation_check(reader, defaults.get("deprecation_check"), ("defaults", "deprecation_check"))


def _workflow(
    reader: Reader, data: Mapping[str, object], path: KeyPath, defaults: Mapping[str, object]
) -> Flow:
    name = reader.text(data, "name", path, limit=MAX_NAME)
    source = _end(reader, data, "source", path)
    target = _end(reader, data, "destination", path)
    check_ends(reader, path, source, target)
    exclude, syntax = _excludes(reader, data, path, defaults)
    rules = _transformations(reader, data, path, exclude, syntax)
    strategy, message = _strategy(reader, data, path, defaults)
    deprecation_check(reader, data.get("deprecation_check"), (*path, "deprecation_check"))
    return Flow(
        name=name,
        source_repo=source[0],
        source_branch=source[1],
        rules=rules,
        target_repo=target[0],
        target_branch=target[1],
        match="first",
        message=message or WORKFLOW_DEFAULT,
        flavour="workflow",
        strategy=strategy,
    )


def _end(reader: Reader, holder: Mapping[str, object], key: str, path: KeyPath) -> tuple[str, str]:
    """Repository and branch of a source or a destination."""
    inner = (*path, key)
    data = reader.mapping(holder.get(key), inner, _END_KEYS)
    return repository_name(reader, data, "repo", inner), branch(reader, data, "branch", inner, default="main")


def _is_reference(reader: Reader, value: object, path: KeyPath) -> bool:
    if not (isinstance(value, Mapping) and "$ref" in value):
        return False
    reader.error((*path, "$ref"), "Not supported yet: $ref. Write what it refers to in this place.")
    return True


def _strategy(
    reader: Reader, data: Mapping[str, object], path: KeyPath, defaults: Mapping[str, object]
) -> tuple[Strategy, str]:
    """The workflow's own commit strategy, filled up field by field from the defaults."""
    inner = (*path, "commit_strategy")
    # What is wrong with the defaults is reported once, at the defaults.
    kind, message = commit_strategy(
        Reader(), defaults.get("commit_strategy"), inner, _STRATEGIES, default="pull_request"
    )
    own = data.get("commit_strategy")
    if own is None or _is_reference(reader, own, inner):
        return kind, message
    own_kind, own_message = commit_strategy(reader, own, inner, _STRATEGIES, default=kind)
    return own_kind, own_message or message


def _excludes(
    reader: Reader, data: Mapping[str, object], path: KeyPath, defaults: Mapping[str, object]
) -> tuple[tuple[str, ...], ExcludeSyntax]:
    """The workflow's excludes, or else those of the defaults, and the syntax that they are in."""
    holder, inner = (data, path) if data.get("exclude") else (defaults, ("defaults",))
    where = (*inner, "exclude")
    if _is_reference(reader, holder.get("exclude"), where):
        return (), "glob"
    exclude = reader.texts(holder.get("exclude"), where, count=MAX_EXCLUDES, limit=MAX_PATTERN)
    syntax_holder, inner = (data, path) if data.get("exclude_syntax") else (defaults, ("defaults",))
    if syntax_holder.get("exclude_syntax"):
        syntax = reader.choice(syntax_holder, "exclude_syntax", inner, EXCLUDE_SYNTAXES)
        _check_excludes(reader, exclude, where, syntax)
        return exclude, syntax
    syntax = exclude_syntax_of(exclude)
    _check_excludes(reader, exclude, where, syntax)
    for index, text in enumerate(exclude):
        if syntax == "glob" and _LOOKS_LIKE_REGEX.search(text):
            message = f"{text!r} is read as a glob; set exclude_syntax: regex if it is a regular expression."
            reader.warning((*where, index), message)
    return exclude, syntax


def _check_excludes(reader: Reader, exclude: Sequence[str], path: KeyPath, syntax: ExcludeSyntax) -> None:
    for index, text in enumerate(exclude):
        try:
            compile_exclude(text, syntax)
        except InvalidInput as error:
            reader.error((*path, index), error.sentence)


def exclude_syntax_of(exclude: Sequence[str]) -> ExcludeSyntax:
    """Globs, unless one of them can only be a regular expression and all of them are one."""
    if all(exclude_compiles(text, "glob") for text in exclude):
        return "glob"
    return "regex" if all(exclude_compiles(text, "regex") for text in exclude) else "glob"


def _transformations(
    reader: Reader, data: Mapping[str, object], path: KeyPath, exclude: tuple[str, ...], syntax: ExcludeSyntax
) -> tuple[Rule, ...]:
    inner = (*path, "transformations")
    if _is_reference(reader, data.get("transformations"), inner):
        return ()
    needed = "Give at least one transformation."
    items = reader.items(data.get("transformations"), inner, limit=MAX_RULES, needed=needed)
    rules: list[Rule] = []
    for index, item in enumerate(items):
        rule = transformation(reader, item, (*inner, index))
        if rule is None:
            continue
        rules.append(replace(rule, exclude=exclude, exclude_syntax=syntax))
        pattern, template = TRANSFORMATIONS[rule.type]
        names = {"pattern": (rule.type, pattern), "template": (rule.type, template)}
        check_rule(reader, rule, (*inner, index), names, "workflow")
    return tuple(rules)


def transformation(reader: Reader, value: object, path: KeyPath) -> Rule | None:
    """One transformation as a rule; None, with an error, unless it has exactly one type."""
    data = reader.mapping(value, path, TRANSFORMATIONS)
    types = [type_ for type_ in TRANSFORMATIONS if data.get(type_) is not None]
    if len(types) != 1:
        if isinstance(value, Mapping):
            message = "Give only one of" if types else "Give one of"
            reader.error(path, f"{message} move, copy, glob or regex.")
        return None
    [type_] = types
    inner = (*path, type_)
    pattern, template = TRANSFORMATIONS[type_]
    fields = reader.mapping(data[type_], inner, (pattern, template))
    return Rule(
        type=type_,
        pattern=reader.text(fields, pattern, inner, limit=MAX_PATTERN),
        template=reader.text(fields, template, inner, limit=MAX_PATTERN),
    )
