"""What keeps a connection from moving away from a team: the rules and files that work with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from repos.models import Repository
from repos.transfer import Use
from syncs.copy.models import ConfigFile
from syncs.copy.rules.options import Deletions, Options
from syncs.copy.saved.service import create_rule
from syncs.copy.saved.uses import uses_of
from tests.factories import make_connection, make_repository, make_team
from tests.syncs.copy.desk import Desk

pytestmark = pytest.mark.django_db


def test_readers_writers_and_those_who_record_deletions(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    elsewhere = make_connection(desk.team)
    source: Repository = make_repository(elsewhere, "acme/api")
    records: Repository = make_repository(make_connection(desk.team), "acme/records")
    desk.rule("docs to site")
    from_elsewhere = replace(desk.config("api to site"), source_repository=str(source.pk))
    create_rule(desk.principal, desk.team, from_elsewhere)
    deletions = Deletions("record", repository=str(records.pk), branch="main")
    recording = replace(desk.config("recorded"), options=Options(deletions=deletions))
    create_rule(desk.principal, desk.team, recording)
    ConfigFile.objects.create(team=desk.team, name="copier", repository=source, branch="main", path="c.yaml")

    writes = [Use("api to site", writes=True), Use("docs to site", writes=True), Use("recorded", writes=True)]
    assert uses_of(desk.connection, desk.team.pk) == writes
    assert uses_of(elsewhere, desk.team.pk) == [Use("api to site"), Use("the file copier")]
    assert uses_of(records.connection, desk.team.pk) == [Use("recorded", writes=True)]
    assert uses_of(desk.connection, make_team().pk) == []
