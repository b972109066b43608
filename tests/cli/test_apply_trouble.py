"""`copy apply` and `copy sync` where something stands in the way: a sentence, and nothing half done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.db import connection

from opssight.accounts.models import Team
from tests.cli.command import Ran, ran
from tests.cli.world import MOVE_DOCS, SOURCE, TARGET, World, legacy, one, rule, tree, workflow, workflows
from tests.factories import make_connection, make_repository
from tests.forges.githttp import GitServer
from tests.repos.git.work import Bare, git

DOCS = workflows(workflow(MOVE_DOCS))


def hook(repository: Bare, name: str, script: str) -> None:
    path = repository.path / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def failed(answer: Ran) -> str:
    """The sentence of the only target, which failed."""
    assert answer.status == 1, answer.err
    target = one(answer)
    assert (answer.document["status"], target["status"], target["commit"]) == ("failed", "failed", None)
    assert answer.err.splitlines()[-1] == f"{TARGET}: {target['error']}"
    return str(target["error"])


# --- the target ---


def test_a_work_tree_is_not_changed_under_its_owner(world: World) -> None:
    git("clone", "-q", str(world.site.path), "work", cwd=world.root)
    sentence = failed(world.sync(DOCS, urls={TARGET: str(world.root / "work")}))
    assert "acme/site refused the push to main" in sentence
    assert "branch is currently checked out" in sentence
    assert git("status", "--porcelain", cwd=world.root / "work") == ""


def test_a_target_over_http_that_refuses_is_told_with_its_reason(world: World, server: GitServer) -> None:
    site = Bare(server.create("acme/site.git"))
    tip = site.commit({b"README": b"site"})
    hook(site, "pre-receive", "echo 'Only on workdays, says the release team.' >&2; exit 1")
    sentence = failed(world.sync(DOCS, urls={TARGET: server.url_of("acme/site.git")}))
    assert "Only on workdays, says the release team" in sentence
    assert site.oid("main") == tip


def test_a_target_that_may_only_be_read_is_told(world: World, server: GitServer) -> None:
    site = Bare(server.create("acme/site.git"))
    site.commit({b"README": b"site"})
    site.git("config", "http.receivepack", "false")
    sentence = failed(world.sync(DOCS, urls={TARGET: server.url_of("acme/site.git")}))
    assert "acme/site" in sentence
    assert server.pushes == 0


def test_a_target_that_moves_meanwhile_gets_the_copy_on_top(world: World, server: GitServer) -> None:
    """Somebody pushes just before us: the copy is built again on what they pushed."""
    site = Bare(server.create("acme/site.git"))
    tip = site.commit({b"README": b"site"})
    theirs = site.commit({b"theirs": b"1"})
    site.git("update-ref", "refs/heads/main", tip)
    hook(site, "update", f'if [ "$2" = {tip} ]; then git update-ref refs/heads/main {theirs}; fi')
    answer = world.sync(DOCS, urls={TARGET: server.url_of("acme/site.git")})
    assert answer.status == 0, answer.err
    assert "somebody pushed meanwhile" in answer.err
    assert (site.git("rev-parse", "main^"), server.pushes) == (theirs, 2)
    assert tree(site) == {"README": "100644 site", "theirs": "100644 1", "handbook/old.md": "100644 old"}


def test_a_target_that_never_stands_still_is_given_up(world: World, server: GitServer) -> None:
    site = Bare(server.create("acme/site.git"))
    site.commit({b"README": b"site"})
    hook(
        site, "update",
        "export GIT_AUTHOR_NAME=x GIT_AUTHOR_EMAIL=x GIT_COMMITTER_NAME=x GIT_COMMITTER_EMAIL=x\n"
        'git update-ref refs/heads/main $(git commit-tree "$2^{tree}" -p "$2" -m faster)',
    )  # fmt: skip
    sentence = failed(world.sync(DOCS, urls={TARGET: server.url_of("acme/site.git")}))
    assert "changed each time just before our push" in sentence
    assert set(tree(site)) == {"README"}


def test_a_target_branch_that_is_not_there_is_not_made(world: World) -> None:
    sentence = failed(world.sync(workflows(workflow(MOVE_DOCS, to="live"))))
    assert "acme/site has no branch live (it has main)" in sentence
    assert list(world.site.refs()) == ["refs/heads/main"]


# --- the source ---


def refused(world: World, answer: Ran, *words: str) -> None:
    """Wrong input: status 2, one document with the sentence, no target touched."""
    assert answer.status == 2, (answer.out, answer.err)
    sentence = answer.document["error"]["sentence"]
    for word in words:
        assert word in sentence
        assert word in answer.err
    assert world.site.refs() == {"refs/heads/main": world.tip}


def test_a_base_that_the_source_does_not_have(world: World) -> None:
    refused(world, world.apply(DOCS, base="1" * 40), "no commit 111111111111 to compare", "copy sync")
    refused(world, world.apply(DOCS, base="0" * 40), "no commit 000000000000 to compare", "copy sync")


def test_a_head_that_the_branch_does_not_have(world: World) -> None:
    refused(world, world.apply(DOCS, head="1" * 40), "no commit 111111111111 on branch main")
    aside = world.code.commit({b"docs/x": b"x"}, branch="aside")
    refused(world, world.apply(DOCS, head=aside), f"no commit {aside[:12]} on branch main")


@pytest.mark.parametrize("given", ["main", "HEAD~1", "abc1234", "", "-x", "1" * 39, "--upload-pack=x"])
def test_a_commit_is_given_by_its_whole_id(world: World, given: str) -> None:
    repos = [text for name, url in world.urls.items() for text in ("--repo", f"{name}={url}")]
    config = world.file(DOCS)
    answer = ran(
        "copy",
        "apply",
        config,
        "--source",
        SOURCE,
        *repos,
        f"--base={given}",
        f"--head={world.head}",
        "--json",
    )
    refused(world, answer, "all 40 digits")


def test_a_base_is_required(world: World) -> None:
    answer = ran("copy", "apply", world.file(DOCS), "--source", SOURCE, "--head", world.head)
    assert (answer.status, "--base" in answer.err) == (2, True)


def test_an_empty_source(world: World) -> None:
    empty = Bare(world.root / "empty.git")
    refused(world, world.sync(DOCS, urls={SOURCE: str(empty.path)}), "is empty", "Push a first commit")


def test_a_source_branch_that_vanished(world: World) -> None:
    world.sync(DOCS, "--dry-run")  # the branch is in the store
    world.code.git("branch", "-m", "main", "trunk")
    refused(world, world.sync(DOCS), "has no branch main (it has trunk)")


def test_a_vanished_branch_among_others_stops_a_backfill_before_it_writes(world: World) -> None:
    both = workflows(workflow(MOVE_DOCS), workflow(MOVE_DOCS, branch="old", name="old", to="old"))
    refused(world, world.sync(both), "has no branch old")


def test_only_the_rules_of_branches_that_hold_the_head_are_applied(world: World) -> None:
    head = world.code.commit({b"docs/x": b"x"}, branch="aside", orphan=True)
    both = workflows(workflow(MOVE_DOCS), workflow(MOVE_DOCS, branch="aside", name="aside", to="main"))
    answer = world.apply(both, base=head, head=head)
    assert answer.status == 0, answer.err
    assert "on branch main" in answer.err
    assert "left out" in answer.err
    assert len(answer.document["targets"]) == 1


def test_a_shallow_source_says_what_to_do(world: World) -> None:
    world.code.commit({b"docs/x": b"x"})
    git("clone", "-q", "--depth=1", f"file://{world.code.path}", "shallow", cwd=world.root)
    urls = {SOURCE: str(world.root / "shallow")}
    refused(world, world.sync(DOCS, urls=urls), "git fetch --unshallow")
    refused(world, world.apply(DOCS, urls=urls), "git fetch --unshallow")


def test_a_source_that_is_not_a_repository(world: World) -> None:
    (world.root / "plain").mkdir()
    for place in (world.root / "plain", world.root / "nowhere"):
        refused(world, world.sync(DOCS, urls={SOURCE: str(place)}), "acme/code is not there")


def test_a_source_server_that_does_not_answer_is_no_wrong_input(world: World, server: GitServer) -> None:
    server.answer_with = 503
    answer = world.sync(DOCS, urls={SOURCE: server.url_of("acme/code.git")})
    assert answer.status == 1
    assert answer.document["error"]["class"] == "transient"
    assert world.site.oid("main") == world.tip


# --- where the repositories are ---


def pairs(world: World, *repos: str, source: str = SOURCE) -> Ran:
    options = [text for repo in repos for text in ("--repo", repo)]
    return ran("copy", "sync", world.file(DOCS), "--source", source, "--json", *options)


@pytest.mark.parametrize(
    ("repo", "words"),
    [
        ("", "OWNER/NAME=URL"),
        ("acme/code", "OWNER/NAME=URL"),
        ("acme/code=", "OWNER/NAME=URL"),
        ("=/srv", "OWNER/NAME=URL"),
        ("acme/code=no/such/folder", "not an address that git can use"),
        ("acme/code=ext::sh -c id", "not an address that git can use"),
        ("acme/code=--upload-pack=id", "begins with a dash"),
        ("acme/code=https://u:pw-canary@host/x", "user name or password"),
        ("acme/code=gopher://host/x", "Only https, http, ssh and file"),
        ("acme/code=file:///", "names no repository"),
    ],
)
def test_addresses_that_cannot_be_used(world: World, repo: str, words: str) -> None:
    answer = pairs(world, f"{TARGET}={world.site.path}", repo)
    refused(world, answer, words)
    assert "canary" not in answer.out + answer.err


def test_a_repository_without_a_place(world: World) -> None:
    refused(world, pairs(world, f"{SOURCE}={world.code.path}"), "--repo NAME=URL: acme/site")
    both = f"{SOURCE}={world.code.path}"
    refused(world, pairs(world, both, both), "given twice")


def test_a_source_that_no_rule_reads(world: World) -> None:
    answer = pairs(world, f"{SOURCE}={world.code.path}", source="acme/other")
    refused(world, answer, "No rule of the file copies from acme/other", "acme/code")


@pytest.mark.django_db(transaction=True)
def test_a_repository_of_a_connection(world: World, team: Team) -> None:
    local = make_connection(team, name="Our server", options={"root": str(world.root)}, local=True)
    for name in ("code.git", "site.git"):
        make_repository(local, f"acme/{name}", external_id=name)
    urls = {SOURCE: "Our server:acme/code.git", TARGET: "Our server:acme/site.git"}
    answer = world.sync(DOCS, urls=urls)
    assert answer.status == 0, answer.err
    assert "handbook/old.md" in tree(world.site)
    refused_twice = world.sync(DOCS, urls={SOURCE: "Our server:acme/none"})
    assert refused_twice.status == 2
    assert "no repository 'acme/none' in the inventory" in refused_twice.err
    assert connection.in_atomic_block is False


# --- files that are left out ---


def test_files_that_may_not_be_written_are_named_and_the_others_arrive(world: World) -> None:
    world.code.commit({b"docs/a": b"a", b"docs/x.git/config": b"evil", b"docs/x..": b"up"})
    config = legacy(rule("regex", r"^docs/x?(?P<rest>.+)$", "${rest}"))
    answer = world.apply(config)
    target = one(answer)
    assert (answer.status, answer.document["status"]) == (1, "partial")
    assert (target["status"], target["writes"], target["commit"]) == ("done", 1, world.site.oid("main"))
    for words in ("“.git/config” may not be written", "“..” may not be written"):
        assert words in target["error"]
        assert words in answer.err
    assert tree(world.site) == {"README": "100644 site", "a": "100644 a"}


def test_where_every_file_is_left_out_nothing_is_written(world: World) -> None:
    world.code.commit({f"docs/x.git/{n}".encode(): b"evil" for n in range(7)})
    config = legacy(rule("regex", r"^docs/x(?P<rest>.+)$", "${rest}"))
    for more in ([], ["--dry-run"]):
        answer = world.apply(config, *more)
        assert "2 more files are left out" in failed(answer)
    assert world.site.oid("main") == world.tip


def test_the_error_document_is_the_only_thing_on_standard_output(world: World, tmp_path: Path) -> None:
    answer = ran("copy", "sync", str(tmp_path / "none.yaml"), "--source", SOURCE, "--json")
    assert answer.status == 2
    assert list(json.loads(answer.out)) == ["error"]
    assert "cannot be read: No such file" in answer.err
