# ruff: noqa: E501 - a table reads best with one case on a line
"""The JSON Schemas say the same as the readers."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from opssight.core.yamlsafe import KeyPath
from syncs.copy.formats import detect, load_data
from syncs.copy.formats.schema import FORMATS, schema
from syncs.copy.rules.reading import Reader

EXAMPLES = Path(__file__).resolve().parents[4] / "examples/copy"
FILES = {
    "v0": "v0.json",
    "legacy": "legacy.yaml",
    "sources": "sources.yaml",
    "workflows": "workflows.yaml",
    "main": "main/main.yaml",
    "native": "native.yaml",
}


def checker(format_: str) -> Any:
    found = schema(format_)
    jsonschema.Draft202012Validator.check_schema(found)
    return jsonschema.Draft202012Validator(found)


@pytest.mark.parametrize("format_", FORMATS)
def test_an_example_fits_its_schema_and_no_other(format_: str) -> None:
    data = yaml.safe_load((EXAMPLES / FILES[format_]).read_text())
    assert [other for other in FORMATS if checker(other).is_valid(data)] == [format_]


@pytest.mark.parametrize(
    ("format_", "data"),
    [
        ("v0", []),
        ("v0", [{"source_directory": "a"}]),
        ("legacy", {"source_repo": "a/b", "copy_rules": [{"name": "x", "source_pattern": {"type": "move", "pattern": "a"},
                    "targets": [{"repo": "c/d", "path_transform": "x"}]}]}),
        ("sources", {"sources": [{"copy_rules": []}]}),
        ("workflows", {"workflows": [{"name": "w", "source": {"repo": "a/b"}, "destination": {"repo": "c/d"},
                       "transformations": [{"move": {"from": "a", "to": "b"}, "copy": {"from": "a", "to": "b"}}]}]}),
        ("main", {"workflow_configs": [{"source": "web"}]}),
        ("native", {"name": "n", "source": {"repository": "a/b"}, "rules": [], "targets": []}),
    ],
)  # fmt: skip
def test_what_the_reader_refuses_the_schema_refuses(format_: str, data: object) -> None:
    assert detect(data) in (format_, None)
    assert load_data(data).errors
    assert not checker(format_).is_valid(data)


def sample(of: dict[str, Any]) -> Any:
    """A value with every key of a schema."""
    if "anyOf" in of:
        return sample(spelled_out(of))
    if "enum" in of:
        return of["enum"][0]
    kind = of.get("type")
    if kind == "array":
        return [sample(of["items"])]
    if kind == "object":
        keys = of.get("properties", {})
        only = next(iter(of["oneOf"]))["required"][0] if "oneOf" in of else None
        left_out = {one["required"][0] for one in of.get("oneOf", [])} - {only}
        return {key: sample(inner) for key, inner in keys.items() if key not in left_out}
    return {"boolean": True, "integer": 1}.get(str(kind), "x")


@pytest.mark.parametrize("format_", FORMATS)
def test_every_key_of_a_schema_is_known_to_the_reader(format_: str) -> None:
    data = sample(schema(format_))
    found = load_data(data, source=("a/b", "main"))
    told = json.dumps([*found.errors, *found.warnings])
    assert found.format == format_
    assert "is not known here" not in told


@pytest.mark.parametrize("format_", FORMATS)
def test_every_key_of_the_reader_is_in_the_schema(format_: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each mapping that the reader looks into is watched: it knows the same keys as the schema there."""
    data = sample(schema(format_))
    known: dict[KeyPath, set[str]] = {}
    mapping = Reader.mapping

    def watched(reader: Reader, value: object, path: KeyPath, keys: Collection[str]) -> Mapping[str, object]:
        if any(value is one for one in mappings_in(data)):  # not what a reader made of one
            known.setdefault(path, set()).update(keys)
        return mapping(reader, value, path, keys)

    monkeypatch.setattr(Reader, "mapping", watched)
    load_data(data, source=("a/b", "main"))
    assert known
    for path, keys in known.items():
        assert at(schema(format_), path)["properties"].keys() == keys, path


def mappings_in(value: Any) -> list[dict[str, Any]]:
    inner = [*value.values()] if isinstance(value, dict) else value if isinstance(value, list) else []
    return ([value] if isinstance(value, dict) else []) + [one for item in inner for one in mappings_in(item)]


def at(of: dict[str, Any], path: KeyPath) -> dict[str, Any]:
    """The part of a schema for the value at a path."""
    for step in path:
        of = spelled_out(of["items"] if isinstance(step, int) else of["properties"][step])
    return of


def spelled_out(of: dict[str, Any]) -> dict[str, Any]:
    """Of several ways to say something, the one that says most here, which is no reference."""
    ways = [way for way in of.get("anyOf", [of]) if "$ref" not in way.get("properties", {})]
    return next((way for way in ways if "properties" in way), ways[0])


@pytest.mark.parametrize("format_", FORMATS)
def test_every_key_of_the_examples_is_in_the_schema(format_: str) -> None:
    data = yaml.safe_load((EXAMPLES / FILES[format_]).read_text())
    assert unknown(data, schema(format_)) == []


def unknown(value: Any, of: dict[str, Any]) -> list[str]:
    """The keys of a value that its schema does not have."""
    if "anyOf" in of:
        return min((unknown(value, one) for one in of["anyOf"]), key=len)
    if isinstance(value, list):
        return [key for item in value for key in unknown(item, of.get("items", {}))]
    if not isinstance(value, dict):
        return []
    keys = of.get("properties", {})
    missing = [key for key in value if key not in keys]
    return missing + [
        key for name, inner in value.items() if name in keys for key in unknown(inner, keys[name])
    ]
