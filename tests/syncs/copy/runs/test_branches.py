"""Rules that read different branches of one source: a target is measured against its own rule's branch."""

from __future__ import annotations

from dataclasses import replace

import pytest

from repos.models import Repository, RepositoryStatus
from syncs.copy.models import CopyRule, CopyTarget
from syncs.copy.rules.config import Target, parse_config
from syncs.copy.rules.options import Options
from syncs.copy.runs.automerge import request_look
from syncs.copy.saved.service import create_rule, update_rule
from syncs.copy.saved.status import standings_of
from syncs.copy.views.rules import rule_rows
from syncs.models import Job, Run, RunState
from tests.factories import make_repository
from tests.syncs.copy.story import Story, World, execute, pull_options, rule_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]


def second(told: Story, options: Options) -> Story:
    """Another rule of the same source, from its branch dev to another repository; dev is ahead of main."""
    told.source.git("branch", "--force", "dev", "main")
    told.source.commit({b"docs/dev.md": b"dev\n"}, branch="dev")
    told.at.forge.add_repository("acme/blog", {b"index.html": b"blog"})
    blog = make_repository(told.at.connection, "acme/blog", external_id=str(told.at.repo("acme/blog").id))
    config = rule_of(told.at, options, "dev")
    config = replace(config, source_branch="dev", targets=(Target(str(blog.pk), "main"),))
    job, _ = create_rule(told.at.principal, told.job.team, config, start="now")
    run = execute(job)
    assert run.state == RunState.SUCCEEDED, run.sentence
    return Story(told.at, job)


def status() -> tuple[str, str, int | None, str]:
    row = RepositoryStatus.objects.get(lane="copy")
    return row.state, row.sentence, row.behind, row.fresh_oid


def standings() -> list[str]:
    rows = CopyTarget.objects.select_related("rule__source", "state").order_by("pk")
    return list(standings_of(list(rows)).values())


def words(*stories: Story) -> list[tuple[str, str]]:
    """What the list of rules says of each."""
    jobs = [Job.objects.get(pk=story.job.pk) for story in stories]
    for job in jobs:
        job.last_run = Run.objects.filter(job=job).latest("pk").pk  # type: ignore[attr-defined]
    return [(row.state, row.word) for row in rule_rows(jobs)]


@pytest.mark.parametrize("last", ["main", "dev"])
def test_what_is_fully_copied_is_at_head(world: World, last: str) -> None:
    with world.story("github", Options()) as told:
        told.source.commit({b"docs/a.md": b"a\n"})
        dev = second(told, Options())
        for story in (dev, told) if last == "main" else (told, dev):
            story.run()
        main = told.source.oid("main")
        assert status() == ("fresh", "2 of 2 targets at HEAD", 0, main)
        assert told.at.row("acme/docs").head_oid == main
        assert standings() == ["at_head", "at_head"]
        assert words(told, dev) == [("at_head", "at HEAD")] * 2


def test_each_is_behind_its_own_branch(world: World) -> None:
    with world.story("github", Options()) as told:
        dev = second(told, Options())
        Repository.objects.filter(full_name="acme/docs").update(head_oid=told.source.oid("main"))
        assert standings() == ["at_head", "at_head"]
        told.source.commit({b"docs/b.md": b"b\n"})
        head = told.source.oid("main")
        Repository.objects.filter(full_name="acme/docs").update(head_oid=head)  # as a webhook tells
        assert standings() == ["behind", "at_head"]
        assert words(told, dev) == [("behind", "0 of 1 target at HEAD"), ("at_head", "at HEAD")]
        dev.run()
        assert status()[:2] == ("behind", "1 of 2 targets at HEAD")
        told.run()
        assert status() == ("fresh", "2 of 2 targets at HEAD", 0, head)


def test_a_look_after_pull_requests_takes_no_other_branch_for_its_own(world: World) -> None:
    with world.story("github", Options()) as told:
        dev = second(told, pull_options())
        told.run()
        heads = dict(CopyRule.objects.values_list("source_branch", "head_oid"))
        assert heads == {name: told.source.oid(name) for name in ("main", "dev")}
        assert status()[:3] == ("fresh", "1 of 2 targets at HEAD, 1 in pull requests", 0)
        site = dev.at.row("acme/blog").external_id
        [pull] = dev.client.pulls(site)
        dev.client.merge_pull(site, pull.number, "merge")
        request_look(dev.job, Run.Trigger.MANUAL, "test")
        execute(dev.job)
        assert status()[:3] == ("fresh", "2 of 2 targets at HEAD", 0)
        assert told.at.row("acme/docs").head_oid == heads["main"]


def test_a_branch_that_nobody_looked_at_is_not_known(world: World) -> None:
    with world.story("github", Options()) as told:
        dev = second(told, Options())
        CopyRule.objects.filter(job=dev.job).update(head_oid="")
        assert standings() == ["at_head", "unknown"]
        assert words(dev) == [("unknown", "")]


def test_a_rule_that_reads_another_branch_now_forgets_the_head_of_the_old_one(world: World) -> None:
    with world.story("github", Options()) as told:
        dev = second(told, Options())
        config = parse_config(Job.objects.get(pk=dev.job.pk).version.config)  # type: ignore[union-attr]
        assert CopyRule.objects.get(job=dev.job).head == told.source.oid("dev")
        update_rule(told.at.principal, dev.job, replace(config, source_branch="next"))
        assert CopyRule.objects.get(job=dev.job).head == ""
