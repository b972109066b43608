"""`copy test` for people: one pattern, one template, or a whole file, tried on one path."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from opssight.core.command import Answer, table
from opssight.core.errors import InvalidInput
from syncs.copy.commands.opening import source_of, usable
from syncs.copy.formats.workflows import exclude_syntax_of
from syncs.copy.rules.config import Flow
from syncs.copy.rules.matching import compile_rule, compile_rules, exclude_compiles, rule_problems
from syncs.copy.rules.paths import safe_target, shown, transform
from syncs.copy.rules.rule import Rule


def tried(options: dict[str, Any]) -> Answer:
    """The answer to what the options ask. InvalidInput when they ask nothing or what cannot be read."""
    if not options["path"]:
        raise InvalidInput("Give --path, the file to try it with, or --batch for questions as JSON lines.")
    path = os.fsencode(options["path"])
    if options["file"]:
        return _file(options, path)
    if options["pattern"]:
        return _pattern(options, path)
    if options["template"]:
        return _template(options["template"], path, _variables(options["var"]))
    raise InvalidInput("Give --pattern, --template or --file to say what is tried.")


def _pattern(options: dict[str, Any], path: bytes) -> Answer:
    rule = _rule(options)
    compiled = compile_rule(rule, options["meaning"])
    excluded = compiled.excluded_by(path)
    if not compiled.pattern.matches(path):
        return _no(f"{shown(path)} does not match {rule.type} {rule.pattern}.")
    if excluded is not None:
        return _no(f"{shown(path)} matches, and is left out by {rule.exclude[excluded]}.")
    variables = compiled.variables(path)
    document: dict[str, Any] = {
        "matched": True,
        "variables": {name: value.decode("utf-8", "replace") for name, value in variables.items()},
    }
    lines = [f"{shown(path)} matches.", *(f"  {name} = {shown(value)}" for name, value in variables.items())]
    if rule.template:
        target = safe_target(compiled.target(path, variables))
        document["path"] = target.decode("utf-8", "replace")
        lines.append(f"It goes to {shown(target)}.")
    return Answer(document, "\n".join(lines))


def _no(sentence: str) -> Answer:
    return Answer({"matched": False, "variables": {}}, failed=[sentence])


def _rule(options: dict[str, Any]) -> Rule:
    exclude = tuple(options["exclude"])
    rule = Rule(
        type=options["type"],
        pattern=options["pattern"],
        template=options["template"],
        exclude=exclude,
        exclude_syntax=options["exclude_syntax"] or exclude_syntax_of(exclude),
    )
    bad = [text for text in exclude if not exclude_compiles(text, rule.exclude_syntax)]
    # a pattern alone has no target that could be wrong
    problems = [one for one in rule_problems(rule) if one[0] != "template" or rule.template]
    if problems:
        field, message = problems[0]
        raise InvalidInput(f"--exclude {bad[0]!r}: {message}" if bad else f"--{field}: {message}")
    return rule


def _template(template: str, path: bytes, variables: dict[str, bytes]) -> Answer:
    target = transform(template, path, variables)
    return Answer({"path": target.decode("utf-8", "replace")}, f"It goes to {shown(target)}.")


def _variables(texts: Sequence[str]) -> dict[str, bytes]:
    """`NAME=VALUE` arguments; one argument may hold several with commas between them."""
    found: dict[str, bytes] = {}
    for text in texts:
        for one in text.split(","):
            name, equals, value = one.partition("=")
            if not equals or not name:
                raise InvalidInput(f"--var takes NAME=VALUE, not {one!r}.")
            found[name] = os.fsencode(value)
    return found


def _file(options: dict[str, Any], path: bytes) -> Answer:
    """Every rule of a file that takes the path, and where each puts it."""
    source = source_of(options["source"])
    loaded = usable(options, options["file"], source=source)
    flows = [flow for flow in loaded.parts if source is None or flow.source_repo == source[0]]
    rows = [row for flow in flows for row in _hits(flow, path)]
    document = {"matched": bool(rows), "targets": rows}
    if not rows:
        return Answer(document, failed=[f"No rule of {options['file']} takes {shown(path)}."])
    return Answer(document, table(rows, ["rule", "source", "target", "branch", "path", "error"]))


def _hits(flow: Flow, path: bytes) -> list[dict[str, object]]:
    rules = compile_rules(flow.rules, flow.match, flow.flavour)
    rows: list[dict[str, object]] = []
    for hit in rules.hits(path):
        row: dict[str, object] = {
            "rule": flow.name,
            "source": flow.source_repo,
            "target": flow.target_repo,
            "branch": flow.target_branch,
            "path": None,
            "error": None,
        }
        try:
            target = safe_target(rules.rules[hit.rule_index].target(path, hit.variables))
            row["path"] = target.decode("utf-8", "replace")
        except InvalidInput as error:
            row["error"] = error.sentence
        rows.append(row)
    return rows
