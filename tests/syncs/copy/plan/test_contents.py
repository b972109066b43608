from __future__ import annotations

import hashlib
import subprocess

import pytest
from hypothesis import given, strategies as st

from opssight.core.errors import InvalidInput
from syncs.copy.plan.contents import (
    MAX_BYTES,
    applying,
    blob_oid,
    is_binary,
    is_lfs_pointer,
    is_utf8,
    modes_kept,
    transformed,
)
from syncs.copy.rules.options import TRANSFORM_TYPES, Options, Transform, TransformType

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 12345\n"
BLOCKS = Transform("remove_blocks", ":begin:", ":end:")


def change(type: TransformType, data: bytes, find: str = "", text: str = "", **values: bytes) -> bytes:
    return transformed([Transform(type, find, text)], data, values)


@pytest.mark.parametrize(
    ("type", "find", "text", "before", "after"),
    [
        ("replace", "old", "new", b"old and old\n", b"new and new\n"),
        ("replace", "a\nb", "c\nd", b"a\r\nb\r\n", b"c\r\nd\r\n"),
        ("replace", "gone", "", b"gone stays\n", b" stays\n"),
        ("replace", "ü", "ue", "für\n".encode(), b"fuer\n"),
        ("replace", "none", "x", b"text", b"text"),
        ("header", "", "# head", b"text\n", b"# head\ntext\n"),
        ("header", "", "# head\n", b"", b"# head\n"),
        ("header", "", "# head", b"# head\ntext\n", b"# head\ntext\n"),
        ("header", "", "a\nb", b"text\r\n", b"a\r\nb\r\ntext\r\n"),
        ("header", "", "# head", b"#!/bin/sh\nexit\n", b"#!/bin/sh\n# head\nexit\n"),
        ("header", "", "# head", b"#!/bin/sh\n# head\nexit\n", b"#!/bin/sh\n# head\nexit\n"),
        ("header", "", "# head", b"#!/bin/sh", b"#!/bin/sh\n# head\n"),
        ("header", "", "# head", b"\xef\xbb\xbftext\n", b"\xef\xbb\xbf# head\ntext\n"),
        ("footer", "", "# foot", b"text\n", b"text\n# foot\n"),
        ("footer", "", "# foot", b"text", b"text\n# foot\n"),
        ("footer", "", "# foot", b"text\n# foot\n", b"text\n# foot\n"),
        ("footer", "", "# foot", b"text\r\n", b"text\r\n# foot\r\n"),
        ("footer", "", "# foot", b"", b"# foot\n"),
        ("line_endings", "", "lf", b"a\r\nb\nc\r", b"a\nb\nc\r"),
        ("line_endings", "", "crlf", b"a\r\nb\nc", b"a\r\nb\r\nc"),
    ],
)
def test_each_transform(type: TransformType, find: str, text: str, before: bytes, after: bytes) -> None:
    assert change(type, before, find, text) == after
    if type != "replace":
        assert change(type, after, find, text) == after, "a second time changes nothing"


def test_variables() -> None:
    text = b"${name} ${unknown} ${a b} $name ${name}${name} ${other}"
    values = {"name": b"${other}", "other": b"\xc3\xbc"}
    done = transformed([Transform("variables")], text, values)
    assert done == b"${other} ${unknown} ${a b} $name ${other}${other} \xc3\xbc"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"a\n// :begin:\nx\n// :end:\nb\n", b"a\nb\n"),
        (b"a\r\n:begin:\r\nx\r\n:end:\r\nb\r\n", b"a\r\nb\r\n"),
        (b":begin:\nx\n:end:", b""),
        (b"a\n:begin: x :end:\nb", b"a\nb"),
        (b"no block\rat all", b"no block\rat all"),
        (b"", b""),
        (b":begin:\n:end:\n:begin:\ny\n:end:\nz\n", b"z\n"),
    ],
)
def test_blocks_are_removed(before: bytes, after: bytes) -> None:
    assert transformed([BLOCKS], before, {}) == after


def test_one_marker_may_begin_and_end_a_block() -> None:
    marker = Transform("remove_blocks", "%%%", "%%%")
    assert transformed([marker], b"a\n%%%\nx\n%%%\nb\n", {}) == b"a\nb\n"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"a\n:begin:\nx\n", "has a block that begins in line 2 and does not end"),
        (b"a\n:end:\nx\n", "has the end of a block in line 2 that no beginning belongs to"),
        (b":begin:\na\n:begin:\n:end:\n", "has a block that begins in line 3 inside the one of line 1"),
    ],
)
def test_blocks_that_do_not_match_are_refused_and_never_cut_a_file(data: bytes, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        transformed([BLOCKS], data, {})


def test_transforms_are_done_in_their_order() -> None:
    first = [Transform("replace", "a", "b"), Transform("replace", "b", "c")]
    assert transformed(first, b"ab", {}) == b"cc"
    assert transformed(first[::-1], b"ab", {}) == b"bc"


@pytest.mark.parametrize(
    "transform",
    [Transform("replace", "x", "y" * 10_000), Transform("variables"), Transform("header", text="h" * 10_000)],
)
def test_contents_never_grow_without_limit(transform: Transform) -> None:
    data = {"replace": b"x" * 2_000, "variables": b"${v}" * 20_000}.get(transform.type, b"x" * MAX_BYTES)
    with pytest.raises(InvalidInput, match="would be larger than 10 MB"):
        transformed([transform], data, {"v": b"v" * 1_000})


def test_which_files_a_transform_is_for() -> None:
    everywhere = Transform("footer", text="f")
    pages = Transform("header", text="h", files=("**/*.md", "*.txt"))
    both = (everywhere, pages)
    assert applying(both, b"docs/a.md", "100644") == both
    assert applying(both, b"a.txt", "100755") == both
    assert applying(both, b"docs/a.txt", "100644") == (everywhere,)
    assert applying(both, b"\xff.md", "100644") == both
    assert applying(both, b"docs/a.md", "120000") == ()


def test_what_is_text() -> None:
    assert is_binary(b"a\0b")
    assert not is_binary(b"a" * 8_000 + b"\0")
    assert is_utf8("für".encode())
    assert not is_utf8("für".encode("latin-1"))
    assert is_lfs_pointer(POINTER)
    assert not is_lfs_pointer(POINTER[:90])
    assert not is_lfs_pointer(b"x" + POINTER)
    assert not is_lfs_pointer(POINTER + b"x" * 1_000)


@pytest.mark.parametrize("data", [b"", b"text\n", bytes(range(256)) * 100])
def test_the_id_of_contents_is_gits(data: bytes) -> None:
    git = ["git", "hash-object", "--stdin"]
    expected = subprocess.run(git, input=data, capture_output=True, check=True).stdout.decode().strip()
    assert blob_oid(data, "0" * 40) == expected
    assert blob_oid(data, "0" * 64) == hashlib.sha256(b"blob %d\0" % len(data) + data).hexdigest()


@pytest.mark.parametrize(("mode", "kind"), [("100755", "an executable file"), ("120000", "a symbolic link")])
def test_what_commits_by_the_api_cannot_carry(mode: str, kind: str) -> None:
    with pytest.raises(InvalidInput, match=f"x is {kind}, and commits that the provider signs"):
        modes_kept(Options(sign="api"), b"x", mode)
    modes_kept(Options(sign="key"), b"x", mode)
    modes_kept(Options(sign="api"), b"x", "100644")


TEXTS = st.text(alphabet=st.sampled_from("ab${}:\r\n#!ü"), max_size=60)


@given(st.sampled_from(TRANSFORM_TYPES), TEXTS, TEXTS, TEXTS)
def test_no_text_makes_a_transform_fail_but_with_a_sentence(
    type: TransformType, find: str, text: str, data: str
) -> None:
    transform = Transform(type, find or "x", text or "y")
    try:
        done = transformed([transform], data.encode(), {"a": b"b"})
    except InvalidInput:
        assert type == "remove_blocks"
    else:
        assert is_utf8(done)
        if type in ("header", "footer"):
            assert data.encode().strip() in done or data.startswith("#!")


@given(TEXTS)
def test_line_endings_go_there_and_back(data: str) -> None:
    lf = change("line_endings", data.encode(), text="lf")
    assert change("line_endings", change("line_endings", lf, text="crlf"), text="lf") == lf
