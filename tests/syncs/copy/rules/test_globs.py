"""Globs against tables written from what doublestar 4 is known to do on git paths."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from opssight.core.errors import InvalidInput
from syncs.copy.rules.globs import glob_to_re2, static_prefix
from syncs.copy.rules.patterns import glob

TAKES = [
    # one name
    ("a.go", "a.go"),
    ("*", "a"),
    ("*", ".env"),  # dots are nothing special
    ("*.go", ".go"),
    ("a*", "a"),
    ("a*c", "abbc"),
    ("*a*b*", "xaybz"),
    ("?", "a"),
    ("?", "é"),  # one character, two bytes
    ("a?c", "abc"),
    ("src/*.py", "src/x.py"),
    ("*/*", "a/b"),
    # ** alone between slashes: any number of folders, none included
    ("**", ""),
    ("*", ""),
    ("**", "a"),
    ("**", "a/b/c"),
    ("**", ".git2/x"),
    ("a/**", "a/b"),
    ("a/**", "a/b/c"),
    ("a/**", "a"),
    ("**/a", "a"),
    ("**/a", "x/y/a"),
    ("a/**/b", "a/b"),
    ("a/**/b", "a/x/y/b"),
    ("**/*.go", "a.go"),
    ("**/*.go", "x/a.go"),
    ("**/tests/**", "a/tests/b"),
    ("**/tests/**", "tests/b/c"),
    ("**/tests/**", "a/tests"),
    ("**/**", "a"),
    ("**/a/**/b", "a/a/b/b"),
    ("a/**/**/b", "a/b"),
    ("**/.*", "x/.env"),
    ("a/**/*/b", "a/x/b"),
    ("*/**", "a"),
    ("a*/**", "ab"),
    ("a/**/", "a"),
    # ** glued to text is a plain *
    ("a**", "ab"),
    ("**a", "ba"),
    ("a/**.go", "a/x.go"),
    ("**.go", "x.go"),
    ("a**b/c", "axb/c"),
    # classes
    ("[ab]", "b"),
    ("[a-c]", "b"),
    ("[!a]", "b"),
    ("[^a]", "b"),
    ("[!a-c]", "d"),
    ("[-a]", "-"),
    ("[a-]", "-"),
    ("[a\\-z]", "-"),
    ("[\\]]", "]"),
    ("[a-c-e]", "-"),
    ("[é-ü]", "ö"),
    ("[!a]", "ü"),
    ("[[]", "["),
    ("[*]", "*"),
    ("x[!z-a]", "xq"),  # a range that goes backwards holds nothing
    ("[a/b]x", "ax"),
    ("a[/]b", "a/b"),  # unlike * and ?, a class may hold the slash
    ("a[!b]c", "a/c"),
    # alternatives
    ("{a,b}", "b"),
    ("{a,b}.go", "a.go"),
    ("{a}.go", "a.go"),
    ("a{,b}", "a"),
    ("a{,b}", "ab"),
    ("{a,{b,c}}", "c"),
    ("{a/b,c}/d", "a/b/d"),
    ("{src,test}/**", "test/x/y"),
    ("{**/*.go,**/*.md}", "x/y.md"),
    ("src/{**/x,y}", "src/a/b/x"),
    ("x/{a,**}", "x/b/c"),
    ("x{/**,y}", "x"),
    ("x{/**,y}", "x/a"),
    ("{\\,,b}", ","),
    ("{[a],b}", "a"),
    # plain characters
    ("a\\*b", "a*b"),
    ("\\{a\\}", "{a}"),
    ("\\a", "a"),
    ("a.b+c(d)|^$", "a.b+c(d)|^$"),
    ("!a", "!a"),  # no negation
    ("!(a)", "!(a)"),  # no extended patterns
    ("[[:alpha:]]", ":]"),  # no classes by name: one of [:alph and then ]
    ("a,b", "a,b"),
    ("{1..3}", "1..3"),  # no ranges of numbers
    ("a b", "a b"),
    ("ü/*", "ü/x"),
]

LEAVES = [
    ("a.go", "a_go"),
    ("*", "a/b"),
    ("?", "ab"),
    ("?", "/"),
    ("a?c", "a/c"),
    ("*.go", "a.GO"),  # case counts
    ("*.go", "x/a.go"),  # the whole path
    ("src/*.py", "src/x/y.py"),
    ("src/*.py", "xsrc/x.py"),
    ("a/**", "ab"),
    ("a/**", "b/a/x"),
    ("**/a", "ba"),
    ("**/a", "a/b"),
    ("a/**/b", "ab"),
    ("a/**/b", "a/xb"),
    ("**/*.go", "a.gox"),
    ("a/**/*", "a"),
    ("a/**/**", "a"),  # only one ** at the end may stand for nothing
    ("a*/**", "a"),  # a * before it must stand for something then
    ("a/**/", "a/b"),
    ("**/", "a"),
    ("a/", "a"),
    ("/a", "a"),
    ("a//b", "a/b"),
    ("***", "a/b"),
    ("a**", "ab/c"),
    ("a/**.go", "a/b/x.go"),
    ("x/{a,**}", "x"),
    ("[ab]", "c"),
    ("[!a]", "a"),
    ("[a-c]", "d"),
    ("[a-c-e]", "d"),
    ("[z-a]", "b"),
    ("[[:alpha:]]", "b"),
    ("{a,b}", "ab"),
    ("{a,b}", "{a,b}"),
    ("{1..3}", "2"),
    ("a\\*b", "axb"),
    ("!a", "b"),
    ("", "a"),
    ("{,a}/**", "b/x"),
]


@pytest.mark.parametrize(("pattern", "path"), TAKES)
def test_takes(pattern: str, path: str) -> None:
    assert glob(pattern).matches(path.encode())


@pytest.mark.parametrize(("pattern", "path"), LEAVES)
def test_leaves(pattern: str, path: str) -> None:
    assert not glob(pattern).matches(path.encode())


@pytest.mark.parametrize(
    ("pattern", "part"),
    [
        ("[", "[ that is not closed"),
        ("[a", "[ that is not closed"),
        ("[!", "[ that is not closed"),
        ("[\\]", "[ that is not closed"),
        ("[]", "empty class"),
        ("[]a]", "empty class"),
        ("[!]", "empty class"),
        ("{a", "{ that is not closed"),
        ("{a,{b}", "{ that is not closed"),
        ("{a\\}", "{ that is not closed"),
        ("a}", "} without a {"),
        ("{a}}", "} without a {"),
        ("a\\", "ends with a backslash"),
        ("x{**,a}", "** must stand alone between slashes"),
        ("x{**/y,z}", "** must stand alone between slashes"),
        ("b{,a}**", "** must stand alone between slashes"),
        ("{" + ",".join("a" * n for n in range(501)) + "}", "more than 500 alternatives"),
        ("{a,b}" * 10, "more than 500 alternatives"),
    ],
)
def test_refuses(pattern: str, part: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        glob(pattern)
    assert part in caught.value.sentence


@pytest.mark.parametrize(
    ("pattern", "prefix"),
    [
        ("a/b/**", "a/b/"),
        ("a/b*", "a/b"),
        ("**", ""),
        ("a/b", "a/b"),
        ("a\\*/x?", "a*/x"),
        ("[a]", ""),
        ("a{b}", "a"),
        ("a\\", "a"),
    ],
)
def test_static_prefix(pattern: str, prefix: str) -> None:
    assert static_prefix(pattern) == prefix


def test_stars_that_would_take_for_ever_elsewhere() -> None:
    assert not glob("*a" * 30 + "*b").matches(b"a" * 100_000)


def test_paths_that_are_not_utf8_are_matched_by_byte() -> None:
    assert glob("docs/**").matches(b"docs/\xff\xfe.md")
    assert glob("docs/*.md").matches(b"docs/\xff\xfe.md")
    assert glob("docs/??.md").matches(b"docs/\xff\xfe.md")
    assert glob("é/*").matches("é/".encode() + b"\xff")
    assert not glob("docs/*.txt").matches(b"docs/\xff.md")


_GLOBBY = st.text(st.sampled_from("ab/*?[]{},!^-\\é."), max_size=12)


@given(_GLOBBY, st.text(st.sampled_from("ab/é."), max_size=12))
def test_every_text_is_a_glob_or_refused(pattern: str, path: str) -> None:
    try:
        glob_to_re2(pattern)
    except InvalidInput as error:
        sentence = error.sentence
        assert sentence.startswith("The glob "), sentence
        return
    assert glob(pattern).matches(path.encode()) in (True, False)


_NAME = st.text(st.sampled_from("abc.é*?[{\\"), min_size=1, max_size=5)


@given(st.lists(_NAME, min_size=1, max_size=4))
def test_an_escaped_path_takes_exactly_itself(names: list[str]) -> None:
    path = "/".join(names)
    escaped = "".join(f"\\{char}" if char in "*?[]{}\\" else char for char in path)
    assert glob(escaped).matches(path.encode())
    assert not glob(escaped).matches(path.encode() + b"x")
    assert glob(f"{escaped}/**").matches(f"{path}/x/y".encode())
    assert glob(f"**/{escaped}").matches(f"x/{path}".encode())
