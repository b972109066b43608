"""Sealing, and finding what somebody with full access to the database did."""

from __future__ import annotations

import base64
import json
import threading
import uuid
from pathlib import Path

import pytest
from django.db import connection, transaction
from pytest_django import Settings

from opssight.audit import triggers
from opssight.audit.anchors import default_path, export_anchor, read_anchors
from opssight.audit.models import AuditAnchor, AuditEvent, AuditPending, AuditSeal
from opssight.audit.record import record
from opssight.audit.sealer import seal_new, seals_per_key
from opssight.audit.verify import Report, verify
from opssight.core import env, keys, rotation
from opssight.core.errors import InvalidInput
from opssight.core.ids import uuid7


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path: Path, settings: Settings) -> None:
    settings.DATA = tmp_path


def add(n: int, seal: bool = True) -> list[AuditEvent]:
    with transaction.atomic():
        target = ("job", "1", "docs")
        events = [
            record(f"job.step{i}", team_id=uuid.UUID(int=i), target=target, diff={"n": i}) for i in range(n)
        ]
    if seal:
        assert seal_new() == n
    return events


def attack(*statements: str) -> None:
    """What somebody does who may do everything in the database."""
    triggers.remove(connection)
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    triggers.install(connection)


def found(report: Report) -> list[tuple[str, int | None]]:
    return [(problem.kind, problem.seq) for problem in report.problems]


@pytest.mark.django_db
def test_a_log_that_nobody_touched_is_whole() -> None:
    assert verify().ok
    add(3)
    add(450)
    assert AuditPending.objects.count() == 0

    report = verify()

    assert report.ok
    assert (report.entries, report.last_seq, report.waiting) == (453, 453, 0)
    assert "453 entries" in report.sentence
    assert seal_new() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    "change",
    [
        "action = 'job.other'",
        "actor_label = 'mallory'",
        "actor_id = '99'",
        "actor_kind = 'cli'",
        "object_type = 'run'",
        "object_id = '2'",
        "object_label = 'x'",
        "request_id = 'x'",
        "diff = '{\"n\": 7}'",
        "team_id = NULL",
        "run_id = '00000000000000000000000000000001'",
        "at = '2020-01-01 00:00:00+00:00'",
    ],
)
def test_an_edit_of_any_column_is_found(change: str) -> None:
    add(5)
    attack(f"UPDATE audit_auditevent SET {change} WHERE action = 'job.step2'")  # noqa: S608

    report = verify()

    assert found(report) == [("changed", 3)]
    assert report.first_bad == 3
    assert "entry 3" in report.sentence


@pytest.mark.django_db
def test_an_edit_of_a_seal_is_found() -> None:
    add(4)
    attack(f"UPDATE audit_auditseal SET mac = '{'a' * 64}' WHERE seq = 2")  # noqa: S608
    assert found(verify()) == [("changed", 2), ("moved", 3)]


@pytest.mark.django_db
def test_a_removal_is_found_with_and_without_its_seal() -> None:
    events = add(6)
    hexes = [
        f"'{event.pk}'" if connection.vendor == "postgresql" else f"'{event.pk.hex}'" for event in events
    ]
    attack(f"DELETE FROM audit_auditevent WHERE id = {hexes[1]}")  # noqa: S608
    assert found(verify()) == [("removed", 2)]

    attack(
        f"DELETE FROM audit_auditevent WHERE id IN ({hexes[3]}, {hexes[4]})",  # noqa: S608
        "DELETE FROM audit_auditseal WHERE seq IN (4, 5)",
    )
    report = verify()
    assert found(report) == [("removed", 2), ("removed", 4)]
    assert "Entries 4 to 5 were removed." in report.problems[1].sentence


@pytest.mark.django_db
def test_removed_and_renumbered_is_found() -> None:
    add(4)
    attack(
        "DELETE FROM audit_auditevent WHERE action = 'job.step1'",
        "DELETE FROM audit_auditseal WHERE seq = 2",
        "UPDATE audit_auditseal SET seq = 2 WHERE seq = 3",
        "UPDATE audit_auditseal SET seq = 3 WHERE seq = 4",
    )
    assert found(verify()) == [("moved", 2), ("changed", 2), ("changed", 3)]


@pytest.mark.django_db
def test_a_reordering_is_found() -> None:
    add(4)
    attack(
        "UPDATE audit_auditseal SET seq = 99 WHERE seq = 2",
        "UPDATE audit_auditseal SET seq = 2 WHERE seq = 3",
        "UPDATE audit_auditseal SET seq = 3 WHERE seq = 99",
    )
    report = verify()
    assert report.first_bad == 2
    assert {kind for kind, _ in found(report)} == {"moved", "changed"}


@pytest.mark.django_db
def test_a_cut_tail_is_found_by_the_anchor_in_the_file_even_when_its_row_is_gone(tmp_path: Path) -> None:
    add(5)
    anchor = export_anchor()
    assert anchor is not None
    assert (anchor.seq, anchor.mac) == (5, AuditSeal.objects.get(seq=5).mac)
    assert default_path().stat().st_mode & 0o077 == 0
    assert AuditAnchor.objects.count() == 1
    assert verify().ok
    attack(
        "DELETE FROM audit_auditseal WHERE seq > 3",
        "DELETE FROM audit_auditevent WHERE action IN ('job.step3', 'job.step4')",
    )
    assert found(verify()) == [("cut", 4), ("cut", 4)]

    attack("DELETE FROM audit_auditanchor")
    assert found(verify()) == [("cut", 4)]

    kept = default_path().rename(tmp_path / "kept-elsewhere")
    assert verify().ok  # nothing on this machine tells
    assert found(verify(anchor_files=[kept])) == [("cut", 4)]


@pytest.mark.django_db
def test_a_tail_that_was_cut_and_grew_again_is_found() -> None:
    add(5)
    export_anchor()
    attack(
        "DELETE FROM audit_auditseal WHERE seq > 3",
        "DELETE FROM audit_auditevent WHERE action IN ('job.step3', 'job.step4')",
        "DELETE FROM audit_auditanchor",
    )
    add(4)
    assert found(verify()) == [("changed", 5)]


@pytest.mark.django_db
def test_an_anchor_is_written_once_and_an_unreadable_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "anchors"
    assert export_anchor(path) is None
    assert not path.exists()
    add(1)
    first, again = export_anchor(path), export_anchor(path)
    assert first is not None
    assert again is not None
    assert first.seq == again.seq
    add(1)
    export_anchor(path)
    assert [anchor.seq for anchor in read_anchors(path)] == [1, 2]
    assert json.loads(path.read_text().splitlines()[0])["seq"] == 1

    with path.open("a") as file:
        file.write('{"seq": "x"}\n')
    with pytest.raises(InvalidInput, match="Line 3"):
        export_anchor(path)
    assert found(verify(anchor_files=[path])) == [("anchor", None)]


@pytest.mark.django_db
def test_an_event_that_nobody_sealed_is_found_when_it_is_old() -> None:
    add(2)
    add(1, seal=False)
    young = verify()
    assert young.ok
    assert young.waiting == 1
    assert "1 new event" in young.sentence

    # written past OpsSight: no seal, and nothing that waits for one
    attack("UPDATE audit_auditevent SET at = '2020-01-01 00:00:00+00:00' WHERE action = 'job.step0'")
    AuditPending.objects.all().delete()
    assert ("unsealed", None) in found(verify())
    assert verify().problems[-1].sentence.startswith("1 event has no seal")


@pytest.mark.django_db
def test_a_new_key_seals_what_comes_and_the_old_one_stays_needed(settings: Settings) -> None:
    first, second = (f"k{n}:{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
    settings.ENV = env.load({"OPSSIGHT_KEYS": first})
    add(2)
    settings.ENV = env.load({"OPSSIGHT_KEYS": f"{second},{first}"})
    add(3)
    assert seals_per_key() == {"k1": 2, "k2": 3}
    assert verify().ok

    settings.ENV = env.load({"OPSSIGHT_KEYS": second})
    report = verify()
    assert found(report) == [("key", 1)]
    assert "k1" in report.problems[0].sentence


@pytest.mark.django_db
def test_the_keys_of_seals_are_never_called_removable() -> None:
    add(1)
    assert rotation.status().places["audit.AuditSeal.mac"] == {keys.keyring().primary: 1}


@pytest.mark.django_db(transaction=True)
def test_an_event_that_commits_late_is_sealed_after_younger_ones() -> None:
    early_id = uuid7()
    add(2)
    with transaction.atomic():
        late = AuditEvent.objects.create(id=early_id, action="late", actor_kind="system")
        AuditPending.objects.create(event=late)

    assert seal_new() == 1
    assert AuditSeal.objects.get(event_id=early_id).seq == 3
    assert verify().ok


@pytest.mark.many_writers
@pytest.mark.django_db(transaction=True)
def test_what_is_not_committed_yet_is_neither_sealed_nor_skipped() -> None:
    opened, done = threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            record("slow", team_id=None, target=("x", 1, "x"))
            opened.set()
            done.wait(10)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert opened.wait(10)
    add(1, seal=False)
    assert seal_new() == 1
    done.set()
    thread.join()
    assert seal_new() == 1
    assert AuditSeal.objects.get(seq=2).event.action == "slow"
    assert verify().ok


@pytest.mark.django_db(transaction=True)
def test_many_sealers_beside_writers_make_one_chain() -> None:
    stop = threading.Event()
    failures: list[BaseException] = []

    def guarded(work: threading.Event | None) -> None:
        try:
            if work is None:
                for _ in range(20):
                    add(3, seal=False)
            else:
                while not work.is_set():
                    seal_new(limit=7)
        except BaseException as error:  # noqa: BLE001 - told by the main thread
            failures.append(error)
        finally:
            connection.close()

    sealers = [threading.Thread(target=guarded, args=(stop,)) for _ in range(3)]
    writers = [threading.Thread(target=guarded, args=(None,)) for _ in range(2)]
    for thread in [*sealers, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in sealers:
        thread.join()
    while seal_new():
        pass

    assert not failures
    report = verify()
    assert report.ok
    assert report.entries == AuditEvent.objects.count() == 120


@pytest.mark.django_db
def test_the_limit_is_kept() -> None:
    add(10, seal=False)
    assert seal_new(limit=4) == 4
    assert AuditPending.objects.count() == 6
    assert seal_new() == 6
