"""Whatever starts a copy, the target gets the same; tags are copied as they stand, and nothing goes back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from pytest_django import Settings

from opssight.accounts.scope import Principal
from opssight.audit.models import AuditEvent
from opssight.core.errors import InvalidInput
from repos.events import PullRequestChanged, Pushed, publish
from repos.models import Repository, RepositoryStatus, Webhook
from syncs import jobs, triggers
from syncs.copy.models import CopyState
from syncs.copy.rules.config import CopyConfig, Target, parse_config, to_data
from syncs.copy.rules.file_config import (
    FileConfig,
    file_config_data,
    flows_of,
    parse_file_config,
    read_version,
)
from syncs.copy.rules.listening import AS_A_COPIER, EVERY_TAG, Listening
from syncs.copy.rules.rule import Rule
from syncs.copy.saved import status
from syncs.copy.saved.service import create_rule, update_rule
from syncs.engine import claim, poll, runner, schedule
from syncs.models import Item, Job, Run, RunState, Trigger
from tests.api.client import api_of
from tests.chaos.world import World, git
from tests.factories import make_connection, make_repository, make_team, make_user, make_worker

pytestmark = pytest.mark.django_db(transaction=True)

RULE = Rule("glob", "docs/**", "copied/${relative_path}")


class Desk:
    """A rule from `source` to `target`, and a worker that does what is queued."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.user = make_user()
        self.team = make_team(self.user)
        connection = make_connection(self.team, options={"root": str(world.served)}, local=True)
        self.source = make_repository(connection, "source")
        self.target = make_repository(connection, "target")

    def config(self, *events: Any, tags: str = EVERY_TAG, message: str = "") -> CopyConfig:
        return CopyConfig(
            name="docs",
            source_repository=str(self.source.pk),
            source_branch="main",
            rules=(RULE,),
            targets=(Target(str(self.target.pk), "main"),),
            message=message,
            listening=Listening(events or ("push",), tags),
        )

    def rule(self, *events: Any, **more: Any) -> Job:
        job, _ = create_rule(self.principal, self.team, self.config(*events, **more))
        assert self.work() == ["succeeded"]
        return job

    @property
    def principal(self) -> Principal:
        return Principal.of_user(self.user)

    def work(self) -> list[str]:
        """Do everything that is queued; the states that it ended in."""
        ended = []
        while Run.objects.filter(state=RunState.QUEUED).exists():
            Run.objects.filter(state=RunState.QUEUED).update(run_after=Now())
            run = claim.claim(make_worker(), ["std"])
            assert run is not None
            runner.execute(run)
            run.refresh_from_db()
            ended.append(run.state)
        return ended

    def merge(self, number: int = 12) -> None:
        publish(
            PullRequestChanged(
                repository_id=self.source.pk,
                number=number,
                state="merged",
                what="closed",
                base="main",
                heard="webhook",
            )
        )

    def push(self, ref: str = "refs/heads/main") -> None:
        publish(Pushed(repository_id=self.source.pk, ref=ref, heard="webhook"))

    def tag(self, name: str, commit: str = "main", *, annotated: bool = False) -> None:
        more = ["-a", "-m", "a release"] if annotated else []
        git(self.world.served / "source", "tag", "-f", *more, name, commit)

    def has(self) -> str:
        return git(self.world.served / "target", "ls-tree", "-r", "main")

    def message(self) -> str:
        return git(self.world.served / "target", "log", "-1", "--format=%B", "main")


@pytest.fixture
def desk(tmp_path: Path, settings: Settings) -> Desk:
    settings.DATA, settings.STORES = tmp_path / "data", tmp_path / "data" / "stores"
    return Desk(World(tmp_path))


@pytest.mark.parametrize("told", [True, False], ids=["by a webhook", "by looking"])
def test_a_push_right_after_saving_is_copied_where_pushes_are_told(desk: Desk, told: bool) -> None:
    if told:
        Webhook.objects.create(
            team=desk.team, connection=desk.source.connection, repository=desk.source, name="source"
        )
    head = git(desk.world.served / "source", "rev-parse", "main").strip()
    Repository.objects.filter(pk=desk.source.pk).update(head_oid=head)
    create_rule(desk.principal, desk.team, desk.config())
    desk.world.commit("source", {"docs/a.md": "a\n"})
    desk.push()

    assert set(desk.work()) == {"succeeded"}

    # without a webhook the head that we know may be old: the first run begins with what it finds
    assert ("copied/a.md" in desk.has()) == told


# --- each trigger -----------------------------------------------------------------------------------


def by_schedule(desk: Desk, job: Job) -> None:
    jobs.set_schedule(job, "* * * * *")
    Job.objects.filter(pk=job.pk).update(next_at=claim.db_now())
    for _ in range(100):
        if schedule.fire_due():
            return


def by_api(desk: Desk, job: Job) -> None:
    assert api_of(desk.user, desk.team).post("runs/", {"job": str(job.pk)}).status_code == 201


def by_looking(desk: Desk, job: Job) -> None:
    assert poll.look(job) == 1


STARTS: dict[str, Any] = {
    "push": lambda desk, job: desk.push(),
    "pull_request": lambda desk, job: desk.merge(),
    "tag": lambda desk, job: desk.push("refs/tags/v1"),
    "schedule": by_schedule,
    "manual": lambda desk, job: jobs.start(job, Run.Trigger.MANUAL, "somebody"),
    "api": by_api,
    "poll": by_looking,
}


@pytest.mark.parametrize("start", STARTS)
def test_each_trigger_brings_the_same(desk: Desk, start: str) -> None:
    job = desk.rule("push", "pull_request", "tag", tags="v*")
    poll.look(job)  # the first look only remembers
    desk.world.commit("source", {"docs/a.md": "a\n", "docs/deep/b.md": "b\n", "other.md": "x\n"})
    if start == "tag":
        desk.tag("v1")

    STARTS[start](desk, job)

    assert desk.work() == ["succeeded"]
    names = [line.split("\t")[1] for line in desk.has().splitlines()]
    assert names == ["README.md", "copied/a.md", "copied/deep/b.md"]
    assert desk.world.text("target", "copied/a.md") == "a\n"
    [item] = Item.objects.filter(run__job=job)
    assert (item.state, item.result["files"], item.result["recorded"]) == ("done", 2, 0)
    assert item.result["paths"] == ["copied/a.md", "copied/deep/b.md"]
    assert item.result["from"] == str(desk.source.pk)
    assert item.result["from_ref"] == ("v1" if start == "tag" else "main")


def test_a_merge_and_its_push_make_one_run_and_the_message_knows_the_number(desk: Desk) -> None:
    job = desk.rule("push", "pull_request", message="From #${pr_number} of ${source_repo}")
    desk.world.commit("source", {"docs/a.md": "a\n"})
    desk.push()
    desk.merge(12)
    assert desk.work() == ["succeeded"]
    assert desk.message().startswith("From #12 of source\n")
    assert Run.objects.filter(job=job).count() == 2  # with the one that remembered the start


def test_each_write_is_in_the_audit_log_with_its_source(desk: Desk) -> None:
    job = desk.rule("push", "pull_request")
    tip = desk.world.commit("source", {"docs/a.md": "a\n"})
    desk.merge(12)
    assert desk.work() == ["succeeded"]
    desk.push()
    assert desk.work() == ["succeeded"]  # nothing to write
    [event] = AuditEvent.objects.filter(action__startswith="copy.write")
    run = Run.objects.get(job=job, input={"pull_request": 12})
    assert (event.action, event.team_id, event.run_id) == ("copy.write", desk.team.pk, run.pk)
    assert (event.object_type, event.object_id) == ("repository", str(desk.target.pk))
    assert (event.object_label, event.actor_kind) == ("target", "system")
    assert event.diff == {
        "rule": "docs",
        "source": "source",
        "source_ref": "main",
        "source_commit": tip,
        "branch": "main",
        "commit": git(desk.world.served / "target", "rev-parse", "main").strip(),
        "files": 1,
        "deletes": 0,
        "deprecated": 0,
        "pull_request": "",
        "source_pull_request": 12,
    }


def test_a_write_to_another_owner_has_an_action_of_its_own(desk: Desk) -> None:
    desk.rule()
    Repository.objects.filter(pk=desk.target.pk).update(full_name="other/target")
    desk.world.commit("source", {"docs/a.md": "a\n"})
    desk.push()
    assert desk.work() == ["succeeded"]
    assert AuditEvent.objects.filter(action="copy.write.cross_organization").count() == 1
    assert Item.objects.get(run__trigger="webhook").result["cross_organization"] is True


def test_what_failed_keeps_where_it_came_from_and_is_no_write(desk: Desk) -> None:
    desk.rule()
    desk.world.commit("source", {"docs/a.md": "a\n"})
    git(desk.world.served / "target", "branch", "-m", "main", "elsewhere")
    desk.push()
    assert desk.work() == ["failed"]
    item = Item.objects.get(run__trigger="webhook")
    assert (item.state, item.result["from"]) == ("failed", str(desk.source.pk))
    assert not AuditEvent.objects.filter(action__startswith="copy.write").exists()


def test_what_a_first_run_finds_is_stored_only_while_it_has_its_lease(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fenced: list[bool] = []
    update = status.update

    def watched(*given: Any) -> None:
        fenced.append(connection.in_atomic_block)
        update(*given)

    monkeypatch.setattr(status, "update", watched)
    desk.rule()
    assert fenced == [True]


# --- tags -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("annotated", [False, True])
def test_a_tag_is_copied_as_it_stands_not_as_the_branch_is(desk: Desk, annotated: bool) -> None:
    job = desk.rule("tag", tags="v*")
    desk.world.commit("source", {"docs/a.md": "released\n"})
    desk.tag("v1", annotated=annotated)
    desk.world.commit("source", {"docs/a.md": "work in progress\n"})
    desk.push("refs/tags/v1")
    desk.push()
    assert desk.work() == ["succeeded"]
    assert desk.world.text("target", "copied/a.md") == "released\n"
    released = git(desk.world.served / "source", "rev-parse", "v1^{commit}").strip()
    assert CopyState.objects.get().source_oid == released
    assert f"OpsSight-Source: source@{released}" in desk.message()
    status = RepositoryStatus.objects.get(repository=desk.source, lane="copy")
    assert (status.state, status.sentence) == ("fresh", "1 of 1 target at v1")
    assert job.triggers.count() == 1


def test_the_first_tag_brings_the_whole_tree(desk: Desk) -> None:
    desk.world.commit("source", {"docs/a.md": "a\n"})
    job = desk.rule("tag", tags="v*")
    ready = Run.objects.get(job=job)
    assert ready.sentence == "Ready: files are copied when source gets a tag that fits v*."
    assert not CopyState.objects.exists()
    desk.tag("v1")  # at the commit where the rule began
    desk.push("refs/tags/v1")
    assert desk.work() == ["succeeded"]
    assert desk.world.text("target", "copied/a.md") == "a\n"


def test_an_older_tag_takes_nothing_back(desk: Desk) -> None:
    desk.rule("push", "tag", tags="v*")
    old = desk.world.commit("source", {"docs/a.md": "old\n"})
    new = desk.world.commit("source", {"docs/a.md": "new\n"})
    desk.push()
    assert desk.work() == ["succeeded"]
    for name, commit in (("v1", old), ("v2", new)):
        desk.tag(name, commit)
        desk.push(f"refs/tags/{name}")
        assert desk.work() == ["succeeded"]
        assert desk.world.text("target", "copied/a.md") == "new\n"
    item = Item.objects.order_by("-id").first()
    assert item is not None
    assert (item.state, item.sentence) == ("skipped", "It has what v2 stands for, or newer.")
    assert CopyState.objects.get().source_oid == new


def test_a_tag_on_no_branch_is_copied(desk: Desk) -> None:
    desk.rule("tag")
    desk.world.commit("source", {"docs/a.md": "a\n"})
    folder = desk.world.served / "source"
    apart = git(folder, "commit-tree", "-m", "apart", "-p", "main", "main^{tree}").strip()
    desk.tag("lonely", apart)
    desk.push("refs/tags/lonely")
    assert desk.work() == ["succeeded"]
    assert CopyState.objects.get().source_oid == apart


def test_a_tag_that_is_gone_or_no_commit_ends_with_a_sentence(desk: Desk) -> None:
    desk.rule("tag")
    tree = git(desk.world.served / "source", "rev-parse", "main^{tree}").strip()
    desk.tag("tree", tree)
    for name, words in (("gone", "source has no tag gone any more"), ("tree", "stands for no commit")):
        desk.push(f"refs/tags/{name}")
        assert desk.work() == ["failed"]
        run = Run.objects.order_by("-id").first()
        assert run is not None
        assert words in run.sentence
    assert "copied" not in desk.has()


# --- looking ----------------------------------------------------------------------------------------


def test_looking_finds_new_and_moved_tags_and_remembers_the_first_time(desk: Desk) -> None:
    desk.tag("v0")
    job = desk.rule("tag", tags="v*")
    assert poll.look(job) == 0
    desk.tag("v1")
    desk.tag("other")
    assert poll.look(job) == 1
    assert poll.look(job) == 0
    desk.world.commit("source", {"docs/a.md": "a\n"})
    desk.tag("v0")
    assert poll.look(job) == 1
    git(desk.world.served / "source", "tag", "-d", "v1")
    assert poll.look(job) == 0
    inputs = [run.input for run in Run.objects.filter(trigger="poll").order_by("id")]
    assert inputs == [{"tag": "v1"}, {"tag": "v0"}]
    trigger = Trigger.objects.get(job=job)
    assert set(trigger.seen_tags) == {"v0"}


def test_a_flood_of_tags_comes_a_look_at_a_time_and_none_is_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poll, "_MOST_TAGS", 3)
    job = desk.rule("tag")
    poll.look(job)
    for number in range(8):
        desk.tag(f"v{number}")
    assert [poll.look(job) for _ in range(4)] == [3, 3, 2, 0]
    assert Run.objects.filter(trigger="poll").count() == 8


def test_a_branch_is_looked_at_once_for_pushes_and_merges(desk: Desk) -> None:
    job = desk.rule("push", "pull_request")
    poll.look(job)
    desk.world.commit("source", {"docs/a.md": "a\n"})
    assert poll.look(job) == 1
    assert Run.objects.filter(trigger="poll").count() == 1


def test_a_job_for_merges_that_looks_follows_the_branch(desk: Desk) -> None:
    job = desk.rule("pull_request")
    poll.look(job)
    desk.world.commit("source", {"docs/a.md": "a\n"})
    assert poll.look(job) == 1
    assert desk.work() == ["succeeded"]
    assert desk.world.text("target", "copied/a.md") == "a\n"


# --- the configuration ------------------------------------------------------------------------------


def test_the_rule_s_triggers_follow_its_configuration(desk: Desk) -> None:
    job = desk.rule("push", "pull_request", "tag", tags="v*")

    def rows() -> set[tuple[str, str]]:
        return {(row.event, row.ref) for row in job.triggers.all()}

    assert rows() == {
        (triggers.PUSHED, "main"),
        (triggers.PULL_REQUEST, "main"),
        (triggers.PUSHED, "refs/tags/v*"),
    }
    update_rule(desk.principal, job, desk.config("tag", tags="release/**"))
    assert rows() == {(triggers.PUSHED, "refs/tags/release/**")}
    update_rule(desk.principal, job, desk.config())
    assert rows() == {(triggers.PUSHED, "main")}


DATA: dict[str, Any] = {
    "name": "docs",
    "source": {"repository": "acme/docs", "branch": "main"},
    "rules": [{"type": "prefix", "pattern": "docs", "template": "docs/${relative_path}"}],
    "targets": [{"repository": "acme/site", "branch": "main"}],
}


@pytest.mark.parametrize(
    ("keys", "listening"),
    [
        ({}, Listening()),
        ({"events": ["pull_request"]}, Listening(("pull_request",))),
        ({"events": ["push", "tag"], "tags": "v*"}, Listening(("push", "tag"), "v*")),
        ({"events": ["tag"]}, Listening(("tag",))),
    ],
)
def test_what_a_rule_listens_to_is_kept(keys: dict[str, Any], listening: Listening) -> None:
    config = parse_config({**DATA, **keys})
    assert config.listening == listening
    assert to_data(config) == {**DATA, **keys}
    assert read_version(to_data(config)) == config


def test_the_order_of_events_says_nothing() -> None:
    config = parse_config({**DATA, "events": ["tag", "push", "push"], "tags": "v*"})
    assert config.listening == Listening(("push", "tag"), "v*")


def test_a_file_listens_to_merges_and_pushes_unless_it_is_told_otherwise() -> None:
    flows = tuple(flows_of(parse_config(DATA)))
    config = FileConfig("docs", "acme/docs", "main", flows)
    assert config.listening == AS_A_COPIER
    data = file_config_data(config)
    assert "events" not in data
    assert parse_file_config(data) == config
    only = FileConfig("docs", "acme/docs", "main", flows, Listening(("push",)))
    assert file_config_data(only)["events"] == ["push"]
    assert parse_file_config(file_config_data(only)) == only


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        ({"events": []}, "events"),
        ({"events": "push"}, "events"),
        ({"events": ["merge"]}, "events[0]"),
        ({"events": ["push", 7]}, "events[1]"),
        ({"tags": "v*"}, "tags"),
        ({"events": ["tag"], "tags": "v["}, "tags"),
        ({"events": ["tag"], "tags": "v" * 201}, "tags"),
        ({"events": ["tag"], "tags": ["v*"]}, "tags"),
    ],
)
def test_what_is_wrong_is_named(keys: dict[str, Any], where: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse_config({**DATA, **keys})
    assert where in [place for place, _ in error.value.problems]


def test_another_repository_of_the_same_name_says_nothing(desk: Desk) -> None:
    desk.rule("push", "pull_request", "tag")
    other = make_repository(make_connection(desk.team), "source", external_id="other")
    assert Repository.objects.filter(full_name="source").count() == 2
    for ref in ("refs/heads/main", "refs/tags/v1"):
        publish(Pushed(repository_id=other.pk, ref=ref, heard="webhook"))
    assert not Run.objects.filter(state=RunState.QUEUED).exists()
