"""Reads YAML and JSON that somebody else wrote: bounded, with positions, and never as code.

Scalars follow YAML 1.2's core schema (`on`, `yes` and dates are plain text), a key may stand only
once in a mapping, and anchors, aliases and `<<` work within limits. Every refusal is `InvalidInput`
whose `where` is `line:column`, counted from 1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, cast

import yaml

from opssight.core.errors import InvalidInput

KeyPath = tuple[str | int, ...]

MAX_BYTES: Final = 1_000_000
MAX_NODES: Final = 50_000  # counted after aliases are followed, so an alias bomb ends here
MAX_DEPTH: Final = 50
MAX_ALIASES: Final = 200

_Node = yaml.AliasEvent | yaml.ScalarEvent | yaml.CollectionStartEvent
_Event = _Node | yaml.CollectionEndEvent
_Events = Iterator[_Event]

_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULLS: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_INT: Final = re.compile(r"[-+]?[0-9]{1,18}\Z")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]{1,30}|[0-9]{1,30}(?:\.[0-9]{0,30})?)(?:[eE][-+]?[0-9]{1,3})?\Z")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_TEXT_TAG: Final = "tag:yaml.org,2002:str"


@dataclass(frozen=True)
class Position:
    """A place in a text; both numbers are counted from 1."""

    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


@dataclass(frozen=True)
class Document:
    """What a text says, and where it says it.

    `data` is made of dict, list, str, int, float, bool and None. `positions` gives the place of each
    value by its path of keys and indexes; `texts` the text of each plain scalar as it was written, so
    that `branch: 1.10` can be read as text. Both are empty for JSON that is not YAML.
    """

    data: object
    positions: Mapping[KeyPath, Position]
    texts: Mapping[KeyPath, str]

    def line(self, path: KeyPath) -> int | None:
        """The line of the value at `path`, or of the nearest value around it that is known."""
        for length in range(len(path), -1, -1):
            found = self.positions.get(path[:length])
            if found is not None:
                return found.line
        return None


def load(text: str | bytes, *, max_bytes: int = MAX_BYTES) -> object:
    """The data of a YAML or JSON text. Raises `InvalidInput` with the place of what is wrong."""
    return load_document(text, max_bytes=max_bytes).data


def load_document(text: str | bytes, *, max_bytes: int = MAX_BYTES) -> Document:
    """Like `load`, with the positions of keys and values."""
    readable = _readable(text, max_bytes)
    try:
        return _Builder(readable).document()
    except _NotYaml:
        # JSON is YAML but for tabs between tokens and pairs of surrogate escapes.
        as_json = _json_document(readable)
        if as_json is None:
            raise
        return as_json


class _NotYaml(InvalidInput):
    """The text breaks YAML's grammar; it may still be JSON."""


def _refusal(
    position: Position | None, message: str, kind: type[InvalidInput] = InvalidInput
) -> InvalidInput:
    where = str(position) if position else ""
    place = f"Line {position.line}, column {position.column}: " if position else ""
    return kind(f"{place}{message}", [(where, message)])


def _readable(text: str | bytes, max_bytes: int) -> str:
    raw = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    if len(raw) > max_bytes:
        raise _refusal(None, f"The file is too large: {len(raw):,} bytes, and {max_bytes:,} are allowed.")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        place = _position_after(raw[: error.start].decode("utf-8"))
        raise _refusal(place, "The file is not UTF-8; save it as UTF-8 text.") from None
    text = text.removeprefix("\ufeff")
    control = _CONTROL.search(text)
    if control:
        code = ord(control.group())
        place = _position_after(text[: control.start()])
        raise _refusal(place, f"The file holds a control character (U+{code:04X}); remove it.")
    return text


def _position_after(before: str) -> Position:
    return Position(before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)


class _Builder:
    """Builds data from parser events, so that every limit holds before anything large exists."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._anchors: dict[str, list[_Event]] = {}
        self._open: set[str] = set()
        self._nodes = 0
        self._aliases = 0
        self.positions: dict[KeyPath, Position] = {}
        self.texts: dict[KeyPath, str] = {}

    def document(self) -> Document:
        data = self._top()
        return Document(data, self.positions, self.texts)

    def _top(self) -> object:
        events = self._content()
        first = next(events, None)
        if first is None:
            return None
        data = self._value(cast("_Node", first), events, ())
        following = next(events, None)
        if following is not None:
            raise _refusal(_at(following), "The file holds more than one document; keep one.")
        return data

    def _content(self) -> _Events:
        """The events of the content, without those of the stream and of document marks."""
        try:
            for event in yaml.parse(self._text, Loader=_LOADER):
                if isinstance(event, _Event):
                    yield event
        except yaml.MarkedYAMLError as error:
            raise self._unreadable(error) from None
        except yaml.YAMLError:
            message = "This is not readable YAML: it holds characters that YAML does not allow."
            raise _refusal(None, message, _NotYaml) from None

    def _unreadable(self, error: yaml.MarkedYAMLError) -> InvalidInput:
        mark = error.problem_mark or error.context_mark
        end = _position_after(self._text.rstrip())
        position = Position(mark.line + 1, mark.column + 1) if mark else end
        if position.line > end.line:  # the parser missed something until the end came
            position = end
        indent = self._text.split("\n")[position.line - 1][: position.column]
        if "\t" in indent and not indent.strip():
            return _refusal(position, "A tab stands where YAML wants spaces; indent with spaces.", _NotYaml)
        problem = " ".join(filter(None, (error.problem, error.context)))
        return _refusal(position, f"This is not readable YAML: {problem}.", _NotYaml)

    def _value(self, event: _Node, events: _Events, path: KeyPath, *, replayed: bool = False) -> object:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _too_many(event)
        if len(path) > MAX_DEPTH:
            raise _refusal(_at(event), f"The file is nested deeper than {MAX_DEPTH} levels; flatten it.")
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event, path)
        if event.anchor is not None and not replayed:
            events = self._recorded(event, event.anchor, events)
        self.positions.setdefault(path, _at(event))
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        if event.tag is not None:
            raise _unknown_tag(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, path)
        return self._mapping(events, path)

    def _recorded(self, event: _Node, anchor: str, events: _Events) -> _Events:
        """Takes the events of an anchored value aside, so that aliases can play them again."""
        recorded: list[_Event] = [event]
        depth = _depth_change(event)
        while depth:
            following = next(events)
            recorded.append(following)
            if len(recorded) > 2 * MAX_NODES:
                raise _too_many(following)
            depth += _depth_change(following)
        self._anchors[anchor] = recorded
        return iter(recorded[1:])

    def _alias(self, event: yaml.AliasEvent, path: KeyPath) -> object:
        name = event.anchor or ""
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise _refusal(
                _at(event), f"The file uses more than {MAX_ALIASES} aliases; write the values out."
            )
        if name not in self._anchors:
            raise _refusal(_at(event), f"The alias *{name} has no anchor &{name} before it.")
        if name in self._open:
            raise _refusal(_at(event), f"The alias *{name} stands inside the value that it names.")
        self._open.add(name)
        replay = iter(self._anchors[name])
        value = self._value(_node(replay), replay, path, replayed=True)
        self._open.discard(name)
        return value

    def _sequence(self, events: _Events, path: KeyPath) -> list[object]:
        items: list[object] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            items.append(self._value(cast("_Node", event), events, (*path, len(items))))
        return items

    def _mapping(self, events: _Events, path: KeyPath) -> dict[str, object]:
        own: dict[str, object] = {}
        merged: dict[str, object] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            if not isinstance(event, yaml.ScalarEvent):
                raise _refusal(_at(event), "A key must be plain text.")
            key = event.value
            if key == "<<" and not event.style:
                self._merge(merged, _node(events), events, (*path, key))
                continue
            if key in own:
                raise _refusal(_at(event), f"The key {key!r} stands twice in one mapping; keep one.")
            inner = (*path, key)
            self.positions[inner] = _at(event)
            own[key] = self._value(_node(events), events, inner)
        return {**merged, **own}

    def _merge(self, merged: dict[str, object], event: _Node, events: _Events, path: KeyPath) -> None:
        value = self._value(event, events, path)
        for source in value if isinstance(value, list) else [value]:
            if not isinstance(source, dict):
                raise _refusal(_at(event), "<< takes a mapping or a list of mappings.")
            for key, inner in source.items():
                merged.setdefault(key, inner)

    def _scalar(self, event: yaml.ScalarEvent, path: KeyPath) -> object:
        text: str = event.value
        if event.tag not in (None, "!", _TEXT_TAG):
            raise _unknown_tag(event)
        if event.style or event.tag is not None:
            return text
        self.texts.setdefault(path, text)
        return _resolved(text)


def _resolved(text: str) -> object:
    """What an unquoted scalar means in YAML 1.2's core schema, without octal and hexadecimal numbers."""
    if text in _NULLS:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.match(text):
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    return text


def _node(events: _Events) -> _Node:
    """The next event, where the grammar has a value."""
    return cast("_Node", next(events))


def _at(event: _Event) -> Position:
    mark = event.start_mark
    return Position(mark.line + 1, mark.column + 1) if mark else Position(1, 1)


def _depth_change(event: _Event) -> int:
    if isinstance(event, yaml.CollectionStartEvent):
        return 1
    return -1 if isinstance(event, yaml.CollectionEndEvent) else 0


def _too_many(event: _Event) -> InvalidInput:
    return _refusal(_at(event), f"The file holds more than {MAX_NODES:,} values; make it smaller.")


def _unknown_tag(event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> InvalidInput:
    return _refusal(_at(event), f"The tag {event.tag} is not supported; remove it.")


def _json_document(text: str) -> Document | None:
    """The text as JSON, or None when it is not JSON either."""
    if not text.lstrip().startswith(("{", "[", '"')):
        return None
    try:
        data = json.loads(text, object_pairs_hook=_unique_pairs, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    _check_size(data)
    return Document(data, {}, {})


def _unique_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise _refusal(None, f"The key {key!r} stands twice in one mapping; keep one.")
        found[key] = value
    return found


def _no_constant(name: str) -> object:
    raise _refusal(None, f"{name} is not a number that can be used here.")


def _check_size(data: object) -> None:
    """Holds JSON to the limits that YAML is held to while it is read."""
    level: list[object] = [data]
    nodes = 0
    for _ in range(MAX_DEPTH + 1):
        nodes += len(level)
        if nodes > MAX_NODES:
            raise _refusal(None, f"The file holds more than {MAX_NODES:,} values; make it smaller.")
        if any(isinstance(value, str) and _SURROGATE.search(value) for value in level):
            raise _refusal(None, "The file holds half of a surrogate pair; write the character itself.")
        level = [inner for value in level for inner in _inner(value)]
        if not level:
            return
    raise _refusal(None, f"The file is nested deeper than {MAX_DEPTH} levels; flatten it.")


def _inner(value: object) -> list[object]:
    if isinstance(value, dict):
        return [*value, *value.values()]
    return value if isinstance(value, list) else []
