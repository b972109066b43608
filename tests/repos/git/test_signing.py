"""Signatures, judged by git, OpenSSH and GnuPG themselves."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from opssight.core import openpgp
from opssight.core.errors import PermanentFailure
from repos.git import keys
from repos.git.remote import Remote
from repos.git.signing import SigningKey, armored, is_signed, public_words, with_signature
from repos.git.store import Store, Stores
from repos.git.types import RefUpdate, Write
from tests.repos.git.gpg import ECDSA, ED25519, ENCRYPTING, RSA, SUBKEY, Gpg, keyring
from tests.repos.git.test_agent import generated
from tests.repos.git.work import HEADS, IDENTITY, Bare

AT = dt.datetime(2026, 3, 4, 5, 6, 7, tzinfo=dt.UTC)
EMAIL = "bot@example.com"
KINDS = [("ed25519", []), ("ecdsa", ["-b", "256"]), ("ecdsa", ["-b", "384"]), ("ecdsa", ["-b", "521"]),
         ("rsa", ["-b", "2048"])]  # fmt: skip


@pytest.fixture
def fetched(store: Store, source: Bare, source_remote: Remote) -> Store:
    source.commit({b"a": b"1", b"d/b": b"2"})
    store.fetch(source_remote, HEADS)
    return store


def signers(folder: Path, key: keys.Key) -> Path:
    path = folder / "signers"
    path.write_text(f'{EMAIL} namespaces="git" {keys.public_line(key)}\n')
    return path


def verified(bare: Bare, commit: str, allowed: Path) -> subprocess.CompletedProcess[str]:
    config = ["-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={allowed}"]
    command = ["git", *config, "verify-commit", "-v", commit]
    return subprocess.run(command, cwd=bare.path, env=IDENTITY, check=False, capture_output=True, text=True)


def made(
    stores: Stores, store: Store, source: Bare, remote: Remote, key: SigningKey | None, message: str
) -> str:
    base = source.oid("main")
    with stores.view([store]) as view:
        oid = view.commit(
            base,
            [Write(b"caf\xe9", "100755", view.write_blob(b"new"))],
            [b"a"],
            message=message,
            author_name="Ada",
            author_email="ada@example.com",
            at=AT,
            committer=("OpsSight", EMAIL),
            key=key,
        )
        [result] = view.push(remote, [RefUpdate(b"refs/heads/copy", oid, None)])
        assert result.ok
    return oid


@pytest.mark.parametrize(("kind", "more"), KINDS)
def test_git_takes_the_signature_for_good(
    tmp_path: Path,
    stores: Stores,
    fetched: Store,
    source: Bare,
    source_remote: Remote,
    kind: str,
    more: list[str],
) -> None:
    key = keys.opened(generated(tmp_path, kind, more))
    message = "A copy\n\nÜber gpgsig and\n\ntrailers\n\nOpsSight-Run-Key: 1/2/3\n"
    oid = made(stores, fetched, source, source_remote, key, message)
    judged = verified(source, oid, signers(tmp_path, key))
    assert judged.returncode == 0, judged.stderr
    assert f'Good "git" signature for {EMAIL}' in judged.stderr
    assert source.git("log", "-1", "--format=%B", oid).strip() == message.strip()
    assert source.git("log", "-1", "--format=%an %ce %(trailers:key=OpsSight-Run-Key,valueonly)", oid) == (
        f"Ada {EMAIL} 1/2/3"
    )
    source.git("fsck", "--strict")


def test_another_key_is_not_good(
    tmp_path: Path, stores: Stores, fetched: Store, source: Bare, source_remote: Remote
) -> None:
    key, other = (keys.opened(generated(tmp_path, "ed25519", [])) for _ in range(2))
    oid = made(stores, fetched, source, source_remote, key, "A copy")
    assert verified(source, oid, signers(tmp_path, other)).returncode != 0


def test_the_same_again_is_the_same_commit(
    tmp_path: Path, stores: Stores, fetched: Store, source: Bare, source_remote: Remote
) -> None:
    key = keys.opened(generated(tmp_path, "ed25519", []))
    oid = made(stores, fetched, source, source_remote, key, "A copy")
    source.git("update-ref", "-d", "refs/heads/copy")
    assert made(stores, fetched, source, source_remote, key, "A copy") == oid
    source.git("update-ref", "-d", "refs/heads/copy")
    assert made(stores, fetched, source, source_remote, None, "A copy") != oid


def test_openssh_reads_the_text(tmp_path: Path) -> None:
    key = keys.opened(generated(tmp_path, "rsa", ["-b", "3072"]))
    path = tmp_path / "signature"
    path.write_bytes(armored(b"anything\0\xff", key))
    command = ["ssh-keygen", "-Y", "verify", "-f", str(signers(tmp_path, key)), "-I", EMAIL, "-n", "git",
               "-s", str(path)]  # fmt: skip
    subprocess.run(command, input=b"anything\0\xff", check=True, capture_output=True)
    assert subprocess.run(command, input=b"anything", check=False, capture_output=True).returncode != 0


def test_a_commit_is_signed_once(tmp_path: Path) -> None:
    key = keys.opened(generated(tmp_path, "ed25519", []))
    raw = b"tree 0\nauthor A <a> 0 +0000\n\ngpgsig is no header here\n"
    text = with_signature(raw, armored(raw, key))
    assert (is_signed(raw), is_signed(text)) == (False, True)
    with pytest.raises(PermanentFailure):
        with_signature(text, armored(text, key))
    with pytest.raises(PermanentFailure):
        with_signature(b"tree 0", b"")


# --- OpenPGP ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with keyring() as made_here:
        yield made_here


@pytest.mark.parametrize("passphrase", ["", "gehe im"])
@pytest.mark.parametrize(
    ("kind", "lines"), [("ed25519", ED25519), ("subkey", SUBKEY), ("rsa", RSA), ("ecdsa", ECDSA)]
)
def test_git_and_gnupg_take_the_signature_for_good(
    gpg: Gpg,
    stores: Stores,
    fetched: Store,
    source: Bare,
    source_remote: Remote,
    kind: str,
    lines: tuple[str, ...],
    passphrase: str,
) -> None:
    email = f"{kind}{len(passphrase)}@example.com"
    key = openpgp.opened(gpg.key(email, *lines, passphrase=passphrase), passphrase)
    assert public_words(key) == f"OpenPGP key {key.fingerprint} of Bot <{email}>"
    assert key.fingerprint in gpg.run("--with-colons", "--list-keys", email)
    message = "A copy\n\nÜber gpgsig and\n\ntrailers\n\nOpsSight-Run-Key: 1/2/3\n"
    oid = made(stores, fetched, source, source_remote, key, message)
    judged = gpg.verified(source, oid)
    assert judged.returncode == 0, judged.stderr
    assert f'Good signature from "Bot <{email}>"' in judged.stderr
    assert source.git("log", "-1", "--format=%B", oid).strip() == message.strip()
    source.git("fsck", "--strict")
    other = source.git("commit-tree", "main^{tree}", "-m", "another").encode()
    raw = source.git("cat-file", "commit", other.decode()).encode() + b"\n"
    forged = with_signature(raw, armored(raw + b"more", key))
    bad = source.git("hash-object", "-t", "commit", "-w", "--stdin", stdin=forged)
    assert gpg.verified(source, bad).returncode != 0


def test_a_pgp_key_that_cannot_sign_is_not_opened(gpg: Gpg) -> None:
    locked = gpg.key("locked@example.com", *ED25519, passphrase="right")
    certifying = gpg.key("certifying@example.com", *ENCRYPTING)
    expired = gpg.key("expired@example.com", *ED25519[:3], "Creation-Date: 2020-01-01", "Expire-Date: 1d")
    public = gpg.run("--armor", "--export", "locked@example.com")
    for text, passphrase in (
        *((locked, ""), (locked, "wrong")),
        *((certifying, ""), (expired, ""), (public, ""), (locked[:200], "right"), ("", "")),
    ):
        with pytest.raises(ValueError) as refused:
            openpgp.opened(text, passphrase)
        assert str(refused.value) == ""
    assert openpgp.opened(locked, "right").user_ids == ("Bot <locked@example.com>",)
