from __future__ import annotations

import datetime as dt
import json
import uuid
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from pytest_django import DjangoAssertNumQueries, Settings

from opssight.audit import triggers
from opssight.audit.actor import Actor
from opssight.audit.record import record
from opssight.audit.sealer import seal_new
from opssight.audit.selectors import Filters, events_for
from opssight.core.clock import now
from tests.factories import make_team

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def own_data_folder(tmp_path: Path, settings: Settings) -> None:
    settings.DATA = tmp_path


def audit(*arguments: object) -> tuple[int, Any, str]:
    """Exit status, the document, standard error."""
    out, err, code = StringIO(), StringIO(), 0
    try:
        call_command("audit", *map(str, arguments), "--json", stdout=out, stderr=err)
    except SystemExit as exit:
        code = int(exit.code or 0)
    return code, json.loads(out.getvalue()), err.getvalue()


def add(
    action: str, team_id: uuid.UUID | None = None, actor: str = "ada@example.org", object: str = "1"
) -> None:
    with transaction.atomic():
        record(
            action,
            team_id=team_id,
            target=("job", object, "docs"),
            actor=Actor.of_user(1, actor),
            diff={"n": 1},
        )


def test_verify_names_the_first_bad_entry_and_exits_1() -> None:
    for n in range(5):
        add(f"job.step{n}")
    seal_new()
    code, document, errors = audit("verify")
    assert (code, document["ok"], document["entries"], document["first_bad"]) == (0, True, 5, None)
    assert errors == ""

    triggers.remove(connection)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE audit_auditevent SET actor_label = 'eve' WHERE action IN ('job.step2', 'job.step4')"
        )
    triggers.install(connection)

    code, document, errors = audit("verify")
    assert (code, document["ok"], document["first_bad"]) == (1, False, 3)
    assert [(p["kind"], p["seq"]) for p in document["problems"]] == [("changed", 3), ("changed", 5)]
    assert "the first at entry 3" in errors


def test_an_anchor_is_written_and_checked_from_where_it_was_kept(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    assert audit("anchor", "--to", kept)[1]["anchor"] is None
    add("job.create")
    seal_new()
    code, document, _ = audit("anchor", "--to", kept)
    assert (code, document["anchor"]["seq"]) == (0, 1)
    code, document, _ = audit("verify", "--anchors", kept)
    assert (code, document["anchors"]) == (0, 2)

    kept.write_text(json.dumps({"seq": 9, "mac": "0" * 64, "at": now().isoformat()}))
    code, document, errors = audit("verify", "--anchors", kept)
    assert (code, document["first_bad"]) == (1, 2)
    assert "cut off" in errors
    assert audit("verify", "--anchors", tmp_path / "missing")[0] == 2
    assert audit("anchor", "--to", tmp_path / "no" / "folder")[0] == 2


def test_list_shows_the_newest_first_and_narrows() -> None:
    team = make_team()
    add("job.create", team.pk)
    add("job.delete", team.pk, "grace@example.org")
    add("token.issued")
    seal_new()
    add("job.start", team.pk)

    def actions(*arguments: object) -> list[str]:
        return [row["action"] for row in audit("list", *arguments)[1]["results"]]

    assert actions() == ["job.start", "token.issued", "job.delete", "job.create"]
    assert actions("--limit", 1) == ["job.start"]
    assert actions("--team", team.slug) == ["job.start", "job.delete", "job.create"]
    assert actions("--action", "job.d") == ["job.delete"]
    assert actions("--actor", "grace") == ["job.delete"]
    rows = audit("list")[1]["results"]
    assert [row["sealed"] for row in rows] == [False, True, True, True]
    assert [row["team"] for row in rows] == [team.slug, "", team.slug, team.slug]
    assert audit("list", "--team", "nobody")[0] == 2


def test_events_of_other_teams_are_not_shown(django_assert_num_queries: DjangoAssertNumQueries) -> None:
    mine, theirs = uuid.uuid4(), uuid.uuid4()
    for n in range(5):
        add(f"job.step{n}", mine, object=str(n))
    add("job.theirs", theirs)
    add("settings.changed", None)
    seal_new()

    def shown(filters: Filters | None = None, system: bool = False) -> list[str]:
        return [event.action for event in events_for([mine], filters, system=system)]

    assert shown() == [f"job.step{n}" for n in (4, 3, 2, 1, 0)]
    assert shown(system=True)[0] == "settings.changed"
    assert shown(Filters(object_type="job", object_id="2")) == ["job.step2"]
    assert shown(Filters(text="STEP3")) == ["job.step3"]
    assert shown(Filters(since=now() + dt.timedelta(hours=1))) == []
    assert len(shown(Filters(until=now() + dt.timedelta(hours=1), actor="ada"))) == 5
    assert shown(Filters(run_id=uuid.uuid4())) == []
    with django_assert_num_queries(1):
        assert all(event.seal.seq for event in events_for([mine]))
