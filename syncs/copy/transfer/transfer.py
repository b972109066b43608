"""Copying between two git repositories: look, fetch, plan, commit, push. No database here.

Used by the run (with checkpoints under a lease) and by the command line (with plain messages).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Protocol, TypeVar

from opssight.core.errors import Conflict, NotFound, PermanentFailure
from repos.git.remote import Remote
from repos.git.store import Store, Stores
from repos.git.types import RefResult, RefUpdate, Write
from repos.git.view import View
from syncs.copy.plan.planned import Plan
from syncs.copy.rules.config import Flow
from syncs.copy.rules.matching import compile_rule
from syncs.copy.rules.messages import render_message
from syncs.copy.rules.options import Signing
from syncs.copy.transfer.api_commits import CommitApi, remove, required_api, signed_by_api, signing_branch
from syncs.copy.transfer.authors import author_of
from syncs.copy.transfer.signing import required_key, sign_of
from syncs.copy.transfer.trailers import RUN_KEY, trailers

T = TypeVar("T")

_TRIES: Final = 3  # of a push, each built on what is there then


class Steps(Protocol):
    """Where a copy says what it does. `checkpoint` may raise to stop it."""

    def checkpoint(self, name: str) -> None: ...
    def log(self, step: str, message: str, level: str = "info") -> None: ...
    def count(self, what: str, n: int = 1) -> None: ...


@dataclass(frozen=True)
class End:
    """One side of a copy: a branch of a repository, where to reach it and its store here.

    A source may be read at a `tag` instead. `api`: where its commits can be made by the provider.
    """

    name: str
    branch: str
    remote: Remote
    store: Store
    tag: str = ""
    api: CommitApi | None = None

    @property
    def ref(self) -> str:
        return f"refs/tags/{self.tag}" if self.tag else f"refs/heads/{self.branch}"

    def bring(self, oids: Iterable[str], limit: int | None = None) -> None:
        """Contents that the store lacks. More than `limit` bytes are broken off: `TooLarge`."""
        if self.store.partial:
            self.store.prefetch(self.remote, oids, limit=limit)


@dataclass(frozen=True)
class Author:
    """Who commits, and when. The author is somebody else where the rule says so."""

    name: str
    email: str
    at: dt.datetime


@dataclass
class Source:
    """The source as a run sees it: one commit."""

    end: End
    head: str

    def base_of(self, known: str) -> str | None:
        """`known` where it is still here to compare with; None means: take the whole tree."""
        return known if known and self.end.store.has(known) else None


@dataclass(frozen=True)
class Copied:
    """What one target got. `commit` is empty when it needed nothing."""

    commit: str
    plan: Plan
    found: bool = False  # the commit was already there: an earlier attempt had pushed it


def open_source(end: End, steps: Steps) -> Source:
    """Look at the source branch and fetch it if its tip is new."""
    refs = end.store.look(end.remote)
    steps.count("looks")
    tip = refs.refs.get(end.ref.encode())
    if tip is None:
        raise _no_branch(end, refs.refs)
    steps.checkpoint("source-looked")
    _fetch(end, tip, steps, partial=False)
    steps.checkpoint("source-fetched")
    return Source(end, _commit_of(end, tip) if end.tag else tip)


def _commit_of(end: End, tip: str) -> str:
    """The commit that a tag stands for; an annotated one is an object of its own."""
    commit = end.store.resolve(tip)
    if commit is None:
        raise NotFound(f"The tag {end.tag} of {end.name} stands for no commit, so there is nothing to copy.")
    return commit


def _fetch(end: End, tip: str, steps: Steps, *, partial: bool, beside: str = "") -> None:
    """Fetch a branch unless its tip is here; `beside` comes along in the same request."""
    # the store decides whether it has enough: a target's store may lack what a source needs
    refspecs = [f"+{ref}:{ref}" for ref in (end.ref, beside) if ref]
    fetched = end.store.fetch(end.remote, refspecs, partial=partial, want=tip)
    if not fetched.fetched:
        steps.log("fetch", f"{end.name}: {end.branch} is {tip[:8]}, already here")
        return
    steps.count("fetches")
    steps.count("bytes", fetched.nbytes)
    steps.log("fetch", f"{end.name}: {end.branch} is {tip[:8]}, {fetched.nbytes:,} bytes")


def _no_branch(end: End, refs: Mapping[bytes, str]) -> NotFound:
    if end.tag:
        return NotFound(f"{end.name} has no tag {end.tag} any more. Was it deleted?")
    heads = sorted(ref.decode("utf-8", "replace")[11:] for ref in refs if ref.startswith(b"refs/heads/"))
    if not heads:
        return NotFound(f"{end.name} is empty: it has no branch yet. Push a first commit to it.")
    known = ", ".join(heads[:5]) + (" …" if len(heads) > 5 else "")
    return NotFound(f"{end.name} has no branch {end.branch} (it has {known}). Was it renamed or deleted?")


@dataclass(frozen=True)
class Target:
    """The target as it is now: its tip (None: an empty repository) and the files there.

    `proposed` is the tip of the branch that was asked for beside it, "" where there is none; `refs` are all.
    """

    end: End
    tip: str | None
    files: Mapping[bytes, tuple[str, str]]
    proposed: str = ""
    refs: Mapping[bytes, str] = field(default_factory=dict)


def open_target(end: End, steps: Steps, branch: str = "") -> Target:
    """Look at the target branch and fetch its commits and trees; contents are not needed.

    `branch`: one more that is fetched where it is there.
    """
    refs = end.store.look(end.remote)
    steps.count("looks")
    tip = refs.refs.get(end.ref.encode())
    if tip is None and any(ref.startswith(b"refs/heads/") for ref in refs.refs):
        raise _no_branch(end, refs.refs)
    steps.checkpoint("target-looked")
    if tip is None:
        return Target(end, None, {})
    beside = replace(end, branch=branch)
    proposed = refs.refs.get(beside.ref.encode(), "") if branch else ""
    _fetch(end, tip, steps, partial=True, beside=beside.ref if proposed else "")
    if proposed:
        _fetch(beside, proposed, steps, partial=True)
    steps.checkpoint("target-fetched")
    return Target(end, tip, target_files(end.store, tip), proposed, refs.refs)


def target_files(store: Store, commit: str) -> dict[bytes, tuple[str, str]]:
    """Mode and oid of every file, by path."""
    return {entry.path: (entry.mode, entry.oid) for entry in store.tree(commit)}


@dataclass(frozen=True)
class Message:
    """How the commit is described: the rule's template, and what is known beside the plan."""

    flows: Sequence[Flow]  # planned and committed as one; the last one's message counts
    head: str
    run_key: str
    pr_number: str = ""
    since: str | None = None  # the source commit that the target has; None: it may have nothing

    @property
    def flow(self) -> Flow:
        return self.flows[-1]

    @property
    def sign(self) -> Signing:
        """How the commit is signed. Raises `PermanentFailure` where the flows disagree."""
        return sign_of(flow.options for flow in self.flows)

    @property
    def trailers(self) -> str:
        return trailers(self.flow.source_repo, self.head, self.run_key)

    def values(self, plan: Plan) -> dict[str, str]:
        """The variables of messages."""
        flow = self.flow
        return first_variables(self.flows, plan) | {
            "rule_name": flow.name,
            "source_repo": flow.source_repo,
            "target_repo": flow.target_repo,
            "source_branch": flow.source_branch,
            "target_branch": flow.target_branch,
            "file_count": str(plan.file_count),
            "commit_sha": self.head,
            "pr_number": self.pr_number,
        }

    def words(self, plan: Plan) -> str:
        """The message without its trailers."""
        return render_message(self.flow.message, self.values(plan)).rstrip()

    def text(self, plan: Plan) -> str:
        return f"{self.words(plan)}\n\n{self.trailers}"


def first_variables(flows: Sequence[Flow], plan: Plan) -> dict[str, str]:
    """What the pattern of a rule gives for the first file that is written."""
    for write in (one for one in plan.writes if one.source_path):
        rule = compile_rule(flows[write.flow_index].rules[write.rule_index], flows[write.flow_index].flavour)
        found = rule.variables(write.source_path)
        return {name: value.decode("utf-8", "replace") for name, value in found.items()}
    return {}


class Planner(Protocol):
    """What is to be done at a target; asked again for each try, since the target may have moved."""

    def plan(self, source: Source, target: Target) -> Plan: ...

    def contents(self, plan: Plan) -> Iterable[bytes]:
        """The contents that the plan writes and that are in neither repository."""
        ...


def until_pushed(end: End, branch: str, steps: Steps, attempt: Callable[[], T | None]) -> T:
    """What the attempt came to; it is made again while it gives None, since somebody else pushed first.

    Raises Conflict after losing three times.
    """
    for number in range(1, _TRIES + 1):
        if (done := attempt()) is not None:
            return done
        steps.log("push", f"{end.name}: somebody pushed meanwhile; built again ({number})", "warning")
    raise Conflict(f"{end.name} {branch} changed each time just before our push; it is tried again.")


class Copier:
    """Brings one target up to what the rules say, as one commit."""

    def __init__(self, stores: Stores, steps: Steps, author: Author) -> None:
        self.stores = stores
        self.steps = steps
        self.author = author

    def copy(self, source: Source, planner: Planner, end: End, message: Message) -> Copied:
        """Plan against the target as it is, commit, push; built again when somebody else was faster.

        Raises Conflict after losing three times, and whatever git says about the target.
        """
        self.require_signature(end, message.sign)
        return until_pushed(end, end.branch, self.steps, lambda: self._attempt(source, planner, end, message))

    def _attempt(self, source: Source, planner: Planner, end: End, message: Message) -> Copied | None:
        """None when the target moved meanwhile."""
        target = open_target(end, self.steps)
        self.tidy(target, message)
        plan = planner.plan(source, target)
        self.steps.checkpoint("planned")
        earlier = target.tip and end.store.find_trailer(target.tip, RUN_KEY, message.run_key)
        if earlier:
            return Copied(earlier, plan, found=True)
        if plan.empty:
            return Copied("", plan)
        commit = self._push(source, target, plan, planner.contents(plan), message)
        return Copied(commit, plan) if commit else None

    def _push(
        self, source: Source, target: Target, plan: Plan, contents: Iterable[bytes], message: Message
    ) -> str:
        """The pushed commit, or "" when the target moved meanwhile."""
        end = target.end
        with self.stores.view([source.end.store, end.store]) as view:
            view.write_blobs(contents)
            writes, deletes = changes_of(plan)
            commit = self.commit(view, source, target, target.tip, plan, message, writes, deletes)
            # a plain push: fast-forward only; creating the branch is fenced by a lease on "not there"
            update = RefUpdate(end.ref.encode(), commit, target.tip, force=target.tip is None)
            result = self.push(view, end, update)
        if result.ok:
            moved = f"{target.tip[:8]}..{commit[:8]}" if target.tip else f"is new, at {commit[:8]}"
            self.steps.log("push", f"{end.name}: {end.branch} {moved}")
        return commit if result.ok else ""

    def commit(
        self,
        view: View,
        source: Source,
        target: Target,
        parent: str | None,
        plan: Plan,
        message: Message,
        writes: Iterable[Write],
        deletes: Iterable[bytes],
    ) -> str:
        """A commit of ours on `parent`, by whom the rule says."""
        store, authors = source.end.store, message.flow.options.authors
        author = author_of(authors, store, plan, message.since, source.head)
        text, sign = message.text(plan), message.sign
        return self.made(view, target.end, parent, writes, deletes, text=text, sign=sign, author=author)

    def tidy(self, target: Target, message: Message) -> None:
        """Delete the branch on which a killed run had a commit signed."""
        branch = signing_branch(message.run_key)
        if f"refs/heads/{branch}".encode() in target.refs:
            with self.stores.view([target.end.store]) as view:
                remove(view, target.end, branch, self.steps)

    def require_signature(self, end: End, sign: Signing) -> None:
        """Raises `PermanentFailure` where commits cannot be signed like this, before anything is begun."""
        if sign == "key":
            required_key()
        elif sign == "api":
            required_api(end)

    def made(
        self,
        view: View,
        end: End,
        parent: str | None,
        writes: Iterable[Write],
        deletes: Iterable[bytes] = (),
        *,
        text: str,
        sign: Signing,
        author: tuple[str, str] | None = None,
    ) -> str:
        """A commit of ours with this message, signed as asked for; `author`: name and address, or us."""
        us = (self.author.name, self.author.email)
        name, email = author or us
        commit = view.commit(
            parent,
            writes,
            deletes,
            message=text,
            author_name=name,
            author_email=email,
            at=self.author.at,
            committer=us,
            key=required_key() if sign == "key" else None,
        )
        if sign == "api":
            commit = signed_by_api(view, end, parent, commit, text, self.steps)
        self.steps.checkpoint("commit-made")
        return commit

    def push(self, view: View, end: End, update: RefUpdate) -> RefResult:
        """What became of the push: done, or stale. Raises PermanentFailure where the server refuses it."""
        [result] = view.push(end.remote, [update])
        self.steps.count("pushes")
        self.steps.checkpoint("pushed")
        if result.ok or result.code == "stale":
            return result
        branch = update.ref.decode("utf-8", "replace").removeprefix("refs/heads/")
        raise PermanentFailure(
            f"{end.name} refused the push to {branch}: {result.reason}. "
            "Allow OpsSight to push there, or choose another branch.",
            detail=result.reason,
        )


def changes_of(plan: Plan) -> tuple[list[Write], list[bytes]]:
    """What a commit on the target branch writes and deletes."""
    writes = [Write(write.path, write.mode, write.oid) for write in plan.writes]
    return writes, [delete.path for delete in plan.deletes]
