"""Trees of many files in few rows, and differences within a line."""

from __future__ import annotations

import difflib

from hypothesis import given, strategies as st

from opssight.web.parts import TreeNode
from opssight.web.trees import tree_html
from syncs.copy.views.difflines import diff_lines
from syncs.copy.views.folders import LISTED, ROWS, Folders, Shape, branch, counts_of, name_of, path_in, tree

paths = st.lists(
    st.lists(st.sampled_from([b"a", b"b", b"\xff", b"d d"]), min_size=1, max_size=5).map(b"/".join),
    unique=True,
)


def shape(files: list[bytes], weight: dict[bytes, int] | None = None, opened: tuple[str, ...] = ()) -> Shape:
    def file(path: bytes) -> TreeNode:
        return TreeNode(name_of(path), press=("show", "s:x"), dim=True)

    def folder(path: bytes) -> TreeNode:
        return TreeNode(name_of(path), folder=True)

    return Shape(Folders(sorted(files)), "s", file, folder, weight or {}, "/load/", opened)


@given(paths)
def test_every_folder_counts_what_is_below_it(files: list[bytes]) -> None:
    folders = Folders(sorted(files))
    expected = dict.fromkeys(folders.totals, 0)
    for path in files:
        parts = path.split(b"/")[:-1]
        for depth in range(len(parts) + 1):
            expected[b"/".join(parts[:depth])] += 1
    assert folders.totals == expected
    assert {folder: n for folder, n in expected.items() if n} == counts_of(files)


def rows(nodes: list[TreeNode]) -> int:
    return tree_html(nodes).count('class="row ') + tree_html(nodes).count('class="row"')


def test_a_large_tree_is_few_rows_and_its_matches_are_open() -> None:
    files = [b"d%02d/e%02d/f%03d" % (n // 1_000, n // 100 % 10, n % 100) for n in range(20_000)]
    matched = [path for path in files if path.startswith(b"d07/e03/")][:5]
    nodes = tree(shape(files, counts_of(matched)))
    assert rows(nodes) < 2 * ROWS + 50
    assert "f004" in tree_html(nodes)


def test_a_large_folder_lists_some_and_says_how_many_more() -> None:
    files = [b"f%05d" % n for n in range(1_000)]
    nodes = tree(shape(files))
    assert len(nodes) == LISTED + 1
    assert nodes[-1].name == f"{1_000 - LISTED} more files"


def test_a_folder_is_open_by_hand_and_its_inside_can_be_asked_for() -> None:
    files = [b"a/b c/\xff", b"z"]
    opened = tree(shape(files, opened=("s:a", "s:a/b%20c")))
    assert "\\xff" in tree_html(opened)
    closed = tree(shape(files))[0]
    assert closed.load_url == "/load/?folder=s%3Aa"
    assert [node.name for node in branch(shape(files), path_in("s:a/b%20c"))] == ["\\xff"]
    assert branch(shape(files), b"not/there") == []


def test_a_very_deep_path_can_be_drawn() -> None:
    deep = b"/".join([b"a"] * 2_000)
    assert rows(tree(shape([deep], counts_of([deep])))) < 100


def test_lines_changed_one_for_one_mark_their_words() -> None:
    unified = list(
        difflib.unified_diff(["a", "page = get(url)"], ["a", "page = get(path)", "b"], lineterm="")
    )
    whole = diff_lines(unified)
    assert [line.kind for line in whole] == ["hunk", "same", "removed", "added", "added"]
    one = diff_lines(list(difflib.unified_diff(["page = get(url)"], ["page = get(path)"], lineterm="")))
    assert [text for text, changed in one[1].parts if changed] == ["url"]
    assert [text for text, changed in one[2].parts if changed] == ["path"]


@given(
    st.lists(st.sampled_from(["a", "b", "c d", "-x", "+y", ""])),
    st.lists(st.sampled_from(["a", "b", "c e", "--", "++"])),
)
def test_a_difference_gives_both_texts_back(old: list[str], new: list[str]) -> None:
    unified = list(difflib.unified_diff(old, new, lineterm="", n=100))
    lines = diff_lines(unified)
    if not lines:
        assert old == new
        return
    texts = [(line.kind, "".join(text for text, _ in line.parts)) for line in lines]
    assert [text for kind, text in texts if kind in ("same", "removed")] == old
    assert [text for kind, text in texts if kind in ("same", "added")] == new
    assert [line.old for line in lines if line.old] == list(range(1, len(old) + 1))
    assert [line.new for line in lines if line.new] == list(range(1, len(new) + 1))
