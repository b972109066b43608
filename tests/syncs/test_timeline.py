"""A repository's story: which runs answer which deliveries, in one order, for those who may see them."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

from opssight.accounts.models import Role
from opssight.accounts.scope import Principal
from opssight.core.clock import now
from repos.models import Delivery, Repository, Webhook
from syncs import timeline
from syncs.models import Job, Run
from tests.factories import make_connection, make_job, make_repository, make_team, make_user
from tests.syncs.runs import make_item, make_run

pytestmark = pytest.mark.django_db


class Story:
    """A team with one repository, a webhook and a job."""

    def __init__(self) -> None:
        self.user = make_user()
        self.team = make_team(self.user)
        self.repository = make_repository(make_connection(self.team), "team/docs")
        self.hook = Webhook.objects.create(team=self.team, scheme="plain", secret="x")
        self.job = make_job(self.team, name="the job")

    @property
    def principal(self) -> Principal:
        return Principal.of_user(self.user)

    def heard(self, hours_ago: float = 0.0, verdict: str = "accepted", **extra: Any) -> Delivery:
        values = {"delivery_key": uuid.uuid4().hex, "event": "push", "repository": self.repository, **extra}
        made = Delivery.objects.create(webhook=self.hook, team=self.team, verdict=verdict, **values)
        at = now() - dt.timedelta(hours=hours_ago)
        Delivery.objects.filter(pk=made.pk).update(received_at=at)
        return made

    def ran(self, *causes: Delivery, hours_ago: float = 0.0, state: str = "succeeded", **extra: Any) -> Run:
        values = {"repository": self.repository, "because": "a push to team/docs main", **extra}
        run = make_run(values.pop("job", self.job), state, **values)
        Run.objects.filter(pk=run.pk).update(created_at=now() - dt.timedelta(hours=hours_ago))
        for delivery in causes:
            run.causes.create(delivery=delivery)
        return run

    def told(self, repository: Repository | None = None) -> list[list[str]]:
        found = timeline.chains(self.principal, repository or self.repository)
        return [[str(entry.text) for entry in chain.entries] for chain in found]


PUSH = "<b>A push to team/docs main</b>"


@pytest.fixture
def story() -> Story:
    return Story()


def test_a_run_stands_under_the_delivery_that_caused_it(story: Story) -> None:
    story.ran(story.heard(2), sentence="Older.", hours_ago=2)
    story.ran(story.heard(1), sentence="Newer.", hours_ago=1)
    assert story.told() == [[PUSH, "Newer."], [PUSH, "Older."]]


def test_pushes_that_one_run_answered_are_one_story(story: Story) -> None:
    first, second, third = story.heard(3), story.heard(2), story.heard(1)
    story.ran(first, second, sentence="Both.")
    other = make_job(story.team)
    story.ran(second, job=other, sentence="The other job.")
    story.ran(third, sentence="Alone.")
    assert story.told() == [[PUSH, "Alone."], [PUSH, PUSH, "Both.", "The other job."]]


def test_a_delivery_that_started_nothing_says_so(story: Story) -> None:
    story.heard()
    [chain] = timeline.chains(story.principal, story.repository)
    assert [(str(entry.text), entry.note) for entry in chain.entries] == [
        ("<b>A push</b>", "No job waits for it.")
    ]


@pytest.mark.parametrize("verdict", ["duplicate", "ignored", "unauthentic", "unreadable"])
def test_what_told_of_no_change_is_no_story(story: Story, verdict: str) -> None:
    story.heard(verdict=verdict)
    assert story.told() == []


def test_what_was_not_acted_on_says_why(story: Story) -> None:
    story.heard(verdict="error", sentence="Stored, but acting on it failed.")
    [chain] = timeline.chains(story.principal, story.repository)
    assert chain.entries[0].note == "Stored, but acting on it failed. No job waits for it."


@pytest.mark.parametrize(
    ("trigger", "because", "lead", "icon"),
    [
        ("schedule", "", "Schedule", "clock"),
        ("poll", "a push to team/docs main", "A push to team/docs main", "eye"),
        ("manual", "ada@example.org", "Ada@example.org", "user"),
        ("retry", "a retry by ada", "A retry by ada", "retry"),
    ],
)
def test_a_run_without_a_delivery_has_its_own_cause(
    story: Story, trigger: str, because: str, lead: str, icon: str
) -> None:
    story.ran(trigger=trigger, because=because, sentence="Done.")
    [chain] = timeline.chains(story.principal, story.repository)
    assert [str(entry.text) for entry in chain.entries] == [f"<b>{lead}</b>", "Done."]
    assert chain.entries[0].icon == icon


def test_a_run_that_wrote_here_is_told_too(story: Story) -> None:
    target = make_repository(story.repository.connection, "team/site")
    make_item(story.ran(sentence="Copied."), "team/site", repository=target)
    assert story.told(target) == [[PUSH, "Copied."]]


def test_what_goes_on_says_how_far_it_is(story: Story) -> None:
    story.ran(state="running", progress_text="Pushing 2 of 4", trigger="manual")
    story.ran(state="queued", wait_reason="waits for the server", trigger="manual")
    assert [chain[1] for chain in story.told()] == ["waits for the server", "Pushing 2 of 4"]


def test_each_day_is_named_once(story: Story) -> None:
    for hours in (0, 0.01, 30, 24 * 400):
        story.heard(hours)
    days = [chain.day for chain in timeline.chains(story.principal, story.repository)]
    assert days[0] in ("Today", "Yesterday")  # a moment ago may be yesterday, just after midnight
    assert days[1] in ("", "Yesterday")
    year = (now() - dt.timedelta(hours=24 * 400)).year
    assert days[3].endswith(str(year))


def test_text_of_others_is_text(story: Story) -> None:
    story.ran(story.heard(), because="a push by <script>", sentence="<b>bold</b>")
    [chain] = timeline.chains(story.principal, story.repository)
    assert "<script>" not in str(chain.entries[0].text)


def test_another_teams_runs_are_not_told(story: Story) -> None:
    stranger = make_team(story.user, Role.VIEWER)  # one of mine too, but not where the repository is
    delivery = story.heard()
    run = story.ran(delivery, job=make_job(stranger), sentence="Elsewhere.", repository=story.repository)
    assert run.team == stranger
    assert story.told() == [["<b>A push</b>"]]
    assert timeline.effects(story.principal, [delivery.pk]) == {}
    outsider = Principal.of_user(make_user())
    assert timeline.chains(outsider, story.repository) == []


def test_effects_are_by_delivery_oldest_first(story: Story) -> None:
    first, second = story.heard(), story.heard()
    runs = [
        story.ran(first, sentence="One."),
        story.ran(first, second, job=make_job(story.team), sentence="Two."),
    ]
    found = timeline.effects(story.principal, [first.pk, second.pk])
    assert [entry.text for entry in found[first.pk]] == ["One.", "Two."]
    assert [entry.link and entry.link.label for entry in found[second.pk]] == [f"run {runs[1].short_id}"]


def test_anything_but_a_repository_has_no_story(story: Story) -> None:
    assert timeline.chains(story.principal, story.job) == ()
    assert isinstance(story.job, Job)


def test_a_long_story_is_cut(story: Story) -> None:
    for number in range(timeline.SHOWN + 5):
        story.heard(number / 100)
    assert len(story.told()) == timeline.SHOWN
