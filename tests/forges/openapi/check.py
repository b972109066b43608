"""Whether an answer of the stand-in is one that GitHub's own description of its API allows."""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker

MOST_ITEMS = 10  # of a list that are looked at: the others are made by the same line
_BY_ID = re.compile(r"/repositories/\d+")  # undocumented, and answers as by name


def unlike(method: str, path: str, status: int, data: Any) -> str:
    """What is wrong with an answer to `path` (below the API's address); "" when nothing is."""
    if status == 304:
        return ""
    operation = operation_of(method, _BY_ID.sub("/repos/owner/name", path))
    if operation is None and status < 400:
        return f"{method} {path}: there is no such operation in the description"
    answers = operation["answers"] if operation else {}
    if str(status) not in answers and status < 400:
        return f"{method} {path}: {status} is not an answer to it"
    schema = answers.get(str(status)) or (
        {"$ref": "#/components/schemas/basic-error"} if status >= 400 else None
    )
    if schema is None:
        return f"{method} {path}: {status} has no body" if data is not None else ""
    error = next(iter(_validator(json.dumps(schema)).iter_errors(_shorter(data))), None)
    if error is None:
        return ""
    best = (
        min(error.context, key=lambda one: -len(one.absolute_path), default=error) if error.context else error
    )
    where = "/".join(map(str, best.absolute_path)) or "the whole"
    return f"{method} {path} {status}: at {where}: {best.message[:200]}"


def _shorter(data: Any) -> Any:
    if isinstance(data, dict):
        return {
            name: value[:MOST_ITEMS] if isinstance(value, list) else value for name, value in data.items()
        }
    return data[:MOST_ITEMS] if isinstance(data, list) else data


@functools.cache
def _description() -> Any:
    return json.loads(Path(__file__).with_name("github.json").read_text())


def _pattern(path: str) -> re.Pattern[str]:
    """The name of a ref at the end has slashes of its own."""
    return re.compile(re.sub(r"\{[^}]+\}", "[^/]+", re.sub(r"\{ref\}$", ".+", path)))


@functools.cache
def _patterns() -> list[tuple[str, re.Pattern[str], Any]]:
    return [(one["method"], _pattern(one["path"]), one) for one in _description()["operations"]]


def operation_of(method: str, path: str) -> Any:
    """The operation that a path belongs to; None for none."""
    fits = (one for verb, pattern, one in _patterns() if verb == method and pattern.fullmatch(path))
    return next(fits, None)


@functools.cache
def _validator(schema: str) -> Draft202012Validator:
    whole = {"allOf": [json.loads(schema)], "components": _description()["components"]}
    return Draft202012Validator(whole, format_checker=FormatChecker())
