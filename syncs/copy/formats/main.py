"""The main file: it names files with workflows, or has workflows in place.

An entry whose file is missing or broken is left out with a warning, and the others count, as the original
has it; `Found.left_out` names it, so that nobody takes its rules for gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from opssight.core.errors import InvalidInput, NotFound
from syncs.copy.formats import workflows
from syncs.copy.formats.files import Files, Part, Place, in_repository
from syncs.copy.formats.shared import MAX_PARTS, repository_name
from syncs.copy.rules.config import MAX_PATTERN, Flow, branch
from syncs.copy.rules.reading import Problem, Reader, where

MAX_CONFIGS: Final = 100
_KEYS: Final = ("defaults", "workflow_configs")
_ENTRY_KEYS: Final = ("source", "path", "repo", "branch", "enabled", "workflows")
_SOURCES: Final = ("local", "repo", "inline")


@dataclass
class Found:
    """`left_out`: where each entry stands that could not be read, and why."""

    flows: list[Flow] = field(default_factory=list)
    rules: int = 0
    left_out: list[Problem] = field(default_factory=list)


def read(part: Part, files: Files) -> Found:
    """The flows of all files that a main file leads to; problems go to the reader."""
    reader = part.reader
    reader.mapping(part.value, part.path, _KEYS)
    defaults = workflows.read_defaults(part.at("defaults"), files)
    inner = (*part.path, "workflow_configs")
    needed = "Give at least one entry."
    entries = reader.items(part.at("workflow_configs").value, inner, limit=MAX_CONFIGS, needed=needed)
    found = Found()
    for index, value in enumerate(entries):
        _entry(Part(reader, value, (*inner, index), part.place), defaults, files, found)
        if found.rules > MAX_PARTS:
            reader.error(inner, f"The files have more than {MAX_PARTS:,} transformations; use fewer.")
            break
    if not found.flows and not reader.errors:
        reader.error(inner, _nothing(found.left_out))
    return found


def _nothing(left_out: list[Problem]) -> str:
    reasons = " ".join(message for _, message in left_out[:3])
    return f"No workflow is left. {reasons}".rstrip()


def _entry(part: Part, defaults: Part, files: Files, found: Found) -> None:
    reader, path = part.reader, part.path
    data = reader.mapping(part.value, path, _ENTRY_KEYS)
    if not isinstance(part.value, Mapping):
        return
    if data.get("enabled") is not None and not reader.flag(data, "enabled", path):
        return  # what is switched off is not even looked at
    before = len(reader.errors)
    source = reader.choice(data, "source", path, _SOURCES)
    if len(reader.errors) > before:
        return
    places = [] if source == "inline" else _places(part, data, source)
    if len(reader.errors) > before:
        return
    # what is wrong within an entry leaves the entry out, not the whole file
    apart = reader.apart()
    inferred = (places[0].repository or "", places[0].branch or "main") if source == "repo" else None
    around = workflows.Around(files, (defaults,), inferred)
    if source == "inline":
        inline = Part(apart, data.get("workflows"), (*path, "workflows"), part.place)
        flows, count = workflows.read_workflows(inline, around)
    else:
        flows, count = _file(apart, part, places, around)
    for problem in apart.warnings:
        reader.pass_on(problem)
    if apart.errors:
        _leave_out(part, apart, found)
        return
    found.flows += flows
    found.rules += count


def _places(part: Part, data: Mapping[str, object], source: str) -> list[Place]:
    """Where the file may be: that of a local entry is looked for from the root, then beside this file."""
    reader, path = part.reader, part.path
    before = len(reader.errors)
    file = reader.text(data, "path", path, limit=MAX_PATTERN)
    repo = repository_name(reader, data, "repo", path) if source == "repo" else ""
    name = branch(reader, data, "branch", path, default="main")
    if len(reader.errors) > before:
        return []
    try:
        if source == "repo":
            return [in_repository(repo, name, file)]
        return [part.place.at(file), part.place.beside(file)]
    except InvalidInput as error:
        reader.error((*path, "path"), error.sentence)
        return []


def _file(
    reader: Reader, part: Part, places: list[Place], around: workflows.Around
) -> tuple[list[Flow], int]:
    missing: NotFound | None = None
    for place in dict.fromkeys(places):
        try:
            file = around.files.part(reader, place)
        except NotFound as error:
            missing = missing or error
            continue
        except InvalidInput as error:
            for at, message in error.problems:
                reader.error((*part.path, "path"), f"{at}: {message}" if at else message)
            return [], 0
        return workflows.read(file, around)
    if missing is not None:
        reader.error((*part.path, "path"), missing.sentence)
    return [], 0


def _leave_out(part: Part, apart: Reader, found: Found) -> None:
    at, message = apart.errors[0]
    more = f" ({len(apart.errors) - 1} more problems)" if len(apart.errors) > 1 else ""
    problem = (where(part.path), f"This entry is left out. {at}: {message}{more}")
    found.left_out.append(problem)
    part.reader.pass_on(problem)
