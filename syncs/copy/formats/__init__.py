"""Configuration files of other copiers, and our own: which format a file is in, and what it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from opssight.core.errors import InvalidInput
from opssight.core.yamlsafe import Document, load_document
from syncs.copy.config import Flow, flows, parse_config
from syncs.copy.formats import legacy, workflows
from syncs.copy.reading import Problem, Reader

Format = Literal["v0", "legacy", "sources", "workflows", "main", "native"]

_READERS: Final[dict[str, Callable[[Reader, object], tuple[list[Flow], int]]]] = {
    "legacy": legacy.read,
    "workflows": workflows.read,
}
_UNKNOWN: Final = (
    "This is no copy configuration: it has none of the keys copy_rules, workflows, workflow_configs, "
    "sources or rules."
)


@dataclass(frozen=True)
class Loaded:
    """What a file says. With errors there are no flows; `rules` counts what is written in the file.

    `errors` and `warnings` are (where, message); where is a path like `copy_rules[0].name`, or
    `line:column` for a file that cannot be read at all.
    """

    format: Format | None
    flows: tuple[Flow, ...] = ()
    errors: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    rules: int = 0


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


def load(text: str | bytes) -> Loaded:
    """Reads a YAML or JSON file of any format. Never raises for what stands in it: see `errors`."""
    try:
        document = load_document(text)
    except InvalidInput as error:
        return Loaded(None, errors=tuple(error.problems))
    return load_data(document.data, document)


def load_data(data: object, document: Document | None = None) -> Loaded:
    """Like `load`, for data that is read already."""
    format_ = detect(data)
    if format_ is None:
        return Loaded(None, errors=(("", "The file is empty." if data is None else _UNKNOWN),))
    if format_ == "native":
        return _native(data, document)
    if format_ not in _READERS:
        return Loaded(format_, errors=(("", f"The format {format_} is known, but it cannot be used yet."),))
    reader = Reader(document)
    if format_ == "legacy" and "workflows" in cast("Mapping[str, object]", data):
        reader.error(("workflows",), "The file has copy_rules and workflows; keep one of them.")
    found, count = _READERS[format_](reader, data)
    return Loaded(
        format_,
        flows=() if reader.errors else tuple(found),
        errors=tuple(reader.errors),
        warnings=tuple(reader.warnings),
        rules=count,
    )


def _native(data: object, document: Document | None) -> Loaded:
    try:
        config = parse_config(data, document)
    except InvalidInput as error:
        return Loaded("native", errors=tuple(error.problems))
    found = flows(config)
    if not all(flow.source_branch and flow.target_branch for flow in found):
        return Loaded("native", errors=(("", "Name the branch of the source and of each target."),))
    return Loaded("native", flows=tuple(found), rules=len(config.rules))
