"""The plan on the page is the plan that runs: with the same memory, edits, contents and deletions."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from repos import access, warm
from repos.beside import forget
from syncs.copy.models import CopyState
from syncs.copy.plan.planned import Plan
from syncs.copy.preview import plans
from syncs.copy.preview.diff import FileDiff, file_diff
from syncs.copy.preview.preview import Preview, TargetPreview, preview
from syncs.copy.rules.config import CopyConfig, flows
from syncs.copy.rules.file_config import FileConfig
from syncs.copy.rules.options import Deletions, Options, Signing, Transform
from syncs.copy.rules.rule import Rule
from tests.factories import make_repository
from tests.syncs.copy.story import Story, World, edit, rule_of, telling

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]

OPTIONS = Options(
    deletions=Deletions("delete"),
    edits="merge",
    transforms=(Transform("header", text="# from ${source_repo}"), Transform("variables")),
)
SIGNED: tuple[Signing, ...] = ("key", "api")
LINES = "".join(f"line {number}\n" for number in range(1, 21))


def ready(story: Story, options: Options, *, saved: bool = True, rule: Rule | None = None) -> Preview:
    """The preview, once nothing is on its way any more."""
    config = rule_of(story.at, options, story.job.name)
    config = replace(config, rules=(rule,)) if rule else config
    heads = [story.source.oid("main"), story.target.oid("main")]
    for name in ("acme/docs", "acme/site"):
        for partial in (False, True):
            forget(("tip", story.at.row(name).pk, "main", partial))
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        found = preview(
            story.at.principal, config, story.job if saved else None, live=config if saved else None
        )
        if [found.oid, *(one.oid for one in found.targets)] == heads:
            return found
        time.sleep(0.05)
    raise AssertionError("the repositories were not fetched in time")


def planned(found: Preview) -> tuple[TargetPreview, Plan]:
    [target] = found.targets
    assert target.plan is not None, target.sentence
    return target, target.plan


def diff(target: TargetPreview, path: bytes) -> FileDiff:
    ends = time.monotonic() + 20
    while (found := file_diff(target, path)).fetching and time.monotonic() < ends:
        time.sleep(0.05)
    return found


def test_the_page_shows_what_the_run_does(world: World) -> None:
    with telling(world, OPTIONS, long_md=LINES) as story:
        edit(story, long_md=story.text("copied/long.md").replace("line 20", "mine") + "\n")
        changed = LINES.replace("line 1\n", "${target_repo}\n").encode()
        story.source.commit({b"docs/long.md": changed, b"docs/a.md": None, b"docs/new.md": b"new\n"})
        target, plan = planned(ready(story, OPTIONS))
        assert [write.path for write in plan.writes] == [b"copied/long.md", b"copied/new.md"]
        assert ([gone.path for gone in plan.deletes], plan.merged) == ([b"copied/a.md"], 1)
        merged = diff(target, b"copied/long.md").lines
        assert ("-line 1" in merged, "+acme/site" in merged, "-mine" in merged) == (True, True, False)
        assert diff(target, b"copied/new.md").lines[-2:] == ["+# from acme/docs", "+new"]

        item = story.item(whole=True)
        assert (item.result["files"], item.result["deletes"], item.result["merged"]) == (2, 1, 1)
        after = {path: story.target.git("rev-parse", f"main:{path}") for path in story.tree()}
        assert {write.path: write.oid for write in plan.writes} == {
            write.path: after[write.path.decode()] for write in plan.writes
        }
        target, plan = planned(ready(story, OPTIONS))
        assert plan.empty


def test_a_rule_that_is_not_saved_owns_nothing(world: World) -> None:
    with telling(world, OPTIONS) as story:
        options = Options(deletions=Deletions("delete"))
        _, plan = planned(
            ready(story, options, saved=False, rule=Rule("glob", "none/**", "copied/${filename}"))
        )
        assert (plan.deletes, plan.adoptable) == ((), ())
        _, plan = planned(ready(story, options, rule=Rule("glob", "none/**", "copied/${filename}")))
        assert [gone.path for gone in plan.deletes] == [b"copied/a.md", b"copied/b.md"]


def test_large_and_binary_contents_are_told_in_a_sentence(world: World) -> None:
    with telling(world, Options()) as story:
        story.source.commit({b"docs/big": b"x" * 500_000, b"docs/bin": b"\0\1\2"})
        target, _ = planned(ready(story, Options()))
        assert diff(target, b"copied/big").sentence == "Too large to show line by line."
        assert diff(target, b"copied/bin").sentence == "Binary: 0 bytes there, 3 bytes here."


def test_a_difference_without_lines_is_told_in_a_sentence(world: World) -> None:
    with telling(world, Options(), ends_md="one\n") as story:
        files: dict[bytes, bytes | None] = {
            b"docs/none": b"",
            b"docs/a.md": b"a\n",
            b"docs/ends.md": b"one\r\n",
        }
        story.source.commit(files, modes={b"docs/a.md": "100755"})
        target, _ = planned(ready(story, Options()))
        assert diff(target, b"copied/none").sentence == "The file is empty."
        assert diff(target, b"copied/a.md").sentence == "The file's mode changes from 100644 to 100755."
        assert diff(target, b"copied/ends.md").sentence == "Only line ends differ."
        assert "does nothing to this file any more" in diff(target, b"copied/b.md").sentence


def test_a_plan_is_made_once_and_again_when_something_it_depends_on_is_another(world: World) -> None:
    """A page asks each second while another target is fetched; thousands of merges are not made each time."""
    with telling(world, OPTIONS, long_md=LINES) as story:
        edit(story, long_md=story.text("copied/long.md").replace("line 20", "mine") + "\n")
        story.source.commit({b"docs/long.md": LINES.replace("line 1\n", "first\n").encode()})
        _, first = planned(ready(story, OPTIONS))
        assert first.merged == 1
        assert planned(ready(story, OPTIONS))[1] is first
        job = story.job
        renamed = replace(rule_of(story.at, OPTIONS, "Another name"), message="Other words")
        assert planned_for(story, renamed) is not first, "its name may be written into files"

        story.run(whole=True)
        assert planned(ready(story, OPTIONS))[1].empty
        since = planned(ready(story, OPTIONS))[1]
        edit(story, a_md="edited\n")
        assert planned(ready(story, OPTIONS))[1] is not since, "the target is at another commit"
        now = planned(ready(story, OPTIONS))[1]
        CopyState.objects.filter(target__rule__job=job).update(source_oid="0" * 40)
        assert planned(ready(story, OPTIONS))[1] is not now, "the rule remembers something else"


def test_only_so_many_plans_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with telling(world, Options()) as story:
        _, first = planned(ready(story, Options()))
        monkeypatch.setattr(plans, "MOST_FILES", 1_500)
        other = rule_of(story.at, Options(edits="hold"), story.job.name)
        kept = planned_for(story, other)
        assert planned_for(story, other) is kept
        assert planned(ready(story, Options()))[1] is not first


def planned_for(story: Story, config: CopyConfig) -> Plan:
    [target] = preview(story.at.principal, config, story.job).targets
    assert target.plan is not None
    return target.plan


def test_the_way_in_which_files_arrive_changes_nothing_of_what_is_the_rules_own(world: World) -> None:
    delete = Options(deletions=Deletions("delete"))
    with telling(world, delete) as story:
        story.source.commit({b"docs/a.md": None})
        found = ready(story, replace(delete, strategy="pull_request"))
        assert [gone.path for gone in planned(found)[1].deletes] == [b"copied/a.md"]
        ready(story, delete)
        live = rule_of(story.at, delete, story.job.name)
        changed = replace(live, options=replace(delete, strategy="pull_request"))
        [target] = preview(story.at.principal, changed, story.job, live=live).targets
        assert (target.delta.added, target.delta.changed, target.delta.removed) == (0, 0, 0)


def test_flows_that_want_other_signatures_are_said_before_the_run_fails(world: World) -> None:
    with telling(world, Options()) as story:
        ready(story, Options())
        live = rule_of(story.at, Options(), story.job.name)
        two = [flow for sign in SIGNED for flow in flows(replace(live, options=Options(sign=sign)))]
        config = FileConfig(live.name, live.source_repository, live.source_branch, tuple(two))
        [target] = preview(story.at.principal, config, story.job).targets
        assert (target.plan, "signed in different ways" in target.sentence) == (None, True)


def test_a_source_that_is_here_without_contents_is_being_fetched(world: World) -> None:
    """A copier's file was read from it before: then there is a store with nothing but trees."""
    with world.story("github", Options()) as story:
        made = story.at.forge.add_repository("acme/extra", {b"docs/a.md": b"a\n"})
        extra = make_repository(story.at.connection, "acme/extra", external_id=str(made.id))
        ref = "refs/heads/main"
        access.store_of(extra).fetch(access.remote_of(extra), [f"+{ref}:{ref}"], partial=True)
        assert access.store_of(extra).partial
        assert warm.tip(extra, "main", partial=True).oid
        config = replace(rule_of(story.at, OPTIONS, "extra"), source_repository=str(extra.pk))
        ends = time.monotonic() + 20
        while time.monotonic() < ends:
            [target] = preview(story.at.principal, config, None).targets
            assert target.sentence == ""
            if target.plan is not None:
                break
            assert target.fetching
            time.sleep(0.02)
        assert target.plan is not None
        assert [write.path for write in target.plan.writes] == [b"copied/a.md"]
