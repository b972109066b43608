"""`opssight run …`: what the runs pages do, from a shell."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from opssight.accounts.local import add_team_argument, local_principal, local_team
from opssight.core.command import Answer, CommandGroup, table, typed
from opssight.core.env_kinds import whole_number
from opssight.core.errors import NotFound
from repos.management.finding import with_id
from syncs import jobs, selectors
from syncs.engine.progress import read_log
from syncs.management.commands.job import find_job
from syncs.models import Item, Run, RunState


class Command(CommandGroup):
    help = "Start, list, show, retry and cancel runs; read their logs."

    def arguments(self, parser: CommandParser) -> None:
        commands = self.subcommands(parser)
        start = self.subcommand(commands, "start", self.start, "Start a run of a job.")
        start.add_argument("job", help="The job's name or id.")
        start.add_argument(
            "--whole", action="store_true", help="Not only what changed: everything (backfill)."
        )
        start.add_argument(
            "--wait", action="store_true", help="Wait until it has ended; exit 1 if it failed."
        )
        rows = self.subcommand(commands, "list", self.list, "List runs, newest first.")
        rows.add_argument(
            "--state", default="", choices=[*RunState.values, *selectors.STATE_GROUPS],
            help="A state, or open (queued or running), or bad (needs somebody).",
        )  # fmt: skip
        rows.add_argument("--limit", type=typed(whole_number(1)), default=20, help="How many at most.")
        others = [start, rows]
        for name, method, text in (
            ("show", self.show, "Show a run and what it did."),
            ("retry", self.retry, "Run again what failed."),
            ("cancel", self.cancel, "Stop a run."),
            ("log", self.log, "Print a run's log."),
        ):
            command = self.subcommand(commands, name, method, text)
            command.add_argument("run", help="The run's id (its last four digits will do).")
            others.append(command)
        for command in others:
            add_team_argument(command)

    def start(self, **options: Any) -> Answer:
        job = find_job(options)
        input = {"whole": True} if options["whole"] else {}
        run = jobs.start(job, Run.Trigger.CLI, "somebody at the command line", input=input)
        if options["wait"]:
            run = ended(run, self.progress)
        return answer(run)

    def list(self, **options: Any) -> Answer:
        principal = local_principal(local_team(options["team"]))
        found = selectors.runs(principal, state=options["state"])[: options["limit"]]
        rows = [run_row(run) for run in found]
        shown = [{**row, "sentence": row["sentence"] or row["wait_reason"]} for row in rows]
        text = table(shown, ["short_id", "kind", "title", "state", "created_at", "sentence"])
        return Answer({"results": rows}, text if rows else "No runs.")

    def show(self, **options: Any) -> Answer:
        return answer(find_run(options), failures=False)

    def retry(self, **options: Any) -> Answer:
        return answer(jobs.retry(find_run(options), "somebody at the command line"))

    def cancel(self, **options: Any) -> Answer:
        return answer(jobs.cancel(find_run(options), "the command line"), failures=False)

    def log(self, **options: Any) -> Answer:
        lines = [line for _, line in read_log(find_run(options))]
        document = [{"at": x.at, "level": x.level, "step": x.step, "message": x.message} for x in lines]
        text = "\n".join(f"{x.at[11:23]}  {x.level:7}  {x.step:12}  {x.message}" for x in lines)
        return Answer({"results": document}, text)


def ended(run: Run, progress: Callable[[str], None]) -> Run:
    """The run once it has ended, with what it does meanwhile told to `progress`."""
    said = ""
    while not run.finished:
        time.sleep(0.3)
        run.refresh_from_db()
        now = run.progress_text or run.wait_reason or run.state
        if now != said:
            progress(now)
            said = now
    return run


def answer(run: Run, *, failures: bool = True) -> Answer:
    """A run with its items; one that ended badly makes the exit status 1."""
    items = [item_row(item) for item in selectors.items(run)]
    bad = failures and run.state in (RunState.FAILED, RunState.PARTIAL, RunState.DEAD)
    head = f"{run.short_id}  {run.get_state_display()}  {run.sentence or run.wait_reason}".rstrip()
    text = head if not items else f"{head}\n{table(items, ['state', 'label', 'sentence'])}"
    return Answer({**run_row(run), "items": items}, text, [run.sentence] if bad else [])


def run_row(run: Run) -> dict[str, Any]:
    names = ("id", "short_id", "kind", "title", "state", "trigger", "because", "sentence", "wait_reason")
    times = ("run_after", "created_at", "started_at", "finished_at")
    numbers = ("attempt", "stats", "progress_text", "progress_done", "progress_total")
    return {name: getattr(run, name) for name in (*names, *times, *numbers)} | {"job": run.job_id}


def item_row(item: Item) -> dict[str, Any]:
    names = ("key", "label", "state", "code", "sentence", "retryable", "planned", "result")
    return {name: getattr(item, name) for name in names}


def find_run(options: dict[str, Any]) -> Run:
    """The run by its id, or the newest whose id ends with the given digits."""
    found = with_id(selectors.runs(local_principal(local_team(options["team"]))), options["run"])
    if found is None:
        raise NotFound(f"There is no run {options['run']!r}. opssight run list shows the newest.")
    return found
