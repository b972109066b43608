from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from opssight.core.errors import AuthFailure, InvalidInput, PermanentFailure
from repos.git.errors import MissingObject
from repos.git.push import push
from repos.git.remote import PasswordCredential, Remote
from repos.git.store import Store, Stores
from repos.git.types import RefResult, RefUpdate
from repos.git.view import View
from tests.forges.githttp import GitServer
from tests.repos.git.conftest import PASSWORD, USER
from tests.repos.git.work import Bare, git

MAIN = b"refs/heads/main"


@pytest.fixture
def commits(source: Bare) -> list[str]:
    """Three in a row, and one of another history."""
    row = [source.commit({b"a": str(i).encode()}) for i in range(3)]
    return [*row, source.commit({b"b": b"x"}, branch="other", orphan=True)]


@pytest.fixture
def view(store: Store, stores: Stores, commits: list[str], source_remote: Remote) -> Iterator[View]:
    store.fetch(source_remote, ["+refs/heads/*:refs/heads/*"])
    with stores.view([store]) as made:
        yield made


def codes(results: list[RefResult]) -> list[str]:
    assert all(result.ok == (result.code in {"ok", "up_to_date"}) for result in results)
    return [result.code for result in results]


def test_create_forward_same_rewrite_delete(
    view: View, commits: list[str], target: Bare, target_remote: Remote
) -> None:
    one, two, _, other = commits
    steps = [
        (RefUpdate(MAIN, one), "ok"),
        (RefUpdate(MAIN, two, one), "ok"),
        (RefUpdate(MAIN, two, one), "up_to_date"),
        (RefUpdate(MAIN, other, two), "stale"),
        (RefUpdate(MAIN, other, two, force=True), "ok"),
        (RefUpdate(MAIN, other, one, force=True), "up_to_date"),
        (RefUpdate(b"refs/heads/x", one, None, force=True), "ok"),
        (RefUpdate(b"refs/heads/x", None, one), "ok"),
        (RefUpdate(b"refs/heads/x", None, one), "stale"),
    ]
    for update, code in steps:
        assert codes(view.push(target_remote, [update])) == [code]
    assert target.refs() == {"refs/heads/main": other}


@pytest.mark.parametrize("http", [True, False])
def test_what_somebody_else_did_is_never_lost(
    view: View, commits: list[str], target: Bare, target_remote: Remote, http: bool
) -> None:
    remote = target_remote if http else Remote.from_url(str(target.path))
    theirs = target.commit({b"theirs": b"1"})
    one, two, _, other = commits
    updates = [
        RefUpdate(MAIN, one, two, force=True),  # update from somewhere else
        RefUpdate(MAIN, one, None, force=True),  # create where something is
        RefUpdate(MAIN, None, two),  # delete something else
        RefUpdate(MAIN, None, two, force=True),
        RefUpdate(MAIN, one, two),  # a plain push from somewhere else
        RefUpdate(MAIN, other, None),
        RefUpdate(b"refs/heads/new", one, two, force=True),  # update what is not there
    ]
    for update in updates:
        assert codes(view.push(remote, [update])) == ["stale"], update
    assert target.refs() == {"refs/heads/main": theirs}


def test_a_tag_is_not_moved_without_force(
    view: View, commits: list[str], target: Bare, target_remote: Remote
) -> None:
    target.git("update-ref", "refs/tags/v1", target.commit({b"a": b"theirs"}))
    before = target.oid("refs/tags/v1")
    tag = b"refs/tags/v1"
    assert codes(view.push(target_remote, [RefUpdate(tag, commits[0], before)])) == ["stale"]
    assert codes(view.push(target_remote, [RefUpdate(tag, commits[0], before, force=True)])) == ["ok"]


def test_one_refused_ref_does_not_keep_the_others_back(
    view: View, commits: list[str], target: Bare, target_remote: Remote
) -> None:
    target.git("config", "transfer.hideRefs", "refs/pull")
    target.git("config", "receive.denyDeletes", "false")
    hook = target.path / "hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\ncase $1 in *protected*) echo 'no ghp_abcdefghijklmnop1234' >&2; exit 1;; esac\n"
    )
    hook.chmod(0o755)
    names = [
        b"refs/heads/a",
        b"refs/pull/1/head",
        b"refs/heads/protected",
        b"refs/heads/caf\xe9",
        b"refs/heads/-dash",
    ]
    results = view.push(target_remote, [RefUpdate(name, commits[0], None, force=True) for name in names])
    assert [result.ref for result in results] == names
    assert codes(results) == ["ok", "hidden", "protected", "ok", "ok"]
    assert "hook declined" in results[2].reason
    assert set(target.refs()) == {"refs/heads/a", "refs/heads/-dash", "refs/heads/caf\udce9"}


def test_a_whole_push_that_a_hook_refuses(
    view: View, commits: list[str], target: Bare, target_remote: Remote
) -> None:
    hook = target.path / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    updates = [RefUpdate(MAIN, commits[0]), RefUpdate(b"refs/heads/x", commits[0])]
    assert codes(view.push(target_remote, updates)) == ["protected", "protected"]


def test_rules_of_the_server(view: View, commits: list[str], target: Bare, target_remote: Remote) -> None:
    target.git("config", "receive.denyNonFastForwards", "true")
    view.push(target_remote, [RefUpdate(MAIN, commits[0])])
    assert codes(view.push(target_remote, [RefUpdate(MAIN, commits[3], commits[0], force=True)])) == [
        "protected"
    ]
    assert codes(view.push(target_remote, [RefUpdate(MAIN, None, commits[0])])) == [
        "protected"
    ]  # current branch
    target.git("config", "receive.denyDeletes", "true")
    view.push(target_remote, [RefUpdate(b"refs/heads/x", commits[0])])
    assert codes(view.push(target_remote, [RefUpdate(b"refs/heads/x", None, commits[0])])) == ["protected"]


def test_a_checked_out_branch_of_a_folder(view: View, commits: list[str], tmp_path: Path) -> None:
    work = tmp_path / "work"
    git("init", "-q", "-b", "main", str(work), cwd=tmp_path)
    git("-C", str(work), "commit", "-q", "--allow-empty", "-m", "x", cwd=tmp_path)
    was = git("-C", str(work), "rev-parse", "HEAD", cwd=tmp_path)
    result = view.push(Remote.from_url(str(work)), [RefUpdate(MAIN, commits[0], was, force=True)])
    assert codes(result) == ["protected"]


def test_branches_that_become_folders_and_back(
    view: View, commits: list[str], target: Bare, target_remote: Remote
) -> None:
    one = commits[0]
    view.push(target_remote, [RefUpdate(b"refs/heads/a", one), RefUpdate(b"refs/heads/c/d", one)])
    updates = [
        RefUpdate(b"refs/heads/a/b", one, None, force=True),
        RefUpdate(b"refs/heads/a", None, one),
        RefUpdate(b"refs/heads/c", one, None, force=True),
        RefUpdate(b"refs/heads/c/d", None, one),
        RefUpdate(b"refs/heads/cc", one, None, force=True),
    ]
    assert codes(view.push(target_remote, updates)) == ["ok"] * 5
    assert set(target.refs()) == {"refs/heads/a/b", "refs/heads/c", "refs/heads/cc"}


def test_deleting_what_is_gone_does_not_keep_the_others_back(
    view: View, commits: list[str], target: Bare, target_remote: Remote
) -> None:
    one = commits[0]
    updates = [RefUpdate(f"refs/heads/gone-{i}".encode(), None, one) for i in range(3)]
    updates.insert(1, RefUpdate(MAIN, one))
    assert codes(view.push(target_remote, updates)) == ["stale", "ok", "stale", "stale"]
    assert target.refs() == {"refs/heads/main": one}


def test_more_refs_than_fit_one_command(
    view: View, commits: list[str], target: Bare, target_remote: Remote, server: GitServer
) -> None:
    updates = [
        RefUpdate(b"refs/heads/branch-%04d" % i, commits[i % 3], None, force=True) for i in range(1_100)
    ]
    server.reset_counts()
    assert set(codes(view.push(target_remote, updates))) == {"ok"}
    assert len(target.refs()) == 1_100
    assert server.pushes == 2


def test_nothing_to_push_contacts_nobody(view: View, target_remote: Remote, server: GitServer) -> None:
    assert view.push(target_remote, []) == []
    assert server.headers == []


@pytest.mark.parametrize(
    "update",
    [
        RefUpdate(b"main", "1" * 40),
        RefUpdate(b"--mirror", "1" * 40),
        RefUpdate(b"refs/heads/a:b", "1" * 40),
        RefUpdate(b"refs/heads/*", "1" * 40),
        RefUpdate(MAIN, "main"),
        RefUpdate(MAIN, "+" + "1" * 39),
        RefUpdate(MAIN, "1" * 40, "main", force=True),
        RefUpdate(MAIN, None, None),
        RefUpdate(MAIN, None, None, force=True),
    ],
)
def test_updates_are_checked(view: View, target_remote: Remote, update: RefUpdate, server: GitServer) -> None:
    with pytest.raises(InvalidInput):
        view.push(target_remote, [update])
    assert server.headers == []


def test_a_ref_only_once(view: View, commits: list[str], target_remote: Remote) -> None:
    with pytest.raises(InvalidInput):
        view.push(target_remote, [RefUpdate(MAIN, commits[0]), RefUpdate(MAIN, commits[1])])


def test_failures_of_all(
    view: View, commits: list[str], server: GitServer, target: Bare, target_remote: Remote
) -> None:
    wrong = Remote(target_remote.url, PasswordCredential(USER, "wrong"))
    with pytest.raises(AuthFailure):
        view.push(wrong, [RefUpdate(MAIN, commits[0])])
    server.reset_counts()
    with pytest.raises(MissingObject):
        view.push(target_remote, [RefUpdate(MAIN, "1" * 40)])
    assert server.headers == []
    target.git("config", "http.receivepack", "false")
    with pytest.raises(PermanentFailure) as caught:
        view.push(target_remote, [RefUpdate(MAIN, commits[0])])
    assert "not allowed" in caught.value.sentence


def test_pushing_to_a_folder(view: View, commits: list[str], tmp_path: Path) -> None:
    bare = Bare(tmp_path / "with space é.git")
    remote = Remote.from_url(str(bare.path))
    assert codes(view.push(remote, [RefUpdate(MAIN, commits[2])])) == ["ok"]
    assert bare.refs() == {"refs/heads/main": commits[2]}
    assert (
        push(view.git, view.git_dir, remote, [RefUpdate(MAIN, commits[2])], thin=True)[0].code == "up_to_date"
    )


def test_a_first_push_into_an_empty_repository(
    stores: Stores, target: Bare, target_remote: Remote, view: View, commits: list[str]
) -> None:
    empty = stores.store(uuid.uuid4())
    empty.fetch(target_remote, ["+refs/heads/*:refs/heads/*"], partial=True)
    assert codes(view.push(target_remote, [RefUpdate(MAIN, commits[0], None, force=True)])) == ["ok"]
    assert os.listdir(target.path / "objects")
    assert PASSWORD not in (target.path / "config").read_text()


def test_nothing_that_a_folder_brings_along_is_run(view: View, commits: list[str], tmp_path: Path) -> None:
    """Its hooks, its helpers and its filters would run as the user of this installation."""
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$0 $*" >> "{tmp_path}/was-run"\n')
    program.chmod(0o755)
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-receive", "update", "post-receive", "reference-transaction", "push-to-checkout"):
        (hooks / name).symlink_to(program)
    bare = Bare(tmp_path / "hostile.git")
    work = tmp_path / "hostile"
    git("init", "-q", "-b", "main", str(work), cwd=tmp_path)
    for folder in (bare.path, work):
        git("config", "core.hooksPath", str(hooks), cwd=folder)
        git("config", "core.alternateRefsCommand", str(program), cwd=folder)
        git("config", "core.fsmonitor", str(program), cwd=folder)
        git("config", "receive.denyCurrentBranch", "updateInstead", cwd=folder)
        git("config", "filter.f.smudge", str(program), cwd=folder)
    (bare.path / "objects/info/alternates").write_text(f"{work}/.git/objects\n")
    (work / ".git/info/attributes").write_text("* filter=f\n")

    into_bare = view.push(Remote.from_url(str(bare.path)), [RefUpdate(MAIN, commits[0])])
    into_work = view.push(Remote.from_url(str(work)), [RefUpdate(MAIN, commits[0])])

    assert codes(into_bare) == ["ok"]
    assert codes(into_work) == ["protected"]
    assert not (tmp_path / "was-run").exists()
