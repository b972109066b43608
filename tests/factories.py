"""Rows for tests, made the way the product makes them; every argument has a sensible default."""

from __future__ import annotations

import itertools
from typing import Any

from opssight.accounts.models import Membership, Role, Team, User
from repos.models import Connection, Repository
from syncs.models import Job, JobVersion, Worker

_numbers = itertools.count(1)


def make_user(email: str = "", **extra: Any) -> User:
    return User.objects.create_user(email or f"user{next(_numbers)}@example.org", "correct horse", **extra)


def make_team(user: User | None = None, role: Role = Role.OWNER, name: str = "") -> Team:
    name = name or f"Team {next(_numbers)}"
    team = Team.objects.create(name=name, slug=Team.free_slug(name))
    if user is not None:
        Membership.objects.create(team=team, user=user, role=role)
    return team


def make_connection(team: Team, provider: str = "folder", **extra: Any) -> Connection:
    name = extra.pop("name", f"connection {next(_numbers)}")
    return Connection.objects.create(team=team, provider=provider, name=name, **extra)


def make_repository(connection: Connection, full_name: str = "", **extra: Any) -> Repository:
    full_name = full_name or f"acme/repository-{next(_numbers)}"
    values = {"external_id": full_name, "default_branch": "main", **extra}
    return Repository.objects.create(
        team=connection.team, connection=connection, full_name=full_name, **values
    )


def make_job(team: Team, kind: str = "probe", config: dict[str, Any] | None = None, **extra: Any) -> Job:
    job = Job.objects.create(team=team, kind=kind, name=extra.pop("name", f"job {next(_numbers)}"), **extra)
    job.version = JobVersion.objects.create(job=job, number=1, config=config or {})
    job.save()
    return job


def make_worker(**extra: Any) -> Worker:
    return Worker.objects.create(**{"host": "test", "pid": 1, "lanes": ["std"], **extra})
