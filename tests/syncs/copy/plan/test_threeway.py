from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from repos.git.merging import merge_file
from repos.git.runner import Git
from syncs.copy.plan.threeway import Version, merge


@pytest.fixture
def runner(tmp_path: Path) -> Git:
    return Git(tmp_path / "home")


def text(data: bytes, mode: str = "100644") -> Version:
    return Version(mode, data)


LINES = b"".join(b"%d\n" % number for number in range(10))


def test_changes_of_both_sides_are_kept(runner: Git) -> None:
    ours, theirs = LINES.replace(b"0\n", b"ours\n"), LINES.replace(b"9\n", b"theirs\n")
    done = merge(runner, base=text(LINES), ours=text(ours), theirs=text(theirs))
    assert done == text(ours.replace(b"9\n", b"theirs\n"))
    assert list(runner.home.glob("merge-*")) == []


def test_line_ends_are_kept(runner: Git) -> None:
    base = LINES.replace(b"\n", b"\r\n")
    ours, theirs = base.replace(b"0\r", b"ours\r"), base.replace(b"9\r\n", b"no end")
    done = merge(runner, base=text(base), ours=text(ours), theirs=text(theirs))
    assert done == text(ours.replace(b"9\r\n", b"no end"))


def test_only_one_side_changed(runner: Git) -> None:
    assert merge(runner, base=text(b"a"), ours=text(b"a"), theirs=text(b"\0b")) == text(b"\0b")
    assert merge(runner, base=text(b"a"), ours=text(b"b\n"), theirs=text(b"b\n")) == text(b"b\n")


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "reason"),
    [
        (text(b"a\n"), text(b"b\n"), text(b"c\n"), "was changed in the same place on both sides"),
        (text(b"a"), text(b"b\0"), text(b"c"), "is binary and was changed on both sides"),
        (text(b"a"), text(b"b", "120000"), text(b"c"), "is a symbolic link on one side"),
        (text(b"a"), text(b"b"), text(b"c", "120000"), "is a symbolic link on one side"),
    ],
)
def test_what_waits_for_a_person(
    runner: Git, base: Version, ours: Version, theirs: Version, reason: str
) -> None:
    done = merge(runner, base=base, ours=ours, theirs=theirs)
    assert isinstance(done, str)
    assert done.startswith(reason)


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "mode"),
    [
        ("100644", "100755", "100644", "100755"),
        ("100644", "100644", "100755", "100755"),
        ("100755", "100644", "100755", "100644"),
    ],
)
def test_modes(runner: Git, base: str, ours: str, theirs: str, mode: str) -> None:
    done = merge(runner, base=text(b"a", base), ours=text(b"a", ours), theirs=text(b"b", theirs))
    assert done == text(b"b", mode)


DATA = st.lists(st.sampled_from([b"a\n", b"b\n", b"<<<<<<<\n", b"=======\n", b"c"]), max_size=8).map(b"".join)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(base=DATA, other=DATA)
def test_a_side_without_changes_gives_way(runner: Git, base: bytes, other: bytes) -> None:
    assert merge_file(runner, base=base, ours=other, theirs=base) == other
    assert merge_file(runner, base=base, ours=base, theirs=other) == other
