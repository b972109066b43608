"""GnuPG as people have it: it makes keys, and judges signatures."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.repos.git.work import IDENTITY, Bare


@dataclass(frozen=True)
class Gpg:
    """A keyring of its own."""

    home: Path

    def run(self, *arguments: str, stdin: str = "") -> str:
        command = ["gpg", "--batch", "--quiet", "--pinentry-mode", "loopback", *arguments]
        done = subprocess.run(
            command, input=stdin, env=self.environment, check=True, capture_output=True, text=True
        )
        return done.stdout

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "GNUPGHOME": str(self.home)}

    def key(self, email: str, *lines: str, passphrase: str = "") -> str:
        """A new key as `gpg --export-secret-keys` writes it; `lines` describe it as GnuPG wants it."""
        secret = f"Passphrase: {passphrase}" if passphrase else "%no-protection"
        told = [*lines, f"Name-Email: {email}", "Name-Real: Bot", secret, "%commit"]
        self.run("--gen-key", stdin="\n".join(told) + "\n")
        return self.run("--armor", "--passphrase", passphrase, "--export-secret-keys", email)

    def verified(self, bare: Bare, commit: str) -> subprocess.CompletedProcess[str]:
        command = ["git", "verify-commit", "-v", commit]
        env = {**IDENTITY, "GNUPGHOME": str(self.home)}
        return subprocess.run(command, cwd=bare.path, env=env, check=False, capture_output=True, text=True)


ED25519 = ("Key-Type: eddsa", "Key-Curve: ed25519", "Key-Usage: cert,sign", "Expire-Date: 0")
SUBKEY = (
    *("Key-Type: eddsa", "Key-Curve: ed25519", "Key-Usage: cert"),
    *("Subkey-Type: eddsa", "Subkey-Curve: ed25519", "Subkey-Usage: sign", "Expire-Date: 0"),
)
RSA = ("Key-Type: RSA", "Key-Length: 2048", "Key-Usage: cert,sign", "Expire-Date: 0")
ECDSA = ("Key-Type: ECDSA", "Key-Curve: nistp256", "Key-Usage: cert,sign", "Expire-Date: 0")
ENCRYPTING = ("Key-Type: eddsa", "Key-Curve: ed25519", "Key-Usage: cert", "Expire-Date: 0")


@contextmanager
def keyring() -> Iterator[Gpg]:
    """In a folder with a short name: the socket of its agent is there."""
    with tempfile.TemporaryDirectory(prefix="gpg-", dir="/tmp") as home:
        gpg = Gpg(Path(home))
        try:
            yield gpg
        finally:
            command = ["gpgconf", "--kill", "gpg-agent"]
            subprocess.run(command, env=gpg.environment, check=False, capture_output=True)
