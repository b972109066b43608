"""A rule between two repositories of a stand-in forge, and the runs of it that a test asks for."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opssight.accounts.models import Team
from opssight.accounts.scope import Principal
from opssight.core.clock import now
from repos import access
from repos.providers.forge import Forge, Pull
from syncs import jobs
from syncs.copy.models import CopyState, OwnedFile
from syncs.copy.rules.config import CopyConfig, Target
from syncs.copy.rules.options import Options, PullRequest
from syncs.copy.rules.rule import Rule
from syncs.copy.saved.service import create_rule, update_rule
from syncs.engine import claim, runner
from syncs.engine.progress import read_log
from syncs.models import Item, Job, Run, RunState
from tests.factories import make_worker
from tests.repos.forges import Connected, connected
from tests.repos.git.work import Bare

Tree = dict[str, tuple[str, str]]  # path -> (mode, oid)
RULE = Rule("glob", "docs/**", "copied/${relative_path}")


def pull_options(**changes: Any) -> Options:
    return Options(strategy="pull_request", pull_request=PullRequest(**changes))


@dataclass
class Story:
    """`acme/docs` is copied to `acme/site`, both at the stand-in."""

    at: Connected
    job: Job

    @property
    def source(self) -> Bare:
        return self.bare("acme/docs")

    @property
    def target(self) -> Bare:
        return self.bare("acme/site")

    def bare(self, name: str) -> Bare:
        bare = self.at.forge.bare(self.at.repo(name))
        assert isinstance(bare, Bare)
        return bare

    @property
    def state(self) -> CopyState:
        return CopyState.objects.get(target__rule__job=self.job)

    @property
    def branch(self) -> str:
        return self.state.pull_branch

    # --- runs -----------------------------------------------------------------------------------

    def run(self, **input: Any) -> Run:
        """A run that somebody asks for, at work until it ended or waits."""
        jobs.start(self.job, Run.Trigger.MANUAL, "test", input=input)
        return execute()

    def item(self, **input: Any) -> Item:
        """The one item of a run."""
        run = self.run(**input)
        assert run.state in RunState.terminal(), (run.state, run.wait_reason)
        [item] = run.items.all()
        return item

    def change(self, **options: Any) -> None:
        """A new version of the rule, with other pull request options."""
        config = rule_of(self.at, pull_options(**options), self.job.name)
        self.job, _ = update_rule(self.at.principal, self.job, config)
        Run.objects.filter(state=RunState.QUEUED).delete()

    # --- the forge ------------------------------------------------------------------------------

    @property
    def client(self) -> Forge:
        client = access.client_of(self.at.connection)
        assert isinstance(client, Forge)
        return client

    @property
    def site(self) -> str:
        return self.at.row("acme/site").external_id

    def pulls(self) -> list[Pull]:
        """The open ones."""
        return list(self.client.pulls(self.site))

    def merge(self, method: Any = "merge") -> Pull:
        [pull] = self.pulls()
        return self.client.merge_pull(self.site, pull.number, method)

    def tree(self, ref: str = "main", repository: str = "acme/site") -> Tree:
        return tree(self.bare(repository), ref)

    def text(self, path: str, ref: str = "main") -> str:
        return self.target.git("show", f"{ref}:{path}")

    def asked(self) -> list[str]:
        """Requests to the API since this was called last."""
        asked = [f"{one.method} {one.path}" for one in self.at.forge.asked]
        self.at.forge.asked.clear()
        return asked


def logged(run: Run) -> set[str]:
    """The lines of a run's log."""
    return {line.message for _, line in read_log(run)}


def tree(bare: Bare, ref: str) -> Tree:
    lines = bare.git("ls-tree", "-r", "-z", ref).split("\0")
    rows = [line.partition("\t") for line in lines if line]
    return {path: (head.split(" ")[0], head.split(" ")[2]) for head, _, path in rows}


def rule_of(at: Connected, options: Options, name: str = "Docs to site", rule: Rule = RULE) -> CopyConfig:
    return CopyConfig(
        name,
        str(at.row("acme/docs").pk),
        "main",
        (rule,),
        (Target(str(at.row("acme/site").pk), "main"),),
        message="Bring ${file_count} files\n\nAs they are.",
        options=options,
    )


@dataclass(frozen=True)
class World:
    """Where stories are told: a folder, and a team with its administrator."""

    folder: Path
    team: Team
    principal: Principal

    @contextmanager
    def story(self, kind: str, options: Options | None = None) -> Iterator[Story]:
        """The rule is saved, and knows where the source is: what changes from now on is copied."""
        with connected(kind, self.folder, self.team, self.principal) as at:
            yield told(at, self.team, options or pull_options())


def told(at: Connected, team: Team, options: Options) -> Story:
    Run.objects.all().delete()
    job, _ = create_rule(at.principal, team, rule_of(at, options))
    run = execute()
    assert run.state == RunState.SUCCEEDED, run.sentence
    at.forge.asked.clear()
    return Story(at, job)


@contextmanager
def telling(world: World, options: Options, **files: str) -> Iterator[Story]:
    """A rule that copied `docs/a.md`, `docs/b.md` and these."""
    with world.story("gitea", options) as story:
        names = {
            "a.md": "a\n",
            "b.md": "b\n",
            **{name.replace("_", "."): text for name, text in files.items()},
        }
        story.source.commit({f"docs/{name}".encode(): text.encode() for name, text in names.items()})
        item = story.item()
        assert item.state == "done", item.sentence
        yield story


def owned(story: Story, *, pending: bool = False) -> list[str]:
    rows = OwnedFile.objects.filter(target__rule__job=story.job, pending=pending)
    return sorted(bytes(row.path).decode() for row in rows)


def save(story: Story, options: Options, rule: Rule = RULE) -> None:
    """A new version of the rule; it copies from the next change on."""
    config = rule_of(story.at, options, story.job.name, rule)
    update_rule(story.at.principal, story.job, config)
    for _ in range(Run.objects.filter(state=RunState.QUEUED, job=story.job).count()):
        execute(story.job)
    story.job.refresh_from_db()


def edit(story: Story, **files: str | None) -> None:
    """Somebody changes (None: deletes) copied files at the target."""
    data = {f"copied/{name.replace('_', '.')}".encode(): text for name, text in files.items()}
    story.target.commit({path: None if text is None else text.encode() for path, text in data.items()})


def copied(story: Story) -> dict[str, str]:
    """Text of the copied files at the target."""
    names = [path for path in story.tree() if path.startswith("copied/")]
    return {name.removeprefix("copied/"): story.text(name) for name in names}


def refused(item: Item) -> list[str]:
    return [one["sentence"] for one in item.result["refused"]]


def execute(job: Job | None = None) -> Run:
    """The run that waits (of this job), by a worker."""
    waiting = Run.objects.filter(state=RunState.QUEUED, kind="copy")
    if job is not None:
        waiting = waiting.filter(job=job)
    waiting.update(run_after=now() - dt.timedelta(minutes=1), priority=50)
    run = claim.claim(make_worker(), ["std"])
    assert run is not None
    assert run.kind == "copy"
    runner.execute(run)
    run.refresh_from_db()
    return run
