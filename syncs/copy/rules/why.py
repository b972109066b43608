"""Why a rule takes a file or does not, in one sentence for a person."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from opssight.core.errors import InvalidInput
from syncs.copy.rules.globs import static_prefix
from syncs.copy.rules.matching import CompiledRule, compile_rule
from syncs.copy.rules.paths import as_bytes, safe_target, shown
from syncs.copy.rules.patterns import Pattern, glob, regex
from syncs.copy.rules.rule import Flavour, Match, Rule

_LONGEST_TRACED: Final = 200  # characters of a regular expression that is taken apart

# The beginning of a regular expression that stands for itself; our own pattern, not a user's.
_PLAIN: Final = re.compile(r"(?:\\[^A-Za-z0-9]|[^\\.^$*+?()\[\]{}|])+")


@dataclass(frozen=True, slots=True)
class Why:
    """What one rule says to one path. `exclude` is the text of the exclude that leaves it out."""

    rule_index: int
    verdict: Literal["takes", "too late", "refused", "left out", "no match"]
    sentence: str
    exclude: str = ""


def explain(
    rules: Sequence[Rule], path: bytes, match: Match = "first", flavour: Flavour = "native"
) -> list[Why]:
    """Why each rule takes `path` or does not, in their order.

    Raises `InvalidInput` when a pattern cannot be compiled.
    """
    answers: list[Why] = []
    taken_by: int | None = None
    for index, rule in enumerate(rules):
        if taken_by is not None and match == "first":
            sentence = f"Is not asked: rule {taken_by + 1} takes it first."
            answers.append(Why(index, "too late", sentence))
            continue
        answer = _asked(compile_rule(rule, flavour), index, path)
        if answer.verdict in ("takes", "refused"):
            taken_by = index
        answers.append(answer)
    return answers


def _asked(rule: CompiledRule, index: int, path: bytes) -> Why:
    if not rule.pattern.matches(path):
        return Why(index, "no match", _not_taken(rule.rule, path))
    excluded = rule.excluded_by(path)
    if excluded is not None:
        text = rule.rule.exclude[excluded]
        return Why(index, "left out", _left_out(text, rule.excludes[excluded], path), text)
    try:
        target = safe_target(rule.target(path, rule.variables(path)))
    except InvalidInput as error:
        return Why(index, "refused", f"Takes it, but refuses to write it: {error.sentence}")
    return Why(index, "takes", f"Takes it to {shown(target)}.")


def _left_out(exclude: str, pattern: Pattern, path: bytes) -> str:
    """The rule would take `path`, but this exclude, which is found in it, leaves it out."""
    part = _matched_part(exclude, pattern, path)
    return f"Would take it, but leaves it out: “but not” {exclude} matches {part}."


def _not_taken(rule: Rule, path: bytes) -> str:
    """What the rule looks for and does not find in `path`."""
    if rule.type == "move":
        return f"Looks only in {rule.pattern.removesuffix('/')}."
    if rule.type == "copy":
        return f"Takes only the file {rule.pattern}."
    if rule.type == "prefix":
        return _after_common(rule.pattern.removesuffix("/"), path)
    if rule.type == "glob":
        return _glob_stop(rule.pattern, path)
    return _regex_stop(rule.pattern, path)


def _matched_part(exclude: str, pattern: Pattern, path: bytes) -> str:
    """The part of `path` that an exclude means: what a regular expression finds, the names of a glob."""
    span = pattern.span(path)
    if span and span != (0, len(path)):
        return shown(path[slice(*span)])
    core = exclude.removeprefix("**/")
    below = core.endswith("/**")
    core = core.removesuffix("/**")
    width = core.count("/") + 1
    names = path.split(b"/")
    if core == exclude or "**" in core or "{" in core:
        return "it"
    part = glob(core)
    for begin in range(len(names) - width + 1):
        piece = b"/".join(names[begin : begin + width])
        if part.matches(piece):
            return shown(piece) + ("/" if below and begin + width < len(names) else "")
    return "it"


def _after_common(expected: str, path: bytes) -> str:
    """Where `path` leaves the text that it has to begin with."""
    wanted = as_bytes(expected)
    length = 0
    while length < min(len(wanted), len(path)) and wanted[length] == path[length]:
        length += 1
    begin = path[:length].rfind(b"/") + 1
    return _stop(path, length, begin, shown(wanted[begin:]))


def _stop(path: bytes, length: int, begin: int, expected: str) -> str:
    """`length` bytes of the path fit; `expected` is what is missing from `begin` on."""
    if length == 0:
        return f"Stops at the first letter: {expected} expected."
    if begin == 0:
        return f"Does not begin with {expected}."
    return f"Stops after {shown(path[:begin])}: {expected} expected."


def _glob_stop(pattern: str, path: bytes) -> str:
    plain = static_prefix(pattern)
    if not path.startswith(as_bytes(plain)):
        return _after_common(plain, path)
    begun, slash, rest = pattern.rpartition("/")
    if not slash or {"{", "[", "\\"}.intersection(pattern):
        return f"Does not fit {pattern}."
    if begun.split("/")[-1] == "**" and glob(f"{begun}/*").matches(path):
        return f"Ends in {shown(path.rpartition(b'/')[2])}: {rest} expected."
    parts = pattern.split("/")
    for count in range(len(parts) - 1, 0, -1):
        begun = "/".join(parts[:count])
        if parts[count - 1] != "**" and glob(f"{begun}/**").matches(path):
            return f"Fits {begun}/ and stops there: {'/'.join(parts[count:])} expected."
    return f"Does not fit {pattern}."


def _regex_stop(pattern: str, path: bytes) -> str:
    """Finds the longest beginning of the pattern that still matches, and what should follow."""
    if not pattern.startswith("^") or "|" in pattern or len(pattern) > _LONGEST_TRACED:
        return f"{pattern} is found nowhere in it."
    # `^` alone matches every path, so one beginning always does.
    spans = ((length, _span_of(pattern[:length], path)) for length in range(len(pattern) - 1, 0, -1))
    length, span = next((length, span) for length, span in spans if span)
    return _stopped_at(pattern, length, span[1], path)


def _stopped_at(pattern: str, length: int, end: int, path: bytes) -> str:
    """`length` characters of the pattern fit the first `end` bytes of the path."""
    for plain in _PLAIN.finditer(pattern):
        if plain.start() <= length < plain.end():
            begun = _span_of(pattern[: plain.start()], path)
            begin = begun[1] if begun else 0
            return _stop(path, end, begin, plain.group().replace("\\", ""))
    return _stop(path, end, end, pattern[length:])


def _span_of(beginning: str, path: bytes) -> tuple[int, int] | None:
    try:
        return regex(beginning).span(path)
    except InvalidInput:
        return None
