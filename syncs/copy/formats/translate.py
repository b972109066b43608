"""Rules in the words of another format, with the same effect.

A prefix, a move or a glob whose variables another format does not know becomes a regular expression with a
group. What cannot be said without a difference is refused with InvalidInput.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from opssight.core.errors import InvalidInput
from syncs.copy.rules.config import MAX_EXCLUDES, MAX_PATTERN
from syncs.copy.rules.globs import glob_to_re2, static_prefix
from syncs.copy.rules.matching import unknown_variables
from syncs.copy.rules.paths import Template, as_bytes, danger
from syncs.copy.rules.rule import Flavour, Rule

_SPECIAL_IN_REGEX: Final = re.compile(r"[.^$*+?()\[\]{}|\\]")
_SPECIAL_IN_GLOB: Final = re.compile(r"[*?\[\]{}\\]")
_REST: Final = "(?P<relative_path>{})"
_GLOB_BEGIN, _GLOB_END = r"(?s)\A(?:", r")\z"


def escaped(text: str) -> str:
    """Text in RE2's syntax, every character standing for itself."""
    return _SPECIAL_IN_REGEX.sub(r"\\\g<0>", text)


def for_workflow(rule: Rule, flavour: Flavour) -> Rule:
    """The rule as a transformation: move, copy, glob or regex."""
    _check(rule, flavour)
    if rule.type == "prefix":
        return _prefix(rule)
    if rule.type != "glob" or flavour == "workflow":
        return rule
    rule = _with_pattern_in_place(rule)
    base = rule.pattern.partition("**")[0] if "**" in rule.pattern else None
    if _asks_rest(rule) and base != _folder(rule):
        return _native_glob(rule)
    return rule


def for_copy_rules(rule: Rule, flavour: Flavour) -> list[Rule]:
    """The rule as prefixes, globs and regular expressions, of which every one that takes a file applies."""
    _check(rule, flavour)
    rule = _with_excludes_as_regex(rule)
    if rule.type == "move":
        return _move(rule)
    if rule.type == "copy":
        return [replace(rule, type="glob", pattern=_glob_of(rule.pattern), template=_verbatim(rule))]
    if rule.type != "glob" or flavour == "legacy":
        return [rule]
    if flavour == "native":
        rule = _with_pattern_in_place(rule)
    if not _asks_rest(rule):
        return [rule]
    return [_native_glob(rule) if flavour == "native" else _workflow_glob(rule)]


def first_only(rules: Sequence[Rule]) -> list[Rule]:
    """The rules with excludes by which only the first that takes a file takes it.

    All of them must leave out the same files already.
    """
    if len({(rule.exclude, rule.exclude_syntax) for rule in rules}) > 1:
        raise InvalidInput(
            "Only the first rule that takes a file counts, and the rules leave out different files; copy "
            "rules cannot say that. Convert to workflows."
        )
    found: list[Rule] = []
    for index, rule in enumerate(rules):
        own = _with_excludes_as_regex(rule)
        earlier = [taken_by(one) for one in rules[:index] if _may_meet(one, rule)]
        exclude = (*own.exclude, *dict.fromkeys(earlier))
        if len(exclude) > MAX_EXCLUDES:
            raise InvalidInput(
                f"{rule.pattern}: more than {MAX_EXCLUDES} rules before it may take its files. Convert to "
                "workflows, or split the rules."
            )
        found.append(replace(own, exclude=exclude, exclude_syntax="regex"))
    return found


def taken_by(rule: Rule) -> str:
    """A regular expression that is found in exactly the paths that the rule's pattern takes."""
    match rule.type:
        case "prefix":
            return rf"\A{escaped(rule.pattern.removesuffix('/'))}"
        case "move":
            return rf"\A{escaped(rule.pattern.removesuffix('/'))}(?:/|\z)"
        case "copy":
            return rf"\A{escaped(rule.pattern)}\z"
        case "glob":
            return _bounded(glob_to_re2(rule.pattern))
        case "regex":
            return rule.pattern


def _may_meet(one: Rule, other: Rule) -> bool:
    a, b = _beginning(one), _beginning(other)
    return a.startswith(b) or b.startswith(a)


def _beginning(rule: Rule) -> str:
    """A text that every path that the rule takes begins with."""
    if rule.type == "regex":
        return ""
    if rule.type == "glob":
        return static_prefix(rule.pattern).rstrip("/")
    return rule.pattern.removesuffix("/")


def _check(rule: Rule, flavour: Flavour) -> None:
    unknown = unknown_variables(rule, flavour)
    if unknown and rule.type not in ("move", "copy"):
        raise InvalidInput(
            f"{rule.pattern}: no match gives ${{{unknown[0]}}} a value in {rule.template}; change it first."
        )


def _prefix(rule: Rule) -> Rule:
    text = rule.pattern.removesuffix("/")
    template = _filled(rule, "matched_prefix", text)
    rest = _REST.format(".*") if "relative_path" in Template(template).names else ""
    between = "/?" if rest else ""
    end = r"\z" if rest else ""
    pattern = rf"(?s)\A{escaped(text)}{between}{rest}{end}"
    return replace(rule, type="regex", pattern=_bounded(pattern), template=template)


def _move(rule: Rule) -> list[Rule]:
    text = rule.pattern.removesuffix("/")
    to = _verbatim(rule)
    folder = posixpath.normpath(to) if to else "."
    below = "${relative_path}" if folder == "." else f"{folder}/${{relative_path}}"
    pattern = rf"(?s)\A{escaped(text)}/{_REST.format('.+')}\z"
    rules = [replace(rule, type="regex", pattern=_bounded(pattern), template=below)]
    if not danger(as_bytes(to)):  # a file of that name, where it is one
        rules.append(replace(rule, type="glob", pattern=_glob_of(text), template=to))
    return rules


def _native_glob(rule: Rule) -> Rule:
    folder = _folder(rule)
    if "\\" in rule.pattern[: len(folder) + 1]:
        raise InvalidInput(f"{rule.pattern}: a glob with backslashes and ${{relative_path}} cannot be said.")
    return _with_rest(rule, folder, rule.pattern[len(folder) :])


def _workflow_glob(rule: Rule) -> Rule:
    base = rule.pattern.partition("**")[0]
    if _SPECIAL_IN_GLOB.search(base) or (base and not base.endswith("/")):
        raise InvalidInput(
            f"{rule.pattern}: ${{relative_path}} of a glob with special characters before ** cannot be said."
        )
    return _with_rest(rule, base, rule.pattern[len(base) :])


def _with_rest(rule: Rule, folder: str, rest: str) -> Rule:
    inner = glob_to_re2(rest).removeprefix(_GLOB_BEGIN).removesuffix(_GLOB_END)
    pattern = rf"(?s)\A{escaped(folder)}{_REST.format(f'(?:{inner})')}\z"
    return replace(rule, type="regex", pattern=_bounded(pattern))


def _folder(rule: Rule) -> str:
    """The folders that a glob of ours takes away for `relative_path`."""
    folder, slash, _ = static_prefix(rule.pattern).rpartition("/")
    return folder + slash


def _asks_rest(rule: Rule) -> bool:
    return "relative_path" in Template(rule.template).names


def _with_pattern_in_place(rule: Rule) -> Rule:
    return replace(rule, template=_filled(rule, "matched_pattern", rule.pattern))


def _filled(rule: Rule, name: str, value: str) -> str:
    """The template with a variable's value in its place, where the value is always the same."""
    if name in Template(rule.template).names and "${" in value:
        raise InvalidInput(f"{rule.pattern}: ${{{name}}} would read as a variable again; write it out first.")
    return rule.template.replace(f"${{{name}}}", value)


def _verbatim(rule: Rule) -> str:
    if "${" in rule.template:
        raise InvalidInput(f"{rule.template}: ${{ is plain text here, and would be read as a variable.")
    return rule.template


def _with_excludes_as_regex(rule: Rule) -> Rule:
    if not rule.exclude or rule.exclude_syntax == "regex":
        return replace(rule, exclude_syntax="regex")
    exclude = tuple(_bounded(glob_to_re2(text)) for text in rule.exclude)
    return replace(rule, exclude=exclude, exclude_syntax="regex")


def _glob_of(path: str) -> str:
    return _SPECIAL_IN_GLOB.sub(r"\\\g<0>", path)


def _bounded(pattern: str) -> str:
    if len(pattern) > MAX_PATTERN:
        raise InvalidInput(
            f"{pattern[:60]}…: the expression would have more than {MAX_PATTERN:,} characters."
        )
    return pattern
