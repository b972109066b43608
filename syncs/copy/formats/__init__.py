"""Configuration files of other copiers, and our own: which format a file is in, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from opssight.core.errors import InvalidInput
from opssight.core.yamlsafe import Document, load_document
from syncs.copy.formats import grouping, legacy, main, sources, v0, workflows
from syncs.copy.formats.files import Files, Part, Place, Reads
from syncs.copy.rules.config import Flow, flows, parse_config
from syncs.copy.rules.reading import Problem, Reader

Format = Literal["v0", "legacy", "sources", "workflows", "main", "native"]

__all__ = ["Format", "Loaded", "Place", "Reads", "detect", "load", "load_data"]

_UNKNOWN: Final = (
    "This is no copy configuration: it has none of the keys copy_rules, workflows, workflow_configs, "
    "sources or rules."
)


@dataclass(frozen=True)
class Loaded:
    """What a file says. With errors there are no flows; `rules` counts what is written in the file.

    `errors` and `warnings` are (where, message); where is a path like `copy_rules[0].name`, after the
    name of the file where it is not the given one, or `line:column` for a file that cannot be read at
    all. `parts` are the flows as they are written, one for each rule and target; `flows` the same, joined
    where one pass decides. `disabled` are sources that are switched off (repository, branch).
    `left_out` are entries of a main file whose own file could not be used: their rules are not gone.
    """

    format: Format | None
    flows: tuple[Flow, ...] = ()
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    rules: int = 0
    parts: tuple[Flow, ...] = ()
    disabled: tuple[tuple[str, str], ...] = ()
    left_out: tuple[Problem, ...] = ()

    @property
    def names_no_source(self) -> bool:
        """Whether the file leaves open which repository it copies from; load it with `source`."""
        return any(not flow.source_repo for flow in self.flows)


def detect(data: object) -> Format | None:
    """The format of plain data, by its keys; None when it is no copy configuration."""
    if isinstance(data, list):
        return (
            "v0" if any(isinstance(item, Mapping) and "source_directory" in item for item in data) else None
        )
    if not isinstance(data, Mapping):
        return None
    if "source_repo" in data or "copy_rules" in data:
        return "legacy"
    by_key: tuple[tuple[str, Format], ...] = (
        ("workflow_configs", "main"),
        ("workflows", "workflows"),
        ("sources", "sources"),
        ("rules", "native"),
    )
    return next((format_ for key, format_ in by_key if key in data), None)


def load(
    text: str | bytes,
    *,
    reads: Reads | None = None,
    place: Place | None = None,
    source: tuple[str, str] | None = None,
) -> Loaded:
    """Reads a YAML or JSON file of any format. Never raises for what stands in it: see `errors`.

    `reads` gives the further files that it names, and `place` is where the file itself is, for paths
    relative to it. `source`: repository and branch that a file which names none copies from. What
    `reads` raises beside NotFound and InvalidInput is raised.
    """
    try:
        document = load_document(text)
    except InvalidInput as error:
        return Loaded(None, errors=tuple(error.problems))
    return load_data(document.data, document, reads=reads, place=place, source=source)


def load_data(
    data: object,
    document: Document | None = None,
    *,
    reads: Reads | None = None,
    place: Place | None = None,
    source: tuple[str, str] | None = None,
) -> Loaded:
    """Like `load`, for data that is read already."""
    format_ = detect(data)
    if format_ is None:
        return Loaded(None, errors=(("", "The file is empty." if data is None else _UNKNOWN),))
    if format_ == "native":
        return _native(data, document)
    reader = Reader(document)
    part = Part(reader, data, (), place or Place())
    return _READERS[format_](part, Files(reads), source)


def _loaded(
    format_: Format,
    part: Part,
    found: list[Flow],
    rules: int,
    *,
    disabled: list[tuple[str, str]] | None = None,
    left_out: list[Problem] | None = None,
) -> Loaded:
    reader = part.reader
    under = (grouping.key_of(format_),) if grouping.key_of(format_) else ()
    for message in grouping.clashes(found):
        reader.error(under, message)
    for message in (*grouping.warnings(found), *grouping.constant_targets(found)):
        reader.warning(under, message)
    if reader.errors:
        found = []
    return Loaded(
        format_,
        flows=tuple(grouping.joined(found)),
        errors=tuple(reader.errors),
        warnings=tuple(reader.warnings),
        rules=rules,
        parts=tuple(found),
        disabled=tuple(disabled or ()),
        left_out=tuple(left_out or ()),
    )


def _legacy(part: Part, files: Files, source: tuple[str, str] | None) -> Loaded:
    if isinstance(part.value, Mapping) and "workflows" in part.value:
        part.reader.error(("workflows",), "The file has copy_rules and workflows; keep one of them.")
    found, rules = legacy.read(part)
    return _loaded("legacy", part, found, rules)


def _workflows(part: Part, files: Files, source: tuple[str, str] | None) -> Loaded:
    found, rules = workflows.read(part, workflows.Around(files))
    return _loaded("workflows", part, found, rules)


def _sources(part: Part, files: Files, source: tuple[str, str] | None) -> Loaded:
    found = sources.read(part, files)
    return _loaded("sources", part, found.flows, found.rules, disabled=found.disabled)


def _main(part: Part, files: Files, source: tuple[str, str] | None) -> Loaded:
    found = main.read(part, files)
    return _loaded("main", part, found.flows, found.rules, left_out=found.left_out)


def _v0(part: Part, files: Files, source: tuple[str, str] | None) -> Loaded:
    found, rules = v0.read(part, source)
    return _loaded("v0", part, found, rules)


_READERS: Final[dict[Format, Callable[[Part, Files, tuple[str, str] | None], Loaded]]] = {
    "v0": _v0,
    "legacy": _legacy,
    "sources": _sources,
    "workflows": _workflows,
    "main": _main,
}


def _native(data: object, document: Document | None) -> Loaded:
    try:
        config = parse_config(data, document)
    except InvalidInput as error:
        return Loaded("native", errors=tuple(error.problems))
    found = tuple(flows(config))
    if not all(flow.source_branch and flow.target_branch for flow in found):
        return Loaded("native", errors=(("", "Name the branch of the source and of each target."),))
    return Loaded("native", flows=found, rules=len(config.rules), parts=found)
