"""Keeps both what changed at the source and what was edited at the target, in one file."""

from __future__ import annotations

from dataclasses import dataclass

from repos.git.merging import merge_file
from repos.git.runner import Git
from syncs.copy.plan.contents import is_binary


@dataclass(frozen=True)
class Version:
    """A file at one side of a merge."""

    mode: str
    data: bytes


def merge(git: Git, *, base: Version, ours: Version, theirs: Version) -> Version | str:
    """`theirs` with the changes from `base` to `ours`, or why that cannot be: it follows the file's name."""
    kinds = {side.mode[:3] for side in (base, ours, theirs)}
    if kinds != {"100"}:
        return "is a symbolic link on one side, which cannot be merged"
    mode = theirs.mode if ours.mode == base.mode else ours.mode
    if ours.data in (base.data, theirs.data):
        return Version(mode, theirs.data)
    if any(is_binary(side.data) for side in (base, ours, theirs)):
        return "is binary and was changed on both sides"
    data = merge_file(git, base=base.data, ours=ours.data, theirs=theirs.data)
    if data is None:
        return "was changed in the same place on both sides"
    return Version(mode, data)
