"""`copy test --batch`: one question in JSON, one answer; see the operations below.

Every line gets an answer, whatever stands in it: `{"error": "…"}` when the question makes no sense
or what it asks about is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, cast

from opssight.core.errors import InvalidInput
from syncs.copy.formats import load, load_data
from syncs.copy.formats.workflows import exclude_syntax_of, transformation
from syncs.copy.rules.matching import compile_rule, compile_rules, exclude_compiles
from syncs.copy.rules.messages import render_message
from syncs.copy.rules.paths import safe_target, transform
from syncs.copy.rules.reading import Reader
from syncs.copy.rules.rule import ExcludeSyntax, Rule, RuleType

Reply = dict[str, object]

MAX_LINE: Final = 1_000_000  # characters

_PATTERN_TYPES: Final = ("prefix", "glob", "regex")


def answer(line: str) -> Reply:
    """The answer to one line; never raises for what stands in it."""
    try:
        question = _question(line)
        name = question.get("op")
        operation = _OPERATIONS.get(name) if isinstance(name, str) else None
        if operation is None:
            return {"error": f"op is one of {', '.join(_OPERATIONS)}."}
        return operation(question)
    except InvalidInput as error:
        return {"error": error.sentence}


def _question(line: str) -> Mapping[str, object]:
    if len(line) > MAX_LINE:
        raise InvalidInput(f"The line is longer than {MAX_LINE:,} characters.")
    try:
        question = json.loads(line)
        # Escapes can make half a character, which no answer could be written with.
        json.dumps(question, ensure_ascii=False).encode("utf-8")
    except RecursionError:
        raise InvalidInput("The line is nested too deeply.") from None
    except ValueError:
        raise InvalidInput("The line is not JSON.") from None
    if not isinstance(question, dict):
        raise InvalidInput("The line is not a JSON object.")
    return question


def _pattern(question: Mapping[str, object]) -> Reply:
    """Whether one pattern of the legacy format takes a path, and its variables."""
    type_ = _text(question, "type")
    if type_ not in _PATTERN_TYPES:
        raise InvalidInput(f"type is one of {', '.join(_PATTERN_TYPES)}.")
    rule = Rule(cast("RuleType", type_), _text(question, "pattern"), "", _usable(question, "regex"), "regex")
    path = _text(question, "path").encode()
    compiled = compile_rule(rule, "legacy")
    if not compiled.pattern.matches(path) or compiled.excluded_by(path) is not None:
        return {"matched": False, "variables": {}}
    variables = {name: value.decode() for name, value in compiled.variables(path).items()}
    return {"matched": True, "variables": variables}


def _transform(question: Mapping[str, object]) -> Reply:
    variables = {name: value.encode() for name, value in _values(question, "variables").items()}
    path = transform(_text(question, "template"), _text(question, "path").encode(), variables)
    return {"path": path.decode("utf-8", "replace")}


def _workflow(question: Mapping[str, object]) -> Reply:
    """Where the transformations of one workflow put a path; an empty path when none takes it."""
    reader = Reader()
    items = reader.items(question.get("transformations"), ("transformations",), limit=1_000)
    found = [transformation(reader, item, ("transformations", index)) for index, item in enumerate(items)]
    if reader.errors:
        where, message = reader.errors[0]
        raise InvalidInput(f"{where}: {message}")
    exclude = _texts(question, "exclude")
    syntax = exclude_syntax_of(exclude)
    usable = tuple(text for text in exclude if exclude_compiles(text, syntax))
    rules = [
        rule if rule.exclude else replace(rule, exclude=usable, exclude_syntax=syntax)
        for rule in found
        if rule is not None
    ]
    path = _text(question, "path").encode()
    compiled = compile_rules(rules, "first", "workflow")
    for hit in compiled.hits(path):
        target = safe_target(compiled.rules[hit.rule_index].target(path, hit.variables))
        return {"matched": True, "path": target.decode()}
    return {"matched": False, "path": ""}


def _message(question: Mapping[str, object]) -> Reply:
    values = _values(question, "context")
    return {"text": render_message(_text(question, "template"), values)}


def _config(question: Mapping[str, object]) -> Reply:
    config = question.get("config")
    loaded = load(config) if isinstance(config, str) else load_data(config)
    errors = [{"where": where, "message": message} for where, message in loaded.errors]
    return {"valid": not errors, "errors": errors}


_OPERATIONS: Final[dict[str, Callable[[Mapping[str, object]], Reply]]] = {
    "pattern": _pattern,
    "transform": _transform,
    "workflow": _workflow,
    "message": _message,
    "config": _config,
}


def _usable(question: Mapping[str, object], syntax: ExcludeSyntax) -> tuple[str, ...]:
    """The excludes that can be read; at match time the others are passed over."""
    return tuple(text for text in _texts(question, "exclude") if exclude_compiles(text, syntax))


def _text(question: Mapping[str, object], key: str) -> str:
    value = question.get(key)
    if not isinstance(value, str):
        raise InvalidInput(f"{key} takes text.")
    return value


def _texts(question: Mapping[str, object], key: str) -> tuple[str, ...]:
    value = question.get(key) or []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidInput(f"{key} takes a list of texts.")
    return tuple(value)


def _values(question: Mapping[str, object], key: str) -> dict[str, str]:
    """Names with their values as text; null is nothing."""
    value = question.get(key) or {}
    if not isinstance(value, dict):
        raise InvalidInput(f"{key} takes names and values.")
    return {name: "" if one is None else str(one) for name, one in value.items()}
