"""The format with `sources`: several repositories, each with copy rules of its own or a file that has them.

`defaults` fill what a target leaves out, field by field. A source that is switched off is checked and left
out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from opssight.core.errors import InvalidInput, NotFound
from syncs.copy.formats import legacy, workflows
from syncs.copy.formats.files import Files, Part, in_repository, tell
from syncs.copy.formats.shared import (
    ADDED,
    MAX_PARTS,
    added_options,
    commit_strategy,
    deprecation_check,
    ignore_installation,
    repository_name,
)
from syncs.copy.rules.config import MAX_PATTERN, Flow, branch
from syncs.copy.rules.reading import Reader

MAX_SOURCES: Final = 50
_KEYS: Final = ("sources", "defaults")
_DEFAULT_KEYS: Final = ("commit_strategy", "deprecation_check", "settings", *ADDED)
_SETTINGS: Final = ("enabled", "timeout_seconds", "rate_limit")
_RATES: Final = ("max_webhooks_per_minute", "max_concurrent")
_SOURCE_KEYS: Final = (
    "repo",
    "branch",
    "installation_id",
    "config_file",
    *legacy.BATCH,
    "copy_rules",
    "settings",
)
_WHY_UNUSED: Final[Mapping[str, str]] = {
    "timeout_seconds": "timeout_seconds is not used: a copy is bounded by OPSSIGHT_STALL_SECONDS.",
    "rate_limit": "rate_limit is not used: deliveries are stored at once and worked through in their order.",
}


@dataclass
class Found:
    """`disabled` are repository and branch of the sources that are switched off."""

    flows: list[Flow] = field(default_factory=list)
    rules: int = 0
    disabled: list[tuple[str, str]] = field(default_factory=list)


def read(part: Part, files: Files) -> Found:
    """The flows of a file's sources; problems go to the reader."""
    reader = part.reader
    reader.mapping(part.value, part.path, _KEYS)
    defaults = _defaults(part.at("defaults"))
    needed = "Give at least one source."
    inner = (*part.path, "sources")
    found = Found()
    for index, value in enumerate(
        reader.items(part.at("sources").value, inner, limit=MAX_SOURCES, needed=needed)
    ):
        _source(Part(reader, value, (*inner, index), part.place), defaults, files, found)
        if len(found.flows) > MAX_PARTS:
            reader.error(inner, f"The rules have more than {MAX_PARTS:,} targets together; use fewer.")
            break
    if not found.flows and not reader.errors:
        reader.error(inner, "All sources are switched off, so nothing would be copied.")
    return found


def _defaults(part: Part) -> Part:
    data = part.reader.mapping(part.value or {}, part.path, _DEFAULT_KEYS)
    part = replace(part, value=data)
    if data.get("commit_strategy") is not None:
        commit_strategy(part.at("commit_strategy"), default="direct", batch=True)
    if data.get("deprecation_check") is not None:
        deprecation_check(part.at("deprecation_check"))
    added_options([part])
    _enabled([part])
    return part


def _source(part: Part, defaults: Part, files: Files, found: Found) -> None:
    reader, path = part.reader, part.path
    data = reader.mapping(part.value, path, _SOURCE_KEYS)
    if not isinstance(part.value, Mapping):
        return
    ends = (
        repository_name(reader, data, "repo", path),
        branch(reader, data, "branch", path, default="main"),
    )
    ignore_installation(reader, data, path)
    file = reader.text(data, "config_file", path, limit=MAX_PATTERN, default="")
    flows: list[Flow] = []
    count = 0
    rules = legacy.Rules(ends, (defaults,), legacy.read_batch(part))
    if data.get("copy_rules") or not file:
        flows, count = legacy.read_copy_rules(part.at("copy_rules"), rules)
    if file and ends[0]:
        more, further = _distributed(part.at("config_file"), file, rules, files)
        flows, count = flows + more, count + further
    found.rules += count
    if _enabled([part, defaults]):
        found.flows += flows
    else:
        found.disabled.append(ends)
        reader.warning(path, f"{ends[0]} is switched off by settings.enabled; its rules are left out.")


def _distributed(part: Part, path: str, rules: legacy.Rules, files: Files) -> tuple[list[Flow], int]:
    """The rules of a file in the source repository itself; what they leave out is this source."""
    try:
        file = files.part(part.reader, in_repository(rules.source[0], rules.source[1], path))
    except (InvalidInput, NotFound) as error:
        tell(part.reader, part.path, error)
        return [], 0
    keys = file.value if isinstance(file.value, Mapping) else {}
    if "workflows" in keys:
        # the defaults of this file are about copy rules; a file of workflows has its own
        return workflows.read(file, workflows.Around(files, source=rules.source))
    if "copy_rules" not in keys:
        file.reader.error((), "The file has neither copy_rules nor workflows.")
        return [], 0
    return _rules_of(file, rules)


def _rules_of(file: Part, rules: legacy.Rules) -> tuple[list[Flow], int]:
    found, count = legacy.read(file, rules.source, rules.defaults)
    other = {(flow.source_repo, flow.source_branch) for flow in found} - {rules.source}
    if other:
        message = f"The rules are read from {rules.source[0]} {rules.source[1]}; leave the source out here."
        file.reader.error(("source_repo",), message)
    return found, count


def _enabled(levels: Sequence[Part]) -> bool:
    """Whether the nearest settings that say so let the source run; the first level's problems are told."""
    told: list[bool] = []
    for index, level in enumerate(levels):
        part = (level if index == 0 else level.quiet()).at("settings")
        data = part.reader.mapping(part.value or {}, part.path, _SETTINGS)
        _tell_unused(part.reader, part, data)
        if data.get("enabled") is not None:
            told.append(part.reader.flag(data, "enabled", part.path))
    return told[0] if told else True


def _tell_unused(reader: Reader, part: Part, data: Mapping[str, object]) -> None:
    for key, sentence in _WHY_UNUSED.items():
        if data.get(key) is not None:
            reader.warning((*part.path, key), sentence)
    rates = data.get("rate_limit")
    if rates is not None:
        reader.mapping(rates, (*part.path, "rate_limit"), _RATES)
