from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from opssight.core import yamlsafe
from opssight.core.errors import InvalidInput
from opssight.core.yamlsafe import Position, load, load_document


def problem(text: str | bytes, **limits: int) -> tuple[str, str]:
    with pytest.raises(InvalidInput) as caught:
        load(text, **limits)
    [found] = caught.value.problems
    return found


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("a: 1\nb: [x, 'y']\nc:\n  - d: true\n", {"a": 1, "b": ["x", "y"], "c": [{"d": True}]}),
        ("", None),
        ("# only a comment\n", None),
        ("\ufeffa: 1", {"a": 1}),
        (b"a: \xc3\xa9", {"a": "é"}),
        ("[1, -2, +3, 1.5, .5, 1e3, null, ~, false]", [1, -2, 3, 1.5, 0.5, 1000.0, None, None, False]),
        ("on: yes\noff: no", {"on": "yes", "off": "no"}),  # YAML 1.2: these are plain text
        ("at: 2024-01-01\nhex: 0x1F\nbase: 12:30", {"at": "2024-01-01", "hex": "0x1F", "base": "12:30"}),
        ("n: " + "9" * 5000, {"n": "9" * 5000}),
        ("a: !!str 5\nb: '5'\nc: \"5\"", {"a": "5", "b": "5", "c": "5"}),
        ("a: |\n  x\n  y\n", {"a": "x\ny\n"}),
        ("1: one", {"1": "one"}),
        ("- &x {k: 1}\n- *x\n", [{"k": 1}, {"k": 1}]),
        ("b: &b {k: 1, l: 2}\nc:\n  <<: *b\n  k: 3\n", {"b": {"k": 1, "l": 2}, "c": {"k": 3, "l": 2}}),
        ("- &a {k: 1}\n- &b {k: 2, m: 3}\n- <<: [*a, *b]\n", [{"k": 1}, {"k": 2, "m": 3}, {"k": 1, "m": 3}]),
        ("a: &x [1, &y {z: 2}]\nb: *y", {"a": [1, {"z": 2}], "b": {"z": 2}}),
        ("'<<': 1", {"<<": 1}),
        ('{"a": [1, {"b": null}], "c": "\\u00e9"}', {"a": [1, {"b": None}], "c": "é"}),
        ('{\n\t"a": "\\ud83d\\ude00",\n\t"b": [1, 2.5]\n}', {"a": "😀", "b": [1, 2.5]}),
    ],
)
def test_reads(text: str | bytes, data: object) -> None:
    assert load(text) == data


def test_positions_are_those_of_keys_and_items() -> None:
    document = load_document("rules:\n  - type: glob\n    pattern: x\n  - {type: move}\n")
    assert document.positions[("rules",)] == Position(1, 1)
    assert document.positions[("rules", 0)] == Position(2, 5)
    assert document.positions[("rules", 0, "pattern")] == Position(3, 5)
    assert document.positions[("rules", 1, "type")] == Position(4, 6)


def test_line_of_an_unknown_path_is_that_of_what_holds_it() -> None:
    document = load_document("rules:\n  - type: glob\n")
    assert document.line(("rules", 0, "pattern")) == 2
    assert document.line(("rules", 7)) == 1
    assert load_document('{\t"a": "\\ud83d\\ude00"}').line(("a",)) is None


def test_plain_scalars_keep_their_text() -> None:
    document = load_document("branch: 1.10\nname: '1.10'\n")
    assert document.data == {"branch": 1.1, "name": "1.10"}
    assert document.texts == {("branch",): "1.10"}


@pytest.mark.parametrize(
    ("text", "where", "part"),
    [
        ("a: b: c", "1:5", "mapping values are not allowed"),
        ("a: [1, 2\n", "1:9", "not readable YAML"),
        ("a: 'x\n  y", "2:4", "not readable YAML"),
        ("a:\n\t- b", "2:1", "indent with spaces"),
        ("a: @x", "1:4", "cannot start any token"),
        ("a: 1\nb: 2\na: 3", "3:1", "'a' stands twice"),
        ("x:\n  - {k: 1, k: 2}", "2:12", "'k' stands twice"),
        ('{"a": 1, "a": 2}', "1:10", "'a' stands twice"),
        ('{\t"a": "\\ud83d\\ude00", "b": 1, "b": 2}', "", "'b' stands twice"),
        ('{\t"a": "\\ud83d\\ude00", "b": NaN}', "", "NaN is not a number"),
        ('{\t"a": "\\ud800"}', "", "surrogate"),
        ('{\t"\\ud800": 1}', "", "surrogate"),
        ('{\t"a": "\\ud83d\\ude00", "b": ' + "[" * 60 + "]" * 60 + "}", "", "nested deeper than 50"),
        ('{\t"a": "\\ud83d\\ude00", "b": [' + "1," * 50_001 + "1]}", "", "more than 50,000 values"),
        ('{\t"a": "\\ud83d\\ude00"', "1:11", "invalid Unicode character escape code"),
        ("a: *x", "1:4", "no anchor &x"),
        ("a: &x [*x]", "1:8", "inside the value that it names"),
        ("a: &x {<<: *x}", "1:12", "inside the value that it names"),
        ("a: {<<: 5}", "1:9", "<< takes a mapping"),
        ("? [a]\n: b", "1:3", "A key must be plain text"),
        (
            "a: !!python/object/apply:os.system [x]",
            "1:4",
            "tag tag:yaml.org,2002:python/object/apply:os.system",
        ),
        ("a: !secret x", "1:4", "tag !secret is not supported"),
        ("a: 1\n---\nb: 2", "3:1", "more than one document"),
        (b"ok: 1\nbad: \xff", "2:6", "not UTF-8"),
        (b"\xfe\xff\x00a", "1:1", "not UTF-8"),
        ("a: 1\nb: \x00", "2:4", "U+0000"),
        ("a: \x1b[31m", "1:4", "U+001B"),
        ("a: \ud800", "1:4", "not UTF-8"),
    ],
)
def test_refuses_with_the_place(text: str | bytes, where: str, part: str) -> None:
    found, message = problem(text)
    assert (found, part in message) == (where, True), message


def test_the_sentence_names_line_and_column() -> None:
    with pytest.raises(InvalidInput, match=r"^Line 2, column 1: The key 'a' stands twice"):
        load("a: 1\na: 2")


def test_alias_bomb() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 10))
    assert "aliases" in problem(bomb)[1]


def test_aliases_count_with_all_that_they_bring() -> None:
    text = "big: &big [" + "x, " * 1000 + "x]\nall: [" + "*big, " * 60 + "x]"
    assert "more than 50,000 values" in problem(text)[1]


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 100_000, "- " * 100_000, '{\t"a":' + "[" * 100_000])
def test_deep_nesting(text: str) -> None:
    _, message = problem(text)
    assert "nested deeper than 50" in message or "not readable" in message


def test_anchor_around_deep_nesting() -> None:
    assert "nested deeper" in problem("a: " + "&x [" * 60 + "]" * 60)[1]


def test_anchor_around_too_much() -> None:
    assert "more than 50,000 values" in problem("a: &x [" + "1, " * 110_000 + "1]")[1]


def test_size() -> None:
    assert problem("a" * 10_000_000) == (
        "",
        "The file is too large: 10,000,000 bytes, and 1,000,000 are allowed.",
    )
    assert problem("é" * 600, max_bytes=1000)[1].startswith("The file is too large: 1,200 bytes")
    assert load("a" * 1000, max_bytes=1000) == "a" * 1000


def test_too_many_values() -> None:
    assert problem("-\n" * 50_000) == ("50000:2", "The file holds more than 50,000 values; make it smaller.")


def test_works_without_the_compiled_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    monkeypatch.setattr(yamlsafe, "_LOADER", yaml.SafeLoader)
    assert load("a: &x {k: 1}\nb:\n  <<: *x\n  l: 1.5\n") == {"a": {"k": 1}, "b": {"k": 1, "l": 1.5}}
    assert problem("a: b: c")[0] == "1:5"
    assert problem("a: \ufffe")[1].startswith("This is not readable YAML")


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_anything_is_read_or_refused_with_a_sentence(text: str | bytes) -> None:
    try:
        load(text)
    except InvalidInput as error:
        sentence = error.sentence
    else:
        sentence = "."
    assert sentence.endswith(".")


_PLAIN = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18) + 1, 10**18 - 1) | _PLAIN,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_PLAIN, inner, max_size=4),
    max_leaves=20,
)


@given(_JSON)
def test_json_is_read_as_json_reads_it(data: object) -> None:
    import json

    assert load(json.dumps(data)) == data
