from __future__ import annotations

import os
from pathlib import Path

import pytest

from repos.git.inspect import inspect_folder
from repos.git.runner import Git
from tests.repos.git.work import Bare, git as plain_git


def test_bare_and_empty(git: Git, source: Bare) -> None:
    state = inspect_folder(source.path, git)
    assert (state.kind, state.git_dir, state.common_dir) == ("bare", source.path, source.path)
    assert (state.empty, state.shallow, state.owner_ok, state.head) == (True, False, True, b"refs/heads/main")
    assert state.problem == ""
    tip = source.commit({b"a": b"1"})
    assert not inspect_folder(source.path, git).empty
    source.git("pack-refs", "--all")
    assert not inspect_folder(source.path, git).empty
    (source.path / "HEAD").write_text(f"{tip}\n")
    assert inspect_folder(source.path, git).head == tip.encode()


def test_work_tree_worktree_and_submodule(git: Git, source: Bare, tmp_path: Path) -> None:
    source.commit({b"a": b"1"})
    work = tmp_path / "work"
    plain_git("clone", "-q", str(source.path), str(work), cwd=tmp_path)
    state = inspect_folder(work, git)
    assert (state.kind, state.git_dir, state.problem) == ("work tree", work / ".git", "")
    assert state.head == b"refs/heads/main"
    plain_git("-C", str(work), "worktree", "add", "-q", "-b", "side", str(tmp_path / "linked"), cwd=tmp_path)
    linked = inspect_folder(tmp_path / "linked", git)
    assert (linked.kind, linked.common_dir) == ("worktree file", work / ".git")
    assert linked.git_dir == work / ".git/worktrees/linked"
    assert linked.head == b"refs/heads/side"
    assert not linked.empty
    assert str(work / ".git") in linked.problem


def test_a_git_file_that_leads_nowhere(git: Git, tmp_path: Path) -> None:
    for text in ("gitdir: ../nowhere\n", "nonsense", "gitdir: \0"):
        (tmp_path / ".git").write_text(text)
        state = inspect_folder(tmp_path, git)
        assert state.kind == "not a repository"
        assert "not a git repository" in state.problem


def test_what_is_no_repository(git: Git, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "none", tmp_path / "file"):
        assert inspect_folder(path, git).kind == "not a repository"


def test_shallow(git: Git, source: Bare, tmp_path: Path) -> None:
    source.commit({b"a": b"1"})
    source.commit({b"a": b"2"})
    plain_git("clone", "-q", "--depth=1", source.path.as_uri(), str(tmp_path / "shallow"), cwd=tmp_path)
    state = inspect_folder(tmp_path / "shallow", git)
    assert state.shallow
    assert "--unshallow" in state.problem


@pytest.mark.root
def test_a_folder_of_somebody_else(git: Git, source: Bare) -> None:
    os.chown(source.path, 65534, 65534)
    state = inspect_folder(source.path, git)
    assert not state.owner_ok
    assert "another user" in state.problem
    assert inspect_folder(source.path, git.trusting([source.path])).problem == ""


def test_nothing_of_the_repository_runs(git: Git, source: Bare, tmp_path: Path) -> None:
    source.commit({b"a": b"1"})
    ran = tmp_path / "ran"
    with (source.path / "config").open("a") as config:
        config.write(f'[core]\n\tfsmonitor = "touch {ran}"\n\tsshCommand = "touch {ran}"\n')
        config.write(f'[alias]\n\trev-parse = "!touch {ran}"\n')
    assert inspect_folder(source.path, git).kind == "bare"
    assert not ran.exists()
