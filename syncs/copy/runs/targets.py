"""The work at one target of a run: by commits of its own or by a pull request, and how that ended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from opssight.core.errors import Failure
from opssight.core.ids import as_uuid
from repos import access
from repos.git.types import Commit
from repos.models import Repository
from repos.providers.base import Provider
from repos.providers.forge import Pull
from repos.providers.types import PullState
from syncs.copy.models import CopyRule, CopyState, CopyTarget
from syncs.copy.plan.planned import EMPTY, Plan
from syncs.copy.pulls.branches import Held, Known, branch_name, is_merge_only
from syncs.copy.pulls.pulls import ForgeEnd, Pulls
from syncs.copy.pulls.settling import settle
from syncs.copy.rules.config import Flow
from syncs.copy.runs.elsewhere import record_deletions
from syncs.copy.runs.results import Done, changed, equal, left_out, proposed, pull_document
from syncs.copy.runs.telling import paths_of
from syncs.copy.saved import ownership
from syncs.copy.saved.planner import planner_of
from syncs.copy.transfer.api_commits import CommitApi, is_untouched
from syncs.copy.transfer.trailers import RUN_KEY
from syncs.copy.transfer.transfer import (
    Copied,
    Copier,
    End,
    Message,
    Planner,
    Source,
    Target,
    open_target,
    target_files,
)
from syncs.engine import claim
from syncs.engine.context import RunContext
from syncs.models import Item, ItemState, Run

T = TypeVar("T")

_ECHO = 200  # commits; more of them are never taken for our own


@dataclass
class TargetRun:
    """One target of this run: what to do, and how it ended."""

    target: CopyTarget
    flows: tuple[Flow, ...]
    item: Item
    failure: Failure | None = None

    @property
    def in_pull_request(self) -> bool:
        return self.flows[-1].options.strategy == "pull_request"


@contextmanager
def health(repository: Repository) -> Iterator[None]:
    """What git and the API met on the way is known at the repository's connection as well."""
    try:
        yield
    except Held:  # about people's work, not about the connection
        access.note_ok(repository.connection)
        raise
    except Failure as failure:
        access.note_failure(repository.connection, failure)
        raise
    access.note_ok(repository.connection)


@dataclass
class Work:
    """What the targets of one run share."""

    run: RunContext
    rule: CopyRule
    source: Source
    copier: Copier
    _providers: dict[Any, Provider] = field(default_factory=dict)
    _echoes: dict[str, bool] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return bool(self.run.run.input.get("whole"))

    def end(self, target: CopyTarget) -> End:
        repository = target.repository
        store = self.copier.stores.store(repository.pk)
        return End(repository.full_name, target.branch, access.remote_of(repository), store)

    def forge_end(self, repository: Repository) -> ForgeEnd:
        return ForgeEnd.of(self._provider(repository), repository.external_id)

    def commit_api(self, repository: Repository) -> CommitApi | None:
        return CommitApi.of(self._provider(repository), repository.external_id)

    def _provider(self, repository: Repository) -> Provider:
        key = repository.connection_id
        if key not in self._providers:
            self._providers[key] = access.client_of(repository.connection)
        return self._providers[key]

    def is_echo(self, base: str) -> bool:
        """Whether all that the source got since `base` are commits of this job's own runs."""
        if base not in self._echoes:
            self._echoes[base] = self._is_echo(base)
        return self._echoes[base]

    def _is_echo(self, base: str) -> bool:
        store = self.source.end.store
        commits = store.commits_between(base, self.source.head, trailer=RUN_KEY, limit=_ECHO + 1)
        made = [commit for commit in commits if not is_merge_only(store, commit)]
        if not made or len(commits) > _ECHO:
            return False
        if not all(self._is_untouched(commit) for commit in made):
            return False  # somebody joined or amended them: there may be more in them than ours
        runs = {run_of(commit) for commit in made}
        known = Run.objects.filter(pk__in=[run for run in runs if run], job=self.rule.job)
        return None not in runs and known.count() == len(runs)

    def _is_untouched(self, commit: Commit) -> bool:
        if commit.committer_email == self.copier.author.email:
            return True
        return is_untouched(self.source.end.store.raw_commit(commit.oid))


def run_of(commit: Commit) -> Any:
    """The id of the run that made a commit; None for one that no run made."""
    return as_uuid(commit.trailers[-1].partition("/")[0]) if commit.trailers else None


@dataclass
class TargetWork:
    """One target: what it has, what it lacks, and bringing that there. Raises a `Failure`."""

    work: Work
    one: TargetRun
    state: CopyState | None

    def bring(self) -> Done:
        """Do the work. Stored are only what the rule owns now, and that a pull request was merged."""
        if self.work.rule.shadow:
            done = self._shadow()
            self._tell(done)
            return done
        done = self._by_pull_request() if self.one.in_pull_request else self._directly()
        self._tell(done)
        if done.values:
            self._remember(done)
        if done.plan.records:
            version, source = self.work.run.run.version, self.work.source
            assert version is not None  # noqa: S101 - checked when the run began
            record_deletions(version, self.work.copier, source, done.plan, self._message())
        return done

    def _tell(self, done: Done) -> None:
        """The files behind the numbers of the result stand in the log."""
        for what in paths_of(done.plan, wrote=not done.result.get("shadow")):
            self.work.run.log("files", f"{self.end.name}: {what}")

    def _remember(self, done: Done) -> None:
        """What was written is the rule's own, whatever fails after this."""
        run = self.work.run
        ownership.remember(
            self.one.target,
            done.plan,
            fence=lambda: claim.fenced(run.run),
            pending=done.pending,
            adopt=bool(run.run.input.get("adopt")),
        )
        run.checkpoint("manifest-stored")

    # --- what is shared -----------------------------------------------------------------------------

    @cached_property
    def end(self) -> End:
        end, target = self.work.end(self.one.target), self.one.target
        if any(flow.options.sign == "api" for flow in self.one.flows):
            return replace(end, api=self.work.commit_api(target.repository))
        return end

    @property
    def base(self) -> str | None:
        """The source commit that the target has; None: compare the whole tree."""
        if self.work.whole or self.state is None:
            return None
        return self.work.source.base_of(self.state.source_oid)

    def _message(self) -> Message:
        # ids in the database, names in the message
        source, target, run = self.work.source, self.one.target, self.work.run.run
        names = {"source_repo": source.end.name, "target_repo": target.repository.full_name}
        return Message(
            flows=tuple(replace(flow, **names) for flow in self.one.flows),  # type: ignore[arg-type]  # text
            head=source.head,
            run_key=f"{run.pk}/{target.pk}/{source.head[:12]}",
            pr_number=str(run.input.get("pull_request") or ""),
            since=self.base,
        )

    def _planner(self, message: Message) -> Planner:
        planner = planner_of(self.one.target, message.flows, self.base, message.pr_number)
        self.work.run.checkpoint("manifest-read")
        return planner

    def _reach(self, use: Callable[[End], T]) -> T:
        return access.with_fresh_token(
            self.one.target.repository, self.end.remote, lambda remote: use(replace(self.end, remote=remote))
        )

    def _echo(self) -> bool:
        """Whether there is nothing but our own commits, and nothing waits to be merged."""
        waits = self.state is not None and self.state.proposed_oid
        return self.base is not None and not waits and self.work.is_echo(self.base)

    # --- commits of its own -------------------------------------------------------------------------

    def _directly(self) -> Done:
        source, message = self.work.source, self._message()
        if self._echo():
            return self._nothing_new()
        planner = self._planner(message)
        copied = self._reach(lambda end: self.work.copier.copy(source, planner, end, message))
        plan = self._carried_out(copied, planner) if copied.found else copied.plan
        written, deleted = len(plan.writes), len(plan.deletes)
        values = {
            "source_oid": source.head,
            "proposed_oid": "",
            **({"pushed_oid": copied.commit} if copied.commit else {}),
        }
        return Done(
            plan,
            ItemState.DONE if copied.commit else ItemState.SKIPPED,
            f"{changed(written, deleted)}.{left_out(plan)}" if copied.commit else equal(plan),
            commit=copied.commit,
            written=written,
            deleted=deleted,
            values=values,
        )

    def _carried_out(self, copied: Copied, planner: Planner) -> Plan:
        """The plan of an earlier attempt, which pushed its commit. The newest plan finds that work done."""
        store, source = self.end.store, self.work.source
        parent, changes = ownership.written_by(store, copied.commit)
        files = target_files(store, parent) if parent else {}
        # what a list of deletions got is told by the list as it was
        before = self._reach(lambda end: planner.plan(source, Target(end, parent, files)))
        return replace(ownership.carried_out(copied.plan, changes), records=before.records)

    def _nothing_new(self) -> Done:
        sentence = "The source has only commits of this rule since: nothing to copy."
        return Done(EMPTY, ItemState.SKIPPED, sentence, values={"source_oid": self.work.source.head})

    # --- pull requests ------------------------------------------------------------------------------

    def _by_pull_request(self) -> Done:
        target, source = self.one.target, self.work.source
        forge_end = self.work.forge_end(target.repository)
        pull, self.state = settle(self.work.run, self.work.copier, forge_end, self.end, target, self.state)
        self.work.run.checkpoint("pull-asked")
        if pull is not None and pull.state == PullState.CLOSED:
            if self._was_declined():
                return self._declined(pull)
            pull = None
        if self._echo():
            return self._nothing_new()
        message = self._message()
        pulls = Pulls(self.work.copier, forge_end, self._known(), self._forget)
        planner = self._planner(message)
        proposal = self._reach(lambda end: pulls.propose(source, planner, end, message, pull))
        return proposed(proposal, target, pulls.known, head=source.head, base=self.base)

    def _known(self) -> Known:
        state, target = self.state, self.one.target
        if state is not None and state.pull_branch:
            return Known(state.pull_branch, state.pushed_oid, recorded=True)
        job = self.work.rule.job
        return Known(branch_name(job.name, str(job.pk), str(target.repository_id), target.branch))

    def _was_declined(self) -> bool:
        """Whether a person closed what would be proposed again; asking for everything is another matter."""
        state = self.state
        return state is not None and state.proposed_oid == self.work.source.head and not self.work.whole

    def _declined(self, pull: Pull) -> Done:
        sentence = (
            f"Pull request #{pull.number} was closed without being merged. The next change opens another one."
        )
        return Done(EMPTY, ItemState.SKIPPED, sentence, result={"pull_request": pull_document(pull)})

    def _forget(self) -> None:
        with claim.fenced(self.work.run.run):
            rows = CopyState.objects.filter(target=self.one.target)
            rows.update(pull_number=None, pull_url="")

    # --- shadow -------------------------------------------------------------------------------------

    def _shadow(self) -> Done:
        """What it would do. The target stays where it was, so all of it is done once the rule may write."""
        message = self._message()
        planner = self._planner(message)
        plan = self._reach(lambda end: planner.plan(self.work.source, open_target(end, self.work.run)))
        self.work.run.checkpoint("shadow-planned")
        how = "in a pull request" if self.one.in_pull_request else f"to {self.one.target.branch}"
        would = changed(len(plan.writes), len(plan.deletes), written="to write", deleted="to delete")
        return Done(
            plan,
            ItemState.SKIPPED,
            equal(plan) if plan.empty else f"Only looked: {would} {how}.{left_out(plan)}",
            result={"shadow": True, "would": len(plan.writes) + len(plan.deletes)},
        )
