from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from opssight.core.errors import Failure, InvalidInput
from repos.git.fetching import look
from repos.git.runner import Git
from repos.providers.errors import FolderMissing, FolderNotAllowed, NotOfThisConnection, TooMany
from repos.providers.folder import walk
from repos.providers.folder.provider import FolderProvider
from repos.providers.types import Context, RemoteRepository
from tests.repos.git.work import Bare, git as run_git
from tests.repos.providers.contract import Case


def make_client(
    case: Case, root: Path, *, trusted: bool = False, roots: tuple[Path, ...] = ()
) -> FolderProvider:
    context = replace(case.context, trusted=trusted, roots=roots or case.context.roots)
    return FolderProvider({"root": str(root)}, {}, context)


def by_id(client: FolderProvider) -> dict[str, RemoteRepository]:
    return {one.external_id: one for one in client.repositories()}


def make_work_tree(path: Path) -> Path:
    run_git("init", "-q", "-b", "trunk", str(path), cwd=path.parent)
    run_git("commit", "-q", "--allow-empty", "-m", "first", cwd=path)
    return path


def test_root_must_lie_below_an_allowed_root(folder_case: Case, root: Path) -> None:
    with pytest.raises(InvalidInput, match="not below an allowed folder") as refused:
        make_client(folder_case, root, roots=(root / "team",))
    assert refused.value.problems[0][0] == "root"
    nobody = replace(folder_case.context, roots=())
    with pytest.raises(InvalidInput, match="OPSSIGHT_FOLDER_ROOTS"):
        FolderProvider({"root": str(root)}, {}, nobody)


def test_a_name_that_only_begins_alike_is_not_below(folder_case: Case, root: Path) -> None:
    with pytest.raises(InvalidInput):
        make_client(folder_case, root, roots=(root.parent / "repo",))


def test_dots_and_links_do_not_lead_out_of_the_roots(folder_case: Case, root: Path, tmp_path: Path) -> None:
    allowed = tmp_path / "allowed"
    allowed.mkdir()
    (allowed / "link").symlink_to(root)
    for way in (allowed / "link", allowed / ".." / root.name):
        with pytest.raises(InvalidInput):
            make_client(folder_case, way, roots=(allowed,))


def test_the_command_line_may_name_any_folder(folder_case: Case, root: Path) -> None:
    client = make_client(folder_case, root, trusted=True, roots=(root / "team",))
    assert set(by_id(client)) == {"site.git", "team/docs.git"}


@pytest.mark.parametrize("given", ["relative/folder", "~/git"])
def test_root_must_be_a_full_path(folder_case: Case, given: str) -> None:
    with pytest.raises(InvalidInput, match="not a full path"):
        FolderProvider({"root": given}, {}, folder_case.context)


def test_a_root_that_vanished_is_not_an_empty_list(folder_case: Case, root: Path) -> None:
    client = make_client(folder_case, root)
    root.rename(root.with_name("elsewhere"))
    with pytest.raises(FolderMissing, match="is not there"):
        list(client.repositories())
    root.write_text("")
    with pytest.raises(FolderMissing, match="is a file"):
        client.identity()


def test_a_root_that_cannot_be_read(folder_case: Case, root: Path) -> None:
    (root / "circle").symlink_to(root / "circle")
    with pytest.raises(FolderMissing, match="cannot be read"):
        make_client(folder_case, root / "circle").identity()


def test_what_cannot_be_looked_into_is_left_out(
    folder_case: Case, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vanishing = root / "team"
    scan = os.scandir

    def vanish(path: Path) -> object:  # between the listing and the look into it
        if path == vanishing and vanishing.exists():
            vanishing.rename(root.parent / "gone")
        return scan(path)

    monkeypatch.setattr(os, "scandir", vanish)
    assert set(by_id(make_client(folder_case, root))) == {"site.git"}


def test_work_trees_and_the_root_itself(folder_case: Case, root: Path) -> None:
    make_work_tree(root / "app")
    found = by_id(make_client(folder_case, root))["app"]
    assert (found.full_name, found.default_branch, found.usable) == ("app", "trunk", True)
    itself = by_id(make_client(folder_case, root / "app"))
    assert [(one.external_id, one.full_name) for one in itself.values()] == [(".", "app")]
    remote = make_client(folder_case, root / "app").remote(".", "app")
    assert look(folder_case.context.git, remote).head == b"refs/heads/trunk"


def test_a_branch_name_without_any_commit_is_usable(folder_case: Case, root: Path) -> None:
    Bare(root / "empty.git")
    assert by_id(make_client(folder_case, root))["empty.git"].usable


def test_shallow_says_how_to_deepen_it(folder_case: Case, root: Path, tmp_path: Path) -> None:
    source = Bare(tmp_path / "source.git")
    source.commit({b"a": b"1"})
    source.commit({b"a": b"2"})
    run_git("clone", "-q", "--depth=1", f"file://{source.path}", str(root / "shallow"), cwd=root)
    found = by_id(make_client(folder_case, root))["shallow"]
    assert not found.usable
    assert "git fetch --unshallow" in found.reason


def test_linked_worktree_names_the_repository_to_add(folder_case: Case, root: Path) -> None:
    main = make_work_tree(root / "app")
    run_git("worktree", "add", "-q", str(root / "app-next"), "-b", "next", cwd=main)
    found = by_id(make_client(folder_case, root))["app-next"]
    assert not found.usable
    assert str(main) in found.reason


def test_half_a_repository_is_named_and_not_used(folder_case: Case, root: Path) -> None:
    (root / "broken" / ".git").mkdir(parents=True)
    found = by_id(make_client(folder_case, root))["broken"]
    assert not found.usable
    assert "not a git repository" in found.reason


@pytest.mark.root
def test_a_folder_of_another_user_is_used_because_its_root_was_allowed(folder_case: Case, root: Path) -> None:
    for path in [root / "site.git", *(root / "site.git").rglob("*")]:
        os.chown(path, 12345, 12345)
    client = make_client(folder_case, root)
    assert by_id(client)["site.git"].usable
    remote = client.remote("site.git", "site")
    plain_git = folder_case.context.git
    with pytest.raises(Failure, match="belongs to another user"):
        look(plain_git, remote)
    folder = client.foreign_folder("site.git")
    assert folder == root / "site.git"
    assert look(plain_git.trusting([folder]), remote).head == b"refs/heads/main"
    assert client.foreign_folder("team/docs.git") is None


def test_links_are_not_followed(folder_case: Case, root: Path, tmp_path: Path) -> None:
    outside = Bare(tmp_path / "outside.git")
    outside.commit({b"secret": b"1"})
    (root / "link.git").symlink_to(outside.path)
    (root / "loop").symlink_to(root)
    client = make_client(folder_case, root)
    assert set(by_id(client)) == {"site.git", "team/docs.git"}
    for way in ("link.git", "../outside.git", str(outside.path), "team/../../outside.git", "loop/site.git"):
        with pytest.raises(FolderNotAllowed, match="leads out of"):
            client.remote(way, "x")


def test_one_broken_folder_does_not_hide_the_others(folder_case: Case, root: Path) -> None:
    (root / "circle").symlink_to("circle")
    (root / "app").mkdir()
    (root / "app" / ".git").write_text(f"gitdir: {root}/circle\n")
    found = by_id(make_client(folder_case, root))
    assert {name: one.usable for name, one in found.items()} == {
        "app": False,
        "site.git": True,
        "team/docs.git": True,
    }


def test_hidden_folders_are_left_out(folder_case: Case, root: Path) -> None:
    (root / ".cache").mkdir()
    Bare(root / ".cache" / "copy.git")
    assert set(by_id(make_client(folder_case, root))) == {"site.git", "team/docs.git"}


@pytest.fixture
def borrowing(root: Path, tmp_path: Path) -> Path:
    """A repository below the root whose objects are partly those of a private one elsewhere."""
    (tmp_path / "private").mkdir()
    private = Bare(tmp_path / "private" / "secret.git")
    private.commit({b"plan": b"top secret"})
    borrowing = Bare(root / "borrowing.git")
    borrowing.commit({b"a": b"1"})
    (borrowing.path / "objects/info/alternates").write_text(f"# theirs\n{private.path}/objects\n")
    return borrowing.path


def test_borrowed_objects_do_not_open_other_folders(folder_case: Case, root: Path, borrowing: Path) -> None:
    client = make_client(folder_case, root, roots=(root,))
    found = by_id(client)["borrowing.git"]
    assert not found.usable
    assert "outside the allowed" in found.reason
    with pytest.raises(FolderNotAllowed):
        client.remote("borrowing.git", "borrowing")


def test_the_command_line_may_use_borrowed_objects(folder_case: Case, root: Path, borrowing: Path) -> None:
    assert by_id(make_client(folder_case, root, trusted=True))["borrowing.git"].usable


def test_names_that_no_database_takes(folder_case: Case, root: Path) -> None:
    strange = os.fsencode(root) + b"/caf\xe9.git"
    os.mkdir(strange)
    run_git("init", "-q", "--bare", ".", cwd=Path(os.fsdecode(strange)))
    line_break = root / "two\nlines.git"
    Bare(line_break)
    found = {one.full_name: one for one in make_client(folder_case, root).repositories()}
    for name in ("caf\\xe9", "two\nlines"):
        assert not found[name].usable
        assert found[name].reason
    "".join(found).encode()  # every name can be stored


def test_a_vanished_repository(folder_case: Case, root: Path) -> None:
    client = make_client(folder_case, root)
    with pytest.raises(NotOfThisConnection, match="any more"):
        client.repository("team")


def test_looking_has_an_end(folder_case: Case, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = root / "/".join("abcdefghij")
    deep.mkdir(parents=True)
    Bare(deep / "deep.git")
    assert set(by_id(make_client(folder_case, root))) == {"site.git", "team/docs.git"}
    monkeypatch.setattr(walk, "MAX_REPOSITORIES", 1)
    with pytest.raises(TooMany, match="Choose a folder below it"):
        list(make_client(folder_case, root).repositories())


def test_context_needs_no_database(root: Path, git: Git) -> None:
    context = Context(git=git, vet=lambda remote: remote, roots=(root,))
    assert FolderProvider({"root": str(root)}, {}, context).identity().account == str(root)


def _by_commondir(repository: Path, private: Path) -> None:
    (repository / ".git/commondir").write_text(f"{private}\n")


def _by_a_commondir_beside_it(repository: Path, private: Path) -> None:
    """`.git` is not a repository to whoever looks for its objects, but it is one to git."""
    (repository / ".git").rename(repository / "moved")
    for part in ("HEAD", "objects", "refs"):
        (repository / "moved" / part).rename(repository / part)
    (repository / ".git").mkdir()
    (repository / ".git/HEAD").write_text("ref: refs/heads/main\n")
    (repository / ".git/commondir").write_text(f"{private}\n")


def _by_quoted_alternates(repository: Path, private: Path) -> None:
    (repository / ".git/objects/info/alternates").write_text(f'"{private}/objects"\n')
    (repository / ".git/refs/heads/trunk").write_text((private / "refs/heads/main").read_text())


def _by_alternates_of_alternates(repository: Path, private: Path) -> None:
    between = make_work_tree(repository.parent / "between")
    (between / ".git/objects/info/alternates").write_text(f"{private}/objects\n")
    (repository / ".git/objects/info/alternates").write_text(f"{between}/.git/objects\n")
    (repository / ".git/refs/heads/trunk").write_text((private / "refs/heads/main").read_text())


def _by_links_to_objects(repository: Path, private: Path) -> None:
    for folder in (private / "objects").iterdir():
        place = repository / ".git/objects" / folder.name
        if not place.exists():
            place.symlink_to(folder)
    (repository / ".git/objects/pack").rmdir()
    (repository / ".git/objects/pack").symlink_to(private / "objects/pack")
    (repository / ".git/refs/heads/trunk").unlink()
    (repository / ".git/refs/heads/trunk").symlink_to(private / "refs/heads/main")


@pytest.mark.parametrize(
    "point",
    [
        _by_commondir,
        _by_a_commondir_beside_it,
        _by_quoted_alternates,
        _by_alternates_of_alternates,
        _by_links_to_objects,
    ],
)
def test_no_way_out_of_the_allowed_folders(
    folder_case: Case, root: Path, tmp_path: Path, git: Git, point: Callable[[Path, Path], None]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    private = Bare(tmp_path / "elsewhere" / "private.git")
    tip = private.commit({b"secret": b"1"})
    point(make_work_tree(root / "hostile"), private.path)
    seen = run_git("ls-remote", str(root / "hostile"), cwd=tmp_path)
    assert tip in seen  # git itself would go there

    client = make_client(folder_case, root, roots=(root,))

    with pytest.raises(FolderNotAllowed):
        client.remote("hostile", "hostile")
    assert "outside the allowed" in client.repository("hostile").reason


def test_borrowing_within_the_allowed_folders(folder_case: Case, root: Path) -> None:
    make_work_tree(root / "lender")
    borrower = make_work_tree(root / "borrower")
    (borrower / ".git/objects/info/alternates").write_text("../../../lender/.git/objects\n")
    client = make_client(folder_case, root, roots=(root,))
    assert client.repository("borrower").usable
    assert client.remote("borrower", "borrower").path == borrower
