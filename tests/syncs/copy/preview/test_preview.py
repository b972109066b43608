"""The plan on the page is the plan that runs: with the same memory, edits, contents and deletions."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from repos.beside import forget
from syncs.copy.plan.plan import Plan
from syncs.copy.preview.preview import FileDiff, Preview, TargetPreview, file_diff, preview
from syncs.copy.rules.options import Deletions, Options, Transform
from syncs.copy.rules.rule import Rule
from tests.syncs.copy.saved.test_ownership import edit, telling
from tests.syncs.copy.story import Story, World, rule_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]

OPTIONS = Options(
    deletions=Deletions("delete"),
    edits="merge",
    transforms=(Transform("header", text="# from ${source_repo}"), Transform("variables")),
)
LINES = "".join(f"line {number}\n" for number in range(1, 21))


def ready(story: Story, options: Options, *, saved: bool = True, rule: Rule | None = None) -> Preview:
    """The preview, once nothing is on its way any more."""
    config = rule_of(story.at, options, story.job.name)
    config = replace(config, rules=(rule,)) if rule else config
    heads = [story.source.oid("main"), story.target.oid("main")]
    for name in ("acme/docs", "acme/site"):
        forget(("tip", story.at.row(name).pk, "main"))
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        found = preview(story.at.principal, config, config if saved else None, story.job if saved else None)
        if [found.oid, *(one.oid for one in found.targets)] == heads:
            return found
        time.sleep(0.05)
    raise AssertionError("the repositories were not fetched in time")


def planned(found: Preview) -> tuple[TargetPreview, Plan]:
    [target] = found.targets
    assert target.plan is not None, target.sentence
    return target, target.plan


def diff(target: TargetPreview, path: bytes) -> FileDiff:
    assert target.plan is not None
    [write] = [one for one in target.plan.writes if one.path == path]
    ends = time.monotonic() + 20
    while (found := file_diff(target, write)).fetching and time.monotonic() < ends:
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
