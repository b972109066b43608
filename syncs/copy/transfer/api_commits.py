"""Commits that the target's provider makes by its API and signs itself.

The commit is made here first, unsigned. The provider is asked for the same one on a branch of its own, and
what it made is taken only if it has the same files on the same parent, and a signature. Then it is pushed
like any other, so nothing arrives at the target that is not as planned.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from opssight.core.errors import Failure, PermanentFailure, TransientFailure
from opssight.core.words import size
from repos.git.signing import is_signed
from repos.git.types import Change, RefUpdate
from repos.git.view import View
from repos.providers.base import Provider
from repos.providers.forge import Forge, NewCommit
from repos.providers.types import Capability
from syncs.copy.rules.paths import shown
from syncs.copy.transfer.trailers import RUN_KEY

if TYPE_CHECKING:
    from syncs.copy.transfer.transfer import End, Steps

PLAIN: Final = "100644"
TREE: Final = "OpsSight-Tree"
_BRANCH: Final = "opssight/signing-"
_ALL: Final = f"+refs/heads/{_BRANCH}*:refs/heads/{_BRANCH}*"
_PAUSES: Final = (0.0, 0.5, 2.0)  # seconds until git at the provider knows of what its API made
_TRAILER: Final = re.compile(rb"^" + TREE.encode() + rb": ([0-9a-f]{40})$", re.MULTILINE)


@dataclass(frozen=True)
class CommitApi:
    """Where the commits of a target are made by its provider."""

    forge: Forge
    external_id: str

    @classmethod
    def of(cls, provider: Provider | None, external_id: str) -> CommitApi | None:
        """None where the provider makes no signed commits."""
        if isinstance(provider, Forge) and Capability.SIGNED_COMMITS in provider.capabilities:
            return cls(provider, external_id)
        return None


def required_api(end: End) -> CommitApi:
    """Raises `PermanentFailure` where the commits of a target cannot be signed like this."""
    if end.api is None:
        raise PermanentFailure(
            f"Commits are to be signed by the provider of {end.name}, which does not do that. Sign them with "
            "a key, or not at all."
        )
    return end.api


def signed_by_api(view: View, end: End, parent: str | None, commit: str, text: str, steps: Steps) -> str:
    """The commit that the provider made in place of `commit`, which is in the view; then it is in there too.

    `text` is its message, without a trailer of ours that is added. Raises a `Failure`, and leaves nothing.
    """
    api = required_api(end)
    if parent is None:
        raise PermanentFailure(
            f"{end.name} is empty, and {api.forge.label} commits only to a branch that is there. "
            "Push a first commit to it."
        )
    raw = view.raw_commit(commit)
    branch = signing_branch(text)
    new = _new_commit(view, api, branch, parent, commit, f"{text}{TREE}: {tree_of(raw)}\n")
    try:
        oid = api.forge.commit_files(api.external_id, new)
        steps.checkpoint("commit-signed")
        _bring(end, branch, oid)
        _check(view.raw_commit(oid), raw, api.forge.label)
    finally:
        remove(view, end, branch, steps)
    return oid


def signing_branch(text: str) -> str:
    """The branch that commits with this message, or with this run key, are made on for a moment.

    It is one for each target, whose runs come one after the other: what stands there before was left by
    a run that was killed.
    """
    target = text.rpartition(f"{RUN_KEY}: ")[2].partition("/")[2].partition("/")[0]
    return _BRANCH + hashlib.sha256((target or text).encode()).hexdigest()[:12]


def tree_of(raw: bytes) -> str:
    """The id of the tree of a commit object."""
    return raw.partition(b"\n")[0].removeprefix(b"tree ").decode("ascii", "replace")


def is_untouched(raw: bytes) -> bool:
    """Whether a commit object has exactly the files with which a provider made it for us."""
    headers, _, message = raw.partition(b"\n\n")
    return tree_of(headers) in {found.decode() for found in _TRAILER.findall(message)[-1:]}


# --- what the provider is asked for ---------------------------------------------------------------------


@dataclass
class _Files:
    """Oids of contents by path, as the API takes them."""

    added: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)

    def take(self, change: Change) -> None:
        if change.old_path is not None:
            self.deleted.append(_text(change.old_path))
        if change.status == "D":
            self.deleted.append(_text(change.path))
            return
        is_new = change.status in "AR"
        if change.mode != PLAIN or not (is_new or change.old_mode == PLAIN):
            raise PermanentFailure(
                f"{shown(change.path)} is no plain file here and there, and commits that the provider makes "
                "carry plain files only. Leave it out, or sign with a key."
            )
        (self.added if is_new else self.changed)[_text(change.path)] = change.oid


def _text(path: bytes) -> str:
    try:
        return path.decode()
    except UnicodeDecodeError:
        raise PermanentFailure(
            f"{shown(path)} has a name that is not UTF-8, which commits that the provider makes cannot have. "
            "Rename it, or sign with a key."
        ) from None


def _new_commit(view: View, api: CommitApi, branch: str, parent: str, commit: str, message: str) -> NewCommit:
    files = _Files()
    for change in view.changes(parent, commit):
        files.take(change)
    oids = [*files.added.values(), *files.changed.values()]
    sizes = view.sizes(set(oids)) if oids else {}
    total, most = sum(sizes[oid] for oid in oids), api.forge.commit_bytes
    if total > most:
        raise PermanentFailure(
            f"The change has {size(total)}, and {api.forge.label} signs commits of at most {size(most)}. "
            "Sign with a key, or copy fewer files at once."
        )
    data = {oid: data or b"" for oid, data in view.blobs(sizes)} if oids else {}
    added, changed = _with(files.added, data), _with(files.changed, data)
    return NewCommit(branch, parent, message, added, changed, files.deleted)


def _with(files: Mapping[str, str], data: Mapping[str, bytes]) -> dict[str, bytes]:
    return {path: data[oid] for path, oid in files.items()}


# --- what it made ---------------------------------------------------------------------------------------


def _bring(end: End, branch: str, oid: str) -> None:
    """Fetch the commit; proof that it is there for git as well."""
    for pause in _PAUSES:
        time.sleep(pause)
        if end.store.look(end.remote, head=False).refs.get(f"refs/heads/{branch}".encode()) == oid:
            end.store.fetch(end.remote, [_ALL], partial=True, want=oid, prune=True)
            if end.store.has(oid):
                return
    raise TransientFailure(f"The commit that was made for {end.name} is not there yet. It is tried again.")


def _check(made: bytes, wanted: bytes, label: str) -> None:
    """Raises `PermanentFailure` for a commit that is not as planned."""
    if _above(made) != _above(wanted):
        raise PermanentFailure(
            f"{label} made another commit than it was asked for, so it was not used. Sign with a key instead."
        )
    if not is_signed(made):
        raise PermanentFailure(
            f"{label} made the commit without a signature, so it was not used. Have its administrator set up "
            "signing of commits, or sign with a key."
        )


def _above(raw: bytes) -> Sequence[bytes]:
    """Tree and parents."""
    return [
        line for line in raw.partition(b"\n\n")[0].split(b"\n") if line.startswith((b"tree ", b"parent "))
    ]


def remove(view: View, end: End, branch: str, steps: Steps) -> None:
    """Delete the branch that the commit was made on, if it is there. Whatever is in the way is only told."""
    ref = f"refs/heads/{branch}".encode()
    try:
        there = end.store.look(end.remote, head=False).refs.get(ref)
        results = view.push(end.remote, [RefUpdate(ref, None, there)]) if there else []
        reasons = [result.reason for result in results if not result.ok]
    except Failure as failure:
        reasons = [failure.sentence]
    for reason in reasons:
        steps.log("push", f"{end.name}: {branch} could not be deleted: {reason}", "warning")
