"""Pull requests whose rule goes away, and the run that closes them."""

from __future__ import annotations

from dataclasses import replace

from repos.providers.forge import Pull
from syncs import jobs
from syncs.copy.rules.config import Target
from syncs.copy.rules.options import Options
from syncs.copy.saved.leaving import LEFT
from syncs.copy.saved.service import update_rule
from syncs.models import Item, Run, RunState
from tests.syncs.copy.story import Story, execute, pull_options, rule_of


def opened(told: Story) -> Story:
    told.source.commit({b"docs/a.md": b"a\n"})
    told.item()
    return told


def take_out(told: Story) -> None:
    """The rule goes to another branch now."""
    told.target.git("branch", "--force", "other", "main")
    site = str(told.at.row("acme/site").pk)
    config = replace(rule_of(told.at, pull_options(), told.job.name), targets=(Target(site, "other"),))
    update_rule(told.at.principal, told.job, config)


def delete(told: Story) -> None:
    jobs.delete_job(told.job)


def commit_directly(told: Story) -> None:
    config = rule_of(told.at, Options(), told.job.name)
    update_rule(told.at.principal, told.job, config)


def closing() -> Run:
    """One attempt of the run that was asked for."""
    Run.objects.filter(state=RunState.QUEUED).exclude(input__has_key=LEFT).delete()
    return execute()


def close_left() -> Item:
    """What the run that was asked for did, to its end."""
    run = closing()
    assert run.state in RunState.terminal(), run.wait_reason
    [item] = run.items.all()
    return item


def now(told: Story, number: int) -> Pull:
    return told.client.pull(told.site, number)


def branches(told: Story) -> list[str]:
    return [ref for ref in told.target.refs() if "opssight/" in ref]
