"""Applying a copier's configuration between repositories given by URL; no database involved."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from opssight.core.clock import now
from opssight.core.errors import Failure, InvalidInput, NotFound
from repos import access
from repos.git.errors import ShallowSource
from repos.git.remote import Remote
from syncs.copy.commands.patch import patch_of
from syncs.copy.plan.planned import Plan
from syncs.copy.pulls.branches import Known, branch_name
from syncs.copy.pulls.pulls import ForgeEnd, Pulls
from syncs.copy.rules.config import Flow, by_target
from syncs.copy.transfer.api_commits import CommitApi
from syncs.copy.transfer.planning import FilePlanner, Place
from syncs.copy.transfer.recording import lists_of, record_elsewhere
from syncs.copy.transfer.transfer import (
    Author,
    Copier,
    End,
    Message,
    Planner,
    Source,
    open_source,
    open_target,
)

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
    deletes: int = 0
    commit: str = ""
    pull_request: str = ""  # its address
    status: str = "done"
    error: str = ""
    patch: str = ""  # of a dry run: what would change, as git prints it

    def document(self) -> dict[str, object]:
        return {
            "repo": self.repo,
            "branch": self.branch,
            "strategy": self.strategy,
            "writes": self.writes,
            "deletes": self.deletes,
            "skipped": self.skipped,
            "commit": self.commit or None,
            "pull_request": self.pull_request or None,
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
    forges: Mapping[str, ForgeEnd] | None = None,
) -> list[Applied]:
    """Each flow in the order of the file. `base` empty: the whole tree; `head` empty: the branch's tip.

    Pull requests are opened at those of the targets that are in `forges`; others get the branch of one.
    With a head only the flows of branches that hold it are applied. Nothing is written before every
    source is read: raises InvalidInput for a repository that is not in `remotes` and for a source or
    commit that is not there, and another Failure when a source cannot be read now.
    """
    named = {name for flow in flows for name in (flow.source_repo, flow.target_repo)}
    lists = (flow.options.deletions for flow in flows if flow.options.deletions.policy == "record")
    missing = sorted((named | {one.repository for one in lists if one.repository}) - set(remotes))
    if missing:
        raise InvalidInput(f"Say where these are with --repo NAME=URL: {', '.join(missing)}.")
    places = _Places(remotes, forges or {})
    steps = Console(say)
    sources = _sources(flows, places, steps, base=base, head=head)
    return [
        _apply(group, sources[group[0].source_branch], places, steps, base=base, dry_run=dry_run)
        for group in by_target(flows)
        if group[0].source_branch in sources
    ]


class _Places:
    """Where the repositories of the file are. The person at the keyboard is trusted with local folders."""

    def __init__(self, remotes: Mapping[str, Remote], forges: Mapping[str, ForgeEnd]) -> None:
        self._remotes = remotes
        self._forges = forges
        folders = [remote.path for remote in remotes.values() if remote.path is not None]
        self.stores = access.stores(access.stores().git.trusting(folders))

    def end(self, name: str, branch: str) -> End:
        remote = self._remotes[name]
        key = uuid.uuid5(uuid.NAMESPACE_URL, f"command line {remote.url}")
        forge_end = self.forge_end(name)
        api = CommitApi.of(forge_end.forge, forge_end.external_id)
        return End(name, branch, remote, self.stores.store(key), api=api)

    def forge_end(self, name: str) -> ForgeEnd:
        return self._forges.get(name) or ForgeEnd(None, "", name)

    def kind(self, name: str) -> str:
        """Of the server, where that is known: only then are its limits."""
        forge = self.forge_end(name).forge
        if forge is not None:
            return forge.kind
        return "github" if self._remotes[name].host == "github.com" else ""


def forges_of(pairs: Sequence[str]) -> dict[str, ForgeEnd]:
    """The forges of those `NAME=CONNECTION:owner/name` pairs that name a repository of the inventory."""
    found = {}
    for name, _, text in (pair.partition("=") for pair in pairs):
        if repository := access.repository_typed(text):
            client = access.client_of(repository.connection, trusted=True)
            found[name] = ForgeEnd.of(client, repository.external_id)
    return found


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
    place = Applied(flow.target_repo, flow.target_branch, flow.options.strategy)
    try:
        end = places.end(flow.target_repo, flow.target_branch)
        at = Place.of(flow.target_repo, flow.target_branch, places.kind(flow.target_repo), group)
        planner = FilePlanner(group, base or None, at)
        if dry_run:
            target = open_target(end, steps)
            plan = planner.plan(source, target)
            patch = patch_of(places.stores, source, target, planner, plan)
            return replace(_done(place, plan, "", status="planned"), patch=patch)
        message = Message(group, source.head, run_key=f"cli/{uuid.uuid4().hex[:12]}", since=base or None)
        copier = Copier(places.stores, steps, Author("OpsSight", "opssight@localhost", now()))
        if flow.options.strategy == "pull_request":
            forge_end = places.forge_end(flow.target_repo)
            done, plan = _propose(place, copier, source, planner, end, message, forge_end)
        else:
            copied = copier.copy(source, planner, end, message)
            plan = copied.plan
            done = _done(place, plan, copied.commit, status="done" if copied.commit else "skipped")
        for wanted in lists_of(plan, source, message):
            record_elsewhere(copier, places.end(wanted.repository, wanted.branch), wanted, message)
    except Failure as failure:
        return _failed(place, failure.sentence)
    return done


def _propose(
    place: Applied,
    copier: Copier,
    source: Source,
    planner: Planner,
    end: End,
    message: Message,
    forge_end: ForgeEnd,
) -> tuple[Applied, Plan]:
    """The change in a pull request, or on its branch where there is no forge."""
    flow = message.flow
    branch = branch_name(flow.name, "command line", flow.name, flow.source_repo, flow.target_repo, end.branch)
    pull = forge_end.find(branch, end.branch)
    proposal = Pulls(copier, forge_end, Known(branch)).propose(source, planner, end, message, pull)
    for note in proposal.notes:
        copier.steps.log("pull request", f"{end.name}: {note}")
    if proposal.merges:
        copier.steps.log(
            "pull request", f"{end.name}: it does not merge by itself there; merge it.", "warning"
        )
    offered = proposal.offered
    status = "done" if proposal.changed else "skipped"
    done = _done(place, offered.plan, offered.commit, status=status)
    return replace(done, pull_request=proposal.pull.url if proposal.pull else ""), offered.plan


def _done(place: Applied, plan: Plan, commit: str, *, status: str) -> Applied:
    refused = " ".join(refusal.sentence for refusal in plan.refused[:_NAMED])
    if len(plan.refused) > _NAMED:
        refused += f" {len(plan.refused) - _NAMED} more files are left out."
    return Applied(
        place.repo,
        place.branch,
        place.strategy,
        writes=len(plan.writes),
        deletes=len(plan.deletes),
        skipped=plan.equal,
        commit=commit,
        status="failed" if refused and plan.empty else status,
        error=refused,
    )


def _failed(place: Applied, sentence: str) -> Applied:
    return Applied(place.repo, place.branch, place.strategy, status="failed", error=sentence)
