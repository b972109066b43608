"""Copiers' files as tests take them in, and the chore that reads them again."""

from __future__ import annotations

from repos import beside
from repos.models import Repository
from syncs.copy.files import following as config_files, watch as file_watch
from syncs.copy.files.following import Location
from syncs.copy.files.given import from_repository, from_texts
from syncs.copy.files.reads import StoreReads, in_team
from syncs.copy.models import ConfigFile
from tests.syncs.copy.desk import Desk


def workflow(source: str = "docs", target: str = "site", to: str = "copied", name: str = "w") -> str:
    return (
        f"- name: {name}\n  source: {{repo: {source}, branch: main}}\n"
        f"  destination: {{repo: {target}, branch: main}}\n"
        f"  transformations:\n  - move: {{from: docs, to: {to}}}\n"
    )


def workflows(*entries: str) -> str:
    return "workflows:\n" + "".join(entries)


def reads(desk: Desk) -> StoreReads:
    return StoreReads(in_team(desk.principal, desk.team))


def taken_in(desk: Desk, path: str = "copier/main.yaml", mode: str = "shadow") -> ConfigFile:
    row = Repository.objects.get(team=desk.team, full_name="config")
    given = from_repository(reads(desk), row, "main", path)
    place = Location(row, "main", path)
    return config_files.create(desk.principal, desk.team, "copier", given, place, ConfigFile.Mode(mode))


def pasted(desk: Desk, *entries: str, name: str = "copier") -> ConfigFile:
    given = from_texts(reads(desk), {"rules.yaml": workflows(*entries)}, "rules.yaml")
    return config_files.create(desk.principal, desk.team, name, given, Location(), ConfigFile.Mode.ENABLED)


def reload_due() -> list[ConfigFile]:
    """What the supervisor's chore does, waited for."""
    due = list(ConfigFile.objects.filter(due_at__isnull=False).values_list("pk", flat=True))
    file_watch.read_due()
    for id in due:
        assert beside.ask(("config-file", id), 600.0, lambda: True, owner=None, wait=20).sentence == ""
    return list(ConfigFile.objects.filter(pk__in=due))
