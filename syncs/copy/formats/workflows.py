"""The format with `workflows`, each from one source to one destination.

The first transformation of a workflow that takes a file decides where it goes. `defaults` fill what
a workflow leaves out; a main file's defaults fill what those of a file leave out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from opssight.core.errors import InvalidInput
from opssight.core.yamlsafe import KeyPath
from syncs.copy.formats.files import Files, Part
from syncs.copy.formats.shared import (
    ADDED,
    CommitStrategy,
    added_options,
    check_ends,
    check_rule,
    commit_strategy,
    deletions_of,
    deprecation_check,
    ignore_installation,
    repository_name,
)
from syncs.copy.rules.config import MAX_EXCLUDES, MAX_NAME, MAX_PATTERN, MAX_RULES, Flow, branch
from syncs.copy.rules.matching import compile_exclude, exclude_compiles
from syncs.copy.rules.messages import WORKFLOW_DEFAULT
from syncs.copy.rules.reading import Reader
from syncs.copy.rules.rule import EXCLUDE_SYNTAXES, ExcludeSyntax, Rule, RuleType

MAX_WORKFLOWS: Final = 100

# The keys of each transformation: which files, and where they go.
TRANSFORMATIONS: Final[dict[RuleType, tuple[str, str]]] = {
    "move": ("from", "to"),
    "copy": ("from", "to"),
    "glob": ("pattern", "transform"),
    "regex": ("pattern", "transform"),
}

_OWN_EXCLUDES: Final = ("exclude", "exclude_syntax")  # of one transformation: OpsSight's own

_LOOKS_LIKE_REGEX: Final = re.compile(r"[\^$()|+]|\\[.dw]|\.\*")
_KEYS: Final = ("defaults", "workflows")
DEFAULT_KEYS: Final = ("commit_strategy", "deprecation_check", "exclude", "exclude_syntax", *ADDED)
_END_KEYS: Final = ("repo", "branch", "installation_id")
_WORKFLOW_KEYS: Final = ("name", "source", "destination", "transformations", *DEFAULT_KEYS)


@dataclass(frozen=True)
class Around:
    """What a workflow gets from around it: further files, defaults (the nearest first), and its source.

    `source` is repository and branch of the file, where a main file says that workflows may leave
    them out.
    """

    files: Files
    defaults: tuple[Part, ...] = ()
    source: tuple[str, str] | None = None


def read(part: Part, around: Around) -> tuple[list[Flow], int]:
    """The flows of a file and how many transformations it has; problems go to the reader."""
    top = part.reader.mapping(part.value, part.path, _KEYS)
    own = read_defaults(part.at("defaults"), around.files)
    around = replace(around, defaults=(own, *around.defaults))
    return read_workflows(
        Part(part.reader, top.get("workflows"), (*part.path, "workflows"), part.place), around
    )


def read_workflows(part: Part, around: Around) -> tuple[list[Flow], int]:
    """The flows of a list of workflows."""
    needed = "Give at least one workflow."
    workflows = part.reader.items(part.value, part.path, limit=MAX_WORKFLOWS, needed=needed)
    flows: list[Flow] = []
    for index, value in enumerate(workflows):
        path = (*part.path, index)
        part.reader.mapping(value, path, _WORKFLOW_KEYS)
        if isinstance(value, Mapping):
            flow = _workflow(Part(part.reader, value, path, part.place), around)
            if flow.name in {other.name for other in flows}:
                message = (
                    f"{flow.name!r} is the name of another workflow too; history cannot tell them apart."
                )
                part.reader.warning((*path, "name"), message)
            flows.append(flow)
    return flows, sum(len(flow.rules) for flow in flows)


def read_defaults(part: Part, files: Files) -> Part:
    """The defaults of a file, checked once where they stand; `$ref`s in them are resolved."""
    data = part.reader.mapping(part.value or {}, part.path, DEFAULT_KEYS)
    part = Part(part.reader, data, part.path, part.place)
    strategy = files.resolved(part.at("commit_strategy"))
    if strategy is not None:
        commit_strategy(strategy, default="pull_request")
    if data.get("deprecation_check") is not None:
        deprecation_check(part.at("deprecation_check"))
    added_options([part])
    return part


def _workflow(part: Part, around: Around) -> Flow:
    reader, path = part.reader, part.path
    assert isinstance(part.value, Mapping)  # noqa: S101 - others were reported and left out
    name = reader.text(part.value, "name", path, limit=MAX_NAME)
    source = _end(part.at("source"), around.source)
    target = _end(part.at("destination"), None)
    check_ends(reader, path, source, target)
    levels = (part, *around.defaults)
    exclude, syntax = _excludes(levels, around.files)
    rules = _transformations(part.at("transformations"), around.files, exclude, syntax)
    strategy = _strategy(levels, around.files)
    return Flow(
        name=name,
        source_repo=source[0],
        source_branch=source[1],
        rules=rules,
        target_repo=target[0],
        target_branch=target[1],
        match="first",
        message=strategy.message or WORKFLOW_DEFAULT,
        flavour="workflow",
        options=strategy.options(deletions_of(levels), added_options(levels)),
    )


def _end(part: Part, inferred: tuple[str, str] | None) -> tuple[str, str]:
    """Repository and branch of a source or a destination; what is left out has the value of the file."""
    value = {} if part.value is None and inferred else part.value
    data = part.reader.mapping(value, part.path, _END_KEYS)
    ignore_installation(part.reader, data, part.path)
    repo, default = inferred or (None, "main")
    return (
        repository_name(part.reader, data, "repo", part.path, default=repo),
        branch(part.reader, data, "branch", part.path, default=default),
    )


def _strategy(levels: Sequence[Part], files: Files) -> CommitStrategy:
    """The workflow's own commit strategy, filled up from the nearest default one, which counts whole."""
    given = CommitStrategy("pull_request")
    for level in levels[1:]:
        part = level.at("commit_strategy").quiet()
        found = files.resolved(part) if part.value is not None else None
        if found is not None:
            given = commit_strategy(found, default="pull_request")
            break
    own = levels[0].at("commit_strategy")
    part_of_own = files.resolved(own) if own.value is not None else None
    if part_of_own is None:
        return given
    return commit_strategy(part_of_own, default="pull_request").filled(given)


@dataclass(frozen=True)
class _Excludes:
    """A list of excludes, and the level that it stands at."""

    part: Part
    level: int
    texts: tuple[str, ...] = field(default=())


def _excludes(levels: Sequence[Part], files: Files) -> tuple[tuple[str, ...], ExcludeSyntax]:
    """The first list of excludes that is not empty, and the syntax that it is in."""
    found = _nearest_excludes(levels, files)
    if found is None:
        return (), "glob"
    reader, where, exclude = found.part.reader, found.part.path, found.texts
    for level in (levels[0], *levels[found.level :], *levels[1:]):
        if level.at("exclude_syntax").value and isinstance(level.value, Mapping):
            syntax = level.reader.choice(level.value, "exclude_syntax", level.path, EXCLUDE_SYNTAXES)
            _check_excludes(reader, exclude, where, syntax)
            return exclude, syntax
    syntax = exclude_syntax_of(exclude)
    _check_excludes(reader, exclude, where, syntax)
    for index, text in enumerate(exclude):
        if syntax == "glob" and _LOOKS_LIKE_REGEX.search(text):
            message = f"{text!r} is read as a glob; set exclude_syntax: regex if it is a regular expression."
            reader.warning((*where, index), message)
    return exclude, syntax


def _nearest_excludes(levels: Sequence[Part], files: Files) -> _Excludes | None:
    for index, level in enumerate(levels):
        part = files.resolved(level.at("exclude"))
        if part is None:
            return None
        texts = part.reader.texts(part.value, part.path, count=MAX_EXCLUDES, limit=MAX_PATTERN)
        if texts or part.value not in (None, []):
            return _Excludes(part, index, texts)
    return None


def _check_excludes(reader: Reader, exclude: Sequence[str], path: KeyPath, syntax: ExcludeSyntax) -> None:
    for index, text in enumerate(exclude):
        if problem := _exclude_problem(text, syntax):
            reader.error((*path, index), problem)


@lru_cache(maxsize=1_000)
def _exclude_problem(text: str, syntax: ExcludeSyntax) -> str:
    """Why an exclude cannot be read; empty when it can. The defaults' ones are asked for at each workflow."""
    try:
        compile_exclude(text, syntax)
    except InvalidInput as error:
        return error.sentence
    return ""


@lru_cache(maxsize=100)
def exclude_syntax_of(exclude: tuple[str, ...]) -> ExcludeSyntax:
    """Globs, unless one of them can only be a regular expression and all of them are one."""
    if all(exclude_compiles(text, "glob") for text in exclude):
        return "glob"
    return "regex" if all(exclude_compiles(text, "regex") for text in exclude) else "glob"


def _transformations(
    given: Part, files: Files, exclude: tuple[str, ...], syntax: ExcludeSyntax
) -> tuple[Rule, ...]:
    part = files.resolved(given)
    if part is None:
        return ()
    needed = "Give at least one transformation."
    items = part.reader.items(part.value, part.path, limit=MAX_RULES, needed=needed)
    rules: list[Rule] = []
    for index, item in enumerate(items):
        path = (*part.path, index)
        rule = transformation(part.reader, item, path)
        if rule is None:
            continue
        if not rule.exclude:
            rule = replace(rule, exclude=exclude, exclude_syntax=syntax)
        rules.append(rule)
        pattern, template = TRANSFORMATIONS[rule.type]
        names: dict[str, KeyPath] = {"pattern": (rule.type, pattern), "template": (rule.type, template)}
        check_rule(part.reader, replace(rule, exclude=()), path, names, "workflow")
    return tuple(rules)


def transformation(reader: Reader, value: object, path: KeyPath) -> Rule | None:
    """One transformation as a rule; None, with an error, unless it has exactly one type.

    Excludes of its own take the place of those of its workflow.
    """
    data = reader.mapping(value, path, (*TRANSFORMATIONS, *_OWN_EXCLUDES))
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
    where = (*path, "exclude")
    exclude = reader.texts(data.get("exclude"), where, count=MAX_EXCLUDES, limit=MAX_PATTERN)
    guess = exclude_syntax_of(exclude)
    syntax = reader.choice(data, "exclude_syntax", path, EXCLUDE_SYNTAXES, default=guess)
    _check_excludes(reader, exclude, where, syntax)
    return Rule(
        type=type_,
        pattern=reader.text(fields, pattern, inner, limit=MAX_PATTERN),
        template=reader.text(fields, template, inner, limit=MAX_PATTERN),
        exclude=exclude,
        exclude_syntax=syntax,
    )
