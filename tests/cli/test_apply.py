"""`copy apply` and `copy sync` between real repositories: what arrives, and what is left alone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.cli.command import Ran, files, ran
from tests.cli.world import (
    MOVE_DOCS,
    SOURCE,
    TARGET,
    Json,
    World,
    legacy,
    one,
    rule,
    tree,
    workflow,
    workflows,
)
from tests.forges.githttp import GitServer
from tests.repos.git.work import Bare, git

README = {"README": "100644 site"}


def done(answer: Ran, writes: int, skipped: int = 0) -> Json:
    """The target of an answer in which everything went well."""
    assert answer.status == 0, answer.err
    assert answer.document["status"] == "succeeded"
    target = one(answer)
    assert " ".join(target) == (
        "repo branch strategy writes deletes skipped commit pull_request status error"
    )
    assert (target["repo"], target["branch"], target["strategy"]) == (TARGET, "main", "direct")
    assert (target["writes"], target["deletes"], target["skipped"]) == (writes, 0, skipped)
    assert (target["pull_request"], target["error"]) == (None, None)
    return target


# --- rules ---

CHANGED = {
    b"docs/a.md": b"a",
    b"docs/deep/b.md": b"b",
    b"docs/draft.tmp": b"t",
    b"src/go/x.go": b"x",
    b"src/py/y.py": b"y",
    b"LICENSE": b"free",
}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            legacy(rule("prefix", "docs/", "handbook/${relative_path}")),
            {"handbook/a.md": "a", "handbook/deep/b.md": "b", "handbook/draft.tmp": "t"},
        ),
        (
            legacy(rule("prefix", "docs/", "all/${path}", exclude=[r"\.tmp$"])),
            {"all/docs/a.md": "a", "all/docs/deep/b.md": "b"},
        ),
        (legacy(rule("glob", "src/**/*.go", "go/${filename}")), {"go/x.go": "x"}),
        (
            legacy(rule("regex", r"^src/(?P<lang>[a-z]+)/(?P<file>.+)$", "code/${lang}/_${file}")),
            {"code/go/_x.go": "x", "code/py/_y.py": "y"},
        ),
        (
            workflows(workflow(MOVE_DOCS, exclude=["**/*.tmp"])),
            {"handbook/a.md": "a", "handbook/deep/b.md": "b"},
        ),
        (
            workflows(workflow({"copy": {"from": "LICENSE", "to": "legal/LICENSE.txt"}})),
            {"legal/LICENSE.txt": "free"},
        ),
        (
            workflows(workflow({"glob": {"pattern": "src/**/*.py", "transform": "py/${filename}"}})),
            {"py/y.py": "y"},
        ),
        (
            workflows(
                workflow(
                    {"regex": {"pattern": r"^src/(?P<l>\w+)/(?P<f>.+)$", "transform": "${l}-${f}"}},
                    {"copy": {"from": "LICENSE", "to": "L"}},
                )
            ),
            {"go-x.go": "x", "py-y.py": "y", "L": "free"},
        ),
    ],
    ids=["prefix", "exclude", "glob", "regex", "move", "copy", "glob-workflow", "regex-workflow"],
)
def test_what_changed_arrives_where_the_rule_says(
    world: World, config: Json, expected: dict[str, str]
) -> None:
    world.code.commit(CHANGED)
    target = done(world.apply(config), len(expected))
    assert tree(world.site) == {**README, **{path: f"100644 {text}" for path, text in expected.items()}}
    assert target["status"] == "done"
    assert target["commit"] == world.site.oid("main")
    assert world.site.git("rev-parse", "main^") == world.tip


def test_modes_links_binaries_and_names_in_any_encoding_arrive_as_they_are(world: World) -> None:
    binary = bytes(range(256)) * 40
    link = b"../README"
    world.code.commit(
        {
            b"docs/run": b"#!/bin/sh\n",
            b"docs/link": link,
            b"docs/raw.bin": binary,
            b"docs/caf\xe9 \"x'.md": b"e",
        },
        modes={b"docs/run": "100755", b"docs/link": "120000"},
    )
    done(world.apply(workflows(workflow(MOVE_DOCS))), 4)
    source = world.code.git("ls-tree", "-r", "-z", "main:docs").split("\0")
    target = world.site.git("ls-tree", "-r", "-z", "main:handbook").split("\0")
    assert set(target) == {line for line in source if "old.md" not in line}
    assert "100755" in str(target)
    assert "120000" in str(target)
    assert any(line.endswith("caf\udce9 \"x'.md") for line in target)


def test_a_submodule_is_left_out(world: World) -> None:
    world.code.commit({b"docs/sub": world.base.encode(), b"docs/a": b"a"}, modes={b"docs/sub": "160000"})
    done(world.apply(workflows(workflow(MOVE_DOCS))), 1)
    assert set(tree(world.site)) == {"README", "handbook/a"}


# --- the same again, and what is gone at the source ---


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(world: World) -> None:
    world.code.commit(CHANGED)
    before = files(world.root)
    target = done(world.apply(workflows(workflow(MOVE_DOCS)), "--dry-run"), 3)
    assert (target["status"], target["commit"]) == ("planned", None)
    assert files(world.root) | {"copier.yaml": b""} == before | {"copier.yaml": b""}


def test_a_dry_run_shows_every_difference_as_git_does(world: World) -> None:
    world.site.commit({b"handbook/a": b"old\n", b"handbook/run": b"x\n"})
    before = world.site.refs()
    world.code.commit(
        {b"docs/a": b"new \x1b[31m\n", b"docs/run": b"x\n", b"docs/b": b"\0\1"}, modes={b"docs/run": "100755"}
    )

    patch = world.dry_run(workflows(workflow(MOVE_DOCS)))

    lines = patch.splitlines()
    for line in (
        "diff --git a/handbook/a b/handbook/a",
        "-old",
        "+new \\x1b[31m",  # unable to do anything to a terminal
        "old mode 100644",
        "new mode 100755",
        "Binary files /dev/null and b/handbook/b differ",
    ):
        assert line in lines, patch
    assert world.site.refs() == before


def test_the_patch_of_a_dry_run_makes_what_the_copy_makes(world: World, tmp_path: Path) -> None:
    world.code.commit({b"docs/deep/a": b"one\ntwo\n"})
    patch = world.dry_run(workflows(workflow(MOVE_DOCS)))
    git("clone", "-q", str(world.site.path), str(tmp_path / "clone"), cwd=tmp_path)

    git("apply", "--index", "-", cwd=tmp_path / "clone", stdin=patch.encode())

    assert world.sync(workflows(workflow(MOVE_DOCS))).status == 0
    made = git("write-tree", cwd=tmp_path / "clone")
    assert made == world.site.git("rev-parse", "main^{tree}")


def test_the_second_time_everything_is_there(world: World) -> None:
    world.code.commit(CHANGED)
    done(world.sync(workflows(workflow(MOVE_DOCS))), 4)
    refs = world.site.refs()
    target = done(world.sync(workflows(workflow(MOVE_DOCS))), 0, skipped=4)
    assert (target["status"], target["commit"]) == ("skipped", None)
    assert world.site.refs() == refs
    target = done(world.sync(workflows(workflow(MOVE_DOCS)), "--dry-run"), 0, skipped=4)
    assert target["status"] == "planned"


def test_a_change_that_no_rule_takes_makes_no_commit(world: World) -> None:
    world.code.commit({b"src/x": b"x"})
    assert done(world.apply(workflows(workflow(MOVE_DOCS))), 0)["status"] == "skipped"
    assert world.site.oid("main") == world.tip


def test_what_is_deleted_or_renamed_at_the_source_stays_in_the_target(world: World) -> None:
    first = world.code.commit({b"docs/a.md": b"a", b"docs/b.md": b"b" * 50})
    done(world.apply(workflows(workflow(MOVE_DOCS))), 2)
    world.code.commit({b"docs/a.md": None, b"docs/b.md": None, b"docs/c.md": b"b" * 50})
    done(world.apply(workflows(workflow(MOVE_DOCS)), base=first), 1)
    assert set(tree(world.site)) == {"README", "handbook/a.md", "handbook/b.md", "handbook/c.md"}


def test_apply_takes_the_changes_and_sync_the_whole_tree(world: World) -> None:
    world.code.commit({b"docs/new.md": b"new"})
    done(world.apply(workflows(workflow(MOVE_DOCS))), 1)
    assert "handbook/old.md" not in tree(world.site)
    done(world.sync(workflows(workflow(MOVE_DOCS))), 1, skipped=1)
    assert tree(world.site)["handbook/old.md"] == "100644 old"


def test_only_the_commits_asked_for_are_copied(world: World) -> None:
    middle = world.code.commit({b"docs/1": b"1"})
    world.code.commit({b"docs/2": b"2"})
    done(world.apply(workflows(workflow(MOVE_DOCS)), head=middle), 1)
    assert "handbook/2" not in tree(world.site)


# --- messages ---


def test_the_message_is_made_from_its_template(world: World) -> None:
    head = world.code.commit({b"docs/1": b"1", b"docs/2": b"2"})
    template = (
        "${file_count} by ${rule_name}: ${source_repo}@${source_branch} ${target_repo}@${target_branch} "
        "${commit_sha} ${pr_number} ${unknown} $HOME `id`"
    )
    done(world.apply(workflows(workflow(MOVE_DOCS, strategy={"commit_message": template}))), 2)
    subject, _, trailers = world.site.git("log", "-1", "--format=%B").partition("\n\n")
    assert subject == f"2 by handbook: {SOURCE}@main {TARGET}@main {head}  ${{unknown}} $HOME `id`"
    assert trailers.splitlines()[0] == f"OpsSight-Source: {SOURCE}@{head}"
    assert trailers.splitlines()[1].startswith("OpsSight-Run-Key: cli/")


@pytest.mark.parametrize(
    ("config", "subject"),
    [
        (workflows(workflow(MOVE_DOCS)), "Update from workflow: handbook"),
        (legacy(rule("prefix", "docs", "x/${path}")), f"Update code examples from {SOURCE}"),
    ],
)
def test_without_a_template_the_message_is_that_of_the_format(
    world: World, config: Json, subject: str
) -> None:
    world.code.commit({b"docs/1": b"1"})
    done(world.apply(config), 1)
    assert world.site.git("log", "-1", "--format=%s") == subject


# --- several targets ---


def test_several_targets_and_branches_get_a_commit_each(world: World) -> None:
    world.code.commit({b"docs/1": b"1"})
    other = Bare(world.root / "other.git")
    other.commit({b"README": b"other"}, branch="live")
    config = workflows(
        workflow(MOVE_DOCS),
        workflow(MOVE_DOCS, target="acme/other", to="live", name="other"),
        workflow({"copy": {"from": "docs/1", "to": "top"}}, name="again"),
    )
    answer = world.apply(config, urls={"acme/other": str(other.path)})
    assert answer.status == 0, answer.err
    found = [(row["repo"], row["branch"], row["writes"]) for row in answer.document["targets"]]
    assert found == [(TARGET, "main", 2), ("acme/other", "live", 1)]  # what arrives together is one commit
    assert set(tree(world.site)) == {"README", "handbook/1", "top"}
    assert set(tree(other, "live")) == {"README", "handbook/1"}


def test_one_target_that_fails_is_named_and_does_not_stop_the_others(world: World) -> None:
    world.code.commit({b"docs/1": b"1"})
    config = workflows(workflow(MOVE_DOCS, target="acme/gone", name="gone"), workflow(MOVE_DOCS))
    answer = world.apply(config, urls={"acme/gone": str(world.root / "gone.git")})
    assert (answer.status, answer.document["status"]) == (1, "partial")
    gone, site = answer.document["targets"]
    assert (gone["status"], gone["commit"], site["status"], site["error"]) == ("failed", None, "done", None)
    assert "acme/gone is not there" in gone["error"]
    assert answer.err.splitlines()[-1] == f"acme/gone: {gone['error']}"
    assert "handbook/1" in tree(world.site)


def test_an_empty_target_gets_its_first_commit(world: World) -> None:
    empty = Bare(world.root / "empty.git")
    done(world.sync(workflows(workflow(MOVE_DOCS)), urls={TARGET: str(empty.path)}), 1)
    assert tree(empty) == {"handbook/old.md": "100644 old"}


# --- over HTTP, from any folder, of a connection ---


def test_over_http_it_is_one_fetch_and_one_push(world: World, server: GitServer) -> None:
    code, site = Bare(server.create("acme/code.git")), Bare(server.create("acme/site.git"))
    base = code.commit({b"docs/old": b"old"})
    head = code.commit({b"docs/new": b"new"})
    site.commit({b"README": b"site"})
    urls = {SOURCE: server.url_of("acme/code.git"), TARGET: server.url_of("acme/site.git")}
    config = workflows(workflow(MOVE_DOCS))
    done(world.apply(config, base=base, head=head, urls=urls), 1)
    assert tree(site) == {**README, "handbook/new": "100644 new"}
    assert (server.fetches, server.pushes) == (2, 1)
    assert done(world.apply(config, base=base, head=head, urls=urls), 0, skipped=1)["status"] == "skipped"
    assert server.pushes == 1


def test_a_dry_run_over_http_brings_what_it_compares_with(world: World, server: GitServer) -> None:
    site = Bare(server.create("acme/site.git"))
    site.commit({b"handbook/old.md": b"before\r\n"})
    patch = world.dry_run(workflows(workflow(MOVE_DOCS)), {TARGET: server.url_of("acme/site.git")})
    assert {"-before", "+old"} <= set(patch.splitlines()), patch
    assert server.pushes == 0


def test_a_folder_may_be_a_work_tree_or_relative_to_where_one_stands(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.code.git("clone", "-q", str(world.code.path), str(world.root / "work"))
    monkeypatch.chdir(world.root)
    urls = {SOURCE: "work", TARGET: "./site.git"}
    done(world.sync(workflows(workflow(MOVE_DOCS)), urls=urls), 1)
    assert "handbook/old.md" in tree(world.site)


def test_the_configuration_may_come_by_standard_input(world: World) -> None:
    config = json.dumps(workflows(workflow(MOVE_DOCS))).encode()
    repos = [text for name, url in world.urls.items() for text in ("--repo", f"{name}={url}")]
    answer = ran("copy", "sync", "-", "--source", SOURCE, "--json", *repos, stdin=config)
    done(answer, 1)


def test_words_instead_of_json(world: World) -> None:
    repos = [text for name, url in world.urls.items() for text in ("--repo", f"{name}={url}")]
    config = world.file(workflows(workflow(MOVE_DOCS)))
    answer = ran("copy", "sync", config, "--source", SOURCE, *repos)
    heading, row = answer.out.splitlines()
    assert heading.split() == ["repo", "branch", "status", "writes", "skipped", "commit"]
    assert row.split()[:5] == [TARGET, "main", "done", "1", "0"]
    assert "push: acme/site" in answer.err
    assert ran("copy", "sync", config, "--source", SOURCE, *repos, "-v", "0").err == ""


def test_the_source_is_only_read(world: World) -> None:
    world.code.commit(CHANGED)
    before = {name: hashlib.sha256(data).digest() for name, data in files(world.code.path).items()}
    done(world.apply(workflows(workflow(MOVE_DOCS))), 3)
    after = {name: hashlib.sha256(data).digest() for name, data in files(world.code.path).items()}
    assert after == before


def test_paths_of_this_machine_are_not_in_the_commit(world: World, tmp_path: Path) -> None:
    done(world.sync(workflows(workflow(MOVE_DOCS))), 1)
    assert str(tmp_path) not in world.site.git("cat-file", "commit", "main")
