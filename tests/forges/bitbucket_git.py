"""What both stand-ins of Bitbucket do with the repositories behind their pull requests."""

from __future__ import annotations

import subprocess

from tests.repos.git.work import IDENTITY, Bare


def merge(bare: Bare, head: str, base: str, strategy: str, message: str) -> str:
    """Merge a branch into another one; the new commit, or "" where they do not fit together.

    `strategy` is `merge`, `squash` or `forward`.
    """
    ours, theirs = bare.oid(f"refs/heads/{base}"), bare.oid(f"refs/heads/{head}")
    if strategy == "forward":
        if bare.git("merge-base", ours, theirs) != ours:
            return ""
        commit = theirs
    else:
        tree = _merged_tree(bare, ours, theirs)
        if not tree:
            return ""
        parents = ["-p", ours] if strategy == "squash" else ["-p", ours, "-p", theirs]
        commit = bare.git("commit-tree", tree, *parents, "-m", message)
    bare.git("update-ref", f"refs/heads/{base}", commit)
    return commit


def _merged_tree(bare: Bare, ours: str, theirs: str) -> str:
    command = ["git", "merge-tree", "--write-tree", ours, theirs]
    done = subprocess.run(command, cwd=bare.path, env=IDENTITY, capture_output=True, text=True, check=False)
    return done.stdout.split("\n", 1)[0] if done.returncode == 0 else ""
