"""Rules whose commits are signed: by the installation's key, and by the provider that makes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import Settings

from opssight.core.env import load
from opssight.core.errors import InvalidInput, PermanentFailure
from opssight.management.commands.doctor import diagnose
from repos.git import keys
from repos.git.signing import is_signed
from repos.providers.github.provider import GitHubProvider
from syncs.copy.models import CopyState
from syncs.copy.rules.options import Authors, Deletions, Options, PullRequest
from syncs.copy.saved.service import create_rule
from syncs.copy.transfer import api_commits
from syncs.copy.transfer.signing import EXPIRED, NO_AUTHOR, NO_KEY, sign_of
from syncs.engine.context import RunContext
from syncs.models import ItemState, Job, Run, RunState
from tests.repos.git.gpg import ED25519, Gpg, keyring
from tests.repos.git.test_agent import generated
from tests.repos.git.test_signing import signers, verified
from tests.syncs.copy.kills import Killed, kill_at, survive
from tests.syncs.copy.story import Story, World, execute, logged, rule_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]


@pytest.fixture
def key(tmp_path: Path, settings: Settings) -> keys.Key:
    """The installation's, known as that of the address that we commit with."""
    text = keys.make()
    settings.SIGNING_KEY = text
    settings.DEFAULT_FROM_EMAIL = "bot@example.com"
    return keys.opened(text)


# --- with the installation's key ------------------------------------------------------------------------


@pytest.mark.parametrize("strategy", ["direct", "pull_request"])
def test_commits_are_signed_with_the_key(world: World, tmp_path: Path, key: keys.Key, strategy: Any) -> None:
    with world.story("github", Options(strategy=strategy, sign="key")) as told:
        told.source.commit({b"docs/a": b"a\n", b"docs/run": b"#!"}, modes={b"docs/run": "100755"})
        item = told.item()
        assert item.state == ItemState.DONE, item.sentence
        commit = item.result["commit"]
        assert verified(told.target, commit, signers(tmp_path, key)).returncode == 0
        assert told.tree(commit)["copied/run"][0] == "100755"
        told.source.commit({b"docs/a": b"newer\n"})
        item = told.item()
        assert verified(told.target, item.result["commit"], signers(tmp_path, key)).returncode == 0
        if strategy == "pull_request":
            assert [pull.title for pull in told.pulls()] == ["Bring 2 files"]
            assert told.target.git("rev-list", "--count", f"main..{told.branch}") == "1"


def test_lists_of_deleted_files_are_signed_as_well(world: World, tmp_path: Path, key: keys.Key) -> None:
    with world.story("github") as told:
        docs = str(told.at.row("acme/docs").pk)
        options = Options(sign="key", deletions=Deletions("record", "gone.json", docs, "lists"))
        told.source.git("branch", "lists", "main")
        job, _ = create_rule(told.at.principal, told.job.team, rule_of(told.at, options, "records"))
        execute(job)
        story = Story(told.at, job)
        told.source.commit({b"docs/a": b"a"})
        story.run()
        told.source.commit({b"docs/a": None})
        story.run()
        assert "copied/a" in told.source.git("show", "lists:gone.json")
        assert verified(told.source, "lists", signers(tmp_path, key)).returncode == 0


def test_without_a_key_the_rule_is_not_saved(world: World) -> None:
    with world.story("github") as told:
        with pytest.raises(InvalidInput) as refused:
            create_rule(told.at.principal, told.job.team, rule_of(told.at, Options(sign="key"), "signed"))
        assert refused.value.problems == [("sign", NO_KEY)]
        assert list(Job.objects.filter(kind="copy")) == [told.job]


@pytest.mark.parametrize("strategy", ["direct", "pull_request"])
def test_a_key_that_is_gone_stops_the_run(
    world: World, settings: Settings, key: keys.Key, strategy: Any
) -> None:
    with world.story("github", Options(strategy=strategy, sign="key")) as told:
        settings.SIGNING_KEY = ""
        before = told.target.refs()
        told.source.commit({b"docs/a": b"a\n"})
        item = told.item()
        assert (item.state, item.sentence) == (ItemState.FAILED, NO_KEY)
        assert told.target.refs() == before
        assert CopyState.objects.get().source_oid != told.source.oid("main")


# --- with a key of GnuPG --------------------------------------------------------------------------------

PASSPHRASE = "canary of the passphrase"


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with keyring() as made:
        yield made


@pytest.fixture(scope="module")
def pgp_text(gpg: Gpg) -> str:
    return gpg.key("bot@example.com", *ED25519, passphrase=PASSPHRASE)


@pytest.fixture
def pgp_key(settings: Settings, pgp_text: str) -> str:
    """The installation's, as text."""
    settings.SIGNING_KEY, settings.SIGNING_PASSPHRASE = pgp_text, PASSPHRASE
    settings.DEFAULT_FROM_EMAIL = "bot@example.com"
    return pgp_text


@pytest.mark.parametrize("strategy", ["direct", "pull_request"])
def test_commits_are_signed_with_a_key_of_gnupg(world: World, gpg: Gpg, pgp_key: str, strategy: Any) -> None:
    with world.story("github", Options(strategy=strategy, sign="key")) as told:
        for text in (b"a\n", b"newer\n"):
            told.source.commit({b"docs/a": text})
            item = told.item()
            assert item.state == ItemState.DONE, item.sentence
            judged = gpg.verified(told.target, item.result["commit"])
            assert judged.returncode == 0, judged.stderr
            assert 'Good signature from "Bot <bot@example.com>"' in judged.stderr
        assert not any(PASSPHRASE in line for line in logged(item.run))


@pytest.mark.parametrize("name", ["commit-made", "pushed", "target-stored"])
def test_a_kill_leaves_one_commit_of_gnupg(
    world: World, monkeypatch: pytest.MonkeyPatch, pgp_key: str, name: str
) -> None:
    """Each attempt signs anew, so its commit has another id; what was pushed is found by its line."""
    with world.story("github", Options(sign="key")) as told:
        told.source.commit({b"docs/a": b"a"})
        survive(told, kill_at(monkeypatch, name, "after"))
        assert told.target.git("rev-list", "--count", "main") == "2"


def test_a_key_that_cannot_sign_any_more_stops_the_run(
    world: World, settings: Settings, pgp_key: str
) -> None:
    with world.story("github", Options(sign="key")) as told:
        settings.SIGNING_PASSPHRASE = ""
        told.source.commit({b"docs/a": b"a\n"})
        item = told.item()
        assert (item.state, item.sentence) == (ItemState.FAILED, EXPIRED)
        [check] = [one for one in diagnose() if one.name == "signing_key"]
        assert (check.ok, check.detail) == (False, EXPIRED)


# --- the setting ----------------------------------------------------------------------------------------


def test_the_setting_takes_a_key_of_one_line_or_of_many(tmp_path: Path, gpg: Gpg, pgp_text: str) -> None:
    for text, more in ((keys.make(), {}), (pgp_text, {"OPSSIGHT_SIGNING_PASSPHRASE": PASSPHRASE})):
        text = text.strip() + "\n"
        assert load({"OPSSIGHT_SIGNING_KEY": text, **more}).signing_key == text
        assert load({"OPSSIGHT_SIGNING_KEY": text.replace("\n", "\\n"), **more}).signing_key == text
        (tmp_path / "key").write_text(text)
        assert load({"OPSSIGHT_SIGNING_KEY_FILE": str(tmp_path / "key"), **more}).signing_key == text
    assert load({}).signing_key == ""
    for kind, bits in (("ecdsa", ["-b", "521"]), ("rsa", ["-b", "2048"])):
        assert load({"OPSSIGHT_SIGNING_KEY": generated(tmp_path, kind, bits)}).signing_key
    locked = generated(tmp_path, "ed25519", [], passphrase="secret")
    (tmp_path / "passphrase").write_text("secret\n")
    file = {"OPSSIGHT_SIGNING_PASSPHRASE_FILE": str(tmp_path / "passphrase")}
    assert load({"OPSSIGHT_SIGNING_KEY": locked, **file}).signing_passphrase == "secret"


@pytest.mark.parametrize("kind", ["encrypted", "rsa 1024", "text", "public", "pgp", "pgp public"])
def test_a_key_that_cannot_be_used_is_refused_at_the_start(
    tmp_path: Path, gpg: Gpg, pgp_text: str, kind: str
) -> None:
    texts: dict[str, Callable[[], str]] = {
        "encrypted": lambda: generated(tmp_path, "ed25519", [], passphrase="secret"),
        "rsa 1024": lambda: generated(tmp_path, "rsa", ["-b", "1024"]),
        "text": lambda: "canary-not-a-key",
        "public": lambda: keys.public_line(keys.opened(keys.make())),
        "pgp": lambda: pgp_text,
        "pgp public": lambda: gpg.run("--armor", "--export", "bot@example.com"),
    }
    text = texts[kind]()
    with pytest.raises(InvalidInput) as refused:
        load({"OPSSIGHT_SIGNING_KEY": text, "OPSSIGHT_SIGNING_PASSPHRASE": "canary-wrong"})
    [(name, sentence)] = refused.value.problems
    assert name == "OPSSIGHT_SIGNING_KEY"
    assert "OpenPGP" in sentence
    assert not any(secret in sentence for secret in (text[:12], text[-12:], "canary-wrong"))


def test_doctor_shows_the_public_part_only(key: keys.Key, settings: Settings, pgp_text: str) -> None:
    [check] = [one for one in diagnose() if one.name == "signing_key"]
    assert check.ok
    assert check.detail.endswith(keys.public_line(key, "opssight"))
    assert "PRIVATE" not in check.detail
    settings.SIGNING_KEY, settings.SIGNING_PASSPHRASE = pgp_text, PASSPHRASE
    [check] = [one for one in diagnose() if one.name == "signing_key"]
    assert check.detail.endswith(" of Bot <bot@example.com>")
    settings.SIGNING_KEY = ""
    assert [one for one in diagnose() if one.name == "signing_key"] == []


# --- by the provider ------------------------------------------------------------------------------------

BY_API = ["github", "gitlab"]


def leftovers(told: Story) -> list[str]:
    return [ref for ref in told.target.refs() if "opssight/signing-" in ref]


@pytest.mark.parametrize("kind", BY_API)
@pytest.mark.parametrize("strategy", ["direct", "pull_request"])
def test_the_provider_makes_and_signs_the_commits(world: World, kind: str, strategy: Any) -> None:
    with world.story(kind, Options(strategy=strategy, sign="api")) as told:
        base = told.target.oid("main")
        files = {b"docs/a": b"a\n", "docs/é".encode(): b"\0\xff", b"docs/empty": b""}
        told.source.commit(files)
        item = told.item()
        assert item.state == ItemState.DONE, item.sentence
        commit = item.result["commit"]
        assert told.target.oid("main" if strategy == "direct" else told.branch) == commit
        assert told.target.git("log", "-1", "--format=%P", commit) == base
        assert is_signed(told.target.git("cat-file", "commit", commit).encode())
        assert told.target.git("log", "-1", "--format=%ce", commit) == f"noreply@{kind}.com"
        copied = {path: told.tree(commit)[f"copied/{path}"] for path in ("a", "é", "empty")}
        source = told.tree("main", "acme/docs")
        assert copied == {path: source[f"docs/{path}"] for path in copied}
        assert leftovers(told) == []
        if strategy == "pull_request":
            assert [pull.head_oid for pull in told.pulls()] == [commit]
        assert told.item().sentence.startswith(("Already", "No changed", "Pull request"))
        assert told.at.forge.api_commits == 1


@pytest.mark.parametrize("kind", BY_API)
@pytest.mark.parametrize("update", ["update", "append", "recreate"])
def test_a_pull_request_of_the_provider_is_brought_up_to_date(world: World, kind: str, update: Any) -> None:
    options = Options(strategy="pull_request", pull_request=PullRequest(update=update), sign="api")
    with world.story(kind, options) as told:
        told.source.commit({b"docs/a": b"a\n", b"docs/gone": b"1"})
        told.item()
        CopyState.objects.update(pushed_oid="")  # as after a kill: known by what stands there only
        told.source.commit({b"docs/a": b"newer\n", b"docs/gone": None, b"docs/b": b"b\n"})
        item = told.item()
        assert item.state == ItemState.DONE, item.sentence
        assert "ours is on top" not in item.sentence
        [pull] = told.pulls()
        assert told.text("copied/a", told.branch) == "newer"
        assert sorted(told.tree(told.branch)) == ["copied/a", "copied/b", "index.html"]
        commits = told.target.git("rev-list", "--count", f"main..{told.branch}")
        assert commits == ("2" if update == "append" else "1")
        assert pull.head_oid == item.result["commit"]
        assert leftovers(told) == []
        told.merge()
        assert told.item().state == ItemState.SKIPPED
        assert told.state.source_oid == told.source.oid("main")


def test_a_persons_commit_on_top_of_the_providers_survives(world: World) -> None:
    with world.story("github", Options(strategy="pull_request", sign="api")) as told:
        told.source.commit({b"docs/a": b"a\n"})
        told.item()
        bare, branch = told.target, told.branch
        amended = bare.git("log", "-1", "--format=%B", branch)
        bare.git("branch", "side", branch)
        bare.commit({b"mine": b"mine"}, branch="side")
        tree = bare.git("rev-parse", "side^{tree}")
        theirs = bare.git("commit-tree", tree, "-p", branch, "-m", amended)
        bare.git("update-ref", f"refs/heads/{branch}", theirs)
        told.source.commit({b"docs/a": b"newer\n"})
        item = told.item()
        assert "Ada" in item.sentence
        assert told.text("mine", branch) == "mine"
        assert told.text("copied/a", branch) == "newer"


def test_what_the_api_cannot_carry_is_refused_by_file(world: World) -> None:
    with world.story("github", Options(sign="api")) as told:
        told.target.commit({b"copied/x": b"#!"}, modes={b"copied/x": "100755"})
        modes = {b"docs/run": "100755", b"docs/link": "120000"}
        told.source.commit(
            {b"docs/a": b"a", b"docs/run": b"#!", b"docs/link": b"a", b"docs/\xff": b"?", b"docs/x": b"new"},
            modes=modes,
        )
        item = told.item()
        reasons = {one["path"]: one["sentence"] for one in item.result["refused"]}
        assert len(reasons) == 4
        assert item.state == ItemState.DONE
        assert {"copied/a", "copied/x", "index.html"} == set(told.tree())
        assert told.tree()["copied/x"][0] == "100755"
        for words in ("an executable file", "a symbolic link", "not UTF-8", "is executable"):
            assert [one for one in reasons.values() if words in one], (words, reasons)


@pytest.mark.parametrize("kind", ["gitea", "bitbucket"])
def test_a_provider_that_signs_nothing_fails_with_a_sentence(world: World, kind: str) -> None:
    with world.story(kind, Options(sign="api")) as told:
        before = told.target.refs()
        told.source.commit({b"docs/a": b"a"})
        item = told.item()
        assert item.state == ItemState.FAILED
        assert "Sign them with a key, or not at all" in item.sentence
        assert told.target.refs() == before


@pytest.mark.parametrize("kind", BY_API)
@pytest.mark.parametrize("strategy", ["direct", "pull_request"])
def test_a_commit_without_a_signature_is_not_used(world: World, kind: str, strategy: Any) -> None:
    with world.story(kind, Options(strategy=strategy, sign="api")) as told:
        told.at.repo().more["unsigned"] = True
        before = told.target.refs()
        told.source.commit({b"docs/a": b"a"})
        item = told.item()
        assert (item.state, "without a signature" in item.sentence) == (ItemState.FAILED, True)
        assert told.target.refs() == before


def test_too_much_at_once_is_refused_before_anything_is_written(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GitHubProvider, "commit_bytes", 10)
    with world.story("github", Options(sign="api")) as told:
        before = told.target.refs()
        told.source.commit({b"docs/a": b"123456", b"docs/b": b"654321"})
        item = told.item()
        assert item.state == ItemState.FAILED
        assert "The change has 12 B" in item.sentence
        assert (told.target.refs(), told.at.forge.api_commits) == (before, 0)


@pytest.mark.parametrize("name", ["commit-signed", "commit-made", "pushed"])
def test_a_kill_leaves_one_commit(world: World, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    with world.story("github", Options(sign="api")) as told:
        with monkeypatch.context() as dying:
            dying.setattr(api_commits, "remove", lambda *given: None)  # a kill leaves the branch there
            told.source.commit({b"docs/a": b"a"})
            survived = survive(told, kill_at(monkeypatch, name, "after"))
        assert survived.state == RunState.SUCCEEDED
        assert told.text("copied/a") == "a"
        assert told.target.git("rev-list", "--count", "main") == "2"
        told.source.commit({b"docs/a": b"b"})
        assert told.item().state == ItemState.DONE
        assert told.target.git("rev-list", "--count", "main") == "3"


@pytest.mark.parametrize("strategy", ["direct", "pull_request"])
@pytest.mark.parametrize("again", [False, True])
def test_a_branch_that_a_kill_left_goes_with_the_next_run(
    world: World, monkeypatch: pytest.MonkeyPatch, strategy: Any, again: bool
) -> None:
    """There was no second attempt, and the next run may have nothing to sign."""
    with world.story("github", Options(strategy=strategy, sign="api")) as told:
        before = told.source.oid("main")
        told.source.commit({b"docs/a": b"a"})
        with monkeypatch.context() as dying:
            dying.setattr(api_commits, "remove", lambda *given: None)  # a kill leaves the branch there
            kill_at(dying, "commit-signed", "after")
            with pytest.raises(Killed):
                told.run()
        Run.objects.all().delete()
        assert len(leftovers(told)) == 1
        told.target.git("branch", "opssight/signing-mine", "main")
        if again:
            told.source.commit({b"docs/a": b"b"})
        else:
            told.source.git("update-ref", "refs/heads/main", before)
        assert told.item().state == (ItemState.DONE if again else ItemState.SKIPPED)
        assert leftovers(told) == ["refs/heads/opssight/signing-mine"]


def test_somebody_who_pushes_meanwhile_is_not_lost(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with world.story("github", Options(sign="api")) as told:
        told.source.commit({b"docs/a": b"a"})
        checkpoint = RunContext.checkpoint
        met: list[str] = []

        def busy(self: RunContext, name: str) -> None:
            checkpoint(self, name)
            if name == "commit-signed" and not met:
                met.append(told.target.commit({b"theirs": b"1"}))

        monkeypatch.setattr(RunContext, "checkpoint", busy)
        assert told.item().state == ItemState.DONE
        assert {"copied/a", "index.html", "theirs"} == set(told.tree())
        assert told.target.git("log", "-1", "--format=%P") == met[0]
        assert leftovers(told) == []


def test_two_rules_of_one_target_have_to_agree() -> None:
    assert sign_of([Options(), Options(sign="key")]) == "key"
    assert sign_of([Options()]) == "none"
    with pytest.raises(PermanentFailure):
        sign_of([Options(sign="api"), Options(sign="key")])


def test_the_provider_makes_commits_for_no_other_author(world: World) -> None:
    options = Options(sign="api", authors=Authors("source"))
    with pytest.raises(PermanentFailure):
        sign_of([options])
    with world.story("github") as told:
        with pytest.raises(InvalidInput) as refused:
            create_rule(told.at.principal, told.job.team, rule_of(told.at, options, "signed"))
        assert refused.value.problems == [("sign", NO_AUTHOR)]
