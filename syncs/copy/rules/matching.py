"""Which files a set of rules takes, and where each of them goes.

Everything is compiled once and works on bytes. What a rule takes and which variables it gives to its
template is the same as in the formats that are read from files:

prefix  begins with the pattern, folder or not; `matched_prefix` (without a slash at its end), `relative_path`
glob    see `syncs.copy.rules.globs`; `matched_pattern` (legacy), `relative_path` (workflow), both (native)
regex   found anywhere; its named groups
move    the file or folder of that name; below the folder the rest of the path is kept
copy    exactly that file
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from opssight.core.errors import InvalidInput
from syncs.copy.rules.globs import static_prefix
from syncs.copy.rules.paths import BUILT_IN, Template, as_bytes, danger, join_clean
from syncs.copy.rules.patterns import Pattern, PatternSet, glob, literal, regex
from syncs.copy.rules.rule import ExcludeSyntax, Flavour, Match, Rule

Variables = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule that takes a path, by its index, and the variables that its pattern gives."""

    rule_index: int
    variables: Variables


class CompiledRule(ABC):
    """One rule, ready to be asked. Raises `InvalidInput` when its pattern cannot be compiled."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.pattern = self.compile_pattern(rule.pattern)
        self.template = Template(rule.template)
        self.excludes = [compile_exclude(text, rule.exclude_syntax) for text in rule.exclude]
        self._exclude_set = PatternSet(self.excludes)

    @abstractmethod
    def compile_pattern(self, text: str) -> Pattern:
        """A pattern that is found in exactly the paths that the rule takes."""

    @abstractmethod
    def given(self) -> frozenset[str]:
        """The names of the variables that the pattern can give."""

    @abstractmethod
    def variables(self, path: bytes) -> Variables:
        """What the pattern gives for a path that it takes."""

    def target(self, path: bytes, variables: Variables) -> bytes:
        """Where a path that is taken goes, unchecked. Raises `InvalidInput`: a variable has no value."""
        return self.template.render(path, variables)

    def excluded_by(self, path: bytes) -> int | None:
        """The index of the first exclude that leaves `path` out."""
        if not self.excludes:
            return None
        return next(iter(self._exclude_set.which(path)), None)


class PrefixRule(CompiledRule):
    def compile_pattern(self, text: str) -> Pattern:
        self._prefix = as_bytes(text.removesuffix("/"))
        return literal(text.removesuffix("/"))

    def given(self) -> frozenset[str]:
        return frozenset({"matched_prefix", "relative_path"})

    def variables(self, path: bytes) -> Variables:
        rest = path[len(self._prefix) :].removeprefix(b"/")
        return {"matched_prefix": self._prefix, "relative_path": rest}


class GlobRule(CompiledRule):
    """A glob. Its `relative_path` is what follows the text before `**`, where the path begins so."""

    def compile_pattern(self, text: str) -> Pattern:
        self._base = as_bytes(text.partition("**")[0]) if "**" in text else None
        return glob(text)

    def given(self) -> frozenset[str]:
        return frozenset() if self._base is None else frozenset({"relative_path"})

    def variables(self, path: bytes) -> Variables:
        if self._base is None or not path.startswith(self._base):
            return {}
        return {"relative_path": path[len(self._base) :].removeprefix(b"/")}


class LegacyGlobRule(CompiledRule):
    def compile_pattern(self, text: str) -> Pattern:
        self._matched = as_bytes(text)
        return glob(text)

    def given(self) -> frozenset[str]:
        return frozenset({"matched_pattern"})

    def variables(self, path: bytes) -> Variables:
        return {"matched_pattern": self._matched}


class NativeGlobRule(LegacyGlobRule):
    """A glob of ours. Its `relative_path` begins after the last folder that holds no special character."""

    def compile_pattern(self, text: str) -> Pattern:
        folder, slash, _ = static_prefix(text).rpartition("/")
        self._folder = as_bytes(folder + slash)
        return super().compile_pattern(text)

    def given(self) -> frozenset[str]:
        return frozenset({"matched_pattern", "relative_path"})

    def variables(self, path: bytes) -> Variables:
        given = super().variables(path)
        if path.startswith(self._folder):
            given["relative_path"] = path[len(self._folder) :]
        return given


class RegexRule(CompiledRule):
    def compile_pattern(self, text: str) -> Pattern:
        return regex(text)

    def given(self) -> frozenset[str]:
        return frozenset(self.pattern.group_names)

    def variables(self, path: bytes) -> Variables:
        return self.pattern.find(path) or {}


class VerbatimRule(CompiledRule):
    """A rule whose template is a path, taken as it stands."""

    def given(self) -> frozenset[str]:
        return frozenset()

    def variables(self, path: bytes) -> Variables:
        return {}

    def target(self, path: bytes, variables: Variables) -> bytes:
        return as_bytes(self.rule.template)


class MoveRule(VerbatimRule):
    """Moves a file, or everything below a folder."""

    def compile_pattern(self, text: str) -> Pattern:
        self._from = as_bytes(text.removesuffix("/"))
        return literal(text.removesuffix("/"), end=r"(?:/|\z)")

    def target(self, path: bytes, variables: Variables) -> bytes:
        if path == self._from:
            return super().target(path, variables)
        return join_clean(self.rule.template, path[len(self._from) + 1 :])


class ExactRule(VerbatimRule):
    """Copies one file."""

    def compile_pattern(self, text: str) -> Pattern:
        return literal(text, end=r"\z")


_KINDS: Final[dict[str, type[CompiledRule]]] = {
    "prefix": PrefixRule,
    "regex": RegexRule,
    "move": MoveRule,
    "copy": ExactRule,
}
_GLOBS: Final[dict[str, type[CompiledRule]]] = {
    "native": NativeGlobRule,
    "legacy": LegacyGlobRule,
    "workflow": GlobRule,
}


class RuleSet:
    """Rules that are asked together; with many of them one pass finds which ones take a path."""

    def __init__(self, rules: Sequence[CompiledRule], match: Match = "first") -> None:
        self.rules = tuple(rules)
        self.match = match
        self._patterns = PatternSet([rule.pattern for rule in self.rules])

    def hits(self, path: bytes) -> Iterator[Hit]:
        """The rules that take `path`, in their order; only the first one where the first decides.

        A rule that leaves the file out by an exclude does not take it, and the next rule is asked.
        """
        for index in self._patterns.which(path):
            rule = self.rules[index]
            if rule.excluded_by(path) is None:
                yield Hit(index, rule.variables(path))
                if self.match == "first":
                    return


def compile_rule(rule: Rule, flavour: Flavour = "native") -> CompiledRule:
    """Raises `InvalidInput` when the pattern or an exclude cannot be compiled."""
    kind = _GLOBS[flavour] if rule.type == "glob" else _KINDS[rule.type]
    return kind(rule)


def compile_rules(rules: Sequence[Rule], match: Match = "first", flavour: Flavour = "native") -> RuleSet:
    """Raises `InvalidInput` when a pattern or an exclude cannot be compiled."""
    return RuleSet([compile_rule(rule, flavour) for rule in rules], match)


def compile_exclude(text: str, syntax: ExcludeSyntax) -> Pattern:
    """One exclude. Raises `InvalidInput`."""
    return regex(text) if syntax == "regex" else glob(text)


def exclude_compiles(text: str, syntax: ExcludeSyntax) -> bool:
    try:
        compile_exclude(text, syntax)
    except InvalidInput:
        return False
    return True


def rule_problems(rule: Rule) -> list[tuple[str, str]]:
    """What is wrong with a rule, as (field, message): patterns that cannot be read, unsafe targets."""
    problems: list[tuple[str, str]] = []
    for index, text in enumerate(rule.exclude):
        try:
            compile_exclude(text, rule.exclude_syntax)
        except InvalidInput as error:
            problems.append((f"exclude[{index}]", error.sentence))
    try:
        compiled = compile_rule(replace(rule, exclude=()))
    except InvalidInput as error:
        return [("pattern", error.sentence), *problems]
    reason = danger(_sample_target(compiled))
    if reason:
        message = f"“{rule.template}” makes paths that may not be written: {reason}."
        problems.append(("template", message))
    return problems


def _sample_target(rule: CompiledRule) -> bytes:
    """A target as the rule would make it, with `x` for every variable."""
    if isinstance(rule, MoveRule):
        return join_clean(rule.rule.template, b"x")
    if isinstance(rule, VerbatimRule):
        return as_bytes(rule.rule.template)
    return rule.template.filled(b"x")


def unknown_variables(rule: Rule, flavour: Flavour = "native") -> list[str]:
    """The variables in the template that nothing gives a value to. The rule must compile."""
    compiled = compile_rule(rule, flavour)
    known = compiled.given() if isinstance(compiled, VerbatimRule) else compiled.given() | set(BUILT_IN)
    return sorted(compiled.template.names - known)
