"""The branch that a pull request comes from: what stands on it, and the commit that brings it up to date.

Git only: whether there is a pull request, and what becomes of it, is known to `syncs.copy.pulls.pulls`.
The name of the branch never changes, so a newer change finds what an older one left. Commits of people on it
are found by what they lack, our trailer or our address, and are never taken away.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from opssight.core.errors import PermanentFailure
from opssight.core.words import count, join_words
from repos.git.store import Store
from repos.git.types import Commit, RefUpdate, Write
from syncs.copy.plan.planned import Plan
from syncs.copy.rules.options import PullRequest
from syncs.copy.rules.paths import shown
from syncs.copy.transfer.api_commits import is_untouched
from syncs.copy.transfer.trailers import RUN_KEY
from syncs.copy.transfer.transfer import (
    Copier,
    End,
    Message,
    Planner,
    Source,
    Target,
    open_target,
    target_files,
    until_pushed,
)

Entry = tuple[str, str] | None  # mode and oid; None: there is no such file
Entries = Mapping[bytes, Entry]

PREFIX: Final = "opssight/"
_SLUG: Final = 40  # characters of a rule's name in that of its branch
_COMMITS: Final = 500  # a branch with more of them is none that we look through
_NAMED: Final = 3


class Held(PermanentFailure):
    """It waits for a person: what they did on the branch would be lost, or clashes with the source."""

    @property
    def code(self) -> str:
        return "held"

    def with_notes(self, notes: Iterable[str]) -> Held:
        return Held(" ".join([self.sentence, *notes]))


class NotOurs(Held):
    """A branch of the name that ours would have: neither it nor its pull request is touched."""


def branch_name(rule: str, *identity: str) -> str:
    """The name of a rule's branch in one target. `identity` is what makes it this one and no other."""
    plain = unicodedata.normalize("NFKD", rule).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", plain)[:_SLUG].strip("-") or "rule"
    return f"{PREFIX}{slug}-{hashlib.sha256(repr(identity).encode()).hexdigest()[:8]}"


@dataclass(frozen=True)
class Known:
    """The branch, and what is known of it: our newest commit there, and whether it is `recorded` as ours."""

    branch: str
    pushed: str = ""
    recorded: bool = False


@dataclass(frozen=True)
class Standing:
    """The branch as it stands at the target; `tip` is "" where it is not there.

    `commits` are those that the base does not have, newest first; `ours` the ids of the ones we made. `fork`
    is the newest commit that both have.
    """

    store: Store
    tip: str = ""
    fork: str | None = None
    commits: tuple[Commit, ...] = ()
    ours: frozenset[str] = frozenset()

    @property
    def others(self) -> list[Commit]:
        return [commit for commit in self.commits if commit.oid not in self.ours]

    @property
    def people(self) -> str:
        """Who pushed to it beside us, in words."""
        names = list(dict.fromkeys(commit.author_name[:100] or "somebody" for commit in self.others))
        more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
        return join_words([*names[:_NAMED], *more])

    @cached_property
    def changed(self) -> Entries:
        """What the branch does to the files of its base."""
        return _changed(self.store, self.fork, self.tip)

    @cached_property
    def files(self) -> dict[bytes, tuple[str, str]]:
        return target_files(self.store, self.tip)

    @cached_property
    def proposed(self) -> dict[bytes, Entry]:
        """Each path that a commit of ours touches, as the newest of them left it."""
        found: dict[bytes, Entry] = {}
        for commit in self.commits:
            if commit.oid in self.ours:
                found = {**_touched(self.store, commit), **found}
        return found

    @cached_property
    def theirs(self) -> frozenset[bytes]:
        """Each path that a commit of somebody else touches."""
        return frozenset(path for commit in self.others for path in _touched(self.store, commit))


def _changed(store: Store, old: str | None, new: str) -> dict[bytes, Entry]:
    found: dict[bytes, Entry] = {}
    for change in store.changes(old, new):
        if change.old_path is not None:
            found[change.old_path] = None
        found[change.path] = None if change.status == "D" else (change.mode, change.oid)
    return found


def _touched(store: Store, commit: Commit) -> dict[bytes, Entry]:
    """What a commit changes; a merge changes what differs from all of its parents."""
    first, *rest = [_changed(store, parent, commit.oid) for parent in commit.parents or (None,)]
    return {path: entry for path, entry in first.items() if all(path in other for other in rest)}


def is_merge_only(store: Store, commit: Commit) -> bool:
    """Whether a commit only joins what others made, without a change of its own."""
    return len(commit.parents) > 1 and not _touched(store, commit)


def wanted(plan: Plan) -> dict[bytes, Entry]:
    """How the files that a plan is about shall be."""
    writes: dict[bytes, Entry] = {write.path: (write.mode, write.oid) for write in plan.writes}
    return writes | {delete.path: None for delete in plan.deletes}


@dataclass(frozen=True)
class Revision:
    """What is to be pushed to the branch: a commit on `parent` with these files, or nothing.

    `kept` are files that people changed there and that stay as they made them.
    """

    parent: str
    entries: Entries = field(default_factory=dict)
    kept: tuple[bytes, ...] = ()
    anew: bool = False  # the branch is deleted before, and its pull request closed


def revised(options: PullRequest, plan: Plan, target: Target, standing: Standing) -> Revision:
    """What the branch lacks of a plan that is not empty. Raises `Held`."""
    assert target.tip is not None  # noqa: S101 - there is no pull request without a base
    want = wanted(plan)
    if not standing.commits:
        return Revision(target.tip, want)
    if standing.others:
        if options.others_commits == "hold":
            raise _held_by(standing)
        return _on_top(want, target, standing)
    moved = _changed(standing.store, standing.fork, target.tip)
    if standing.changed == want and not want.keys() & moved.keys():
        return Revision(standing.tip)
    if options.update == "append":
        return _on_top(want, target, standing)
    return Revision(target.tip, want, anew=options.update == "recreate")


def _held_by(standing: Standing) -> Held:
    return Held(
        f"{standing.people} pushed {count(len(standing.others), 'commit')} to its branch, so the pull "
        "request waits. Merge or close the pull request, or let the rule put its commits on top of others."
    )


def _on_top(want: Entries, target: Target, standing: Standing) -> Revision:
    """What is missing on the tip of the branch. What people changed there stays as they made it.

    Raises `Held` for a file that they and the source have changed both.
    """
    entries: dict[bytes, Entry] = {}
    kept: list[bytes] = []
    for path, entry in want.items():
        if standing.files.get(path) == entry:
            continue
        if path not in standing.theirs:
            entries[path] = entry
        elif path in standing.proposed and standing.proposed[path] == entry:
            kept.append(path)
        else:
            raise _clash(path, standing)
    for path in standing.proposed.keys() - want.keys() - standing.theirs:
        if standing.files.get(path) != target.files.get(path):
            entries[path] = target.files.get(path)  # proposed before, and not wanted any more
    return Revision(standing.tip, entries, tuple(sorted(kept)))


def _clash(path: bytes, standing: Standing) -> Held:
    return Held(
        f"{shown(path)} was changed at the source, and on the branch of the pull request by "
        f"{standing.people}. Merge or close the pull request, or take that change off its branch."
    )


@dataclass(frozen=True)
class Offered:
    """What became of the branch: `commit` is the newest of ours on it, `tip` what it points to.

    Without a tip there is nothing to offer. `moved`: this run pushed something. `alone`: nobody else has
    commits on it.
    """

    plan: Plan
    target: Target
    commit: str = ""
    tip: str = ""
    moved: bool = False
    alone: bool = True
    people: str = ""
    kept: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Wish:
    """What a branch is asked to bring: what `planner` makes of `source`, to `end`, with this message.

    `retire` is called before the branch is deleted to be made anew: it closes the pull request.
    """

    source: Source
    planner: Planner
    end: End
    message: Message
    known: Known
    retire: Callable[[], None]


class Proposer:
    """Brings the branch of a pull request up to what the rules say."""

    def __init__(self, copier: Copier) -> None:
        self._copier = copier
        self._steps = copier.steps

    def propose(self, wish: Wish) -> Offered:
        """Plan against the base as it is, and push what the branch lacks.

        Raises `Held`, Conflict after losing three times, and whatever git says about the target.
        """
        self._copier.require_signature(wish.end, wish.message.sign)
        return until_pushed(wish.end, wish.known.branch, self._steps, lambda: self._attempt(wish))

    def _attempt(self, wish: Wish) -> Offered | None:
        """None when the branch moved meanwhile."""
        end, known, message = wish.end, wish.known, wish.message
        target = open_target(end, self._steps, known.branch)
        self._copier.tidy(target, message)
        if target.tip is None:
            raise PermanentFailure(
                f"{end.name} is empty, so a pull request has no branch to go to. Push a first commit to it."
            )
        plan = wish.planner.plan(wish.source, target)
        self._steps.checkpoint("planned")
        standing = self.standing(target, known)
        if plan.empty:
            return self._nothing(plan, target, standing)
        revision = revised(message.flow.options.pull_request, plan, target, standing)
        if not revision.entries:
            return self._there(plan, target, standing, revision, message.run_key)
        if revision.anew and standing.tip:
            wish.retire()
            if not self.delete(end, known.branch, standing.tip):
                return None
            standing = replace(standing, tip="", commits=())
        commit = self._push(wish, target, plan, standing, revision)
        alone = not standing.others
        moved = Offered(plan, target, commit, commit, True, alone, standing.people, revision.kept)
        return moved if commit else None

    def standing(self, target: Target, known: Known) -> Standing:
        """What is on the branch. Raises `NotOurs` for one that is somebody else's."""
        store = target.end.store
        if not target.proposed or target.tip is None:
            return Standing(store)
        commits = store.commits_between(target.tip, target.proposed, trailer=RUN_KEY, limit=_COMMITS + 1)
        ours = frozenset(one.oid for one in commits if self._is_ours(store, one, known))
        if len(commits) > _COMMITS or (commits and not ours and not known.recorded):
            raise NotOurs(
                f"{target.end.name} has a branch {known.branch} already that OpsSight did not make, so it is "
                "left alone. Delete or rename it there."
            )
        fork = store.merge_base(target.tip, target.proposed)
        self._steps.checkpoint("branch-read")
        return Standing(store, target.proposed, fork, tuple(commits), ours)

    def _is_ours(self, store: Store, commit: Commit, known: Known) -> bool:
        signed = bool(commit.trailers) and commit.committer_email == self._copier.author.email
        if signed or commit.oid == known.pushed:
            return True
        return bool(commit.trailers) and is_untouched(store.raw_commit(commit.oid))

    def _nothing(self, plan: Plan, target: Target, standing: Standing) -> Offered:
        """The base has everything; what is left of the branch is told, so that it can be closed."""
        return Offered(plan, target, "", standing.tip, alone=not standing.others, people=standing.people)

    def _there(
        self, plan: Plan, target: Target, standing: Standing, revision: Revision, run_key: str
    ) -> Offered:
        """Nothing to push; an earlier attempt of the same run may have done it."""
        newest = next((one for one in standing.commits if one.oid in standing.ours), None)
        self._steps.log("push", f"{standing.tip[:8]} has it already: nothing to push")
        return Offered(
            plan,
            target,
            newest.oid if newest else "",
            standing.tip,
            moved=newest is not None and run_key in newest.trailers,
            alone=not standing.others,
            people=standing.people,
            kept=revision.kept,
        )

    def _push(self, wish: Wish, target: Target, plan: Plan, standing: Standing, revision: Revision) -> str:
        """The commit, or "" when the branch moved meanwhile."""
        source, end, branch = wish.source, target.end, wish.known.branch
        self._bring_back(target, plan, revision)
        with self._copier.stores.view([source.end.store, end.store]) as view:
            view.write_blobs(wish.planner.contents(plan))
            commit = self._copier.commit(
                view,
                source,
                target,
                revision.parent,
                plan,
                wish.message,
                _writes(revision.entries),
                [path for path, entry in revision.entries.items() if entry is None],
            )
            update = RefUpdate(f"refs/heads/{branch}".encode(), commit, standing.tip or None, force=True)
            result = self._copier.push(view, end, update)
        if result.ok:
            self._steps.log("push", f"{end.name}: {branch} is at {commit[:8]}")
        return commit if result.ok else ""

    def _bring_back(self, target: Target, plan: Plan, revision: Revision) -> None:
        """Contents of the base that a commit on top takes back: a push needs them here."""
        back = [entry[1] for path, entry in revision.entries.items() if entry and path not in wanted(plan)]
        target.end.bring(back)

    def delete(self, end: End, branch: str, tip: str) -> bool:
        """Delete the branch if it is still at `tip`; False when it is not."""
        with self._copier.stores.view([end.store]) as view:
            update = RefUpdate(f"refs/heads/{branch}".encode(), None, tip)
            result = self._copier.push(view, end, update)
        if result.ok:
            self._steps.log("push", f"{end.name}: {branch} deleted")
        return result.ok


def _writes(entries: Entries) -> Iterable[Write]:
    return [Write(path, *entry) for path, entry in entries.items() if entry is not None]
