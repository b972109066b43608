from __future__ import annotations

import datetime as dt
import threading
import uuid

import pytest
from django.db import DatabaseError, connection, transaction

from opssight.audit.actor import Actor, ActorKind, acting_as, current_actor
from opssight.audit.models import AuditAnchor, AuditEvent, AuditPending, AuditSeal
from opssight.audit.record import CHANGED, MAX_DIFF, MAX_TEXT, clean, record
from opssight.audit.sealer import seal_new
from opssight.core import logs, redact

TARGET = ("job", uuid.uuid4(), "docs to site")


@pytest.mark.django_db
def test_an_event_says_who_did_what_to_what() -> None:
    team, run = uuid.uuid4(), uuid.uuid4()
    with logs.bind(request_id="request-1"), acting_as(Actor.of_user(7, "ada@example.org")):
        event = record("job.create", team_id=team, target=TARGET, diff={"name": ["a", "b"]}, run_id=run)

    event = AuditEvent.objects.get(pk=event.pk)
    assert (event.actor_kind, event.actor_id, event.actor_label) == ("user", "7", "ada@example.org")
    assert (event.team_id, event.action, event.run_id) == (team, "job.create", run)
    assert (event.object_type, event.object_id, event.object_label) == ("job", str(TARGET[1]), "docs to site")
    assert event.diff == {"name": ["a", "b"]}
    assert event.request_id == "request-1"
    assert AuditPending.objects.filter(event=event).exists()


@pytest.mark.django_db
def test_the_actor_given_counts_before_the_one_of_the_context() -> None:
    with acting_as(Actor.of_user(1, "context")):
        given = record("a.b", team_id=None, target=TARGET, actor=Actor.of_token(2, "given"))
        with acting_as(Actor.of_webhook(3, "inner")):
            inner = record("a.b", team_id=None, target=TARGET)
        outer = record("a.b", team_id=None, target=TARGET)
    nobody = record("a.b", team_id=None, target=TARGET)

    kinds = [event.actor_kind for event in (given, inner, outer, nobody)]
    assert kinds == [ActorKind.TOKEN, ActorKind.WEBHOOK, ActorKind.USER, ActorKind.SYSTEM]


def test_a_new_thread_acts_as_the_system_and_the_keyboard_has_a_name() -> None:
    seen: list[Actor] = []
    with acting_as(Actor.cli()):
        thread = threading.Thread(target=lambda: seen.append(current_actor()))
        thread.start()
        thread.join()
        assert current_actor().kind == ActorKind.CLI
        assert current_actor().label
    assert seen[0].kind == ActorKind.SYSTEM


@pytest.mark.django_db(transaction=True)
def test_an_event_needs_the_transaction_of_its_change() -> None:
    with pytest.raises(RuntimeError, match="transaction"):
        record("job.create", team_id=None, target=TARGET)

    with transaction.atomic():
        record("job.create", team_id=None, target=TARGET)
        transaction.set_rollback(True)
    assert not AuditEvent.objects.exists()


def test_values_of_secrets_do_not_get_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact, "_registered", type(redact._registered)())
    redact.register("canary-7f3a9")
    diff = clean(
        {
            "password": ["old", "new"],
            "apiKey": "x",
            "private_key": {"deep": "x"},
            "options": [{"client-secret": "x", "url": "https://u:pw@h/x?token=abc"}],
            "note": "uses canary-7f3a9 and ghp_0123456789abcdef0123",
            "host_key": "ssh-ed25519 AAAA",
            "tokens_used": 3,
        }
    )
    assert diff["password"] == diff["apiKey"] == diff["private_key"] == CHANGED
    assert diff["options"][0]["client-secret"] == CHANGED
    assert diff["host_key"] == "ssh-ed25519 AAAA"
    assert diff["tokens_used"] == 3
    for secret in ("canary-7f3a9", "ghp_0123", "pw@", "abc"):
        assert secret not in str(diff)


def test_a_difference_is_bounded_and_plain() -> None:
    at = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    diff = clean(
        {"at": at, "id": TARGET[1], "part": 0.5, "on": True, "nothing": None, "text": "word " * 2_000}
    )
    assert diff["at"] == "2026-01-02T00:00:00Z"
    assert diff["id"] == str(TARGET[1])
    assert (diff["part"], diff["on"], diff["nothing"]) == ("0.5", True, None)
    assert len(diff["text"]) == MAX_TEXT + 1
    assert set(clean({str(n): "y" * 1_000 for n in range(MAX_DIFF // 900)}).values()) == {CHANGED}


@pytest.mark.django_db
def test_names_that_no_database_stores_are_stored_readable() -> None:
    event = record("x.y", team_id=None, target=("file", "1", "a\0b\udc80"), diff={"k\0": "v\0\udcff"})
    event.refresh_from_db()
    assert event.object_label == "a\N{REPLACEMENT CHARACTER}b?"
    assert event.diff == {"k\N{REPLACEMENT CHARACTER}": "v\N{REPLACEMENT CHARACTER}?"}


@pytest.mark.django_db
def test_the_database_refuses_to_change_or_delete_the_log() -> None:
    record("job.create", team_id=None, target=TARGET)
    seal_new()
    AuditAnchor.objects.create(seq=1, mac="0" * 64, exported_to="x")

    for statement in (
        "UPDATE audit_auditevent SET action = 'x'",
        "UPDATE audit_auditseal SET mac = 'x'",
        "UPDATE audit_auditanchor SET mac = 'x'",
        "DELETE FROM audit_auditevent",
        "DELETE FROM audit_auditseal",
        "DELETE FROM audit_auditanchor",
    ):
        with (
            pytest.raises(DatabaseError, match="can only be added to"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
    assert AuditEvent.objects.count() == AuditSeal.objects.count() == AuditAnchor.objects.count() == 1
