"""Who is told what: topics, severities, and only when something changed."""

from __future__ import annotations

import threading
import uuid

import pytest
from django.db import connection, transaction

from opssight.core import redact
from opssight.core.errors import Conflict, InvalidInput
from opssight.notices import outbox
from opssight.notices.channels import webhook
from opssight.notices.manage import add_rule, save_channel
from opssight.notices.message import Message
from opssight.notices.models import Channel, NoticeRule, NoticeState, Outbox, Severity

INFO, WARNING, ERROR = Severity.INFO, Severity.WARNING, Severity.ERROR


def make_channel(team: uuid.UUID, name: str = "ops", url: str = "https://example.org/hook") -> Channel:
    return save_channel(None, team_id=team, name=name, scheme="webhook", options={"url": url})


def tell(
    team: uuid.UUID, state: str, severity: Severity, subject: str = "job:1", topic: str = "run.copy"
) -> int:
    return outbox.report(
        team_id=team, topic=topic, subject=subject, state=state, severity=severity, sentence=f"It is {state}."
    )


@pytest.mark.django_db
def test_a_failure_is_told_once_and_its_end_once(team: uuid.UUID) -> None:
    add_rule(make_channel(team))
    reports = [
        ("ok", INFO),
        ("failed", ERROR),
        ("failed", ERROR),
        ("failed", ERROR),
        ("ok", INFO),
        ("ok", INFO),
        ("failed", ERROR),
    ]

    told = [tell(team, state, severity) for state, severity in reports]

    assert told == [0, 1, 0, 0, 1, 0, 1]
    states = [entry.message["state"] for entry in Outbox.objects.order_by("id")]
    assert states == ["failed", "ok", "failed"]
    assert len({entry.message_id for entry in Outbox.objects.all()}) == 3


@pytest.mark.django_db
def test_each_subject_has_its_own_state(team: uuid.UUID) -> None:
    add_rule(make_channel(team))
    assert tell(team, "failed", ERROR, "job:1") == 1
    assert tell(team, "failed", ERROR, "job:2") == 1
    assert tell(team, "ok", INFO, "job:2") == 1
    assert tell(team, "failed", ERROR, "job:1") == 0


@pytest.mark.django_db
def test_what_is_below_the_severity_is_silent_until_it_gets_worse(team: uuid.UUID) -> None:
    add_rule(make_channel(team), severity=ERROR)
    assert tell(team, "slow", WARNING) == 0
    assert tell(team, "ok", INFO) == 0
    assert tell(team, "slow", WARNING) == 0
    assert tell(team, "slow", ERROR) == 1  # the same state, now bad enough
    assert tell(team, "late", WARNING) == 1  # the end of what was told
    assert tell(team, "ok", INFO) == 0


@pytest.mark.django_db
def test_topics_narrow_and_a_channel_gets_a_message_once(team: uuid.UUID) -> None:
    channel = make_channel(team)
    add_rule(channel, topics=["run"])
    add_rule(channel, topics=["run.copy", "connection"])
    assert tell(team, "failed", ERROR, topic="run.copy") == 1
    assert tell(team, "failed", ERROR, topic="running", subject="x") == 0
    assert tell(team, "failed", ERROR, topic="connection", subject="y") == 1
    assert Outbox.objects.count() == 2


@pytest.mark.django_db
def test_other_teams_and_what_is_switched_off_hear_nothing(team: uuid.UUID) -> None:
    add_rule(make_channel(uuid.uuid4()))
    off = make_channel(team)
    add_rule(off)
    Channel.objects.filter(pk=off.pk).update(enabled=False)
    silent = add_rule(make_channel(team, "second"))
    NoticeRule.objects.filter(pk=silent.pk).update(enabled=False)
    assert tell(team, "failed", ERROR) == 0


@pytest.mark.django_db(transaction=True)
def test_a_report_is_undone_with_its_transaction(team: uuid.UUID) -> None:
    add_rule(make_channel(team))
    with transaction.atomic():
        assert tell(team, "failed", ERROR) == 1
        transaction.set_rollback(True)
    assert not Outbox.objects.exists()
    assert tell(team, "failed", ERROR) == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_who_report_the_same_change_one_is_heard(team: uuid.UUID) -> None:
    add_rule(make_channel(team))
    told: list[int] = []

    def work() -> None:
        told.append(tell(team, "failed", ERROR))
        connection.close()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(told) == [0, 0, 0, 0, 0, 1]
    assert Outbox.objects.count() == NoticeState.objects.count() == 1


@pytest.mark.django_db
def test_a_message_holds_no_secret_and_an_absolute_link(team: uuid.UUID, settings: object) -> None:
    redact.register("canary-51b7d")
    add_rule(make_channel(team))
    outbox.report(
        team_id=team,
        topic="run.copy",
        subject="s" * 300,
        state="failed",
        severity=ERROR,
        sentence="Pushing with canary-51b7d failed.",
        url="/runs/1/",
        fields=[("Address", "https://user:hunter2x@example.org/")],
        title="Copy failed",
    )
    stored = Outbox.objects.get()
    message = Message.from_json(stored.message)
    assert message.title == "Copy failed"
    assert message.url.startswith("http://127.0.0.1")
    assert message.url.endswith("/runs/1/")
    assert len(message.subject) == 200
    assert message.to_json() == stored.message
    for secret in ("canary-51b7d", "hunter2x"):
        assert secret not in str(stored.message)


@pytest.mark.django_db
def test_a_channel_is_checked_and_keeps_its_secret(team: uuid.UUID) -> None:
    with pytest.raises(InvalidInput) as refused:
        save_channel(None, team_id=team, name=" ", scheme="smtp", options={"to": ["x", "a@example.org"]})
    assert [where for where, _ in refused.value.problems] == ["name", "to"]
    for scheme, secret, options, field in (
        ("slack", "hooks.slack.com", {}, "secret"),
        ("webhook", "", {"url": "ftp://x"}, "url"),
        ("webhook", "whsec_short", {"url": "https://x.example"}, "secret"),
        ("smtp", "", {}, "to"),
        ("pigeon", "", {}, "scheme"),
    ):
        with pytest.raises(InvalidInput) as refused:
            save_channel(None, team_id=team, name="x", scheme=scheme, secret=secret, options=options)
        assert [where for where, _ in refused.value.problems] == [field]

    channel = make_channel(team)
    secret = channel.secret
    assert webhook.problems(secret, channel.options) == []
    again = save_channel(
        channel, team_id=team, name="new", scheme="webhook", options={"url": "https://b.example/"}
    )
    assert Channel.objects.get(pk=again.pk).secret == secret
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM notices_channel")
        assert secret not in cursor.fetchone()[0]
    with pytest.raises(Conflict):
        make_channel(team, "new")
