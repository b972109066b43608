"""A repository to play with, made by plain git in an environment of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_AUTHOR_DATE": "2026-01-02T03:04:05Z",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05Z",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "PATH": os.environ["PATH"],
}

HEADS = ["+refs/heads/*:refs/heads/*"]

FETCHER = """
import sys, uuid, pathlib
from repos.git.runner import Git; from repos.git.store import Stores
from repos.git.remote import Remote, PasswordCredential
home, root, key, url, want, user, password = sys.argv[1:]
store = Stores(pathlib.Path(root), Git(pathlib.Path(home)), quota_bytes=1 << 40).store(uuid.UUID(key))
remote = Remote(url, PasswordCredential(user, password))
print(store.fetch(remote, ["+refs/heads/*:refs/heads/*"], want=want).fetched)
"""
"""A process that fetches one commit into a store; what it is given is unpacked from its arguments."""


def git(*args: str | bytes, cwd: Path, stdin: bytes = b"") -> str:
    done = subprocess.run(["git", *args], cwd=cwd, input=stdin, env=IDENTITY, check=True, capture_output=True)
    return done.stdout.decode(errors="surrogateescape").strip()


class Bare:
    """A bare repository that is written by fast-import: quick, and any path and mode can be had."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            git("init", "-q", "--bare", "-b", "main", str(path), cwd=path.parent)

    def commit(
        self,
        files: Mapping[bytes, bytes | None],
        *,
        branch: str = "main",
        message: str = "a change",
        modes: Mapping[bytes, str] | None = None,
        orphan: bool = False,
    ) -> str:
        """Write (None: delete) files on top of the branch; returns the new commit."""
        ref = f"refs/heads/{branch}"
        stream = [f"commit {ref}\ncommitter Ada <ada@example.com> 1767323045 +0000\n".encode()]
        stream.append(b"data %d\n%s\n" % (len(message.encode()), message.encode()))
        if not orphan and self.oid(ref):
            stream.append(f"from {ref}^0\n".encode())
        for path, data in files.items():
            name = b'"' + b"".join(b"\\%03o" % byte for byte in path) + b'"'
            mode = (modes or {}).get(path, "100644").encode()
            if data is None:
                stream.append(b"D %s\n" % name)
            elif mode == b"160000":
                stream.append(b"M 160000 %s %s\n" % (data, name))
            else:
                stream.append(b"M %s inline %s\ndata %d\n%s\n" % (mode, name, len(data), data))
        git("fast-import", "--quiet", "--force", cwd=self.path, stdin=b"".join(stream))
        commit = self.oid(ref)
        assert commit
        return commit

    def oid(self, name: str) -> str:
        """What a name stands for; empty when it stands for nothing."""
        found = subprocess.run(
            ["git", "rev-parse", "--verify", "-q", name],
            cwd=self.path,
            env=IDENTITY,
            capture_output=True,
            check=False,
        )
        return found.stdout.decode().strip()

    def git(self, *args: str | bytes, stdin: bytes = b"") -> str:
        return git(*args, cwd=self.path, stdin=stdin)

    def refs(self) -> dict[str, str]:
        lines = self.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return dict(line.rsplit(" ", 1) for line in lines)


def many(count: int, *, folder: str = "dir", salt: str = "") -> dict[bytes, bytes]:
    """Files with different contents in a few folders."""
    return {
        f"{folder}/{i % 20}/file-{i}.txt".encode(): f"{salt} contents of file {i}\n".encode() * 5
        for i in range(count)
    }
