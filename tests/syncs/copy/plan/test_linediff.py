from __future__ import annotations

import difflib

from hypothesis import given, strategies as st

from syncs.copy.plan.linediff import MAX_LINES, unified

TEXTS = st.lists(st.sampled_from(["a", "b", "c", "@@ -1 +1 @@"]), max_size=30)


@given(TEXTS, TEXTS)
def test_it_applies_as_what_difflib_says_does(before: list[str], after: list[str]) -> None:
    found = unified(before, after)
    assert found is not None
    assert patched(before, found) == after


def patched(before: list[str], lines: list[str]) -> list[str]:
    """`before` with a unified diff applied by its line numbers."""
    result, at = [], 0
    for line in lines[2:]:
        if line.startswith("@@ "):
            start, _, number = line.split()[1].removeprefix("-").partition(",")
            first = int(start) - (0 if number == "0" else 1)
            result += before[at:first]
            at = first
        elif line.startswith("+"):
            result.append(line[1:])
        else:
            assert before[at] == line[1:]
            result += [line[1:]] if line.startswith(" ") else []
            at += 1
    return result + before[at:]


def test_what_is_the_same_around_a_change_costs_nothing() -> None:
    same = [str(number) for number in range(200_000)]
    changed = [*same[:100_000], "new", *same[100_000:]]
    found = unified(same, changed)
    assert found is not None
    assert found[2] == "@@ -99997,8 +99997,9 @@"
    assert "+new" in found


def test_too_many_different_lines_are_not_compared() -> None:
    many = [str(number) for number in range(MAX_LINES + 1)]
    assert unified(many, [f"{line}x" for line in many]) is None
    assert unified(many[:-1], [f"{line}x" for line in many[:-1]]) is not None
    assert len(list(difflib.unified_diff(many, many))) == 0
