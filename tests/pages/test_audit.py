from __future__ import annotations

import datetime as dt
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from pytest_django.fixtures import Settings

from opssight.accounts.models import Role, Team, User
from opssight.audit.actor import Actor
from opssight.audit.models import AuditEvent, AuditSeal
from opssight.audit.record import record
from opssight.audit.sealer import seal_new
from opssight.audit.triggers import install, remove
from opssight.audit.verify import verify
from opssight.pages.audit import Change, changes
from tests.factories import make_team
from tests.syncs.runs import signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _nothing_verified(settings: Settings, tmp_path: Path) -> None:
    cache.clear()
    settings.DATA = tmp_path


def done(
    team_id: uuid.UUID | None, action: str = "job.create", label: str = "docs", **extra: Any
) -> AuditEvent:
    kind = action.partition(".")[0]
    with transaction.atomic():
        return record(action, team_id=team_id, target=(kind, uuid.uuid4(), label), **extra)


def page(client: Client, **query: str) -> str:
    answer = client.get(reverse("audit"), query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_who_did_what() -> None:
    client, team = signed_in()
    done(team.pk, actor=Actor.of_user("1", "mira@example.org"), diff={"enabled": [True, False]})
    text = page(client)
    for words in ("mira@example.org", "job.create", "docs", "enabled", "<del>yes</del>", "<ins>no</ins>"):
        assert words in text


def test_an_empty_log_says_what_is_written_down() -> None:
    client, _ = signed_in()
    assert "Nothing was done in this team yet." in page(client)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"q": "docs"}, ["docs"]),
        ({"actor": "ada"}, ["site"]),
        ({"action": "run."}, ["site"]),
        ({"object": "job"}, ["docs"]),
        ({"since": "2100-01-01"}, []),
        ({"until": "2000-01-01"}, []),
        ({"since": "nonsense"}, ["site", "docs"]),
        ({"since": "0001-01-01"}, ["site", "docs"]),
        ({"until": "9999-12-31"}, ["site", "docs"]),
    ],
)
def test_the_log_is_narrowed(query: dict[str, str], found: list[str]) -> None:
    client, team = signed_in()
    done(team.pk, label="docs")
    done(team.pk, "run.start", "site", actor=Actor.of_user("1", "ada@example.org"))
    rows = client.get(reverse("audit"), query).context["rows"]
    assert [row.event.object_label for row in rows] == found


def test_the_last_day_of_a_span_is_in_it() -> None:
    client, team = signed_in()
    done(team.pk)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    assert len(client.get(reverse("audit"), {"since": today, "until": today}).context["rows"]) == 1


def test_other_teams_and_the_installation_are_not_shown() -> None:
    client, team = signed_in()
    done(make_team().pk, label="theirs")
    done(None, "keys.rotate", "all keys")
    assert "theirs" not in page(client)
    assert "all keys" not in page(client)
    User.objects.filter(memberships__team=team).update(is_superuser=True)
    assert "all keys" in page(client)
    assert "theirs" not in page(client)


def test_the_page_costs_the_same_whatever_the_number_of_events() -> None:
    client, team = signed_in()

    def cost() -> int:
        with CaptureQueriesContext(connection) as found:
            page(client)
        return len(found)

    for _ in range(3):
        done(team.pk)
    few = cost()
    for _ in range(27):
        done(team.pk)
    assert cost() == few


# --- the chain -----------------------------------------------------------------------------------------


def runs_the_installation(team: Team) -> None:
    User.objects.filter(memberships__team=team).update(is_superuser=True)


def test_verifying_says_up_to_where_it_is_whole() -> None:
    client, team = signed_in()
    runs_the_installation(team)
    done(team.pk)
    done(team.pk)
    seal_new()
    text = page(client)
    assert "up to entry 2" in text
    assert "not yet" in text
    said = client.post(reverse("audit_verify"), follow=True).content.decode()
    assert "The audit log is whole: 2 entries checked." in said
    assert "not yet" not in said


def test_an_event_that_was_changed_shows() -> None:
    client, team = signed_in()
    runs_the_installation(team)
    event = done(team.pk)
    seal_new()
    remove(connection)
    AuditEvent.objects.filter(pk=event.pk).update(object_label="something else")
    install(connection)
    said = client.post(reverse("audit_verify"), follow=True).content.decode()
    assert "Entry 1 (job.create) is not what was sealed: it was changed." in said
    assert "not as it was written" in said


def test_only_the_newest_entries_are_checked_when_asked_so() -> None:
    _, team = signed_in()
    events = [done(team.pk, label=str(n)) for n in range(6)]
    seal_new()
    remove(connection)
    AuditEvent.objects.filter(pk=events[0].pk).update(object_label="changed")
    assert not verify().ok
    newest = verify(newest=4)
    assert (newest.ok, newest.entries, newest.last_seq) == (True, 4, 6)
    AuditEvent.objects.filter(pk=events[4].pk).update(object_label="changed")
    install(connection)
    assert verify(newest=4).first_bad == 5
    assert verify(newest=99).first_bad == 1


def test_only_who_runs_the_installation_verifies_and_exports() -> None:
    client, _ = signed_in(role=Role.OWNER)
    assert "Verify now" not in page(client)
    assert client.post(reverse("audit_verify")).status_code == 404
    assert client.post(reverse("audit_anchor")).status_code == 404


def test_the_anchor_is_a_file_that_verification_reads() -> None:
    client, team = signed_in()
    runs_the_installation(team)
    empty = client.post(reverse("audit_anchor"), follow=True).content.decode()
    assert "Nothing is sealed yet." in empty
    done(team.pk)
    seal_new()
    answer = client.post(reverse("audit_anchor"))
    assert answer["Content-Disposition"] == 'attachment; filename="audit-anchor-1.jsonl"'
    assert json.loads(answer.content)["mac"] == AuditSeal.objects.get().mac
    assert "at entry 1" in page(client)


# --- what changed ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("diff", "shown"),
    [
        ({"role": ["viewer", "admin"]}, [Change("role", "viewer", "admin")]),
        ({"name": "docs"}, [Change("name", None, "docs")]),
        ({"scopes": ["a", "b", "c"]}, [Change("scopes", None, "a, b, c")]),
        ({"at": "2026-11-25T11:17:40.489346+00:00"}, [Change("at", None, "2026-11-25 11:17 UTC")]),
        ({"cron": ["", "0 3 * * *"]}, [Change("cron", "nothing", "0 3 * * *")]),
        (
            {"config": [{"rules": [{"path": "a"}], "on": True}, {"rules": [{"path": "b"}], "on": True}]},
            [Change("config.rules.1.path", "a", "b")],
        ),
        ({"config": [None, {"a": 1}]}, [Change("config.a", "nothing", "1")]),
    ],
)
def test_a_difference_is_said_value_by_value(diff: dict[str, Any], shown: list[Change]) -> None:
    assert changes(diff) == shown
