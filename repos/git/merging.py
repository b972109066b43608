"""Merges the contents of one file from two sides."""

from __future__ import annotations

import tempfile
from pathlib import Path

from repos.git.runner import Git

_CONFLICTS = range(128)  # merge-file ends with the number of conflicts, at most 127


def merge_file(git: Git, *, base: bytes, ours: bytes, theirs: bytes) -> bytes | None:
    """`theirs` with what changed from `base` to `ours`; None where both changed the same lines.

    For text only: git refuses binary contents. Raises a `Failure`.
    """
    with tempfile.TemporaryDirectory(dir=git.home, prefix="merge-") as folder:
        names = []
        for name, data in (("theirs", theirs), ("base", base), ("ours", ours)):
            path = Path(folder, name)
            path.write_bytes(data)
            names.append(str(path))
        output = git.run(["merge-file", "--stdout", "--quiet", *names], ok=_CONFLICTS)
    return None if output.code else output.stdout
