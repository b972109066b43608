"""The commands that ask a remote: a look at its refs, a fetch into a store, a fetch of single objects."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from opssight.core.errors import Failure
from repos.git import generation, locks
from repos.git.errors import IncompleteFetch, RefClash, corrupt, remote_failure
from repos.git.inspect import inspect_folder
from repos.git.refspecs import takes, widened
from repos.git.remote import Remote
from repos.git.runner import Git, Output
from repos.git.types import RemoteRefs

_OPTIONS = [
    "--progress",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-show-forced-updates",
    "--recurse-submodules=no",
    "--stdin",
]
_UNFILTERED = "filtering not recognized by server"
_SHALLOW = "shallow roots are not allowed"


def look(git: Git, remote: Remote, *, head: bool = True) -> RemoteRefs:
    """Heads, tags and the default branch of a remote, in one request. Raises a `Failure`.

    git cannot ask for HEAD without asking for all refs, which is much where a forge keeps a ref for
    each pull request. Without `head` only heads and tags are asked for, and `.head` is None.
    """
    which = ["--symref"] if head else ["--heads", "--tags"]
    output = git.contact(["ls-remote", *which, "--", remote.url], remote)
    refs: dict[bytes, str] = {}
    default = None
    for line in output.stdout.splitlines():
        value, _, name = line.partition(b"\t")
        if value.startswith(b"ref: ") and name == b"HEAD":
            default = value.removeprefix(b"ref: ")
        elif name.startswith((b"refs/heads/", b"refs/tags/")) and not name.endswith(b"^{}"):
            refs[name] = value.decode()
    return RemoteRefs(refs, default)


def fetch_objects(git: Git, git_dir: Path, remote: Remote, oids: Sequence[str]) -> int:
    """Fetch exactly these objects into a blobless generation; returns the bytes that came."""
    args = [*_promisor(remote), "-c", "fetch.negotiationAlgorithm=noop"]
    args += ["fetch", *_OPTIONS, "--filter=blob:none", "--", "origin"]
    stdin = ["".join(f"{oid}\n" for oid in oids).encode()]
    return git.contact(args, remote, git_dir=git_dir, stdin=stdin).transferred


class Fetch:
    """One fetch into the store in `folder`; the caller holds its fetch lock."""

    def __init__(
        self, folder: Path, git: Git, remote: Remote, refspecs: Sequence[str], *, partial: bool, prune: bool
    ) -> None:
        self._folder = folder
        self._git = git
        self._remote = remote
        self._refspecs = refspecs
        self._partial = partial
        self._prune = prune

    def run(self) -> int:
        """Fetch into the current generation or, where that does not do, into a new one. Returns bytes."""
        self._refuse_shallow_folder()
        current = self._folder / "current"
        path = self._folder / os.readlink(current) if current.is_symlink() else None
        if path is None or not generation.usable(path, self._git) or self._outgrown(path):
            return self._into_new()
        try:
            nbytes = self._into(path).transferred
        except Failure as failure:
            if corrupt(failure.detail):
                return self._into_new()
            raise
        self._tidy(path)
        return nbytes

    def _outgrown(self, path: Path) -> bool:
        """A blobless generation cannot be packed again or made full in place: it is replaced."""
        if not generation.is_partial(path):
            return False
        return not self._partial or generation.packs(path) > generation.MAX_PACKS

    def _into_new(self) -> int:
        path = generation.create(self._folder, partial=self._partial)
        try:
            output = self._into(path)
            if self._partial and _UNFILTERED in output.stderr:
                path = generation.made_full(path)
            self._make_current(path)
        except BaseException:
            generation.remove(path)
            raise
        return output.transferred

    def _into(self, path: Path) -> Output:
        generation.clear_leftovers(path)
        try:
            output = self._transfer(path, self._refspecs, prune=self._prune)
        except RefClash:  # a branch that the remote no longer has may be in the way of a new one
            output = self._transfer(path, widened(self._refspecs), prune=True)
        if not generation.has_refs(path):
            self._refuse_nothing()
        return output

    def _transfer(self, path: Path, refspecs: Sequence[str], *, prune: bool) -> Output:
        partial = generation.is_partial(path)
        args = [*(_promisor(self._remote) if partial else []), "fetch", *_OPTIONS]
        args += ["--filter=blob:none"] if partial else []
        args += ["--prune"] if prune else []
        args += ["--", "origin" if partial else self._remote.url]
        stdin = [os.fsencode("".join(f"{spec}\n" for spec in refspecs))]
        output = self._git.contact(args, self._remote, git_dir=path, stdin=stdin)
        if _SHALLOW in output.stderr:  # git leaves the branch out, warns, and calls that success
            raise remote_failure(output.stderr, self._remote.name)
        return output

    def _refuse_shallow_folder(self) -> None:
        if self._remote.path and inspect_folder(self._remote.path, self._git).shallow:
            raise remote_failure(_SHALLOW, self._remote.name)

    def _refuse_nothing(self) -> None:
        """An empty store is right only if the remote is empty too."""
        offered = [ref for ref in look(self._git, self._remote).refs if takes(self._refspecs, ref)]
        if offered:
            raise IncompleteFetch(
                f"{self._remote.name} has {len(offered)} branches and tags, but none arrived. "
                "Nothing was changed; it is tried again."
            )

    def _make_current(self, path: Path) -> None:
        link = self._folder / f"link-{secrets.token_hex(6)}"
        link.symlink_to(path.name)
        link.replace(self._folder / "current")
        generation.remove_others(self._folder)

    def _tidy(self, path: Path) -> None:
        if generation.is_partial(path) or generation.packs(path) <= generation.MAX_PACKS:
            return
        with locks.alone(self._folder / "use") as free:
            if free:
                generation.repack(path, self._git)


def _promisor(remote: Remote) -> list[str]:
    """Makes the remote the promisor of a blobless generation, for one command."""
    return [*generation.PROMISOR, "-c", f"remote.origin.url={remote.url}"]
