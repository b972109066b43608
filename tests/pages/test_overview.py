"""The overview: where a new installation begins, what needs somebody, what is proved, what happened."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from opssight.accounts.models import Role, Team
from opssight.accounts.scope import Principal
from opssight.core.clock import now
from opssight.core.ids import first_id, uuid7
from opssight.pages import activity, overview
from opssight.pages.activity import Window
from opssight.web.parts import Lane, Trend
from repos.models import Connection, Delivery, Repository, Webhook
from syncs.copy.models import CopyRule, CopyState, CopyTarget
from syncs.models import Job, Run
from tests.factories import make_connection, make_job, make_repository, make_team, make_user, make_worker
from tests.repos.pages import page, queries, words
from tests.syncs.runs import make_item, make_run, signed_in

pytestmark = pytest.mark.django_db
A, B = "a" * 40, "b" * 40


@pytest.fixture(autouse=True)
def own_cache() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def settled(team: Team) -> Repository:
    """A team that has begun: a healthy connection with a repository."""
    connection = make_connection(team, state=Connection.State.OK, last_ok_at=now())
    return make_repository(connection, "team/docs", head_oid=A, head_seen_at=now())


def run_at(job: Job, at: dt.datetime, state: str = "succeeded", seconds: float = 30, **extra: Any) -> Run:
    """A run as it would be if it had been made at that time: its id says when."""
    made = uuid.UUID(int=first_id(at).int | (uuid7().int & ((1 << 80) - 1)))
    run = make_run(job, state, id=made, **extra)
    ended = None if state == "running" else at + dt.timedelta(seconds=seconds)
    Run.objects.filter(pk=made).update(created_at=at, started_at=at, finished_at=ended)
    return run


# --- where to begin ---------------------------------------------------------------------------------------


def test_a_new_installation_is_told_where_to_begin() -> None:
    client, _ = signed_in()
    text = page(client, "overview")
    assert "One place for every repository you own" in text
    assert "Connect a forge, a git server or a folder" in text
    assert "Nothing needs you" not in text


def test_the_second_step_is_to_pick_repositories() -> None:
    client, team = signed_in()
    connection = make_connection(team, name="Team git")
    text = client.get(reverse("overview")).content.decode()
    assert "Pick repositories of Team git" in text
    assert reverse("connection_found", args=[connection.pk]) in text


def test_who_may_not_connect_waits_for_an_administrator() -> None:
    client, _ = signed_in(role=Role.OPERATOR)
    text = page(client, "overview")
    assert "An administrator of the team does that." in text
    assert "Connect a forge, a git server or a folder" not in text


def test_the_third_step_is_a_first_job() -> None:
    client, team = signed_in()
    settled(team)
    text = page(client, "overview")
    assert "What next your repositories are here, and nothing runs yet" in text
    assert "Make a copy rule" in text
    assert "Nothing has run today." in text


def test_visitors_sign_in_first() -> None:
    client, _ = signed_in()
    client.logout()
    answer = client.get(reverse("overview"))
    assert answer["Location"] == f"{reverse('login')}?next=/"


# --- what needs somebody ----------------------------------------------------------------------------------


def test_what_is_lost_comes_first() -> None:
    client, team = signed_in()
    repository = settled(team)
    make_connection(team, name="Slow", state=Connection.State.DEGRADED, sentence="It broke off.")
    make_connection(team, name="Ended", state=Connection.State.REAUTH, sentence="The token has ended.")
    make_repository(repository.connection, "team/gone", state=Repository.State.LOST_ACCESS)
    make_repository(repository.connection, "team/shallow", state_reason="It is shallow.")
    make_run(make_job(team, name="waiting"), "needs_approval", sentence="Deletes 9 branches.")
    make_run(make_job(team, name="half"), "partial", sentence="Copied to 1 of 2.")
    make_worker()
    answer = client.get(reverse("overview"))
    needs = answer.context["needs"]
    assert [need.state for need in needs] == [
        "reauth", "unreadable", "needs_approval", "degraded", "partial",
    ]  # fmt: skip
    text = words(answer.content)
    assert "Needs you Five things, the costliest first." in text
    assert "Ended : The token has ended. Standing still: no repository of it yet, never reached." in text
    assert "2 repositories cannot be used. Out of reach: team/gone and team/shallow." in text
    assert "5 need you" in answer.content.decode().replace('<span class="hidden">', "")


def test_a_delivery_that_was_not_acted_on_needs_a_replay_until_it_got_one() -> None:
    client, team = signed_in()
    repository = settled(team)
    hook = Webhook.objects.create(team=team, name="docs hook", scheme="plain", secret="x")
    delivery = Delivery.objects.create(
        webhook=hook, team=team, delivery_key="1", event="push", verdict="error", repository=repository
    )
    text = client.get(reverse("overview")).content.decode()
    assert "was stored, but acting on it failed." in text
    assert reverse("delivery_replay", args=[delivery.pk]) in text
    Delivery.objects.create(
        webhook=hook, team=team, delivery_key="2", event="push", verdict="accepted", replay_of=delivery
    )
    assert "acting on it failed" not in client.get(reverse("overview")).content.decode()


def test_viewers_are_led_to_look_and_not_to_act() -> None:
    client, team = signed_in(role=Role.VIEWER)
    repository = settled(team)
    make_connection(team, state=Connection.State.REAUTH)
    hook = Webhook.objects.create(team=team, scheme="plain", secret="x")
    Delivery.objects.create(
        webhook=hook, team=team, delivery_key="1", verdict="error", event="push", repository=repository
    )
    make_run(make_job(team), "failed")
    for need in client.get(reverse("overview")).context["needs"]:
        assert need.action.method == "get"
        assert client.get(need.action.url).status_code == 200


def test_each_action_of_an_administrator_leads_somewhere() -> None:
    client, team = signed_in(role=Role.ADMIN)
    repository = settled(team)
    make_connection(team, state=Connection.State.REAUTH)
    make_repository(repository.connection, state_reason="It is shallow.")
    make_run(make_job(team), "needs_approval")
    for need in client.get(reverse("overview")).context["needs"]:
        assert client.get(need.action.url).status_code == 200


def test_trouble_of_other_teams_is_not_mine() -> None:
    client, team = signed_in()
    settled(team)
    other = make_team()
    make_connection(other, state=Connection.State.REAUTH)
    make_run(make_job(other), "failed", sentence="secret of others")
    make_repository(make_connection(other), state_reason="secret of others")
    answer = client.get(reverse("overview"))
    assert answer.context["needs"] == []
    assert "secret of others" not in answer.content.decode()
    assert "Overview" in words(answer.content)


def test_every_page_says_how_much_needs_you() -> None:
    client, team = signed_in()
    settled(team)
    make_connection(team, state=Connection.State.REAUTH)
    text = client.get(reverse("connections")).content.decode()
    assert '<b class="badge">1<span class="hidden"> need you' in text


# --- what is proved ---------------------------------------------------------------------------------------


def targets(team: Team, repository: Repository, *held: str) -> list[CopyTarget]:
    """A rule with a target for each of the commits that these hold ("" for one that holds none)."""
    rule = CopyRule.objects.create(job=make_job(team, "copy"), source=repository, source_branch="main")
    made = []
    for oid in held:
        target = make_repository(repository.connection)
        row = CopyTarget.objects.create(rule=rule, repository=target, branch="main")
        if oid:
            CopyState.objects.create(target=row, source_oid=oid)
        made.append(row)
    return made


def test_only_what_was_measured_is_called_proved() -> None:
    client, team = signed_in()
    repository = settled(team)
    make_connection(team, state=Connection.State.OK, last_ok_at=now() - dt.timedelta(hours=25))
    make_connection(team)
    targets(team, repository, A, B, "")
    text = page(client, "overview")
    assert (
        "Nothing needs you. 1 of 3 connections answered within 24 h; 1 of 3 copy targets hold the newest"
        in text
    )


def test_with_nothing_measured_nothing_is_proved() -> None:
    client, team = signed_in()
    make_repository(make_connection(team))
    assert "Nothing is proved yet either: no job has run." in page(client, "overview")


def test_protection_counts_every_target_and_unknown_is_not_fine() -> None:
    client, team = signed_in()
    repository = settled(team)
    good, behind, unknown, failed = targets(team, repository, A, B, "", B)
    run = make_run(Job.objects.get(kind="copy"), "partial")
    make_item(run, "x", "failed", key=str(failed.pk))
    [protection] = client.get(reverse("overview")).context["protections"]
    assert protection.headline == "1 of 4 targets at HEAD"
    assert {share.state: share.count for share in protection.shares} == {
        "at_head": 1, "failed": 1, "behind": 1, "unknown": 1,
    }  # fmt: skip
    assert {good.pk, behind.pk, unknown.pk} & {failed.pk} == set()
    text = page(client, "overview")
    assert "1 at HEAD 1 failed 1 behind 1 unknown" in text


# --- what happened ----------------------------------------------------------------------------------------


def principal_of(team: Team) -> Principal:
    return Principal.of_user(team.memberships.get().user)


@pytest.fixture
def team() -> Team:
    return make_team(make_user())


def noon(days_ago: int = 0) -> dt.datetime:
    return timezone.localtime(now()).replace(hour=12, minute=0, second=0, microsecond=0) - dt.timedelta(
        days=days_ago
    )


def test_the_day_has_a_lane_for_each_kind_and_counts_all(team: Team) -> None:
    job = make_job(team, "copy", name="docs")
    start = Window.of(1).start
    run_at(job, start + dt.timedelta(seconds=1))
    run_at(job, start + dt.timedelta(seconds=2), "failed")
    run_at(job, start - dt.timedelta(hours=1), "failed")  # yesterday
    make_run(make_job(make_team()), "failed")
    found = activity.activity(principal_of(team), team, 1)
    assert [lane.label for lane in found.lanes] == ["Copy"]
    assert found.words == "2 runs: 1 succeeded, 1 failed"
    assert found.total == len(found.lines) == 2
    week = activity.activity(principal_of(team), team, 7)
    assert week.words == "3 runs: 1 succeeded, 2 failed"


def bars(lanes: list[Lane]) -> list[tuple[str, str]]:
    return [(bar.state, bar.title.partition(",")[0]) for lane in lanes for bar in lane.bars]


def test_runs_that_are_close_are_drawn_as_one(team: Team) -> None:
    job = make_job(team, "copy", name="docs")
    start = Window.of(1).start
    for second in range(0, 300, 60):
        run_at(job, start + dt.timedelta(seconds=second))
    run_at(job, start + dt.timedelta(seconds=301), "failed", seconds=1)
    run_at(job, start + dt.timedelta(hours=2))
    found = activity.activity(principal_of(team), team, 1)
    assert bars(list(found.lanes)) == [
        ("succeeded", "5 runs succeeded"),
        ("failed", "docs: failed"),
        ("succeeded", "docs: succeeded"),
    ]


def test_what_goes_on_lasts_until_now_and_what_is_planned_is_drawn(team: Team) -> None:
    job = make_job(team, "copy", cron="*/10 * * * *")
    window = Window.of(1)
    run_at(job, window.start, "running")
    Job.objects.filter(pk=job.pk).update(next_at=window.end - dt.timedelta(minutes=25))
    [lane] = activity.activity(principal_of(team), team, 1).lanes
    running, *planned = lane.bars
    assert running.state == "running"
    assert abs((running.end - now()).total_seconds()) < 60
    assert all(bar.planned for bar in planned)
    assert [window.end - bar.start for bar in planned] == [
        dt.timedelta(minutes=25),
        *(dt.timedelta(minutes=m) for m in (20, 10)),
    ]


def test_a_schedule_that_cannot_be_read_does_not_hide_the_page(team: Team) -> None:
    make_job(team, "copy", cron="every other tuesday", next_at=Window.of(1).end - dt.timedelta(minutes=5))
    [lane] = activity.activity(principal_of(team), team, 1).lanes
    assert len(lane.bars) == 1


def trend(team: Team, title: str) -> Trend:
    return next(one for one in activity.trends(principal_of(team), team) if one.title == title)


def test_the_trend_says_since_when_and_does_not_call_the_time_before_zero(team: Team) -> None:
    job = make_job(team)
    first, today = noon(5), Window.of(1).start
    run_at(job, first)
    run_at(job, first, "failed")
    run_at(job, today)
    found = trend(team, "Runs a day")
    assert found.figure == "1 today"
    assert found.provenance.startswith(f"Runs table · since {first.day} {first:%b} · as of ")
    amounts = [list(column.amounts) for column in found.columns]
    assert len(amounts) == 30
    assert amounts[:24] == [[]] * 24  # not collected
    assert amounts[24:] == [[("ok", 1), ("bad", 1)], *[[("none", 0)]] * 4, [("ok", 1)]]
    assert found.columns[24].title == f"{first.day} {first:%b}: 2 runs, 1 not well"


def test_without_a_run_or_a_delivery_there_is_no_trend(team: Team) -> None:
    make_run(make_job(make_team()))
    assert activity.trends(principal_of(team), team) == []


def test_deliveries_and_the_time_from_push_to_done(team: Team) -> None:
    hook = Webhook.objects.create(team=team, scheme="plain", secret="x")
    job = make_job(team)
    heard = Window.of(1).start
    for number, seconds in enumerate([1, 2, 3, 100]):
        delivery = Delivery.objects.create(
            webhook=hook, team=team, delivery_key=str(number), verdict="accepted", event="push"
        )
        Delivery.objects.filter(pk=delivery.pk).update(received_at=heard)
        run_at(job, heard, seconds=seconds).causes.create(delivery=delivery)
    refused = Delivery.objects.create(webhook=hook, team=team, delivery_key="r", verdict="unauthentic")
    Delivery.objects.filter(pk=refused.pk).update(received_at=heard)
    run_at(job, heard, "failed", seconds=900).causes.create(delivery=refused)  # only what succeeded counts
    assert trend(team, "Deliveries a day").columns[-1].title.endswith("5 deliveries, 1 refused")
    found = trend(team, "Push to done, p95")
    assert found.figure == "1 min 40 s"
    assert found.provenance == "4 runs that a webhook started and that succeeded · 30 days"
    assert found.columns[-1].amounts == [("run", 100.0)]


def test_the_overview_asks_as_much_for_thirty_of_everything_as_for_three() -> None:
    client, team = signed_in()
    repository = settled(team)
    hook = Webhook.objects.create(team=team, scheme="plain", secret="x")

    def grow(number: int) -> None:
        for _ in range(number):
            make_connection(team, state=Connection.State.DEGRADED)
            make_repository(repository.connection, state_reason="It is shallow.")
            job = make_job(team, "copy", next_at=now() + dt.timedelta(minutes=1))
            rule = CopyRule.objects.create(job=job, source=repository, source_branch="main")
            CopyTarget.objects.create(
                rule=rule, repository=make_repository(repository.connection), branch="main"
            )
            key = uuid.uuid4().hex
            error = Delivery.objects.create(webhook=hook, team=team, delivery_key=key, verdict="error")
            run = make_run(job, "failed")
            run.causes.create(delivery=error)
            make_item(run, "x", "failed")
            make_run(make_job(team))

    grow(3)
    few = queries(client, reverse("overview"))
    grow(27)
    assert queries(client, reverse("overview")) == few


def test_text_of_others_is_text() -> None:
    client, team = signed_in()
    settled(team)
    bad = "<script>alert(1)</script>"
    make_connection(team, name=bad, state=Connection.State.REAUTH, sentence=bad)
    make_run(make_job(team, name=bad), "failed", sentence=bad, because=bad)
    make_repository(make_connection(team), bad, state_reason=bad)
    assert bad not in client.get(reverse("overview")).content.decode()


def test_numbers_in_words() -> None:
    assert [overview._number(n) for n in (1, 5, 6, 12)] == [
        "One thing",
        "Five things",
        "6 things",
        "12 things",
    ]
