"""Making and changing copy rules: what pages, API and commands call."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

from django.db import IntegrityError, transaction
from django.db.models import Q

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal, visible_to
from opssight.audit.record import record
from opssight.core.errors import InvalidInput, NotFound
from opssight.core.ids import as_uuid
from repos.models import Repository
from repos.webhook_status import is_told
from syncs import jobs
from syncs.copy.config import CopyConfig, to_data
from syncs.copy.models import CopyRule, CopyTarget
from syncs.models import Job, Run, Trigger

Start = Literal["next", "now"]  # from the next change on, or the whole tree at once


def resolve(principal: Principal, config: CopyConfig) -> CopyConfig:
    """The config with repositories as ids. They may be given as id or as `owner/name`.

    InvalidInput for every repository that is not there or that the principal may not use:
    the source must be visible, the targets must belong to a team in which they are operator.
    """
    problems: list[tuple[str, str]] = []
    source = None
    try:
        source = _find(principal, config.source_repository, Role.VIEWER)
    except NotFound as failure:
        problems.append(("source.repository", failure.sentence))
    targets = []
    for index, target in enumerate(config.targets):
        try:
            found = _find(principal, target.repository, Role.OPERATOR)
        except NotFound as failure:
            problems.append((f"targets[{index}].repository", failure.sentence))
            continue
        branch = target.branch or found.default_branch or "main"
        if source is not None and found.pk == source.pk and branch == config.source_branch:
            problems.append((f"targets[{index}]", "A rule cannot write to the branch it reads from."))
        targets.append(replace(target, repository=str(found.pk), branch=branch))
    if not config.targets:
        problems.append(("targets", "Add a target: where should the files go?"))
    if problems or source is None:
        raise InvalidInput("The rule cannot be saved yet.", problems)
    branch = config.source_branch or source.default_branch or "main"
    return replace(config, source_repository=str(source.pk), source_branch=branch, targets=tuple(targets))


def _find(principal: Principal, name: str, role: Role) -> Repository:
    """The one repository with this id or name. NotFound where there is none, or are several."""
    rows = visible_to(Repository.objects.all(), principal, role)
    found: list[Repository] = list(rows.filter(Q(full_name=name) | Q(pk=as_uuid(name))).order_by("id")[:2])
    if len(found) > 1:
        raise NotFound(f"Several repositories are called {name!r}. Give the id of the one you mean.")
    if not found:
        right = "you may write to" if role == Role.OPERATOR else "you can see"
        raise NotFound(f"There is no repository {name!r} that {right}.")
    return found[0]


def create_rule(
    principal: Principal, team: Team, config: CopyConfig, *, start: Start = "next", baseline: str = ""
) -> tuple[Job, Run]:
    """Save a new rule and ask for its first run.

    `start="now"` copies the whole tree; `"next"` remembers `baseline` (a commit of the source, else its
    head when the run looks) and copies from the next change on.
    """
    config = resolve(principal, config)
    try:
        with transaction.atomic():
            job = Job.objects.create(team=team, kind="copy", name=config.name, created_by=principal.user)
            record("job.create", team_id=team.pk, target=("job", job.pk, job.name))
            _store(principal, job, config, "")
            return job, _first_run(job, start, baseline)
    except IntegrityError:
        raise _name_taken(config.name) from None


def update_rule(
    principal: Principal,
    job: Job,
    config: CopyConfig,
    *,
    note: str = "",
    start: Start = "next",
    baseline: str = "",
) -> tuple[Job, Run | None]:
    """Save a new version. With `start="now"` the whole tree is copied by the new rules at once."""
    config = resolve(principal, config)
    try:
        with transaction.atomic():
            if job.name != config.name:
                job.name = config.name
                job.save(update_fields=["name"])
            fresh = _store(principal, job, config, note)
            run = _first_run(job, start, baseline) if fresh or start == "now" else None
            return job, run
    except IntegrityError:
        raise _name_taken(config.name) from None


def _name_taken(name: str) -> InvalidInput:
    sentence = f"There is already a copy rule called {name!r}. Choose another name."
    return InvalidInput(sentence, [("name", sentence)])


def _store(principal: Principal, job: Job, config: CopyConfig, note: str) -> bool:
    """Version, source, targets and trigger. True when there is a target that has no state yet."""
    jobs.add_version(principal, job, to_data(config), note)
    rule, _ = CopyRule.objects.update_or_create(
        job=job, defaults={"source_id": config.source_repository, "source_branch": config.source_branch}
    )
    kept = []
    fresh = False
    for target in config.targets:
        row, created = CopyTarget.objects.get_or_create(
            rule=rule, repository_id=target.repository, branch=target.branch
        )
        kept.append(row.pk)
        fresh = fresh or created
    rule.targets.exclude(pk__in=kept).delete()
    _listen(job, config)
    return fresh


def _listen(job: Job, config: CopyConfig) -> None:
    """Answer pushes to the source branch; look by ourselves where no webhook tells us."""
    wanted: dict[str, Any] = {
        "repository_id": config.source_repository,
        "event": "Pushed",
        "ref": config.source_branch,
    }
    job.triggers.exclude(**wanted).delete()
    Trigger.objects.get_or_create(job=job, **wanted)
    source = Repository.objects.get(pk=config.source_repository)
    jobs.set_poll(job, None if is_told(source) else jobs.default_poll_seconds())


def _first_run(job: Job, start: Start, baseline: str) -> Run:
    input: dict[str, Any] = {"whole": True} if start == "now" else {"baseline": baseline}
    because = f"version {job.version.number if job.version else 1} of the rule"
    return jobs.start(job, Run.Trigger.MANUAL, because, input=input)
