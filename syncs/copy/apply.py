"""Applying a copier's configuration between repositories given by URL; no database involved."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from opssight.core.clock import now
from opssight.core.errors import Failure, InvalidInput, NotFound
from repos import access
from repos.git.errors import ShallowSource
from repos.git.remote import Remote
from syncs.copy.config import Flow, by_target
from syncs.copy.plan import Plan, plan_flows
from syncs.copy.transfer import Author, Copier, End, Message, Source, open_source, open_target

Say = Callable[[str], None]

_NAMED = 5  # files that are left out, with their reasons


@dataclass(frozen=True)
class Applied:
    """What one target got, or why it got nothing."""

    repo: str
    branch: str
    strategy: str
    writes: int = 0
    skipped: int = 0
    commit: str = ""
    status: str = "done"
    error: str = ""

    def document(self) -> dict[str, object]:
        return {
            "repo": self.repo,
            "branch": self.branch,
            "strategy": self.strategy,
            "writes": self.writes,
            "deletes": 0,
            "skipped": self.skipped,
            "commit": self.commit or None,
            "pull_request": None,
            "status": self.status,
            "error": self.error or None,
        }


class Console:
    """The steps of a copy, told to a person."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def checkpoint(self, name: str) -> None:
        """Nothing holds a lease here."""

    def log(self, step: str, message: str, level: str = "info") -> None:
        self._say(f"{step}: {message}")

    def count(self, what: str, n: int = 1) -> None:
        """Nobody counts here."""


def apply_flows(
    flows: Sequence[Flow],
    remotes: Mapping[str, Remote],
    *,
    base: str,
    head: str,
    dry_run: bool,
    say: Say,
) -> list[Applied]:
    """Each flow in the order of the file. `base` empty: the whole tree; `head` empty: the branch's tip.

    With a head only the flows of branches that hold it are applied. Nothing is written before every
    source is read: raises InvalidInput for a repository that is not in `remotes` and for a source or
    commit that is not there, and another Failure when a source cannot be read now.
    """
    missing = sorted({name for flow in flows for name in (flow.source_repo, flow.target_repo)} - set(remotes))
    if missing:
        raise InvalidInput(f"Say where these are with --repo NAME=URL: {', '.join(missing)}.")
    places = _Places(remotes)
    steps = Console(say)
    sources = _sources(flows, places, steps, base=base, head=head)
    return [
        _apply(group, sources[group[0].source_branch], places, steps, base=base, dry_run=dry_run)
        for group in by_target(flows)
        if group[0].source_branch in sources
    ]


class _Places:
    """Where the repositories of the file are. The person at the keyboard is trusted with local folders."""

    def __init__(self, remotes: Mapping[str, Remote]) -> None:
        self._remotes = remotes
        folders = [remote.path for remote in remotes.values() if remote.path is not None]
        self.stores = access.stores(access.stores().git.trusting(folders))

    def end(self, name: str, branch: str) -> End:
        remote = self._remotes[name]
        key = uuid.uuid5(uuid.NAMESPACE_URL, f"command line {remote.url}")
        return End(name, branch, remote, self.stores.store(key))


def _sources(
    flows: Sequence[Flow], places: _Places, steps: Console, *, base: str, head: str
) -> dict[str, Source]:
    """The source at each branch that is copied from; the flows are of one repository."""
    found: dict[str, Source] = {}
    reasons: list[str] = []
    for branch in dict.fromkeys(flow.source_branch for flow in flows):
        try:
            found[branch] = _source(places.end(flows[0].source_repo, branch), steps, base=base, head=head)
        except (NotFound, ShallowSource, InvalidInput) as failure:
            reasons.append(failure.sentence)
    if reasons and not (found and head):
        raise InvalidInput(" ".join(reasons), [("", reason) for reason in reasons])
    for reason in reasons:
        steps.log("source", f"{reason} Its rules are left out.", "warning")
    return found


def _source(end: End, steps: Console, *, base: str, head: str) -> Source:
    tip = open_source(end, steps).head
    if head and not (end.store.has(head) and end.store.is_ancestor(head, tip)):
        raise NotFound(f"{end.name} has no commit {head[:12]} on branch {end.branch}. Check --head.")
    if base and not end.store.has(base):
        raise InvalidInput(
            f"{end.name} has no commit {base[:12]} to compare with. Check --base, or copy the whole tree "
            "with opssight copy sync."
        )
    return Source(end, head or tip)


def _apply(
    group: Sequence[Flow], source: Source, places: _Places, steps: Console, *, base: str, dry_run: bool
) -> Applied:
    flow = group[-1]
    place = Applied(flow.target_repo, flow.target_branch, flow.strategy)
    if flow.strategy != "direct":
        return _failed(
            place,
            f"The rule {flow.name} asks for {flow.strategy.replace('_', ' ')}, and only direct commits can "
            "be made so far. Nothing was written. Set commit_strategy type: direct to commit straight to "
            "the branch.",
        )
    try:
        files = source.files_since(base or None)
        end = places.end(flow.target_repo, flow.target_branch)
        if dry_run:
            plan = plan_flows(group, files, open_target(end, steps).files)
            return _done(place, plan, "", status="planned")
        message = Message(group, source.head, run_key=f"cli/{uuid.uuid4().hex[:12]}")
        author = Author("OpsSight", "opssight@localhost", now())
        copied = Copier(places.stores, steps, author).copy(source, files, end, message)
    except Failure as failure:
        return _failed(place, failure.sentence)
    return _done(place, copied.plan, copied.commit, status="done" if copied.commit else "skipped")


def _done(place: Applied, plan: Plan, commit: str, *, status: str) -> Applied:
    refused = " ".join(refusal.sentence for refusal in plan.refused[:_NAMED])
    if len(plan.refused) > _NAMED:
        refused += f" {len(plan.refused) - _NAMED} more files are left out."
    return Applied(
        place.repo,
        place.branch,
        place.strategy,
        writes=len(plan.writes),
        skipped=plan.equal,
        commit=commit,
        status="failed" if refused and not plan.writes else status,
        error=refused,
    )


def _failed(place: Applied, sentence: str) -> Applied:
    return Applied(place.repo, place.branch, place.strategy, status="failed", error=sentence)
