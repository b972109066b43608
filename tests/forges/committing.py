"""Commits that a stand-in makes by its API, signed with a key of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.repos.git.work import IDENTITY, Bare

_SCRATCH = "refs/scratch/commit"


class Committer:
    """`name` and `email` are written as who committed; the key is in `folder`."""

    def __init__(self, folder: Path, name: str, email: str) -> None:
        self.name, self.email = name, email
        self._folder = folder
        self._key = folder / "web-key"

    def commit(
        self,
        bare: Bare,
        parent: str,
        message: str,
        files: Mapping[str, bytes | None],
        author: str,
        *,
        signs: bool,
    ) -> str:
        """A commit on `parent` with these files as plain ones (None: gone), on no branch."""
        bare.git("update-ref", _SCRATCH, parent)
        stream = [f"commit {_SCRATCH}\ncommitter x <x@x> 0 +0000\ndata 0\nfrom {_SCRATCH}^0\n".encode()]
        for path, data in sorted(files.items(), key=lambda item: item[1] is not None):
            name = b'"' + b"".join(b"\\%03o" % byte for byte in path.encode()) + b'"'
            if data is None:
                stream.append(b"D %s\n" % name)
            else:
                stream.append(b"M 100644 inline %s\ndata %d\n%s\n" % (name, len(data), data))
        self._git(bare, "fast-import", "--quiet", "--force", stdin=b"".join(stream))
        tree = bare.git("rev-parse", f"{_SCRATCH}^{{tree}}")
        bare.git("update-ref", "-d", _SCRATCH)
        sign = ["-S"] if signs else []
        args = ["commit-tree", *sign, "-p", parent, "-F", "-", tree]
        return self._git(bare, *args, stdin=message.encode(), author=author)

    def _git(self, bare: Bare, *args: str, stdin: bytes, author: str = "x") -> str:
        if not self._key.exists():
            make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._key)]
            subprocess.run(make, check=True)
        config = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={self._key}"]
        names = {
            "GIT_AUTHOR_NAME": author,
            "GIT_AUTHOR_EMAIL": f"{author}@users.example.org",
            "GIT_COMMITTER_NAME": self.name,
            "GIT_COMMITTER_EMAIL": self.email,
        }
        done = subprocess.run(
            ["git", *config, *args], cwd=bare.path, input=stdin, env=IDENTITY | names, check=True,
            capture_output=True,
        )  # fmt: skip
        return done.stdout.decode().strip()
