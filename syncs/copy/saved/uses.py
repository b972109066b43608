"""Which copy rules and config files work with the repositories of a connection."""

from __future__ import annotations

import uuid

from opssight.core.errors import InvalidInput
from repos.models import Connection
from repos.transfer import Use
from syncs.copy.models import ConfigFile, CopyRule, CopyTarget
from syncs.copy.rules.file_config import flows_of, read_version


def uses_of(connection: Connection, team_id: uuid.UUID) -> list[Use]:
    """Rules of the team that read from its repositories, and those that write to them."""
    rows = CopyTarget.objects.filter(repository__connection=connection, rule__job__team=team_id)
    writing = set(rows.values_list("rule__job__name", flat=True)) | _recording(connection, team_id)
    rules = CopyRule.objects.filter(source__connection=connection, job__team=team_id)
    reading = set(rules.values_list("job__name", flat=True))
    files = ConfigFile.objects.filter(repository__connection=connection, team=team_id)
    reading |= {f"the file {name}" for name in files.values_list("name", flat=True)}
    return [*(Use(name, writes=True) for name in sorted(writing)), *map(Use, sorted(reading - writing))]


def _recording(connection: Connection, team_id: uuid.UUID) -> set[str]:
    """Rules that record deletions in a repository of the connection."""
    ids = {str(pk) for pk in connection.repositories.values_list("pk", flat=True)}
    rules = CopyRule.objects.filter(job__team=team_id, job__version__isnull=False)
    found = set()
    for name, config in rules.values_list("job__name", "job__version__config"):
        if _places(config) & ids:
            found.add(name)
    return found


def _places(config: object) -> set[str]:
    """Repositories that deletions are recorded in; none for what cannot be read, which cannot run either."""
    try:
        return {flow.options.deletions.repository for flow in flows_of(read_version(config))}
    except InvalidInput:
        return set()
