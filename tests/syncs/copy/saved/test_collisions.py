"""Two rules that write different content to one path: refused when they are saved, and when they run."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from opssight.accounts.models import Role
from opssight.accounts.scope import Principal
from opssight.core.errors import InvalidInput
from syncs import jobs
from syncs.copy.rules.config import CopyConfig, Flow, Target
from syncs.copy.rules.file_config import FileConfig
from syncs.copy.rules.options import Options, Transform
from syncs.copy.rules.rule import Rule
from syncs.copy.saved import service
from syncs.copy.saved.collisions import collisions
from syncs.models import Job, Run, RunState
from tests.factories import make_team, make_user
from tests.syncs.copy.story import RULE, Story, World, copied, execute, refused, rule_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.http_git]

FILES = {b"docs/a": b"a\n", b"other/a": b"another\n", b"other/same": b"a\n", b"docs/same": b"a\n"}
OTHER = Rule("glob", "other/**", "copied/${relative_path}")
SENTENCE = (
    "Two rules write different content to copied/a: it comes from docs/a and from other/a. "
    "Change one of them so that only one does."
)


@pytest.fixture
def story(world: World) -> Any:
    """`RULE` has copied the files in `docs`."""
    with world.story("gitea", Options()) as found:
        found.source.commit(FILES)
        found.item()
        yield found


def config_of(story: Story, *rules: Rule, name: str = "other", **options: Any) -> CopyConfig:
    return replace(rule_of(story.at, Options(**options), name), rules=rules)


def save(story: Story, config: CopyConfig | FileConfig) -> Job:
    return service.create_rule(story.at.principal, story.job.team, config)[0]


def test_within_one_rule(story: Story) -> None:
    config = config_of(story, RULE, OTHER)
    with pytest.raises(InvalidInput, match="different content") as caught:
        service.update_rule(story.at.principal, story.job, config)
    assert caught.value.problems == [("rules[1]", SENTENCE)]
    assert story.job.versions.count() == 1, "nothing is saved"


def test_with_another_rule(story: Story) -> None:
    with pytest.raises(InvalidInput) as caught:
        save(story, config_of(story, OTHER))
    assert caught.value.problems == [
        (
            "rules[0]",
            f"The rule “{story.job.name}” writes other content to copied/a on main as well. "
            "Change one of the two so that only one does.",
        )
    ]


def test_a_rule_of_another_team_is_not_named(story: Story) -> None:
    stranger = make_user()
    make_team(stranger, Role.OPERATOR)
    [(_, sentence)] = collisions(Principal.of_user(stranger), config_of(story, OTHER))
    assert sentence.startswith("A rule of another team writes other content to copied/a")


@pytest.mark.parametrize(
    "change",
    [
        lambda config: replace(config, rules=(Rule("copy", "other/same", "copied/same"),)),
        lambda config: replace(config, rules=(Rule("move", "other", "elsewhere"),)),
        lambda config: replace(config, targets=(Target(config.targets[0].repository, "another"),)),
    ],
)
def test_what_does_not_collide(story: Story, change: Any) -> None:
    assert save(story, change(config_of(story, OTHER))).versions.count() == 1


def test_a_rule_that_is_switched_off_or_only_looks_is_in_nobodys_way(story: Story) -> None:
    story.job.copy_rule.shadow = True
    story.job.copy_rule.save()
    assert collisions(story.at.principal, config_of(story, OTHER)) == []
    story.job.copy_rule.shadow = False
    story.job.copy_rule.save()
    assert len(collisions(story.at.principal, config_of(story, OTHER))) == 1
    Job.objects.update(enabled=False)
    assert collisions(story.at.principal, config_of(story, OTHER)) == []


def test_changes_to_contents_make_a_difference(story: Story) -> None:
    same = Rule("copy", "other/same", "copied/same")
    header = Transform("header", text="h")
    assert len(collisions(story.at.principal, config_of(story, same, transforms=(header,)))) == 1
    elsewhere = replace(header, files=("**/b",))
    assert collisions(story.at.principal, config_of(story, same, transforms=(elsewhere,))) == []


def test_between_flows_of_a_file_whichever_way_they_arrive(story: Story) -> None:
    source, target = (str(story.at.row(name).pk) for name in ("acme/docs", "acme/site"))
    flows = (
        Flow("one", source, "main", (RULE,), target, "new"),
        Flow("two", source, "main", (OTHER,), target, "new", options=Options("pull_request")),
    )
    found = collisions(story.at.principal, FileConfig("file", source, "main", flows))
    assert found == [("flows[1].rules[0]", SENTENCE)]


def test_a_source_that_is_not_here_is_not_waited_for(story: Story) -> None:
    config = replace(config_of(story, OTHER), source_branch="never-fetched")
    assert collisions(story.at.principal, config) == []


def test_what_shows_only_later_is_refused_when_it_runs(story: Story) -> None:
    """When the rule was saved, its source had no such file yet."""
    later = save(story, config_of(story, Rule("glob", "later/**", "copied/${relative_path}")))
    execute(later)
    story.source.commit({b"later/a": b"another\n", b"later/b": b"b\n"})
    jobs.start(later, Run.Trigger.MANUAL, "test")
    run = execute(later)
    assert run.state == RunState.PARTIAL
    [item] = run.items.all()
    assert refused(item) == [
        f"copied/a was written by the rule “{story.job.name}”, with other content; "
        "change one of the two rules."
    ]
    assert copied(story) == {"a": "a", "same": "a", "b": "b"}


def test_what_one_rule_gives_up_another_one_may_take(story: Story) -> None:
    """The first one's file stays at the target, as its rule says; it is in nobody's way."""
    first = replace(rule_of(story.at, Options(), story.job.name), rules=(replace(RULE, exclude=("**/a",)),))
    service.update_rule(story.at.principal, story.job, first)
    second = save(story, config_of(story, OTHER))
    execute(second)
    jobs.start(second, Run.Trigger.MANUAL, "test", input={"whole": True})
    assert execute(second).state == RunState.SUCCEEDED
    assert copied(story) == {"a": "another", "same": "a"}
