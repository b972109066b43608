"""Runs for tests of pages: a signed-in browser, and runs in every state with items and a log."""

from __future__ import annotations

import datetime as dt
import json
import zlib
from typing import Any

from django.test import Client

from opssight.accounts.middleware import TEAM_KEY
from opssight.accounts.models import Role, Team
from opssight.core.clock import now
from syncs.models import Item, Job, Run, RunLog
from tests.factories import make_job, make_team, make_user


def signed_in(team: Team | None = None, role: Role = Role.OWNER) -> tuple[Client, Team]:
    """A browser of a member with this role, working in the team (a new one where none is given)."""
    user = make_user()
    team = team or make_team()
    team.memberships.create(user=user, role=role)
    client = Client()
    client.force_login(user)
    session = client.session
    session[TEAM_KEY] = str(team.pk)
    session.save()
    return client, team


def make_run(job: Job, state: str = "succeeded", **extra: Any) -> Run:
    """A run of the job that ended now after 2.1 s, or is queued or running."""
    values: dict[str, Any] = {"kind": job.kind, "title": job.name, "trigger": Run.Trigger.WEBHOOK}
    values["version"] = job.version
    if state != "queued":
        values["started_at"] = now() - dt.timedelta(seconds=2.1)
        values["attempt"] = 1
    if state == "running":
        values |= {"lease_token": job.pk, "lease_until": now() + dt.timedelta(hours=1)}
    elif state != "queued":
        values["finished_at"] = now()
    return Run.objects.create(team=job.team, job=job, state=state, **{**values, **extra})


def make_item(run: Run, label: str, state: str = "done", **extra: Any) -> Item:
    values: dict[str, Any] = {"key": label, "label": label, "state": state, "started_at": now()}
    if state != "planned":
        values["finished_at"] = now() + dt.timedelta(seconds=0.8)
    return Item.objects.create(run=run, **{**values, **extra})


def add_log(run: Run, *lines: tuple[str, str, str]) -> None:
    """(level, step, message) each, as one stored piece."""
    names = ("level", "step", "message")
    at = "2026-11-19T11:02:07.114+00:00"
    text = "\n".join(json.dumps({"at": at, **dict(zip(names, line, strict=True))}) for line in lines)
    seq = RunLog.objects.filter(run=run).count() + 1
    RunLog.objects.create(run=run, seq=seq, lines=zlib.compress(text.encode()))


def make_runs(team: Team, number: int) -> list[Run]:
    job = make_job(team)
    return [make_run(job, sentence=f"Run number {n}.") for n in range(number)]
