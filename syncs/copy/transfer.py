"""Copying between two git repositories: look, fetch, plan, commit, push. No database here.

Used by the run (with checkpoints under a lease) and by the command line (with plain messages).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from opssight.core.errors import Conflict, NotFound, PermanentFailure
from repos.git.remote import Remote
from repos.git.store import Store, Stores
from repos.git.types import RefUpdate, Write
from syncs.copy.config import Flow
from syncs.copy.messages import render_message
from syncs.copy.plan import Plan, SourceFile, plan_flows

RUN_KEY = "OpsSight-Run-Key"
SOURCE = "OpsSight-Source"
REBUILDS = 3  # how often a push that lost against another one is built again on the new tip


class Steps(Protocol):
    """Where a copy says what it does. `checkpoint` may raise to stop it."""

    def checkpoint(self, name: str) -> None: ...
    def log(self, step: str, message: str, level: str = "info") -> None: ...
    def count(self, what: str, n: int = 1) -> None: ...


@dataclass(frozen=True)
class End:
    """One side of a copy: a branch of a repository, where to reach it and its store here."""

    name: str
    branch: str
    remote: Remote
    store: Store

    @property
    def ref(self) -> str:
        return f"refs/heads/{self.branch}"


@dataclass(frozen=True)
class Author:
    name: str
    email: str
    at: dt.datetime


@dataclass
class Source:
    """The source as a run sees it: one commit, and what changed since others. Read once each."""

    end: End
    head: str
    _files: dict[str | None, list[SourceFile]] = field(default_factory=dict)

    def files_since(self, base: str | None) -> list[SourceFile]:
        """Files that changed between `base` and the head (new content only), or all when None."""
        if base not in self._files:
            changes = self.end.store.changes(base, self.head)
            self._files[base] = [
                SourceFile(change.path, change.mode, change.oid) for change in changes if change.status != "D"
            ]
        return self._files[base]

    def base_of(self, known: str) -> str | None:
        """`known` where it is still here to compare with; None means: take the whole tree."""
        return known if known and self.end.store.has(known) else None


@dataclass(frozen=True)
class Copied:
    """What one target got. `commit` is empty when it needed nothing."""

    commit: str
    plan: Plan
    found: bool = False  # the commit was already there: an earlier attempt had pushed it


def open_source(end: End, steps: Steps, *, head: str = "") -> Source:
    """Look at the source branch and fetch it if its tip is new. `head` pins a commit of it."""
    refs = end.store.look(end.remote)
    steps.count("looks")
    tip = refs.refs.get(end.ref.encode())
    if tip is None:
        raise _no_branch(end, refs.refs)
    steps.checkpoint("source-looked")
    _fetch(end, tip, steps, partial=False)
    if head and not end.store.has(head):
        raise NotFound(f"{end.name} has no commit {head[:12]}; is it on branch {end.branch}?")
    steps.checkpoint("source-fetched")
    return Source(end, head or tip)


def _fetch(end: End, tip: str, steps: Steps, *, partial: bool) -> None:
    # the store decides whether it has enough: a target's store may lack what a source needs
    fetched = end.store.fetch(end.remote, [f"+{end.ref}:{end.ref}"], partial=partial, want=tip)
    if not fetched.fetched:
        steps.log("fetch", f"{end.name}: {end.branch} is {tip[:8]}, already here")
        return
    steps.count("fetches")
    steps.count("bytes", fetched.nbytes)
    steps.log("fetch", f"{end.name}: {end.branch} is {tip[:8]}, {fetched.nbytes:,} bytes")


def _no_branch(end: End, refs: Mapping[bytes, str]) -> NotFound:
    heads = sorted(ref.decode("utf-8", "replace")[11:] for ref in refs if ref.startswith(b"refs/heads/"))
    if not heads:
        return NotFound(f"{end.name} is empty: it has no branch yet. Push a first commit to it.")
    known = ", ".join(heads[:5]) + (" …" if len(heads) > 5 else "")
    return NotFound(f"{end.name} has no branch {end.branch} (it has {known}). Was it renamed or deleted?")


@dataclass(frozen=True)
class Target:
    """The target as it is now: its tip (None: an empty repository) and the files there."""

    end: End
    tip: str | None
    files: Mapping[bytes, tuple[str, str]]


def open_target(end: End, steps: Steps) -> Target:
    """Look at the target branch and fetch its commits and trees; contents are not needed."""
    refs = end.store.look(end.remote)
    steps.count("looks")
    tip = refs.refs.get(end.ref.encode())
    if tip is None and any(ref.startswith(b"refs/heads/") for ref in refs.refs):
        raise _no_branch(end, refs.refs)
    steps.checkpoint("target-looked")
    if tip is None:
        return Target(end, None, {})
    _fetch(end, tip, steps, partial=True)
    steps.checkpoint("target-fetched")
    return Target(end, tip, target_files(end.store, tip))


def target_files(store: Store, tip: str) -> dict[bytes, tuple[str, str]]:
    return {entry.path: (entry.mode, entry.oid) for entry in store.tree(tip)}


@dataclass(frozen=True)
class Message:
    """How the commit is described: the rule's template, and what is known beside the plan."""

    flows: Sequence[Flow]  # planned and committed as one; the last one's message counts
    head: str
    run_key: str
    pr_number: str = ""

    def text(self, plan: Plan) -> str:
        flow = self.flows[-1]
        body = render_message(
            flow.message,
            {
                "rule_name": flow.name,
                "source_repo": flow.source_repo,
                "target_repo": flow.target_repo,
                "source_branch": flow.source_branch,
                "target_branch": flow.target_branch,
                "file_count": str(len(plan.writes)),
                "commit_sha": self.head,
                "pr_number": self.pr_number,
            },
        ).rstrip()
        return f"{body}\n\n{SOURCE}: {flow.source_repo}@{self.head}\n{RUN_KEY}: {self.run_key}\n"


class Copier:
    """Brings one target up to what the rules say, as one commit."""

    def __init__(self, stores: Stores, steps: Steps, author: Author) -> None:
        self.stores = stores
        self._steps = steps
        self._author = author

    def copy(self, source: Source, files: Sequence[SourceFile], end: End, message: Message) -> Copied:
        """Plan against the target as it is, commit, push; built again when somebody else was faster.

        Raises Conflict after losing three times, and whatever git says about the target.
        """
        for attempt in range(REBUILDS):
            target = open_target(end, self._steps)
            plan = plan_flows(message.flows, files, target.files)
            self._steps.checkpoint("planned")
            earlier = target.tip and end.store.find_trailer(target.tip, RUN_KEY, message.run_key)
            if earlier:
                return Copied(earlier, plan, found=True)
            if not plan.writes:
                return Copied("", plan)
            commit = self._push(source, target, plan, message)
            if commit:
                return Copied(commit, plan)
            self._steps.log(
                "push", f"{end.name}: somebody pushed meanwhile; built again ({attempt + 1})", "warning"
            )
        raise Conflict(f"{end.name} {end.branch} changed each time just before our push; it is tried again.")

    def _push(self, source: Source, target: Target, plan: Plan, message: Message) -> str:
        """The pushed commit, or "" when the target moved meanwhile."""
        end, author = target.end, self._author
        with self.stores.view([source.end.store, end.store]) as view:
            commit = view.commit(
                target.tip,
                [Write(write.path, write.mode, write.oid) for write in plan.writes],
                [],
                message=message.text(plan),
                author_name=author.name,
                author_email=author.email,
                at=author.at,
            )
            self._steps.checkpoint("commit-made")
            # a plain push: fast-forward only; creating the branch is fenced by a lease on "not there"
            update = RefUpdate(end.ref.encode(), commit, target.tip, force=target.tip is None)
            [result] = view.push(end.remote, [update])
            self._steps.count("pushes")
            self._steps.checkpoint("pushed")
        if result.ok:
            moved = f"{target.tip[:8]}..{commit[:8]}" if target.tip else f"is new, at {commit[:8]}"
            self._steps.log("push", f"{end.name}: {end.branch} {moved}")
            return commit
        if result.code == "stale":
            return ""
        raise PermanentFailure(
            f"{end.name} refused the push to {end.branch}: {result.reason}. "
            "Allow OpsSight to push there, or choose another branch.",
            detail=result.reason,
        )
