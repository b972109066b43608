"""Whether a rule writes, only says what it would write, or rests; and going back to an earlier version."""

from __future__ import annotations

from typing import Final, Literal, get_args

from django.db import transaction

from opssight.accounts.models import Role
from opssight.accounts.scope import Principal
from opssight.audit.record import record
from opssight.core.errors import Conflict, NotFound
from syncs import jobs
from syncs.copy.models import ConfigFile, CopyRule
from syncs.copy.rules.file_config import read_version
from syncs.copy.saved import leaving, service
from syncs.models import Job, Run

State = Literal["enabled", "shadow", "disabled"]
STATES: Final[tuple[State, ...]] = get_args(State)

MEANS: Final[dict[str, str]] = {
    "enabled": "Changes are planned and written.",
    "shadow": "Changes are planned and shown in each run. Nothing is written.",
    "disabled": "Nothing starts. What was pushed meanwhile is taken along later.",
}


def state_of(job: Job) -> State:
    """The state of a copy job. Reads its rule."""
    if not job.enabled:
        return "disabled"
    rule = CopyRule.objects.filter(job=job).only("shadow").first()
    return "shadow" if rule is not None and rule.shadow else "enabled"


@transaction.atomic
def set_state(principal: Principal, job: Job, state: State) -> None:
    """Set whether the rule writes. A run that is going on is not touched."""
    principal.require(Role.OPERATOR, job.team_id)
    if state != "disabled":
        shadow = state == "shadow"
        changed = CopyRule.objects.filter(job=job).exclude(shadow=shadow).update(shadow=shadow)
        if changed:
            target = ("job", job.pk, job.name)
            record("copy.shadow", team_id=job.team_id, target=target, diff={"shadow": [not shadow, shadow]})
        if changed and not shadow:
            leaving.wake(job)
    jobs.set_enabled(job, state != "disabled")


def file_of(job: Job) -> ConfigFile | None:
    """The file that the rule is made from; None for a rule made here."""
    return ConfigFile.objects.filter(rules__job=job).select_related("repository__connection").first()


def roll_back(principal: Principal, job: Job, number: int) -> tuple[Job, Run | None]:
    """Make what version `number` says the current version: a new one with that content.

    NotFound when there is no such version, Conflict for a rule that is made from a file, InvalidInput
    when it speaks of a repository that is not there any more.
    """
    principal.require(Role.OPERATOR, job.team_id)
    if file := file_of(job):
        raise Conflict(f"{job.name} is made from the file {file.name}. Go back to a version of that file.")
    version = job.versions.filter(number=number).first()
    if version is None:
        raise NotFound(f"{job.name} has no version {number}.")
    config = read_version(version.config)
    return service.update_rule(principal, job, config, note=f"As version {number}.")
