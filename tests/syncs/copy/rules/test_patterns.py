from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from opssight.core.errors import InvalidInput
from syncs.copy.rules.patterns import MAX_PROGRAM, Pattern, PatternSet, glob, is_text, literal, regex


def test_regex_is_searched_anywhere() -> None:
    assert regex("b.d").matches(b"a/bcd/e")
    assert not regex("^b").matches(b"ab")
    assert regex("").matches(b"anything")


@pytest.mark.parametrize(
    ("pattern", "path", "groups"),
    [
        (r"^(?P<lang>[a-z]+)/(?P<file>.+)$", b"go/a/b.go", {"lang": b"go", "file": b"a/b.go"}),
        (r"(?<lang>go)", b"x/go", {"lang": b"go"}),
        (r"(?P<a>x)?(?P<b>y)", b"y", {"a": b"", "b": b"y"}),  # no part in the match: empty
        (r"(x)(y)", b"xy", {}),
        (r"(?P<c>.)$", "é".encode(), {"c": "é".encode()}),
        (r"(?P<c>\pL)$", "a/é".encode(), {"c": "é".encode()}),
        (r"(?P<rest>/.+)", b"\xff\xfe/b", {"rest": b"/b"}),  # by byte
        (r"nope", b"a", None),
    ],
)
def test_groups(pattern: str, path: bytes, groups: dict[str, bytes] | None) -> None:
    assert regex(pattern).find(path) == groups


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("(", "missing )"),
        ("[a", "missing ]"),
        ("*", "no argument for repetition operator"),
        (r"(a)\1", "invalid escape sequence"),
        ("(?=a)", "invalid perl operator"),
        (r"a\C", r"\C is not supported"),
        (r"(?P<n>a)(?P<n>b)", "group name n stands twice"),
        (r"(?P<n>a)(?<n>b)", "group name n stands twice"),
        ("a{1001}", "repetition"),
        (".{1000}.{1000}", "too large"),
        (r"(\pL{200}){200}", "repetition"),
        ("\ud800", "half of a character"),
    ],
)
def test_what_cannot_be_used(pattern: str, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        regex(pattern)
    assert part in caught.value.sentence


def test_an_escaped_backslash_before_c_is_no_byte_class() -> None:
    assert regex(r"\\C").matches(rb"a\C")


def test_the_largest_pattern_still_fits() -> None:
    assert 8_000 < regex(".{1000}").program_size <= MAX_PROGRAM


def test_exponential_regex_answers_at_once() -> None:
    assert not regex("^(a+)+$").matches(b"a" * 100_000 + b"b")
    assert regex("^(a+)+$").matches(b"a" * 100_000)


def test_literal_means_every_character() -> None:
    pattern = literal("a.b[é]*", end=r"\z")
    assert pattern.matches("a.b[é]*".encode())
    assert not pattern.matches("axb[é]*".encode())
    assert literal("é").matches("é".encode() + b"\xff")
    assert not literal("b").matches(b"ab")


def test_span_is_in_bytes() -> None:
    assert regex("b").span("éb".encode()) == (2, 3)
    assert regex("c").span(b"ab") is None


def test_a_pattern_without_meaning_on_single_bytes_finds_none_there() -> None:
    pattern = Pattern("a", "(")
    assert pattern.matches(b"a")
    assert not pattern.matches(b"a\xff")


@pytest.mark.parametrize(
    ("path", "text"), [(b"a", True), ("é".encode(), True), (b"\xff", False), (b"\xc3", False)]
)
def test_is_text(path: bytes, text: bool) -> None:
    assert is_text(path) is text


_PATTERNS = [
    *[regex(text) for text in ("a+", "^b", "é", "(?P<x>a)b$", "", ".a.")],
    *[glob(text) for text in ("**/*.go", "a/**", "{a,b}/*", "é/*")],
    literal("a/"),
]


@given(st.binary(max_size=12) | st.text(st.sampled_from("ab/é.go"), max_size=12).map(str.encode))
def test_a_set_answers_like_its_patterns(path: bytes) -> None:
    one_by_one = [index for index, pattern in enumerate(_PATTERNS) if pattern.matches(path)]
    assert PatternSet(_PATTERNS).which(path) == one_by_one


def test_sets_of_none_and_of_very_large_patterns() -> None:
    assert PatternSet([]).which(b"a") == []
    large = [regex(f"^x.{{{count}}}b") for count in (990, 991, 992)]  # too much for one automaton
    assert PatternSet(large).which(b"x" + b"a" * 991 + b"b") == [1]
