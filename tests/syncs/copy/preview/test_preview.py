"""The plan on the page is the plan that runs: with the same memory, edits, contents and deletions."""

from __future__ import annotations

import time
from dataclasses import replace
from random import Random

import pytest

from opssight.accounts.models import Membership, Role
from opssight.accounts.scope import Principal
from repos import access, kept, warm
from repos.beside import forget
from repos.models import RepositoryGrant
from syncs.copy.models import CopyState
from syncs.copy.plan.planned import Plan
from syncs.copy.preview.diff import FileDiff, file_diff
from syncs.copy.preview.plans import kept_files
from syncs.copy.preview.preview import Preview, TargetPreview, preview
from syncs.copy.rules.config import CopyConfig, Target, flows
from syncs.copy.rules.file_config import FileConfig
from syncs.copy.rules.options import Deletions, Options, Signing, Transform
from syncs.copy.rules.rule import Rule
from syncs.copy.saved.service import create_rule
from syncs.models import Job
from tests.factories import make_repository, make_team, make_user
from tests.syncs.copy.story import Story, World, edit, refused, rule_of, telling

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
        if [found.oid, *(one.oid for one in found.targets)] == heads and not found.fetching:
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
        monkeypatch.setattr(kept, "MOST", 1_500)
        other = rule_of(story.at, Options(edits="hold"), story.job.name)
        second = planned_for(story, other)
        assert planned_for(story, other) is second
        assert planned(ready(story, Options()))[1] is not first


def test_only_so_many_files_of_targets_are_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    with telling(world, Options()) as story:
        site = story.at.row("acme/site").pk
        old, new = story.target.commit({b"x": b"1"}), story.target.commit({b"x": b"2"})
        ready(story, Options())
        files = kept_files(site, new)
        assert kept_files(site, new) is files
        monkeypatch.setattr(kept, "MOST", 1_500)
        newest = kept_files(site, old)
        assert kept_files(site, old) is newest
        assert kept_files(site, new) is not files


def planned_for(story: Story, config: CopyConfig) -> Plan:
    [target] = preview(story.at.principal, config, story.job).targets
    assert target.plan is not None
    return target.plan


# --- whose rules are named --------------------------------------------------------------------------------

OTHER = Rule("glob", "other/**", "copied/${relative_path}")
ANOTHER_TEAM = (
    "copied/a.md was written by a rule of another team, with other content; change one of the two rules."
)


def in_the_way(principal: Principal, config: CopyConfig, job: Job | None = None) -> str:
    """What a member of a team reads of the one file that another rule wrote."""
    [target] = preview(principal, config, job).targets
    assert target.plan is not None, target.sentence
    [refusal] = target.plan.refused
    return refusal.sentence


def test_who_may_only_read_a_target_is_told_the_names_of_no_rules_there(world: World) -> None:
    with telling(world, Options()) as story:
        story.source.commit({b"other/a.md": b"another\n"})
        ready(story, Options())
        config = replace(rule_of(story.at, Options(), ""), rules=(OTHER,))
        assert f"the rule “{story.job.name}”" in in_the_way(story.at.principal, config)
        stranger = make_user()
        team = make_team(stranger, Role.OPERATOR)
        for name in ("acme/docs", "acme/site"):
            RepositoryGrant.objects.create(repository=story.at.row(name), team=team)
        assert in_the_way(Principal.of_user(stranger), config) == ANOTHER_TEAM


def test_a_kept_plan_names_no_rules_of_a_team_that_only_others_are_in(world: World) -> None:
    """Somebody in both teams has rules of the second one write to a repository of the first one."""
    with telling(world, Options()) as story:
        second = make_team(story.at.principal.user, Role.OPERATOR)
        both = Principal.of_user(story.at.principal.user)
        config = replace(rule_of(story.at, Options(), "Theirs"), rules=(OTHER,))
        elsewhere = replace(config, targets=(Target(str(story.at.row("acme/docs").pk), "elsewhere"),))
        theirs, _ = create_rule(both, second, elsewhere)
        story.job.team = second
        story.job.save()
        story.source.commit({b"other/a.md": b"another\n"})
        ready(story, Options())
        assert f"the rule “{story.job.name}”" in in_the_way(both, config, theirs)
        colleague = make_user()
        Membership.objects.create(team=world.team, user=colleague, role=Role.OPERATOR)
        assert in_the_way(Principal.of_user(colleague), config) == ANOTHER_TEAM


# --- what is too large ------------------------------------------------------------------------------------


def test_a_list_of_deletions_that_is_too_large_is_not_even_fetched(world: World) -> None:
    """Neither for a page nor for a run, and the two say the same."""
    options = Options(deletions=Deletions("record", "list"))
    with telling(world, options) as story:
        story.target.commit({b"list": Random(0).randbytes(12_000_000)})
        story.source.commit({b"docs/a.md": None})
        before = story.tree()
        [refusal] = planned(ready(story, options))[1].refused
        assert refusal.sentence == "list is larger than 10 MB; name another file."
        assert not there(story, "list")
        assert refused(story.item()) == [refusal.sentence]
        assert (story.tree(), there(story, "list")) == (before, False)


def test_a_file_that_is_too_large_to_be_compared_is_not_even_fetched(world: World) -> None:
    with telling(world, Options()) as story:
        story.target.commit({b"copied/a.md": Random(0).randbytes(2_000_000)})
        story.source.commit({b"docs/a.md": b"new\n"})
        target, _ = planned(ready(story, Options()))
        assert diff(target, b"copied/a.md").sentence == "Too large to show line by line."
        assert not there(story, "copied/a.md")


def there(story: Story, path: str) -> bool:
    """Whether the content of a file of the target is on this machine."""
    store = access.store_of(story.at.row("acme/site"))
    assert store.partial
    return store.has(story.target.oid(f"main:{path}"))


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
