"""What the formats have in common: repositories, commit strategies, and the checks of a rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from opssight.core.yamlsafe import KeyPath
from syncs.copy.config import MAX_MESSAGE, MAX_PATTERN, MAX_REPOSITORY, Strategy, add_rule_problems
from syncs.copy.matching import unknown_variables
from syncs.copy.reading import Reader
from syncs.copy.rule import Flavour, Rule

_STRATEGY_KEYS: Final = (
    "type",
    "commit_message",
    "pr_title",
    "pr_body",
    "use_pr_template",
    "auto_merge",
)


def repository_name(reader: Reader, holder: Mapping[str, object], key: str, path: KeyPath) -> str:
    """The name of a repository, as a file writes it: owner/name."""
    name = reader.text(holder, key, path, limit=MAX_REPOSITORY)
    if name.startswith("-"):
        reader.error((*path, key), f"{name!r} is not the name of a repository.")
    return name


def commit_strategy(
    reader: Reader, value: object, path: KeyPath, options: Sequence[Strategy], *, default: Strategy
) -> tuple[Strategy, str]:
    """How a target wants its changes, and the template of the commit message."""
    keys = (*_STRATEGY_KEYS, "batch_size") if "batch" in options else _STRATEGY_KEYS
    data = reader.mapping(value if value is not None else {}, path, keys)
    message = reader.text(data, "commit_message", path, limit=MAX_MESSAGE, default="", lines=True)
    for key in ("pr_title", "pr_body"):
        reader.text(data, key, path, limit=MAX_MESSAGE, default="", lines=True)
    for key in ("use_pr_template", "auto_merge"):
        reader.flag(data, key, path)
    return reader.choice(data, "type", path, options, default=default), message


def deprecation_check(reader: Reader, value: object, path: KeyPath) -> None:
    """Reads the key and says that deletions are not recorded."""
    if value is None:
        return
    data = reader.mapping(value, path, ("enabled", "file"))
    reader.text(data, "file", path, limit=MAX_PATTERN, default="")
    if reader.flag(data, "enabled", path):
        reader.warning(path, "Deleted files are not recorded yet; this key has no effect so far.")


def check_rule(
    reader: Reader, rule: Rule, path: KeyPath, names: Mapping[str, KeyPath], flavour: Flavour
) -> None:
    """Reports what is wrong with a rule and which variables of its template nothing gives."""
    if not rule.pattern or not rule.template:
        return
    if add_rule_problems(reader, rule, path, names):
        for name in unknown_variables(rule, flavour):
            message = f"No match gives ${{{name}}} a value, so each file that the rule takes is refused."
            reader.warning((*path, *names["template"]), message)


def check_ends(reader: Reader, path: KeyPath, source: tuple[str, str], target: tuple[str, str]) -> None:
    if source == target and source[0]:
        reader.warning(
            path, f"{target[0]} {target[1]} is copied onto itself; each push starts the copy again."
        )
