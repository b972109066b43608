"""What a rule would do at each target, saved or not: of the newest commit, another one, or a pull request.

The plan is the one that a run makes, with the same memory. Reads this machine's stores only; nothing here
waits for the network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final
from uuid import UUID

from opssight.accounts.scope import Principal, visible_to
from opssight.core.errors import Conflict, Failure
from repos import access, warm
from repos.git.errors import MissingObject
from repos.models import Repository
from syncs.copy.models import CopyState, CopyTarget
from syncs.copy.plan.plan import delta
from syncs.copy.plan.planned import EMPTY, Delta, Plan, SourceFile
from syncs.copy.preview.moment import Moment, moment, origin_at
from syncs.copy.preview.plans import Asked, Files, kept_files, planned
from syncs.copy.rules.config import Flow, by_target
from syncs.copy.rules.file_config import Config, flows_of
from syncs.copy.rules.rule import Match, Rule
from syncs.copy.saved import ownership
from syncs.copy.transfer.making import Origin, placed
from syncs.copy.transfer.planning import Look
from syncs.models import Job

NOT_SEEN: Final = "This repository is not visible to you."

Group = tuple[Flow, ...]  # what is planned and committed as one


@dataclass(frozen=True)
class TargetPreview:
    """One target as it is at `oid` and as it would become. `empty`: it has no commit yet.

    `plan` is None while something is fetched, or where `sentence` says why there is none. `base`: the source
    commit that the target holds; the plan is about what changed since. None: about all of it. `live`: what
    the version to compare with would do there now.
    """

    target: CopyTarget  # not saved for a rule that is not, or only just got it
    flows: Group
    oid: str = ""
    base: str | None = None
    plan: Plan | None = None
    live: Plan | None = None
    fetching: bool = False
    empty: bool = False
    sentence: str = ""
    made: Look | None = field(default=None, compare=False)  # knows the contents of the plan

    @property
    def repository(self) -> Repository:
        return self.target.repository

    @property
    def branch(self) -> str:
        return self.target.branch

    @property
    def state(self) -> CopyState | None:
        return _state(self.target)

    @property
    def files(self) -> Files:
        """What is there now."""
        return kept_files(self.repository.pk, self.oid) if self.oid else {}

    @property
    def rules(self) -> int:
        return sum(len(flow.rules) for flow in self.flows)

    @property
    def added(self) -> int:
        return sum(1 for write in self.plan.writes if write.action == "add") if self.plan else 0

    @property
    def changed(self) -> int:
        return len(self.plan.writes) - self.added if self.plan else 0

    @property
    def removed(self) -> int:
        return len(self.plan.deletes) if self.plan else 0

    @property
    def delta(self) -> Delta:
        """What saving changes here against the live version; for a new target, all that is written."""
        return delta(self.live or EMPTY, self.plan) if self.plan else Delta(0, 0, 0)


@dataclass(frozen=True)
class Preview:
    """The source at one moment, and what would happen at each target."""

    source: Repository
    branch: str
    moment: Moment
    targets: Sequence[TargetPreview] = ()

    @property
    def oid(self) -> str:
        """The commit of the source; empty while there is none."""
        return self.moment.oid

    @property
    def fetching(self) -> bool:
        return self.moment.fetching or any(target.fetching for target in self.targets)

    @cached_property
    def origin(self) -> Origin:
        return origin_at(access.store_of(self.source), self.moment)

    @property
    def files(self) -> Mapping[bytes, SourceFile]:
        """Of the source at that commit."""
        return self.origin.files() if self.oid else {}

    def matches(self, rules: tuple[Rule, ...], match: Match) -> tuple[tuple[bytes, int], ...]:
        """What rules take of that commit, as (source path, rule from 0)."""
        # the same for every target, and while one types elsewhere
        flow = Flow("", "", "", rules, "", "", match=match)
        return placed(self.origin, (flow,)).matches if self.oid else ()


def preview(
    principal: Principal,
    config: Config,
    job: Job | None = None,
    *,
    live: Config | None = None,
    at: str = "",
    pull: str = "",
    whole: bool = True,
    only: str = "",
) -> Preview:
    """What the configuration, whose repositories are ids, would do; its rules must compile.

    `job` is the rule that has this version, or would get it: what it wrote so far counts as its own. `live`
    is the version to compare with; one that reads from somewhere else says nothing. `at` and `pull` are as in
    `moment`. Without `whole`, only what changed since the last copy of `job`. `only`: the id of one target.
    """
    groups = by_target(flows_of(config))
    ids = {config.source_repository, *(group[-1].target_repo for group in groups)}
    rows = visible_to(Repository.objects.select_related("connection"), principal).filter(pk__in=ids)
    seen = {str(row.pk): row for row in rows}
    source = seen.get(config.source_repository)
    if source is None:
        hidden = Repository(pk=UUID(config.source_repository))
        return Preview(hidden, config.source_branch, Moment(sentence=NOT_SEEN))
    when = moment(source, config.source_branch, at, pull)
    found = Preview(source, config.source_branch, when)
    previewer = _Previewer(principal, found, seen, job, _live(live, config), whole)
    targets = [(previewer.target(group), group) for group in groups]
    if only:
        targets = [pair for pair in targets if str(pair[0].pk) == only]
    return replace(found, targets=[previewer.preview(target, group) for target, group in targets])


def _live(live: Config | None, config: Config) -> list[Group]:
    same = (config.source_repository, config.source_branch)
    if live is None or (live.source_repository, live.source_branch) != same:
        return []
    return by_target(flows_of(live))


def _state(target: CopyTarget) -> CopyState | None:
    return getattr(target, "state", None) if target.pk else None


def _ends(flow: Flow) -> tuple[str, str]:
    return flow.target_repo, flow.target_branch


class _Previewer:
    """Previews the targets of a rule, of the source at one moment. `seen` are visible repositories by id."""

    def __init__(
        self,
        principal: Principal,
        found: Preview,
        seen: Mapping[str, Repository],
        job: Job | None,
        live: Sequence[Group],
        whole: bool,
    ) -> None:
        self._principal = principal
        self._found = found
        self._seen = seen
        self._job = job
        self._live = live
        self._whole = whole
        rows = CopyTarget.objects.filter(rule__job=job) if job else CopyTarget.objects.none()
        self._rows = list(rows.select_related("state", "rule__job").order_by("pk"))

    def target(self, group: Group) -> CopyTarget:
        """The target of the rule, or one that is not saved yet; of a repository that is not seen, its id."""
        flow = group[-1]
        repository = self._seen.get(flow.target_repo) or Repository(pk=UUID(flow.target_repo))
        here = [row for row in self._rows if (str(row.repository_id), row.branch) == _ends(flow)]
        same = [row for row in here if row.strategy == flow.options.strategy]
        for row in same or here:  # where only the way of arriving is new, what the rule wrote stays its own
            row.repository = repository
            return row
        target = CopyTarget(repository=repository, branch=flow.target_branch, strategy=flow.options.strategy)
        if self._job is not None:
            target.rule = self._job.copy_rule
        return target

    def preview(self, target: CopyTarget, group: Group) -> TargetPreview:
        one, source = TargetPreview(target, group), self._found.moment
        if str(target.repository_id) not in self._seen:
            return replace(one, sentence=NOT_SEEN)
        if not source.oid:
            return replace(one, fetching=source.fetching, sentence=source.sentence)
        tip = warm.tip(target.repository, target.branch, partial=True)
        if not tip.oid and not tip.empty:
            return replace(one, fetching=tip.fetching, sentence=tip.sentence)
        one = replace(one, oid=tip.oid, empty=tip.empty, base=self._base(target, group))
        try:
            asked = self._asked(one)
            plan, made = planned(asked)
            live = self._live_of(group)
            before = planned(replace(asked, flows=self._named(live, target)))[0] if live else None
        except Conflict:
            return replace(one, fetching=True)
        except MissingObject as failure:
            # the source may have been fetched without contents; a full one is on its way since `moment`
            coming = access.store_of(self._found.source).partial
            return replace(one, fetching=coming, sentence="" if coming else failure.sentence)
        except Failure as failure:
            return replace(one, sentence=failure.sentence)
        return replace(one, plan=plan, live=before, made=made)

    def _base(self, target: CopyTarget, group: Group) -> str | None:
        state = _state(target) if target.strategy == group[-1].options.strategy else None
        base = state.source_oid if state and not self._whole else ""
        return base if base and self._found.origin.store.has(base) else None

    def _live_of(self, group: Group) -> Group | None:
        here = [one for one in self._live if _ends(one[-1]) == _ends(group[-1])]
        same = [one for one in here if one[-1].options.strategy == group[-1].options.strategy]
        return next(iter(same or here), None)

    def _asked(self, one: TargetPreview) -> Asked:
        target = one.target
        return Asked(
            origin=self._found.origin,
            base=one.base,
            flows=self._named(one.flows, target),
            target=target,
            place=(target.pk, target.repository_id, target.branch),
            team=self._team(target),
            tip=one.oid,
            memory=ownership.as_of(target),
            pr_number=self._found.moment.pr_number,
        )

    def _team(self, target: CopyTarget) -> UUID | None:
        """Whose rules are named: those of the rule's own team. One that is not saved is looked at for the
        target's, unless whoever asks is not in it.
        """
        if self._job is not None:
            return self._job.team_id
        owner = target.repository.team_id
        return owner if owner in self._principal.roles else None

    def _named(self, group: Group, target: CopyTarget) -> Group:
        """As a run has them, without what is typed letter by letter while nothing depends on it."""
        names = {
            "source_repo": self._found.source.full_name,
            "target_repo": target.repository.full_name,
            "message": "",
        }
        if not any(one.type == "variables" for flow in group for one in flow.options.transforms):
            names["name"] = ""
        return tuple(replace(flow, **names) for flow in group)  # type: ignore[arg-type]  # all of them are text
