"""Making and changing copy rules: what pages, API and commands call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from django.db import IntegrityError, transaction
from django.db.models import QuerySet

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal, visible_to
from opssight.audit.record import record
from opssight.core.errors import InvalidInput, NotFound
from repos.models import Repository
from repos.selectors import repository_named
from repos.webhook_status import is_told
from syncs import jobs
from syncs.copy.models import CopyRule, CopyTarget
from syncs.copy.rules.config import CopyConfig, Target, by_target
from syncs.copy.rules.file_config import Config, FileConfig, flows_of, version_data
from syncs.copy.rules.options import Options
from syncs.copy.saved import ownership
from syncs.copy.saved.collisions import collisions
from syncs.copy.saved.leaving import Left, close_later, merging_places
from syncs.copy.transfer import signing
from syncs.models import Job, JobVersion, Run, Trigger
from syncs.triggers import PULL_REQUEST, PUSHED, TAGS

Start = Literal["next", "now"]  # from the next change on, or the whole tree at once


def resolve(principal: Principal, config: Config) -> Config:
    """The config with repositories as ids. They may be given as id or as `owner/name`.

    InvalidInput for every repository that is not there or that the principal may not use:
    the source must be visible, the targets must belong to a team in which they are operator.
    """
    if isinstance(config, FileConfig):
        return _resolve_file(principal, config)
    return resolve_rule(principal, config)


def resolve_rule(principal: Principal, config: CopyConfig) -> CopyConfig:
    places = _Places(principal)
    source = places.source(config.source_repository, config.source_branch)
    targets = [
        Target(*places.target(target.repository, target.branch, f"targets[{index}]"))
        for index, target in enumerate(config.targets)
    ]
    if not config.targets:
        places.problems.append(("targets", "Add a target: where should the files go?"))
    options = places.options(config.options, "")
    places.refuse()
    return replace(
        config,
        source_repository=source[0],
        source_branch=source[1],
        targets=tuple(targets),
        options=options,
    )


def _resolve_file(principal: Principal, config: FileConfig) -> FileConfig:
    places = _Places(principal)
    source = places.source(config.source_repository, config.source_branch)
    found = []
    for index, flow in enumerate(config.flows):
        target = places.target(flow.target_repo, flow.target_branch, f"flows[{index}].target")
        ends = {"source_repo": source[0], "source_branch": source[1]}
        ends |= {"target_repo": target[0], "target_branch": target[1]}
        options = places.options(flow.options, f"flows[{index}].")
        found.append(replace(flow, options=options, **ends))  # type: ignore[arg-type]  # all of them are text
    places.refuse()
    return replace(config, source_repository=source[0], source_branch=source[1], flows=tuple(found))


class _Places:
    """Repositories of a configuration by id or name, each asked once; what is wrong is collected."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal
        self._found: dict[tuple[str, Role], Repository] = {}
        self._source: tuple[str, str] = ("", "")
        self.problems: list[tuple[str, str]] = []

    def source(self, name: str, branch: str) -> tuple[str, str]:
        """Id and branch of the source; the default branch where none is given."""
        row = self._row(name, Role.VIEWER, "source.repository")
        if row is not None:
            self._source = (str(row.pk), branch or row.default_branch or "main")
        return self._source

    def target(self, name: str, branch: str, where: str) -> tuple[str, str]:
        row = self._row(name, Role.OPERATOR, f"{where}.repository")
        if row is None:
            return name, branch
        place = (str(row.pk), branch or row.default_branch or "main")
        if place == self._source:
            self.problems.append((where, "A rule cannot write to the branch it reads from."))
        return place

    def options(self, options: Options, where: str) -> Options:
        if problem := signing.problem(options):
            self.problems.append((f"{where}sign", problem))
        deletions = options.deletions
        if not deletions.repository:
            return options
        row = self._row(deletions.repository, Role.OPERATOR, f"{where}deletions.repository")
        if row is None:
            return options
        branch = deletions.branch or row.default_branch or "main"
        return replace(options, deletions=replace(deletions, repository=str(row.pk), branch=branch))

    def refuse(self) -> None:
        if self.problems:
            raise InvalidInput("The rule cannot be saved yet.", self.problems)

    def _row(self, name: str, role: Role, where: str) -> Repository | None:
        try:
            if (name, role) not in self._found:
                self._found[name, role] = _find(self._principal, name, role)
        except NotFound as failure:
            self.problems.append((where, failure.sentence))
        return self._found.get((name, role))


def _find(principal: Principal, name: str, role: Role) -> Repository:
    """The one repository with this id or name. NotFound where there is none, or are several."""
    found = repository_named(visible_to(Repository.objects.all(), principal, role), name)
    if found is None:
        right = "you may write to" if role == Role.OPERATOR else "you can see"
        raise NotFound(f"There is no repository {name!r} that {right}.")
    return found


def create_rule(
    principal: Principal,
    team: Team,
    config: Config,
    *,
    start: Start = "next",
    baseline: str = "",
    adopting: bool = False,
) -> tuple[Job, Run]:
    """Save a new rule and ask for its first run.

    `start="now"` copies the whole tree, and with `adopting` takes over what is there already and identical;
    `"next"` remembers `baseline` (a commit of the source, else its head when the run looks) and copies from
    the next change on.
    """
    config = resolve(principal, config)
    _refuse_collisions(principal, config)
    try:
        with transaction.atomic():
            job = Job.objects.create(team=team, kind="copy", name=config.name, created_by=principal.user)
            record("job.create", team_id=team.pk, target=("job", job.pk, job.name))
            _store(principal, job, config, "")
            return job, _first_run(job, start, baseline, adopting=adopting)
    except IntegrityError:
        raise _name_taken(config.name) from None


def update_rule(
    principal: Principal,
    job: Job,
    config: Config,
    *,
    note: str = "",
    start: Start = "next",
    baseline: str = "",
    adopting: bool = False,
) -> tuple[Job, Run | None]:
    """Save a new version. With `start="now"` the whole tree is copied by the new rules at once."""
    config = resolve(principal, config)
    _refuse_collisions(principal, config, job)
    try:
        with transaction.atomic():
            _lock(job)
            if job.name != config.name:
                job.name = config.name
                job.save(update_fields=["name"])
            fresh = _store(principal, job, config, note)
            asked = fresh or start == "now"
            run = _first_run(job, start, baseline, adopting=adopting) if asked else None
            return job, run
    except IntegrityError:
        raise _name_taken(config.name) from None


def _lock(job: Job) -> None:
    """The job as it is now, which no other save changes before the transaction ends."""
    try:
        job.refresh_from_db(from_queryset=Job.objects.select_for_update(no_key=True))
    except Job.DoesNotExist:
        raise NotFound(f"{job.name} was deleted meanwhile.") from None


def _refuse_collisions(principal: Principal, config: Config, job: Job | None = None) -> None:
    if problems := collisions(principal, config, job):
        raise InvalidInput("Two rules would write different content to the same file.", problems)


def adopt(principal: Principal, job: Job, because: str) -> Run:
    """Copy the whole tree, and count files that are at a target already, and equal, as the rule's own.

    From then on they go with their sources, where the rule says that.
    """
    principal.require(Role.OPERATOR, job.team_id)
    return jobs.start(job, Run.Trigger.MANUAL, because, input={"whole": True, "adopt": True})


def _name_taken(name: str) -> InvalidInput:
    sentence = f"There is already a copy rule called {name!r}. Choose another name."
    return InvalidInput(sentence, [("name", sentence)])


def _store(principal: Principal, job: Job, config: Config, note: str) -> bool:
    """Version, source, targets and trigger. True when there is a target that has no state yet."""
    before = job.version
    jobs.add_version(principal, job, version_data(config), note)
    source = {"source_id": config.source_repository, "source_branch": config.source_branch}
    CopyRule.objects.filter(job=job).exclude(**source).update(head_oid="")  # that of another branch
    rule, _ = CopyRule.objects.update_or_create(job=job, defaults=source)
    kept = []
    fresh = False
    for flow, *_ in by_target(flows_of(config)):
        row, created = CopyTarget.objects.get_or_create(
            rule=rule,
            repository_id=flow.target_repo,
            branch=flow.target_branch,
            strategy=flow.options.strategy,
        )
        kept.append(row.pk)
        fresh = fresh or created
    _drop(job, rule.targets.exclude(pk__in=kept), rule.targets.filter(pk__in=kept), before)
    _listen(job, config)
    return fresh


def _drop(
    job: Job, dropped: QuerySet[CopyTarget], kept: QuerySet[CopyTarget], before: JobVersion | None
) -> None:
    """Forget targets; their pull requests, opened for the version `before`, are closed by a run."""
    left = []
    merging = merging_places(before) if dropped else set()
    for target in dropped:
        why = f"its rule does not copy to {target.repository.full_name} {target.branch} any more."
        if heir := kept.filter(repository_id=target.repository_id, branch=target.branch).first():
            # only the way in which changes arrive is another one
            ownership.hand_over(target, heir)
            why = f"its rule commits to {target.branch} directly now."
        if target.strategy == "pull_request":
            left.append(Left.of(target, before, why, merging))
        target.delete()
    close_later(job, left, "targets that were taken out of the rule")


def _listen(job: Job, config: Config) -> None:
    """Answer what the rule listens to; look by ourselves where no webhook tells us."""
    kept = []
    for event, ref in _heard(config):
        row, _ = Trigger.objects.get_or_create(
            job=job, repository_id=config.source_repository, event=event, ref=ref
        )
        kept.append(row.pk)
    job.triggers.exclude(pk__in=kept).delete()
    source = Repository.objects.get(pk=config.source_repository)
    jobs.set_poll(job, None if is_told(source) else jobs.default_poll_seconds())


def _heard(config: Config) -> list[tuple[str, str]]:
    """Event and ref of each trigger."""
    found = {
        "push": (PUSHED, config.source_branch),
        "pull_request": (PULL_REQUEST, config.source_branch),
        "tag": (PUSHED, f"{TAGS}{config.listening.tags}"),
    }
    return [found[event] for event in config.listening.events]


def _first_run(job: Job, start: Start, baseline: str, *, adopting: bool = False) -> Run:
    input: dict[str, Any] = {"whole": True} if start == "now" else {"baseline": baseline or _heard_head(job)}
    if adopting and start == "now":
        input["adopt"] = True
    because = f"version {job.version.number if job.version else 1} of the rule"
    return jobs.start(job, Run.Trigger.MANUAL, because, input=input)


def _heard_head(job: Job) -> str:
    """The source's head where each push is told, so that none is lost before the first run; else "".

    Without webhooks it may be old, and the run looks for itself.
    """
    rule = CopyRule.objects.select_related("source").get(job=job)
    told = rule.source_branch == rule.source.default_branch and is_told(rule.source)
    return rule.source.head_oid if told else ""
