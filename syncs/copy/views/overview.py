"""What copy tells the pages of the whole: its line in the sidebar, a repository's step, its protection."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from django.db.models import Q
from django.urls import reverse

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.core.words import count
from opssight.web.formats import format_ago, format_duration
from opssight.web.parts import Action, Protection, Share, Step
from opssight.web.registry import JobLine, NavEntry, NextStep, Proof, Target
from opssight.web.states import look_of
from repos.models import Repository, RepositoryStatus
from syncs.copy.models import CopyRule, CopyTarget
from syncs.copy.saved.status import LANE, standings_of
from syncs.models import Job, Run, RunState


def rule_count(team: Team) -> int:
    return Job.objects.filter(team=team, kind="copy").count()


NAV = NavEntry("Jobs", 10, "Copy", "copy", "copy", ("copy",), count=rule_count)


def steps(principal: Principal, repository: object) -> Sequence[Step]:
    """The copy cell of a repository's strip: how far its targets are, or that nothing copies it yet."""
    if not isinstance(repository, Repository):
        return ()
    rules = list(CopyRule.objects.filter(source=repository).select_related("job"))
    if not rules:
        return (_without_rule(principal, repository),)
    status = RepositoryStatus.objects.filter(repository=repository, lane=LANE).first()
    jobs = [rule.job_id for rule in rules]
    running = Run.objects.filter(job_id__in=jobs, state=RunState.RUNNING).exists()
    state, word = _state(status, running)
    return (
        Step(
            "copy",
            "Copy",
            status.sentence if status else f"{count(len(rules), 'rule')}, not run yet",
            state=state,
            word=word,
            at=status.fresh_at if status else None,
            behind=status.behind if status else None,
            actions=_actions(principal, repository, [rule.job for rule in rules]),
        ),
    )


def _without_rule(principal: Principal, repository: Repository) -> Step:
    rules = CopyTarget.objects.filter(repository=repository).values("rule").distinct().count()
    text = f"Written to by {count(rules, 'rule')}" if rules else "No rule copies from here"
    may = principal.may(Role.OPERATOR, repository.team_id)
    add = Action("Add a rule", f"{reverse('copy_new')}?source={repository.pk}", icon="plus")
    return Step("copy", "Copy", text, state="not_set_up", actions=(add,) if may else ())


def _state(status: RepositoryStatus | None, running: bool) -> tuple[str, str]:
    if running:
        behind = f"{status.behind} behind, " if status and status.behind else ""
        return "running", f"{behind}running"
    if status is None:
        return "pending", ""
    if status.state == "behind":
        return "behind", f"{status.behind} behind" if status.behind else "behind"
    return {"fresh": ("at_head", ""), "failed": ("failed", "")}.get(status.state, ("unknown", ""))


def _actions(principal: Principal, repository: Repository, jobs: Sequence[Job]) -> tuple[Action, ...]:
    if len(jobs) != 1:
        return (Action("Rules", f"{reverse('copy')}?q={repository.full_name}"),)
    look = Action("Rule", reverse("copy_rule", args=[jobs[0].pk]))
    if not principal.may(Role.OPERATOR, jobs[0].team_id):
        return (look,)
    return (Action("Copy now", reverse("copy_start", args=[jobs[0].pk]), method="post"), look)


def protection(principal: Principal, team: Team) -> Protection | None:
    """All targets of the team's rules by how far they are; None without a rule. Five queries at most."""
    targets = _targets_of(team)
    if not targets or not principal.may(Role.VIEWER, team.pk):
        return None
    standings = standings_of(targets)
    shares = {"at_head": 0, "running": 0, "failed": 0, "behind": 0, "unknown": 0}
    for target in targets:
        shares[standings[target.pk]] += 1
    headline = f"{shares['at_head']} of {count(len(targets), 'target')} at HEAD"
    parts = [Share(state, number, look_of(state).word) for state, number in shares.items() if number]
    return Protection("copy", "Copy", headline, parts, url=reverse("copy"))


def proof(principal: Principal, team: Team) -> Proof | None:
    """What is proved of the targets: those that hold the newest commit that was seen. None when none does."""
    targets = _targets_of(team)
    if not targets or not principal.may(Role.VIEWER, team.pk):
        return None
    standings = standings_of(targets)
    there = [target for target in targets if standings[target.pk] == "at_head"]
    if not there:
        return None
    seen = [target.rule.source.head_seen_at for target in there]
    looked = min((at for at in seen if at is not None), default=None)
    text = f"{len(there)} of {count(len(targets), 'copy target')} hold the newest commit of their source"
    return Proof("", f"{text}, oldest look {format_ago(looked)}" if looked else text, url=reverse("copy"))


def _targets_of(team: Team) -> list[CopyTarget]:
    """The targets of the team's rules that are on, with source and state."""
    rows = CopyTarget.objects.filter(rule__job__team=team, rule__job__enabled=True)
    return list(rows.select_related("rule__source", "state"))


def job_lines(principal: Principal, repository: object) -> Sequence[JobLine]:
    """The rules that read the repository, then those that write to it. Four queries."""
    if not isinstance(repository, Repository):
        return ()
    mine = CopyTarget.objects.filter(repository=repository).values("rule_id")
    rows = CopyTarget.objects.filter(rule__job__team_id=repository.team_id)
    rows = rows.filter(Q(rule__source=repository) | Q(rule_id__in=mine))
    rows = rows.select_related("rule__job", "rule__source", "repository", "state").order_by(
        "rule__job__name", "pk"
    )
    targets = list(rows) if principal.may(Role.VIEWER, repository.team_id) else []
    standings = standings_of(targets)
    rules: dict[UUID, list[CopyTarget]] = {}
    for target in targets:
        rules.setdefault(target.rule_id, []).append(target)
    lines = [_job_line(repository, group, standings) for group in rules.values()]
    return sorted(lines, key=lambda line: not line.reads)


def _job_line(repository: Repository, targets: Sequence[CopyTarget], standings: dict[int, str]) -> JobLine:
    rule = targets[0].rule
    states = [standings[target.pk] for target in targets]
    worst = next((key for key in ("failed", "running", "unknown", "behind") if key in states), "at_head")
    there = states.count("at_head")
    return JobLine(
        kind="Copy",
        name=rule.job.name,
        url=reverse("copy_rule", args=[rule.job_id]),
        state=worst if rule.job.enabled else "disabled",
        word=f"{there} of {count(len(targets), 'target')} at HEAD" if rule.job.enabled else "off",
        reads=rule.source_id == repository.pk,
        heard=_heard(rule.job),
        targets=[
            Target(
                f"{target.repository.full_name} {target.branch}",
                reverse("repository", args=[target.repository_id]),
                standings[target.pk],
            )
            for target in targets
        ],
    )


def _heard(job: Job) -> str:
    if job.poll_seconds:
        return f"looks every {format_duration(job.poll_seconds)}, and hears webhooks"
    return "hears webhooks"


def next_steps(principal: Principal, team: Team) -> Sequence[NextStep]:
    """A first rule, for who may make one."""
    if not principal.may(Role.OPERATOR, team.pk):
        return ()
    make = Action("Make a copy rule", reverse("copy_new"), icon="plus")
    text = "Keep files of one repository the same in others. You see every file before one is written."
    return (NextStep("copy", "Copy files", text, make),)
