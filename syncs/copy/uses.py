"""Which copy rules work with the repositories of a connection."""

from __future__ import annotations

import uuid

from repos.models import Connection
from repos.transfer import Use
from syncs.copy.models import CopyRule, CopyTarget


def uses_of(connection: Connection, team_id: uuid.UUID) -> list[Use]:
    """Rules of the team that read from its repositories, and those that write to them."""
    rows = CopyTarget.objects.filter(repository__connection=connection, rule__job__team=team_id)
    writing = set(rows.values_list("rule__job__name", flat=True))
    rules = CopyRule.objects.filter(source__connection=connection, job__team=team_id)
    reading = set(rules.values_list("job__name", flat=True)) - writing
    return [*(Use(name, writes=True) for name in writing), *(Use(name) for name in reading)]
