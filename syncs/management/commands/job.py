"""`opssight job …`: what the jobs pages do, from a shell."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from opssight.accounts.local import add_team_argument, local_principal, local_team
from opssight.core.command import Answer, CommandGroup, table
from opssight.core.errors import NotFound
from syncs import jobs, selectors
from syncs.models import Job


class Command(CommandGroup):
    help = "List jobs, show one, switch it on or off."

    def arguments(self, parser: CommandParser) -> None:
        commands = self.subcommands(parser)
        add_team_argument(self.subcommand(commands, "list", self.list, "List the jobs of a team."))
        for name, method, text in (
            ("show", self.show, "Show a job with its configuration."),
            ("enable", self.enable, "Switch a job on."),
            ("disable", self.disable, "Switch a job off; what runs goes on."),
        ):
            command = self.subcommand(commands, name, method, text)
            command.add_argument("job", help="The job's name or id.")
            add_team_argument(command)

    def list(self, **options: Any) -> Answer:
        principal = local_principal(local_team(options["team"]))
        rows = [job_row(job) for job in selectors.jobs(principal)]
        text = table(rows, ["kind", "name", "enabled", "version", "schedule"]) if rows else "No jobs yet."
        return Answer({"results": rows}, text)

    def show(self, **options: Any) -> Answer:
        job = find_job(options)
        document = {**job_row(job), "config": job.version.config if job.version else None}
        return Answer(document, "\n".join(f"{key}: {value}" for key, value in document.items()))

    def enable(self, **options: Any) -> Answer:
        return self._switch(options, enabled=True)

    def disable(self, **options: Any) -> Answer:
        return self._switch(options, enabled=False)

    def _switch(self, options: dict[str, Any], *, enabled: bool) -> Answer:
        job = find_job(options)
        jobs.set_enabled(job, enabled)
        return Answer(job_row(job), f"{job.name} is {'on' if enabled else 'off'}.")


def job_row(job: Job) -> dict[str, Any]:
    return {
        "id": job.pk,
        "kind": job.kind,
        "name": job.name,
        "enabled": job.enabled,
        "version": job.version.number if job.version else None,
        "schedule": job.cron,
        "next_at": job.next_at,
        "poll_seconds": job.poll_seconds,
    }


def find_job(options: dict[str, Any]) -> Job:
    """The job by name or id among those of the team. NotFound says how to see them."""
    rows = selectors.jobs(local_principal(local_team(options["team"])))
    wanted = options["job"]
    for job in rows:
        if wanted in (job.name, str(job.pk)):
            return job
    raise NotFound(f"There is no job {wanted!r}. opssight job list shows what there is.")
