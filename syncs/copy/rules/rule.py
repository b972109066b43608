"""One rule: which files of the source are taken, and where they go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

RuleType = Literal["prefix", "glob", "regex", "move", "copy"]
ExcludeSyntax = Literal["glob", "regex"]
Match = Literal["first", "every"]
Flavour = Literal["native", "legacy", "workflow"]

RULE_TYPES: Final[tuple[RuleType, ...]] = ("prefix", "glob", "regex", "move", "copy")
EXCLUDE_SYNTAXES: Final[tuple[ExcludeSyntax, ...]] = ("glob", "regex")
FLAVOURS: Final[tuple[Flavour, ...]] = ("native", "legacy", "workflow")
MATCHES: Final[tuple[Match, ...]] = ("first", "every")


@dataclass(frozen=True)
class Rule:
    """Which files are taken (`type`, `pattern`, less `exclude`) and where they go (`template`).

    For `move` the pattern is the folder or file that moves and the template where it goes to; for
    `copy` both are one file's path.
    """

    type: RuleType
    pattern: str
    template: str
    exclude: tuple[str, ...] = ()
    exclude_syntax: ExcludeSyntax = "glob"
