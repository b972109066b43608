"""Deletions that a run records in another repository or branch than its target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby

from opssight.accounts.models import Role
from opssight.core.errors import NotFound
from opssight.core.ids import as_uuid
from repos import access
from repos.models import Repository
from syncs.copy.plan.plan import Plan, PlannedRecord
from syncs.copy.saved.rights import require_still
from syncs.copy.transfer.api_commits import CommitApi
from syncs.copy.transfer.recording import entries, record_elsewhere, recording_message
from syncs.copy.transfer.transfer import Copier, End, Message, Source
from syncs.models import JobVersion

_Place = tuple[str, str, str]


def record_deletions(
    version: JobVersion, copier: Copier, source: Source, plan: Plan, message: Message
) -> None:
    """Write down what the plan records elsewhere, as one commit for each list. Raises a `Failure`."""
    records = sorted((one for one in plan.records if one.repository), key=_place)
    for (repository, branch, file), group in groupby(records, key=_place):
        rows = Repository.objects.select_related("connection").filter(pk=as_uuid(repository))
        row = rows.first()
        if row is None:
            raise NotFound(
                "The repository that deletions are recorded in is gone. Save the rule with another."
            )
        require_still(version, row, Role.OPERATOR)
        store, api = copier.stores.store(row.pk), None
        if message.sign == "api":
            api = CommitApi.of(access.client_of(row.connection), row.external_id)
        end = End(row.full_name, branch, access.remote_of(row), store, api=api)
        _record(copier, source, row, end, file, list(group), message)
        copier.steps.checkpoint("deletions-recorded")


def _place(record: PlannedRecord) -> _Place:
    return record.repository, record.branch, record.file


def _record(
    copier: Copier,
    source: Source,
    row: Repository,
    end: End,
    file: str,
    records: Sequence[PlannedRecord],
    message: Message,
) -> None:
    lines = entries(records, message.flow, source.end.store, source.head)
    text = recording_message(message, len(lines))
    access.with_fresh_token(
        row,
        end.remote,
        lambda remote: record_elsewhere(copier, replace(end, remote=remote), file, lines, text, message.sign),
    )
