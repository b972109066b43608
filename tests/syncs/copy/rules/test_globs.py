"""Globs against tables written from what doublestar 4 is known to do on git paths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import event, given, settings, strategies as st

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
    ("\\**", "*x"),  # an escaped star, then a star
    # classes
    ("[ab]", "b"),
    ("[a-c]", "b"),
    ("[!a]", "b"),
    ("[^a]", "b"),
    ("[!a-c]", "d"),
    ("[^a-c]", "d"),
    ("[!\\]]", "a"),
    ("[a\\-c]", "-"),
    ("[?]", "?"),
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
    ("{*.go,*.md}", "x.md"),
    ("{?,a}c", "bc"),
    ("a/{b,c/**}/d", "a/c/x/y/d"),
    ("a/{b,c}/**", "a/c"),
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
    ("[^a-c]", "b"),
    ("[a\\-c]", "b"),  # no range
    ("[A-C]", "b"),
    ("[?]", "a"),
    ("a/{b,c}/**", "a/d"),
    ("**/a/**", "b/c"),
    ("\\**", "x"),
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


# --- against a matcher that tries everything, written from the documentation of doublestar ----------------

Atom = tuple[str, str]  # a kind, and the text of it in a glob
_PLAIN = st.sampled_from("ab.é").map(lambda char: ("plain", char))
_CLASS = st.sampled_from(["[ab]", "[!a]", "[^.]", "[a-b]", "[!a-b]"]).map(lambda text: ("class", text))
_MEMBERS = {"[ab]": "ab", "[!a]": "a", "[^.]": ".", "[a-b]": "ab", "[!a-b]": "ab"}
_ATOM = st.one_of(_PLAIN, _PLAIN, _CLASS, st.just(("?", "?")), st.just(("*", "*")))


def _apart(atoms: list[Atom]) -> bool:
    """Two stars in a row are something else."""
    return all("*" not in (one[0], other[0]) or one != other for one, other in pairwise(atoms))


_FOLDERS = [("folders", "**")]
_NAME_OF_ATOMS = st.lists(_ATOM, min_size=1, max_size=4).filter(_apart)
_ALTERNATIVES = st.lists(st.lists(_PLAIN, min_size=1, max_size=2), min_size=1, max_size=3)


def _usable(parts: list[Any]) -> bool:
    """Without what doublestar itself takes now so, now so: `**/**`, and `x*/**` at the end of its star."""
    pairs = list(pairwise(parts))
    twice = any(one == other == _FOLDERS for one, other in pairs)
    return not twice and not (pairs and parts[-1] == _FOLDERS and pairs[-1][0][-1] == ("*", "*"))


# Parts between slashes: atoms, `**`, or alternatives, each of them atoms.
_GLOBS = st.lists(
    st.one_of(_NAME_OF_ATOMS, _NAME_OF_ATOMS, st.just(_FOLDERS), _ALTERNATIVES), min_size=1, max_size=4
).filter(_usable)


def _written(part: Any) -> str:
    if isinstance(part[0], list):
        return "{" + ",".join("".join(text for _, text in one) for one in part) + "}"
    return "".join(text for _, text in part)


def _one_by_one(parts: list[Any]) -> Iterator[list[Atom]]:
    """The atoms of each choice of alternatives, with the slashes between the parts."""
    for choice in product(*(part if isinstance(part[0], list) else [part] for part in parts)):
        yield [atom for part in choice for atom in (("/", "/"), *part)][1:]


def _takes(atoms: Sequence[Atom], path: str) -> bool:
    if not atoms:
        return not path
    (kind, text), rest = atoms[0], atoms[1:]
    if kind == "folders" and not rest:
        return True
    if kind == "folders":  # with the slash behind it: none, or any number of whole folders
        ends = [0, *(index + 1 for index, char in enumerate(path) if char == "/")]
        return any(_takes(rest[1:], path[end:]) for end in ends)
    if kind == "/" and [one[0] for one in rest] == ["folders"] and not path:
        return True  # the folder itself
    if kind == "*":
        name = path.partition("/")[0]
        return any(_takes(rest, path[end:]) for end in range(len(name) + 1))
    return bool(path) and _is(kind, text, path[0]) and _takes(rest, path[1:])


def _is(kind: str, text: str, char: str) -> bool:
    if kind == "?":
        return char != "/"
    if kind == "class":
        return (char in _MEMBERS[text]) is not (text[1] in "!^")
    return char == text


_PATH = st.lists(st.text(st.sampled_from("ab.é"), min_size=1, max_size=3), min_size=1, max_size=4)


@settings(max_examples=1_000)
@given(_GLOBS, _PATH)
def test_a_glob_takes_what_a_matcher_takes_that_tries_everything(parts: list[Any], names: list[str]) -> None:
    pattern, path = "/".join(map(_written, parts)), "/".join(names)
    expected = any(_takes(atoms, path) for atoms in _one_by_one(parts))
    event(f"taken: {expected}")
    assert glob(pattern).matches(path.encode()) is expected
