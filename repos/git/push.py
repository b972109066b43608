"""Pushes refs so that nothing is lost that somebody else did: the remote's own ref is the fence."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from opssight.core.errors import InvalidInput
from repos.git.errors import remote_failure
from repos.git.reading import checked_oid
from repos.git.redact import redact
from repos.git.refspecs import checked_ref
from repos.git.remote import Remote
from repos.git.runner import Git, Output
from repos.git.types import RefResult, RefUpdate

_BATCH = 1_000  # refs in one command; its length is limited
# A folder is written to by a git of our own user, and whoever can write into the folder also writes its
# configuration: nothing there may start a program, be it a hook, a filter or a helper.
_HARMLESS_FOLDER = (
    "git -c core.hooksPath=/dev/null -c core.alternateRefsCommand=true -c core.fsmonitor=false "
    "-c receive.denyCurrentBranch=refuse -c receive.autogc=false receive-pack"
)
_WORDS = 300  # characters of what a server says
_LINE = re.compile(rb"(?P<flag>[ +*=!-])\t(?P<source>[^\t]*):(?P<ref>[^\t:]+)\t(?P<summary>.*)")

_CODES = [
    ("hidden", r"hidden ref"),
    ("stale", r"stale info|fetch first|\[rejected\] \(non-fast-forward\)|already exists"),
    ("stale", r"but expected|failed to (?:lock|update ref)|cannot lock ref|reference already exists"),
    ("protected", r"hook declined|protected|prohibited|GH\d{3}|\[remote rejected\] \(non-fast-forward\)"),
    ("protected", r"not allowed|denied|read.only|checked out"),
]


def push(
    git: Git, git_dir: Path, remote: Remote, updates: Sequence[RefUpdate], *, thin: bool
) -> list[RefResult]:
    """See `View.push`. The updates are checked."""
    first, rest = _in_the_way_first(updates)
    results: dict[bytes, RefResult] = {}
    for group in (first, rest):
        for start in range(0, len(group), _BATCH):
            batch = group[start : start + _BATCH]
            results |= _batch(git, git_dir, remote, batch, thin=thin)
    return [results[update.ref] for update in updates]


def check(updates: Sequence[RefUpdate]) -> None:
    """Raise InvalidInput for what no push can mean."""
    for update in updates:
        checked_ref(update.ref)
        for oid in (update.new, update.expect):
            if oid is not None:
                checked_oid(oid)
        if update.new is None and update.expect is None:
            raise InvalidInput("A deletion needs the object that the ref is expected to point to.")
    if len({update.ref for update in updates}) < len(updates):
        raise InvalidInput("A ref can be pushed only once at a time.")


def _in_the_way_first(updates: Sequence[RefUpdate]) -> tuple[list[RefUpdate], list[RefUpdate]]:
    """Deletions of `a` before `a/b` can be created (or the other way round), and everything else."""
    made = {update.ref for update in updates if update.new is not None}
    folders = {ref[:i] for ref in made for i in _slashes(ref)}
    first = [
        update
        for update in updates
        if update.new is None
        and (update.ref in folders or any(update.ref[:i] in made for i in _slashes(update.ref)))
    ]
    chosen = {update.ref for update in first}
    return first, [update for update in updates if update.ref not in chosen]


def _slashes(ref: bytes) -> Iterable[int]:
    return (i for i, byte in enumerate(ref) if byte == 0x2F)


def _batch(
    git: Git, git_dir: Path, remote: Remote, updates: Sequence[RefUpdate], *, thin: bool
) -> dict[bytes, RefResult]:
    output = git.contact(_arguments(remote, updates, thin=thin), remote, git_dir=git_dir, ok=(0, 1))
    results = _results(output, remote)
    if any(update.ref not in results for update in updates):
        raise remote_failure(output.stderr, remote.name)
    return results


def _arguments(remote: Remote, updates: Sequence[RefUpdate], *, thin: bool) -> list[str]:
    # Over http git always makes a thin pack; without a window it looks for no deltas either.
    args = ["-c", "pack.window=0"] if not thin else []
    args += ["push", "--porcelain", "--progress", "--no-verify", "--thin" if thin else "--no-thin"]
    args += [f"--receive-pack={_HARMLESS_FOLDER}"] if remote.scheme == "file" else []
    args += [
        f"--force-with-lease={os.fsdecode(update.ref)}:{update.expect or ''}"
        for update in updates
        if update.force or update.new is None
    ]
    return [*args, "--", remote.url, *(f"{update.new or ''}:{os.fsdecode(update.ref)}" for update in updates)]


def _results(output: Output, remote: Remote) -> dict[bytes, RefResult]:
    results = {}
    for line in output.stdout.splitlines():
        if match := _LINE.fullmatch(line):
            ref, flag = match["ref"], match["flag"]
            reason = redact(match["summary"].decode(errors="replace"), remote.secrets)
            results[ref] = _explained(_result(ref, flag, reason), output)
    return results


def _explained(result: RefResult, output: Output) -> RefResult:
    """With what the server's rule or hook says about it: git itself only tells that it declined."""
    lines = (line for line in output.stderr.splitlines() if line.startswith("remote:"))
    words = " ".join(filter(None, (line.removeprefix("remote:").strip() for line in lines)))
    if result.code != "protected" or not words:
        return result
    return replace(result, reason=f"{result.reason}: {words[:_WORDS].rstrip('. ')}")


def _result(ref: bytes, flag: bytes, reason: str) -> RefResult:
    if flag == b"=":
        return RefResult(ref, True, "up_to_date")
    if flag != b"!":
        return RefResult(ref, True, "ok")
    for code, pattern in _CODES:
        if re.search(pattern, reason, re.IGNORECASE):
            return RefResult(ref, False, code, reason)
    return RefResult(ref, False, "rejected", reason)
