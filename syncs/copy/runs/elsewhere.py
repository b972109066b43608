"""Deletions that a run records in another repository or branch than its target."""

from __future__ import annotations

from dataclasses import replace

from opssight.accounts.models import Role
from opssight.core.errors import NotFound
from opssight.core.ids import as_uuid
from repos import access
from repos.models import Repository
from syncs.copy.plan.planned import Plan
from syncs.copy.saved.rights import require_still
from syncs.copy.transfer.api_commits import CommitApi
from syncs.copy.transfer.recording import DeletionList, lists_of, record_elsewhere
from syncs.copy.transfer.transfer import Copier, End, Message, Source
from syncs.models import JobVersion


def record_deletions(
    version: JobVersion, copier: Copier, source: Source, plan: Plan, message: Message
) -> None:
    """Write down what the plan records elsewhere, as one commit for each list. Raises a `Failure`."""
    for wanted in lists_of(plan, source, message):
        rows = Repository.objects.select_related("connection").filter(pk=as_uuid(wanted.repository))
        row = rows.first()
        if row is None:
            raise NotFound(
                "The repository that deletions are recorded in is gone. Save the rule with another."
            )
        require_still(version, row, Role.OPERATOR)
        _record(copier, row, wanted, message)
        copier.steps.checkpoint("deletions-recorded")


def _record(copier: Copier, row: Repository, wanted: DeletionList, message: Message) -> None:
    store, api = copier.stores.store(row.pk), None
    if message.sign == "api":
        api = CommitApi.of(access.client_of(row.connection), row.external_id)
    end = End(row.full_name, wanted.branch, access.remote_of(row), store, api=api)
    access.with_fresh_token(
        row,
        end.remote,
        lambda remote: record_elsewhere(copier, replace(end, remote=remote), wanted, message),
    )
